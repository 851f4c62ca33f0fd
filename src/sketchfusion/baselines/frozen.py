"""B-CLIP: a frozen CLIP alone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ..backbones.catalog import ClipCard, DinoCard, card_for, locate
from ..backbones.diffusion import FrozenDiffusion
from ..backbones.encoders import FrozenClip, FrozenDino
from ..backbones.folders import load_clip, load_diffusion, load_dino
from ..extractor import (
    BatchExtractor,
    JointSpace,
    ModelInput,
    ModelOutput,
    concatenate_weighted,
    hash_settings,
    max_pool,
    pick_device,
    pick_dtype,
    stack,
)
from ..io.weights import folder_hash

LAYER = -2  # of the dense map: the one that the method itself injects


class ClipBaseline(JointSpace):
    """Dense features are the penultimate block's patch tokens; the embedding is the one CLIP was trained to compare.

    The paper does not say how it pooled B-CLIP; the joint-space embedding is the strongest fair reading.
    """

    clip: FrozenClip

    def __init__(self, clip: FrozenClip, weights: str, name: str, device: torch.device) -> None:
        """Wrap a loaded CLIP whose weights have the hash `weights`."""
        self.clip, self.name, self.side, self.device = clip.to(device), name, clip.side, device
        self._fingerprint = hash_settings({"baseline": "B-CLIP", "layer": LAYER, "weights": weights})

    @classmethod
    def load(cls, name: str, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Load by catalog name, hub id or folder; WeightsError when it cannot be had."""
        device, folder, card = pick_device(device), locate(name), card_for(name, ClipCard)
        clip = load_clip(folder, pick_dtype(device, dtype), card.mean, card.std)
        return cls(clip, folder_hash(folder), name, device)

    @property
    def fingerprint(self) -> str:
        """What shapes the features, with the hash of the weights."""
        return self._fingerprint

    @property
    def dim(self) -> int:
        """The length of an embedding: that of CLIP's joint space."""
        return self.clip.dim

    def maps(self, views: Sequence[ModelInput]) -> Tensor:
        """Give the patch tokens (B, C, h, w) of a batch of prepared pictures."""
        return self.forward(views).maps

    def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
        """Give tokens and joint-space vectors, which are the embedding here, of a batch of prepared pictures."""
        seen = self.clip(stack([view.clip for view in views], self.device), LAYER)
        return ModelOutput(seen.dense, seen.pooled, seen.pooled)


# B-DINO and B-DINOv2: a frozen self-supervised vision transformer alone.


