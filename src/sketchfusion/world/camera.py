"""From object coordinates to picture coordinates: viewpoint, placement, and what hides what."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .difficulty import Difficulty
from .figure import Figure, Landmark, Part
from .shapes import Points, inside, turn


@dataclass(frozen=True)
class Camera:
    """A viewpoint: mirrored, rotated, stretched, sheared, bent, in perspective; then the object's place in the picture.

    `fill` is the object's longer side and (x, y) its centre, as shares of the picture's side.
    """

    mirror: bool
    angle: float
    stretch: float
    shear: float
    bend: tuple[float, float]
    vanish: tuple[float, float]
    fill: float
    x: float
    y: float

    def astray(self, other: Camera, share: float) -> Camera:
        """This viewpoint, a share of the way to another one, mirrored as this one is."""
        own, theirs = (
            np.array([c.angle, c.stretch, c.shear, *c.bend, *c.vanish, c.fill, c.x, c.y]) for c in (self, other)
        )
        angle, stretch, shear, b0, b1, v0, v1, fill, x, y = (own + share * (theirs - own)).tolist()
        return Camera(self.mirror, angle, stretch, shear, (b0, b1), (v0, v1), fill, x, y)


@dataclass(frozen=True)
class Scene:
    """The parts and landmarks of a figure in picture coordinates (pixels), back to front."""

    parts: tuple[Part, ...]
    landmarks: dict[str, Landmark]


def choose_camera(
    rng: np.random.Generator, spin: float, fill: tuple[float, float], hard: Difficulty, effort: float = 1.0
) -> Camera:
    """Draw a viewpoint; `spin` is the category's largest rotation, `effort` scales all but the fill."""
    u = [2 * float(v) - 1 for v in rng.random(10)]
    skew, far = hard.skew * effort, hard.perspective * effort
    size = fill[0] + (fill[1] - fill[0]) * (u[7] + 1) / 2
    room = min(hard.off_centre, max(0.0, (1.02 - size) / 2))
    return Camera(
        mirror=u[0] < 2 * hard.mirror - 1,
        angle=u[1] * spin * hard.spin,
        stretch=1 + u[2] * skew,
        shear=u[3] * skew * 0.7,
        bend=(u[4] * skew * 0.5, u[5] * skew * 0.5),
        vanish=(u[6] * far, abs(u[5]) * far * 0.5),
        fill=size,
        x=0.5 + u[8] * room,
        y=0.5 + u[9] * room,
    )


def place(figure: Figure, camera: Camera, side: float) -> Scene:
    """Project a figure's parts and landmarks to pixels of a square picture; coordinates are rounded to 1e-4."""
    parts = figure.parts
    arrays = [p.outline for p in parts]
    count = len(arrays)
    for p in parts:
        arrays += [*p.strokes, *p.lines, *(m.outline for m in p.marks)]
    marks = list(figure.landmarks.values())
    arrays.append(np.array([[m.x, m.y] for m in marks]).reshape(-1, 2))
    moved = _project(np.concatenate(arrays), sum(len(a) for a in arrays[:count]), camera, side)
    ends = np.cumsum([len(a) for a in arrays]).tolist()
    pieces = iter([moved[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)])
    outlines = [next(pieces) for _ in parts]
    placed = [
        replace(
            p,
            outline=outline,
            strokes=tuple(next(pieces) for _ in p.strokes),
            lines=tuple(next(pieces) for _ in p.lines),
            marks=tuple(replace(m, outline=next(pieces)) for m in p.marks),
        )
        for p, outline in zip(parts, outlines, strict=True)
    ]
    spots = next(pieces)
    named = zip(figure.landmarks, marks, spots.tolist(), strict=True)
    return Scene(tuple(placed), {name: Landmark(x, y, m.part) for name, m, (x, y) in named})


def _project(points: Points, solid: int, camera: Camera, side: float) -> Points:
    """Points to pixels; the first `solid` of them (the outlines) define the object's box."""
    low, high = points[:solid].min(axis=0), points[:solid].max(axis=0)
    unit = (points - (low + high) / 2) * (2 / float((high - low).max()))
    x, y = unit[:, 0] * camera.stretch, unit[:, 1]
    x, y = x + camera.shear * y + camera.bend[0] * y * y, y + camera.bend[1] * x * y
    if camera.mirror:
        x = -x
    turned = turn(np.stack([x, y], axis=1), camera.angle)
    turned = turned / (1 + camera.vanish[0] * turned[:, :1] + camera.vanish[1] * turned[:, 1:])
    low, high = turned[:solid].min(axis=0), turned[:solid].max(axis=0)
    scale = camera.fill * side / float((high - low).max())
    placed: Points = np.round((turned - (low + high) / 2) * scale + np.array([camera.x, camera.y]) * side, 4)
    return placed


def hidden(
    points: Points, owner: NDArray[np.intp], merged: NDArray[np.bool_], scene: Scene, through: bool = False
) -> NDArray[np.bool_]:
    """Which points are covered: by a part in front (unless `through`) or, where `merged`, by their own group."""
    groups: dict[str, int] = {}
    group = np.array([groups.setdefault(p.group, len(groups)) for p in scene.parts])
    own_group = group[owner]
    found = np.zeros(len(points), dtype=bool)
    for j, part in enumerate(scene.parts):
        if not part.solid:
            continue
        candidates = np.flatnonzero(
            ~found & (((owner < j) & (not through)) | (merged & (own_group == group[j]) & (owner != j)))
        )
        if len(candidates):
            found[candidates] = inside(points[candidates], part.outline)
    return found


def landmark_hidden(scene: Scene) -> NDArray[np.bool_]:
    """Which landmarks lie behind a part of another group, in the order of `scene.landmarks`."""
    spots = scene.landmarks.values()
    found = np.zeros(len(scene.landmarks), dtype=bool)
    points = np.array([[m.x, m.y] for m in spots]).reshape(-1, 2)
    for i, m in enumerate(spots):
        group = scene.parts[m.part].group
        for part in scene.parts[m.part + 1 :]:
            if part.solid and part.group != group and inside(points[i : i + 1], part.outline)[0]:
                found[i] = True
                break
    return found
