"""Segmentation: find the pixels of a photo that show the object of a sketch."""

import importlib.util
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ..featuremap import FeatureMap
from ..io.images import ImageInput, read_image, to_uint8
from ..saved import Threshold
from .inputs import extract_map, ink_points, read_sketch

if TYPE_CHECKING:
    from ..extractor import Extractor

Heat = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

TASK = "segmentation"
THRESHOLD = 0.5  # of the heat
REFINED_SIDE = 640  # of the raster on which the CRF runs

# Chosen on masks by `python -m sketchfusion.lab.evaluation.calibrate`, which prints what they are chosen from.
SUMMED = 2 / 3  # of the sum of two cosines of each cell: of its fused feature and of its CLIP vector (`local`)
HALF_HEAT_GAP = 0.5  # how far below the highest cosine the heat is 0.5: this gives the best masks
HEAT_TEMPERATURE = 0.1  # the difference in cosine over which heat rises from 0.5 to 0.73
CROP_COSINE_GAP = 0.15  # the close-up surrounds the cells this far below the highest cosine,
CROP_MARGIN = 1.25  # this many times as wide as they are,
CROP_MIN_SIDE = 0.15  # and at least this share of the photo's shorter side
MIN_RECALL = 0.8  # share of photos that show the object whose score must pass the threshold
UNTRAINED = Threshold(at=0.22, temperature=0.27, least=0.4)  # for weights not trained for segmentation


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Where a photo of (H, W) pixels shows the object of a sketch."""

    heat: Heat = field(repr=False)  # (H, W) in [0, 1]
    mask: Mask = field(repr=False)  # (H, W)
    score: float  # in [0, 1]; low: the photo does not show it
    threshold: float  # of the heat, above which a pixel is in the mask
    refined: bool  # whether the mask was fitted to the photo's edges by a fully connected CRF


def segment(
    model: "Extractor", sketch: ImageInput, photo: ImageInput, threshold: float | None = None, refine: bool = True
) -> Segmentation:
    """Cut the object of a sketch out of a photo (SketchFusion, section 6.4).

    The mask is empty where the score says that the photo does not show the object, unless a `threshold` in [0, 1] is
    given: then it holds every pixel of a greater heat. `refine` needs pydensecrf2 (`pip install "sketchfusion[crf]"`);
    nothing is refined without it. Raises ImageError for an unreadable picture or a blank sketch.
    """
    sketch_image, photo_image = read_sketch(sketch), read_image(photo)
    sketch_map = extract_map(model, sketch_image, "sketch", TASK)
    photo_map = extract_map(model, photo_image, "photo", TASK)
    photo_map = with_closeup(model, sketch_map, photo_map, sketch_image, photo_image)
    head = model.heads_for(TASK).threshold or UNTRAINED
    return segment_from_maps(sketch_map, photo_map, sketch_image, photo_image, threshold, refine, head)


def segment_from_maps(
    sketch: FeatureMap,
    photo: FeatureMap,
    sketch_image: Tensor,
    photo_image: Tensor,
    threshold: float | None = None,
    refine: bool = True,
    head: Threshold = UNTRAINED,
) -> Segmentation:
    """Segment with feature maps that are there already, and the images (3, H, W) that they were made of.

    Without a `threshold`, `photo` should come from `with_closeup`. `head` is the presence threshold that training for
    segmentation stored with the weights.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold:g} is not in [0, 1]")
    heat, score = heat_map(sketch, photo, stroke_cells(sketch_image, sketch)), presence(sketch, photo, head)
    level = THRESHOLD if threshold is None else threshold
    if threshold is None and score < head.least:
        return Segmentation(heat, np.zeros(heat.shape, np.bool_), score, level, refined=False)
    mask = heat > level
    refined = refine and can_refine() and bool(mask.any())
    if refined:
        mask = refine_mask(photo_image, heat, level)
    return Segmentation(heat, mask, score, level, refined)


