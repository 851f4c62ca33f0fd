"""Sketches that lie over their photos: rough correspondence from the average of all sketches of a photo."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import DatasetError, held_out
from sketchfusion.lab.datasets.sketchy import FEWEST_SKETCHES, mean_alignment
from sketchfusion.lab.evaluation.correspondence import point_pairs
from sketchfusion.lab.training.correspondence import aligned_points
from sketchfusion.lab.training.sources import Sources
from sketchfusion.world import export

THING = (80, 100, 176, 148)  # of a photo of 256 pixels: left, top, right, bottom
OFF = ((-24, 16), (24, -16), (0, 0))  # where its sketches lie instead


def sheet(box: tuple[float, ...], side: int = 256) -> Image.Image:
    image = Image.new("L", (side, side), 255)
    ImageDraw.Draw(image).rectangle(box, outline=0, width=3)
    return image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos of a rectangle, each with three sketches that lie beside it by turns; one photo has two."""
    for category in ("cat", "giraffe"):
        photos, sketches = (tmp_path / "256x256" / kind / "tx_000000000000" / category for kind in ("photo", "sketch"))
        photos.mkdir(parents=True)
        sketches.mkdir(parents=True)
        Image.new("L", (256, 256), 225).save(sketches / f"{category}1-9.png")  # as good as blank: it lies nowhere
        for number in range(12):
            sheet(THING).convert("RGB").save(photos / f"{category}{number}.jpg", quality=95)
            for hand, (x, y) in enumerate(OFF[: 2 if number == 0 else 3], start=1):
                left, top, right, bottom = THING
                sheet((left + x, top + y, right + x, bottom + y)).save(sketches / f"{category}{number}-{hand}.png")
    return tmp_path


def beside(points: np.ndarray) -> np.ndarray:
    """How far points (N, 2) in pixels are from the outline of the thing."""
    left, top, right, bottom = THING
    x, y = points.T
    outside = np.hypot(np.maximum(np.maximum(left - x, x - right), 0), np.maximum(np.maximum(top - y, y - bottom), 0))
    inside = np.minimum.reduce([abs(x - left), abs(x - right), abs(y - top), abs(y - bottom)])
    return np.where(outside > 0, outside, inside)


def test_each_sketch_is_aligned_to_the_average() -> None:
    boxes = [(20, 20, 60, 60), (40, 60, 80, 100), (10, 10, 170, 170)]
    sheets = [np.asarray(sheet(box, 200)) / 255 for box in boxes]
    moved = mean_alignment(sheets)
    corners = []
    for (left, top, right, bottom), (zoom, shift) in zip(boxes, moved, strict=True):
        corners.append([zoom * (2 * (np.array(at) + 0.5) / 200 - 1) + shift for at in ((left, top), (right, bottom))])
    assert np.allclose(corners, corners[0], atol=0.02), "all have one box then"
    middle, half = np.mean(corners[0], axis=0), np.ptp(corners[0], axis=0) / 2
    assert middle == pytest.approx(np.mean([[40, 40], [60, 80], [90, 90]], axis=0) / 100 - 1, abs=0.02)
    assert half == pytest.approx([(20 * 20 * 80) ** (1 / 3) / 100] * 2, rel=0.05)
    with pytest.raises(ValueError, match="blank sheet"):
        mean_alignment([np.ones((8, 8))])


def test_points_of_a_warped_sketch_lie_on_its_strokes_and_on_the_thing_in_the_photo(root: Path) -> None:
    sources = Sources.of([datasets.open(root)], root / "cache")
    pairs, kept_out = aligned_points(sources, 100, 128), aligned_points(sources, 100, 128, kept_out=True)
    assert pairs and kept_out
    trained = sum(not held_out(f"cat{number}") for number in range(1, 12))
    assert len(pairs.photos) == len(pairs.sketches) == 3 * trained and len(kept_out.photos) == 3 * (11 - trained)
    assert {names[0] for names in (*pairs.photos.names, *kept_out.photos.names)} == {"cat"}
    assert np.quantile(beside(pairs.photo_points[pairs.visible].numpy() * 256), 0.95) < 5
    at = (pairs.sketch_points * 128).long()
    drawn = torch.from_numpy(pairs.sketches.pixels)[:, 0]
    read = torch.stack([drawn[n, at[n, :, 1], at[n, :, 0]] for n in range(len(drawn))])
    assert (read[pairs.visible] < 255).float().mean() > 0.97
    few = aligned_points(sources, 5, 128)
    assert few and len(few.photos) == 5


