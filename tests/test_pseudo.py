"""Pseudo-sketches: contours where the photo has edges, drawn by hands that err, of what may be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sketchfusion.lab.training.bank import PictureArray
from sketchfusion.lab.training.pseudo import contours, drawn, pseudo_points, pseudo_sketch, simplified
from sketchfusion.world.hands import HANDS


def square(side: int = 144, low: float = 0.25, high: float = 0.75, ink: tuple[int, ...] = (255, 255, 255)) -> NDArray:
    photo = np.zeros((3, side, side), np.uint8)
    a, b = round(low * side), round(high * side)
    photo[:, a:b, a:b] = np.array(ink, np.uint8)[:, None, None]
    return photo


def busy(side: int = 144, seed: int = 0) -> NDArray:
    """Discs of random colours, one over the other."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    photo = np.full((3, side, side), 128, np.uint8)
    for _ in range(12):
        cx, cy, radius = [*rng.uniform(0.15, 0.85, 2), rng.uniform(0.06, 0.2)]
        photo[:, np.hypot(x - cx, y - cy) < radius] = rng.integers(0, 256, (3, 1))
    return photo


def from_border(points: NDArray, low: float, high: float) -> NDArray:
    """How far points lie from the border of the square that reaches from `low` to `high`."""
    outside = np.maximum(np.maximum(low - points, points - high), 0)
    inside = np.minimum(points - low, high - points).min(1)
    return np.where(inside > 0, inside, np.hypot(*outside.T))


@pytest.mark.parametrize("side", [64, 144, 200])
def test_a_square_has_one_closed_contour_on_its_border(side: int) -> None:
    found = contours(square(side))
    assert len(found) == 1
    points = found[0].points
    assert np.allclose(points[0], points[-1])
    length = np.hypot(*np.diff(points, axis=0).T).sum()
    assert length == pytest.approx(2.0, rel=0.06)
    assert from_border(points, 0.25, 0.75).max() < 0.025  # corners are rounded by the blur
    assert from_border(points, 0.25, 0.75).mean() < 0.006


def test_a_change_of_colour_alone_is_a_contour() -> None:
    photo = np.full((3, 144, 144), 0, np.uint8)
    photo[0] = 200  # red around a green square of the same brightness
    photo[:, 36:108, 36:108] = np.array([0, 200, 0], np.uint8)[:, None, None]
    assert from_border(contours(photo)[0].points, 0.25, 0.75).mean() < 0.006


def test_a_central_object_weighs_more_than_one_at_the_border() -> None:
    photo = np.maximum(square(144, 0.35, 0.65), square(144, 0.02, 0.32))
    first, second = contours(photo)
    assert from_border(first.points, 0.35, 0.65).mean() < 0.01
    assert second.weight < first.weight / 2


