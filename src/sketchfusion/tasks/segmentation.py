"""Segmentation: the pixels of a photo that show what a sketch shows."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ..io.images import read_image, to_uint8
from ..saved import Threshold
from .inputs import extract_map, read_sketch
from .recognition import TextImageSpace

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..featuremap import FeatureMap
    from ..io.images import ImageInput


Heat = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Chosen on masks by `python -m sketchfusion.evaluation.constants`, which prints what they are chosen from.
HALF_HEAT_GAP = 0.4  # how far below the best place's cosine a heat of one half lies: what cuts best
CROP_COSINE_GAP = 0.15  # how far below the best place's cosine that lies which is looked at once more
CROP_MARGIN = 1.25  # and how many times as wide a square around it is,
CROP_MIN_SIDE = 0.15  # of the photo's shorter side at least
UNTRAINED = Threshold(at=0.22, temperature=0.27, least=0.4)  # of weights that were not trained for segmentation

MIN_RECALL = 0.8  # of what is there must be found to be there
HEAT_TEMPERATURE = 0.1  # the cosines' distance over which heat rises from 0.5 to 0.73
THRESHOLD = 0.5  # of the heat

REFINED_SIDE = 640


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Where a photo of (H, W) pixels shows what a sketch shows."""

    heat: Heat  # (H, W) in [0, 1]
    mask: Mask  # (H, W)
    score: float  # in [0, 1]; low: the photo does not show it
    threshold: float  # of the heat, above which a pixel is in the mask
    refined: bool  # whether the mask was fitted to the photo's edges by a fully connected CRF


def segment(
    model: Extractor, sketch: ImageInput, photo: ImageInput, threshold: float | None = None, refine: bool = True
) -> Segmentation:
    """Cut what a sketch shows out of a photo (SketchFusion, section 6.4).

    The mask is empty where the score says that the photo does not show it, unless a `threshold` in [0, 1] is given:
    then every pixel of a greater heat is in it. `refine` needs pydensecrf2 (`pip install "sketchfusion[crf]"`); nothing
    is refined without it. Raises ImageError for an unreadable picture or a blank sketch.
    """
    drawn, seen = read_sketch(sketch), read_image(photo)
    asked, shown = (
        extract_map(model, drawn, "sketch", "segmentation"),
        extract_map(model, seen, "photo", "segmentation"),
    )
    shown = with_closeup(model, asked, shown, drawn, seen)
    return segment_from_maps(
        asked, shown, drawn, seen, threshold, refine, model.heads_for("segmentation").threshold or UNTRAINED
    )


def with_closeup(model: Extractor, sketch: FeatureMap, photo: FeatureMap, drawn: Tensor, seen: Tensor) -> FeatureMap:
    """Give the photo's map with what CLIP says of the part around the likeliest place, instead of the whole.

    A small thing is little of a photo, and much of that part. A model without CLIP's vectors has nothing more to say.
    """
    if photo.joint is None or not isinstance(model, TextImageSpace):
        return photo
    part = crop_around(sketch_cosine(sketch, photo, stroke_cells(drawn, sketch)), seen)
    return replace(photo, joint=model.encode_image([part], kind="photo")[0])


def crop_around(cosine: Tensor, photo: Tensor) -> Tensor:
    """Give the part (3, h, w) of a photo (3, H, W) around its best places, by the cosine (H, W) of what is drawn."""
    rows, columns = (cosine > cosine.max() - CROP_COSINE_GAP).nonzero().T
    spans = [(int(of.min()), int(of.max()) + 1) for of in (rows, columns)]
    half = max(CROP_MARGIN * max(end - start for start, end in spans), CROP_MIN_SIDE * min(cosine.shape)) / 2
    middles = [(start + end) / 2 for start, end in spans]
    top, left = (int(max(0, middle - half)) for middle in middles)
    bottom, right = (int(min(side, middle + half)) for middle, side in zip(middles, cosine.shape, strict=True))
    return photo[:, top:bottom, left:right]


