"""The frozen baselines: B-CLIP, B-DINO and B-DINOv2, B-SD (Stable Diffusion), and B-SD+CLIP."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import extractor
from ..backbones.catalog import is_diffusion, locate
from ..backbones.diffusion import FrozenDiffusion
from ..backbones.encoders import FrozenClip, FrozenDino, FrozenEncoder, Tokens, resize_square
from ..backbones.folders import load_diffusion, load_encoder
from ..extractor import Device, Extractor, ModelInput, ModelOutput, Precision, pick_device, pick_dtype
from ..io.weights import folder_hash

STAGES = ("up0", "up1", "up2")  # of the UNet: those that the method aggregates
TIMESTEP = 195
CLIP_LAYER = -2  # of a ViT's dense map, and on record for every CLIP: the one that the method injects
CLIP_WEIGHT = 1.0  # of CLIP's own vector in the embedding of B-SD+CLIP
MAX_SIDE = 480  # pixels: the paper's 60 x 60 latents; larger checkpoints are run at this side too


class FrozenBaseline(Extractor):
    """Frozen models used as they are; a subclass computes their features."""

    baseline: ClassVar[str]  # its name in the paper
    dim: int = 0

    def __init__(
        self, weights: str, name: str, side: int, dim: int, device: torch.device, settings: dict[str, object]
    ) -> None:
        """Take the hash of the weights, the side of the input, the length of an embedding, and what else shapes it."""
        self._weights, self.name, self.side, self.dim, self.device = weights, name, side, dim, device
        self.settings = settings

    @classmethod
    def load(cls, *parts: str, device: Device = None, dtype: Precision = None) -> Self:
        """Load each part by catalog name, hub id or folder; WeightsError when one cannot be had."""
        device = pick_device(device)
        dtype = pick_dtype(device, dtype)
        folders = [locate(part) for part in parts]
        models: list[FrozenDiffusion | FrozenEncoder] = [
            load_diffusion(folder, dtype) if is_diffusion(folder) else load_encoder(part, folder, dtype)
            for part, folder in zip(parts, folders, strict=True)
        ]
        make: Callable[..., Self] = cls  # each subclass takes its own models
        return make(*models, "+".join(map(folder_hash, folders)), "+".join(parts), device)

    @property
    def fingerprint(self) -> str:
        return extractor.hash_settings({"baseline": self.baseline, **self.settings, "weights": self._weights})


class ClipBaseline(FrozenBaseline):
    """B-CLIP: penultimate patch tokens, and CLIP's joint vector as embedding (the paper leaves the pooling open)."""

    baseline = "B-CLIP"
    clip: FrozenClip

    def __init__(self, clip: FrozenClip, weights: str, name: str, device: torch.device) -> None:
        super().__init__(weights, name, clip.side, clip.pooled_dim, device, {"layer": CLIP_LAYER})
        self.clip = clip.to(device)

    def forward(self, inputs: Sequence[ModelInput]) -> ModelOutput:
        tokens = self.clip(extractor.stack([one.clip for one in inputs], self.device))
        return ModelOutput(tokens.dense, tokens.pooled, tokens.joint)


class DinoBaseline(FrozenBaseline):
    """B-DINO and B-DINOv2: dense features are the last block's patch tokens, the embedding is its class token."""

    baseline = "B-DINO"

    def __init__(self, dino: FrozenDino, weights: str, name: str, device: torch.device) -> None:
        super().__init__(weights, name, dino.side, dino.channels, device, {"side": dino.side})
        self.dino = dino.to(device)

    def forward(self, inputs: Sequence[ModelInput]) -> ModelOutput:
        tokens = self.dino(extractor.stack([one.square for one in inputs], self.device))
        return ModelOutput(tokens.dense, tokens.pooled)


class SdBaseline(FrozenBaseline):
    """B-SD: dense features are the first three up stages, of unit length in every cell, concatenated.

    The paper does not say which stages B-SD uses; these are the ones its method aggregates, so that B-SD, B-SD+CLIP
    and the method differ in nothing else. The embedding is the maximum over the picture.
    """

    baseline = "B-SD"

    def __init__(self, diffusion: FrozenDiffusion, weights: str, name: str, device: torch.device) -> None:
        side, dim = input_side(diffusion), sum(diffusion.channels(STAGES).values())
        super().__init__(weights, name, side, dim, device, {"stages": STAGES, "t": TIMESTEP, "side": side})
        self.diffusion = diffusion.to(device)

    def forward(self, inputs: Sequence[ModelInput]) -> ModelOutput:
        squares = extractor.stack([one.square for one in inputs], self.device)
        maps = stages_on_grid(self.diffusion, self.diffusion.encode(squares * 2 - 1))
        return ModelOutput(maps, extractor.max_pool(maps, inputs))


