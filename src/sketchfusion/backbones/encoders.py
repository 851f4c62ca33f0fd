"""Frozen image encoders: CLIP with its text encoder, and DINO or DINOv2; and what every frozen backbone shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from transformers import CLIPModel, Dinov2Model, PreTrainedTokenizerBase, ViTModel


@dataclass(frozen=True)
class Stage:
    """One place in a network where its features can be read, or added to."""

    name: str
    channels: int
    stride: int  # input pixels per cell


@dataclass(frozen=True)
class Tokens:
    """The output of an image encoder for a batch of images."""

    dense: Tensor  # (B, C, h, w), one vector per patch
    pooled: Tensor  # (B, V), one vector per image, by which images are compared
    joint: Tensor | None = None  # (B, P) in the space that CLIP's towers share; None without a text encoder
    local: Tensor | None = None  # (B, V, h', w') image vectors of the last map's cells; `pooled` is their mean
    levels: tuple[Tensor, ...] = ()  # (B, C, h, w) of stride 4, 8, 16 and 32, of a convolutional CLIP alone


class Frozen(nn.Module):
    """A module whose weights never change, not even after `train()`; gradient flows through it to what was added."""

    def freeze(self) -> Self:
        """Turn off the gradient of every weight and enter eval mode."""
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode in either case, so that a parent's `train()` cannot change the features."""
        return super().train(False)


class FrozenEncoder(Frozen):
    """An image encoder with its input normalisation: square images in [0, 1] in, dense tokens and vectors out."""

    pooled_dim: int  # length of the vectors by which images are compared

    def __init__(
        self, model: Any, patch: int, channels: int, layers: int, side: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        """Wrap a loaded model and the sizes of its image tower; `mean` and `std` are per channel."""
        super().__init__()
        self.model, self.side = model, side
        self.patch, self.channels, self.layers = patch, channels, layers
        self.mean, self.std = tuple(mean), tuple(std)
        self.freeze()

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def _pixels(self, images: Tensor, layer: int, side: int) -> Tensor:
        """Resize and normalise images; ValueError for a layer that does not exist."""
        if not -self.layers - 1 <= layer <= self.layers:
            name = type(self).__name__.removeprefix("Frozen")
            raise ValueError(f"this {name} has {self.layers} blocks; layer {layer} does not exist")
        return normalise(resize_square(images, side), self.mean, self.std).to(self.dtype)

    def _grid(self, tokens: Tensor, side: int) -> Tensor:
        """Arrange tokens (B, 1 + h * w, C), the class token first, as a map (B, C, h, w)."""
        cells = side // self.patch
        return tokens[:, 1:].mT.reshape(len(tokens), -1, cells, cells).contiguous()


class FrozenClip(FrozenEncoder):
    """Both towers of a CLIP: images in [0, 1] in, patch tokens and joint-space vectors out."""

    text_digest: Sequence[str] = ()  # what the vectors of texts depend on; empty where they may change

    def __init__(
        self,
        model: "CLIPModel",
        tokenizer: "PreTrainedTokenizerBase",
        mean: Sequence[float],
        std: Sequence[float],
        labels: Sequence[str] = (),
    ) -> None:
        """Wrap a loaded model; `labels` are the names that it was trained on, where they are on record."""
        vision = model.config.vision_config
        sizes = vision.patch_size, vision.hidden_size, vision.num_hidden_layers
        super().__init__(model, *sizes, vision.image_size, mean, std)
        self.tokenizer = tokenizer
        self.dim: int = model.config.projection_dim
        self.pooled_dim = self.dim
        self.labels = tuple(labels)

    @property
    def logit_scale(self) -> float:
        """The factor that turns cosines of images and texts into the logits of a softmax."""
        return float(self.model.logit_scale.exp())

    def forward(self, images: Tensor, layer: int | None = None, side: int | None = None) -> Tokens:
        """Compute patch tokens after block `layer` and joint-space vectors of square images (B, 3, S, S) in [0, 1].

        `layer` counts the vision tower's outputs: -1 is the last block, -2, the default, the penultimate one (the
        paper's section 5.1); the class token is left out and no final norm is applied. Images are resized to `side`,
        CLIP's own by default; position embeddings are interpolated for any other multiple of the patch.
        """
        side, layer = side or self.side, -2 if layer is None else layer
        pixels = self._pixels(images, layer, side)
        output = self.model.vision_model(pixels, output_hidden_states=True, interpolate_pos_encoding=side != self.side)
        dense = self._grid(output.hidden_states[layer], side)
        joint = self.model.visual_projection(output.pooler_output)
        return Tokens(dense, joint, joint)

    def text(self, prompts: Sequence[str]) -> Tensor:
        """Compute the joint-space vectors (N, P) of prompts, not normalised."""
        length = self.model.text_model.config.max_position_embeddings
        whole = [prompt.encode(errors="replace").decode() for prompt in prompts]  # half an emoji has no code in UTF-8
        tokens = self.tokenizer(whole, padding=True, max_length=length, truncation=True, return_tensors="pt")
        # CLIP is causal: no token sees the padding, which comes after the end token. So no mask, and no more padding
        # than the longest prompt needs.
        output = self.model.text_model(tokens.input_ids.to(self.model.text_projection.weight.device))
        projected: Tensor = self.model.text_projection(output.pooler_output)
        return projected


class FrozenDino(FrozenEncoder):
    """A DINO or DINOv2, which was trained by self-distillation and reads no text: patch tokens and class token out."""

    def __init__(self, model: "ViTModel | Dinov2Model", side: int, mean: Sequence[float], std: Sequence[float]) -> None:
        """Wrap a loaded model for images of `side` pixels, a multiple of its patch."""
        sizes = model.config
        super().__init__(model, sizes.patch_size, sizes.hidden_size, sizes.num_hidden_layers, side, mean, std)
        self.dim: int = self.channels
        self.pooled_dim = self.channels  # of the class token

    def forward(self, images: Tensor, layer: int = -1, side: int | None = None) -> Tokens:
        """Compute patch tokens after block `layer` and normed class tokens of square images (B, 3, S, S) in [0, 1].

        `layer` counts as CLIP's does; the last block's patch tokens, -1, are normed, as DINO's features are.
        """
        side = side or self.side
        pixels = self._pixels(images, layer, side)
        # DINOv2 always interpolates its position embeddings and has no option for it.
        options = {} if self.model.config.model_type == "dinov2" else {"interpolate_pos_encoding": True}
        output = self.model(pixels, output_hidden_states=True, **options)
        last = output.last_hidden_state
        tokens = last if layer in (-1, self.layers) else output.hidden_states[layer]
        return Tokens(self._grid(tokens, side), last[:, 0])


def resize_square(images: Tensor, side: int) -> Tensor:
    """Resize square images (B, 3, S, S) in [0, 1] to (B, 3, side, side): bicubic, antialiased, clamped to [0, 1]."""
    if images.shape[-2:] == (side, side):
        return images
    resized = F.interpolate(images, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(0, 1)


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Centre and scale images (B, 3, H, W) by each channel's mean and standard deviation."""
    centre, spread = images.new_tensor(mean).view(3, 1, 1), images.new_tensor(std).view(3, 1, 1)
    return (images - centre) / spread
