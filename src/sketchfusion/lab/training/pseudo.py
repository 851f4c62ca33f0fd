"""Pseudo-sketches: contours of real photos as Sketch World's simulated hands draw them, with exact point matches.

Contours are smooth chains of edge points. The most salient ones, up to a random total length, are simplified into
strokes and drawn with wobble, missing and repeated strokes, and wrong proportions. Photos of unseen classes are never
drawn.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ...io.files import Arrays, cached_arrays
from ...io.strokes import Drawing, rasterize
from ...world.camera import Line
from ...world.hands import CANVAS, HANDS, Hand, stroked
from ...world.shapes import Points
from .bank import PictureArray, described
from .labelled import POINTS, PointPairs

VERSION = 2  # of the drawing algorithm; part of the cache's key
INK = (2.0, 9.0)  # range of the total length of strokes, in sides of the picture
HAND_SHARES = (0.35, 0.3, 0.2, 0.1, 0.05)  # probability of each hand, the most faithful first
SCALE = (1.2, 2.4)  # range of the `scale` of `contours`
FAINT = 0.08  # share of the best contour's weight below which a contour is never drawn
TOLERANCE = 1.2  # of the simplification of contours, in units of the 256-unit canvas
FILLED = 0.5  # probability that a sketch is scaled to fill the page, as in Quick, Draw!; else it stays if it fits
MARGIN = 0.06  # around every sketch, as a share of the page's side

SIDE = 128  # of the grid of all maps
# Salience; lengths are in halves of the picture's side unless noted
SURROUND = 7.0  # standard deviation, in cells, of the surround that suppresses texture
MIDDLE = 0.6  # standard deviation of the centre prior, where objects usually are in a photo
NARROWEST, WIDEST = 0.4, 0.7  # limits of the standard deviation of the window around the foreground of one photo
COARSE = 16  # side of the grid on which colours are compared with those of the border
# Contours; lengths are in cells
REACH = 2  # most rows, and most columns, between two linked edge points
GAP = 7.0  # longest gap across which two chains are joined
SHORTEST = 7.0  # length of a contour
FLOOR = 0.003  # gradient of brightness per cell below which an edge may be a compression artefact
LONG = 0.7  # exponent of a contour's length in its weight; below 1, so that small salient ones, as eyes, are drawn too
WEAK = 0.1  # share of the 95th percentile of salience below which an edge point is dropped

Map = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contour:
    """A chain of points (N, 2), x and y as shares of the photo's side; `weight` grows with its salience and length."""

    points: Points
    weight: float


@dataclass(frozen=True, eq=False)
class PseudoSketch:
    """Strokes (N, 4) in drawing order: x, y in the sketch, then in the photo, as shares of the picture's side."""

    strokes: tuple[Points, ...]

    def raster(self, side: int) -> NDArray[np.uint8]:
        """Rasterise to (side, side): dark lines on white, as wide as those of the Sketchy Database."""
        return rasterize(Drawing(tuple(s[:, :2].astype(np.float32) for s in self.strokes), 1.0, 1.0), side, margin=0.0)

    def points(self, count: int, rng: np.random.Generator) -> Points:
        """Sample points (count, 4) uniformly at random along the strokes, of which there are some."""
        start = np.concatenate([s[:-1] for s in self.strokes])
        step = np.concatenate([np.diff(s, axis=0) for s in self.strokes])
        length = np.hypot(step[:, 0], step[:, 1]) + 1e-12
        chosen = rng.choice(len(step), count, p=length / length.sum())
        return np.asarray(start[chosen] + rng.random((count, 1)) * step[chosen])


def pseudo_sketch(photo: NDArray[np.uint8], rng: np.random.Generator) -> PseudoSketch:
    """Find the contours of a photo (3, S, S) and draw them with a random hand and a random amount of ink."""
    ink = float(np.exp(rng.uniform(*np.log(INK))))
    found = contours(photo, float(rng.uniform(*SCALE)))
    return drawn(found, HANDS[int(rng.choice(len(HANDS), p=HAND_SHARES))], ink, rng)


