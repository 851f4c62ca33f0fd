"""A frozen CLIP: dense patch tokens of any layer, and the space it shares with text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPModel, PreTrainedTokenizerBase

from .base import Frozen, Tokens

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


class FrozenClip(Frozen):
    """Both towers of a CLIP: images in [0, 1] in, patch tokens and joint-space vectors out."""

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: PreTrainedTokenizerBase | None,
        mean: Sequence[float] = OPENAI_MEAN,
        std: Sequence[float] = OPENAI_STD,
    ) -> None:
        """Wrap a loaded model; `mean` and `std` are those of its training images, per channel."""
        super().__init__()
        vision = model.config.vision_config
        self.model = model
        self.tokenizer = tokenizer
        self.side: int = vision.image_size
        self.patch: int = vision.patch_size
        self.channels: int = vision.hidden_size
        self.dim: int = model.config.projection_dim
        self.layers: int = vision.num_hidden_layers
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor
        self.freeze()

    @property
    def dtype(self) -> torch.dtype:
        """The type the frozen weights compute in."""
        return self.model.dtype

    def forward(self, images: Tensor, layer: int = -2, side: int | None = None) -> Tokens:
        """Give the patch tokens after block `layer` and the joint-space vectors of square images (B, 3, S, S) in [0, 1].

        `layer` counts the vision tower's outputs: -1 is the last block, -2 the penultimate one (the paper's
        Sec. 5.1); the class token is left out and no final norm is applied. Images are resized to `side`, CLIP's
        own by default; position embeddings are interpolated for any other multiple of the patch.
        """
        if not -self.layers - 1 <= layer <= self.layers:
            raise ValueError(f"this CLIP has {self.layers} blocks; layer {layer} does not exist")
        side = self.side if side is None else side
        pixels = (resize_square(images, side) - self.mean) / self.std
        seen = self.model.vision_model(
            pixels.to(self.dtype), output_hidden_states=True, interpolate_pos_encoding=side != self.side
        )
        cells = side // self.patch
        dense = seen.hidden_states[layer][:, 1:].transpose(1, 2).unflatten(2, (cells, cells))
        return Tokens(dense.contiguous(), self.model.visual_projection(seen.pooler_output))

    def text(self, prompts: Sequence[str]) -> Tensor:
        """Give the joint-space vectors (N, P) of prompts, not normalised."""
        if self.tokenizer is None:
            raise ValueError("this CLIP came without a tokenizer, so it cannot read text")
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(
            list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        device = self.mean.device
        # No attention mask: CLIP is causal and was trained without one, and padding comes after the end token.
        seen = self.model.text_model(tokens.input_ids.to(device))
        projected: Tensor = self.model.text_projection(seen.pooler_output)
        return projected


def resize_square(images: Tensor, side: int) -> Tensor:
    """Resize images (B, 3, S, S) in [0, 1] to (B, 3, side, side), bicubic, antialiased, without overshoot."""
    if images.shape[-2:] == (side, side):
        return images
    resized = F.interpolate(images, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(0, 1)