class DinoBaseline(BatchExtractor):
    """Dense features are the last block's patch tokens; the embedding is its class token."""

    def __init__(self, dino: FrozenDino, weights: str, name: str, device: torch.device) -> None:
        """Wrap a loaded model whose weights have the hash `weights`."""
        self.dino, self.name, self.side, self.device = dino.to(device), name, dino.side, device
        self._fingerprint = hash_settings({"baseline": "B-DINO", "side": dino.side, "weights": weights})

    @classmethod
    def load(cls, name: str, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Load by catalog name, hub id or folder; WeightsError when it cannot be had."""
        device, folder, card = pick_device(device), locate(name), card_for(name, DinoCard)
        dino = load_dino(folder, pick_dtype(device, dtype), card.side, card.mean, card.std)
        return cls(dino, folder_hash(folder), name, device)

    @property
    def fingerprint(self) -> str:
        """What shapes the features, with the hash of the weights."""
        return self._fingerprint

    @property
    def dim(self) -> int:
        """The length of an embedding."""
        return self.dino.channels

    def maps(self, views: Sequence[ModelInput]) -> Tensor:
        """Give the patch tokens (B, C, h, w) of a batch of prepared pictures."""
        return self.forward(views).maps

    def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
        """Give the patch tokens and the class tokens of a batch of prepared pictures."""
        seen = self.dino(stack([view.square for view in views], self.device))
        return ModelOutput(seen.dense, seen.pooled)


# B-SD: a frozen Stable Diffusion alone.


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
        self.side = input_side(diffusion)
        self._fingerprint = hash_settings(
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

    def maps(self, views: Sequence[ModelInput]) -> Tensor:
        """Give the stages (B, C, g, g) of a batch of prepared pictures."""
        squares = stack([view.square for view in views], self.device)
        return stages_on_grid(self.diffusion, self.diffusion.encode(squares * 2 - 1))


def input_side(diffusion: FrozenDiffusion) -> int:
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


# B-SD+CLIP: Stable Diffusion and CLIP side by side, neither injection nor aggregation.


WHOLE = 1.0  # weight of CLIP's own vector in the embedding


class SdClipBaseline(JointSpace):
    """Dense features are B-SD's stages and CLIP's patch tokens, each of unit length in every cell, concatenated.

    "A straightforward combination" is all that the paper says. It needs no training, so it is what the full-size
    models offer at once. The embedding is the features' maximum over the picture with CLIP's own vector beside it, as
    the method has it.
    """

    clip: FrozenClip

    def __init__(
        self, diffusion: FrozenDiffusion, clip: FrozenClip, weights: str, name: str, device: torch.device
    ) -> None:
        """Join loaded parts whose weights have the hashes `weights`."""
        self.diffusion, self.clip = diffusion.to(device), clip.to(device)
        self.name, self.side, self.device = name, input_side(diffusion), device
        self._weights, self._noise = weights, 0

    @classmethod
    def load(
        cls,
        diffusion: str,
        clip: str,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Load both parts by catalog name, hub id or folder; WeightsError when one cannot be had."""
        device = pick_device(device)
        dtype = pick_dtype(device, dtype)
        sd, vit = locate(diffusion), locate(clip)
        weights = f"{folder_hash(sd)}+{folder_hash(vit)}"
        card = card_for(clip, ClipCard)
        both = load_diffusion(sd, dtype), load_clip(vit, dtype, card.mean, card.std)
        return cls(*both, weights, f"{diffusion}+{clip}", device)

    def under_noise(self, seed: int) -> Self:
        """Give the same model under another draw of the noise that Stable Diffusion sees; loaded, it has draw 0."""
        other = copy(self)
        other._noise = seed
        return other

    @property
    def fingerprint(self) -> str:
        """What shapes the features, with the hashes of the weights."""
        return hash_settings({"baseline": "B-SD+CLIP", **self.shaping, "weights": self._weights})

    @property
    def shaping(self) -> dict[str, object]:
        """What shapes the features beside the weights."""
        drawn = {"noise": self._noise} if self._noise else {}
        return {"stages": STAGES, "t": TIMESTEP, "layer": LAYER, "side": self.side, "whole": WHOLE, **drawn}

    @property
    def dim(self) -> int:
        """The length of an embedding: all channels together, and CLIP's own vector."""
        return self.channels + self.clip.dim

    @property
    def channels(self) -> int:
        """Channels of the maps."""
        return sum(self.diffusion.stages[name].channels for name in STAGES) + self.clip.channels

    def maps(self, views: Sequence[ModelInput]) -> Tensor:
        """Give the concatenated features (B, C, g, g) of a batch of prepared pictures."""
        return self.forward(views).maps

    def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
        """Give these, embeddings and CLIP's joint-space vectors of a batch of prepared pictures."""
        squares = stack([view.square for view in views], self.device)
        maps, joint = stages_and_tokens(
            self.diffusion, self.clip, self.diffusion.encode(squares * 2 - 1), squares, self._noise
        )
        return ModelOutput(maps, concatenate_weighted(max_pool(maps, views), joint, WHOLE), joint)


def stages_and_tokens(
    diffusion: FrozenDiffusion, clip: FrozenClip, latents: Tensor, pictures: Tensor, noise: int = 0
) -> tuple[Tensor, Tensor]:
    """Give the stages of latents (B, c, g, g) and CLIP's tokens of the pictures (B, 3, S, S) as one map (B, C, g, g).

    Beside it are CLIP's joint-space vectors (B, P). `noise` is the seed of the draw that the latents see.
    """
    stages = stages_on_grid(diffusion, latents, seeds=(noise,))
    seen = clip(pictures, LAYER)
    tokens = unit_on_grid(seen.dense, (stages.shape[-2], stages.shape[-1]))
    return torch.cat([stages, tokens], dim=1), seen.pooled
