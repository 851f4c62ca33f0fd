"""A drawing and one photo: what matches what, where it is, and what the models see. Only the model's thread asks."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..analysis.inside import branch_weights, component_maps, pca_pictures, spectrum
from ..errors import ImageError
from ..io.images import data_url
from ..tasks.correspondence import POSE_POINTS, dense_match, match, sample_strokes
from ..tasks.inputs import extract_map
from ..tasks.segmentation import segment
from .drawing import Sketch
from .messages import (
    DenseAnswer,
    FeaturePictures,
    InspectAnswer,
    MatchAnswer,
    MatchedPoint,
    SegmentAnswer,
    SpectrumReply,
)

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..featuremap import FeatureMap
    from ..io.images import Kind, Reduced


# Numbers as pictures: PNGs in data URLs, and the colours that say where a point of the drawing went.


STEPS = 360  # of the colour circle

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def place_colours(places: Floats) -> Bytes:
    """Colour places (..., 2) in a square from (0, 0) to (1, 1): the hue is the direction from its middle.

    The further out the more colour there is; the middle is grey.
    """
    x, y = np.moveaxis(np.clip(places, 0, 1) * 2 - 1, -1, 0)
    hue = ((np.arctan2(y, x) / (2 * np.pi)) % 1 * (STEPS - 1)).round().astype(int)
    share = np.minimum(np.hypot(x, y) * 1.1, 1)[..., None]
    colours: Bytes = np.rint(share * _CIRCLE[hue] + (1 - share) * 128).astype(np.uint8)
    return colours


_CIRCLE = np.array([colorsys.hls_to_rgb(step / STEPS, 0.52, 0.9) for step in range(STEPS)]) * 255


def with_opacity(colours: Bytes, opacity: Floats) -> Bytes:
    """Join RGB (H, W, 3) and opacity (H, W) in [0, 1] to RGBA."""
    alpha = np.rint(np.clip(opacity, 0, 1) * 255).astype(np.uint8)
    return np.concatenate([colours, alpha[..., None]], axis=-1)


def enlarged(pixels: Bytes, width: int, height: int) -> Bytes:
    """Interpolate pixels to a size; colours under no opacity do not bleed."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8)


TASK = "correspondence"
SHEET = 480  # longer side of the coloured drawing


