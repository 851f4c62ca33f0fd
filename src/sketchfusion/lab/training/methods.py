"""The methods that can be trained: SketchFusion, SD-PL and B-Finetuning; loop, objectives and data are shared."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import torch
from torch import Tensor, nn

from ... import features
from ...backbones.catalog import CATALOG, is_diffusion, locate, model_type, parts_of
from ...backbones.diffusion import FrozenDiffusion
from ...backbones.encoders import resize_square
from ...baselines.frozen import stages_and_tokens
from ...baselines.trained import B_FINETUNING, SD_PL, FinetunedBaseline, SdPlBaseline
from ...extractor import Device, TrainedExtractor, pick_dtype
from ...features import FeaturesConfig, SketchFusion
from ...fusion import Centring
from ...io.weights import WeightsError, folder_hash
from ...saved import UNIVERSAL, check_hash, read_method
from .bank import PictureArray, Pictures
from .feature_cache import FeatureCache, FrozenFeatures, FrozenInput, Keep, Shown, keep, valid_cells
from .loop import Report
from .recipes import with_settings

Trained = TypeVar("Trained", bound=TrainedExtractor)
FROZEN = ("diffusion", "clip")  # settings: folders, hub ids or names of the frozen parts to use
Inputs = tuple[Tensor, ...]  # the cached inputs of B pictures, in the order of `cached_inputs`

FUSION = "fusion."  # prefix of settings of the light parts' shape
ADDED = ("whole", "dense", "local")  # settings: weights of what is added to the fused maps and their maxima
# Weights of CLIP's own vector in embeddings, and of its own tokens in maps for matching; the paper has neither.
CLIP_WEIGHT = {"retrieval": 1.0, "recognition": 1.0, UNIVERSAL: 1.0}
DENSE_WEIGHT = {"correspondence": 2.0, UNIVERSAL: 4.0}


class Place(NamedTuple):
    """Where a model is trained, and the type of its frozen weights; by default the best there is for either."""

    device: Device = None
    dtype: torch.dtype | None = None


BEST_PLACE = Place()


class Method(ABC, Generic[Trained]):
    """A model in training: which inputs are cached, which weights are trained, and how maps are made of the inputs."""

    setting_names: ClassVar[tuple[str, ...]] = ()  # settings of the method; a name with a final dot is a prefix
    defaults: ClassVar[Mapping[str, str]] = {}  # settings of every task's recipe that this method replaces

    model: Trained  # the model that is saved in the end
    trained: nn.Module  # the part of it that is trained
    diffusion: FrozenDiffusion  # the part of it that makes the maps; gradients pass through it
    centring: Centring  # of the model; gets the statistics that training has standardised by
    precision: torch.dtype  # in what maps are computed; the weights that are trained and the losses are in float32
    shown: tuple[Shown, Shown] = ("window", "window")  # what the inputs see of a picture, as the model is served
    origin: str  # identifies the initial weights; a checkpoint made with others is refused
    checkpointing: bool = False  # whether features are computed anew in the backward pass, for less memory

    @classmethod
    @abstractmethod
    def create(
        cls, model: str, task: str, settings: Mapping[str, str], start: Path | None = None, on: Place = BEST_PLACE
    ) -> Self:
        """Make the model on frozen parts as in `train_task`, from `start` if given; ValueError if they do not fit."""

    @abstractmethod
    def cached_inputs(self, share: float = 1.0) -> list[FrozenInput]:
        """List what computes the inputs, of pictures of the model's side, for maps of a `share` of the full grid."""

    def checkpoint(self) -> None:
        """Train with less memory and more time (gradient checkpointing); CLIP runs once in any case."""
        self.checkpointing = True
        self.diffusion.checkpoint()

    @abstractmethod
    def maps(self, inputs: Inputs, kind: int) -> Tensor:
        """Return the maps (B, d, h, w) of pictures of one kind, which only SD-PL needs, at half or full size.

        They are not centred, as `train` has reset the centring.
        """

    def grid(self, share: float = 1.0) -> int:
        """Return the cells a side of the maps of pictures of a share of the full side: those of the latents."""
        return int(round(share * self.model.side) // self.diffusion.latent_stride)

    def _latents(
        self, weights: str, side: int, span: tuple[float, float] = (-1.0, 1.0), sampled: bool = False
    ) -> FrozenInput:
        """Compute latents of pictures resized to `side` and scaled to `span`; if `sampled`, mean and spread."""
        low, high = span

        def encode(pictures: Tensor) -> Tensor:
            squares = resize_square(pictures.to(self.model.device), side) * (high - low) + low
            return self.diffusion.posterior(squares) if sampled else self.diffusion.encode(squares)

        name = f"{'posterior' if sampled else 'latents'} {weights} {side} {(low, high)}"
        return FrozenInput(name, encode, small=True)

    @property
    def width(self) -> int:
        return self.centring.centre.shape[1]

    def prepare_serving(self) -> bool:
        """Make maps as the saved model will from now on; return whether those of training differed."""
        return False


class Fused(Method[SketchFusion]):
    """SketchFusion: light parts between a frozen diffusion model and a frozen CLIP.

    Latents and CLIP tokens are cached. Its settings are the light parts' shape, the encoder in CLIP's place, and the
    weights of what is added to the maximum in embeddings.
    """

    setting_names = (FUSION, *FROZEN, "side", *ADDED)

    def __init__(self, model: SketchFusion) -> None:
        config = model.config
        self.model, self.diffusion = model, model.model.diffusion
        self.trained, self.centring = model.model.light, model.model.light.centring
        self.precision = self.diffusion.dtype
        self.origin = f"{config.diffusion_hash[:12]} and {config.clip_hash[:12]}"
        if config.view == "as-released":
            self.shown = ("black", "middle")

    @classmethod
    def create(
        cls, model: str, task: str, settings: Mapping[str, str], start: Path | None = None, on: Place = BEST_PLACE
    ) -> Self:
        """Make new light parts, or load those of the folder `start`."""
        fused = SketchFusion.untrained(model, *on, config=cls.configure(model, task, settings), task=task)
        if start:
            config, state = features.read_light_weights(start)
            if (config.diffusion_hash, config.clip_hash) != (fused.config.diffusion_hash, fused.config.clip_hash):
                raise ValueError(f"{start} was trained on other frozen weights than those of {fused.name}")
            if replace(config.fusion, dropout=0.0) != replace(fused.config.fusion, dropout=0.0):
                raise ValueError(f"{start} has light weights of another shape or timestep than {fused.name}")
            fused.model.light.load_state_dict(state)
        return cls(fused)

    @staticmethod
    def configure(model: str, task: str, settings: Mapping[str, str]) -> FeaturesConfig:
        """Give the configuration of what is made, its arguments as in `create`."""
        shape = {key.removeprefix(FUSION): value for key, value in settings.items() if key.startswith(FUSION)}
        config = frozen_pair(model, task, settings)
        config = replace(config, fusion=with_settings(config.fusion, shape))
        if config.view != "as-released":  # the released code has nothing of the kind
            whole, dense = (weights.get(task, 0.0) for weights in (CLIP_WEIGHT, DENSE_WEIGHT))
            config = replace(config, whole=whole, dense=dense, local=task in ("segmentation", UNIVERSAL))
        of_features = ("side", *ADDED)
        return with_settings(config, {name: settings[name] for name in of_features if name in settings})

    def checkpoint(self) -> None:
        self.checkpointing = True
        self.model.model.checkpoint()

    def grid(self, share: float = 1.0) -> int:
        """Return the cells a side of the maps: the configured ones, scaled to the latents."""
        config, stride = self.model.config, self.diffusion.latent_stride
        cells: int = round(config.fusion.grid * (round(share * config.side) // stride) * stride / config.side)
        return cells

    def cached_inputs(self, share: float = 1.0) -> list[FrozenInput]:
        """Cache the VAE's latents and CLIP's tokens, which are those of the full picture at any share."""
        model, config = self.model, self.model.config
        side, layer = round(share * config.side), config.clip_layer
        latents = self._latents(config.diffusion_hash, side, config.vae_range, config.sample_latents)
        name = f"tokens {config.clip_hash} {layer}"
        return [latents, FrozenInput(name, lambda pictures: model.clip(pictures.to(model.device), layer).dense)]

    def maps(self, inputs: Inputs, kind: int) -> Tensor:
        latents, tokens = inputs
        config = self.model.config
        if config.sample_latents:  # anew for each noise draw, as when the model is served
            mean, spread = latents.unsqueeze(1).chunk(2, dim=2)
            latents = mean + spread * torch.randn_like(mean.expand(-1, config.fusion.ensemble, -1, -1, -1))
        share = latents.shape[-1] * self.diffusion.latent_stride / config.side
        maps: Tensor = self.model.model(latents, tokens, grid=round(config.fusion.grid * share))
        return maps


class SdPl(Method[SdPlBaseline]):
    """SD-PL: learned prompts. Pixels are cached, as the border is added to them: its gradient flows through the VAE."""

    setting_names = ("diffusion",)

    def __init__(self, model: SdPlBaseline) -> None:
        self.model, self.diffusion = model, model.diffusion
        self.trained, self.centring, self.precision = model.prompts, model.centring, model.diffusion.dtype
        self._draws = range(model.config.ensemble)
        self._seeds: Sequence[int] = self._draws[:1]
        self.origin = model.config.diffusion_hash[:12]

    @classmethod
    def create(
        cls, model: str, task: str, settings: Mapping[str, str], start: Path | None = None, on: Place = BEST_PLACE
    ) -> Self:
        _refuse_start(start, SD_PL)
        return cls(SdPlBaseline.untrained(frozen_pair(model, task, settings).diffusion, task, *on))

    def cached_inputs(self, share: float = 1.0) -> list[FrozenInput]:
        return [_pixels(round(share * self.model.side))]

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
    that of new parts. Weights behind the last feature (the last up block and head of the UNet, CLIP's last block, or a
    convolutional one's blocks of stride 32) get no gradient.
    """

    setting_names = FROZEN
    defaults: ClassVar[Mapping[str, str]] = {"lr": "1e-4"}

    def __init__(self, model: FinetunedBaseline, dtype: torch.dtype | None = None) -> None:
        self.model, self.diffusion, self.centring = model, model.diffusion, model.centring
        self.trained = nn.ModuleDict({"unet": model.diffusion.unet, "vision": model.clip.model.vision_model})
        self.trained.requires_grad_(True)
        self.precision = pick_dtype(model.device, dtype)
        self._hashes = [folder_hash(locate(name)) for name in (model.config.diffusion, model.config.clip)]
        self.origin = " and ".join(of[:12] for of in self._hashes)

    @classmethod
    def create(
        cls, model: str, task: str, settings: Mapping[str, str], start: Path | None = None, on: Place = BEST_PLACE
    ) -> Self:
        _refuse_start(start, B_FINETUNING)
        pair = frozen_pair(model, task, settings)
        return cls(FinetunedBaseline.untrained(pair.diffusion, pair.clip, task, on.device), on.dtype)

    def cached_inputs(self, share: float = 1.0) -> list[FrozenInput]:
        return [self._latents(self._hashes[0], round(share * self.model.side)), _pixels(self.model.clip.side)]

    def maps(self, inputs: Inputs, kind: int) -> Tensor:
        latents, pictures = inputs
        return stages_and_tokens(self.model.diffusion, self.model.clip, latents, pictures)[0]


def _pixels(side: int) -> FrozenInput:
    return FrozenInput(f"pixels at {side}", lambda pictures: resize_square(pictures, side))


@dataclass(frozen=True)
class CachedEncoder:
    """Gives a method's inputs for arrays of pictures: computed when they are drawn, or kept in a folder by `keep`."""

    method: Method[Any]
    folder: Path
    report: Report = None
    half_size: bool = True  # whether a step ever draws pictures of half the side; else those are not kept
    made: list[FrozenFeatures] = field(default_factory=list)  # all that `keep` is to keep

    @property
    def side(self) -> int:
        return int(self.method.model.side)

    @property
    def windowed(self) -> bool:
        """Whether sketches are seen by the window around their strokes."""
        return self.method.shown[0] == "window"

    def __call__(self, banks: list[PictureArray], side: int, views: int = 1) -> FeatureCache:
        """Return all pictures' inputs, for maps as of pictures of `side` pixels, in `views` augmented views."""
        pictures, share = Pictures([bank for bank in banks if len(bank)]), side / self.side
        device, precision = self.method.model.device, self.method.precision
        other = "" if precision == pick_dtype(device) else f" {precision}"  # features in files of their own
        encoded = [
            FrozenFeatures(replace(of, name=of.name + other), pictures, self.side, views, shown, device)
            for of, shown in zip(self.method.cached_inputs(share), self.method.shown, strict=False)
        ]
        valid = None
        if self.half_size or side == self.side:
            self.made.extend(encoded)
            valid = valid_cells(pictures, self.method.grid(share), self.windowed)
        names = [names for bank in pictures.banks for names in bank.names]
        return FeatureCache([of.read for of in encoded], names, views, valid)

    def keep(self, choice: Keep | None = None) -> Keep:
        """Keep the inputs of all pictures so far in the folder, as `feature_cache.keep` does; return what is kept."""
        return keep(self.made, self.folder, choice, self.report)

    @property
    def pictures(self) -> str:
        """The number of pictures so far, and a hash of their names."""
        names = [of.names for inputs in self.made for of in inputs.pictures.banks]
        return f"{sum(map(len, names)):,} ({hashlib.sha256(repr(names).encode()).hexdigest()[:8]})"


def frozen_pair(model: str, task: str, settings: Mapping[str, str] | None = None) -> FeaturesConfig:
    """Return the configuration of a pair of frozen models.

    `model` is a name of the catalog, SD+CLIP, a folder with `sd` and `clip`, or one of light weights, whose frozen
    parts are meant; `diffusion` and `clip` in `settings` take the place of either. WeightsError for anything else, and
    if the frozen weights have changed since the light ones were trained.
    """
    parts = {name: settings[name] for name in FROZEN if settings and name in settings}
    folder, diffusion, clip = Path(model), parts.get("diffusion"), parts.get("clip")
    if model in CATALOG:
        return replace(features.pair_config(model, diffusion=diffusion, clip=clip), task=task)
    if method := read_method(folder):
        raise WeightsError(f"{model} holds a model trained by {method}; name the pair of frozen models below it")
    if is_diffusion(folder) or model_type(folder):
        raise WeightsError(f"{model} is one model, and two are fused: name them as `--model SD+CLIP`")
    if own := parts_of(model):
        return replace(features.pair_config("full", diffusion=diffusion or own[0], clip=clip or own[1]), task=task)
    config, _ = features.read_light_weights(features.find_task_folder(features.find_light_weights(model), task))
    for name in FROZEN:
        if name not in parts:
            check_hash(locate(getattr(config, name)), getattr(config, f"{name}_hash"))
    return replace(features.with_parts(config, diffusion, clip), task=task)


def _refuse_start(start: Path | None, name: str) -> None:
    if start:
        raise ValueError(f"{name} begins with the weights of --model; --start is for light weights of SketchFusion")
