"""Write Sketch World to disk, in the layout of the Sketchy Database plus masks, keypoints and strokes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..io.strokes import Drawing
from .world import UNSEEN, VERSION, Keypoint, World, check_categories

SCALING = "tx_000000000000"


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
        photos, sketches = (root / "256x256" / kind / SCALING / name for kind in ("photo", "sketch"))
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
            record: dict[str, Any] = {"photo": _points(shot.keypoints), "sketch": {}}
            for hand in range(hands):
                picture, drawing, points = world.sketch(name, instance, hand, of_photo=of_photo)
                Image.fromarray(picture).save(sketches / f"{stem}-{hand + 1}.png")
                record["sketch"][str(hand + 1)] = _points(points)
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


def _points(keypoints: dict[str, Keypoint]) -> dict[str, list[Any]]:
    return {name: [point.x, point.y, point.visible] for name, point in keypoints.items()}


def _ndjson(drawing: Drawing, key: str) -> str:
    strokes = [[[round(float(v), 2) for v in axis] for axis in stroke.T] for stroke in drawing.strokes]
    return json.dumps({"key_id": key, "word": drawing.label, "recognized": True, "drawing": strokes})
