"""Correspondence: the point of a photo that a point of a sketch means, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..io.images import read_image
from .query import dense, read_sketch

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..featuremap import FeatureMap
    from ..io.images import ImageInput

Side = Literal["sketch", "photo"]

# Chosen on Sketch World by `python -m sketchfusion.evaluation.constants`, which prints what they are chosen from.
TEMPERATURE = 0.05  # of the softmax over cosines
WINDOW = 0.15  # how far around the best cell the answer is averaged, as a share of the grid's side
RETURN = 0.1  # a match is mutual if the way back ends this near its start, as a share of the picture's longer side
POINTS = 12  # when nobody says which
CHUNK = 1024  # points at a time: with 60 x 60 cells they take about 100 MB


@dataclass(frozen=True)
class PointMatch:
    """A point of the sketch and the point of the photo that goes with it, x and y in pixels of the files."""

    sketch: tuple[float, float]
    photo: tuple[float, float]
    score: float  # cosine of the features at the two points
    mutual: bool  # matched back, the answer leads to about where it came from


class Matched(NamedTuple):
    """Where N points of one map lie in another."""

    positions: Tensor  # (N, 2) x, y in pixels of the target's file
    scores: Tensor  # (N,) cosines of the features at both ends
    mutual: Tensor  # (N,) whether the way back ends near the start


def match(
    model: Extractor,
    sketch: ImageInput,
    photo: ImageInput,
    points: Sequence[Sequence[float]] | Tensor | None = None,
    source: Side = "sketch",
) -> list[PointMatch]:
    """Find for points of one picture the points of the other that mean the same (SketchFusion, section 6.3).

    `points` are (N, 2) x, y in pixels of the `source` picture; without them `POINTS` points spread over the strokes.
    Raises ImageError for an unreadable picture or a blank sketch, ValueError for points that are none of the picture.
    """
    drawn = read_sketch(sketch)
    if points is None:
        if source == "photo":
            raise ValueError("say which points of the photo to match; only the strokes of a sketch choose themselves")
        asked = spread(drawn, POINTS)
    else:
        asked = torch.as_tensor(points, dtype=torch.float32)
    maps = {
        "sketch": dense(model, drawn, "sketch", "correspondence"),
        "photo": dense(model, read_image(photo), "photo", "correspondence"),
    }
    start, end = (maps["sketch"], maps["photo"]) if source == "sketch" else (maps["photo"], maps["sketch"])
    found = match_maps(start, end, _checked(asked, start, source))
    pairs = zip(asked.tolist(), *(values.tolist() for values in found), strict=True)
    return [
        PointMatch(
            sketch=_point(here if source == "sketch" else there),
            photo=_point(there if source == "sketch" else here),
            score=score,
            mutual=mutual,
        )
        for here, there, score, mutual in pairs
    ]


def match_maps(
    source: FeatureMap, target: FeatureMap, points: Tensor, temperature: float = TEMPERATURE, window: float = WINDOW
) -> Matched:
    """Find where `points` (N, 2), pixels of the source's file, lie in the target's file.

    Each picture's mean feature is taken off both maps. Then the cosine of the feature at a point with every cell of the
    target but its padding, and the mean of the cells in a square window around the best one, weighted by a softmax over
    their cosines.
    """
    points, source, target = points.float(), source.centred(), target.centred()
    there = locate(source.sample(points), target, temperature, window)
    at_target = target.sample(there)
    back = locate(at_target, source, temperature, window)
    reach = RETURN * max(source.frame.width, source.frame.height)
    scores = F.cosine_similarity(source.sample(points).float(), at_target.float(), dim=1)
    return Matched(there, scores, (back - points.to(back.device)).norm(dim=1) <= reach)


def dense_match(sketch: FeatureMap, photo: FeatureMap) -> tuple[Tensor, Tensor]:
    """Find for every cell of the photo its place in the sketch: (h, w, 2) pixels of the sketch's file.

    Also gives the cosines (h, w), -1 on padding.
    """
    sketch, photo = sketch.centred(), photo.centred()
    features = photo.data.flatten(1).T
    places = locate(features, sketch)
    scores = F.cosine_similarity(features.float(), sketch.sample(places).float(), dim=1)
    scores = scores.masked_fill(~photo.valid().flatten(), -1.0)
    return places.reshape(*photo.grid, 2), scores.reshape(photo.grid)


def locate(features: Tensor, target: FeatureMap, temperature: float = TEMPERATURE, window: float = WINDOW) -> Tensor:
    """Find features (N, C) in a map by a windowed soft-argmax: (N, 2) x, y in pixels of its file."""
    h, w = target.grid
    cells = F.normalize(target.data.float().flatten(1), dim=0)
    padding = ~target.valid().flatten()
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    centres = torch.stack([columns.flatten(), rows.flatten()], dim=1).to(cells.device)
    reach = max(1, round(window * max(h, w)))
    found = [torch.empty(0, 2, device=cells.device)]
    for chunk in torch.split(F.normalize(features.float(), dim=1), CHUNK):
        similarity = (chunk @ cells).masked_fill(padding, -torch.inf)
        best = centres[similarity.argmax(dim=1)]
        outside = (centres - best[:, None]).abs().amax(dim=2) > reach
        weights = (similarity.masked_fill(outside, -torch.inf) / temperature).softmax(dim=1)
        found.append(weights @ (centres + 0.5))
    return target.to_pixels(torch.cat(found))


def spread(sketch: Tensor, count: int) -> Tensor:
    """Spread points evenly over the strokes of a sketch (3, H, W): (at most `count`, 2) x, y of inked pixels.

    Farthest point sampling, which begins with the ink nearest to the middle of all ink.
    """
    grey = sketch.mean(dim=0)
    ink = (grey <= (grey.amin() + grey.amax()) / 2).nonzero().flip(1).float() + 0.5
    chosen = [int((ink - ink.mean(dim=0)).norm(dim=1).argmin())]
    distance = torch.full((len(ink),), torch.inf)
    while len(chosen) < min(count, len(ink)):
        distance = torch.minimum(distance, (ink - ink[chosen[-1]]).norm(dim=1))
        chosen.append(int(distance.argmax()))
    return ink[chosen]


def _checked(points: Tensor, picture: FeatureMap, source: Side) -> Tensor:
    frame = picture.frame
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must be (N, 2) x, y, not of shape {tuple(points.shape)}")
    inside = ((points >= 0) & (points <= points.new_tensor([frame.width, frame.height]))).all(dim=1)
    if not inside.all():
        x, y = points[~inside][0].tolist()
        raise ValueError(f"point {x:g},{y:g} is outside the {source}, which is {frame.width} x {frame.height} pixels")
    return points


def _point(pair: Sequence[float]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
