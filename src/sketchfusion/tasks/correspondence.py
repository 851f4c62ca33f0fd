"""Correspondence: find the point of a photo that means the same as a point of a sketch, and the other way round.

The paper matches every point by itself. Here the sketch as a whole is aligned with the photo first, by an affine pose,
and cells far from where the pose expects a point lose some of their score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..featuremap import FeatureMap, Frame
from ..io.images import ImageInput, read_image
from .inputs import extract_map, ink_points, read_sketch

if TYPE_CHECKING:
    from ..extractor import Extractor

Side = Literal["sketch", "photo"]
ToShared = Callable[[Tensor], Tensor]  # (N, 2) pixels of a picture to coordinates that both pictures share

TASK = "correspondence"
DEFAULT_POINTS = 12  # matched when the caller names none
POSE_POINTS = 32  # points of a sketch that its pose is fitted to
MOST_INK = 50_000  # pixels of strokes among which points are chosen
CHUNK = 1024  # points at a time: with 60 x 60 cells they take about 100 MB

# Chosen on Sketch World by `python -m sketchfusion.lab.evaluation.calibrate`, which prints what they are chosen from.
TEMPERATURE = 0.035  # of the softmax over cosines; also by points placed by eye (docs/results/points)
WINDOW = 0.15  # radius around the best cell over which positions are averaged, as a share of the grid's longer side
RETURN = 0.1  # a match is mutual if matching back ends this near the start, as a share of the picture's longer side

# Chosen on Sketch World's seen categories and Sketchy's seen classes, at a plateau; lengths are in half sides.
WIDTHS = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3)  # standard deviation of the Gaussian around the pose, by iteration
OUTLIER_DISTANCE = 0.15  # scale of the Cauchy weights: points further off than this hardly count
MIN_GAIN = 0.1  # nats; if the points' weights add up to much less, the pose hardly moves
REGULARISATION = 0.01  # weight of the ridge penalty for leaving the starting pose
PAGE_BONUS = 0.05  # nats per point by which the window's fit must beat the page's
PADDING_LOGIT = -1e4  # finite, so that differences of logits are


@dataclass(frozen=True)
class PointMatch:
    """A point of the sketch and its counterpart in the photo, x and y in pixels of the files."""

    sketch: tuple[float, float]
    photo: tuple[float, float]
    score: float  # cosine of the features at the two points
    mutual: bool  # matching the answer back ends near the start


class Matched(NamedTuple):
    """Where N points of one map lie in another."""

    positions: Tensor  # (N, 2) x, y in pixels of the target's file
    scores: Tensor  # (N,) cosines of the features at both ends
    mutual: Tensor  # (N,) whether matching back ends near the start


def match(
    model: "Extractor",
    sketch: ImageInput,
    photo: ImageInput,
    points: Sequence[Sequence[float]] | Tensor | None = None,
    source: Side = "sketch",
) -> list[PointMatch]:
    """Find the counterparts of points of one picture in the other (SketchFusion, section 6.3).

    `points` are (N, 2) x, y in pixels of the `source` picture; by default `DEFAULT_POINTS` points spread over the
    strokes. Raises ImageError for an unreadable picture or a blank sketch, ValueError for points outside the picture.
    """
    if source not in ("sketch", "photo"):
        raise ValueError(f"source must be sketch or photo, not {source!r}")
    sketch_image = read_sketch(sketch)
    pose_points = sample_strokes(sketch_image, POSE_POINTS)
    if points is None:
        if source == "photo":
            raise ValueError("say which points of the photo to match; only a sketch has strokes to choose points from")
        queries = pose_points[:DEFAULT_POINTS]
    else:
        queries = torch.as_tensor(points, dtype=torch.float32)
    maps = {
        "sketch": extract_map(model, sketch_image, "sketch", TASK),
        "photo": extract_map(model, read_image(photo), "photo", TASK),
    }
    if queries.ndim != 2 or queries.shape[1] != 2:
        raise ValueError(f"points must be (N, 2) x, y, not of shape {tuple(queries.shape)}")
    frame = maps[source].frame
    inside = ((queries >= 0) & (queries <= queries.new_tensor(frame.size))).all(dim=1)
    if not inside.all():
        x, y = queries[~inside][0].tolist()
        raise ValueError(f"point {x:g},{y:g} is outside the {source}, which is {frame.width} x {frame.height} pixels")
    matched = match_aligned(maps["sketch"], maps["photo"], pose_points, queries, source)
    columns = [queries, matched.positions] if source == "sketch" else [matched.positions, queries]
    pairs = zip(*(values.tolist() for values in (*columns, matched.scores, matched.mutual)), strict=True)
    return [PointMatch((x, y), (u, v), score, mutual) for (x, y), (u, v), score, mutual in pairs]


def match_aligned(
    sketch: FeatureMap,
    photo: FeatureMap,
    strokes: Tensor,
    points: Tensor,
    source: Side = "sketch",
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
) -> Matched:
    """Match `points` (N, 2), pixels of the `source` picture, after aligning the sketch with the photo.

    As `match_maps`, but a cell's score is its cosine / temperature minus a penalty for its distance from where the pose
    expects it. The pose is fitted to `strokes` (M, 2), points of the sketch in pixels of its file.
    """
    from_sketch, from_photo = pose(sketch.centred(), photo.centred(), strokes, temperature)
    if source == "sketch":
        return match_maps(sketch, photo, points, temperature, window, (from_sketch, from_photo))
    return match_maps(photo, sketch, points, temperature, window, (from_photo, from_sketch))


def match_maps(
    source: FeatureMap,
    target: FeatureMap,
    points: Tensor,
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
    to_shared: tuple[ToShared, ToShared] | None = None,
) -> Matched:
    """Match `points` (N, 2), pixels of the source's file, to the target's file, each point by itself.

    Each map's mean feature is subtracted first. A point's counterpart is the mean of the cells in a square window
    around the most similar one, weighted by a softmax over their cosines (SketchFusion, section 6.3). `to_shared` maps
    pixels of the source and of the target to coordinates that both share; counterparts are then expected nearby.
    """
    points, source, target = points.float(), source.centred(), target.centred()

    def counterparts(points: Tensor, here: FeatureMap, there: FeatureMap, ways: Sequence[ToShared] | None) -> Tensor:
        prior = (ways[0](points), ways[1](there.centres())) if ways else None
        return locate(here.sample(points), there, temperature, window, prior)

    found = counterparts(points, source, target, to_shared)
    back = counterparts(found, target, source, to_shared and to_shared[::-1])
    reach = RETURN * max(source.frame.size)
    scores = F.cosine_similarity(source.sample(points).float(), target.sample(found).float(), dim=1)
    return Matched(found, scores, (back - points.to(back.device)).norm(dim=1) <= reach)


def dense_match(sketch: FeatureMap, photo: FeatureMap, strokes: Tensor) -> tuple[Tensor, Tensor]:
    """Match every cell of the photo to the sketch, after aligning the two.

    Returns positions (h, w, 2) in pixels of the sketch's file and cosines (h, w), -1 on padding. The pose is fitted to
    `strokes` (M, 2), points of the sketch in pixels of its file.
    """
    sketch, photo = sketch.centred(), photo.centred()
    from_sketch, from_photo = pose(sketch, photo, strokes, TEMPERATURE)
    features = photo.data.flatten(1).T
    positions = locate(features, sketch, prior=(from_photo(photo.centres()), from_sketch(sketch.centres())))
    scores = F.cosine_similarity(features.float(), sketch.sample(positions).float(), dim=1)
    scores = scores.masked_fill(~photo.valid().flatten(), -1.0)
    return positions.reshape(*photo.grid, 2), scores.reshape(photo.grid)


def locate(
    features: Tensor,
    target: FeatureMap,
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
    prior: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Find features (N, C) in a map by a windowed soft-argmax: (N, 2) x, y in pixels of its file.

    A cell's score is its cosine / temperature, minus the distance penalty of a `prior`: where the features are expected
    (N, 2) and where the cells lie (h * w, 2), in the same coordinates. Padding is never chosen.
    """
    h, w = target.grid
    cells = F.normalize(target.data.float().flatten(1), dim=0)
    padding = ~target.valid().flatten()
    centres = torch.cartesian_prod(torch.arange(h), torch.arange(w)).flip(1).to(cells.device)
    reach = max(1, round(window * max(h, w)))
    features, found = F.normalize(features.float(), dim=1), [torch.empty(0, 2, device=cells.device)]
    for start in range(0, len(features), CHUNK):
        chunk = slice(start, start + CHUNK)
        logits = features[chunk] @ cells / temperature
        if prior is not None:
            logits -= distance_penalty(prior[0][chunk], prior[1]).to(logits.device)
        logits = logits.masked_fill(padding, -torch.inf)
        best = centres[logits.argmax(dim=1)]
        outside = (centres - best[:, None]).abs().amax(dim=2) > reach
        found.append(logits.masked_fill(outside, -torch.inf).softmax(dim=1) @ (centres + 0.5))
    positions = target.to_pixels(torch.cat(found))
    # In a photo narrower than a cell, the centre of the cell lies outside the photo.
    return positions.clamp(positions.new_zeros(2), positions.new_tensor(target.frame.size))


