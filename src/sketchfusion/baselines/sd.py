"""B-SD: a frozen Stable Diffusion alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ..backbones.catalog import locate
from ..backbones.diffusion import FrozenDiffusion
from ..backbones.folders import load_diffusion
from ..extractor import BatchExtractor, View, fingerprint_of, pick_device, pick_dtype, stack
from ..io.weights import folder_hash

STAGES = ("up0", "up1", "up2")  # those that the method aggregates
TIMESTEP = 195
MOST_PIXELS = 480  # the paper's 60 x 60 latents; larger checkpoints are run at this side too


class SdBaseline(BatchExtractor):
    """Dense features are the first three up stages, unit length in every cell, concatenated on the latents' grid.

    The paper does not say which stages B-SD uses; these are the ones its method aggregates, so that B-SD, B-SD+CLIP
    and the method differ in nothing else. The embedding is their maximum over the picture.
    """

    def __init__(self, diffusion: FrozenDiffusion, weights: str, name: str, device: torch.device) -> None:
        """Wrap a loaded diffusion model whose weights have the hash `weights`."""
        self.diffusion, self.name, self.device = diffusion.to(device), name, device
        self.side = paper_side(diffusion)
        self._fingerprint = fingerprint_of(
            {"baseline": "B-SD", "stages": STAGES, "t": TIMESTEP, "side": self.side, "weights": weights}
        )

    @classmethod
    def load(cls, name: str, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Load by catalog name, hub id or folder; WeightsError when it cannot be had."""
        device, folder = pick_device(device), locate(name)
        return cls(load_diffusion(folder, pick_dtype(device, dtype)), folder_hash(folder), name, device)

    @property
    def fingerprint(self) -> str:
        """What shapes the features, with the hash of the weights."""
        return self._fingerprint

    @property
    def dim(self) -> int:
        """The length of an embedding: the stages' channels together."""
        return sum(self.diffusion.stages[name].channels for name in STAGES)

    def maps(self, views: Sequence[View]) -> Tensor:
        """Give the stages (B, C, g, g) of a batch of prepared pictures."""
        squares = stack([view.square for view in views], self.device)
        return stages_on_grid(self.diffusion, self.diffusion.encode(squares * 2 - 1))


def paper_side(diffusion: FrozenDiffusion) -> int:
    """Give the side in pixels at which a checkpoint is run: its own, at most the paper's."""
    own: int = diffusion.unet.config.sample_size * diffusion.latent_stride
    return min(own, MOST_PIXELS)


def stages_on_grid(
    diffusion: FrozenDiffusion,
    latents: Tensor,
    stages: Sequence[str] = STAGES,
    timestep: int = TIMESTEP,
    seeds: Sequence[int] = (0,),
    prompt: Tensor | None = None,
) -> Tensor:
    """Give stages of latents (B, c, g, g) on their own grid, of unit length in every cell, concatenated: (B, C, g, g).

    They are averaged over the noise of the `seeds` first. `prompt` (1, L, D) is the null prompt unless given.
    """
    size = (latents.shape[-2], latents.shape[-1])
    total: dict[str, Tensor] = {}
    for seed in seeds:
        noisy = diffusion.add_noise(latents, diffusion.noise(size, seed), timestep)
        maps = diffusion(noisy, timestep, stages, prompt=prompt)
        total = {name: total[name] + value if total else value for name, value in maps.items()}
    return torch.cat([unit_on_grid(total[name] / len(seeds), size) for name in stages], dim=1)


def unit_on_grid(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps (B, C, h, w) to a grid and give every cell unit length."""
    return F.normalize(F.interpolate(maps.float(), size, mode="bilinear", align_corners=False), dim=1)
