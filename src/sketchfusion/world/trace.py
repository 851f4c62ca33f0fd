"""What a careful eye would draw of a scene: visible contours, joined into long strokes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import Scene, hidden
from .shapes import Points, inside

STEP = 4.0
SHORTEST = 5.0
DOT = 2.0
JOIN = 7.0


@dataclass(frozen=True, eq=False)
class Line:
    """A visible contour in canvas units, points `STEP` apart; `detail` 0 is essential, 3 is fine print."""

    points: Points
    group: str
    detail: int
    length: float


def resample(points: Points, step: float) -> tuple[Points, float]:
    """The polyline with points about `step` apart, and its length."""
    delta = np.diff(points, axis=0)
    along = np.concatenate([[0.0], np.cumsum(np.sqrt((delta * delta).sum(axis=1)))])
    total = float(along[-1])
    at = np.linspace(0.0, total, max(2, int(total / step + 0.5) + 1))
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1), total


def trace(scene: Scene, detail: int, groups: int, whole: bool = False) -> list[Line]:
    """Contours of the largest `groups` up to a level of detail; parts of a group are melted together.

    What other parts cover is left out, unless shapes are drawn `whole`.
    """
    scene = _simplified(scene, detail, groups)
    pieces: list[tuple[Points, int, int, bool, Points | None]] = []
    for i, part in enumerate(scene.parts):
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
    owner = np.repeat(np.array([p[1] for p in pieces]), counts)
    merged = np.repeat(np.array([p[3] for p in pieces]), counts)
    covered = hidden(np.concatenate(fine), owner, merged, scene, through=whole)
    lines: list[Line] = []
    start = 0
    for points, (_, i, level, _, clip) in zip(fine, pieces, strict=True):
        seen = ~covered[start : start + len(points)]
        start += len(points)
        if clip is not None:
            seen &= inside(points, clip)
        lines += [Line(run, scene.parts[i].group, level, length) for run, length in _runs(points, seen)]
    return _join(lines)


def _simplified(scene: Scene, detail: int, groups: int) -> Scene:
    """The scene without what is too fine or too small for the hand, so that it hides nothing either."""
    parts = [p for p in scene.parts if p.detail <= detail]
    extent: dict[str, float] = {}
    for part in parts:
        size = float(np.ptp(part.outline[:, 0]) + np.ptp(part.outline[:, 1]))
        extent[part.group] = max(extent.get(part.group, 0.0), size) + 0.05 * size
    kept = set(sorted(extent, key=lambda name: -extent[name])[:groups])
    return Scene(tuple(p for p in parts if p.group in kept), {})


def _runs(points: Points, seen: NDArray[np.bool_]) -> list[tuple[Points, float]]:
    if not seen.any():
        return []
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
    """Chain open lines of one group whose ends meet."""
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
    (hx, hy), (tx, ty) = chain.points[0].tolist(), chain.points[-1].tolist()
    if abs(hx - tx) + abs(hy - ty) < 1e-3:
        return None
    for index, other in enumerate(rest):
        (ax, ay), (bx, by) = other.points[0].tolist(), other.points[-1].tolist()
        if abs(tx - ax) + abs(ty - ay) < JOIN:
            return index, np.concatenate([chain.points, other.points])
        if abs(tx - bx) + abs(ty - by) < JOIN:
            return index, np.concatenate([chain.points, other.points[::-1]])
        if abs(hx - bx) + abs(hy - by) < JOIN:
            return index, np.concatenate([other.points, chain.points])
        if abs(hx - ax) + abs(hy - ay) < JOIN:
            return index, np.concatenate([other.points[::-1], chain.points])
    return None
