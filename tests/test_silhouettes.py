"""Masks from aligned, filled sketches of one photo, where most of them agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import held_out
from sketchfusion.lab.training.labelled import BACKGROUND, OUTSIDE, THING, filled, silhouettes


def outlined(low: int, high: int, gap: int = 0) -> Image.Image:
    """A square of 256 px with a square's outline, the upper side of which has a gap."""
    page = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(page)
    pen.rectangle((low, low, high, high), outline="black", width=3)
    middle = (low + high) // 2
    pen.rectangle((middle - gap // 2, low, middle + gap // 2, low + 3), fill="white") if gap else None
    return page


def round_about(low: int) -> Image.Image:
    """The outline of a disc that is 128 px wide."""
    page = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(page).ellipse((low, low, low + 128, low + 128), outline="black", width=3)
    return page


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Sketchy root, most of it of a seen class; of each photo three sketches of a disc and one of a square."""
    for category in ("cat", "bat"):
        for kind in ("photo", "sketch"):
            (tmp_path / "256x256" / kind / "tx_000000000000" / category).mkdir(parents=True)
        for number in range(12 if category == "cat" else 2):
            photo = tmp_path / "256x256/photo/tx_000000000000" / category / f"n1_{number}.jpg"
            Image.new("RGB", (256, 256), (number * 20, 90, 90)).save(photo)
            drawings = [round_about(64), round_about(40), round_about(88), outlined(64, 192, gap=16)]
            for place, drawing in enumerate(drawings if number else drawings[:2], start=1):
                drawing.save(tmp_path / "256x256/sketch/tx_000000000000" / category / f"n1_{number}-{place}.png")
    return tmp_path


def test_most_sketches_decide_and_the_rest_is_unknown(root: Path, tmp_path: Path) -> None:
    masked = silhouettes([datasets.open(root)], 128, tmp_path / "cache")
    assert set(masked.names) == {"cat"}
    for mask in masked.masks:
        assert mask[64, 64] == mask[64, 37] == mask[91, 64] == THING  # the edge too: each is laid where all lie
        assert mask[64, 26] == mask[102, 64] == mask[15, 15] == BACKGROUND
        assert mask[37, 37] == mask[91, 91] == OUTSIDE  # a corner, which one of four covers
    again = silhouettes([datasets.open(root)], 128, tmp_path / "cache")
    assert np.array_equal(masked.masks, again.masks) and np.array_equal(masked.photos.pixels, again.photos.pixels)


def test_replaced_photos_are_read_anew(root: Path, tmp_path: Path) -> None:
    before = silhouettes([datasets.open(root)], 64, tmp_path / "cache")
    for photo in (root / "256x256/photo/tx_000000000000/cat").iterdir():
        Image.new("RGB", (256, 256), (250, 250, 0)).save(photo)
    after = silhouettes([datasets.open(root)], 64, tmp_path / "cache")
    assert (after.photos.pixels != before.photos.pixels).any() and after.photos.pixels[:, :2].min() > 240


def test_what_cannot_be_read_is_left_out_and_a_damaged_cache_is_made_anew(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = silhouettes([datasets.open(root)], 64, tmp_path / "cache")
    masks = np.array(whole.masks)
    for kept in (tmp_path / "cache").glob("silhouettes-*"):
        kept.write_bytes(kept.read_bytes()[:-100])
        again = silhouettes([datasets.open(root)], 64, tmp_path / "cache")
        assert np.array_equal(masks, again.masks) and whole.names == again.names
    photo = next(path for n in range(1, 12) if not held_out((path := photo_at(root, n)).stem))
    photo.write_bytes(photo.read_bytes()[:200])
    (root / "256x256/sketch/tx_000000000000/cat" / f"{photo_at(root, 1).stem}-1.png").write_bytes(b"torn")
    less = silhouettes([datasets.open(root)], 64, tmp_path / "cache")
    assert len(less.names) == len(less.masks) == len(less.photos) == len(whole.names) - 1
    assert f"{photo}: not a picture that can be read" in caplog.text and "it is left out" in caplog.text


def photo_at(root: Path, number: int) -> Path:
    return root / f"256x256/photo/tx_000000000000/cat/n1_{number}.jpg"


def test_photos_with_few_sketches_are_left_out_and_held_out_ones_kept_apart(root: Path, tmp_path: Path) -> None:
    trained, kept = (silhouettes([datasets.open(root)], 64, tmp_path / "cache", out) for out in (False, True))
    assert len(trained.names) + len(kept.names) == 11 and kept.names
    shades = [set(of.photos.pixels[:, 0, 0, 0].tolist()) for of in (trained, kept)]
    assert not shades[0] & shades[1]


def test_a_photo_whose_sketches_are_all_blank_is_left_out(root: Path, tmp_path: Path) -> None:
    whole = silhouettes([datasets.open(root)], 64, tmp_path / "cache")
    photo = next(path for n in range(1, 12) if not held_out((path := photo_at(root, n)).stem))
    for sketch in (root / "256x256/sketch/tx_000000000000/cat").glob(f"{photo.stem}-*.png"):
        Image.new("RGB", (256, 256), "white").save(sketch)
    less = silhouettes([datasets.open(root)], 64, tmp_path / "cache")
    assert len(less.names) == len(less.masks) == len(less.photos) == len(whole.names) - 1


@pytest.mark.parametrize("gap", [0, 8, 24])
def test_an_outline_with_a_gap_is_filled_all_the_same(gap: int) -> None:
    ink = np.asarray(outlined(64, 192, gap).convert("L").resize((64, 64))) < 230
    share = filled(ink).mean()
    assert share == pytest.approx((128 / 256) ** 2, rel=0.15)


def test_a_line_and_a_blank_page_enclose_nothing() -> None:
    line = np.zeros((64, 64), bool)
    line[30, 10:50] = True
    assert np.array_equal(filled(line), line)
    assert not filled(np.zeros((64, 64), bool)).any()