def drawn(found: list[Contour], hand: Hand, ink: float, rng: np.random.Generator) -> PseudoSketch:
    """Draw the best contours, in total about `ink` picture sides long, with a hand, which leaves some of them out."""
    strokes, _ = stroked(_lines(found, ink), hand, rng)
    if not strokes:
        return PseudoSketch(())
    placed = _placed(strokes, hand, rng)
    in_photo = [stroke[:, 2:] / CANVAS for stroke in strokes]
    return PseudoSketch(tuple(np.concatenate(pair, axis=1) for pair in zip(placed, in_photo, strict=True)))


def _lines(found: list[Contour], ink: float) -> list[Line]:
    """Simplify the best contours into lines until `ink` is spent; later ones have a finer level of detail, 0 to 2."""
    lines: list[Line] = []
    spent = 0.0
    for contour in found:
        if spent >= ink or contour.weight < FAINT * found[0].weight:
            break
        points = simplified(contour.points * CANVAS, TOLERANCE)
        length = float(np.hypot(*np.diff(points, axis=0).T).sum())
        lines.append(Line(points, "", min(2, int(3 * spent / ink)), length))
        spent += length / CANVAS
    return lines


def _placed(strokes: list[Points], hand: Hand, rng: np.random.Generator) -> list[Points]:
    """Rotate, shear, stretch and bend the whole sketch; then scale it to fill the page, or only move it inside."""
    points = np.concatenate([stroke[:, :2] for stroke in strokes]) / CANVAS - 0.5
    angle = rng.normal() * 0.05 * hand.tilt
    skew, stretch = rng.normal(size=2) * 0.08 * (0.4 + hand.slop)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = points @ turned @ np.array([[np.exp(stretch), 0.0], [skew, np.exp(-stretch)]])
    # bent by a sum of low-frequency cosines
    waves = rng.normal(size=(2, 3, 3)) * 0.05 * hand.slop / (1 + np.add.outer(np.arange(3), np.arange(3)))
    x, y = (np.cos(np.pi * np.arange(3) * (points[:, [k]] + 0.5)) for k in (0, 1))
    points = points + np.einsum("knm,pn,pm->pk", waves, y, x)
    low, high = points.min(0), points.max(0)
    room = 1 - 2 * MARGIN
    if rng.random() < FILLED or (high - low).max() > room:
        points = (points - (low + high) / 2) * room / max(float((high - low).max()), 1e-6) + 0.5
    else:
        points = points + np.clip(0.5, MARGIN - low, 1 - MARGIN - high)
    return np.split(points, np.cumsum([len(stroke) for stroke in strokes])[:-1])


def pseudo_points(photos: PictureArray, cache: Path, per_class: int, drawings: int = 1, seed: int = 0) -> PointPairs:
    """Pair up to `per_class` photos of each seen class with pseudo-sketches that have strokes, kept in `cache`."""
    seen = set(photos.seen)
    chosen = sorted({n for of in photos.by_name.values() for n in [m for m in of if m in seen][:per_class]})
    side = photos.side
    content = photos.at(chosen).digest()
    settings = (VERSION, INK, HAND_SHARES, SCALE, FAINT, TOLERANCE, FILLED, MARGIN, drawings, seed)
    key = hashlib.sha256(f"{content} {settings}".encode()).hexdigest()[:16]
    path = cache / f"pseudo-{side}-{len(chosen)}-{drawings}-{key}.npz"

    def draw() -> Arrays:
        drawn, rows, points = [], [], []
        for row, place in enumerate(chosen):
            photo = photos.stored([place])[0]
            for drawing in range(drawings):
                # seeded by its content, so that a photo is drawn the same whichever others there are
                rng = np.random.default_rng([seed, zlib.crc32(photo.tobytes()), drawing])
                sketch = pseudo_sketch(photo, rng)
                if sketch.strokes:
                    drawn.append(sketch.raster(side)[None])
                    rows.append(row)
                    points.append(sketch.points(POINTS, rng))
        sketches = np.array(drawn, np.uint8).reshape(-1, 1, side, side)
        return {
            "sketches": sketches,
            "about": described(sketches),
            "rows": np.array(rows, np.int64),
            "points": np.array(points, np.float32).reshape(-1, POINTS, 4),
        }

    kept = cached_arrays(path, draw)
    sketches, rows, points = kept["sketches"], kept["rows"], torch.from_numpy(kept["points"])
    pairs = photos.at([chosen[row] for row in rows])
    return PointPairs(
        PictureArray("sketch", sketches, pairs.names, photos.device, about=kept["about"]),
        pairs,
        points[..., :2],
        points[..., 2:],
        torch.ones(points.shape[:2], dtype=torch.bool),
    )