def with_closeup(
    model: "Extractor", sketch: FeatureMap, photo: FeatureMap, sketch_image: Tensor, photo_image: Tensor
) -> FeatureMap:
    """Replace a photo's CLIP vector by that of a crop around its most similar cell, which a small object fills."""
    if photo.joint is None or not model.joint_dim:
        return photo
    crop = crop_around(sketch_cosine(sketch, photo, stroke_cells(sketch_image, sketch)), photo_image)
    return replace(photo, joint=model.encode_image([crop], kind="photo")[0])


def crop_around(cosine: Tensor, photo: Tensor) -> Tensor:
    """Crop a photo (3, H, W) to (3, h, w) around its highest cosines with the sketch (H, W)."""
    near = (cosine > cosine.max() - CROP_COSINE_GAP).nonzero().T  # rows and columns
    spans = [(int(of.min()), int(of.max()) + 1) for of in near]
    half = max(CROP_MARGIN * max(end - start for start, end in spans), CROP_MIN_SIDE * min(cosine.shape)) / 2
    middles = [(start + end) / 2 for start, end in spans]
    top, left = (int(max(0, middle - half)) for middle in middles)
    bottom, right = (int(min(side, middle + half)) for middle, side in zip(middles, cosine.shape, strict=True))
    return photo[:, top:bottom, left:right]


def heat_map(sketch: FeatureMap, photo: FeatureMap, ink: Tensor) -> Heat:
    """Compute the heat (H, W) in [0, 1] of a photo's pixels; `ink` marks the cells (h, w) of the sketch with strokes.

    Heat is relative to the highest cosine of the photo, because cosines differ more between photos than within one;
    `presence` says whether the highest is high enough. Weights trained on the paper's score, the cosine with the pooled
    sketch, also give better masks so.
    """
    return torch.sigmoid(heat_logits(sketch_cosine(sketch, photo, ink))).cpu().numpy()


def heat_logits(cosine: Tensor) -> Tensor:
    """Turn cosines with the sketch (..., H, W) into the logits of the heat."""
    return (cosine - cosine.amax((-2, -1), keepdim=True) + HALF_HEAT_GAP) / HEAT_TEMPERATURE


def sketch_cosine(sketch: FeatureMap, photo: FeatureMap, ink: Tensor, size: tuple[int, ...] | None = None) -> Tensor:
    """Compute the cosine of the drawn object with the photo, interpolated to its pixels (H, W) or a raster of `size`.

    The object's feature is the mean over the cells of the strokes and those that they enclose. Each map's own mean is
    subtracted first: it tells a drawing from a photo, not an object from its surroundings. If the maps have CLIP's
    vectors of their cells (`local`), the cosines of the photo's with the mean of the sketch's are added.
    """
    drawn = fill_enclosed(ink) & sketch.valid()
    drawn = drawn if drawn.any() else sketch.valid()
    cells = photo.centred().cosine(sketch.centred().data[:, drawn].mean(dim=1))
    height, width = size or (photo.frame.height, photo.frame.width)
    cosine = replace(photo, data=cells.float()[None]).crop_to_image((height, width))[0]
    if sketch.local is None or photo.local is None:
        return cosine
    of_cells = replace(photo, data=photo.local).centred().cosine(sketch.local.mean(dim=(1, 2)))
    return SUMMED * (cosine + replace(photo, data=of_cells[None]).crop_to_image((height, width))[0])


def presence(sketch: FeatureMap, photo: FeatureMap, head: Threshold = UNTRAINED) -> float:
    """Estimate the probability that the photo shows the object of the sketch."""
    logit = (similarity(sketch, photo) - head.at) / head.temperature
    return float(torch.tensor(logit, dtype=torch.float64).sigmoid())


def similarity(sketch: FeatureMap, photo: FeatureMap) -> float:
    """Add the cosine of the pooled sketch with the most similar cell and, where there are any, that of CLIP vectors.

    The first says whether something in the photo looks like the sketch; if the maps have CLIP's vectors of their cells
    (`local`), it compares those. The second says whether it is such an object, and CLIP knows many more of them than
    were ever masked; it concerns the crop of `with_closeup`, or else the photo.
    """
    vector = sketch.pooled()
    if sketch.local is not None and photo.local is not None:
        photo, vector = replace(photo, data=photo.local), sketch.local.mean(dim=(1, 2))
    best = float(photo.cosine(vector)[photo.valid()].amax())
    if sketch.joint is None or photo.joint is None:
        return best
    return best + float(F.cosine_similarity(sketch.joint, photo.joint, dim=0))


