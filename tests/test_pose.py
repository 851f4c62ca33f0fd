"""The affine pose of a sketch in a photo, and matches that use it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sketchfusion.featuremap import FeatureMap, Frame
from sketchfusion.tasks.correspondence import distance_penalty, match_aligned, match_maps, pose

SHEET = Frame(64, 64, 64, 1.0, 1.0, 0, 0)
WIDE = Frame(128, 64, 64, 0.5, 0.5, 0, 16)  # padding above and below


def texture(seed: int) -> Tensor:
    """Features (24, 64, 64) that differ from place to place, smoothly."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 24, 9, 9, generator=generator)
    return F.interpolate(coarse, size=(64, 64), mode="bicubic", align_corners=True)[0]


def warped(data: Tensor, matrix: Tensor, side: int = 32) -> Tensor:
    """Warp features by `matrix` (3, 2), which maps their coordinates to those of the answer (C, side, side)."""
    inverse = torch.linalg.inv(torch.cat([matrix, torch.tensor([[0.0], [0.0], [1.0]])], dim=1))[:, :2]
    grid = F.affine_grid(inverse.T[None], [1, len(data), side, side], align_corners=False)
    return F.grid_sample(data[None], grid, padding_mode="border", align_corners=False)[0]


def turned(degrees: float, size: float, right: float, down: float) -> Tensor:
    angle = math.radians(degrees)
    first = size * torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return torch.cat([first, torch.tensor([[right, down]])])


STROKES = torch.cartesian_prod(torch.linspace(14, 50, 6), torch.linspace(14, 50, 6))


@pytest.mark.parametrize("true", [turned(0, 1, 0, 0), turned(20, 0.7, 0.2, -0.15), turned(-15, 0.6, -0.3, 0.25)])
def test_the_pose_of_a_turned_sketch_is_recovered(true: Tensor) -> None:
    data = texture(0)
    sketch, photo = FeatureMap(F.avg_pool2d(data, 2), SHEET), FeatureMap(warped(data, true), SHEET)
    from_sketch, _ = pose(sketch, photo, STROKES, 0.02)
    found = from_sketch(STROKES)
    right = torch.cat([2 * STROKES / 64 - 1, torch.ones(len(STROKES), 1)], dim=1) @ true
    assert (found - right).norm(dim=1).max() < 0.12  # two cells of 32


def test_without_any_texture_the_sheet_covers_the_photo() -> None:
    flat = torch.ones(4, 16, 16)
    from_sketch, from_photo = pose(FeatureMap(flat, SHEET), FeatureMap(flat, WIDE), STROKES, 0.05)
    assert (from_sketch(STROKES) - (2 * STROKES / 64 - 1)).abs().max() < 1e-3
    corner = torch.tensor([[128.0, 64.0]])
    assert from_photo(corner).tolist() == [[1.0, 1.0]]


def test_of_two_equal_places_the_one_near_the_pose_is_found() -> None:
    """One place of the photo shows exactly what another does; alone, a point cannot tell which is meant."""
    true = turned(0, 0.6, 0.35, 0.0)
    data = texture(1)
    shown = warped(data, true)
    shown[:, :, :10] = shown[:, :, 20:30]  # a part of it again, at the left
    sketch, photo = FeatureMap(F.avg_pool2d(data, 2), SHEET), FeatureMap(shown, SHEET)
    right = (torch.cat([2 * STROKES / 64 - 1, torch.ones(len(STROKES), 1)], dim=1) @ true + 1) * 32

    def missed(found: Tensor) -> int:
        return int(((found - right).norm(dim=1) > 6).sum())

    alone = match_maps(sketch, photo, STROKES, 0.02).positions
    posed = match_aligned(sketch, photo, STROKES, STROKES, temperature=0.02)
    assert missed(posed.positions) == 0 < missed(alone)
    assert posed.mutual.all()
    back = match_aligned(sketch, photo, STROKES, right, "photo", 0.02)
    assert (back.positions - STROKES).norm(dim=1).max() < 6


def test_a_clear_match_far_from_the_pose_is_still_found() -> None:
    """The penalty grows with the logarithm of the distance only."""
    expected, places = torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [0.15, 0.0], [2.0, 0.0]])
    assert distance_penalty(expected, places)[0].tolist() == pytest.approx(
        [0, 2 * math.log(2), 2 * math.log(1 + 178)], rel=0.01
    )
    data = texture(2)
    shown = F.avg_pool2d(data, 2)
    moved = shown.clone()
    moved[:, 26:32, 26:32], moved[:, 10:16, 10:16] = shown[:, 10:16, 10:16], shown[:, 26:32, 26:32]
    found = match_aligned(
        FeatureMap(shown, SHEET), FeatureMap(moved, SHEET), STROKES, torch.tensor([[26.0, 26.0]]), temperature=0.01
    )
    assert (found.positions - 58).abs().max() < 4