def pose(sketch: FeatureMap, photo: FeatureMap, strokes: Tensor, temperature: float) -> tuple[ToShared, ToShared]:
    """Align a sketch with a photo by points (N, 2) of its strokes, in pixels of its file.

    Returns the affine maps from pixels of the sketch's file, and from those of the photo's, to coordinates that run
    from -1 to 1 over the photo.

    Expectation maximisation, alternating two steps while the Gaussian narrows. First each point's expected counterpart
    is found by a softmax over cosine / `temperature`, times a Gaussian around the current pose. Then the affine map is
    fitted to the counterparts by weighted least squares. A point's weight is the Kullback-Leibler divergence of the
    product from the Gaussian alone, reduced if its counterpart is far from the pose (Cauchy). The fit starts twice:
    from the whole page laid over the photo, as in a tracing, and from the window around the strokes laid over it. The
    second is returned if its log evidence is higher by `PAGE_BONUS`.
    """
    features = F.normalize(sketch.sample(strokes).float(), dim=1)
    cells = F.normalize(photo.data.float().flatten(1), dim=0)
    logits = (features @ cells / temperature).cpu()
    padding = torch.zeros(len(cells.T)).masked_fill(~photo.valid().flatten().cpu(), PADDING_LOGIT)
    points, centres = (
        F.pad(_normalised(sketch.frame, strokes), (0, 1), value=1.0),
        _normalised(photo.frame, photo.centres()),
    )
    fits = [_fit_pose(logits, padding, points, centres, start) for start in (torch.eye(3, 2), _to_square(sketch.frame))]
    (page, by_page), (window, by_window) = fits
    matrix = window if by_window > by_page + PAGE_BONUS else page

    def from_sketch(points: Tensor) -> Tensor:
        return F.pad(_normalised(sketch.frame, points), (0, 1), value=1.0) @ matrix

    return from_sketch, partial(_normalised, photo.frame)


