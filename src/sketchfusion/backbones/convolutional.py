"""A convolutional CLIP: EfficientNet-Lite sees images, a small transformer reads text, both share one space."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, PreTrainedTokenizerBase

from ..io.weights import WeightsError, weight_files
from .catalog import IMAGENET_MEAN, IMAGENET_STD
from .efficientnet import EfficientNet, EfficientNetConfig
from .encoders import Frozen, Tokens, normalise, resize_square

MODEL_TYPE = "convolutional-clip"  # in config.json


class Towers(nn.Module):
    """The weights of a convolutional CLIP: image encoder, text encoder, and the projections to their joint space."""

    def __init__(self, config: EfficientNetConfig, text: CLIPTextConfig, dim: int, *, fold: bool = True) -> None:
        """Make both towers with random weights; `dim` is the width of the joint space."""
        super().__init__()
        self.image = EfficientNet(config, fold=fold)
        self.image_projection = nn.Linear(config.pooled, dim)
        self.text = CLIPTextModel(text)
        self.text_projection = nn.Linear(text.hidden_size, dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def fold(self) -> Towers:
        """Give the same towers with each batch norm multiplied into its convolution."""
        folded = Towers(self.image.config, self.text.config, self.image_projection.out_features)
        state = dict(self.state_dict())
        for name in [name for name in state if name.endswith(".scale")]:
            weight = name.replace(".scale", ".weight")
            state[weight] = state[weight] * state.pop(name).view(-1, 1, 1, 1)
        folded.load_state_dict(state)
        return folded


class ConvolutionalClip(Frozen):
    """Both towers of a convolutional CLIP, frozen: images in [0, 1] in, dense tokens and joint-space vectors out.

    It has the attributes and the calls of `FrozenClip`. `patch` is the stride of the dense tokens, `channels` their
    width; `layers` counts the blocks.
    """

    def __init__(
        self,
        towers: Towers,
        tokenizer: PreTrainedTokenizerBase,
        side: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        labels: Sequence[str] = (),
    ) -> None:
        """Wrap loaded towers that see squares of `side` pixels, a multiple of 32.

        `labels` are the names that it is known to have learned from sketches, if anybody wrote them down.
        """
        super().__init__()
        self.model = towers
        self.tokenizer = tokenizer
        self.side = side
        self.patch = 16
        self.channels: int = towers.image.dense_channels
        self.dim: int = towers.image_projection.out_features
        self.layers = len(towers.image.blocks)
        self.mean, self.std = tuple(mean), tuple(std)
        self.labels = tuple(labels)
        self.freeze()

    @property
    def dtype(self) -> torch.dtype:
        """The type the frozen weights compute in."""
        return self.model.image_projection.weight.dtype

    @property
    def logit_scale(self) -> float:
        """What cosines of images and texts are multiplied by before a softmax makes probabilities of them."""
        return float(self.model.logit_scale.exp())

    def forward(self, images: Tensor, layer: int | None = None, side: int | None = None) -> Tokens:
        """Give dense tokens (B, C, h, w) and joint-space vectors (B, P) of square images (B, 3, S, S) in [0, 1].

        The tokens are the map after block `layer`, by default the last block of stride 16; negative numbers count from
        the end. Images are resized to `side`, the model's own by default. ValueError for a block that does not exist.
        """
        if layer is not None and not -self.layers <= layer < self.layers:
            raise ValueError(f"this CLIP has {self.layers} blocks; block {layer} does not exist")
        pixels = normalise(resize_square(images, self.side if side is None else side), self.mean, self.std)
        dense, last = self.model.image(pixels.to(self.dtype), layer)
        return Tokens(dense.contiguous(), self.model.image_projection(last.mean((2, 3))))

    def text(self, prompts: Sequence[str]) -> Tensor:
        """Give the joint-space vectors (N, P) of prompts, not normalised."""
        length = self.model.text.config.max_position_embeddings
        tokens = self.tokenizer(
            list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        # No attention mask, as in CLIP: the encoder is causal, and padding comes after the end token.
        seen = self.model.text(tokens.input_ids.to(self.model.image_projection.weight.device))
        projected: Tensor = self.model.text_projection(seen.pooler_output)
        return projected


def save_convolutional_clip(clip: ConvolutionalClip, folder: Path) -> None:
    """Write config.json, model.safetensors (fp16, batch norms folded), the tokenizer and the labels to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    towers = clip.model
    config = {
        "model_type": MODEL_TYPE,
        "image_config": asdict(towers.image.config),
        "text_config": towers.text.config.to_diff_dict(),
        "projection_dim": clip.dim,
        "image_size": clip.side,
        "image_mean": list(clip.mean),
        "image_std": list(clip.std),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    state = {name: value.half().contiguous() for name, value in towers.fold().state_dict().items()}
    save_file(state, folder / "model.safetensors")
    clip.tokenizer.save_pretrained(folder)
    (folder / "labels.txt").write_text("\n".join(clip.labels) + "\n")


def load_convolutional_clip(folder: Path, dtype: torch.dtype = torch.float32) -> ConvolutionalClip:
    """Load what `save_convolutional_clip` wrote.

    WeightsError when a part is missing, is not in safetensors, or does not fit its configuration.
    """
    files = weight_files(folder)
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        if config["model_type"] != MODEL_TYPE:
            raise ValueError(f"it holds a {config['model_type']}, not a {MODEL_TYPE}")
        text = CLIPTextConfig(**config["text_config"])
        towers = Towers(EfficientNetConfig(**config["image_config"]), text, config["projection_dim"])
        towers.load_state_dict({name: value for file in files for name, value in load_file(file).items()})
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        names = folder / "labels.txt"
        labels = names.read_text().splitlines() if names.is_file() else []
        side, mean, std = config["image_size"], config["image_mean"], config["image_std"]
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"cannot load {folder}: {reason}") from error
    return ConvolutionalClip(towers.to(dtype), tokenizer, side, mean, std, labels)
