"""Sketch World: a synthetic data set that renders photos and sketches of an object, with labels for every task."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator as Rng
from numpy.typing import NDArray

from ..io.strokes import Drawing, rasterize
from .camera import Scene, choose_camera, landmark_hidden, place, trace
from .categories import CATEGORIES, Category
from .difficulty import DEFAULT, Difficulty
from .figure import Figure
from .hands import CANVAS, HANDS, draw
from .photo import photograph
from .scenery import choose_setting
from .shapes import inside

VERSION = 1
SEEN: tuple[str, ...] = tuple(sorted(c.name for c in CATEGORIES.values() if not c.unseen))
UNSEEN: tuple[str, ...] = tuple(sorted(c.name for c in CATEGORIES.values() if c.unseen))
SPLITS: dict[str, tuple[str, ...]] = {"all": tuple(sorted(CATEGORIES)), "seen": SEEN, "unseen": UNSEEN}


@dataclass(frozen=True)
class Keypoint:
    """A point in pixel coordinates (the centre of the first pixel is (0.5, 0.5)) and whether it is visible."""

    x: float
    y: float
    visible: bool


@dataclass(frozen=True, eq=False)
class Shot:
    """A photo (H, W, 3) uint8 of an instance, the mask (H, W) of the object's visible pixels, and keypoints by name."""

    photo: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    keypoints: dict[str, Keypoint]


@dataclass(frozen=True, eq=False)
class Pair:
    """A photo and a sketch of one instance, the photo's mask, the sketch's strokes, and keypoints of both by name.

    The photo is (H, W, 3), the sketch (H, W), both uint8; the mask (H, W) marks the object's visible pixels.
    """

    category: str
    instance: int
    hand: int
    photo: NDArray[np.uint8]
    sketch: NDArray[np.uint8]
    drawing: Drawing
    mask: NDArray[np.bool_]
    photo_keypoints: dict[str, Keypoint]
    sketch_keypoints: dict[str, Keypoint]


def check_categories(names: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return the names if all are categories; ValueError for the first that is not."""
    for name in names:
        if name not in CATEGORIES:
            raise ValueError(f"category {name!r} is unknown; choose from {', '.join(SPLITS['all'])}")
    return tuple(names)


class World:
    """Renders photos and sketches of the categories of a split, deterministically by the seed.

    The same (seed, category, instance, hand) gives the same strokes and coordinates on every machine.
    """

    def __init__(self, seed: int = 0, split: str = "all", size: int = 128, difficulty: Difficulty = DEFAULT) -> None:
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is unknown; choose from {', '.join(SPLITS)}")
        if not 16 <= size <= 1024:
            raise ValueError(f"size={size}: choose 16 to 1024 pixels")
        self.seed, self.size, self.difficulty = seed, size, difficulty
        self.categories: tuple[str, ...] = SPLITS[split]

    def pair(self, category: str, instance: int, hand: int = 0) -> Pair:
        """Render a photo and a sketch of an instance, in independent poses.

        Each `hand` gives another sketch; modulo 5 it selects the drawing style, 0 (faithful) to 4 (three strokes).
        """
        shot = self.photo(category, instance)
        sketch, drawing, points = self.sketch(category, instance, hand)
        return Pair(category, instance, hand, shot.photo, sketch, drawing, shot.mask, shot.keypoints, points)

    def photo(self, category: str, instance: int) -> Shot:
        """Render the photo of an instance with its mask and keypoints."""
        check_categories([category])
        kind, rng, hard = CATEGORIES[category], self._rng(category, instance, "photo"), self.difficulty
        figure = self._figure(kind, instance, rng)
        camera = choose_camera(rng, kind.spin, hard.photo_fill, hard)
        scene = place(figure, camera, float(self.size))
        setting = choose_setting(rng, kind.scene, hard)
        picture, mask, front = photograph(scene, setting, rng, self.size, hard)
        spots = [(name, np.array([[m.x, m.y]])) for name, m in scene.landmarks.items()]
        occluded = {name for name, spot in spots if any(inside(spot, part.outline)[0] for part in front)}
        return Shot(picture, mask, self._keypoints(scene, self.size, occluded))

    def sketch(
        self, category: str, instance: int, hand: int = 0, *, of_photo: bool = False
    ) -> tuple[NDArray[np.uint8], Drawing, dict[str, Keypoint]]:
        """Draw a sketch of an instance: raster (H, W) uint8 on white, strokes in drawing order, keypoints.

        With `of_photo` the sketch has the photo's pose and about its viewpoint, as in the Sketchy data set; otherwise
        pose and viewpoint are sampled independently of the photo. `hand` is as in `pair`.
        """
        if hand < 0:
            raise ValueError(f"hand={hand}: choose 0 (faithful) or more")
        check_categories([category])
        kind, hard, style = CATEGORIES[category], self.difficulty, HANDS[hand % len(HANDS)]
        rng = self._rng(category, instance, f"hand {hand} of the photo" if of_photo else f"hand {hand}")
        pose = self._rng(category, instance, "photo") if of_photo else rng
        figure = self._figure(kind, instance, pose, style.slop * hard.errors, rng if of_photo else None)
        camera = choose_camera(rng, kind.spin, hard.sketch_fill, hard, style.tilt)
        if of_photo:
            camera = choose_camera(pose, kind.spin, hard.sketch_fill, hard).astray(camera, hard.astray)
        scene = place(figure, camera, CANVAS)
        lines = trace(scene, style.detail, style.groups, style.whole)
        drawing, drawn = draw(lines, style, rng, category, hard.errors)
        picture = rasterize(drawing, self.size, margin=0.0)
        undrawn = {name for name, m in scene.landmarks.items() if scene.parts[m.part].group not in drawn}
        return picture, drawing, self._keypoints(scene, CANVAS, undrawn)

    def _rng(self, *keys: object) -> Rng:
        """Return a random generator that depends on the world's seed and the keys alone."""
        text = "\x1f".join(str(key) for key in (VERSION, self.seed, *keys))
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
        return Rng(np.random.PCG64(number))

    def _figure(self, kind: Category, instance: int, pose: Rng, slop: float = 0.0, errors: Rng | None = None) -> Figure:
        """Build an instance: its identity is fixed, its pose is drawn from `pose`.

        `slop` is the size of a sketch's errors in proportions, drawn from `errors`, or from `pose` if that is None.
        """
        figure = Figure(self._rng(kind.name, instance, "identity"), pose, slop, errors)
        kind.recipe(figure)
        return figure

    def _keypoints(self, scene: Scene, side: float, hidden: set[str]) -> dict[str, Keypoint]:
        """Return keypoints in pixels; not visible are those outside of `side`, behind the object, or `hidden`."""
        scale = self.size / side
        found: dict[str, Keypoint] = {}
        for (name, m), behind in zip(scene.landmarks.items(), landmark_hidden(scene).tolist(), strict=True):
            shown = 0 <= m.x < side and 0 <= m.y < side and not behind and name not in hidden
            found[name] = Keypoint(round(m.x * scale, 4), round(m.y * scale, 4), shown)
        return found
