"""Photos and the sketches of the very same things: Sketchy's file names say which, Sketch World knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..io.images import Kind
from ..lab.datasets.sketchy import is_added, photo_of
from .bank import Bank, world_banks
from .collect import Picture, collect_held_out, collect_photos, collect_sketches
from .pretrain.sources import STORED, decoded
from .roots import Roots

HELD_OUT_SEED = 1  # of the Sketch World that no training draws


def fewer(things: int) -> int:
    """How many are enough to validate on, where `things` are trained on."""
    return max(2, things // 15)


@dataclass(frozen=True)
class Instances:
    """Banks whose pictures carry two names: the category, and the thing itself, as "category/thing"."""

    photos: list[Bank]
    sketches: list[Bank]


def instances(roots: Roots, per_class: int) -> Instances:
    """Those to train on; at most `per_class` of a category from Sketch World."""
    photos, sketches = collect_photos(roots.paired), collect_sketches(roots.paired)
    return _instances(roots, photos, sketches, per_class, seed=0)


def held_out_instances(roots: Roots, per_class: int) -> Instances:
    """Those of the same categories that no training draws."""
    photos, sketches = (collect_held_out(roots.paired, kind) for kind in ("photo", "sketch"))
    return _instances(roots, photos, sketches, per_class, HELD_OUT_SEED)


def _instances(roots: Roots, photos: list[Picture], sketches: list[Picture], per_class: int, seed: int) -> Instances:
    found = Instances([], [])
    photos = [photo for photo in photos if not is_added(Path(photo.path))]
    if photos and sketches:
        found.photos.append(_bank(photos, "photo", roots.cache))
        found.sketches.append(_bank(sketches, "sketch", roots.cache))
    if roots.world:
        photo, sketch = world_banks(per_class, side=128, cache=roots.cache, seed=seed, of_photo=True)
        found.photos.append(_individual(photo))
        found.sketches.append(_individual(sketch))
    return found


def _bank(pictures: list[Picture], kind: Kind, cache: Path) -> Bank:
    return decoded([_identified(picture, kind) for picture in pictures], kind, STORED, cache)


def _identified(picture: Picture, kind: Kind) -> Picture:
    category, stem = picture.names[0], Path(picture.path).stem
    return Picture(picture.path, (category, f"{category}/{stem if kind == 'photo' else photo_of(stem)}"))


def _individual(bank: Bank) -> Bank:
    """World banks hold photo and sketch of one thing at the same place."""
    names: list[tuple[str, ...]] = [
        (category, f"{category}/world {place}") for place, (category, *_) in enumerate(bank.names)
    ]
    return replace(bank, names=names)