def contours(photo: NDArray[np.uint8], scale: float = 1.6) -> list[Contour]:
    """Find the contours of a photo (3, S, S), the heaviest first; none in a blank one.

    `scale` is the standard deviation of the blur before edge detection, in 1/128 of the side. The gradient of
    brightness and colour together (Di Zenzo, 1986) is thinned to ridges at sub-pixel precision, and points that are
    each other's best continuation are linked (Devernay, 1995). A contour's weight comes from the `salience` along it.
    """
    colours = opponent(photo)
    strength, normal = _gradient(blurred(colours, scale))
    at, along = _ridges(strength, normal)
    if not len(at):
        return []
    weight = salience(colours, strength)[tuple(at.round().astype(int).T)]
    salient = weight > WEAK * float(np.quantile(weight, 0.95))
    at, along, weight = at[salient], along[salient], weight[salient]
    found = []
    for chain in _joined([chain for chain in _chains(at, along) if len(chain) > 2], at):
        points = at[chain]
        length = float(np.sqrt((np.diff(points, axis=0) ** 2).sum(1)).sum())
        if length >= SHORTEST:
            found.append(Contour((points[:, ::-1] + 0.5) / SIDE, length**LONG * float(weight[chain].mean())))
    return sorted(found, key=lambda contour: -contour.weight)


def salience(colours: Map, strength: Map) -> Map:
    """Compute the salience (SIDE, SIDE) of a photo's edges from its opponent `colours` (3, S, S).

    It is the gradient's `strength` (SIDE, SIDE), reduced in three places: where many edges surround a cell, which is
    texture (Grigorescu et al., 2003); where colours are like the border's, which is probably background; and far from
    the foreground's centroid. Along the border it is 0.
    """
    alone = np.maximum(strength - 1.2 * blurred(strength, SURROUND), 0.05 * strength)
    alone = alone / (alone + float(np.sqrt((alone**2).mean())) + 1e-9)
    thing = _colour_difference(colours) ** 2
    return alone * (0.1 + thing) * _centrality(thing)


def opponent(photo: NDArray[np.uint8]) -> Map:
    """Convert a photo (3, S, S) to opponent colours (3, S, S): brightness, red-green and yellow-blue."""
    red, green, blue = np.sqrt(photo / 255.0)
    return np.stack([(red + green + blue) / 3, (red - green) * 0.7, ((red + green) / 2 - blue) * 0.5])


def blurred(maps: Map, sigma: float) -> Map:
    """Resize maps (..., S, S) to (..., SIDE, SIDE) with a Gaussian blur of `sigma` cells of that grid."""
    kernel = _blur_matrix(maps.shape[-1], sigma)
    return kernel @ maps @ kernel.T


@lru_cache(maxsize=16)
def _blur_matrix(side: int, sigma: float, out: int = SIDE) -> Map:
    """Return the matrix (out, side) that resizes a line of `side` pixels to `out` cells with a Gaussian blur."""
    centre, reach = (np.arange(out) + 0.5) * side / out, side // 2
    cells = np.arange(-reach, side + reach) + 0.5
    line = np.exp(-((cells - centre[:, None]) ** 2) / (2 * (sigma * side / out) ** 2))
    weights = line[:, reach:-reach].copy()
    weights[:, 0] += line[:, :reach].sum(1)  # beyond its ends a line keeps its last value
    weights[:, -1] += line[:, -reach:].sum(1)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _colour_difference(colours: Map) -> Map:
    """Return how much each cell's colour differs from those of the picture's border (SIDE, SIDE), 0 to 1."""
    kernel = _blur_matrix(colours.shape[-1], 0.6, COARSE)
    small = kernel @ colours @ kernel.T * np.array([1.0, 2.0, 2.0])[:, None, None]
    place = 0.25 / COARSE * np.mgrid[:COARSE, :COARSE]  # nearby colours of the border count more
    described = np.concatenate([small, place])
    rim = np.ones((COARSE, COARSE), bool)
    rim[1:-1, 1:-1] = False
    distance = np.sqrt(((described[:, :, :, None] - described[:, rim][:, None, None]) ** 2).sum(0))
    nearest = np.pad(np.sort(distance, axis=-1)[..., :4].mean(-1), 1, mode="edge")
    grown = sliding_window_view(nearest, (3, 3)).max((2, 3))  # dilated, to include an object's edge
    wide = blurred(grown, 4.0)
    return np.asarray(np.minimum(1.5 * wide / (wide.max() + 1e-9), 1))


