"""Curves of Sketch World: points (N, 2) float64, x to the right, y down.

Only sums, products and square roots are used, and sine and cosine are rounded, so that every machine computes the
same numbers.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


@lru_cache(maxsize=64)
def _basis(steps: int) -> tuple[Points, ...]:
    t = np.arange(steps) / steps
    return (
        (-t + 2 * t * t - t * t * t)[None, :, None] / 2,
        (2 - 5 * t * t + 3 * t * t * t)[None, :, None] / 2,
        (t + 4 * t * t - 3 * t * t * t)[None, :, None] / 2,
        (-t * t + t * t * t)[None, :, None] / 2,
    )


def _interpolated(steps: int, *around: Points) -> Points:
    """Interpolate between two points in the middle of four, for each of N pieces: four arrays (N, D)."""
    first, second, third, fourth = (weight * p[:, None] for weight, p in zip(_basis(steps), around, strict=True))
    return (first + second + third + fourth).reshape(-1, around[0].shape[1])


def smooth(points: ArrayLike) -> Points:
    """Interpolate a closed Catmull-Rom curve through points (N, D)."""
    p = np.asarray(points, dtype=np.float64)
    return _interpolated(6, np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0))


def curve(points: ArrayLike, steps: int = 6) -> Points:
    """Interpolate an open Catmull-Rom curve through points (N, D)."""
    p = np.asarray(points, dtype=np.float64)
    padded = np.concatenate([p[:1], p, p[-1:]])
    return np.concatenate([_interpolated(steps, padded[:-3], p[:-1], p[1:], padded[3:]), p[-1:]])


def mirrored(*right: tuple[float, float]) -> Points:
    """Make a polygon of its right half and the mirror image in x = 0; the first point is the left one of two."""
    outline = np.array([*right, *((-x, y) for x, y in reversed(right) if x != 0)], dtype=np.float64)
    return np.roll(outline, 1, axis=0) if right[0][0] else outline


def flipped(line: Points) -> Points:
    """Return the mirror image of a line in the line x = 0, from its last point to its first."""
    return line[::-1] * (-1, 1)


def path(*pieces: tuple[float, float] | Points) -> Points:
    """Make a polygon or an open line with straight edges through points and lines (N, 2), in their order."""
    return np.concatenate([np.asarray(piece, dtype=np.float64).reshape(-1, 2) for piece in pieces])


@lru_cache(maxsize=512)
def _unit_arc(start: float, stop: float, count: int) -> Points:
    angle = np.linspace(start, stop, count) * (np.pi / 180)
    return np.round(np.stack([np.cos(angle), np.sin(angle)], axis=1), 12)


def turn(points: Points, degrees: float, about: tuple[float, float] = (0.0, 0.0)) -> Points:
    """Rotate points by degrees, clockwise on the screen."""
    radians, (cx, cy) = degrees * (np.pi / 180), about
    cos, sin = round(float(np.cos(radians)), 12), round(float(np.sin(radians)), 12)
    x, y = points[:, 0] - cx, points[:, 1] - cy
    return np.stack([cx + cos * x - sin * y, cy + sin * x + cos * y], axis=1)


def shift(points: Points, dx: float, dy: float, sx: float = 1.0, sy: float | None = None) -> Points:
    """Scale points by (sx, sy) about the origin, then move them by (dx, dy)."""
    return points * (sx, sx if sy is None else sy) + (dx, dy)


def arc(cx: float, cy: float, rx: float, ry: float, start: float, stop: float, count: int = 16) -> Points:
    """Make an open elliptical arc from start to stop degrees (0 = right, 90 = down)."""
    return _unit_arc(start, stop, count) * (rx, ry) + (cx, cy)


def ellipse(cx: float, cy: float, rx: float, ry: float | None = None, angle: float = 0.0) -> Points:
    """Make an ellipse (28 points), rotated by angle degrees about its centre."""
    points = arc(cx, cy, rx, rx if ry is None else ry, 0, 360, 29)[:-1]
    return turn(points, angle, (cx, cy)) if angle else points


def ring(cx: float, cy: float, outer: float, inner: float) -> Points:
    """Make an annulus as one polygon with a seam; its hole is empty."""
    return np.concatenate([arc(cx, cy, outer, outer, 0, 360, 33), arc(cx, cy, inner, inner, 360, 0, 33)])


def box(x0: float, y0: float, x1: float, y1: float, r: float = 0.0) -> Points:
    """Make a rectangle with corners rounded by radius r."""
    if r <= 0:
        return path((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    corners = ((x1 - r, y0 + r, -90), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180))
    return np.concatenate([arc(x, y, r, r, a, a + 90, 5) for x, y, a in corners])


def limb(points: ArrayLike, widths: Sequence[float], steps: int = 5) -> Points:
    """Make a tube of half-widths around a smooth centre line, with round ends, such as a leg or a handle."""
    spine = curve(np.column_stack([points, widths]), steps)
    centre, width = spine[:, :2], np.maximum(spine[:, 2:], 1e-4)
    tangent = np.gradient(centre, axis=0)
    length = np.sqrt((tangent * tangent).sum(axis=1, keepdims=True))
    tangent = tangent / np.maximum(length, 1e-9)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    fan = _unit_arc(0, 180, 7)[1:-1]
    last = centre[-1] + width[-1] * (fan[:, :1] * normal[-1] + fan[:, 1:] * tangent[-1])
    first = centre[0] + width[0] * (-fan[:, :1] * normal[0] - fan[:, 1:] * tangent[0])
    return np.concatenate([centre + normal * width, last, (centre - normal * width)[::-1], first])


def leaf(base: tuple[float, float], tip: tuple[float, float], width: float, bend: float = 0.0) -> Points:
    """Make a pointed oval from base to tip, such as an ear, a leaf or a feather."""
    (x0, y0), (x1, y1) = base, tip
    dx, dy = x1 - x0, y1 - y0

    def place(t: float, side: float) -> tuple[float, float]:
        off = side * width + bend * t * (1 - t)
        return x0 + dx * t - dy * off, y0 + dy * t + dx * off

    right = curve([place(0, 0), place(0.3, 0.42), place(0.65, 0.42), place(1, 0)])
    left = curve([place(1, 0), place(0.65, -0.42), place(0.3, -0.42), place(0, 0)])
    return np.concatenate([right, left[1:-1]])


def cloud(cx: float, cy: float, rx: float, ry: float, bumps: int, depth: float = 0.16) -> Points:
    """Make an ellipse with a scalloped edge, such as wool, foliage or smoke."""
    t = np.linspace(0, 1, bumps * 6, endpoint=False)
    scallop = np.abs(np.round(np.sin(t * np.pi * bumps), 12))
    unit = _unit_arc(0, 360, bumps * 6 + 1)[:-1]
    return unit * ((1 - depth) + depth * scallop[:, None]) * (rx, ry) + (cx, cy)


def inside(points: Points, polygon: Points) -> NDArray[np.bool_]:
    """Mark the points (N, 2) inside the polygon, by the even-odd rule."""
    found = np.zeros(len(points), dtype=bool)
    near = np.flatnonzero(((points >= polygon.min(axis=0)) & (points <= polygon.max(axis=0))).all(axis=1))
    if len(near) == 0:
        return found
    x, y = points[near, :1], points[near, 1:]
    x0, y0 = polygon[:, 0], polygon[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    rise = y1 - y0
    slope = (x1 - x0) / np.where(rise == 0, 1.0, rise)
    crossing = ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * slope)
    found[near] = crossing.sum(axis=1) % 2 == 1
    return found