class SdClipBaseline(FrozenBaseline):
    """B-SD+CLIP: dense features are B-SD's and CLIP's patch tokens, each of unit length in every cell, concatenated.

    "A straightforward combination" is all that the paper says. It needs no training, so it is what the full-size
    models offer at once. The embedding is the maximum over the picture, and CLIP's own vector as in the method.
    """

    baseline = "B-SD+CLIP"
    clip: FrozenClip

    def __init__(
        self, diffusion: FrozenDiffusion, clip: FrozenClip, weights: str, name: str, device: torch.device
    ) -> None:
        self.channels = sum(diffusion.channels(STAGES).values()) + clip.channels  # of the maps
        side = max(input_side(diffusion), clip.side)
        settings = {"stages": STAGES, "t": TIMESTEP, "layer": CLIP_LAYER, "side": side, "whole": CLIP_WEIGHT}
        super().__init__(weights, name, side, self.channels + clip.pooled_dim, device, settings)
        self.diffusion, self.clip = diffusion.to(device), clip.to(device)
        self._seed = 0

    def with_noise(self, seed: int) -> Self:
        """Give the same model with another seed for the noise of Stable Diffusion; the default is 0."""
        other = copy(self)
        other._seed = seed
        other.settings = {**self.settings, "noise": seed}
        if not seed:
            del other.settings["noise"]  # the default's fingerprint does not name it
        return other

    def forward(self, inputs: Sequence[ModelInput]) -> ModelOutput:
        squares = extractor.stack([one.square for one in inputs], self.device)
        latents = self.diffusion.encode(resize_square(squares, input_side(self.diffusion)) * 2 - 1)
        maps, tokens = stages_and_tokens(self.diffusion, self.clip, latents, squares, self._seed)
        maps = self.centred(maps, inputs)
        vectors = extractor.concatenate_weighted(extractor.max_pool(maps, inputs), tokens.pooled, CLIP_WEIGHT)
        return ModelOutput(maps, vectors, tokens.joint)

    def centred(self, maps: Tensor, inputs: Sequence[ModelInput]) -> Tensor:
        """Centre maps, which only trained ones need."""
        return maps


def input_side(diffusion: FrozenDiffusion) -> int:
    """Give the side in pixels of the square for a checkpoint: its own, at most the paper's."""
    side: int = diffusion.unet.config.sample_size * diffusion.latent_stride
    return min(side, MAX_SIDE)


def stages_on_grid(
    diffusion: FrozenDiffusion,
    latents: Tensor,
    stages: Sequence[str] = STAGES,
    timestep: int = TIMESTEP,
    seeds: Sequence[int] = (0,),
    prompt: Tensor | None = None,
) -> Tensor:
    """Stages of latents (B, c, g, g) on their grid, unit length per cell, mean over `seeds` of noise: (B, C, g, g)."""
    size = (latents.shape[-2], latents.shape[-1])
    total: dict[str, Tensor] = {}
    for seed in seeds:
        noisy = diffusion.add_noise(latents, diffusion.noise(size, seed), timestep)
        maps = diffusion(noisy, timestep, stages, prompt=prompt)
        total = {name: total[name] + value if total else value for name, value in maps.items()}
    return torch.cat([_resize_to_unit(total[name] / len(seeds), size) for name in stages], dim=1)


def stages_and_tokens(
    diffusion: FrozenDiffusion, clip: FrozenClip, latents: Tensor, pictures: Tensor, seed: int = 0
) -> tuple[Tensor, Tokens]:
    """Concatenate stages of latents (B, c, g, g) with CLIP's tokens: maps (B, C, g, g), and all that CLIP gives."""
    stages, tokens = stages_on_grid(diffusion, latents, seeds=(seed,)), clip(pictures)
    on_grid = _resize_to_unit(tokens.dense, (stages.shape[-2], stages.shape[-1]))
    return torch.cat([stages, on_grid], dim=1), tokens


def _resize_to_unit(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps (B, C, h, w) to a grid and give every cell unit length."""
    return F.normalize(F.interpolate(maps.float(), size, mode="bilinear", align_corners=False), dim=1)