@dataclass(frozen=True, eq=False)
class CloseupPhoto:
    """A photo (3, H, W) as far as it was reduced, and the size of the original in pixels."""

    picture: Tensor
    width: int
    height: int

    @classmethod
    def of(cls, read: Reduced) -> Self:
        """A photo that was read."""
        return cls(read.tensor("photo"), read.width, read.height)

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the picture for one of the original."""
        return self.picture.shape[2] / self.width, self.picture.shape[1] / self.height


def cut_out(model: Extractor, sketch: Sketch, photo: CloseupPhoto) -> SegmentAnswer:
    """Say how strongly each place of the photo shows what was drawn; the page draws the line.

    Where the photo probably does not show it, the line is above all that there is.
    """
    found = segment(model, sketch.picture, photo.picture, refine=False)
    grey = np.rint(found.heat * 255).astype(np.uint8)
    height, width = grey.shape
    threshold = found.threshold if found.mask.any() else 1.0
    return SegmentAnswer(score=found.score, threshold=threshold, heat=data_url(grey), width=width, height=height)


def match_points(
    model: Extractor,
    sketch: Sketch,
    photo: CloseupPhoto,
    points: Sequence[Sequence[float]] | None,
    source: Literal["sketch", "photo"],
) -> MatchAnswer:
    """Find counterparts of points in drawing units or pixels of the original photo; without them, of all the ink."""
    scale = np.array(photo.scale)
    asked: Tensor | None = None
    if points is not None:
        picture = sketch.picture if source == "sketch" else photo.picture
        moved = sketch.to_picture(points) if source == "sketch" else np.asarray(points, np.float64) * scale
        asked = torch.from_numpy(moved.clip(0, [picture.shape[2], picture.shape[1]])).float()
    elif source == "photo":
        raise ImageError("say which points of the photo to match; only strokes choose their own")
    found = match(model, sketch.picture, photo.picture, asked, source)
    drawn = sketch.to_drawing([pair.sketch for pair in found]).tolist()
    shown = (np.array([pair.photo for pair in found]) / scale).tolist()
    return MatchAnswer(
        matches=[
            MatchedPoint(sketch=tuple(here), photo=tuple(there), score=pair.score, mutual=pair.mutual)
            for here, there, pair in zip(drawn, shown, found, strict=True)
        ]
    )


def match_densely(model: Extractor, sketch: Sketch, photo: CloseupPhoto) -> DenseAnswer:
    """Colour the drawing by place, and each part of the photo that shows it as the place of the drawing it matches."""
    sketch_map = extract_map(model, sketch.picture, "sketch", TASK)
    photo_map = extract_map(model, photo.picture, "photo", TASK)
    places, _ = dense_match(sketch_map, photo_map, sample_strokes(sketch.picture, POSE_POINTS))
    low, high = _ink_box(sketch.picture)
    colours = place_colours(((places.double() - low) / (high - low).clamp(min=1)).numpy())
    height, width = photo.picture.shape[1:]
    heat = segment(model, sketch.picture, photo.picture, refine=False).heat  # as the mask has it
    shown = with_opacity(enlarged(within(colours, photo_map), width, height), heat.astype(np.float64))
    return DenseAnswer(sketch=data_url(_coloured_sheet(sketch, low, high)), photo=data_url(shown))


def within(pixels: Bytes, map_: FeatureMap) -> Bytes:
    """Give the cells that lie on the picture, without those on padding."""
    valid = map_.valid()
    rows, columns = valid.any(dim=1).nonzero().flatten(), valid.any(dim=0).nonzero().flatten()
    return pixels[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]


def _ink_box(picture: Tensor) -> tuple[Tensor, Tensor]:
    ink = (picture.mean(dim=0) < 0.6).nonzero().flip(1).double()
    return ink.amin(dim=0), ink.amax(dim=0) + 1


def _coloured_sheet(sketch: Sketch, low: Tensor, high: Tensor) -> Bytes:
    """The whole sheet that was drawn on, transparent but for the ink."""
    factor = SHEET / max(sketch.size)
    width, height = (max(1, round(edge * factor)) for edge in sketch.size)
    xs = (np.arange(width) + 0.5) * sketch.size[0] / width
    ys = (np.arange(height) + 0.5) * sketch.size[1] / height
    points = sketch.to_picture(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).tolist())
    places = torch.from_numpy(points)
    edge = torch.tensor([sketch.picture.shape[2], sketch.picture.shape[1]], dtype=torch.float64)
    grid = (2 * places / edge - 1).reshape(1, height, width, 2).float()
    dark = (1 - sketch.picture.mean(dim=0, keepdim=True))[None]
    ink = F.grid_sample(F.max_pool2d(dark, 7, 1, 3), grid, padding_mode="zeros", align_corners=False)[0, 0]
    colours = place_colours(((places - low) / (high - low).clamp(min=1)).reshape(height, width, 2).numpy())
    return with_opacity(colours, ink.double().numpy())


# What the models see of a drawing and of a photo, side by side. Only the model's thread asks.


SIDE = 256  # longer side of a picture of features


def look_inside(model: Extractor, sketch: Sketch, photo: CloseupPhoto | None) -> InspectAnswer:
    """Colour each feature by its principal components, and say how coarse or fine it is."""
    kinds: list[Kind] = ["sketch", "photo"] if photo else ["sketch"]
    pictures = [sketch.picture, photo.picture] if photo else [sketch.picture]
    seen = component_maps(model, pictures, kinds)
    maps, spectra = [], []
    for feature in seen[0]:
        each = [features[feature] for features in seen]
        coloured = [_shown(pixels, map_) for pixels, map_ in zip(pca_pictures(each), each, strict=True)]
        maps.append(FeaturePictures(feature=feature, sketch=coloured[0], photo=coloured[1] if photo else None))
        for kind, map_ in zip(kinds, each, strict=True):
            curve = spectrum(map_)
            spectra.append(
                SpectrumReply(
                    feature=feature,
                    kind=kind,
                    frequency=[round(value, 4) for value in curve.frequency.tolist()],
                    amplitude=[round(value, 4) for value in curve.amplitude.tolist()],
                )
            )
    return InspectAnswer(maps=maps, spectra=spectra, branch_weights=branch_weights(model))


def _shown(pixels: Bytes, map_: FeatureMap) -> str:
    inner = within(pixels, map_)
    height, width = inner.shape[:2]
    factor = SIDE / max(height, width)
    return data_url(enlarged(inner, round(width * factor), round(height * factor)))
