"""Sketch World: a synthetic data set of photos and sketches with labels for every task, and its export to disk."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from PIL import Image

from ..io.strokes import Drawing, rasterize
from .camera import choose_camera, landmark_hidden, place, trace
from .categories import CATEGORIES, Category
from .difficulty import DEFAULT, Difficulty
from .figure import Figure, Landmarks, Part
from .hands import CANVAS, HANDS, draw
from .photo import photograph
from .scenery import choose_setting
from .shapes import inside

VERSION = 1
SEEN: tuple[str, ...] = tuple(sorted(c.name for c in CATEGORIES.values() if not c.unseen))
UNSEEN: tuple[str, ...] = tuple(sorted(c.name for c in CATEGORIES.values() if c.unseen))
SPLITS: dict[str, tuple[str, ...]] = {"all": tuple(sorted(CATEGORIES)), "seen": SEEN, "unseen": UNSEEN}


class Keypoint(NamedTuple):
    """A point in pixel coordinates (the centre of the first pixel is (0.5, 0.5)) and whether it is visible."""

    x: float
    y: float
    visible: bool


@dataclass(frozen=True, eq=False)
class Shot:
    """A photo (H, W, 3) uint8 of an instance, the mask (H, W) of the object's visible pixels, and keypoints by name."""

    photo: NDArray[np.uint8] = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    keypoints: dict[str, Keypoint]


@dataclass(frozen=True, eq=False)
class Pair:
    """A photo and a sketch of one instance, the photo's mask, the sketch's strokes, and keypoints of both by name.

    The photo is (H, W, 3), the sketch (H, W), both uint8; the mask (H, W) marks the object's visible pixels.
    """

    category: str
    instance: int
    hand: int
    photo: NDArray[np.uint8] = field(repr=False)
    sketch: NDArray[np.uint8] = field(repr=False)
    drawing: Drawing = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    photo_keypoints: dict[str, Keypoint] = field(repr=False)
    sketch_keypoints: dict[str, Keypoint] = field(repr=False)


