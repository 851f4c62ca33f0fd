"""The features of a fused model's parts, CLIP, each Stable Diffusion stage and their fusion, and two ways to view them:
PCA pictures and Fourier spectra."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..extractor import Extractor
from ..featuremap import FeatureMap
from ..features import SketchFusion
from ..io.images import Images, Kind, as_list, quantise

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

CLIP, FUSED = "CLIP", "fused"
COLOURS = 3
OUTLIERS = 0.01  # share of the cells at either end of a component that get the extreme colour
HIGH = 0.5  # share of the grid's highest frequency above which energy counts as fine
TINY = float(np.finfo(np.float64).tiny)


def component_maps(
    model: Extractor, pictures: Images, kinds: Sequence[Kind], task: str | None = None
) -> list[dict[str, FeatureMap]]:
    """Compute maps "CLIP", "SD up0" .. (without injection) and "fused" of pictures; ValueError for another model."""
    fused = _fused(model, task)
    fusion, diffusion = fused.config.fusion, fused.model.diffusion
    components: list[dict[str, FeatureMap]] = []
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
                FUSED: fused.model(encoded.latents, encoded.tokens, kinds=encoded.kinds),
            }
        frame = encoded.frames[0]
        components.append({name: FeatureMap(value[0].float().cpu(), frame) for name, value in maps.items()})
    return components


def branch_weights(model: Extractor, task: str | None = None) -> dict[str, float]:
    """Return the share of each stage in the fused map; the shares add up to 1."""
    aggregation = _fused(model, task).model.light.aggregation
    shares = aggregation.branch_weights.detach().softmax(dim=0)
    return dict(zip(aggregation.branches, shares.tolist(), strict=True))


def pca_pictures(maps: Sequence[FeatureMap]) -> list[Picture]:
    """Show the three principal components of maps as red, green and blue: (h, w, 3) each, white on padding.

    One basis is fitted to all maps. Components are oriented so that their values are positively skewed: the same maps
    always get the same colours. Raises ValueError if the maps have different numbers of channels.
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
        picture[one.valid().numpy()] = quantise(share.clamp(0, 1))
        pictures.append(picture)
    return pictures


def crop_padding(pixels: Picture, map_: FeatureMap) -> Picture:
    """Cut a picture (h, w, 3), one pixel for each cell of a map, to the cells that are not padding."""
    valid = map_.valid().cpu().numpy()
    return np.ascontiguousarray(pixels[valid.any(axis=1)][:, valid.any(axis=0)])


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Fourier amplitude of a map by frequency, both (n,), coarsest first; summaries leave out frequency 0."""

    frequency: Floats  # as a share of the highest that the grid can hold along an axis: 0 to 1
    amplitude: Floats  # natural logarithm, relative to frequency 0
    fine: float  # share of the energy above `HIGH`
    cycles: float  # mean frequency of the energy, in cycles across the picture's longer side, whatever the grid


def spectrum(map_: FeatureMap) -> Spectrum:
    """Compute the radial log amplitude of a map, padding left out, mean over channels (Park and Kim, 2022)."""
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


def mean_spectrum(spectra: Sequence[Spectrum]) -> Spectrum:
    """Average spectra at the frequencies of the first; those of pictures of other shapes are interpolated."""
    frequency = spectra[0].frequency
    amplitudes = [np.interp(frequency, one.frequency, one.amplitude) for one in spectra]
    fine, cycles = (float(np.mean([getattr(one, name) for one in spectra])) for name in ("fine", "cycles"))
    return Spectrum(frequency, np.mean(amplitudes, axis=0), fine, cycles)


def _principal(centred: torch.Tensor) -> torch.Tensor:
    """Find the three directions (C, 3) in which features (N, C) vary most; zero where there are fewer."""
    values, vectors = torch.linalg.eigh(centred.T.double() @ centred.double())
    basis = vectors.flip(1)[:, :COLOURS].float()
    skew = ((centred @ basis) ** 3).sum(dim=0)
    basis = basis * torch.where(skew < 0, -1.0, 1.0)
    kept = values.flip(0)[:COLOURS] > 1e-9 * values.amax().clamp(min=1e-12)
    basis = basis * kept
    return torch.nn.functional.pad(basis, (0, COLOURS - basis.shape[1]))


def _fused(model: Extractor, task: str | None) -> SketchFusion:
    served = model.for_task(task)
    if not isinstance(served, SketchFusion):
        raise ValueError(f"{model.name} is not a fused model, so it has no parts to show; choose mini or another")
    return served
