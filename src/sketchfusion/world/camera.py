"""Project objects from a viewpoint to the picture, and trace the contours that stay visible."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.random import Generator as Rng
from numpy.typing import NDArray

from .difficulty import Difficulty
from .figure import Figure, Landmarks, Part
from .shapes import Points, inside, turn

# Contours, in canvas units
STEP = 4.0  # distance between points
SHORTEST = 5.0  # length below which a visible piece is dropped
DOT = 2.0  # the same for a closed contour that is visible completely
JOIN = 7.0  # distance between ends below which lines are joined


class Camera(NamedTuple):
    """A viewpoint, the object's centre (x, y) and longer side `fill` as shares of the picture; `angle` in degrees."""

    mirror: bool
    angle: float
    stretch: float
    shear: float
    bend_x: float
    bend_y: float
    vanish_x: float
    vanish_y: float
    fill: float
    x: float
    y: float

    def astray(self, other: "Camera", share: float) -> "Camera":
        """Move this viewpoint by a share of the way to another one, keeping the mirroring."""
        moved = (own + share * (their - own) for own, their in zip(self[1:], other[1:], strict=True))
        return Camera(self.mirror, *moved)


def choose_camera(rng: Rng, spin: float, fill: tuple[float, float], hard: Difficulty, effort: float = 1.0) -> Camera:
    """Sample a viewpoint; `spin` is the largest rotation in degrees, `effort` scales skew and perspective."""
    u = [2 * float(v) - 1 for v in rng.random(10)]
    skew, far = hard.skew * effort, hard.perspective * effort
    size = fill[0] + (fill[1] - fill[0]) * (u[7] + 1) / 2
    room = min(hard.off_centre, max(0.0, (1.02 - size) / 2))
    return Camera(
        mirror=u[0] < 2 * hard.mirror - 1,
        angle=u[1] * spin * hard.spin,
        stretch=1 + u[2] * skew,
        shear=u[3] * skew * 0.7,
        bend_x=u[4] * skew * 0.5,
        bend_y=u[5] * skew * 0.5,
        vanish_x=u[6] * far,
        vanish_y=abs(u[5]) * far * 0.5,
        fill=size,
        x=0.5 + u[8] * room,
        y=0.5 + u[9] * room,
    )


def place(figure: Figure, camera: Camera, side: float) -> tuple[list[Part], Landmarks]:
    """Project a figure's parts, back to front, and landmarks to pixels of a square picture, rounded to 1e-4."""
    parts, landmarks = figure.parts, figure.landmarks
    arrays = [p.outline for p in parts]
    for p in parts:
        arrays += [*p.strokes, *p.lines, *(m.outline for m in p.marks)]
    arrays.append(np.array([(x, y) for x, y, _ in landmarks.values()]).reshape(-1, 2))
    moved = _project(np.concatenate(arrays), sum(len(p.outline) for p in parts), camera, side)
    pieces = iter(np.split(moved, np.cumsum([len(a) for a in arrays[:-1]])))
    placed = [replace(p, outline=next(pieces)) for p in parts]
    for i, p in enumerate(placed):
        strokes, lines = (tuple(next(pieces) for _ in of) for of in (p.strokes, p.lines))
        marks = tuple(replace(m, outline=next(pieces)) for m in p.marks)
        placed[i] = replace(p, strokes=strokes, lines=lines, marks=marks)
    spots = zip(landmarks.items(), next(pieces).tolist(), strict=True)
    return placed, {name: (x, y, part) for (name, (_, _, part)), (x, y) in spots}


def _project(points: Points, solid: int, camera: Camera, side: float) -> Points:
    """Project points (N, 2) to pixels; the first `solid` of them, the outlines, define the object's box."""
    low, high = points[:solid].min(axis=0), points[:solid].max(axis=0)
    unit = (points - (low + high) / 2) * (2 / float((high - low).max()))
    x, y = unit[:, 0] * camera.stretch, unit[:, 1]
    x, y = x + camera.shear * y + camera.bend_x * y * y, y + camera.bend_y * x * y
    if camera.mirror:
        x = -x
    turned = turn(np.stack([x, y], axis=1), camera.angle)
    turned = turned / (1 + camera.vanish_x * turned[:, :1] + camera.vanish_y * turned[:, 1:])
    low, high = turned[:solid].min(axis=0), turned[:solid].max(axis=0)
    scale = camera.fill * side / float((high - low).max())
    placed: Points = (turned - (low + high) / 2) * scale + (camera.x * side, camera.y * side)
    return placed.round(4)