def segment_from_maps(
    sketch: FeatureMap,
    photo: FeatureMap,
    drawn: Tensor,
    seen: Tensor,
    threshold: float | None = None,
    refine: bool = True,
    head: Threshold = UNTRAINED,
) -> Segmentation:
    """Do the same with maps that are there already; `drawn` and `seen` are the pictures (3, H, W) that they are of.

    `photo` is best `with_closeup`, unless a `threshold` is given. `head` is what training for segmentation has
    left beside the weights that made the maps.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold:g} is not in [0, 1]")
    heat, score = heat_map(sketch, photo, stroke_cells(drawn, sketch)), presence(sketch, photo, head)
    level = THRESHOLD if threshold is None else threshold
    if threshold is None and score < head.least:
        return Segmentation(heat, np.zeros(heat.shape, np.bool_), score, level, refined=False)
    mask = heat > level
    refined = refine and can_refine() and bool(mask.any())
    if refined:
        mask = refine_mask(seen, heat, level)
    return Segmentation(heat, mask, score, level, refined)


def heat_map(
    sketch: FeatureMap,
    photo: FeatureMap,
    ink: Tensor | None = None,
    size: tuple[int, int] | None = None,
) -> Heat:
    """Give the heat of a photo, (H, W) in its own pixels or on a raster of `size` (rows, columns), in [0, 1].

    `ink` marks the cells (h, w) of the sketch that hold strokes, all by default. Heat is counted from the best place
    down, for how high cosines are differs more between photos than within one; whether the best place is good enough
    is for `presence` to say. Weights trained on the cosine of the pooled sketch, the paper's, do better so as well.
    """
    cosine = sketch_cosine(sketch, photo, sketch.valid() if ink is None else ink, size)
    heat: Heat = torch.sigmoid(heat_logits(cosine)).cpu().numpy()
    return heat


def heat_logits(cosine: Tensor) -> Tensor:
    """Give the log odds of the heat of each pixel (..., H, W) from the cosines of what is drawn."""
    return (cosine - cosine.amax((-2, -1), keepdim=True) + HALF_HEAT_GAP) / HEAT_TEMPERATURE


def sketch_cosine(sketch: FeatureMap, photo: FeatureMap, ink: Tensor, size: tuple[int, ...] | None = None) -> Tensor:
    """Give the cosine (H, W) of what is drawn with the photo, interpolated to its pixels or to a raster of `size`.

    What is drawn is the mean feature of the strokes' cells and of those that they enclose. The means of the whole sheet
    and of the whole photo are taken off before: they tell a drawing from a photo, not a thing from its surroundings.
    """
    drawn = fill_enclosed(ink) & sketch.valid()
    drawn = drawn if drawn.any() else sketch.valid()
    query = sketch.centred().data[:, drawn].mean(dim=1)
    return _to_pixels(photo.centred().cosine(query), photo, size)


def _to_pixels(cells: Tensor, photo: FeatureMap, size: tuple[int, ...] | None) -> Tensor:
    """Interpolate values (h, w) of a photo's cells to its pixels (H, W), or to a raster of `size`."""
    height, width = size or (photo.frame.height, photo.frame.width)
    return replace(photo, data=cells.float()[None]).crop_to_image((height, width))[0]


def presence(sketch: FeatureMap, photo: FeatureMap, head: Threshold = UNTRAINED) -> float:
    """Say how likely the photo shows it, in [0, 1]."""
    odds = (similarity(sketch, photo) - head.at) / head.temperature
    return float(torch.tensor(odds, dtype=torch.float64).sigmoid())


def similarity(sketch: FeatureMap, photo: FeatureMap) -> float:
    """Give the cosine of the pooled sketch with the likeliest cell, and that of CLIP's vectors where there are any.

    The one asks whether something in the photo looks so; the other, which knows many more things than were ever masked,
    whether what is in that place is such a thing (or such a photo about it, if it was not `with_closeup`).
    """
    best = float(photo.cosine(sketch.pooled())[photo.valid()].amax())
    if sketch.joint is None or photo.joint is None:
        return best
    return best + float(F.cosine_similarity(sketch.joint, photo.joint, dim=0))


