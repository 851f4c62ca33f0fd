"""Answer requests about a drawing and one photo: segmentation, matches and features. For the model's thread only."""

import colorsys
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..analysis.inside import branch_weights, component_maps, crop_padding, pca_pictures, spectrum
from ..extractor import Extractor
from ..featuremap import FeatureMap
from ..io.images import Kind, data_url, quantise
from ..tasks.correspondence import POSE_POINTS, TASK, dense_match, match, sample_strokes
from ..tasks.inputs import extract_map
from ..tasks.segmentation import segment
from . import messages
from .drawing import Floats, Picture

Pixels = npt.NDArray[np.uint8]

SHEET_SIDE = 480  # longer side of the coloured drawing
FEATURE_SIDE = 256  # longer side of a picture of features
HUES = np.array([colorsys.hls_to_rgb(step / 360, 0.52, 0.9) for step in range(360)]) * 255


def segment_photo(model: Extractor, sketch: Picture, photo: Picture) -> messages.SegmentAnswer:
    """Compute how strongly each pixel shows the drawn object; if the photo seems not to, the threshold is 1."""
    found = segment(model, sketch.picture, photo.picture, refine=False)
    height, width = found.heat.shape
    threshold = found.threshold if found.mask.any() else 1.0
    heat = data_url(quantise(torch.from_numpy(found.heat)))
    return messages.SegmentAnswer(score=found.score, threshold=threshold, heat=heat, width=width, height=height)


def match_points(
    model: Extractor,
    sketch: Picture,
    photo: Picture,
    points: Sequence[Sequence[float]] | None,
    source: Literal["sketch", "photo"],
) -> messages.MatchAnswer:
    """Match points given in drawing units or in pixels of the original photo; by default points over the strokes."""
    queries: Tensor | None = None
    if points is not None:
        asked = sketch if source == "sketch" else photo
        edges = [asked.picture.shape[2], asked.picture.shape[1]]
        queries = torch.from_numpy(asked.to_picture(points).clip(0, edges)).float()
    found = match(model, sketch.picture, photo.picture, queries, source)
    on_drawing = sketch.to_units([pair.sketch for pair in found]).tolist()
    on_photo = photo.to_units([pair.photo for pair in found]).tolist()
    return messages.MatchAnswer(
        matches=[
            messages.MatchedPoint(sketch=tuple(here), photo=tuple(there), score=pair.score, mutual=pair.mutual)
            for here, there, pair in zip(on_drawing, on_photo, found, strict=True)
        ]
    )


def match_densely(model: Extractor, sketch: Picture, photo: Picture) -> messages.DenseAnswer:
    """Colour the drawing by position, and the photo by the matching position, as opaque as its segmentation is hot."""
    sketch_map = extract_map(model, sketch.picture, "sketch", TASK)
    photo_map = extract_map(model, photo.picture, "photo", TASK)
    positions, _ = dense_match(sketch_map, photo_map, sample_strokes(sketch.picture, POSE_POINTS))
    ink = (sketch.picture.mean(dim=0) < 0.6).nonzero().flip(1).double()
    low, high = ink.amin(dim=0), ink.amax(dim=0) + 1  # corners x, y of the box around the ink
    colours = crop_padding(_position_colours(positions, low, high), photo_map)
    height, width = photo.picture.shape[1:]
    heat = segment(model, sketch.picture, photo.picture, refine=False).heat
    coloured = _with_opacity(_resized(colours, width, height), torch.from_numpy(heat))
    return messages.DenseAnswer(sketch=data_url(_coloured_sheet(sketch, low, high)), photo=data_url(coloured))


def inspect_features(model: Extractor, sketch: Picture, photo: Picture | None) -> messages.InspectAnswer:
    """Show each feature by its principal components and its spectrum."""
    kinds: list[Kind] = ["sketch", "photo"] if photo else ["sketch"]
    components = component_maps(model, [sketch.picture, photo.picture] if photo else [sketch.picture], kinds)
    maps, spectra = [], []
    for feature in components[0]:
        each = [parts[feature] for parts in components]
        coloured = [_feature_picture(pixels, map_) for pixels, map_ in zip(pca_pictures(each), each, strict=True)]
        maps.append(messages.FeaturePictures(feature=feature, sketch=coloured[0], photo=coloured[1] if photo else None))
        for kind, map_ in zip(kinds, each, strict=True):
            curve = spectrum(map_)
            frequency, amplitude = curve.frequency.round(4).tolist(), curve.amplitude.round(4).tolist()
            spectra.append(messages.SpectrumReply(feature=feature, kind=kind, frequency=frequency, amplitude=amplitude))
    return messages.InspectAnswer(maps=maps, spectra=spectra, branch_weights=branch_weights(model))


def _coloured_sheet(sketch: Picture, low: Tensor, high: Tensor) -> Pixels:
    """Colour the ink of the whole sheet by position, on a transparent ground."""
    factor = SHEET_SIDE / max(sketch.size)
    width, height = (max(1, round(edge * factor)) for edge in sketch.size)
    xs = (np.arange(width) + 0.5) * sketch.size[0] / width
    ys = (np.arange(height) + 0.5) * sketch.size[1] / height
    points = sketch.to_picture(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).tolist())
    positions = torch.from_numpy(points).reshape(height, width, 2)
    edge = torch.tensor([sketch.picture.shape[2], sketch.picture.shape[1]], dtype=torch.float64)
    grid = (2 * positions / edge - 1)[None].float()
    dark = (1 - sketch.picture.mean(dim=0, keepdim=True))[None]
    ink = F.grid_sample(F.max_pool2d(dark, 7, 1, 3), grid, padding_mode="zeros", align_corners=False)[0, 0]
    return _with_opacity(_position_colours(positions, low, high), ink)


def _position_colours(positions: Tensor, low: Tensor, high: Tensor) -> Pixels:
    """Colour positions (..., 2) in the box from `low` to `high`: hue for the direction from its middle, grey there."""
    inside: Floats = ((positions.double() - low) / (high - low).clamp(min=1)).clamp(0, 1).numpy()
    x, y = np.moveaxis(inside * 2 - 1, -1, 0)
    hue = ((np.arctan2(y, x) / (2 * np.pi)) % 1 * (len(HUES) - 1)).round().astype(int)
    saturation = np.minimum(np.hypot(x, y) * 1.1, 1)[..., None]
    colours: Pixels = np.rint(saturation * HUES[hue] + (1 - saturation) * 128).astype(np.uint8)
    return colours


def _with_opacity(colours: Pixels, opacity: Tensor) -> Pixels:
    return np.concatenate([colours, quantise(opacity.clamp(0, 1))[..., None]], axis=-1)


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8)


def _feature_picture(pixels: Pixels, map_: FeatureMap) -> str:
    inner = crop_padding(pixels, map_)
    height, width = inner.shape[:2]
    factor = FEATURE_SIDE / max(height, width)
    return data_url(_resized(inner, round(width * factor), round(height * factor)))
