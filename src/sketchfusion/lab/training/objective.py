"""What every task's training is made of: an objective, and its data at half and at the full side, and held out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Generator, Tensor, nn

from ...extractor import Extractor
from ...fusion import PHOTO, SKETCH, Centring
from ...saved import Heads
from .loop import Losses

# What training uses in place of the centring, and leaves to it: each channel of mean 0 and variance 1 over a batch.


Over = Literal["pooled", "cells"]
MOMENTUM, EPSILON = 0.1, 1e-5  # of the running statistics, and beside the variance, as in batch norm


class Standardise(nn.Module):
    """Batch norm of fused maps, for photos and for sketches, whose statistics are those of what a task compares.

    That is the pooled features, or the single cells. A channel's scale being positive, pooling before or after makes
    no difference.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, photos: Over = "pooled", sketches: Over = "pooled") -> None:
        """Make the statistics of maps of `width` channels."""
        super().__init__()
        self.momentum = MOMENTUM
        self._over = {PHOTO: photos, SKETCH: sketches}
        self.register_buffer("mean", torch.zeros(2, width))
        self.register_buffer("variance", torch.ones(2, width))

    def forward(self, maps: Tensor, kind: int) -> Tensor:
        """Give the maps (B, d, h, w) of pictures of one kind, standardised: by the batch, in `eval` by the running."""
        maps = maps.float()
        mean, variance = self.mean[kind], self.variance[kind]
        if self.training:
            compared = maps.amax((2, 3)) if self._over[kind] == "pooled" else maps.movedim(1, -1).flatten(0, -2)
            batch = compared.mean(0)
            with torch.no_grad():
                self.mean[kind].lerp_(batch, self.momentum)
            if len(compared) > 1:  # one alone has no variance, so it is standardised by the running statistics
                mean, variance = batch, compared.var(0, unbiased=False)
                with torch.no_grad():
                    self.variance[kind].lerp_(compared.var(0), self.momentum)
        return (maps - mean[:, None, None]) / (variance[:, None, None] + EPSILON).sqrt()

    def settle(self, centring: Centring) -> None:
        """Hand the running statistics over to the light parts' centring."""
        for kind in (PHOTO, SKETCH):
            centring.set_statistics(kind, self.mean[kind], (self.variance[kind] + EPSILON).sqrt())


# What is kept of B pictures, and their kind, to their standardised maps (B, d, h, w).
See = Callable[[tuple[Tensor, ...], int], Tensor]
Data = TypeVar("Data")


class Objective(nn.Module, ABC, Generic[Data]):
    """What one task asks of the maps; its parameters are what it needs beside what makes them."""

    photos: Over = "pooled"  # what is compared of a photo
    sketches: Over = "pooled"  # and of a sketch

    @abstractmethod
    def losses(self, see: See, data: Data, generator: Generator) -> Losses:
        """Draw a batch and give its losses; "loss" is what is minimised."""

    def choose(self, model: Extractor, data: Phases[Data]) -> None:
        """Choose what no gradient has, with the model as it will be served, on data not drawn where there are any."""

    def heads(self) -> Heads:
        """Give what is kept beside the light weights when training is over."""
        return Heads()


@dataclass(frozen=True)
class Phases(Generic[Data]):
    """A task's data: training begins at half the side, a quarter of the work, and ends at the full one."""

    half: Data
    full: Data
    held_out: Data | None  # at the full side; None where nothing is held out


@dataclass(frozen=True)
class Training:
    """An objective with the data it is to be trained on."""

    objective: Objective[Any]
    data: Phases[Any]
