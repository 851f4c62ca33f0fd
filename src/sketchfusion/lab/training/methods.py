"""The methods that can be trained: SketchFusion, SD-PL and B-Finetuning; loop, objectives and data are shared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from ...backbones.catalog import CATALOG, CONVOLUTIONAL_CLIP, is_diffusion, locate, model_type, parts_of
from ...backbones.diffusion import FrozenDiffusion
from ...backbones.encoders import resize_square
from ...baselines.frozen import stages_and_tokens
from ...baselines.trained import B_FINETUNING, SD_PL, FinetunedBaseline, SdPlBaseline
from ...extractor import TrainedExtractor
from ...features import (
    FeaturesConfig,
    SketchFusion,
    find_light_weights,
    find_task_folder,
    pair_config,
    read_light_weights,
    with_parts,
)
from ...fusion import Centring
from ...io.weights import WeightsError, folder_hash
from ...saved import UNIVERSAL, check_hash, read_method
from .bank import Encode, FeatureCache, PictureArray, Shown, cached, joined, valid_cells
from .loop import Report
from .recipes import with_settings

Trained = TypeVar("Trained", bound=TrainedExtractor)
FROZEN = ("diffusion", "clip")  # settings: folders, hub ids or names of the frozen parts to use
Inputs = tuple[Tensor, ...]  # the cached inputs of B pictures, in the order of `cached_inputs`

FUSION = "fusion."  # prefix of settings of the light parts' shape
EMBEDDING_WEIGHTS = ("whole", "quarters")  # settings: weights of CLIP's vector and of quarters in embeddings
# Weight of CLIP's own vector in the embeddings of these tasks; the paper has none.
CLIP_WEIGHT = {"retrieval": 1.0, "recognition": 1.0, UNIVERSAL: 1.0}


class Method(ABC, Generic[Trained]):
    """A model in training: which inputs are cached, which weights are trained, and how maps are made of the inputs."""

    setting_names: ClassVar[tuple[str, ...]] = ()  # settings of the method; a name with a final dot is a prefix
    defaults: ClassVar[Mapping[str, str]] = {}  # settings of every task's recipe that this method replaces

    model: Trained  # the model that is saved in the end
    trained: nn.Module  # the part of it that is trained
    diffusion: FrozenDiffusion  # the part of it that makes the maps; gradients pass through it
    centring: Centring  # of the model; takes over the standardisation
    shown: tuple[Shown, Shown] = ("window", "window")  # what the inputs see of a picture, as the model is served
    origin: str  # identifies the initial weights; a checkpoint made with others is refused
    checkpointing: bool = False  # whether features are computed anew on the way back, for less memory

    @classmethod
    @abstractmethod
    def create(cls, model: str, task: str, settings: Mapping[str, str], start: Path | None) -> Self:
        """Make the model to train on the frozen parts `model`, a name or folder as in `train_task`.

        `settings` are those named in `setting_names`, `start` is a folder of light weights to begin with. ValueError
        for settings or weights that do not fit.
        """

    @abstractmethod
    def cached_inputs(self, share: float = 1.0) -> dict[str, Encode]:
        """Return what computes each cached input of a picture, by a name that changes with all that determines it.

        Pictures have the model's side; training starts with maps of a `share` of the full grid.
        """

    def checkpoint(self) -> None:
        """Train with less memory and more time (gradient checkpointing); CLIP's features are always kept."""
        self.checkpointing = True
        self.diffusion.checkpoint()

    @abstractmethod
    def maps(self, inputs: Inputs, kind: int) -> Tensor:
        """Return the maps (B, d, h, w), not centred, of pictures of one kind, at half or full size."""

    def grid(self, share: float = 1.0) -> int:
        """Return the cells a side of the maps of pictures of a share of the full side: those of the latents."""
        cells: int = round(share * self.model.side) // self.diffusion.latent_stride
        return cells

    def _latents(
        self, weights: str, side: int, low: float = -1.0, high: float = 1.0, sampled: bool = False
    ) -> dict[str, Encode]:
        """Name and compute the VAE's latents, by the hash `weights`; mean and spread if they are to be `sampled`.

        Pictures have `side` pixels, scaled to [low, high].
        """

        def encode(pictures: Tensor) -> Tensor:
            squares = resize_square(pictures.to(self.model.device), side) * (high - low) + low
            return self.diffusion.posterior(squares) if sampled else self.diffusion.encode(squares)

        return {f"{'posterior' if sampled else 'latents'} {weights} {side} {(low, high)}": encode}

    @property
    def width(self) -> int:
        """Channels of the maps, d."""
        return self.centring.centre.shape[1]

    def prepare_serving(self) -> bool:
        """Make maps as the saved model will from now on; return whether those of training differed."""
        return False


