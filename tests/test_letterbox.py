"""Pictures of any size in the square that the models see."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sketchfusion.io.images import letterbox


def test_a_square_of_the_right_size_is_returned_unchanged() -> None:
    image = torch.rand(3, 128, 128)
    for kind in ("sketch", "photo"):
        square, frame = letterbox(image, 128, kind)  # type: ignore[arg-type]
        assert torch.equal(square, image)
        assert (frame.scale_x, frame.scale_y, frame.offset_x, frame.offset_y) == (1, 1, 0, 0)


def test_padding_is_white_for_sketches_and_the_edge_for_photos() -> None:
    image = torch.rand(3, 32, 64) * 0.5
    sketch, frame = letterbox(image, 64, "sketch")
    photo, _ = letterbox(image, 64, "photo")
    assert frame.offset_y == 16 and (sketch[:, :16] == 1).all() and (sketch[:, 48:] == 1).all()
    assert torch.equal(photo[:, :16], image[:, :1].expand(-1, 16, -1))
    assert torch.equal(sketch[:, 16:48], image) and torch.equal(photo[:, 16:48], image)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 96), st.sampled_from(["sketch", "photo"]))
def test_any_size_fits(width: int, height: int, side: int, kind: str) -> None:
    square, frame = letterbox(torch.rand(3, height, width), side, kind)  # type: ignore[arg-type]
    assert square.shape == (3, side, side) and square.min() >= 0 and square.max() <= 1
    assert frame.offset_x * 2 + frame.scale_x * width == pytest.approx(side, abs=1 + 1e-6)
    assert frame.offset_y * 2 + frame.scale_y * height == pytest.approx(side, abs=1 + 1e-6)


def test_reduction_averages_instead_of_skipping() -> None:
    board = ((torch.arange(512)[:, None] + torch.arange(512)) % 2).float().expand(3, -1, -1)
    square, _ = letterbox(board, 64, "photo")
    torch.testing.assert_close(square, torch.full_like(square, 0.5), atol=0.02, rtol=0)


def test_thin_lines_of_a_large_drawing_stay_dark() -> None:
    large = torch.ones(3, 2000, 2000)
    large[:, 990:996, 200:1800] = 0
    sketch, frame = letterbox(large, 128, "sketch")
    photo, _ = letterbox(large, 128, "photo")
    assert photo.min() > 0.5 > 0.35 > sketch[0, :, 64].min()
    row = frame.to_square(torch.tensor([[1000.0, 993.0]]))[0, 1]
    assert abs(int(sketch[0, :, 64].argmin()) + 0.5 - float(row)) < 1
