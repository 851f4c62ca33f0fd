"""Data of the dense tasks: warps that are known exactly, the world's keypoints and masks, masks in the square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sketchfusion.lab.datasets.segmentation import MaskFolder
from sketchfusion.lab.training.bank import PictureArray
from sketchfusion.lab.training.labelled import (
    BACKGROUND,
    OUTSIDE,
    THING,
    folder_masks,
    known_warp,
    warped_outlines,
    world_masks,
    world_points,
)
from sketchfusion.world import World


def noise(count: int, name: str = "cat", side: int = 64) -> PictureArray:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    return PictureArray("photo", pixels, [(name,)] * count)


def test_an_array_gives_its_batches_on_its_device() -> None:
    bank = noise(3)
    there = bank.on("meta").take([2, 0])
    assert there.device.type == "meta" and there.shape == bank.take([2, 0]).shape == (2, 3, 64, 64)
    assert there.dtype == bank.take([2, 0]).dtype == torch.float32


@pytest.mark.parametrize("axis", [0, 1])
def test_points_of_a_warped_outline_match_through_the_warp(
    axis: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ink that grows with x, or with y, tells in every pixel of the sketch which column, or row, it came from."""
    ramp = ((torch.arange(64) + 0.5) / 64).expand(64, -1)
    ink = ramp if axis == 0 else ramp.T
    monkeypatch.setattr(
        "sketchfusion.lab.training.augment.outline", lambda images, _: 1 - ink.expand(len(images), 1, -1, -1)
    )
    pairs = warped_outlines(noise(24), 24, 64, tmp_path)
    at = (pairs.sketch_points * 64).long()
    drawn = torch.from_numpy(np.array(pairs.sketches.pixels)).float()[:, 0]
    read = 1 - torch.stack([drawn[n, at[n, :, 1], at[n, :, 0]] for n in range(24)]) / 255
    inside = pairs.visible & (pairs.photo_points > 0.02).all(-1) & (pairs.photo_points < 0.98).all(-1)
    assert inside.float().mean() > 0.7
    assert torch.allclose(read[inside], pairs.photo_points[inside][:, axis], atol=0.004)  # 1 / 255
    assert (pairs.photo_points - pairs.sketch_points).norm(dim=-1)[inside].mean() > 0.05


def test_points_lie_on_the_strokes(tmp_path: Path) -> None:
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    disc = torch.where((x - 32) ** 2 + (y - 32) ** 2 < 200, 40, 220).to(torch.uint8)
    pairs = warped_outlines(PictureArray("photo", disc.expand(8, 3, -1, -1).numpy(), [("cat",)] * 8), 8, 64, tmp_path)
    drawn = torch.from_numpy(np.array(pairs.sketches.pixels)).float()[:, 0]
    at = (pairs.sketch_points * 64).long()
    read = torch.stack([drawn[n, at[n, :, 1], at[n, :, 0]] for n in range(8)])
    assert read.mean() < 0.5 * drawn.mean()


def test_warps_repeat_for_a_seed_and_differ_between_pictures() -> None:
    one, again = (known_warp(3, 16, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.allclose(one[0], one[1], atol=0.01)


def test_photos_of_unseen_classes_are_never_turned_into_sketches(tmp_path: Path) -> None:
    assert len(warped_outlines(noise(5, "giraffe"), 5, 64, tmp_path).visible) == 0


def test_points_and_masks_are_those_of_sketch_world(tmp_path: Path) -> None:
    pairs, masked = world_points(1, 32, tmp_path), world_masks(1, 32, tmp_path)
    world = World(seed=0, split="seen", size=32)
    place = masked.names.index("cat")
    shot = world.photo("cat", 0)
    assert np.array_equal(masked.photos.pixels[place], shot.photo.transpose(2, 0, 1))
    assert np.array_equal(masked.masks[place] == THING, shot.mask)
    place = pairs.photos.names.index(("cat",))
    sketch, _, points = world.sketch("cat", 0, 0)
    assert np.array_equal(pairs.sketches.pixels[place, 0], sketch)
    shown = [name for name, point in shot.keypoints.items() if point.visible and points[name].visible]
    wanted = [[(of[name].x / 32, of[name].y / 32) for name in shown] for of in (shot.keypoints, points)]
    visible = pairs.visible[place]
    for found, true in zip((pairs.photo_points, pairs.sketch_points), wanted, strict=True):
        assert torch.allclose(found[place][visible], torch.tensor(true, dtype=torch.float32), atol=1e-5)
    stamp = (tmp_path / "world-labels-32-0-1.npz").stat().st_mtime_ns
    world_points(1, 32, tmp_path)
    assert (tmp_path / "world-labels-32-0-1.npz").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(("width", "height"), [(80, 40), (30, 90)])
def test_masks_are_letterboxed_as_their_photos(width: int, height: int, tmp_path: Path) -> None:
    thing = np.zeros((height, width), bool)
    thing[height // 4 : height // 2, width // 4 : width // 2] = True
    for number in range(12):
        Image.fromarray(np.where(thing, 0, 255).astype(np.uint8)).convert("RGB").save(tmp_path / f"{number}.png")
        Image.fromarray(thing.astype(np.uint8) * 255).save(tmp_path / f"m{number}.png")
    rows = [f"{n}.png,Cat,m{n}.png" for n in range(12)]
    (tmp_path / "index.csv").write_text("\n".join(["photo,category,mask", *rows]) + "\n")
    trained, kept_out = (folder_masks(MaskFolder(tmp_path), 64, tmp_path / "cache", out) for out in (False, True))
    assert len(trained.names) + len(kept_out.names) == 12
    assert trained.names[0] == "cat"
    mask, dark = trained.masks[0], trained.photos.pixels[0].mean(0) < 128
    assert (dark == (mask == THING))[mask != OUTSIDE].mean() > 0.98
    shares = {value: (mask == value).mean() for value in (BACKGROUND, THING, OUTSIDE)}
    assert shares[OUTSIDE] == pytest.approx(1 - min(width, height) / max(width, height), abs=0.05)
    assert shares[THING] == pytest.approx((1 - shares[OUTSIDE]) / 16, rel=0.3)
