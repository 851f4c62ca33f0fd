"""The method as one module on tensors: latents and CLIP tokens in, a fused dense map out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..backbones.diffusion import FrozenDiffusion
from .aggregation import Aggregation
from .centring import Centring
from .injection import Injection

PASS = 8  # pictures in a pass of the UNet, up to which draws of noise share one; a larger batch has one draw a pass


@dataclass(frozen=True)
class FusionConfig:
    """Everything that shapes the fused map beside the weights; the defaults are the paper's intent."""

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


class LightParts(nn.Module):
    """All that is trained: injection convolutions, aggregation with its branch weights, and the centring it ends in."""

    def __init__(self, config: FusionConfig, diffusion: FrozenDiffusion, clip_channels: int) -> None:
        """Make the parts that fit a given UNet and CLIP width."""
        super().__init__()
        self.injection = Injection(
            clip_channels, diffusion.channels(config.inject_at), config.zero_init, config.convolutions
        )
        self.aggregation = Aggregation(
            diffusion.channels(config.aggregate),
            config.width,
            config.grid,
            config.dropout,
            config.bottlenecks,
            config.branch_weights,
        )
        self.centring = Centring(config.width)


class FusionModel(nn.Module):
    """CLIP's tokens correct the UNet's stages while it denoises; the corrected stages become one map.

    `light` holds everything trainable, and its state dict is all there is to save. The diffusion model is frozen,
    but gradient passes through it on its way to the injection.
    """

    def __init__(self, diffusion: FrozenDiffusion, clip_channels: int, config: FusionConfig | None = None) -> None:
        """Join a frozen diffusion model and new light parts for CLIP tokens of `clip_channels` channels."""
        super().__init__()
        self.config = config or FusionConfig()
        self.diffusion = diffusion
        self.light = LightParts(self.config, diffusion, clip_channels)

    def forward(
        self,
        latents: Tensor,
        tokens: Tensor,
        noise: Tensor | None = None,
        grid: int | None = None,
        kinds: Tensor | None = None,
    ) -> Tensor:
        """Give the fused maps (B, d, grid, grid), float32, on the configured grid unless told otherwise.

        `kinds` (B,) says what each picture is, 0 for a photo and 1 for a sketch; all are photos unless it is given. The
        other arguments are those of `stages`.
        """
        aggregated = self.light.aggregation(self.stages(latents, tokens, noise), grid)
        kinds = torch.zeros(len(aggregated), dtype=torch.long) if kinds is None else kinds
        centred: Tensor = self.light.centring(aggregated, kinds.to(aggregated.device))
        return centred

    def stages(self, latents: Tensor, tokens: Tensor, noise: Tensor | None = None) -> dict[str, Tensor]:
        """Give the corrected stages (B, C, h, w) that are aggregated, averaged over the noise draws.

        `latents` are (B, c, h, w), or (B, draws, c, h, w) with one for each draw; `tokens` (B, C, h', w') are CLIP's;
        `noise` (draws, 1 or B, c, h, w) is the configured one unless given.
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
            maps = self.diffusion(
                noisy.flatten(0, 1),
                config.timestep,
                config.aggregate,
                add={name: value.expand(len(drawn), *value.shape).flatten(0, 1) for name, value in additions.items()},
                add_to_skips=config.inject_skips,
            )
            summed = {name: value.unflatten(0, (-1, count)).sum(dim=0) for name, value in maps.items()}
            total = {name: total[name] + value if total else value for name, value in summed.items()}
        averaged = {name: value / len(noise) for name, value in total.items()}
        return {name: value.detach() for name, value in averaged.items()} if config.cut_gradient else averaged

    def _noise(self, latents: Tensor) -> Tensor:
        """The noise of every draw (draws, 1 or B, c, h, w): by the seeds, or fresh for every image."""
        count, seed = self.config.ensemble, self.config.noise_seed
        shape = (len(latents), *latents.shape[-3:])
        if seed is None:
            return torch.randn((count, *shape), device=latents.device)
        return torch.stack([self.diffusion.noise((shape[-2], shape[-1]), seed + draw) for draw in range(count)])
