"""What every task's training is made of: an objective, and its data at half and at the full side, and held out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Generator, Tensor, nn

from ..extractor import Extractor
from ..saved import Heads
from .loop import Losses
from .standardise import Over

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