def check_categories(names: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return the names if all are categories; ValueError for the first that is not."""
    for name in names:
        if name not in CATEGORIES:
            raise ValueError(f"category {name!r} is unknown; choose from {', '.join(SPLITS['all'])}")
    return tuple(names)


class World:
    """Renders photos and sketches of a split's categories; strokes and coordinates are the same on every machine."""

    def __init__(self, seed: int = 0, split: str = "all", size: int = 128, difficulty: Difficulty = DEFAULT) -> None:
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is unknown; choose from {', '.join(SPLITS)}")
        if not 16 <= size <= 1024:
            raise ValueError(f"size={size}: choose 16 to 1024 pixels")
        self.seed, self.size, self.difficulty = seed, size, difficulty
        self.categories: tuple[str, ...] = SPLITS[split]

    def pair(self, category: str, instance: int, hand: int = 0) -> Pair:
        """Render a photo and a sketch of an instance in independent poses; `hand` % 5 is the style, 0 the truest."""
        shot = self.photo(category, instance)
        sketch, drawing, points = self.sketch(category, instance, hand)
        return Pair(category, instance, hand, shot.photo, sketch, drawing, shot.mask, shot.keypoints, points)

    def photo(self, category: str, instance: int) -> Shot:
        """Render the photo of an instance with its mask and keypoints."""
        check_categories([category])
        kind, rng, hard = CATEGORIES[category], self._rng(category, instance, "photo"), self.difficulty
        figure = self._figure(kind, instance, rng)
        camera = choose_camera(rng, kind.spin, hard.photo_fill, hard)
        parts, landmarks = place(figure, camera, float(self.size))
        setting = choose_setting(rng, kind.scene, hard)
        picture, mask, front = photograph(parts, setting, rng, self.size, hard)
        spots = [(name, np.array([(x, y)])) for name, (x, y, _) in landmarks.items()]
        occluded = {name for name, spot in spots if any(inside(spot, part.outline)[0] for part in front)}
        return Shot(picture, mask, self._keypoints(parts, landmarks, self.size, occluded))

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
        parts, landmarks = place(figure, camera, CANVAS)
        lines = trace(parts, style.detail, style.groups, style.whole)
        drawing, drawn = draw(lines, style, rng, category, hard.errors)
        picture = rasterize(drawing, self.size, margin=0.0)
        undrawn = {name for name, (_, _, part) in landmarks.items() if parts[part].group not in drawn}
        return picture, drawing, self._keypoints(parts, landmarks, CANVAS, undrawn)

    def _rng(self, *keys: object) -> Rng:
        """Return a random generator that depends on the world's seed and the keys alone."""
        text = "\x1f".join(str(key) for key in (VERSION, self.seed, *keys))
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
        return Rng(np.random.PCG64(number))

    def _figure(self, kind: Category, instance: int, pose: Rng, slop: float = 0.0, errors: Rng | None = None) -> Figure:
        """Build an instance in a pose drawn from `pose`; `slop`, a sketch's errors, comes from `errors` or `pose`."""
        figure = Figure(self._rng(kind.name, instance, "identity"), pose, slop, errors)
        kind.recipe(figure)
        return figure

    def _keypoints(self, parts: list[Part], marks: Landmarks, side: float, hidden: set[str]) -> dict[str, Keypoint]:
        """Return keypoints in pixels; not visible are those outside of `side`, behind the object, or `hidden`."""
        scale = self.size / side
        found: dict[str, Keypoint] = {}
        for (name, (x, y, _)), behind in zip(marks.items(), landmark_hidden(parts, marks).tolist(), strict=True):
            shown = 0 <= x < side and 0 <= y < side and not behind and name not in hidden
            found[name] = Keypoint(round(x * scale, 4), round(y * scale, 4), shown)
        return found


def export(
    out: str | Path,
    seed: int = 0,
    categories: Sequence[str] | None = None,
    split: str = "all",
    instances: int = 10,
    size: int = 128,
    hands: int = 2,
    of_photo: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write photos, masks, keypoints, strokes and `hands` sketches each of `instances` objects per category.

    Under `out`: 256x256/photo/tx_000000000000/<class>/<id>.jpg and 256x256/sketch/tx_000000000000/<class>/<id>-K.png
    (Sketchy's folder names, whatever the size), mask/<class>/<id>.png, keypoints.json, strokes/<class>.ndjson and,
    written last, the card world.json, which is returned. Unlike in Sketchy, sketch and photo are not aligned; with
    `of_photo` they share the pose and, roughly, the viewpoint. `categories` overrides `split`; unknown names raise
    ValueError. `progress(done, total)` counts photos.
    """
    if instances < 1 or hands < 1:
        raise ValueError(f"instances={instances}, hands={hands}: both must be at least 1")
    world = World(seed, split, size)
    names = check_categories(list(categories)) if categories is not None else world.categories
    root = Path(out)
    # The card marks a complete folder, so an old one must not survive an interrupted run.
    (root / "world.json").unlink(missing_ok=True)
    keypoints: dict[str, dict[str, Any]] = {}
    done = 0
    for name in names:
        photos, sketches = (root / "256x256" / kind / "tx_000000000000" / name for kind in ("photo", "sketch"))
        masks, strokes = root / "mask" / name, root / "strokes"
        for folder in (photos, sketches, masks, strokes):
            folder.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        keypoints[name] = {}
        for instance in range(instances):
            stem = f"{name}_{instance:05d}"
            shot = world.photo(name, instance)
            Image.fromarray(shot.photo).save(photos / f"{stem}.jpg", quality=92)
            Image.fromarray(shot.mask.astype(np.uint8) * 255).save(masks / f"{stem}.png")
            record: dict[str, Any] = {"photo": shot.keypoints, "sketch": {}}
            for hand in range(hands):
                picture, drawing, points = world.sketch(name, instance, hand, of_photo=of_photo)
                Image.fromarray(picture).save(sketches / f"{stem}-{hand + 1}.png")
                record["sketch"][str(hand + 1)] = points
                lines.append(_ndjson(drawing, f"{stem}-{hand + 1}"))
            keypoints[name][stem] = record
            done += 1
            if progress is not None:
                progress(done, len(names) * instances)
        (strokes / f"{name}.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "keypoints.json").write_text(json.dumps(keypoints), encoding="utf-8")
    card = {
        "name": "Sketch World", "version": VERSION, "seed": seed, "size": size, "instances": instances, "hands": hands,
        "categories": list(names), "unseen": [name for name in names if name in UNSEEN], "photos": done,
        "of photo": of_photo, "sketches": done * hands, "difficulty": json.loads(json.dumps(asdict(world.difficulty))),
    }  # fmt: skip
    (root / "world.json").write_text(json.dumps(card, indent=1), encoding="utf-8")
    return card


def _ndjson(drawing: Drawing, key: str) -> str:
    strokes = [[[round(float(v), 2) for v in axis] for axis in stroke.T] for stroke in drawing.strokes]
    return json.dumps({"key_id": key, "word": drawing.label, "recognized": True, "drawing": strokes})