def _stacking(parts: list[Part], owner: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark which parts are in front of each point's part, and which are of its group: two tables (parts, points)."""
    group = np.unique([p.group for p in parts], return_inverse=True)[1]
    return np.arange(len(group))[:, None] > owner, group[:, None] == group[owner]


def _covered(points: Points, parts: list[Part], by: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the points that lie inside a solid part; `by` (parts, points) says which parts can cover a point."""
    found = np.zeros(len(points), dtype=bool)
    for part, candidates in zip(parts, by, strict=True):
        near = np.flatnonzero(candidates & ~found) if part.solid else ()
        if len(near):
            found[near] = inside(points[near], part.outline)
    return found


def landmark_hidden(parts: list[Part], landmarks: Landmarks) -> NDArray[np.bool_]:
    """Mark the landmarks that lie behind a part of another group, in their order."""
    spots = landmarks.values()
    front, kin = _stacking(parts, np.array([part for _, _, part in spots]))
    return _covered(np.array([(x, y) for x, y, _ in spots]), parts, front & ~kin)


@dataclass(frozen=True, eq=False)
class Line:
    """A visible contour in canvas units, points `STEP` apart; `detail` 0 is essential, 3 the finest."""

    points: Points
    group: str
    detail: int
    length: float


def resample(points: Points, step: float) -> tuple[Points, float]:
    """Resample a polyline to points about `step` apart; also returns its length."""
    delta = np.diff(points, axis=0)
    along = np.concatenate([[0.0], np.cumsum(np.sqrt((delta * delta).sum(axis=1)))])
    total = float(along[-1])
    at = np.linspace(0.0, total, max(2, int(total / step + 0.5) + 1))
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1), total


def trace(parts: list[Part], detail: int, groups: int, whole: bool = False) -> list[Line]:
    """Trace contours of the largest `groups` up to a level of detail, without hidden parts unless drawn `whole`."""
    parts = _simplified(parts, detail, groups)
    pieces: list[tuple[Points, int, int, bool, Points | None]] = []
    for i, part in enumerate(parts):
        pieces += [(s, i, part.detail, True, None) for s in part.strokes]
        if part.detail + 1 <= detail or not part.strokes:
            pieces += [(s, i, max(part.detail, 1), False, None) for s in part.lines]
        if part.detail + 2 <= detail:
            closed = [np.concatenate([m.outline, m.outline[:1]]) for m in part.marks if m.drawn]
            pieces += [(s, i, 2, False, part.outline) for s in closed]
    if not pieces:
        return []
    fine = [resample(piece[0], STEP)[0] for piece in pieces]
    counts = [len(p) for p in fine]
    owner = np.repeat([p[1] for p in pieces], counts)
    merged = np.repeat([p[3] for p in pieces], counts)
    front, kin = _stacking(parts, owner)
    itself = np.arange(len(parts))[:, None] == owner
    covered = _covered(np.concatenate(fine), parts, (front & (not whole)) | (merged & kin & ~itself))
    visible = np.split(~covered, np.cumsum(counts[:-1]))
    lines: list[Line] = []
    for points, seen, (_, i, level, _, clip) in zip(fine, visible, pieces, strict=True):
        if clip is not None:
            seen &= inside(points, clip)
        lines += [Line(run, parts[i].group, level, length) for run, length in _runs(points, seen)]
    return _join(lines)


def _simplified(parts: list[Part], detail: int, groups: int) -> list[Part]:
    """Remove the parts that are too fine or too small for the hand, so that they hide nothing either."""
    parts = [p for p in parts if p.detail <= detail]
    extent: dict[str, float] = {}
    for part in parts:
        size = float(np.ptp(part.outline[:, 0]) + np.ptp(part.outline[:, 1]))
        extent[part.group] = max(extent.get(part.group, 0.0), size) + 0.05 * size
    kept = set(sorted(extent, key=lambda name: -extent[name])[:groups])
    return [p for p in parts if p.group in kept]


def _runs(points: Points, seen: NDArray[np.bool_]) -> list[tuple[Points, float]]:
    closed = bool((np.abs(points[0] - points[-1]) < 1e-3).all())
    if closed and not seen.all():
        gap = int(np.flatnonzero(~seen)[0])
        points = np.concatenate([points[gap:-1], points[: gap + 1]])
        seen = np.concatenate([seen[gap:-1], seen[: gap + 1]])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8)))
    runs = []
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        run = points[max(a - 1, 0) : min(b + 1, len(points))]
        delta = np.diff(run, axis=0)
        length = float(np.sqrt((delta * delta).sum(axis=1)).sum())
        whole = closed and b - a == len(points)
        if b - a > 1 and length >= (DOT if whole else SHORTEST):
            runs.append((run, length))
    return runs


def _join(lines: list[Line]) -> list[Line]:
    """Join open lines of one group and detail whose ends meet."""
    done: list[Line] = []
    by_group: dict[tuple[str, int], list[Line]] = {}
    for line in lines:
        by_group.setdefault((line.group, line.detail), []).append(line)
    for rest in by_group.values():
        while rest:
            chain = rest.pop(0)
            while (found := _meeting(chain, rest)) is not None:
                index, points = found
                chain = Line(points, chain.group, chain.detail, chain.length + rest.pop(index).length)
            done.append(chain)
    return done


def _meeting(chain: Line, rest: list[Line]) -> tuple[int, Points] | None:
    """Find a line of the rest that meets an end of an open one: its index, and both lines as one."""
    (hx, hy), (tx, ty) = chain.points[0].tolist(), chain.points[-1].tolist()
    if abs(hx - tx) + abs(hy - ty) < 1e-3:
        return None
    for index, other in enumerate(rest):
        own, theirs = chain.points, other.points
        for first, second in ((own, theirs), (own, theirs[::-1]), (theirs, own), (theirs[::-1], own)):
            (ax, ay), (bx, by) = first[-1].tolist(), second[0].tolist()
            if abs(ax - bx) + abs(ay - by) < JOIN:
                return index, np.concatenate([first, second])
    return None
