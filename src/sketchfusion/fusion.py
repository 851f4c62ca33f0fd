"""The paper's method on one page: latents and CLIP tokens in, a fused dense map out.

1. Injection: CLIP's patch tokens are added to the stages of the UNet while it denoises (paper section 5.1).
2. Aggregation: the corrected stages become one dense map (section 5.1).
3. Centring: what sketches, or photos, have in common is removed from the map (not in the paper).
4. The model joins the three around a frozen diffusion model, at a fixed timestep and noise (sections 3.2 and 5.1).

Only injection and aggregation hold weights that gradients train; the diffusion model stays frozen. A `Student` has no
diffusion model: it was taught to give the same map from CLIP's features (not in the paper).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .backbones.diffusion import FrozenDiffusion

PHOTO, SKETCH = 0, 1  # indices of the kinds of pictures
Stages = Mapping[str, int]  # channels of stages of the UNet by name
MAX_GROUPS = 32  # of group norm, as everywhere in Stable Diffusion
PASS = 8  # noise draws share a pass of the UNet while draws x pictures are at most so many; else each has its own


@dataclass(frozen=True)
class FusionConfig:
    """Everything but the weights that shapes the fused map; the defaults are the paper's intent."""

    grid: int = 60  # cells a side of the fused map
    width: int = 1280  # its channels, d
    timestep: int = 195
    inject_at: tuple[str, ...] = ("down0", "down1", "down2", "down3", "up0", "up1", "up2")
    aggregate: tuple[str, ...] = ("up0", "up1", "up2")
    inject_skips: bool = False
    zero_init: bool = True
    cut_gradient: bool = False  # the released code detaches the stages, so its injection never trains
    dropout: float = 0.0  # of the stages' maps, in training
    ensemble: int = 1  # noise draws whose stages are averaged
    noise_seed: int | None = 0  # None: fresh noise at every call
    convolutions: bool = True  # False: injection by interpolated channels
    bottlenecks: bool = True  # False: aggregation by interpolated channels
    branch_weights: bool = True  # False: every branch counts alike


class Injection(nn.Module):
    """CLIP feature injection (section 5.1): one 1x1 convolution per stage turns CLIP's tokens into what is added to it.

    Zero-initialised, so that an untrained injection leaves Stable Diffusion exactly as it is; with
    `zero_init=False` it starts from PyTorch's default instead. Without convolutions CLIP's channels are interpolated to
    those of the stage, and nothing is learnt ("w/o Convolutions" in table 6).
    """

    def __init__(self, clip_channels: int, stages: Stages, zero_init: bool = True, convolutions: bool = True) -> None:
        """Make one convolution for each stage name, from CLIP's width to that stage's channels."""
        super().__init__()
        self.convs = nn.ModuleDict()
        for name, channels in stages.items():
            self.convs[name] = nn.Conv2d(clip_channels, channels, kernel_size=1) if convolutions else Stretch(channels)
        if zero_init:
            for parameter in self.parameters():
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Tensor]:
        """Compute maps (B, C_stage, h, w) to add from tokens (B, C, h', w'), at whose size the 1x1 convolution runs."""
        return {
            name: F.interpolate(conv(tokens), sizes[name], mode="bilinear", align_corners=False)
            for name, conv in self.convs.items()
        }


class Aggregation(nn.Module):
    """SD feature aggregation (section 5.1): one bottleneck per stage on a common grid, then a weighted sum.

    The weights are a softmax over one learnt number per branch. Two ablations of table 6 are here: without bottlenecks
    channels are interpolated to the width, without weights every branch counts alike.
    """

    def __init__(
        self, stages: Stages, width: int, grid: int, dropout: float = 0, bottlenecks: bool = True, weights: bool = True
    ) -> None:
        """Take stages of the given channels to maps of `width` channels on a grid of `grid` x `grid` cells."""
        super().__init__()
        self.grid = grid
        self.branches = nn.ModuleDict(
            {name: Bottleneck(channels, width) if bottlenecks else Stretch(width) for name, channels in stages.items()}
        )
        self.branch_weights = nn.Parameter(torch.ones(len(stages)), requires_grad=weights)
        self.dropout = dropout
        self.checkpointing = False  # whether branches are computed anew in the backward pass of training

    def forward(self, maps: Mapping[str, Tensor], grid: int | None = None) -> Tensor:
        """Compute the map (B, width, grid, grid) from the stages' maps (B, C_stage, h, w)."""
        grid = grid or self.grid
        shares = self.branch_weights.softmax(dim=0)
        fused = shares.new_zeros(())
        for share, (name, branch) in zip(shares, self.branches.items(), strict=True):
            if self.checkpointing and torch.is_grad_enabled():
                part: Tensor = checkpoint(self._branch, branch, maps[name], grid, share, use_reentrant=False)
            else:
                part = self._branch(branch, maps[name], grid, share)
            fused = fused + part
        return fused

    def _branch(self, branch: nn.Module, stage: Tensor, grid: int, share: Tensor) -> Tensor:
        # Resized first, so that every branch mixes the same neighbourhood.
        on_grid = F.interpolate(stage.float(), (grid, grid), mode="bilinear", align_corners=False)
        mixed: Tensor = branch(F.dropout(on_grid, self.dropout, self.training))
        return share * mixed