def _centrality(thing: Map) -> Map:
    """Return a window (SIDE, SIDE) around the foreground `thing`, as wide as its spread; 0 along the border."""
    line = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1
    usual = np.exp(-(line**2) / (2 * MIDDLE**2))
    mass = thing * usual[:, None] * usual + 1e-9
    bells = []
    for along in (mass.sum(1), mass.sum(0)):
        middle = float((along * line).sum() / along.sum())
        spread = float(np.sqrt((along * (line - middle) ** 2).sum() / along.sum()))
        width = float(np.clip(1.6 * spread, NARROWEST, WIDEST))
        inside = np.clip((1 - np.abs(line)) * 12, 0, 1)
        bells.append(inside * np.exp(-((line - middle) ** 2) / (2 * width**2)))
    return np.outer(*bells)


def _gradient(maps: Map) -> tuple[Map, Map]:
    """Return strength (S, S) and direction (2, S, S; unit vectors: down, right) of the joint gradient of all maps."""
    down, right = np.gradient(maps, axis=1), np.gradient(maps, axis=2)
    a, b, c = (down * down).sum(0), (right * right).sum(0), (down * right).sum(0)
    spread = np.sqrt((a - b) ** 2 / 4 + c * c)
    angle = np.arctan2(c, (a - b) / 2) / 2
    return np.sqrt((a + b) / 2 + spread), np.stack([np.cos(angle), np.sin(angle)])


def _ridges(strength: Map, normal: Map) -> tuple[Points, Points]:
    """Find edge points by non-maximum suppression along `normal`: row, column (N, 2) and unit edges (N, 2)."""
    inner = strength[1:-1, 1:-1]
    rows, columns = np.nonzero(inner > max(FLOOR, 0.35 * float(np.sqrt((strength**2).mean()))))
    rows, columns = rows + 1, columns + 1
    here, towards = strength[rows, columns], normal[:, rows, columns].T
    before, after = (_bilinear(strength, rows + s * towards[:, 0], columns + s * towards[:, 1]) for s in (-1, 1))
    top = (here >= before) & (here > after)
    rows, columns, towards = rows[top], columns[top], towards[top]
    bend = np.minimum(before + after - 2 * here, -1e-9)[top]
    offset = np.clip((before - after)[top] / (2 * bend), -0.7, 0.7)
    at = np.stack([rows, columns], 1) + offset[:, None] * towards
    return at, np.stack([-towards[:, 1], towards[:, 0]], 1)


def _bilinear(picture: Map, row: Map, column: Map) -> Map:
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    top, left = top.clip(0, picture.shape[0] - 2), left.clip(0, picture.shape[1] - 2)
    v, u = row - top, column - left
    above = picture[top, left] * (1 - u) + picture[top, left + 1] * u
    below = picture[top + 1, left] * (1 - u) + picture[top + 1, left + 1] * u
    return np.asarray(above * (1 - v) + below * v)


