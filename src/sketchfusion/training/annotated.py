"""Sketch World with what dense tasks need: masks of the photos, and the keypoints of photo and sketch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..io.files import Arrays, archived
from .bank import Bank, world_banks

POINTS = 16  # of a pair at most; no category has more that are worth matching
HANDS = 4  # of `world_banks`, one thing after the other


@dataclass(frozen=True, eq=False)
class PointPairs:
    """Sketches and photos, place by place, with points that mean the same, x and y in sides of the square."""

    sketches: Bank
    photos: Bank
    sketch_points: Tensor  # (N, POINTS, 2)
    photo_points: Tensor  # (N, POINTS, 2)
    visible: Tensor  # (N, POINTS) bool, in both


@dataclass(frozen=True, eq=False)
class Masked:
    """Photos and where in them the thing is that they are named after."""

    photos: Bank  # whose names are all that is known to be there
    masks: np.ndarray  # (N, S, S) uint8: BACKGROUND, THING or OUTSIDE
    names: list[str]  # N


BACKGROUND, THING, OUTSIDE = 0, 1, 2  # outside the photo is padding, which counts as neither


def world_points(things: int, side: int, cache: Path, seed: int = 0) -> PointPairs:
    """Photos and sketches of the seen categories, `things` of each, with the keypoints that both show."""
    photos, sketches = world_banks(things, side, cache, seed)
    labels = _labels(things, side, cache, seed)
    points, visible = torch.from_numpy(labels["points"]), torch.from_numpy(labels["visible"])
    return PointPairs(sketches, photos, points[:, 1], points[:, 0], visible)


def world_masks(things: int, side: int, cache: Path, seed: int = 0) -> Masked:
    """The same photos with their masks."""
    photos, _ = world_banks(things, side, cache, seed)
    return Masked(photos, _labels(things, side, cache, seed)["masks"], [names[0] for names in photos.names])


def _labels(things: int, side: int, cache: Path, seed: int) -> Arrays:
    """Masks (N, side, side), points (N, photo and sketch, POINTS, 2) and visible (N, POINTS) of `world_banks`."""
    path = cache / f"world-labels-{side}-{seed}-{things}.npz"
    return archived(path, lambda: _labelled(things, side, seed))


def _labelled(things: int, side: int, seed: int) -> Arrays:
    from ..world import World

    world = World(seed=seed, split="seen", size=side)
    count = len(world.categories) * things
    masks = np.zeros((count, side, side), np.uint8)
    points, visible = np.zeros((count, 2, POINTS, 2), np.float32), np.zeros((count, POINTS), bool)
    for place in range(count):
        category, thing = world.categories[place // things], place % things
        shot = world.photo(category, thing)
        _, _, of_sketch = world.sketch(category, thing, thing % HANDS)
        masks[place] = np.where(shot.mask, THING, BACKGROUND)
        for number, (name, here) in enumerate(list(shot.keypoints.items())[:POINTS]):
            there = of_sketch[name]
            points[place, :, number] = np.array([[here.x, here.y], [there.x, there.y]]) / side
            visible[place, number] = here.visible and there.visible
    return {"masks": masks, "points": points, "visible": visible}
