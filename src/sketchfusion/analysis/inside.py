"""What each part of a fused model sees in a picture: CLIP, the stages of Stable Diffusion by themselves, and both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ..extractor import as_list
from ..featuremap import FeatureMap
from ..features import SketchFusion
from ..fusion import kind_indices

if TYPE_CHECKING:
    from ..extractor import Extractor, Images
    from ..io.images import Kind


CLIP, FUSED = "CLIP", "fused"


def inside(
    model: Extractor, pictures: Images, kinds: Sequence[Kind], task: str | None = None
) -> list[dict[str, FeatureMap]]:
    """Give for each picture its maps by name: "CLIP", "SD up0" and so on without CLIP's injection, and "fused".

    ValueError for a model that is not fused.
    """
    fused = _fused(model, task)
    fusion, diffusion = fused.config.fusion, fused.model.diffusion
    answers: list[dict[str, FeatureMap]] = []
    for picture, kind in zip(as_list(pictures), kinds, strict=True):
        encoded = fused.encode([picture], kind)
        clean = encoded.latents if encoded.latents.dim() == 4 else encoded.latents[:, 0]
        noise = diffusion.noise((clean.shape[-2], clean.shape[-1]), fusion.noise_seed or 0)
        with torch.no_grad():
            noisy = diffusion.add_noise(clean, noise, fusion.timestep)
            stages = diffusion(noisy, fusion.timestep, fusion.aggregate)
            maps = {
                CLIP: encoded.tokens,
                **{f"SD {name}": value for name, value in stages.items()},
                FUSED: fused.model(encoded.latents, encoded.tokens, kinds=kind_indices([kind])),
            }
        answers.append({name: FeatureMap(value[0].float().cpu(), encoded.frames[0]) for name, value in maps.items()})
    return answers


def branch_weights(model: Extractor, task: str | None = None) -> dict[str, float]:
    """Give the share that each stage has in the fused map; they add up to 1."""
    aggregation = _fused(model, task).model.light.aggregation
    shares = aggregation.branch_weights.detach().softmax(dim=0)
    return dict(zip(aggregation.branches, shares.tolist(), strict=True))


def _fused(model: Extractor, task: str | None) -> SketchFusion:
    found = model.for_task(task)
    if not isinstance(found, SketchFusion):
        raise ValueError(f"{model.name} is not a fused model, so there is nothing to look into; choose mini or another")
    return found


# Feature maps as pictures: their three principal components as red, green and blue (the paper's pilot study).


Picture = npt.NDArray[np.uint8]

COLOURS = 3
OUTLIERS = 0.01  # of the cells at either end take the colour of the limit


def pca_pictures(maps: Sequence[FeatureMap]) -> list[Picture]:
    """Colour maps of one kind of feature, one basis over all of them: (h, w, 3) each, white where there is padding.

    The first component points the way in which its values are skewed to the positive, so that the same maps always
    give the same colours. ValueError if the maps have different numbers of channels.
    """
    if len({len(one.data) for one in maps}) > 1:
        raise ValueError("maps of one basis need the same number of channels")
    if not maps:
        return []
    cells = [one.data.float()[:, one.valid()].T for one in maps]
    everything = torch.cat(cells)
    mean = everything.mean(dim=0)
    basis = _principal(everything - mean)
    spread = torch.quantile((everything - mean) @ basis, torch.tensor([OUTLIERS, 1 - OUTLIERS]), dim=0)
    pictures = []
    for one, features in zip(maps, cells, strict=True):
        share = ((features - mean) @ basis - spread[0]) / (spread[1] - spread[0]).clamp(min=1e-6)
        picture = np.full((*one.grid, COLOURS), 255, np.uint8)
        picture[one.valid().numpy()] = (share.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        pictures.append(picture)
    return pictures


def _principal(centred: torch.Tensor) -> torch.Tensor:
    """The three directions (C, 3) in which (N, C) varies most; zero where there are fewer."""
    values, vectors = torch.linalg.eigh(centred.T.double() @ centred.double())
    basis = vectors.flip(1)[:, :COLOURS].float()
    skew = ((centred @ basis) ** 3).sum(dim=0)
    basis = basis * torch.where(skew < 0, -1.0, 1.0)
    kept = values.flip(0)[:COLOURS] > 1e-9 * values.amax().clamp(min=1e-12)
    basis = basis * kept
    return torch.nn.functional.pad(basis, (0, COLOURS - basis.shape[1]))


# How much of a feature map is coarse and how much is fine: its Fourier amplitude by frequency (Park and Kim, 2022).


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
