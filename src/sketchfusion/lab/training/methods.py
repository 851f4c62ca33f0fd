"""What tells one method of training from another; loop, objectives and data are the same for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from ...backbones.catalog import CATALOG, FusedCard, locate
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
    with_encoder,
)
from ...fusion import Centring, FusionConfig
from ...io.weights import WeightsError, folder_hash
from ...saved import UNIVERSAL, check_hash, read_method
from .bank import Encode, FeatureCache, PictureArray, cached, joined
from .loop import Report
from .recipes import with_settings

Trained = TypeVar("Trained", bound=TrainedExtractor)
Said = tuple[Tensor, ...]  # what is kept of B pictures, part by part


class Method(ABC, Generic[Trained]):
    """A model in training: what of a picture is kept, what is trained, and how it makes maps of what was kept.

    What is left behind is the model's own to write.
    """

    own: ClassVar[tuple[str, ...]] = ()  # settings of the method's own; one that ends in a dot begins several
    defaults: ClassVar[Mapping[str, str]] = {}  # settings of any task's recipe that suit it better

    model: Trained  # which serves, once trained
    trained: nn.Module  # what moves
    centring: Centring  # of the model, which takes over the standardisation
    origin: str  # names the weights that it starts from; a checkpoint made for others is refused

    @classmethod
    @abstractmethod
    def begin(cls, model: str, task: str, own: Mapping[str, str], start: Path | None) -> Self:
        """Make what training starts from, on the frozen parts that `model` names as `train_task` takes it.

        `own` are settings of the method's own, `start` a folder that training left before; ValueError for what it
        cannot take.
        """

    @abstractmethod
    def asks(self) -> dict[str, Encode]:
        """Give what is kept of a picture, each part under a name that changes with all that shapes it."""

    @abstractmethod
    def maps(self, said: Said, kind: int) -> Tensor:
        """Give the maps (B, d, h, w), not centred, of pictures of one kind; pictures of half the side are seen too."""

    @property
    def width(self) -> int:
        """Channels of the maps, d."""
        return self.centring.centre.shape[1]

    def finish(self) -> bool:
        """Make maps as they will be served from now on; tell whether those of training were others."""
        return False


def latents_of(
    diffusion: FrozenDiffusion, weights: str, device: torch.device, low: float = -1.0, high: float = 1.0
) -> dict[str, Encode]:
    """Keep the latents of a frozen VAE, whose weights have a hash and which sees black as `low`, white as `high`."""

    def encode(pictures: Tensor) -> Tensor:
        return diffusion.encode(pictures.to(device) * (high - low) + low)

    return {f"latents {weights} {(low, high)}": encode}


def refuse(start: Path | None, name: str) -> None:
    """Refuse, with a ValueError, to begin with light weights where there are none."""
    if start:
        raise ValueError(f"{name} begins with the weights of --model; --start is for light weights of SketchFusion")


# Which frozen parts are meant by a name, and at which sizes they are joined.


def pair_of(model: str, task: str) -> FeaturesConfig:
    """Give the pair of the catalog, of a folder that `pretrain` left, or that a folder of light weights stands on.

    WeightsError for anything else, or for parts other than those that the light weights were trained on.
    """
    if model in CATALOG:
        return replace(pair_config(model), task=task)
    if method := read_method(Path(model)):
        raise WeightsError(f"{model} was left by {method}; name the pair that it was trained on")
    if all((Path(model) / part).is_dir() for part in ("sd", "clip")):  # what `pretrain` leaves has the sizes of mini
        card, folder = CATALOG["mini"], Path(model).resolve()
        assert isinstance(card, FusedCard)
        sizes = FusionConfig(grid=card.grid, width=card.width)
        return FeaturesConfig(str(folder / "sd"), str(folder / "clip"), task=task, side=card.side, fusion=sizes)
    config, _ = read_light_weights(find_task_folder(find_light_weights(model), task))
    for part, expected in ((config.diffusion, config.diffusion_hash), (config.clip, config.clip_hash)):
        check_hash(folder_hash(locate(part)), expected, locate(part))
    return replace(config, task=task)


# SketchFusion: light parts between a frozen diffusion model and a frozen CLIP.


FUSION = "fusion."
BESIDE = ("whole", "quarters")  # weights of what stands beside the maps' maxima in embeddings
# Of CLIP's own vector in the embeddings of these tasks; 0 is the paper's.
WHOLE = {"retrieval": 1.0, "recognition": 1.0, UNIVERSAL: 1.0}


class Fused(Method[SketchFusion]):
    """Latents and CLIP tokens are kept.

    Settings of its own: the light parts' shape, what is in CLIP's place, and what embeddings have beside the maximum.
    """

    own = (FUSION, "clip", *BESIDE)

    def __init__(self, model: SketchFusion) -> None:
        """Train the light parts of a model."""
        config = model.config
        self.model, self.trained, self.centring = model, model.model.light, model.model.light.centring
        self.origin = f"{config.diffusion_hash[:12]} and {config.clip_hash[:12]}"

    @classmethod
    def begin(cls, model: str, task: str, own: Mapping[str, str], start: Path | None) -> Self:
        """Make new light parts, or those of the folder `start`."""
        shape = {key.removeprefix(FUSION): value for key, value in own.items() if key.startswith(FUSION)}
        config = pair_of(model, task)
        config = replace(config, fusion=with_settings(config.fusion, shape), whole=WHOLE.get(task, 0.0))
        if "clip" in own:
            config = with_encoder(config, own["clip"])
        config = with_settings(config, {name: own[name] for name in BESIDE if name in own})
        fused = SketchFusion.untrained(model, config=config, task=task)
        if start:
            _begin_with(fused, start)
        return cls(fused)

    def asks(self) -> dict[str, Encode]:
        """Ask the VAE for latents and CLIP for its tokens."""
        model, config = self.model, self.model.config

        def tokens(pictures: Tensor) -> Tensor:
            dense: Tensor = model.clip(pictures.to(model.device), config.clip_layer).dense
            return dense

        latents = latents_of(model.model.diffusion, config.diffusion_hash, model.device, *config.vae_range)
        return {**latents, f"tokens {config.clip_hash} {config.clip_layer}": tokens}

    def maps(self, said: Said, kind: int) -> Tensor:
        """Fuse them, on a grid that is as much smaller as the picture is."""
        latents, tokens = said
        fusion, config = self.model.model, self.model.config
        share = latents.shape[-1] * fusion.diffusion.latent_stride / config.side
        maps: Tensor = fusion(latents, tokens, grid=round(config.fusion.grid * share))
        return maps


def _begin_with(fused: SketchFusion, start: Path) -> None:
    config, state = read_light_weights(start)
    own = (fused.config.diffusion_hash, fused.config.clip_hash)
    if (config.diffusion_hash, config.clip_hash) != own:
        raise ValueError(f"{start} was trained on other frozen weights than those of {fused.name}")
    if replace(config.fusion, dropout=0.0) != replace(fused.config.fusion, dropout=0.0):
        raise ValueError(f"{start} has light weights of another shape or timestep than {fused.name}")
    fused.model.light.load_state_dict(state)


# SD-PL: prompts before a frozen diffusion model.


class SdPl(Method[SdPlBaseline]):
    """Pixels are kept: the border is added to them, so its gradient comes through the frozen VAE as well."""

    def __init__(self, model: SdPlBaseline) -> None:
        """Train the prompts of a model."""
        self.model, self.trained, self.centring = model, model.prompts, model.centring
        self._draws = range(model.config.ensemble)
        self._seeds: Sequence[int] = self._draws[:1]
        self.origin = model.config.diffusion_hash[:12]

    @classmethod
    def begin(cls, model: str, task: str, own: Mapping[str, str], start: Path | None) -> Self:
        """Begin with the null prompt and no border."""
        refuse(start, SD_PL)
        return cls(SdPlBaseline.untrained(pair_of(model, task).diffusion, task))

    def asks(self) -> dict[str, Encode]:
        """Keep the pictures as they are."""
        return {"pixels": lambda pictures: pictures}

    def maps(self, said: Said, kind: int) -> Tensor:
        """Give the stages under the prompts: by a random one of the draws in training, by the first in validation."""
        (squares,) = said
        seeds = [int(torch.randint(len(self._draws), ()))] if self.trained.training else self._seeds
        return self.model.stages(squares, torch.full((len(squares),), kind), seeds)

    def finish(self) -> bool:
        """Average all draws. Means have lower maxima than single draws, by two standard deviations in fine stages."""
        self._seeds = self._draws
        return True


# B-Finetuning: every weight of the UNet and of CLIP's vision encoder.


class Finetuning(Method[FinetunedBaseline]):
    """Latents are kept, the VAE being frozen, and pixels at CLIP's own side.

    Its steps are twenty times smaller than those of new parts. Weights that no feature comes from (the last up block
    and the head of the UNet, what follows CLIP's penultimate block) get no gradient and stay.
    """

    defaults: ClassVar[Mapping[str, str]] = {"lr": "1e-4"}

    def __init__(self, model: FinetunedBaseline) -> None:
        """Train the UNet and the vision encoder of a model."""
        self.model, self.centring = model, model.centring
        self.trained = nn.ModuleDict({"unet": model.diffusion.unet, "vision": model.clip.model.vision_model})
        self.trained.requires_grad_(True)
        self._hashes = [folder_hash(locate(name)) for name in (model.config.diffusion, model.config.clip)]
        self.origin = " and ".join(of[:12] for of in self._hashes)

    @classmethod
    def begin(cls, model: str, task: str, own: Mapping[str, str], start: Path | None) -> Self:
        """Begin with the weights of both."""
        refuse(start, B_FINETUNING)
        pair = pair_of(model, task)
        return cls(FinetunedBaseline.untrained(pair.diffusion, pair.clip, task))

    def asks(self) -> dict[str, Encode]:
        """Ask the VAE for latents, and keep what CLIP will see."""
        model = self.model
        side = model.clip.side
        latents = latents_of(model.diffusion, self._hashes[0], model.device)
        return {**latents, f"pixels at {side}": lambda pictures: resize_square(pictures, side)}

    def maps(self, said: Said, kind: int) -> Tensor:
        """Give the stages and tokens side by side."""
        latents, pictures = said
        return stages_and_tokens(self.model.diffusion, self.model.clip, latents, pictures)[0]


# The frozen models asked once: banks of pictures in, caches of what a method keeps of them out.


@dataclass(frozen=True)
class Encoder:
    """What a method asks of pictures, and the folder that keeps the answers."""

    method: Method[Any]
    folder: Path
    report: Report | None = None

    @property
    def side(self) -> int:
        """Pixels of the full square."""
        return int(self.method.model.side)

    @property
    def width(self) -> int:
        """Channels of the maps that are made of the answers."""
        return self.method.width

    def __call__(self, banks: list[PictureArray], side: int, views: int = 1) -> FeatureCache:
        """Give the answers about the pictures of all banks, seen at `side` pixels."""
        return joined([self._one(bank, side, views) for bank in banks if len(bank)])

    def _one(self, bank: PictureArray, side: int, views: int) -> FeatureCache:
        def progress(done: int, total: int) -> None:
            if self.report:
                self.report(done, total, {})

        bank = bank.on(self.method.model.device)
        said = [
            cached(bank, ask, asked, side, views, self.folder, progress) for asked, ask in self.method.asks().items()
        ]
        return FeatureCache(tuple(said), bank.names)
