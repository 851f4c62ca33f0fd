"""What photos, and what sketches, have in common is taken off their maps, so that the two kinds can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

PHOTO, SKETCH = 0, 1


def numbered(kinds: Sequence[Literal["photo", "sketch"]]) -> Tensor:
    """Give the numbers (B,) that the kinds of pictures have here."""
    return torch.tensor([SKETCH if kind == "sketch" else PHOTO for kind in kinds])


class Centring(nn.Module):
    """Each channel less its centre and divided by its spread, which training finds for photos and for sketches.

    A sum of ReLUs is nowhere negative, so that all cosines are near 1, and photos are nearer to photos than to sketches
    of the same thing (the modality gap: Liang et al., 2022). New parts have 0 and 1, which leave the map as the paper
    has it.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, width: int) -> None:
        """Make the two for maps of `width` channels."""
        super().__init__()
        self.register_buffer("centre", torch.zeros(2, width))
        self.register_buffer("spread", torch.ones(2, width))

    def forward(self, maps: Tensor, kinds: Tensor) -> Tensor:
        """Give the maps (B, width, h, w), centred by the kind (B,) of each: 0 for a photo, 1 for a sketch."""
        return (maps - self.centre[kinds, :, None, None]) / self.spread[kinds, :, None, None]

    def reset(self) -> None:
        """Leave maps as the paper has them again."""
        self.centre.zero_()
        self.spread.fill_(1.0)

    @torch.no_grad()
    def settle(self, kind: int, centre: Tensor, spread: Tensor) -> None:
        """Take over what training found for a kind, (width,) each."""
        self.centre[kind] = centre
        self.spread[kind] = spread
