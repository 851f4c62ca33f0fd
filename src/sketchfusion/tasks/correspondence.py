"""Correspondence: the point of a photo that a point of a sketch means, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..io.images import read_image
from .inputs import extract_map, read_sketch

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..featuremap import FeatureMap, Frame
    from ..io.images import ImageInput


# Where in a photo a sketch lies as a whole: what is near in the one is near in the other, whatever each point says.
#
# A step past the paper, which matches every point by itself.


POSE_POINTS = 32  # points of a sketch that it is laid by
# Chosen on Sketch World's seen categories and Sketchy's seen classes, at a plateau; lengths are in half sides.
WIDTHS = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3)  # how far from the pose so far counterparts are looked for, one after another
FAR = 0.15  # from here on a point is thought to have its own way
LITTLE = 0.1  # nats that all points together have to know before the pose is theirs
BARRED = -1e4  # log-likelihood of padding, finite so that differences are
PULL = 0.01  # towards the sheet laid over the whole photo


@dataclass(frozen=True)
class Pose:
    """An affine map of the places of a sketch to those of a photo, both from -1 to 1 over their files."""

    matrix: Tensor  # (3, 2)
    sketch: Frame
    photo: Frame

    def of_sketch(self, points: Tensor) -> Tensor:
        """Give the places in the photo of (N, 2) x, y, pixels of the sketch's file."""
        return _with_one(_places(self.sketch, points)) @ self.matrix

    def of_photo(self, points: Tensor) -> Tensor:
        """Give the places in the photo of (N, 2) x, y, pixels of its own file."""
        return _places(self.photo, points)


def pose(sketch: FeatureMap, photo: FeatureMap, strokes: Tensor, temperature: float) -> Pose:
    """Lay a sketch over a photo by points (N, 2) of its strokes, pixels of its file.

    Expectation and maximisation: every point looks for its counterpart near to where the pose has it, by a softmax over
    the cosines at that `temperature`; then the pose is the affine map that fits the counterparts best. A point counts
    by how much its cosines say beyond being near (Kullback-Leibler), and less if its counterpart is far off (Cauchy).
    Nearer and nearer, from the sheet laid over the whole photo on.
    """
    features = F.normalize(sketch.sample(strokes).float(), dim=1)
    cells = F.normalize(photo.data.float().flatten(1), dim=0)
    logits = (features @ cells / temperature).cpu()
    padding = torch.zeros(len(cells.T)).masked_fill(~photo.valid().flatten().cpu(), BARRED)
    places, there = _with_one(_places(sketch.frame, strokes)), _places(photo.frame, photo.centres())
    start = matrix = torch.eye(3, 2)
    pull = PULL * torch.diag(torch.tensor([1.0, 1.0, 0.5]))
    for width in WIDTHS:
        near = padding - torch.cdist(places @ matrix, there) ** 2 / (2 * width**2)
        shares, guessed = (logits + near).log_softmax(dim=1), near.log_softmax(dim=1)
        found = shares.exp() @ there
        gain = (shares.exp() * (shares - guessed)).sum(dim=1)
        weights = gain / (1 + ((found - places @ matrix).norm(dim=1) / FAR) ** 2)
        weighted = places.T * (weights / (weights.sum() + LITTLE))
        matrix = torch.linalg.solve(weighted @ places + pull, weighted @ found + pull @ start)
    return Pose(matrix, sketch.frame, photo.frame)


def distance_penalty(expected: Tensor, places: Tensor) -> Tensor:
    """What is taken off log-likelihoods of places (M, 2) where (N, 2) are expected: (N, M), little added far away."""
    return 2 * torch.log1p((torch.cdist(expected, places) / FAR) ** 2)


def _places(frame: Frame, points: Tensor) -> Tensor:
    points = points.float().cpu()
    return 2 * points / points.new_tensor(frame.size) - 1


def _with_one(places: Tensor) -> Tensor:
    return torch.cat([places, torch.ones(len(places), 1)], dim=1)


Side = Literal["sketch", "photo"]
Places = Callable[[Tensor], Tensor]  # (N, 2) pixels of a picture to where they lie in what two pictures share

# Chosen on Sketch World by `python -m sketchfusion.evaluation.constants`, which prints what they are chosen from.
TEMPERATURE = 0.05  # of the softmax over cosines
WINDOW = 0.15  # how far around the best cell the answer is averaged, as a share of the grid's side
RETURN = 0.1  # a match is mutual if the way back ends this near its start, as a share of the picture's longer side
DEFAULT_POINTS = 12  # when nobody says which
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


class Near(NamedTuple):
    """Where points are expected, and where the cells they are looked for in lie, in what both pictures share."""

    expected: Tensor  # (N, 2)
    cells: Tensor  # (h * w, 2)


def match(
    model: Extractor,
    sketch: ImageInput,
    photo: ImageInput,
    points: Sequence[Sequence[float]] | Tensor | None = None,
    source: Side = "sketch",
) -> list[PointMatch]:
    """Find for points of one picture the points of the other that mean the same (SketchFusion, section 6.3).

    `points` are (N, 2) x, y in pixels of the `source` picture; without them `DEFAULT_POINTS`
    points spread over the strokes.
    The sketch is first laid over the photo as a whole, and no point's counterpart is far from there without a reason.
    Raises ImageError for an unreadable picture or a blank sketch, ValueError for points that are none of the picture.
    """
    if source not in ("sketch", "photo"):
        raise ValueError(f"source must be sketch or photo, not {source!r}")
    drawn = read_sketch(sketch)
    if points is None:
        if source == "photo":
            raise ValueError("say which points of the photo to match; only the strokes of a sketch choose themselves")
        asked = sample_strokes(drawn, DEFAULT_POINTS)
    else:
        asked = torch.as_tensor(points, dtype=torch.float32)
    maps = {
        "sketch": extract_map(model, drawn, "sketch", "correspondence"),
        "photo": extract_map(model, read_image(photo), "photo", "correspondence"),
    }
    asked = _checked(asked, maps[source], source)
    found = match_aligned(maps["sketch"], maps["photo"], sample_strokes(drawn, POSE_POINTS), asked, source)
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