def fit_threshold(present: Tensor, absent: Tensor) -> Threshold:
    """Fit a presence threshold to the similarities of photos that show the object (N,) and that do not (M,).

    Both are taken for normal distributions of one variance, whose log odds are linear. A share of `MIN_RECALL` of the
    photos that show it scores at `least` or above.
    """
    gap = (present.mean() - absent.mean()).clamp(min=1e-3)
    variance = (present.var(correction=0) + absent.var(correction=0)) / 2
    at, temperature = (present.mean() + absent.mean()) / 2, (variance / gap).clamp(min=1e-3)
    least = torch.sigmoid((present.quantile(1 - MIN_RECALL) - at) / temperature)
    return Threshold(at.item(), temperature.item(), least.item())


def stroke_cells(image: Tensor, sketch: FeatureMap) -> Tensor:
    """Mark the cells (h, w) of a sketch's map that strokes of its image (3, H, W) pass through."""
    cells, (h, w) = sketch.to_cells(ink_points(image)).long(), sketch.grid
    marked = torch.zeros(h, w, dtype=torch.bool, device=cells.device)
    marked[cells[:, 1].clamp(0, h - 1), cells[:, 0].clamp(0, w - 1)] = True
    return marked


def fill_enclosed(ink: Tensor) -> Tensor:
    """Add to marked cells (h, w) those that have marked cells on all four sides: the inside of an outline."""
    enclosed = torch.ones_like(ink)
    for axis in (0, 1):
        enclosed &= (ink.cumsum(axis) > 0) & (ink.flip(axis).cumsum(axis) > 0).flip(axis)
    return ink | enclosed


def can_refine() -> bool:
    """Whether pydensecrf2, which refines masks, is installed."""
    return importlib.util.find_spec("pydensecrf") is not None


def refine_mask(photo: Tensor, heat: Heat, threshold: float = THRESHOLD) -> Mask:
    """Fit a mask (H, W) to the edges of a photo (3, H, W) by a fully connected CRF (Krähenbühl and Koltun, 2011).

    A heat at the threshold counts as even odds. The CRF runs on at most `REFINED_SIDE` pixels a side, which is finer
    than the heat ever is.
    """
    crf: Any = importlib.import_module("pydensecrf.densecrf")
    scale = min(1.0, REFINED_SIDE / max(heat.shape))
    height, width = (max(1, round(edge * scale)) for edge in heat.shape)
    small = _resized(photo, height, width)
    logits = _logit(_resized(torch.from_numpy(heat)[None], height, width)[0].numpy()) - _logit(np.float32(threshold))
    field = crf.DenseCRF2D(width, height, 2)
    # Unary energies of background and object; the lower, the likelier.
    field.setUnaryEnergy(np.stack([logits.ravel(), np.zeros(logits.size)]).astype(np.float32))
    unit = max(height, width) / 320
    field.addPairwiseGaussian(sxy=3 * unit, compat=3)
    field.addPairwiseBilateral(sxy=60 * unit, srgb=13, rgbim=to_uint8(small), compat=5)
    likely = torch.from_numpy(np.asarray(field.inference(5))[1].reshape(1, height, width))
    mask: Mask = _resized(likely, *heat.shape)[0].numpy() > 0.5
    return mask


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    """Interpolate (C, h, w) to (C, height, width)."""
    if tuple(image.shape[1:]) == (height, width):
        return image
    return F.interpolate(image[None], (height, width), mode="bilinear", align_corners=False, antialias=True)[0]


def _logit(heat: npt.NDArray[np.float32] | np.float32) -> npt.NDArray[np.float32]:
    inner = np.clip(heat, 1e-4, 1 - 1e-4)
    logits: npt.NDArray[np.float32] = np.log(inner / (1 - inner), dtype=np.float32)
    return logits