class Bottleneck(nn.Module):
    """ResNet bottleneck: 1x1, 3x3, 1x1 convolutions with group norm, and a shortcut projected only where it must be."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        middle = width // 4
        self.reduce = _ConvNorm(channels, middle, 1)
        self.mix = _ConvNorm(middle, middle, 3)
        self.expand = _ConvNorm(middle, width, 1)
        self.shortcut = nn.Identity() if channels == width else _ConvNorm(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (B, width, h, w) from (B, channels, h, w); the last ReLU makes it non-negative."""
        residual = self.expand(F.relu(self.mix(F.relu(self.reduce(x)))))
        return F.relu(residual + self.shortcut(x))


class _ConvNorm(nn.Sequential):
    """A convolution that keeps the size, He-initialised and without bias, and its group norm."""

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        # Narrow models take the largest number of groups that divides their width.
        super().__init__(conv, nn.GroupNorm(gcd(MAX_GROUPS, width), width))


class Stretch(nn.Module):
    """Linear interpolation along the channels: the ablations' way to match them, with nothing to learn (table 6)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        """Compute (B, channels, h, w) from (B, C, h, w)."""
        rows = maps.flatten(2).mT
        stretched = F.interpolate(rows, self.channels, mode="linear", align_corners=False)
        return stretched.mT.reshape(len(maps), self.channels, *maps.shape[2:])


class Centring(nn.Module):
    """Subtract each channel's mean and divide by its spread, measured in training for photos and sketches apart.

    A sum of ReLUs is nowhere negative, so without this all cosines are near 1, and photos are nearer to photos than to
    sketches of the same thing (the modality gap: Liang et al., 2022). New parts have mean 0 and spread 1, which leave
    the map as in the paper.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(2, width))
        self.register_buffer("spread", torch.ones(2, width))

    def forward(self, maps: Tensor, kinds: Tensor) -> Tensor:
        """Centre maps (B, width, h, w) by the kind (B,) of each: PHOTO or SKETCH."""
        return (maps - self.centre[kinds, :, None, None]) / self.spread[kinds, :, None, None]

    def reset(self) -> None:
        self.centre.zero_()
        self.spread.fill_(1.0)

    @torch.no_grad()
    def set_statistics(self, kind: int, centre: Tensor, spread: Tensor) -> None:
        """Set the mean and the spread of a kind, (width,) each."""
        self.centre[kind] = centre
        self.spread[kind] = spread


def kind_indices(kinds: Sequence[Literal["photo", "sketch"]]) -> Tensor:
    """Give the indices (B,) of kinds of pictures, as `Centring` takes them."""
    return torch.tensor([SKETCH if kind == "sketch" else PHOTO for kind in kinds])


class LightParts(nn.Module):
    """All that is trained: injection convolutions, aggregation with its branch weights, and the centring."""

    def __init__(self, config: FusionConfig, diffusion: FrozenDiffusion, clip_channels: int) -> None:
        super().__init__()
        injected, aggregated = diffusion.channels(config.inject_at), diffusion.channels(config.aggregate)
        self.injection = Injection(clip_channels, injected, config.zero_init, config.convolutions)
        options = (config.dropout, config.bottlenecks, config.branch_weights)
        self.aggregation = Aggregation(aggregated, config.width, config.grid, *options)
        self.centring = Centring(config.width)


