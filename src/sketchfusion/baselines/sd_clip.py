"""B-SD+CLIP: Stable Diffusion and CLIP side by side, neither injection nor aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Self

import torch
from torch import Tensor

from ..backbones.catalog import ClipCard, card_for, locate
from ..backbones.diffusion import FrozenDiffusion
from ..backbones.encoders import FrozenClip
from ..backbones.folders import load_clip, load_diffusion
from ..extractor import JointSpace, Seen, View, beside, fingerprint_of, pick_device, pick_dtype, pooled, stack
from ..io.weights import folder_hash
from .clip import LAYER
from .sd import STAGES, TIMESTEP, paper_side, stages_on_grid, unit_on_grid

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
        self.name, self.side, self.device = name, paper_side(diffusion), device
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
        return fingerprint_of({"baseline": "B-SD+CLIP", **self.shaping, "weights": self._weights})

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

    def maps(self, views: Sequence[View]) -> Tensor:
        """Give the concatenated features (B, C, g, g) of a batch of prepared pictures."""
        return self.look(views).maps

    def look(self, views: Sequence[View]) -> Seen:
        """Give these, embeddings and CLIP's joint-space vectors of a batch of prepared pictures."""
        squares = stack([view.square for view in views], self.device)
        maps, joint = side_by_side(
            self.diffusion, self.clip, self.diffusion.encode(squares * 2 - 1), squares, self._noise
        )
        return Seen(maps, beside(pooled(maps, views), joint, WHOLE), joint)


def side_by_side(
    diffusion: FrozenDiffusion, clip: FrozenClip, latents: Tensor, pictures: Tensor, noise: int = 0
) -> tuple[Tensor, Tensor]:
    """Give the stages of latents (B, c, g, g) and CLIP's tokens of the pictures (B, 3, S, S) as one map (B, C, g, g).

    Beside it are CLIP's joint-space vectors (B, P). `noise` is the seed of the draw that the latents see.
    """
    stages = stages_on_grid(diffusion, latents, seeds=(noise,))
    seen = clip(pictures, LAYER)
    tokens = unit_on_grid(seen.dense, (stages.shape[-2], stages.shape[-1]))
    return torch.cat([stages, tokens], dim=1), seen.pooled
