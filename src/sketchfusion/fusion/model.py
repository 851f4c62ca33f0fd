"""The method as one module on tensors: latents and CLIP tokens in, a fused dense map out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..backbones.diffusion import FrozenDiffusion
from .aggregation import Aggregation
from .injection import Injection


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


class LightParts(nn.Module):
    """All that is trained: the injection convolutions and the aggregation network with its branch weights."""

    def __init__(self, config: FusionConfig, diffusion: FrozenDiffusion, clip_channels: int) -> None:
        """Make the parts that fit a given UNet and CLIP width."""
        super().__init__()
        channels = {name: stage.channels for name, stage in diffusion.stages.items()}
        self.injection = Injection(
            clip_channels, {name: channels[name] for name in config.inject_at}, config.zero_init
        )
        self.aggregation = Aggregation(
            {name: channels[name] for name in config.aggregate}, config.width, config.grid, config.dropout
        )


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

    def forward(self, latents: Tensor, tokens: Tensor) -> Tensor:
        """Give the fused maps (B, d, grid, grid), float32, of scaled latents (B, c, h, w) and CLIP tokens (B, C, h', w')."""
        aggregated: Tensor = self.light.aggregation(self.stages(latents, tokens))
        return aggregated

    def stages(self, latents: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """Give the corrected stages (B, C, h, w) that are aggregated, averaged over the noise draws."""
        config, size = self.config, (latents.shape[-2], latents.shape[-1])
        additions = self.light.injection(tokens.float(), self.diffusion.sizes(size))
        draws = [self._stages_once(latents, additions, draw) for draw in range(config.ensemble)]
        maps = {name: torch.stack([maps[name] for maps in draws]).mean(dim=0) for name in config.aggregate}
        return {name: value.detach() for name, value in maps.items()} if config.cut_gradient else maps

    def _stages_once(self, latents: Tensor, additions: dict[str, Tensor], draw: int) -> dict[str, Tensor]:
        config, size = self.config, (latents.shape[-2], latents.shape[-1])
        noise = self.diffusion.noise(size, draw, config.noise_seed)
        noisy = self.diffusion.add_noise(latents, noise, config.timestep)
        return self.diffusion(
            noisy, config.timestep, config.aggregate, add=additions, add_to_skips=config.inject_skips
        )