class FusionModel(nn.Module):
    """The method as one module; only `light` is trained and saved, gradient passes through the diffusion model."""

    def __init__(self, diffusion: FrozenDiffusion, clip_channels: int, config: FusionConfig | None = None) -> None:
        """Join a frozen diffusion model and new light parts for CLIP tokens of `clip_channels` channels."""
        super().__init__()
        self.config = config or FusionConfig()
        self.diffusion = diffusion
        self.light = LightParts(self.config, diffusion, clip_channels)

    def checkpoint(self) -> None:
        """Train with less memory and more time: features are computed anew in the backward pass (checkpointing)."""
        self.diffusion.checkpoint()
        self.light.aggregation.checkpointing = True

    def forward(
        self,
        latents: Tensor,
        tokens: Tensor,
        noise: Tensor | None = None,
        grid: int | None = None,
        kinds: Tensor | None = None,
    ) -> Tensor:
        """Compute fused maps (B, d, grid, grid), float32; all but the last two arguments are as in `stages`.

        `kinds` (B,) are PHOTO or SKETCH; without them every picture is centred as a photo.
        """
        aggregated = self.light.aggregation(self.stages(latents, tokens, noise), grid)
        kinds = torch.zeros(len(aggregated), dtype=torch.long) if kinds is None else kinds
        centred: Tensor = self.light.centring(aggregated, kinds.to(aggregated.device))
        return centred

    def stages(self, latents: Tensor, tokens: Tensor, noise: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the corrected stages (B, C, h, w) that are aggregated, averaged over the noise draws.

        `latents` are (B, c, h, w), or (B, draws, c, h, w) with one for each draw; `tokens` (B, C, h', w') are CLIP's;
        `noise` (draws, 1 or B, c, h, w) is the configured one by default.
        """
        config, size, count = self.config, (latents.shape[-2], latents.shape[-1]), len(latents)
        additions = self.light.injection(tokens.float(), self.diffusion.sizes(size))
        noise = self._noise(latents) if noise is None else noise
        total: dict[str, Tensor] = {}
        together = max(1, PASS // count)
        for first in range(0, len(noise), together):
            drawn = noise[first : first + together].expand(-1, count, -1, -1, -1)
            clean = latents if latents.dim() == 4 else latents[:, first : first + together].transpose(0, 1)
            noisy = self.diffusion.add_noise(clean.expand_as(drawn), drawn, config.timestep)
            with torch.set_grad_enabled(torch.is_grad_enabled() and not config.cut_gradient):
                added = {name: one.expand(len(drawn), *one.shape).flatten(0, 1) for name, one in additions.items()}
                maps = self.diffusion(
                    noisy.flatten(0, 1), config.timestep, config.aggregate, add=added, add_to_skips=config.inject_skips
                )
            summed = {name: value.unflatten(0, (-1, count)).sum(dim=0) for name, value in maps.items()}
            total = {name: total[name] + value if total else value for name, value in summed.items()}
        return {name: value / len(noise) for name, value in total.items()}

    def _noise(self, latents: Tensor) -> Tensor:
        """Draw the noise (draws, 1 or B, c, h, w): by the seeds, or fresh for every image."""
        count, seed = self.config.ensemble, self.config.noise_seed
        shape = (len(latents), *latents.shape[-3:])
        if seed is None:
            return torch.randn((count, *shape), device=latents.device)
        return torch.stack([self.diffusion.noise((shape[-2], shape[-1]), seed + draw) for draw in range(count)])


class Student(nn.Module):
    """A network of 0.4 million weights that reads a fused model's maps off a convolutional CLIP alone.

    From coarse to fine it takes in CLIP's maps of stride 32, 16, 8 and 4 (`Tokens.levels`), the last one on the grid of
    the teacher's maps (not in the paper).
    """

    def __init__(self, channels: Sequence[int], inner: int, width: int, grid: int) -> None:
        """Take maps of the given channels to maps of `width` channels on a grid of `grid` x `grid` cells."""
        super().__init__()
        self.grid, sizes = grid, (inner, inner * 3 // 2, inner * 9 // 4)
        self.reduce = nn.ModuleList(
            nn.Conv2d(of, size, 1) for of, size in zip(channels, (*sizes, sizes[-1]), strict=True)
        )
        self.kinds = nn.Parameter(torch.zeros(2, sizes[-1]))  # what is added for photos, and for sketches
        self.overall = nn.Linear(channels[-1], sizes[-1])
        self.mix = nn.ModuleList(
            nn.Sequential(*(Mixing(size) for _ in range(count))) for size, count in zip(sizes, (1, 1, 2), strict=True)
        )
        self.finer = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(sizes))
        self.expand = nn.Conv2d(inner, width, 1)
        nn.init.normal_(self.expand.weight, std=0.01)  # maps that start small err less than large ones

    def forward(self, levels: Sequence[Tensor], kinds: Tensor) -> Tensor:
        """Compute maps (B, width, grid, grid) from maps (B, C, h, w) of each level and the kinds (B,) of pictures."""
        seen = [resized(levels[0].float(), self.grid), *(level.float() for level in levels[1:])]
        found = [reduce(level) for level, reduce in zip(seen, self.reduce, strict=True)]
        overall = self.kinds[kinds.to(self.kinds.device)] + self.overall(seen[-1].mean((2, 3)))
        maps = self.mix[2](found[2] + resized(found[3], found[2].shape[-1]) + overall[:, :, None, None])
        maps = self.mix[1](found[1] + resized(self.finer[1](maps), found[1].shape[-1]))
        maps = self.mix[0](found[0] + resized(self.finer[0](maps), self.grid))
        mapped: Tensor = self.expand(maps)
        return mapped


class Mixing(nn.Module):
    """A residual block of a student: a depthwise convolution, and two of 1x1 over twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.widen, self.narrow = nn.Conv2d(channels, 2 * channels, 1), nn.Conv2d(2 * channels, channels, 1)
        nn.init.normal_(self.narrow.weight, std=0.02)

    def forward(self, maps: Tensor) -> Tensor:
        mixed: Tensor = self.narrow(F.relu(self.widen(self.around(maps))))
        return maps + mixed


def resized(maps: Tensor, side: int) -> Tensor:
    """Resize maps (B, C, h, w) to (B, C, side, side)."""
    return F.interpolate(maps, (side, side), mode="bilinear", antialias=True)
