"""The frame of a four-legged animal, shared by every beast and pet: trunk, legs, eyes, ears, tails."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..figure import Figure, Mark, Paint
from ..shapes import Points, limb, smooth


@dataclass(frozen=True)
class Frame:
    """Half length and half height of the trunk, length and half-widths of the legs; the feet stand at y = `ground`."""

    length: float
    height: float
    leg: float
    thick: float
    foot: float
    stance: float = 0.72
    swing: float = 0.1

    @property
    def ground(self) -> float:
        return self.height * 0.5 + self.leg


def trunk(f: Figure, body: Frame, coat: Paint, marks: tuple[Mark, ...] = (), hump: float = 0.0) -> None:
    """The body with far legs behind it and near legs in front, all of one silhouette."""
    length, height = body.length, body.height
    _legs(f, body, coat.shaded(0.72), near=False)
    outline = [(length, -0.25 * height), (0.62 * length, -0.92 * height),
        (0.1 * length, -(0.9 + hump) * height), (-0.5 * length, -0.95 * height),
        (-0.95 * length, -0.6 * height), (-1.02 * length, 0.1 * height), (-0.62 * length, 0.78 * height),
        (0.1 * length, 0.95 * height), (0.75 * length, 0.7 * height)]
    f.add("body", smooth(outline), coat, group="coat", marks=marks)
    f.at("back", 0.0, -0.7 * height)
    f.at("rump", -0.85 * length, -0.2 * height)
    f.at("belly", 0.05 * length, 0.7 * height)
    _legs(f, body, coat, near=True)


def _legs(f: Figure, body: Frame, coat: Paint, near: bool) -> None:
    offset = -0.04 if near else 0.13
    for name, side in (("hind", -1), ("front", 1)):
        x = side * body.stance * body.length + offset
        swing = f.pose(-body.swing, body.swing)
        bend = -0.06 * body.leg if side < 0 else 0.03 * body.leg
        hip, foot = (x, 0.25 * body.height), (x + swing, body.ground)
        knee = ((hip[0] + foot[0]) / 2 + bend, (hip[1] * 0.42 + foot[1] * 0.58))
        widths = [body.thick * 1.35, body.thick * 0.85, body.foot]
        label = f"{name} {'leg' if near else 'far leg'}"
        f.add(label, limb([hip, knee, foot], widths), coat, group="coat" if near else "far legs",
            detail=0 if near else 1)
        if near:
            f.at(f"{name} knee", *knee)
            f.at(f"{name} foot", foot[0], foot[1])


def eye(f: Figure, x: float, y: float, r: float, white: bool = False) -> None:
    """An eye, with a white around it where the animal shows one."""
    if white:
        f.dot("eye white", x, y, r * 1.9, "white", detail=1)
    f.dot("eye", x, y, r, "black", detail=1)
    f.at("eye", x, y)


def leaf(base: tuple[float, float], tip: tuple[float, float], width: float, bend: float = 0.0) -> Points:
    """A pointed oval from base to tip: an ear, a leaf, a feather, a petal."""
    (x0, y0), (x1, y1) = base, tip
    dx, dy = x1 - x0, y1 - y0

    def place(t: float, side: float) -> tuple[float, float]:
        off = side * width + bend * t * (1 - t)
        return x0 + dx * t - dy * off, y0 + dy * t + dx * off

    right = smooth([place(0, 0), place(0.3, 0.42), place(0.65, 0.42), place(1, 0)], closed=False)
    left = smooth([place(1, 0), place(0.65, -0.42), place(0.3, -0.42), place(0, 0)], closed=False)
    return np.concatenate([right, left[1:-1]])


def horn(base: tuple[float, float], other: tuple[float, float], tip: tuple[float, float],
    bend: float) -> Points:
    """A curved spike on the foot from base to other; it bends sideways by `bend` of its length."""
    dx, dy = tip[0] - (base[0] + other[0]) / 2, tip[1] - (base[1] + other[1]) / 2

    def side(foot: tuple[float, float]) -> Points:
        knee = (foot[0] * 0.45 + tip[0] * 0.55 - dy * bend, foot[1] * 0.45 + tip[1] * 0.55 + dx * bend)
        return smooth([foot, knee, tip], closed=False)

    return np.concatenate([side(base), side(other)[-2::-1]])


def tail(f: Figure, points: list[tuple[float, float]], widths: list[float], coat: Paint,
    group: str = "coat") -> None:
    """A tail from its root (first point) to its tip."""
    f.add("tail", limb(points, widths), coat, group=group, detail=0)
    f.at("tail tip", *points[-1])