def match_aligned(
    sketch: FeatureMap,
    photo: FeatureMap,
    strokes: Tensor,
    points: Tensor,
    source: Side = "sketch",
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
) -> Matched:
    """Find where `points` (N, 2), pixels of the `source` picture, lie in the other one.

    As `match_maps` does, but what speaks for a cell is its cosine, over the temperature, less how strange it would be
    for the pose of the sketch, which points (M, 2) of its `strokes` find.
    """
    whole = pose(sketch.centred(), photo.centred(), strokes, temperature)
    if source == "sketch":
        return match_maps(sketch, photo, points, temperature, window, (whole.of_sketch, whole.of_photo))
    return match_maps(photo, sketch, points, temperature, window, (whole.of_photo, whole.of_sketch))


def match_maps(
    source: FeatureMap,
    target: FeatureMap,
    points: Tensor,
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
    places: tuple[Places, Places] | None = None,
) -> Matched:
    """Find where `points` (N, 2), pixels of the source's file, lie in the target's file, each point by itself.

    Each picture's mean feature is taken off both maps. Then the cosine of the feature at a point with every cell of the
    target but its padding, and the mean of the cells in a square window around the best one, weighted by a softmax over
    their cosines (SketchFusion, section 6.3). `places` say where points of the source and of the target lie in what
    both share, if they are known to: then they are looked for nearby.
    """
    points, source, target = points.float(), source.centred(), target.centred()
    if places is None:
        found = locate(source.sample(points), target, temperature, window)
        back = locate(target.sample(found), source, temperature, window)
    else:
        here, there = places
        ahead = Near(here(points), there(target.centres()))
        found = locate(source.sample(points), target, temperature, window, ahead)
        behind = Near(there(found), here(source.centres()))
        back = locate(target.sample(found), source, temperature, window, behind)
    reach = RETURN * max(source.frame.size)
    scores = F.cosine_similarity(source.sample(points).float(), target.sample(found).float(), dim=1)
    return Matched(found, scores, (back - points.to(back.device)).norm(dim=1) <= reach)


def dense_match(sketch: FeatureMap, photo: FeatureMap, strokes: Tensor) -> tuple[Tensor, Tensor]:
    """Find for every cell of the photo its place in the sketch: (h, w, 2) pixels of the sketch's file.

    Also gives the cosines (h, w), -1 on padding. `strokes` are points of them, by which the sketch is laid.
    """
    sketch, photo = sketch.centred(), photo.centred()
    whole, features = pose(sketch, photo, strokes, TEMPERATURE), photo.data.flatten(1).T
    near = Near(whole.of_photo(photo.centres()), whole.of_sketch(sketch.centres()))
    places = locate(features, sketch, near=near)
    scores = F.cosine_similarity(features.float(), sketch.sample(places).float(), dim=1)
    scores = scores.masked_fill(~photo.valid().flatten(), -1.0)
    return places.reshape(*photo.grid, 2), scores.reshape(photo.grid)


def locate(
    features: Tensor,
    target: FeatureMap,
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
    near: Near | None = None,
) -> Tensor:
    """Find features (N, C) in a map by a windowed soft-argmax: (N, 2) x, y in pixels of its file.

    With `near`, what speaks for a cell is its cosine over the temperature, less how strange it would be there.
    """
    h, w = target.grid
    cells = F.normalize(target.data.float().flatten(1), dim=0)
    padding = ~target.valid().flatten()
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    centres = torch.stack([columns.flatten(), rows.flatten()], dim=1).to(cells.device)
    reach = max(1, round(window * max(h, w)))
    features, found = F.normalize(features.float(), dim=1), [torch.empty(0, 2, device=cells.device)]
    for start in range(0, len(features), CHUNK):
        some = slice(start, start + CHUNK)
        logits = features[some] @ cells / temperature
        if near is not None:
            logits -= distance_penalty(near.expected[some], near.cells).to(logits.device)
        logits = logits.masked_fill(padding, -torch.inf)
        best = centres[logits.argmax(dim=1)]
        outside = (centres - best[:, None]).abs().amax(dim=2) > reach
        found.append(logits.masked_fill(outside, -torch.inf).softmax(dim=1) @ (centres + 0.5))
    places = target.to_pixels(torch.cat(found))
    # Of a photo narrower than a cell, the cell's own centre lies beside it.
    return places.clamp(places.new_zeros(2), places.new_tensor(target.frame.size))


def sample_strokes(sketch: Tensor, count: int) -> Tensor:
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
    inside = ((points >= 0) & (points <= points.new_tensor(frame.size))).all(dim=1)
    if not inside.all():
        x, y = points[~inside][0].tolist()
        raise ValueError(f"point {x:g},{y:g} is outside the {source}, which is {frame.width} x {frame.height} pixels")
    return points


def _point(pair: Sequence[float]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
