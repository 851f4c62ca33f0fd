"""What every frozen backbone shares: named stages, and weights that never train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPModel, Dinov2Model, PreTrainedTokenizerBase, ViTModel


@dataclass(frozen=True)
class Stage:
    """One place in a network where its features can be read, or added to."""

    name: str
    channels: int
    stride: int  # input pixels per cell


@dataclass(frozen=True)
class Tokens:
    """What a vision transformer says about a batch of images."""

    dense: Tensor  # (B, C, h, w), one vector per patch
    pooled: Tensor  # (B, P), one vector per image


class Frozen(nn.Module):
    """A module whose weights never change: no gradient reaches them and `train()` does not wake them.

    Gradient still flows *through* it, to whatever was added to its features.
    """

    def freeze(self) -> Self:
        """Shut off the gradient of every weight held so far and enter eval mode."""
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode whatever is asked, so that a parent's `train()` cannot change the features."""
        return super().train(False)


def resize_square(images: Tensor, side: int) -> Tensor:
    """Resize square images (B, 3, S, S) in [0, 1] to (B, 3, side, side): bicubic, antialiased, overshoot cut off."""
    if images.shape[-2:] == (side, side):
        return images
    resized = F.interpolate(images, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(0, 1)


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Centre and scale images (B, 3, H, W) by each channel's mean and standard deviation."""
    centre, spread = images.new_tensor(mean).view(3, 1, 1), images.new_tensor(std).view(3, 1, 1)
    return (images - centre) / spread


# A frozen CLIP: dense patch tokens of any layer, and the space it shares with text.


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


# A frozen DINO or DINOv2: self-supervised patch tokens, without a text side.


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
