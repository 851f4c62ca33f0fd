"""B-CLIP: a frozen CLIP alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ..backbones.catalog import ClipCard, card_for, locate
from ..backbones.encoders import FrozenClip
from ..backbones.folders import load_clip
from ..extractor import JointSpace, Seen, View, fingerprint_of, pick_device, pick_dtype, stack
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
        self._fingerprint = fingerprint_of({"baseline": "B-CLIP", "layer": LAYER, "weights": weights})

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

    def maps(self, views: Sequence[View]) -> Tensor:
        """Give the patch tokens (B, C, h, w) of a batch of prepared pictures."""
        return self.look(views).maps

    def look(self, views: Sequence[View]) -> Seen:
        """Give tokens and joint-space vectors, which are the embedding here, of a batch of prepared pictures."""
        seen = self.clip(stack([view.clip for view in views], self.device), LAYER)
        return Seen(seen.dense, seen.pooled, seen.pooled)
