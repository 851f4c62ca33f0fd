"""What every frozen backbone shares: named stages, and weights that never train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F


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


def resize_square(images: Tensor, side: int) -> Tensor:
    """Resize square images (B, 3, S, S) in [0, 1] to (B, 3, side, side): bicubic, antialiased, overshoot cut off."""
    if images.shape[-2:] == (side, side):
        return images
    resized = F.interpolate(images, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(0, 1)


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Centre and scale images (B, 3, H, W) by each channel's mean and standard deviation."""
    centre, spread = images.new_tensor(mean).view(3, 1, 1), images.new_tensor(std).view(3, 1, 1)
    return (images - centre) / spread
