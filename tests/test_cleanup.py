"""Drawings as people hand them in: photographed, coloured, inverted, blank."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from sketchfusion.io.cleanup import _counts, _ratio, is_blank, normalise_sketch, stroke_window
from sketchfusion.io.files import find_images
from sketchfusion.io.images import read_image


@functools.cache
def clean_sketch(side: int = 256) -> Image.Image:
    image = Image.new("L", (side * 4, side * 4), 255)
    pen = ImageDraw.Draw(image)
    unit = side * 4 / 100
    pen.ellipse([20 * unit, 20 * unit, 80 * unit, 80 * unit], outline=0, width=round(1.4 * unit))
    pen.line([20 * unit, 50 * unit, 80 * unit, 50 * unit, 50 * unit, 85 * unit], 0, round(1.4 * unit))
    pen.ellipse([35 * unit, 30 * unit, 42 * unit, 37 * unit], fill=0)
    return image.reduce(4).convert("RGB")


def phone_photo(
    pen: tuple[int, int, int], paper: tuple[int, int, int] = (200, 195, 185), softness: float = 15, desk: bool = False
) -> Image.Image:
    """The clean sketch drawn with `pen` on grey paper, in uneven light with a shadow across, noisy, as JPEG."""
    rng = np.random.default_rng(0)
    paint = np.asarray(clean_sketch(600).convert("L").resize((800, 600)), float)[..., None] / 255
    image = paint * np.array(paper) + (1 - paint) * np.array(pen)
    y, x = np.mgrid[0:600, 0:800] / 600
    if desk:
        image[(x < 0.1) | (y > 0.92)] = (90, 60, 40)
    shadow = Image.fromarray(((0.9 * x + 0.5 * y > 0.95) * 255).astype(np.uint8))
    shade = 1 - 0.4 * np.asarray(shadow.filter(ImageFilter.GaussianBlur(softness)), float) / 255
    image *= ((0.7 + 0.2 * x + 0.1 * y) * shade)[..., None]
    image += rng.normal(0, 6, image.shape)
    buffer = io.BytesIO()
    smooth = Image.fromarray(image.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))
    smooth.save(buffer, "JPEG", quality=60)
    return Image.open(io.BytesIO(buffer.getvalue()))


PENS = {
    "black": {"pen": (40, 40, 40)},
    "blue": {"pen": (30, 50, 160)},
    "red with a hard shadow": {"pen": (200, 40, 40), "softness": 3},
    "yellow": {"pen": (230, 200, 40)},
    "pencil": {"pen": (140, 138, 135)},
    "on a desk": {"pen": (60, 60, 60), "desk": True},
    "on dark paper": {"pen": (20, 60, 30), "paper": (120, 118, 110), "desk": True},
    "chalk": {"pen": (225, 225, 220), "paper": (40, 60, 50)},
}


@pytest.mark.parametrize("name", PENS)
def test_a_phone_photo_becomes_the_drawing(name: str) -> None:
    drawn = np.asarray(clean_sketch(600).convert("L").resize((800, 600)))
    sketch = read_image(phone_photo(**PENS[name]), "sketch")  # type: ignore[arg-type]
    assert sketch.shape == (3, 600, 800)
    dark = sketch[0].numpy() < 0.5
    ink, near = drawn < 100, np.asarray(Image.fromarray(drawn).filter(ImageFilter.MinFilter(7))) < 200
    assert dark[ink].mean() > 0.85
    assert dark[~near].mean() < 0.004
    assert (sketch[0].numpy()[~near] > 0.98).mean() > 0.98
    again = normalise_sketch(sketch)
    assert (again - sketch).abs().mean() < 0.01


def test_clean_renderings_come_back_bit_for_bit() -> None:
    clean = read_image(clean_sketch())
    assert torch.equal(read_image(clean_sketch(), "sketch"), clean)
    torch.testing.assert_close(normalise_sketch(1 - clean), clean)


def test_coloured_pens_on_white_go_dark_in_place() -> None:
    clean = read_image(clean_sketch())
    red = torch.stack([torch.ones_like(clean[0]), clean[0], clean[0]])
    torch.testing.assert_close(normalise_sketch(red), clean)
    pale = 1 - (1 - clean) * 0.3
    assert float((normalise_sketch(pale) < 0.3).float().mean()) == pytest.approx(
        float((clean < 0.3).float().mean()), rel=0.1
    )


def test_blank_paper_is_blank_in_any_light() -> None:
    for image in (torch.ones(3, 50, 60), torch.zeros(3, 50, 60), torch.full((3, 1, 1), 0.5)):
        assert is_blank(image) and is_blank(normalise_sketch(image))
    photographed = read_image(phone_photo((200, 195, 185)), "sketch")
    assert torch.equal(photographed, torch.ones(3, 600, 800))
    assert not is_blank(read_image(clean_sketch()))


def page(
    size: tuple[int, int],
    spot: tuple[int, int, int],
    pen: tuple[int, int, int] = (50, 50, 60),
    paper: tuple[int, int, int] = (226, 225, 220),
    squares: tuple[int, int, int] | None = None,
    tilt: float = 0.0,
) -> Image.Image:
    """A photographed page with a doodle at left, top, width; on squared paper, tilted on a desk, if asked for."""
    image = Image.new("RGB", size, paper)
    pencil = ImageDraw.Draw(image)
    for place in range(15, max(size), 28) if squares else ():
        pencil.line((place, 0, place, size[1]), squares, 2)
        pencil.line((0, place, size[0], place), squares, 2)
    left, top, width = spot
    if width:
        pencil.ellipse((left, top, left + width, top + width), outline=pen, width=4)
        pencil.line((left, top + width // 2, left + width, top + width // 2), pen, 4)
    image = image.rotate(tilt, Image.Resampling.BICUBIC, fillcolor=(90, 60, 40))
    light = np.linspace(0.8, 1.0, size[0])[None, :, None]
    pixels = np.asarray(image) * light + np.random.default_rng(0).normal(0, 4, (size[1], size[0], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


PAGES: dict[str, dict[str, Any]] = {
    "small on A4": {"size": (1654, 2339), "spot": (1300, 300, 110)},
    "pencil on A4": {"size": (1654, 2339), "spot": (500, 1900, 180), "pen": (150, 150, 150)},
    "white on brown": {"size": (900, 700), "spot": (300, 200, 250), "pen": (245, 243, 235), "paper": (170, 130, 90)},
    "white on light card": {
        "size": (900, 700),
        "spot": (300, 200, 250),
        "pen": (252, 252, 252),
        "paper": (210, 180, 140),
    },
    "black on brown": {"size": (900, 700), "spot": (300, 200, 250), "paper": (170, 130, 90)},
    "squared": {"size": (900, 700), "spot": (300, 200, 250), "squares": (140, 160, 205)},
    "squared, tilted": {"size": (900, 700), "spot": (350, 230, 200), "squares": (140, 160, 205), "tilt": 4},
    "pencil on squares": {
        "size": (900, 700),
        "spot": (300, 200, 250),
        "pen": (110, 110, 110),
        "squares": (150, 170, 210),
    },
}


@pytest.mark.parametrize("name", PAGES)
def test_a_small_light_or_ruled_drawing_is_all_that_is_left(name: str) -> None:
    about = PAGES[name]
    sketch = read_image(page(**about), "sketch")
    left, top, width = about["spot"]
    assert not is_blank(sketch)
    window = stroke_window(sketch)
    assert window is not None
    middle = (window.left + window.side / 2, window.top + window.side / 2)
    assert middle == pytest.approx((left + width / 2, top + width / 2), abs=35 if "tilted" in name else 6)
    assert width < window.side < 1.85 * width
    if "tilted" not in name:
        assert (sketch[0, top + width // 2, left : left + width] < 0.5).float().mean() > 0.9


def test_paper_without_a_drawing_is_blank_however_it_is_printed() -> None:
    nothing = {"size": (900, 700), "spot": (0, 0, 0)}
    assert is_blank(read_image(page(**nothing, squares=(140, 160, 205)), "sketch"))
    dusty = page(**nothing)
    for place in range(60, 640, 70):
        dusty.paste((40, 40, 40), (place, (place * 7) % 640, place + 3, (place * 7) % 640 + 3))
    assert is_blank(read_image(dusty, "sketch"))


def test_squares_bars_and_dust_of_a_digital_page_are_no_strokes() -> None:
    sheet = Image.new("RGB", (800, 800), "white")
    pen = ImageDraw.Draw(sheet)
    for place in range(12, 800, 25):
        pen.line((place, 0, place, 800), (190, 210, 240))
        pen.line((0, place, 800, place), (190, 210, 240))
    pen.ellipse((300, 300, 500, 500), outline="black", width=5)
    scan = Image.new("RGB", (800, 1000), "white")
    pen = ImageDraw.Draw(scan)
    pen.rectangle((0, 0, 20, 1000), fill="black")
    pen.ellipse((300, 300, 500, 500), outline="black", width=5)
    for place in range(60, 960, 90):
        pen.rectangle((place * 3 // 4, place, place * 3 // 4 + 2, place + 2), fill="black")
    for picture in (sheet, scan):
        window = stroke_window(read_image(picture, "sketch"))
        assert window is not None and abs(window.left + window.side / 2 - 400) < 5 and window.side < 290


def test_a_drawing_that_leaves_the_page_and_hatching_stay() -> None:
    sheet = Image.new("RGB", (400, 400), "white")
    pen = ImageDraw.Draw(sheet)
    pen.ellipse((-100, 150, 250, 500), fill="black")
    for y in range(20, 140, 15):
        pen.line((250, y, 380, y), "black", 3)
    picture = read_image(sheet)
    assert torch.equal(normalise_sketch(picture), picture)


def test_the_margin_of_ruled_paper_goes_with_its_rulings() -> None:
    sheet = Image.new("RGB", (800, 600), (230, 228, 222))
    pen = ImageDraw.Draw(sheet)
    for y in range(45, 600, 23):
        pen.line((0, y, 800, y), (150, 175, 215), 2)
    pen.line((90, 0, 90, 600), (220, 110, 110), 2)
    pen.ellipse((300, 200, 510, 410), outline=(40, 40, 60), width=4)
    noisy = np.asarray(sheet) + np.random.default_rng(0).normal(0, 4, (600, 800, 3))
    window = stroke_window(read_image(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), "sketch"))
    assert window is not None and window.side < 300
    assert abs(window.left + window.side / 2 - 405) < 15 and abs(window.top + window.side / 2 - 305) < 15


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_normalising_never_fails(height: int, width: int, seed: int) -> None:
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))
    sketch = normalise_sketch(image)
    assert sketch.shape == image.shape and sketch.min() >= 0 and sketch.max() <= 1


def test_real_sketches_stay_as_they_are(shared_data: Path) -> None:
    files = find_images(shared_data / "sketchy-mini" / "256x256" / "sketch")[::97]
    assert len(files) > 20
    for path in files:
        assert torch.equal(read_image(path, "sketch"), read_image(path)), path


@pytest.mark.parametrize("size", [(40, 30), (200, 517), (900, 257)])
@pytest.mark.parametrize("inverted", [False, True])
def test_dividing_by_the_paper_in_bands_is_dividing_by_it(size: tuple[int, int], inverted: bool) -> None:
    image, paper = torch.rand(3, *size), torch.rand(3, min(size[0], 64), min(size[1], 48))
    bare = torch.nn.functional.interpolate(paper[None], size=size, mode="bilinear", align_corners=False)[0]
    plain = ((1 - image if inverted else image) / bare.clamp(min=1e-3)).amin(dim=0).clamp(max=1.5)
    torch.testing.assert_close(_ratio(image, paper, inverted), plain, atol=1e-4, rtol=1e-4)


def test_cells_are_counted_to_the_edge() -> None:
    mask = torch.rand(23, 31) < 0.3
    counts = _counts(mask, 5)
    assert counts.shape == (5, 7) and counts.sum() == mask.sum()
    assert counts[4, 6] == mask[20:, 30:].sum() and counts[1, 2] == mask[5:10, 10:15].sum()
