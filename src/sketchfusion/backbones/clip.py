"""A frozen CLIP: dense patch tokens of any layer, and the space it shares with text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import CLIPModel, PreTrainedTokenizerBase

from .base import Frozen, Tokens, normalise, resize_square


class FrozenClip(Frozen):
    """Both towers of a CLIP: images in [0, 1] in, patch tokens and joint-space vectors out."""

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: PreTrainedTokenizerBase,
        mean: Sequence[float],
        std: Sequence[float],
        labels: Sequence[str] = (),
    ) -> None:
        """Wrap a loaded model; `mean` and `std` are those of its training images, per channel.

        `labels` are the names that it is known to have learned, if anybody wrote them down.
        """
        super().__init__()
        vision = model.config.vision_config
        self.model = model
        self.tokenizer = tokenizer
        self.side: int = vision.image_size
        self.patch: int = vision.patch_size
        self.channels: int = vision.hidden_size
        self.dim: int = model.config.projection_dim
        self.layers: int = vision.num_hidden_layers
        self.mean, self.std = tuple(mean), tuple(std)
        self.labels = tuple(labels)
        self.freeze()

    @property
    def dtype(self) -> torch.dtype:
        """The type the frozen weights compute in."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def logit_scale(self) -> float:
        """What cosines of images and texts are multiplied by before a softmax makes probabilities of them."""
        return float(self.model.logit_scale.exp())

    def forward(self, images: Tensor, layer: int = -2, side: int | None = None) -> Tokens:
        """Give patch tokens after block `layer` and joint-space vectors of square images (B, 3, S, S) in [0, 1].

        `layer` counts the vision tower's outputs: -1 is the last block, -2 the penultimate one (the paper's
        Sec. 5.1); the class token is left out and no final norm is applied. Images are resized to `side`, CLIP's
        own by default; position embeddings are interpolated for any other multiple of the patch.
        """
        if not -self.layers - 1 <= layer <= self.layers:
            raise ValueError(f"this CLIP has {self.layers} blocks; layer {layer} does not exist")
        side = self.side if side is None else side
        pixels = normalise(resize_square(images, side), self.mean, self.std).to(self.dtype)
        seen = self.model.vision_model(pixels, output_hidden_states=True, interpolate_pos_encoding=side != self.side)
        cells = side // self.patch
        dense = seen.hidden_states[layer][:, 1:].transpose(1, 2).unflatten(2, (cells, cells))
        return Tokens(dense.contiguous(), self.model.visual_projection(seen.pooler_output))

    def text(self, prompts: Sequence[str]) -> Tensor:
        """Give the joint-space vectors (N, P) of prompts, not normalised."""
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(
            list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        # No attention mask: CLIP is causal and was trained without one, and padding comes after the end token.
        seen = self.model.text_model(tokens.input_ids.to(self.model.device))
        projected: Tensor = self.model.text_projection(seen.pooler_output)
        return projected
