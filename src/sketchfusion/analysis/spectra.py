"""How much of a feature map is coarse and how much is fine: its Fourier amplitude by frequency (Park and Kim, 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from ..featuremap import FeatureMap

Floats = npt.NDArray[np.float64]

HIGH = 0.5  # of the highest frequency: what lies above it is called fine


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Amplitude by frequency, both (n,), from the coarsest to the finest."""

    frequency: Floats  # as a share of the highest that the grid can hold, along an axis: 0 to 1
    amplitude: Floats  # natural logarithm, relative to frequency 0
    fine: float  # the share of the energy, frequency 0 left out, that lies above `HIGH`


def spectrum(map_: FeatureMap) -> Spectrum:
    """Give the radial log amplitude of a map: over rings of frequencies, averaged over the channels' amplitudes.

    Only the picture counts, the rectangle of valid cells. Frequencies beyond the highest of an axis, which only
    diagonals have, are left out.
    """
    valid = map_.valid()
    rows, columns = valid.any(dim=1), valid.any(dim=0)
    cells = map_.data[:, rows][:, :, columns].double()
    amplitude = torch.fft.fft2(cells).abs().mean(dim=0).cpu().numpy()
    energy = (torch.fft.fft2(cells).abs() ** 2).sum(dim=0).cpu().numpy()
    h, w = amplitude.shape
    # Cycles a cell; 0.5 is the highest that an axis can hold.
    radius = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None]) / 0.5
    rings = max(h, w) // 2
    ring = np.rint(radius * rings).astype(int)
    inside = ring <= rings
    count = np.bincount(ring[inside], minlength=rings + 1)
    mean = np.bincount(ring[inside], amplitude[inside], minlength=rings + 1) / count.clip(1)
    kept = count > 0
    tiny = np.finfo(np.float64).tiny
    level = np.log(np.maximum(mean[kept], tiny)) - np.log(max(float(mean[0]), tiny))
    varying = energy.copy()
    varying[0, 0] = 0.0
    fine = float(varying[radius > HIGH].sum() / max(float(varying.sum()), tiny))
    return Spectrum(np.arange(rings + 1)[kept] / max(rings, 1), level, fine)
