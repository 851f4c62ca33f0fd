"""Photos with masks, each with a sketch of what is masked and one of something else: Sketch World, or folders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ..lab.datasets.base import DatasetError, Sample, held_out, plain_name
from ..lab.datasets.segmentation import MaskFolder
from .galleries import drawings, not_trained_on

if TYPE_CHECKING:
    from ..io.images import ImageInput


WORLD = "world"
WORLD_SCENES = 10  # photos of each unseen category of Sketch World
FIRST_SKETCHED = 1000
HANDS = 5
CHOSEN_FROM = 500  # the first instance of those that no benchmark shows and no training draws
WORLD_CHOICES = 2  # photos of each seen category to choose a threshold from

Part = Literal["all", "chosen from", "measured"]

Chosen = TypeVar("Chosen")


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo, the mask (H, W) of what one category names in it, and two sketches."""

    category: str
    photo: ImageInput
    mask: Callable[[], npt.NDArray[np.bool_]]
    sketch: ImageInput  # of the category
    other: ImageInput  # of a category that the photo is not known to show


def scenes(data: str, sketches: Sequence[str] = (), part: Part = "all") -> Iterator[Scene]:
    """The scenes of "world" or of a segmentation folder, whose categories are drawn in the roots of `sketches`.

    `part` is for who chooses a threshold on some of them, or trains, and keeps apart what that may see: of Sketch World
    seen categories, of a folder the photos that training draws. Roots of sketches are Sketchy's or Quick, Draw!'s; of
    classes that are trained on, only held-out sketches are taken. Masked categories that nobody drew are left out;
    DatasetError if that is all.
    """
    if data != WORLD:
        return _folder_scenes(data, sketches, part)
    return world_scenes("seen", WORLD_CHOICES, CHOSEN_FROM) if part == "chosen from" else world_scenes()


def world_scenes(split: str = "unseen", count: int = WORLD_SCENES, first: int = 0) -> Iterator[Scene]:
    """Photos of Sketch World, with sketches of other instances by each hand in turn."""
    from ..world import World

    world = World(split=split)
    for place, category in enumerate(world.categories):
        for instance in range(first, first + count):
            step = 1 + (instance * 7 + place) % (len(world.categories) - 1)
            other = world.categories[(place + step) % len(world.categories)]
            shot, hand = world.photo(category, instance), (instance + place) % HANDS
            drawn = [world.sketch(name, FIRST_SKETCHED + instance, hand)[0] for name in (category, other)]
            asked, not_there = (picture[:, :, None].repeat(3, axis=2) for picture in drawn)
            yield Scene(category, shot.photo, lambda mask=shot.mask: mask, asked, not_there)  # type: ignore[misc]


def _folder_scenes(data: str, roots: Sequence[str], part: Part) -> Iterator[Scene]:
    folder = MaskFolder(data)
    drawn = _sketches(roots)
    there: dict[str, set[str]] = {}
    for pair in folder.pairs():
        there.setdefault(pair.photo.source, set()).add(plain_name(pair.photo.label))
    masked = {plain_name(category) for category in folder.categories}
    if not masked & set(drawn):
        raise DatasetError(f"{data}: no sketches of what its masks show; name roots of them with --sketches")
    for pair in folder.pairs():
        category = plain_name(pair.photo.label)
        if category not in drawn or (part != "all" and held_out(pair.photo.photo_id) != (part == "measured")):
            continue
        absent = set(drawn) - there[pair.photo.source]
        others = sorted(absent & masked) or sorted(absent)
        if not others:
            raise DatasetError(f"{pair.photo.source}: no sketches of anything that it does not show; add some")
        other = _one_of(others, f"{pair.photo.id} other")
        sketch, wrong = (_one_of(drawn[name], f"{pair.photo.id} {name}") for name in (category, other))
        yield Scene(category, pair.photo.source, pair.read_mask, sketch.source, wrong.source)


def _sketches(roots: Sequence[str]) -> dict[str, list[Sample]]:
    """Sketches by category that no training draws."""
    found: dict[str, list[Sample]] = {}
    for root in roots:
        for sample in drawings(root).sketches():
            if not_trained_on(sample):
                found.setdefault(plain_name(sample.label), []).append(sample)
    return found


def _one_of(choices: Sequence[Chosen], key: str) -> Chosen:
    """Choose by a hash, the same everywhere."""
    return choices[int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") % len(choices)]