def _chains(at: Points, along: Points) -> Iterator[list[int]]:
    """Link each edge point to its best neighbours ahead and behind, where the choice is mutual; return the chains."""
    number = np.full((SIDE + 2 * REACH, SIDE + 2 * REACH), -1)
    cell = at.round().astype(int) + REACH
    number[tuple(cell.T)] = np.arange(len(at))
    near = [(y, x) for y in range(-REACH, REACH + 1) for x in range(-REACH, REACH + 1) if (y, x) != (0, 0)]
    other = np.stack([number[cell[:, 0] + y, cell[:, 1] + x] for y, x in near], 1)
    step = at[other] - at[:, None]
    length = np.sqrt((step**2).sum(-1)) + 1e-9
    forward = np.einsum("nkd,nd->nk", step, along) / length
    agree = np.abs(np.einsum("nkd,nd->nk", along[other], along))
    smooth = np.abs(np.einsum("nkd,nkd->nk", step, along[other])) / length
    cost = length * (1 + 2 * (1 - np.abs(forward)) + (1 - smooth) + (1 - agree))
    cost = np.where((other < 0) | (other == np.arange(len(at))[:, None]), np.inf, cost)
    cost = np.where((np.abs(forward) < 0.5) | (agree < 0.6), np.inf, cost)
    links = np.full((len(at), 2), -1)
    for side, ahead in enumerate((forward > 0, forward < 0)):
        of = np.where(ahead, cost, np.inf)
        best = of.argmin(1)
        each = np.arange(len(at))
        links[:, side] = np.where(np.isfinite(of[each, best]), other[each, best], -1)
    point, way = np.nonzero((links[links] == np.arange(len(at))[:, None, None]).any(-1) & (links >= 0))
    linked = links[point, way]
    ends, others = 2 * point + 1 - way, 2 * linked + (links[linked, 0] == point)
    return _concatenated([[n] for n in range(len(at))], dict(zip(ends.tolist(), others.tolist(), strict=True)), 3)


def _joined(chains: list[list[int]], at: Points) -> Iterator[list[int]]:
    """Join chains end to end across short gaps and slight turns, greedily, the smoothest joints first."""
    open_ones = [n for n, chain in enumerate(chains) if chain[0] != chain[-1]]
    yield from (chain for chain in chains if chain[0] == chain[-1])
    if not open_ones:
        return
    ends = [(n, e) for n in open_ones for e in (0, -1)]
    tip = np.array([at[chains[n][e]] for n, e in ends])
    back = np.array([at[chains[n][min(5, len(chains[n]) - 1) if e == 0 else -min(6, len(chains[n]))]] for n, e in ends])
    out = (tip - back) / (np.sqrt(((tip - back) ** 2).sum(1, keepdims=True)) + 1e-9)
    gap = tip[None] - tip[:, None]
    width = np.sqrt((gap**2).sum(-1)) + 1e-9
    leaving = np.einsum("ijd,id->ij", gap, out) / width
    onward = -(out @ out.T)
    straight = np.where(width < 2.5, np.maximum(leaving, 0.5), leaving)
    cost = width * (1 + 1.5 * (1 - straight) + 1.5 * (1 - onward))
    allowed = (width < GAP) & (straight > 0.4) & (straight.T > 0.4) & (onward > 0.3)
    first, second = np.nonzero(np.triu(allowed, 1))
    order = np.argsort(cost[first, second], kind="stable")
    partner: dict[int, int] = {}
    for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if i not in partner and j not in partner:
            partner[i], partner[j] = j, i
    yield from _concatenated([chains[n] for n in open_ones], partner)


def _concatenated(chains: list[list[int]], partner: dict[int, int], least: int = 0) -> Iterator[list[int]]:
    """Concatenate chains by `partner`, which pairs ends: 2n is the first point of chain n, 2n + 1 its last.

    A loop of more than `least` points ends at its start.
    """
    taken = [False] * len(chains)
    free = [end for end in range(2 * len(chains)) if end not in partner]
    for start in [*free, *range(0, 2 * len(chains), 2)]:
        if taken[start // 2]:
            continue
        path: list[int] = []
        end = start
        while end >= 0 and not taken[end // 2]:
            taken[end // 2] = True
            path += chains[end // 2] if end % 2 == 0 else chains[end // 2][::-1]
            end = partner.get(end ^ 1, -1)
        if end == start and len(path) > least:
            path.append(path[0])
        yield path


def simplified(points: Points, tolerance: float) -> Points:
    """Simplify a polyline (N, 2) so that all its points are within `tolerance` (Ramer-Douglas-Peucker algorithm)."""
    kept = np.zeros(len(points), bool)
    kept[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        a, b = spans.pop()
        if b - a < 2:
            continue
        chord, rest = points[b] - points[a], points[a + 1 : b] - points[a]
        width = float(np.hypot(*chord))
        away = np.abs(rest[:, 0] * chord[1] - rest[:, 1] * chord[0]) / width if width > 0 else np.hypot(*rest.T)
        far = int(away.argmax())
        if away[far] > tolerance:
            kept[a + 1 + far] = True
            spans += [(a, a + 1 + far), (a + 1 + far, b)]
    return points[kept]
