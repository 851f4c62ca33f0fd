"""The parts of every task's training: an objective, and its data at half and at full size, and held out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Generator, Tensor, nn

from ...extractor import Extractor
from ...fusion import PHOTO, SKETCH, Centring
from ...saved import Heads
from .feature_cache import InputBatch
from .loop import Losses

Statistics = Literal["pooled", "cells"]  # which features of a picture the standardisation takes its statistics from
Data = TypeVar("Data")

MOMENTUM, EPSILON = 0.1, 1e-5  # of the running statistics, and added to the variance, as in batch norm


@dataclass(frozen=True)
class Maps:
    data: Tensor  # (B, d, h, w)
    valid: Tensor | None = None  # (B, h, w) bool, the cells that lie on the pictures, not on padding; None: all do

    def pooled(self) -> Tensor:
        """Return the maxima (B, d) over all cells but padding, as models pool when they are served."""
        data = self.data if self.valid is None else self.data.masked_fill(~self.valid[:, None], -torch.inf)
        return data.amax((2, 3))


Forward = Callable[[InputBatch, int], Maps]  # (cached inputs of B pictures, kind) -> their standardised maps


class Objective(nn.Module, ABC, Generic[Data]):
    """A task's loss on standardised maps; its own parameters are trained too."""

    photo_statistics: Statistics = "pooled"
    sketch_statistics: Statistics = "pooled"

    def __init__(self, recipe: Any = None) -> None:
        """Draw batches by a task's recipe; subclasses add what they train besides the light parts."""
        super().__init__()
        self._recipe = recipe

    def use(self, recipe: Any) -> None:
        self._recipe = recipe

    @abstractmethod
    def draw(self, data: Data, generator: Generator) -> Any:
        """Draw a batch for `losses` by the generator alone, and read its pictures; in any thread."""

    @abstractmethod
    def losses(self, forward: Forward, drawn: Any) -> Losses:
        """Return the losses of a batch; "loss" is minimised."""

    def calibrate(self, model: Extractor, full: Data, held_out: Data | None) -> None:
        """Set what has no gradient, such as thresholds, with the trained model; on held-out data if there are any."""

    def heads(self) -> Heads:
        """Return the heads to save with the light weights."""
        return Heads()


@dataclass(frozen=True)
class Training:
    """A task's objective and data; training starts at half size, a quarter of the work, and ends at full size."""

    objective: Objective[Any]
    half: Any
    full: Any
    held_out: Any  # at full size; None if nothing is held out


class Standardise(nn.Module):
    """Batch norm of fused maps, separate for photos and sketches, over the features that a task compares.

    Training uses it in place of the centring, which takes over its running statistics at the end. A channel's scale is
    positive, so max pooling before or after makes no difference.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, photos: Statistics = "pooled", sketches: Statistics = "pooled") -> None:
        """Start with mean 0 and variance 1 for maps of `width` channels."""
        super().__init__()
        self.momentum = MOMENTUM
        self._statistics = {PHOTO: photos, SKETCH: sketches}
        self.register_buffer("mean", torch.zeros(2, width))
        self.register_buffer("variance", torch.ones(2, width))

    def forward(self, maps: Tensor, kind: int, valid: Tensor | None = None) -> Tensor:
        """Standardise maps (B, d, h, w) by the batch's `valid` cells (B, h, w), in `eval` mode by the running ones."""
        maps = maps.float()
        mean, variance = self.mean[kind], self.variance[kind]
        if self.training:
            pooled = self._statistics[kind] == "pooled"
            cells = maps.movedim(1, -1)
            features = Maps(maps, valid).pooled() if pooled else cells.flatten(0, -2) if valid is None else cells[valid]
            batch = features.mean(0)
            with torch.no_grad():
                self.mean[kind].lerp_(batch, self.momentum)
            if len(features) > 1:  # a single one has no variance: use the running statistics
                mean, variance = batch, features.var(0, unbiased=False)
                with torch.no_grad():
                    self.variance[kind].lerp_(features.var(0), self.momentum)
        return (maps - mean[:, None, None]) / (variance[:, None, None] + EPSILON).sqrt()

    def transfer(self, centring: Centring) -> None:
        """Copy the running statistics into the model's centring."""
        for kind in (PHOTO, SKETCH):
            centring.set_statistics(kind, self.mean[kind], (self.variance[kind] + EPSILON).sqrt())