def test_the_sketches_are_aligned_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all sketches of Sketchy this takes minutes, which no later start and no other process should spend."""
    sources = Sources.of([datasets.open(root)], root / "cache")
    first = aligned_points(sources, 100, 64)
    monkeypatch.setattr("sketchfusion.lab.training.correspondence.mean_alignment", lambda _: pytest.fail("again"))
    again = aligned_points(sources, 100, 64)
    assert first and again and torch.equal(first.sketch_points, again.sketch_points)
    assert np.array_equal(first.sketches.pixels, again.sketches.pixels) and first.photos.names == again.photos.names


def test_half_of_them_are_mirrored(root: Path) -> None:
    pairs = aligned_points(Sources.of([datasets.open(root)], root / "cache"), 100, 128)
    assert pairs
    along = [
        float(torch.corrcoef(torch.stack([drawn[:, 0], shown[:, 0]]))[0, 1])
        for drawn, shown in zip(pairs.sketch_points, pairs.photo_points, strict=True)
    ]
    assert 0.2 < np.mean(np.array(along) < 0) < 0.8 and np.mean(np.abs(along) > 0.5) > 0.9


def test_a_root_of_sketchy_is_measured_roughly_on_unseen_classes(root: Path) -> None:
    pairs = [*point_pairs(datasets.open(root))]
    assert {pair.category for pair in pairs} == {"giraffe"} and len(pairs) == 33
    assert all(pair.rough and len(pair.sketch_points) == len(pair.photo_points) == 8 for pair in pairs)
    assert max(beside(pair.photo_points).max() for pair in pairs) < 5
    off = [pair.photo_points.mean(0) - pair.sketch_points.mean(0) for pair in pairs[:3]]
    assert np.allclose(off, -np.array(OFF), atol=2)
    others = [*point_pairs(datasets.open(root), measured=False)]
    assert {pair.category for pair in others} == {"cat"}
    assert len(others) == 3 * sum(held_out(f"cat{number}") for number in range(1, 12))


def test_a_root_without_unseen_classes_is_measured_on_what_no_training_draws(root: Path) -> None:
    for kind in ("photo", "sketch"):
        shutil.rmtree(root / "256x256" / kind / "tx_000000000000" / "giraffe")
    pairs, others = [*point_pairs(datasets.open(root))], [*point_pairs(datasets.open(root), measured=False)]
    kept = sum(held_out(f"cat{number}") for number in range(1, 12))
    assert (len(pairs), len(others)) == (3 * kept, 3 * (11 - kept))
    for sketch in (root / "256x256/sketch/tx_000000000000/cat").glob("*-2.png"):
        sketch.unlink()
    with pytest.raises(DatasetError, match=f"none of the photos to measure on has {FEWEST_SKETCHES} sketches"):
        [*point_pairs(datasets.open(root))]


def test_an_exported_sketch_world_is_not_taken_for_aligned(tmp_path: Path) -> None:
    export(tmp_path, 0, ["cat"], "seen", 6, 64, hands=3)
    sources = Sources.of([datasets.open(tmp_path)], tmp_path / "cache")
    assert [dataset.root for dataset in sources.with_instances] == [tmp_path] and sources.aligned == []
    assert aligned_points(sources, 100, 64) is None
    for given in (tmp_path, tmp_path / "256x256"):
        with pytest.raises(DatasetError, match="do not lie over their photos"):
            [*point_pairs(datasets.open(given))]
