"""Geometry of feature maps: file pixels, square pixels and cells, half-pixel right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sketchfusion.featuremap import FeatureMap, Frame
from sketchfusion.io.images import letterbox

WHOLE = Frame(64, 64, 64, 1.0, 1.0, 0.0, 0.0)
sizes = st.integers(1, 300)


def feature_map(width: int, height: int, side: int, cells: int, channels: int = 3) -> FeatureMap:
    _, frame = letterbox(torch.zeros(3, height, width), side)
    torch.manual_seed(0)
    return FeatureMap(torch.randn(channels, cells, cells), frame)


def bilinear(data: Tensor, x: float, y: float) -> Tensor:
    """One point by hand: cell centres at k + 0.5, edges continued."""
    _, h, w = data.shape
    x, y = min(max(x - 0.5, 0), w - 1), min(max(y - 0.5, 0), h - 1)
    c, r = min(int(x), max(w - 2, 0)), min(int(y), max(h - 2, 0))
    c2, r2 = min(c + 1, w - 1), min(r + 1, h - 1)
    top = data[:, r, c] * (1 - (x - c)) + data[:, r, c2] * (x - c)
    bottom = data[:, r2, c] * (1 - (x - c)) + data[:, r2, c2] * (x - c)
    return top * (1 - (y - r)) + bottom * (y - r)


@settings(max_examples=60)
@given(sizes, sizes, st.sampled_from([32, 100, 128]), st.sampled_from([7, 16, 32]))
def test_points_come_back_from_square_and_cells(width: int, height: int, side: int, cells: int) -> None:
    fmap = feature_map(width, height, side, cells)
    points = torch.rand(20, 2, dtype=torch.float64) * torch.tensor([width, height])
    torch.testing.assert_close(fmap.frame.to_file(fmap.frame.to_square(points)), points)
    torch.testing.assert_close(fmap.to_pixels(fmap.to_cells(points)), points)
    square = fmap.frame.to_square(points)
    assert (square >= -1e-9).all() and (square <= side + 1e-9).all()


def test_cell_centres_are_half_way() -> None:
    fmap = FeatureMap(torch.zeros(1, 8, 8), WHOLE)
    assert fmap.to_cells(torch.tensor([[4, 4], [60, 4]])).tolist() == [[0.5, 0.5], [7.5, 0.5]]
    assert fmap.to_pixels(torch.tensor([[0.5, 7.5]])).tolist() == [[4.0, 60.0]]


def test_sample_is_bilinear_between_cell_centres() -> None:
    fmap = FeatureMap(torch.randn(5, 8, 16), WHOLE)
    points = torch.rand(50, 2) * 64
    expected = torch.stack([bilinear(fmap.data, float(x) / 4, float(y) / 8) for x, y in points])
    torch.testing.assert_close(fmap.sample(points), expected, atol=1e-5, rtol=1e-5)
    centre = fmap.to_pixels(torch.tensor([[3.5, 2.5]]))
    torch.testing.assert_close(fmap.sample(centre)[0], fmap.data[:, 2, 3])


@settings(max_examples=60)
@given(sizes, sizes, st.sampled_from([8, 15, 32]))
def test_valid_marks_exactly_the_cells_whose_centre_is_on_the_image(width: int, height: int, cells: int) -> None:
    fmap = feature_map(width, height, 96, cells)
    valid, frame = fmap.valid(), fmap.frame
    assert valid.any()
    if valid.sum() > cells:
        for row in range(cells):
            for column in range(cells):
                x, y = ((i + 0.5) * 96 / cells for i in (column, row))
                on_x = frame.offset_x - 1e-3 <= x <= frame.offset_x + frame.scale_x * width + 1e-3
                on_y = frame.offset_y - 1e-3 <= y <= frame.offset_y + frame.scale_y * height + 1e-3
                assert bool(valid[row, column]) == (on_x and on_y), (row, column)


def test_one_cell_is_valid_even_for_a_hair_of_an_image() -> None:
    fmap = feature_map(1000, 1, 64, 4)
    assert fmap.valid().sum() == 4
    assert fmap.valid().any(dim=1).tolist().count(True) == 1


def test_pooling_and_sampling_ignore_the_padding() -> None:
    fmap = feature_map(100, 50, 64, 8)
    spoilt = FeatureMap(torch.where(fmap.valid(), fmap.data, 1e6), fmap.frame)
    torch.testing.assert_close(spoilt.pooled(), fmap.data[:, 2:6].amax(dim=(1, 2)))
    corners = torch.tensor([[0, 0], [100, 50], [50, 0.5]])
    assert spoilt.sample(corners).abs().max() < 100
    assert spoilt.crop_to_image().abs().max() < 100


def test_crop_to_image_equals_sampling_every_pixel_centre() -> None:
    fmap = feature_map(21, 13, 32, 8)
    cropped = fmap.crop_to_image()
    assert cropped.shape == (3, 13, 21)
    torch.testing.assert_close(cropped[:, 4, 7], fmap.sample(torch.tensor([[7.5, 4.5]]))[0])
    half = fmap.crop_to_image((6, 10))
    torch.testing.assert_close(half[:, 0, 9], fmap.sample(torch.tensor([[9.5 * 2.1, 0.5 * 13 / 6]]))[0])


def test_cosine_of_every_cell_with_a_vector() -> None:
    features, vector = feature_map(64, 64, 64, 4, 6), torch.randn(6)
    cosine = features.cosine(vector)
    assert cosine.shape == (4, 4)
    one = torch.nn.functional.cosine_similarity(features.data[:, 1, 2], vector, dim=0)
    torch.testing.assert_close(cosine[1, 2], one)


def test_half_precision_and_wrong_shapes() -> None:
    fmap = FeatureMap(torch.randn(4, 8, 8).to(torch.bfloat16), WHOLE)
    assert fmap.sample(torch.tensor([[3.0, 4.0]])).dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"\(C, h, w\)"):
        FeatureMap(torch.zeros(1, 4, 8, 8), WHOLE)


def centroid(mass: Tensor) -> Tensor:
    at = torch.arange(len(mass)) + 0.5
    return torch.stack([(mass * at).sum(), (mass * at[:, None]).sum()]) / mass.sum()


@pytest.mark.parametrize(("width", "height"), [(37, 101), (101, 37), (255, 254), (333, 333), (641, 97), (20, 9)])
@pytest.mark.parametrize("kind", ["sketch", "photo"])
def test_a_dot_lands_where_the_frame_says(width: int, height: int, kind: str) -> None:
    """The centre of mass of a dot in the letterboxed square is its file position under the frame."""
    x, y, radius = width * 0.31, height * 0.64, max(2.0, max(width, height) / 24)
    rows, columns = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    dot = (((columns - x) ** 2 + (rows - y) ** 2).sqrt() < radius).float()
    middle = torch.stack([(dot * columns).sum(), (dot * rows).sum()]) / dot.sum()
    square, frame = letterbox((1 - dot).expand(3, -1, -1), 128, kind)  # type: ignore[arg-type]
    ink = 1 - square[0]
    torch.testing.assert_close(centroid(ink), frame.to_square(middle[None])[0], atol=0.15, rtol=0)
    cells = torch.nn.functional.avg_pool2d(ink[None, None], 4)[0]
    torch.testing.assert_close(
        centroid(cells[0]), FeatureMap(cells, frame).to_cells(middle[None])[0], atol=0.06, rtol=0
    )


def test_it_says_its_sizes_and_numpy_takes_it() -> None:
    features = torch.rand(3, 4, 5, dtype=torch.bfloat16)
    made = FeatureMap(features, Frame(20, 16, 20, 1.0, 1.0, 0.0, 2.0))
    assert repr(made) == "FeatureMap(3 channels, 4x5 cells, of a picture of 20x16 pixels)"
    assert made.shape == (3, 4, 5)
    assert np.array_equal(np.asarray(made), features.float().numpy())
    assert np.asarray(made, dtype=np.float64).dtype == np.float64
