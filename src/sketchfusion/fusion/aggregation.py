"""Stages of several scales become one dense map (paper Sec. 5.1, "SD Feature Aggregation")."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .stretch import Stretch

GROUPS = 32


class Aggregation(nn.Module):
    """One bottleneck per stage on a common grid, then a sum weighted by a softmax over learnt branch weights.

    Two of the paper's ablations (table 6) are here: without bottlenecks channels are interpolated to the width, without
    weights every branch counts alike.
    """

    def __init__(
        self,
        stages: Mapping[str, int],
        width: int,
        grid: int,
        dropout: float = 0.0,
        bottlenecks: bool = True,
        weights: bool = True,
    ) -> None:
        """Take stages of the given channels to maps of `width` channels on a `grid` x `grid` of cells."""
        super().__init__()
        self.grid = grid
        self.branches = nn.ModuleDict(
            {name: Bottleneck(channels, width) if bottlenecks else Stretch(width) for name, channels in stages.items()}
        )
        self.branch_weights = nn.Parameter(torch.ones(len(stages)), requires_grad=weights)
        self.dropout = dropout

    def forward(self, maps: Mapping[str, Tensor], grid: int | None = None) -> Tensor:
        """Give the aggregated map (B, width, grid, grid) of stages' maps (B, C_stage, h, w); `grid` is the own one."""
        grid = grid or self.grid
        shares = self.branch_weights.softmax(dim=0)
        fused = shares.new_zeros(())
        for share, (name, branch) in zip(shares, self.branches.items(), strict=True):
            # To the grid first: every branch then mixes the same neighbourhood, whatever its stage's scale.
            on_grid = F.interpolate(maps[name].float(), (grid, grid), mode="bilinear", align_corners=False)
            fused = fused + share * branch(F.dropout(on_grid, self.dropout, self.training))
        return fused


class Bottleneck(nn.Module):
    """ResNet bottleneck: 1x1, 3x3, 1x1 convolutions with group norm, and a shortcut projected only where it must be."""

    def __init__(self, channels: int, width: int) -> None:
        """Take `channels` to `width` through `width / 4`."""
        super().__init__()
        middle = width // 4
        self.reduce = _ConvNorm(channels, middle, 1)
        self.mix = _ConvNorm(middle, middle, 3)
        self.expand = _ConvNorm(middle, width, 1)
        self.shortcut = nn.Identity() if channels == width else _ConvNorm(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Give the (B, width, h, w) of a map (B, channels, h, w); the last ReLU makes it non-negative."""
        residual = self.expand(F.relu(self.mix(F.relu(self.reduce(x)))))
        return F.relu(residual + self.shortcut(x))


class _ConvNorm(nn.Sequential):
    """A convolution that keeps the size, He-initialised and without bias, and its group norm."""

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        # 32 groups as everywhere in Stable Diffusion; narrow models take the most that divides their width.
        super().__init__(conv, nn.GroupNorm(gcd(GROUPS, width), width))
