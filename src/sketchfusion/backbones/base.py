"""What every frozen backbone shares: named stages, and weights that never train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn


@dataclass(frozen=True)
class Stage:
    """One place in a network where its features can be read, or added to."""

    name: str
    channels: int
    stride: int  # input pixels per cell


@dataclass(frozen=True)
class Tokens:
    """What a vision transformer says about a batch of images."""

    dense: Tensor  # (B, C, h, w), one vector per patch
    pooled: Tensor  # (B, P), one vector per image


class Frozen(nn.Module):
    """A module whose weights never change: no gradient reaches them and `train()` does not wake them.

    Gradient still flows *through* it, to whatever was added to its features.
    """

    def freeze(self) -> Self:
        """Shut off the gradient of every weight held so far and enter eval mode."""
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode whatever is asked, so that a parent's `train()` cannot change the features."""
        return super().train(False)
