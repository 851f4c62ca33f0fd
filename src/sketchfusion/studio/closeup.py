"""A drawing and one photo: what matches what, where it is, and what the models see. Only the model's thread asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ImageError
from ..tasks.correspondence import STROKES, dense_match, match, spread
from ..tasks.inputs import dense
from ..tasks.segmentation import segment
from .drawing import Sketch
from .pictures import Bytes, enlarged, place_colours, png_url, with_opacity
from .replies import DenseAnswer, MatchAnswer, MatchedPoint, SegmentAnswer

if TYPE_CHECKING:
    from ..extractor import BatchExtractor
    from ..featuremap import FeatureMap
    from ..io.images import Reduced


TASK = "correspondence"
SHEET = 480  # longer side of the coloured drawing


@dataclass(frozen=True, eq=False)
class Photo:
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


def cut_out(model: BatchExtractor, sketch: Sketch, photo: Photo) -> SegmentAnswer:
    """Say how strongly each place of the photo shows what was drawn; the page draws the line.

    Where the photo probably does not show it, the line is above all that there is.
    """
    found = segment(model, sketch.picture, photo.picture, refine=False)
    grey = np.rint(found.heat * 255).astype(np.uint8)
    height, width = grey.shape
    threshold = found.threshold if found.mask.any() else 1.0
    return SegmentAnswer(score=found.score, threshold=threshold, heat=png_url(grey), width=width, height=height)


def match_points(
    model: BatchExtractor,
    sketch: Sketch,
    photo: Photo,
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


def match_densely(model: BatchExtractor, sketch: Sketch, photo: Photo) -> DenseAnswer:
    """Colour the drawing by place, and each part of the photo that shows it as the place of the drawing it matches."""
    sketch_map = dense(model, sketch.picture, "sketch", TASK)
    photo_map = dense(model, photo.picture, "photo", TASK)
    places, _ = dense_match(sketch_map, photo_map, spread(sketch.picture, STROKES))
    low, high = _ink_box(sketch.picture)
    colours = place_colours(((places.double() - low) / (high - low).clamp(min=1)).numpy())
    height, width = photo.picture.shape[1:]
    heat = segment(model, sketch.picture, photo.picture, refine=False).heat  # as the mask has it
    shown = with_opacity(enlarged(within(colours, photo_map), width, height), heat.astype(np.float64))
    return DenseAnswer(sketch=png_url(_coloured_sheet(sketch, low, high)), photo=png_url(shown))


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