def _fit_pose(logits: Tensor, padding: Tensor, points: Tensor, centres: Tensor, start: Tensor) -> tuple[Tensor, float]:
    """Fit a pose (3, 2) to homogeneous `points` (N, 3) from `start`; also give their mean log evidence in nats.

    `logits` (N, M) are the points' similarities to the photo's cells at `centres` (M, 2), and `padding` (M,) is low on
    cells outside the photo.
    """
    matrix = start
    ridge = REGULARISATION * torch.diag(torch.tensor([1.0, 1.0, 0.5]))
    for width in WIDTHS:
        nearness = padding - torch.cdist(points @ matrix, centres) ** 2 / (2 * width**2)
        posterior, prior = (logits + nearness).log_softmax(dim=1), nearness.log_softmax(dim=1)
        found = posterior.exp() @ centres
        gain = (posterior.exp() * (posterior - prior)).sum(dim=1)
        weights = gain / (1 + ((found - points @ matrix).norm(dim=1) / OUTLIER_DISTANCE) ** 2)
        weighted = points.T * (weights / (weights.sum() + MIN_GAIN))
        matrix = torch.linalg.solve(weighted @ points + ridge, weighted @ found + ridge @ start)
    nearness = padding - torch.cdist(points @ matrix, centres) ** 2 / (2 * WIDTHS[-1] ** 2)
    return matrix, float((logits + nearness.log_softmax(dim=1)).logsumexp(dim=1).mean())


def distance_penalty(expected: Tensor, positions: Tensor) -> Tensor:
    """Penalise positions (M, 2) for their distance from the expected ones (N, 2): (N, M), flat far away (Cauchy)."""
    return 2 * torch.log1p((torch.cdist(expected, positions) / OUTLIER_DISTANCE) ** 2)


def sample_strokes(sketch: Tensor, count: int) -> Tensor:
    """Choose at most `count` points (N, 2) x, y of a sketch's strokes, evenly spread by farthest point sampling.

    The first of them are those of a smaller `count`. Of a very large sketch not every pixel is looked at.
    """
    ink = ink_points(sketch)
    ink = ink[:: len(ink) // MOST_INK + 1]
    chosen = [int((ink - ink.mean(dim=0)).norm(dim=1).argmin())]
    distance = torch.full((len(ink),), torch.inf)
    while len(chosen) < min(count, len(ink)):
        distance = torch.minimum(distance, (ink - ink[chosen[-1]]).norm(dim=1))
        chosen.append(int(distance.argmax()))
    return ink[chosen]


def _to_square(frame: Frame) -> Tensor:
    """Give the affine map (3, 2) from -1 to 1 over a file to -1 to 1 over the square that a model sees."""
    size, scale = torch.tensor(frame.size), torch.tensor([frame.scale_x, frame.scale_y])
    shift = 2 * (size / 2 * scale + torch.tensor([frame.offset_x, frame.offset_y])) / frame.side - 1
    return torch.cat([torch.diag(size * scale / frame.side), shift[None]])


def _normalised(frame: Frame, points: Tensor) -> Tensor:
    """Map (N, 2) pixels of a file to -1 to 1 over it."""
    points = points.float().cpu()
    return 2 * points / points.new_tensor(frame.size) - 1
