"""Things cut out of their photos and pasted onto others: the mask lies where the thing does."""

from __future__ import annotations

import numpy as np

from sketchfusion.training.annotated import BACKGROUND, OUTSIDE, THING, Masked
from sketchfusion.training.bank import Bank
from sketchfusion.training.collages import SIZES, collages

SIDE = 64
SHADES = {"cat": 200, "car": 100}  # of the things; both lie on black


def things(*names: str) -> Masked:
    """A square thing in each photo, with a band around it of which nothing is known."""
    pixels, masks = np.zeros((len(names), 3, SIDE, SIDE), np.uint8), np.zeros((len(names), SIDE, SIDE), np.uint8)
    masks[:, 16:48, 16:48] = OUTSIDE
    masks[:, 20:44, 20:44] = THING
    for place, name in enumerate(names):
        pixels[place, :, 20:44, 20:44] = SHADES[name]
    return Masked(Bank("photo", pixels, [(name,) for name in names]), masks, list(names))


def test_a_thing_is_where_its_mask_says_on_a_photo_of_another() -> None:
    made = collages(things("cat", "cat", "car"), each=20)
    assert len(made.names) == len(made.photos) == len(made.masks) == 60
    assert [names[0] for names in made.photos.names] == made.names
    sizes = []
    for photo, mask, name in zip(made.photos.pixels, made.masks, made.names, strict=True):
        there = np.abs(photo[0].astype(int) - SHADES[name]) < 20
        assert (there & (mask == THING)).sum() > 0.8 * (mask == THING).sum()
        rows, columns = (np.flatnonzero((mask == THING).any(axis)) for axis in (1, 0))
        sizes.append(max(np.ptp(rows), np.ptp(columns)) + 1)
        assert {BACKGROUND, THING} <= set(np.unique(mask).tolist())
    assert SIZES[0] * SIDE - 3 <= min(sizes) < max(sizes) <= SIZES[1] * SIDE + 1


def test_collages_repeat_for_a_seed_and_need_things_of_two_names() -> None:
    one, again, other = (collages(things("cat", "car"), 3, seed) for seed in (0, 0, 1))
    assert np.array_equal(one.photos.pixels, again.photos.pixels) and np.array_equal(one.masks, again.masks)
    assert not np.array_equal(one.masks, other.masks)
    for none in (collages(things("cat", "cat"), 3), collages(things("cat", "car"), 0)):
        assert none.names == [] and len(none.photos) == len(none.masks) == 0
