"""Draw sketches in five styles ("hands"), from faithful to three strokes."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator as Rng

from ..io.strokes import Drawing
from .camera import Line, resample
from .shapes import Points, curve

CANVAS = 256.0


@dataclass(frozen=True)
class Hand:
    """A style of sketching. Lengths are in units of the 256-unit canvas."""

    detail: int  # the finest level drawn
    groups: int  # number of the largest groups of parts that are drawn
    keep: float  # share of the lines that are drawn
    most: int  # and their largest number
    sway: float  # bends strokes
    tremor: float  # shakes them
    drift: float  # displaces them
    spacing: float  # distance between points before the curve is smoothed
    slop: float  # error in proportions
    tilt: float  # scales skew and perspective
    double: float  # probability that a stroke is repeated
    pen: float  # width of the strokes
    whole: bool = False  # whether shapes are drawn completely even where others cover them


# detail, groups, keep, most, sway, tremor, drift, spacing, slop, tilt, double, pen
HANDS: tuple[Hand, ...] = (
    Hand(3, 99, 1.0, 90, 0.9, 0.15, 0.5, 6.0, 0.1, 0.6, 0.0, 2.4),  # faithful
    Hand(2, 40, 0.85, 40, 1.8, 0.35, 1.6, 9.0, 0.3, 0.8, 0.1, 2.8),  # brisk
    Hand(1, 16, 0.75, 20, 3.0, 0.5, 3.0, 13.0, 0.6, 1.0, 0.25, 2.4),  # loose
    Hand(1, 7, 0.7, 9, 3.4, 0.7, 3.6, 18.0, 0.9, 1.2, 0.1, 3.4),  # rough
    Hand(0, 4, 0.5, 3, 2.6, 0.4, 2.6, 22.0, 0.9, 1.0, 0.0, 3.6, whole=True),  # minimal
)


def draw(lines: list[Line], hand: Hand, rng: Rng, label: str, errors: float = 1.0) -> tuple[Drawing, set[str]]:
    """Sketch lines in a hand's style: the drawing, in a frame of 256 units, and the groups that were drawn."""
    strokes, groups = stroked(lines, hand, rng, errors)
    pen = hand.pen * (0.85 + 0.3 * float(rng.random()))
    rounded = tuple(np.round(np.clip(s[:, :2], 1.0, CANVAS - 1.0), 2).astype(np.float32) for s in strokes)
    return Drawing(rounded, CANVAS, CANVAS, label, (round(pen, 2),) * len(rounded)), groups


def stroked(lines: list[Line], hand: Hand, rng: Rng, errors: float = 1.0) -> tuple[list[Points], set[str]]:
    """Turn lines into strokes (N, 4) in drawing order, x and y as drawn and as meant; also give the groups drawn."""
    chosen = _choose(lines, hand, rng)
    strokes: list[Points] = []
    for line in chosen:
        stroke = _stroke(line, hand, rng, errors)
        strokes.append(stroke)
        if float(rng.random()) < hand.double * errors and line.length > 40:
            strokes.append(_repeat(stroke, rng))
    return strokes, {line.group for line in chosen}


def _choose(lines: list[Line], hand: Hand, rng: Rng) -> list[Line]:
    """Choose the most important lines, in drawing order: coarse detail first, then by length and chance."""
    luck = 0.75 + 0.5 * rng.random(len(lines))
    worth = [line.length * (1.0, 0.55, 0.4, 0.3)[line.detail] * float(u) for line, u in zip(lines, luck, strict=True)]
    count = min(hand.most, max(min(3, len(lines)), int(hand.keep * len(lines) + 0.5)))
    best = sorted(range(len(lines)), key=lambda i: -worth[i])[:count]
    return [lines[i] for i in sorted(best, key=lambda i: (lines[i].detail, -worth[i]))]


def _stroke(line: Line, hand: Hand, rng: Rng, errors: float) -> Points:
    points, length = resample(line.points, min(hand.spacing, max(line.length / 5, 3.0)))
    small = min(1.0, length / 60.0)
    knots = max(2, int(length / 30) + 1)
    sway = rng.standard_normal((knots, 2)) * (hand.sway * errors * small)
    wave = _wave(sway, np.linspace(0, 1, knots), np.linspace(0, 1, len(points)))
    shake = rng.standard_normal(points.shape) * (hand.tremor * errors)
    move = rng.standard_normal(2) * (hand.drift * errors * (0.4 + 0.6 * small))
    grow = 1 + float(rng.standard_normal()) * 0.012 * hand.drift * errors
    centre = points.mean(axis=0)
    points = np.concatenate([(points - centre) * grow + centre + wave + shake + move, points], axis=1)
    if len(points) > 2:
        points = curve(points, steps=3 if hand.spacing > 10 else 2)
    return points[::-1] if float(rng.random()) < 0.3 else points


def _repeat(stroke: Points, rng: Rng) -> Points:
    """Repeat part of a stroke, slightly displaced."""
    n = len(stroke)
    a = int(float(rng.random()) * n * 0.4)
    b = max(a + 3, int(n * (0.6 + 0.4 * float(rng.random()))))
    part = stroke[a:b].copy()
    wave = _wave(rng.standard_normal((4, 2)) * 2.2, np.arange(4.0), np.linspace(0, 3, len(part)))
    part[:, :2] = part[:, :2] + wave + 1.0
    return part


def _wave(knots: Points, where: Points, at: Points) -> Points:
    """Interpolate displacements (K, 2), which are known at `where`, linearly at `at`."""
    return np.stack([np.interp(at, where, knots[:, k]) for k in (0, 1)], axis=1)