class Fused(Method[SketchFusion]):
    """SketchFusion: light parts between a frozen diffusion model and a frozen CLIP.

    Latents and CLIP tokens are cached. Its settings are the light parts' shape, the encoder in CLIP's place, and the
    weights of what is added to the maximum in embeddings.
    """

    setting_names = (FUSION, *FROZEN, "side", *EMBEDDING_WEIGHTS)

    def __init__(self, model: SketchFusion) -> None:
        config = model.config
        self.model, self.diffusion = model, model.model.diffusion
        self.trained, self.centring = model.model.light, model.model.light.centring
        self.origin = f"{config.diffusion_hash[:12]} and {config.clip_hash[:12]}"
        if config.view == "as-released":
            self.shown = ("black", "middle")

    @classmethod
    def create(cls, model: str, task: str, settings: Mapping[str, str], start: Path | None) -> Self:
        """Make new light parts, or load those of the folder `start`."""
        fused = SketchFusion.untrained(model, config=cls.configure(model, task, settings), task=task)
        if start:
            _load_light(fused, start)
        return cls(fused)

    @staticmethod
    def configure(model: str, task: str, settings: Mapping[str, str]) -> FeaturesConfig:
        """Give the configuration of what is made, its arguments as in `create`."""
        shape = {key.removeprefix(FUSION): value for key, value in settings.items() if key.startswith(FUSION)}
        config = frozen_pair(model, task, settings)
        config = replace(config, fusion=with_settings(config.fusion, shape), whole=CLIP_WEIGHT.get(task, 0.0))
        of_features = ("side", *EMBEDDING_WEIGHTS)
        return with_settings(config, {name: settings[name] for name in of_features if name in settings})

    def checkpoint(self) -> None:
        self.checkpointing = True
        self.model.model.checkpoint()

    def grid(self, share: float = 1.0) -> int:
        """Return the cells a side of the maps: the configured ones, scaled to the latents."""
        config, stride = self.model.config, self.diffusion.latent_stride
        cells: int = round(config.fusion.grid * (round(share * config.side) // stride) * stride / config.side)
        return cells

    def cached_inputs(self, share: float = 1.0) -> dict[str, Encode]:
        """Cache the VAE's latents and CLIP's tokens, which are those of the full picture at any share."""
        model, config = self.model, self.model.config

        def tokens(pictures: Tensor) -> Tensor:
            dense: Tensor = model.clip(pictures.to(model.device), config.clip_layer).dense
            return dense

        side = round(share * config.side)
        latents = self._latents(config.diffusion_hash, side, *config.vae_range, config.sample_latents)
        return {**latents, f"tokens {config.clip_hash} {config.clip_layer}": tokens}

    def maps(self, inputs: Inputs, kind: int) -> Tensor:
        """Fuse latents and tokens, on a grid scaled to the picture's size."""
        latents, tokens = inputs
        config = self.model.config
        if config.sample_latents:  # anew for each noise draw, as when the model is served
            mean, spread = latents.unsqueeze(1).chunk(2, dim=2)
            latents = mean + spread * torch.randn_like(mean.expand(-1, config.fusion.ensemble, -1, -1, -1))
        share = latents.shape[-1] * self.diffusion.latent_stride / config.side
        maps: Tensor = self.model.model(latents, tokens, grid=round(config.fusion.grid * share))
        return maps


class SdPl(Method[SdPlBaseline]):
    """SD-PL: learned prompts, in text and around the picture, for a frozen diffusion model.

    Pixels are cached: the border is added to them, so its gradient flows through the frozen VAE too.
    """

    setting_names = ("diffusion",)

    def __init__(self, model: SdPlBaseline) -> None:
        self.model, self.diffusion = model, model.diffusion
        self.trained, self.centring = model.prompts, model.centring
        self._draws = range(model.config.ensemble)
        self._seeds: Sequence[int] = self._draws[:1]
        self.origin = model.config.diffusion_hash[:12]

    @classmethod
    def create(cls, model: str, task: str, settings: Mapping[str, str], start: Path | None) -> Self:
        """Begin with the null prompt and no border."""
        _refuse_start(start, SD_PL)
        return cls(SdPlBaseline.untrained(frozen_pair(model, task, settings).diffusion, task))

    def cached_inputs(self, share: float = 1.0) -> dict[str, Encode]:
        """Cache the pictures themselves."""
        side = round(share * self.model.side)
        return {f"pixels at {side}": lambda pictures: resize_square(pictures, side)}

    def maps(self, inputs: Inputs, kind: int) -> Tensor:
        """Return the UNet's stages: with a random noise draw in training, with the first one in validation."""
        (squares,) = inputs
        seeds = [int(torch.randint(len(self._draws), ()))] if self.trained.training else self._seeds
        return self.model.stages(squares, torch.full((len(squares),), kind), seeds)

    def prepare_serving(self) -> bool:
        """Average all noise draws; the maxima of the mean are up to two standard deviations below those of one draw."""
        self._seeds = self._draws
        return True


class Finetuning(Method[FinetunedBaseline]):
    """B-Finetuning: every weight of the UNet and of CLIP's vision encoder.

    Latents are cached, because the VAE is frozen, and pixels at CLIP's own side. The learning rate is a twentieth of
    that of new parts. Weights behind the last feature (the last up block and head of the UNet, CLIP's last block) get
    no gradient.
    """

    setting_names = FROZEN
    defaults: ClassVar[Mapping[str, str]] = {"lr": "1e-4"}

    def __init__(self, model: FinetunedBaseline) -> None:
        self.model, self.diffusion, self.centring = model, model.diffusion, model.centring
        self.trained = nn.ModuleDict({"unet": model.diffusion.unet, "vision": model.clip.model.vision_model})
        self.trained.requires_grad_(True)
        self._hashes = [folder_hash(locate(name)) for name in (model.config.diffusion, model.config.clip)]
        self.origin = " and ".join(of[:12] for of in self._hashes)

    @classmethod
    def create(cls, model: str, task: str, settings: Mapping[str, str], start: Path | None) -> Self:
        """Begin with the pretrained weights of both."""
        _refuse_start(start, B_FINETUNING)
        pair = frozen_pair(model, task, settings)
        if model_type(locate(pair.clip)) == CONVOLUTIONAL_CLIP:
            raise ValueError(f"{pair.clip} is a convolutional CLIP; {B_FINETUNING} trains one of transformers' own")
        return cls(FinetunedBaseline.untrained(pair.diffusion, pair.clip, task))

    def cached_inputs(self, share: float = 1.0) -> dict[str, Encode]:
        """Cache the VAE's latents and the pixels that CLIP takes."""
        side = self.model.clip.side
        return {
            **self._latents(self._hashes[0], round(share * self.model.side)),
            f"pixels at {side}": lambda pictures: resize_square(pictures, side),
        }

    def maps(self, inputs: Inputs, kind: int) -> Tensor:
        """Return the UNet's stages and CLIP's tokens, concatenated."""
        latents, pictures = inputs
        return stages_and_tokens(self.model.diffusion, self.model.clip, latents, pictures)[0]


@dataclass(frozen=True)
class CachedEncoder:
    """Computes a method's inputs for arrays of pictures, or reads them from a folder that caches them."""

    method: Method[Any]
    folder: Path
    report: Report | None = None

    @property
    def side(self) -> int:
        """Pixels of the full square."""
        return int(self.method.model.side)

    @property
    def windowed(self) -> bool:
        """Whether sketches are seen by the window around their strokes."""
        return self.method.shown[0] == "window"

    def __call__(self, banks: list[PictureArray], side: int, views: int = 1) -> FeatureCache:
        """Return all pictures' inputs, for maps as of pictures of `side` pixels, in `views` augmented views."""
        return joined([self._one(bank, side, views) for bank in banks if len(bank)])

    def _one(self, bank: PictureArray, side: int, views: int) -> FeatureCache:
        bank = bank.on(self.method.model.device)
        inputs = zip(self.method.cached_inputs(side / self.side).items(), self.method.shown, strict=False)
        features = [
            cached(bank, encode, name, self.side, views, self.folder, self.report, shown)
            for (name, encode), shown in inputs
        ]
        valid = valid_cells(bank, self.method.grid(side / self.side), views, self.windowed)
        return FeatureCache(tuple(features), bank.names, valid)


def frozen_pair(model: str, task: str, settings: Mapping[str, str] | None = None) -> FeaturesConfig:
    """Return the configuration of a pair of frozen models.

    `model` is a name of the catalog, SD+CLIP, a folder with `sd` and `clip`, or one of light weights, whose frozen
    parts are meant; `diffusion` and `clip` in `settings` take the place of either. WeightsError for anything else, and
    if the frozen weights have changed since the light ones were trained.
    """
    parts = {name: settings[name] for name in FROZEN if settings and name in settings}
    folder, diffusion, clip = Path(model), parts.get("diffusion"), parts.get("clip")
    if model in CATALOG:
        return replace(pair_config(model, diffusion=diffusion, clip=clip), task=task)
    if method := read_method(folder):
        raise WeightsError(f"{model} was left by {method}; name the pair that it was trained on")
    if is_diffusion(folder) or model_type(folder):
        raise WeightsError(f"{model} is one model, and two are fused: name them as `--model SD+CLIP`")
    if own := parts_of(model):
        return replace(pair_config("full", diffusion=diffusion or own[0], clip=clip or own[1]), task=task)
    config, _ = read_light_weights(find_task_folder(find_light_weights(model), task))
    for name in FROZEN:
        if name not in parts:
            check_hash(locate(getattr(config, name)), getattr(config, f"{name}_hash"))
    return replace(with_parts(config, diffusion, clip), task=task)


def _load_light(fused: SketchFusion, start: Path) -> None:
    config, state = read_light_weights(start)
    if (config.diffusion_hash, config.clip_hash) != (fused.config.diffusion_hash, fused.config.clip_hash):
        raise ValueError(f"{start} was trained on other frozen weights than those of {fused.name}")
    if replace(config.fusion, dropout=0.0) != replace(fused.config.fusion, dropout=0.0):
        raise ValueError(f"{start} has light weights of another shape or timestep than {fused.name}")
    fused.model.light.load_state_dict(state)


def _refuse_start(start: Path | None, name: str) -> None:
    if start:
        raise ValueError(f"{name} begins with the weights of --model; --start is for light weights of SketchFusion")
