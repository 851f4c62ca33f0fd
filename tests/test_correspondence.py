"""Matching points: on maps whose answer is known, through pictures, with wrong input, and on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from fixtures.pixels import PixelExtractor
from sketchfusion.errors import ImageError
from sketchfusion.extractor import ModelInput
from sketchfusion.featuremap import FeatureMap, Frame
from sketchfusion.tasks.correspondence import dense_match, locate, match, match_aligned, match_maps, sample_strokes
from test_cli import refused, sketchfusion

SQUARE = Frame(64, 64, 64, 1.0, 1.0, 0, 0)
WIDE = Frame(128, 64, 64, 0.5, 0.5, 0, 16)  # 128 x 64 pixels in the middle half of the square


def smooth(seed: int, side: int = 16, channels: int = 24) -> torch.Tensor:
    """A map whose neighbouring cells are alike and whose distant ones are not."""
    coarse = torch.randn(1, channels, 6, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic", align_corners=False)[0]


def test_a_map_matched_with_itself_gives_the_same_points() -> None:
    one = FeatureMap(smooth(0), SQUARE)
    points = torch.tensor([[10.0, 12.0], [40.0, 33.0], [50.5, 20.5]])
    positions, scores, mutual = match_maps(one, one, points, temperature=0.01)
    assert (positions - points).abs().amax() < 2.5  # half a cell is 2 px
    assert scores.min() > 0.97 and mutual.all()


@settings(max_examples=20)
@given(st.integers(-4, 4), st.integers(-4, 4))
def test_a_shifted_map_is_matched_at_the_shift(right: int, down: int) -> None:
    whole = FeatureMap(smooth(1, 32), SQUARE)
    middle = whole.data[:, 8:24, 8:24]
    moved = whole.data[:, 8 - down : 24 - down, 8 - right : 24 - right]
    points = torch.tensor([[30.0, 30.0]])
    found = match_maps(FeatureMap(middle, SQUARE), FeatureMap(moved, SQUARE), points, temperature=0.005).positions
    assert (found - points - torch.tensor([[4.0 * right, 4.0 * down]])).abs().amax() < 3.0


def test_the_window_is_masked_not_multiplied_by_zero() -> None:
    """All cosines are negative, so a zero outside the window would win; the released code does that."""
    data = -torch.ones(2, 9, 9)
    data[1] = torch.linspace(0.5, 3, 81).reshape(9, 9)
    here = locate(torch.tensor([[1.0, 0.0]]), FeatureMap(data, Frame(9, 9, 9, 1.0, 1.0, 0, 0)), 0.01, 0.12)
    rows, columns = torch.meshgrid(torch.arange(9) + 0.5, torch.arange(9) + 0.5, indexing="ij")
    cosine = -1 / (1 + data[1] ** 2).sqrt()
    best = int(cosine.argmax())
    near = ((rows - rows.flatten()[best]).abs() <= 1) & ((columns - columns.flatten()[best]).abs() <= 1)
    weight = torch.where(near, torch.exp(cosine / 0.01), 0)
    weight = weight / weight.sum()
    assert here[0].tolist() == pytest.approx([float((weight * columns).sum()), float((weight * rows).sum())], abs=1e-4)


def test_padding_is_never_an_answer() -> None:
    target = smooth(2)
    query = torch.randn(24)
    target[:, :4] = query[:, None, None]  # the padding is the perfect match
    found = locate(query[None], FeatureMap(target, WIDE))
    assert 0 <= found[0, 0] <= 128 and 0 <= found[0, 1] <= 64


def test_answers_are_pixels_of_files_of_any_shape() -> None:
    data = smooth(3)
    square, wide = FeatureMap(data, SQUARE), FeatureMap(data, WIDE)
    points = torch.tensor([[20.0, 26.0], [50.0, 40.0]])
    found = match_maps(square, wide, points, temperature=0.01).positions
    assert (WIDE.to_square(found) - points).abs().amax() < 2.5
    assert match_maps(square, wide, torch.empty(0, 2)).positions.shape == (0, 2)


def test_dense_answers_are_those_of_the_points_at_the_cells() -> None:
    sketch, photo = FeatureMap(smooth(4), SQUARE), FeatureMap(smooth(5), WIDE)
    strokes = torch.tensor([[20.0, 20.0], [44.0, 20.0], [32.0, 44.0]])
    places, scores = dense_match(sketch, photo, strokes)
    assert places.shape == (16, 16, 2) and scores.shape == (16, 16)
    assert (scores[:4] == -1).all() and (scores[5:11] > -1).all()
    centre = photo.to_pixels(torch.tensor([[9.5, 7.5]]))
    alone = match_aligned(sketch, photo, strokes, centre, "photo").positions[0]
    assert places[7, 9].tolist() == pytest.approx(alone.tolist(), abs=1e-3)


def drawing(width: int = 90, height: int = 60) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).line((10, 10, width - 10, 10, width - 10, height - 10), fill="black", width=3)
    return image


def test_points_spread_over_the_strokes() -> None:
    picture = torch.from_numpy(np.asarray(drawing()).copy()).permute(2, 0, 1) / 255
    points = sample_strokes(picture, 6)
    assert points.shape == (6, 2)
    for x, y in points.tolist():
        assert picture[0, int(y), int(x)] < 0.5
    gaps = (points[:, None] - points[None]).norm(dim=2) + 1e3 * torch.eye(6)
    assert gaps.min() > 15  # 110 px of line for 6 points
    assert len(sample_strokes(picture, 10**6)) == int((picture[0] < 0.5).sum())


class Places(PixelExtractor):
    """A feature says where in the square its cell lies, and nothing of what is there."""

    def maps(self, views: Sequence[ModelInput]) -> torch.Tensor:
        at = torch.linspace(0, 3, 16)
        waves = torch.stack([f(k * at) for k in (1, 2) for f in (torch.sin, torch.cos)])
        rows, columns = waves[:, :, None].expand(-1, 16, 16), waves[:, None].expand(-1, 16, 16)
        return torch.cat([rows, columns]).repeat(len(views), 1, 1, 1)


def test_points_are_pixels_of_the_pictures_in_either_direction() -> None:
    sketch, photo = drawing(90, 60), drawing(225, 150)
    found = match(Places(), sketch, photo, [(80, 10), (20, 40)])
    for one, asked, there in zip(found, [(80, 10), (20, 40)], [(200, 25), (50, 100)], strict=True):
        assert one.sketch == asked and one.mutual and one.score > 0.95
        assert np.hypot(*np.subtract(one.photo, there)) < 10  # a cell is 14 px
    back = match(Places(), sketch, photo, [(200, 25)], source="photo")[0]
    assert back.photo == (200, 25) and np.hypot(*np.subtract(back.sketch, (80, 10))) < 4


@pytest.mark.parametrize("size", [(400, 2), (2, 400)])
def test_matches_lie_within_a_photo_narrower_than_a_cell(size: tuple[int, int]) -> None:
    for found in match(Places(), drawing(), drawing(*size)):
        assert all(0 <= at <= edge for at, edge in zip(found.photo, size, strict=True))


def test_wrong_points_and_blank_sketches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"point 91,5 is outside the sketch, which is 90 x 60 pixels"):
        match(PixelExtractor(), drawing(), drawing(), [(5, 5), (91, 5)])
    with pytest.raises(ValueError, match=r"points must be \(N, 2\)"):
        match(PixelExtractor(), drawing(), drawing(), [(1, 2, 3)])
    with pytest.raises(ValueError, match="say which points of the photo"):
        match(PixelExtractor(), drawing(), drawing(), source="photo")
    with pytest.raises(ImageError, match="blank"):
        match(PixelExtractor(), Image.new("RGB", (40, 40), "white"), drawing())


def test_the_command_answers_in_json_and_draws(tmp_path: Path) -> None:
    drawing().save(tmp_path / "sketch.png")
    drawing(120, 120).save(tmp_path / "photo.jpg")
    asked, out = ("match", tmp_path / "sketch.png", tmp_path / "photo.jpg"), tmp_path / "new" / "matches.png"
    done = sketchfusion(*asked, "--json", "--picture", out)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert set(answers[0]) == {"sketch", "photo", "score", "mutual"} and len(answers) == 12
    assert all(0 <= one["photo"][0] <= 120 and -1 <= one["score"] <= 1 for one in answers)
    with Image.open(out) as picture:
        assert picture.width > picture.height > 300
    assert "'3' is not a point" in refused(*asked, "--points", "3;4")
