"""Pictures of any size in the square that the models see."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sketchfusion.featuremap import Frame
from sketchfusion.io.cleanup import stroke_window
from sketchfusion.io.images import letterbox


def page(height: int, width: int, left: int, top: int, size: int) -> torch.Tensor:
    """A white page with a square outline of `size` pixels."""
    sheet = torch.ones(3, height, width)
    sheet[:, top : top + size, left : left + size] = 0
    sheet[:, top + 4 : top + size - 4, left + 4 : left + size - 4] = 1
    return sheet


def test_a_square_of_the_right_size_is_returned_unchanged() -> None:
    image = torch.rand(3, 128, 128)
    for kind, whole in (("sketch", True), ("photo", False)):
        square, frame = letterbox(image, 128, kind, whole)  # type: ignore[arg-type]
        assert torch.equal(square, image)
        assert (frame.scale_x, frame.scale_y, frame.offset_x, frame.offset_y) == (1, 1, 0, 0)


def test_a_sketch_looks_the_same_wherever_it_lies_on_its_page() -> None:
    middle, frame = letterbox(page(200, 200, 50, 50, 100), 64, "sketch")
    assert 0.7 < frame.scale_x * 100 / 64 < 0.85
    for height, width, left, top in ((400, 300, 200, 300), (200, 200, 0, 0), (90, 800, 640, -5), (150, 150, 45, 45)):
        corner = page(height, width, left, max(top, 0), 100)
        if top >= 0:
            square, _ = letterbox(corner, 64, "sketch")
            assert torch.allclose(square, middle, atol=0.02)


def test_the_frame_leads_back_to_the_drawings_own_pixels() -> None:
    sheet = page(400, 600, 480, 310, 80)
    square, frame = letterbox(sheet, 64, "sketch")
    assert isinstance(frame, Frame) and frame.size == (600, 400)
    ink = (square[0] < 0.5).nonzero().flip(1).float() + 0.5
    back = frame.to_file(torch.stack([ink.amin(0) - 0.5, ink.amax(0) + 0.5]))
    assert torch.allclose(back, torch.tensor([[480.0, 310.0], [560.0, 390.0]]), atol=2.5)


def test_specks_do_not_widen_the_window_and_a_blank_page_has_none() -> None:
    sheet = page(400, 400, 150, 150, 100)
    window = stroke_window(sheet)
    sheet[:, 3, 3] = 0
    assert stroke_window(sheet) == window
    assert stroke_window(torch.ones(3, 50, 50)) is None
    dot = torch.ones(3, 500, 500)
    dot[:, 250:252, 250:252] = 0
    found = stroke_window(dot)
    assert found is not None and found.side == 40


def test_padding_is_white_for_sketches_and_the_edge_for_photos() -> None:
    image = torch.rand(3, 32, 64) * 0.5
    sketch, frame = letterbox(image, 64, "sketch", whole_page=True)
    photo, _ = letterbox(image, 64, "photo")
    assert frame.offset_y == 16 and (sketch[:, :16] == 1).all() and (sketch[:, 48:] == 1).all()
    assert torch.equal(photo[:, :16], image[:, :1].expand(-1, 16, -1))
    assert torch.equal(sketch[:, 16:48], image) and torch.equal(photo[:, 16:48], image)


@settings(max_examples=60)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 96), st.sampled_from(["sketch", "photo"]))
def test_any_size_fits(width: int, height: int, side: int, kind: str) -> None:
    square, frame = letterbox(torch.rand(3, height, width), side, kind, whole_page=True)  # type: ignore[arg-type]
    assert square.shape == (3, side, side) and square.min() >= 0 and square.max() <= 1
    assert frame.offset_x * 2 + frame.scale_x * width == pytest.approx(side, abs=1 + 1e-6)
    assert frame.offset_y * 2 + frame.scale_y * height == pytest.approx(side, abs=1 + 1e-6)
    window, _ = letterbox(torch.rand(3, height, width), side, "sketch")
    assert window.shape == (3, side, side) and window.min() >= 0 and window.max() <= 1


def test_reduction_averages_instead_of_skipping() -> None:
    board = ((torch.arange(512)[:, None] + torch.arange(512)) % 2).float().expand(3, -1, -1)
    square, _ = letterbox(board, 64, "photo")
    torch.testing.assert_close(square, torch.full_like(square, 0.5), atol=0.02, rtol=0)


def test_thin_lines_of_a_large_drawing_stay_dark() -> None:
    large = torch.ones(3, 2000, 2000)
    large[:, 990:996, 200:1800] = 0
    sketch, frame = letterbox(large, 128, "sketch")
    photo, _ = letterbox(large, 128, "photo")
    assert photo.min() > 0.5 and (1 - photo[0, :, 64]).sum() < 0.5
    assert (1 - sketch[0, :, 64]).sum() > 0.75  # nearly a pixel wide
    row = frame.to_square(torch.tensor([[1000.0, 993.0]]))[0, 1]
    assert abs(int(sketch[0, :, 64].argmin()) + 0.5 - float(row)) <= 1
