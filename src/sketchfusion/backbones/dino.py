"""A frozen DINO or DINOv2: self-supervised patch tokens, without a text side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Dinov2Model, ViTModel

from .base import Frozen, Tokens, normalise, resize_square


class FrozenDino(Frozen):
    """A vision transformer trained by self-distillation: images in [0, 1] in, patch tokens and class token out."""

    def __init__(self, model: ViTModel | Dinov2Model, side: int, mean: Sequence[float], std: Sequence[float]) -> None:
        """Wrap a loaded model that sees images of `side` pixels, a multiple of its patch."""
        super().__init__()
        self.model = model
        self.side = side
        self.patch: int = model.config.patch_size
        self.channels: int = model.config.hidden_size
        self.dim = self.channels  # of the class token
        self.layers: int = model.config.num_hidden_layers
        self.mean, self.std = tuple(mean), tuple(std)
        self.freeze()

    @property
    def dtype(self) -> torch.dtype:
        """The type the frozen weights compute in."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    def forward(self, images: Tensor, layer: int = -1, side: int | None = None) -> Tokens:
        """Give patch tokens after block `layer` and normed class tokens of square images (B, 3, S, S) in [0, 1].

        `layer` counts as CLIP's does; the last block's patch tokens, -1, are normed, as DINO's features are.
        """
        if not -self.layers - 1 <= layer <= self.layers:
            raise ValueError(f"this DINO has {self.layers} blocks; layer {layer} does not exist")
        side = self.side if side is None else side
        pixels = normalise(resize_square(images, side), self.mean, self.std).to(self.dtype)
        # DINOv2 interpolates its positions unasked and has no such option.
        options = {} if self.model.config.model_type == "dinov2" else {"interpolate_pos_encoding": True}
        seen = self.model(pixels, output_hidden_states=True, **options)
        last = seen.last_hidden_state
        tokens = last if layer in (-1, self.layers) else seen.hidden_states[layer]
        cells = side // self.patch
        return Tokens(tokens[:, 1:].transpose(1, 2).unflatten(2, (cells, cells)).contiguous(), last[:, 0])