def fit_threshold(there: Tensor, not_there: Tensor) -> Threshold:
    """Fit a threshold to the likenesses (N,) of what photos show and (M,) of what they do not show.

    The log odds of two bells of one width are a straight line. `least` keeps `MIN_RECALL` of what is there.
    """
    gap = (there.mean() - not_there.mean()).clamp(min=1e-3)
    variance = (there.var(correction=0) + not_there.var(correction=0)) / 2
    at, temperature = (there.mean() + not_there.mean()) / 2, (variance / gap).clamp(min=1e-3)
    least = torch.sigmoid((there.quantile(1 - MIN_RECALL) - at) / temperature)
    return Threshold(at.item(), temperature.item(), least.item())


def stroke_cells(sketch: Tensor, grid: FeatureMap) -> Tensor:
    """Mark the cells (h, w) of a sketch's map that strokes of the picture (3, H, W) go through."""
    grey = sketch.mean(dim=0)
    points = (grey <= (grey.amin() + grey.amax()) / 2).nonzero().flip(1).float() + 0.5
    cells = grid.to_cells(points).long()
    marked = torch.zeros(grid.grid, dtype=torch.bool, device=cells.device)
    h, w = grid.grid
    marked[cells[:, 1].clamp(0, h - 1), cells[:, 0].clamp(0, w - 1)] = True
    return marked


def fill_enclosed(ink: Tensor) -> Tensor:
    """Add to marked cells (h, w) those with marked ones on all four sides of them, as the inside of a shape has."""
    enclosed = torch.ones_like(ink)
    for axis in (0, 1):
        before = ink.cumsum(dim=axis) > 0
        after = (ink.flip(axis).cumsum(dim=axis) > 0).flip(axis)
        enclosed &= before & after
    return ink | enclosed


def can_refine() -> bool:
    """Tell whether the package that refines masks is installed."""
    return importlib.util.find_spec("pydensecrf") is not None


def refine_mask(photo: Tensor, heat: Heat, threshold: float = THRESHOLD) -> Mask:
    """Fit a mask (H, W) to the edges of a photo (3, H, W) by a fully connected CRF (Krähenbühl and Koltun, 2011).

    A heat at the threshold is even odds. It runs on at most `REFINED_SIDE` pixels a side, which is finer than any heat.
    """
    crf: Any = importlib.import_module("pydensecrf.densecrf")
    scale = min(1.0, REFINED_SIDE / max(heat.shape))
    height, width = (max(1, round(edge * scale)) for edge in heat.shape)
    small = _resized(photo, height, width)
    odds = _logit(_resized(torch.from_numpy(heat)[None], height, width)[0].numpy()) - _logit(np.float32(threshold))
    field = crf.DenseCRF2D(width, height, 2)
    # The energy of an answer is the less, the likelier it is: of "not it" first, then of "it".
    field.setUnaryEnergy(np.stack([odds.ravel(), np.zeros(odds.size)]).astype(np.float32))
    pixels = to_uint8(small)
    unit = max(height, width) / 320
    field.addPairwiseGaussian(sxy=3 * unit, compat=3)
    field.addPairwiseBilateral(sxy=60 * unit, srgb=13, rgbim=pixels, compat=5)
    likely = torch.from_numpy(np.asarray(field.inference(5))[1].reshape(1, height, width))
    mask: Mask = _resized(likely, *heat.shape)[0].numpy() > 0.5
    return mask


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    """Interpolate (C, h, w) to (C, height, width)."""
    if tuple(image.shape[1:]) == (height, width):
        return image
    return F.interpolate(image[None], (height, width), mode="bilinear", align_corners=False, antialias=True)[0]


def _logit(share: npt.NDArray[np.float32] | np.float32) -> npt.NDArray[np.float32]:
    inner = np.clip(share, 1e-4, 1 - 1e-4)
    odds: npt.NDArray[np.float32] = np.log(inner / (1 - inner), dtype=np.float32)
    return odds
