"""Pseudo-sketches: contours of real photos as Sketch World's simulated hands draw them, with exact point matches.

Contours are simplified into strokes and drawn with wobble, missing and repeated strokes, and wrong proportions. The
amount of ink is random. Photos of unseen classes are never drawn.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...io.files import Arrays, cached_arrays
from ...io.strokes import Drawing, rasterize
from ...world.camera import Line
from ...world.hands import CANVAS, HANDS, Hand, stroked
from ...world.shapes import Points
from .bank import PictureArray
from .contours import Contour, contours, simplified
from .labelled import POINTS, PointPairs

VERSION = 1  # of the drawing algorithm; part of the cache's key
INK = (2.0, 9.0)  # range of the total length of strokes, in sides of the picture
HAND_SHARES = (0.35, 0.3, 0.2, 0.1, 0.05)  # probability of each hand, the most faithful first
SCALE = (1.2, 2.4)  # range of the `scale` of `contours`
FAINT = 0.08  # share of the best contour's weight below which a contour is never drawn
TOLERANCE = 1.2  # of the simplification of contours, in units of the 256-unit canvas
FILLED = 0.5  # probability that a sketch is scaled to fill the frame, as in Quick, Draw!; else it stays in place
MARGIN = 0.06  # around those that fill the frame


@dataclass(frozen=True, eq=False)
class PseudoSketch:
    """Strokes (N, 4) in drawing order: x, y in the sketch, then in the photo, as shares of the picture's side."""

    strokes: tuple[Points, ...]

    def raster(self, side: int) -> NDArray[np.uint8]:
        """Rasterise to (side, side): dark lines on white, as wide as those of the Sketchy Database."""
        return rasterize(Drawing(tuple(s[:, :2].astype(np.float32) for s in self.strokes), 1.0, 1.0), side, margin=0.0)

    def points(self, count: int, rng: np.random.Generator) -> Points:
        """Sample points (count, 4) uniformly at random along the strokes; ValueError if there are none."""
        if not self.strokes:
            raise ValueError("a blank page has no points; draw a photo that has contours")
        start = np.concatenate([s[:-1] for s in self.strokes])
        step = np.concatenate([np.diff(s, axis=0) for s in self.strokes])
        length = np.hypot(step[:, 0], step[:, 1]) + 1e-12
        chosen = rng.choice(len(step), count, p=length / length.sum())
        points: Points = start[chosen] + rng.random((count, 1)) * step[chosen]
        return points


def pseudo_sketch(photo: NDArray[np.uint8], rng: np.random.Generator) -> PseudoSketch:
    """Find the contours of a photo (3, S, S) and draw them with a random hand and a random amount of ink."""
    ink = float(np.exp(rng.uniform(*np.log(INK))))
    found = contours(photo, float(rng.uniform(*SCALE)))
    return drawn(found, HANDS[int(rng.choice(len(HANDS), p=HAND_SHARES))], ink, rng)


def drawn(found: list[Contour], hand: Hand, ink: float, rng: np.random.Generator) -> PseudoSketch:
    """Draw the best contours with a hand, about `ink` sides of the picture long, of which the hand leaves some out."""
    strokes, _ = stroked(_lines(found, ink), hand, rng)
    if not strokes:
        return PseudoSketch(())
    placed = _placed(strokes, hand, rng)
    in_photo = [stroke[:, 2:] / CANVAS for stroke in strokes]
    return PseudoSketch(tuple(np.concatenate(pair, axis=1) for pair in zip(placed, in_photo, strict=True)))


def _lines(found: list[Contour], ink: float) -> list[Line]:
    """Simplify the best contours into lines until `ink` is used up; their level of detail goes from 0 to 2 (fine)."""
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
    """Rotate, shear, stretch and bend the whole sketch; place it on the page, filled with probability `FILLED`."""
    points = np.concatenate([stroke[:, :2] for stroke in strokes]) / CANVAS - 0.5
    angle = rng.normal() * 0.05 * hand.tilt
    skew, stretch = rng.normal(size=2) * 0.08 * (0.4 + hand.slop)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = points @ turned @ np.array([[np.exp(stretch), 0.0], [skew, np.exp(-stretch)]])
    points = points + _displacement(points, rng.normal(size=(2, 3, 3)) * 0.05 * hand.slop)
    low, high = points.min(0), points.max(0)
    room = 1 - 2 * MARGIN
    if rng.random() < FILLED or (high - low).max() > room:
        points = (points - (low + high) / 2) * room / max(float((high - low).max()), 1e-6) + 0.5
    else:
        points = points + np.clip(0.5, MARGIN - low, 1 - MARGIN - high)
    return np.split(points, np.cumsum([len(stroke) for stroke in strokes])[:-1])


def _displacement(points: Points, waves: NDArray[np.float64]) -> Points:
    """Return a smooth displacement (N, 2) of points: a sum of low-frequency cosines of amplitudes `waves` (2, 3, 3)."""
    x, y = (np.cos(np.pi * np.arange(3) * (points[:, [k]] + 0.5)) for k in (0, 1))
    bent: Points = np.einsum("knm,pn,pm->pk", waves / (1 + np.add.outer(np.arange(3), np.arange(3))), y, x)
    return bent


def pseudo_points(photos: PictureArray, cache: Path, per_class: int, drawings: int = 1, seed: int = 0) -> PointPairs:
    """Pair the first `per_class` photos of each seen class with `drawings` pseudo-sketches each, kept in `cache`.

    Drawings without strokes are left out.
    """
    seen = set(photos.seen)
    chosen = sorted({n for of in photos.by_name.values() for n in [m for m in of if m in seen][:per_class]})
    side = photos.pixels.shape[-1]
    content = hashlib.sha256(photos.pixels[chosen].tobytes()).hexdigest()
    settings = (VERSION, INK, HAND_SHARES, SCALE, FAINT, TOLERANCE, FILLED, MARGIN, drawings, seed)
    key = hashlib.sha256(f"{content} {settings}".encode()).hexdigest()[:16]
    path = cache / f"pseudo-{side}-{len(chosen)}-{drawings}-{key}.npz"
    kept = cached_arrays(path, lambda: _draw_all(photos, chosen, drawings, seed))
    sketches, rows, points = kept["sketches"], kept["rows"], torch.from_numpy(kept["points"])
    pairs = photos.at([chosen[row] for row in rows])
    return PointPairs(
        PictureArray("sketch", sketches, pairs.names, photos.device),
        pairs,
        points[..., :2],
        points[..., 2:],
        torch.ones(points.shape[:2], dtype=torch.bool),
    )


def _draw_all(photos: PictureArray, chosen: list[int], drawings: int, seed: int) -> Arrays:
    side = photos.pixels.shape[-1]
    sketches, rows, points = [], [], []
    for row, place in enumerate(chosen):
        photo = np.asarray(photos.pixels[place])
        for drawing in range(drawings):
            # seeded by its content, so that a photo is drawn the same whichever others there are
            rng = np.random.default_rng([seed, zlib.crc32(photo.tobytes()), drawing])
            sketch = pseudo_sketch(photo, rng)
            if sketch.strokes:
                sketches.append(sketch.raster(side)[None])
                rows.append(row)
                points.append(sketch.points(POINTS, rng))
    return {
        "sketches": np.array(sketches, np.uint8).reshape(-1, 1, side, side),
        "rows": np.array(rows, np.int64),
        "points": np.array(points, np.float32).reshape(-1, POINTS, 4),
    }
