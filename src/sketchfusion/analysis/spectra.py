"""How much of a feature map is coarse and how much is fine: its Fourier amplitude by frequency (Park and Kim, 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from ..featuremap import FeatureMap


Floats = npt.NDArray[np.float64]

TINY = float(np.finfo(np.float64).tiny)
HIGH = 0.5  # of the highest frequency that a grid can hold: what lies above it is called fine


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Amplitude by frequency, both (n,), from the coarsest to the finest, and two summaries of the energy.

    Frequency 0, which is what all cells have in common, counts in neither summary.
    """

    frequency: Floats  # as a share of the highest that the grid can hold along an axis: 0 to 1
    amplitude: Floats  # natural logarithm, relative to frequency 0
    fine: float  # share of the energy above `HIGH`
    cycles: float  # mean frequency of the energy, in cycles across the picture's longer side: grids can be compared


def spectrum(map_: FeatureMap) -> Spectrum:
    """Give the radial log amplitude of a map: over rings of frequencies, averaged over the channels' amplitudes.

    Only the picture counts, the rectangle of valid cells. The curve leaves out frequencies beyond the highest of an
    axis, which only diagonals have.
    """
    valid = map_.valid()
    cells = map_.data[:, valid.any(dim=1)][:, :, valid.any(dim=0)].double()
    transformed = torch.fft.fft2(cells).abs()
    amplitude, energy = transformed.mean(dim=0).cpu().numpy(), (transformed**2).sum(dim=0).cpu().numpy()
    h, w = amplitude.shape
    radius = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None]) / 0.5  # 0.5 cycles a cell is the highest
    rings = max(max(h, w) // 2, 1)
    ring = np.rint(radius * rings).astype(int)
    inside = ring <= rings
    count = np.bincount(ring[inside], minlength=rings + 1)
    total = np.bincount(ring[inside], amplitude[inside], minlength=rings + 1)
    kept = count > 0
    level = np.log(np.maximum(total[kept] / count[kept], TINY))
    energy[0, 0] = 0.0
    share = energy / max(float(energy.sum()), TINY)
    return Spectrum(
        frequency=np.arange(rings + 1)[kept] / rings,
        amplitude=level - level[0],
        fine=float(share[radius > HIGH].sum()),
        cycles=float((share * radius).sum()) * max(h, w) / 2,
    )


def averaged(spectra: Sequence[Spectrum]) -> Spectrum:
    """Give the mean of several spectra, on the frequencies of the first; pictures of other shapes have others."""
    frequency = spectra[0].frequency
    amplitudes = [np.interp(frequency, one.frequency, one.amplitude) for one in spectra]
    fine, cycles = (float(np.mean([getattr(one, name) for one in spectra])) for name in ("fine", "cycles"))
    return Spectrum(frequency, np.mean(amplitudes, axis=0), fine, cycles)
