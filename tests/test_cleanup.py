"""Drawings as people hand them in: photographed, coloured, inverted, blank."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from sketchfusion.io.cleanup import is_blank, normalise_sketch
from sketchfusion.io.files import find_images
from sketchfusion.io.images import read_image


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


@settings(max_examples=60, deadline=None)
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
