"""The ablations' way to match channels: interpolation, with nothing to learn (paper Sec. 7)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Stretch(nn.Module):
    """Linear interpolation along the channels."""

    def __init__(self, channels: int) -> None:
        """Give every map `channels` channels."""
        super().__init__()
        self.channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, channels, h, w)."""
        rows = maps.flatten(2).mT
        stretched = F.interpolate(rows, self.channels, mode="linear", align_corners=False)
        return stretched.mT.reshape(len(maps), self.channels, *maps.shape[2:])
