"""Augmentations: their effects and limits."""

from __future__ import annotations

import torch

from sketchfusion.lab.training import augment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawing() -> torch.Tensor:
    picture = torch.ones(4, 1, 64, 64)
    picture[:, :, 20:44, 30:33] = 0
    picture[:, :, 40:43, 16:50] = 0
    return picture


def test_a_warp_without_freedom_is_the_picture() -> None:
    picture = torch.rand(3, 3, 32, 32, generator=seeded())
    same = augment.warp(picture, 32, seeded(), zoom=(1.0, 1.0), degrees=0, stretch=0, flip=False)
    assert torch.allclose(same, picture, atol=1e-5)


def test_a_warp_to_half_the_size_averages_instead_of_aliasing() -> None:
    stripes = torch.zeros(1, 1, 64, 64)
    stripes[..., ::2] = 1
    half = augment.warp(stripes, 32, seeded(), zoom=(1.0, 1.0), degrees=0, stretch=0, flip=False)
    assert torch.allclose(half, torch.full_like(half, 0.5), atol=1e-5)


def test_the_same_seed_gives_the_same_pictures() -> None:
    picture = torch.rand(5, 3, 48, 48, generator=seeded())
    assert torch.equal(augment.photos(picture, 32, seeded(1)), augment.photos(picture, 32, seeded(1)))
    assert not torch.equal(augment.photos(picture, 32, seeded(1)), augment.photos(picture, 32, seeded(2)))


def test_augmented_sketches_stay_dark_lines_on_white() -> None:
    for seed in range(5):
        out = augment.sketches(drawing(), 48, seeded(seed))
        assert out.shape == (4, 3, 48, 48)
        assert out.min() >= 0 and out.max() <= 1
        assert (out > 0.95).float().mean() > 0.6
        assert (out < 0.6).float().mean((1, 2, 3)).min() > 0.005
        assert torch.equal(out[:, 0], out[:, 2])


def test_augmented_photos_keep_the_range() -> None:
    out = augment.photos(torch.rand(6, 3, 64, 64, generator=seeded()), 40, seeded(3))
    assert out.shape == (6, 3, 40, 40)
    assert out.min() >= 0 and out.max() <= 1


def test_an_outline_is_drawn_where_the_edge_is_and_nowhere_on_a_flat_picture() -> None:
    picture = torch.full((1, 3, 64, 64), 0.2)
    picture[..., 32:] = 0.8
    ink = 1 - augment.outline(picture, seeded())[0, 0]
    assert ink[:, 27:38].max(1).values.min() > 0.5
    assert ink[:, :20].max() < 0.05 and ink[:, 46:].max() < 0.05
    assert (1 - augment.outline(torch.full((1, 3, 64, 64), 0.5), seeded())).max() < 0.05


def test_erasing_removes_ink_and_adds_none() -> None:
    ink = 1 - drawing()
    erased = augment.erase(ink, seeded(), share=1.0)
    assert bool((erased <= ink).all())
    assert erased.sum() < ink.sum()