def test_texture_weighs_less_than_a_shape() -> None:
    """Checks of the same contrast all over the left half, a square on the right one."""
    photo = np.full((3, 144, 144), 100, np.uint8)
    y, x = np.mgrid[:144, :144]
    photo[:, (x < 66) & ((x // 8 + y // 8) % 2 == 0)] = 200
    photo[:, 52:92, 84:124] = 200
    best = contours(photo)[0].points
    assert best[:, 0].min() > 0.5


@pytest.mark.parametrize("photo", [np.zeros((3, 144, 144), np.uint8), np.full((3, 64, 64), 137, np.uint8)])
def test_a_blank_photo_gives_a_blank_page(photo: NDArray) -> None:
    assert contours(photo) == []
    sketch = pseudo_sketch(photo, np.random.default_rng(0))
    assert sketch.strokes == () and bool((sketch.raster(64) == 255).all())


def test_noise_is_drawn_without_a_crash() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    assert pseudo_sketch(photo, np.random.default_rng(0)).raster(64).shape == (64, 64)


def test_simplifying_keeps_corners_and_drops_what_lies_between() -> None:
    corner = np.array([[x, 0.0] for x in range(11)] + [[10.0, y] for y in range(1, 11)])
    assert simplified(corner, 0.1).tolist() == [[0, 0], [10, 0], [10, 10]]
    loop = np.array([[0.0, 0], [5, 0.05], [10, 0], [10, 10], [0, 10], [0, 0]])
    assert simplified(loop, 0.1).tolist() == [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]


def test_a_seed_repeats_a_drawing_and_another_seed_does_not() -> None:
    photo = busy()
    one, again, other = (pseudo_sketch(photo, np.random.default_rng(seed)).raster(144) for seed in (4, 4, 5))
    assert one.tobytes() == again.tobytes() != other.tobytes()


def test_more_ink_is_drawn_where_more_is_allowed() -> None:
    found = contours(busy())

    def dark(ink: float) -> float:
        rng = np.random.default_rng(1)
        return float(np.mean([drawn(found, HANDS[0], ink, rng).raster(144) < 128 for _ in range(8)]))

    assert 0 < dark(0.5) < dark(2.0) < dark(8.0) < 0.3


def test_strokes_stay_near_the_photo_points_they_match() -> None:
    """A stroke strays from its contour; what it says that it meant does not."""
    photo, strayed = square(), []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        points = pseudo_sketch(photo, rng).points(64, rng)
        assert from_border(points[:, 2:], 0.25, 0.75).mean() < 0.02
        strayed.append(np.hypot(*(points[:, :2] - points[:, 2:]).T).mean())
        # what lies to the right in the photo lies to the right in the sketch
        assert np.corrcoef(points[:, 0], points[:, 2])[0, 1] > 0.9
        assert (points >= 0).all() and (points <= 1).all()
    assert np.mean(strayed) > 0.01


def photos(*names: tuple[str, ...], side: int = 64) -> PictureArray:
    return PictureArray("photo", np.stack([busy(side, seed) for seed in range(len(names))]), list(names))


def test_photos_of_unseen_classes_are_never_drawn(tmp_path: Path) -> None:
    bank = photos(("cat",), ("giraffe",), ("fruit", "pear"), ("palm tree",), ("dog",))
    pairs = pseudo_points(bank, tmp_path, per_class=9)
    assert pairs.photos.names == pairs.sketches.names == [("cat",), ("dog",)]
    assert len(pseudo_points(photos(("giraffe",)), tmp_path, per_class=9).sketches) == 0


def test_each_sketch_is_paired_with_its_own_photo(tmp_path: Path) -> None:
    bank = photos(("cat",), ("cat",), ("cat",), ("dog",))
    pairs = pseudo_points(bank, tmp_path, per_class=2, drawings=3)
    of_photos, of_sketches = pairs.photos, pairs.sketches
    assert of_sketches.names == [("cat",)] * 6 + [("dog",)] * 3
    assert of_sketches.pixels.shape == (9, 1, 64, 64) and of_sketches.pixels.dtype == np.uint8
    assert np.array_equal(of_photos.stored(slice(None)), np.repeat(bank.pixels[[0, 1, 3]], 3, axis=0))
    assert len(np.unique(of_sketches.pixels.reshape(9, -1), axis=0)) == 9
    # a photo is drawn alike whichever others there are
    alone = pseudo_points(bank.at([3]), tmp_path, per_class=2, drawings=3).sketches
    assert np.array_equal(alone.pixels, of_sketches.pixels[6:])


def test_pseudo_sketches_are_cached(tmp_path: Path) -> None:
    bank = photos(("cat",), ("dog",))
    first = pseudo_points(bank, tmp_path, per_class=1)
    (file,) = tmp_path.iterdir()
    stamp = file.stat().st_mtime_ns
    again = pseudo_points(bank, tmp_path, per_class=1)
    assert file.stat().st_mtime_ns == stamp
    assert np.array_equal(first.sketches.pixels, again.sketches.pixels)
    assert bool((first.sketch_points == again.sketch_points).all())
    other = pseudo_points(bank, tmp_path, per_class=1, seed=1)
    assert not np.array_equal(first.sketches.pixels, other.sketches.pixels)
    assert len(list(tmp_path.iterdir())) == 2


def test_points_of_pairs_lie_on_ink(tmp_path: Path) -> None:
    pairs = pseudo_points(photos(("cat",), ("dog",), side=144), tmp_path, per_class=1)
    at = (pairs.sketch_points * 144).long().clamp(0, 143)
    for row in range(len(pairs.sketches)):
        assert pairs.sketches.pixels[row, 0, at[row, :, 1], at[row, :, 0]].mean() < 90
    assert pairs.visible.all() and pairs.photo_points.shape == pairs.sketch_points.shape
