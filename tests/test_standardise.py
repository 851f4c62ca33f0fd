"""Standardising maps by the batch: batch norm of the compared features, which the centring takes over."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sketchfusion.fusion import PHOTO, SKETCH, Centring
from sketchfusion.lab.training.objective import Maps, Standardise

MAPS = torch.rand(6, 5, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1


@pytest.mark.parametrize("over", ["pooled", "cells"])
def test_it_is_batch_norm_of_what_is_compared(over: str) -> None:
    standardise, norm = Standardise(5, sketches=over), nn.BatchNorm1d(5, affine=False)  # type: ignore[arg-type]
    for _ in range(3):
        found = standardise(MAPS, SKETCH)
        if over == "pooled":
            assert torch.allclose(found.amax((2, 3)), norm(MAPS.amax((2, 3))), atol=1e-5)
        else:
            cells = MAPS.permute(0, 2, 3, 1).reshape(-1, 5)
            assert torch.allclose(found.permute(0, 2, 3, 1).reshape(-1, 5), norm(cells), atol=1e-5)
    assert torch.allclose(standardise.mean[SKETCH], norm.running_mean)  # type: ignore[arg-type]
    assert torch.allclose(standardise.variance[SKETCH], norm.running_var)  # type: ignore[arg-type]
    assert not standardise.mean[PHOTO].any()


@pytest.mark.parametrize("over", ["pooled", "cells"])
def test_padding_does_not_count(over: str) -> None:
    valid = torch.ones(6, 4, 4, dtype=torch.bool)
    valid[2, :, 3] = valid[4, 0] = False
    padded = MAPS.masked_fill(~valid[:, None], 100.0)
    lowest = MAPS.masked_fill(~valid[:, None], -100.0)
    one, other = (Standardise(5, sketches=over) for _ in range(2))  # type: ignore[arg-type]
    found, same = one(padded, SKETCH, valid), other(lowest, SKETCH, valid)
    assert torch.equal(one.mean, other.mean) and torch.equal(one.variance, other.variance)
    assert torch.equal(Maps(found, valid).pooled(), Maps(same, valid).pooled())
    assert torch.equal(Maps(found, valid).pooled()[[0, 1, 3, 5]], found[[0, 1, 3, 5]].amax((2, 3)))
    assert (Maps(found, valid).pooled() <= found.amax((2, 3))).all() and float(one.mean.max()) < 4


def test_one_picture_alone_is_standardised_by_the_running_statistics() -> None:
    standardise, centring = Standardise(5), Centring(5)
    standardise(MAPS, PHOTO)
    spread = standardise.variance[PHOTO].clone()
    found = standardise(MAPS[:1], PHOTO)
    assert torch.equal(found, standardise.eval()(MAPS[:1], PHOTO))
    assert torch.equal(standardise.variance[PHOTO], spread) and bool(found.isfinite().all())
    standardise.transfer(centring)
    assert bool(centring.spread.isfinite().all())


def test_the_centring_takes_over_what_it_does_outside_training() -> None:
    standardise, centring = Standardise(5), Centring(5)
    standardise(MAPS, PHOTO)
    standardise(MAPS + 2, SKETCH)
    standardise.eval()
    standardise.transfer(centring)
    for kind in (PHOTO, SKETCH):
        assert torch.allclose(centring(MAPS, torch.full((6,), kind)), standardise(MAPS, kind), atol=1e-5)
    centring.reset()
    assert torch.equal(centring(MAPS, torch.zeros(6, dtype=torch.long)), MAPS)
