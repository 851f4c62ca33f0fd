"""B-DINO and B-DINOv2: a frozen self-supervised vision transformer alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ..backbones.catalog import DinoCard, card_for, locate
from ..backbones.encoders import FrozenDino
from ..backbones.folders import load_dino
from ..extractor import BatchExtractor, Seen, View, fingerprint_of, pick_device, pick_dtype, stack
from ..io.weights import folder_hash


class DinoBaseline(BatchExtractor):
    """Dense features are the last block's patch tokens; the embedding is its class token."""

    def __init__(self, dino: FrozenDino, weights: str, name: str, device: torch.device) -> None:
        """Wrap a loaded model whose weights have the hash `weights`."""
        self.dino, self.name, self.side, self.device = dino.to(device), name, dino.side, device
        self._fingerprint = fingerprint_of({"baseline": "B-DINO", "side": dino.side, "weights": weights})

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

    def maps(self, views: Sequence[View]) -> Tensor:
        """Give the patch tokens (B, C, h, w) of a batch of prepared pictures."""
        return self.look(views).maps

    def look(self, views: Sequence[View]) -> Seen:
        """Give the patch tokens and the class tokens of a batch of prepared pictures."""
        seen = self.dino(stack([view.square for view in views], self.device))
        return Seen(seen.dense, seen.pooled)
