"""The trained baselines: B-Finetuning (all weights of SD+CLIP) and SD-PL (learned prompts before a frozen SD)."""

import shutil
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import extractor
from ..backbones.catalog import locate
from ..backbones.diffusion import FrozenDiffusion
from ..backbones.encoders import FrozenClip
from ..backbones.folders import embed_prompt, load_clip, load_diffusion, save_clip, save_model
from ..extractor import Device, ModelInput, ModelOutput, Precision, TrainedExtractor, pick_device, pick_dtype
from ..fusion import Centring, kind_indices
from ..io.files import atomic_write
from ..io.weights import PICKLES, WeightsError, folder_hash, weights_hash
from ..saved import CONFIG, UNIVERSAL, Heads, build, check_hash, load_weights, read_trained, write_trained
from .frozen import MAX_SIDE, STAGES, SdClipBaseline, input_side, stages_on_grid

B_FINETUNING, SD_PL = "B-Finetuning", "SD-PL"  # the names of the methods in configurations

COPIED = ("vae", "text_encoder", "tokenizer", "scheduler", "feature_extractor")  # of a Stable Diffusion folder

COARSE, FINE = ("up0", "up1"), ("up2", "up3")
SD_PL_STAGES = {"retrieval": COARSE, "recognition": COARSE, "instance-retrieval": FINE}  # B-SD's for other tasks
BORDER = 16 / MAX_SIDE  # of the side


class TrainedBaseline(TrainedExtractor):
    """A baseline trained for a task or all; centred as fused maps are, or else all its cosines were near 1."""

    task: str
    dim: int = 0
    centring: Centring

    def serves(self, task: str) -> bool:
        return self.task in (task, UNIVERSAL)

    def for_task(self, task: str | None) -> Self:
        if task is not None and not self.serves(task):
            raise WeightsError(f"{self.name} has weights for {self.task!r} only, not for {task!r}")
        return self

    def centred(self, maps: Tensor, inputs: Sequence[ModelInput]) -> Tensor:
        """Centre maps (B, C, h, w) by the kind of each picture."""
        centred: Tensor = self.centring(maps, kind_indices([one.kind for one in inputs]).to(maps.device))
        return centred


@dataclass(frozen=True)
class FinetunedConfig:
    """Where the weights came from, and the hashes of the trained ones."""

    task: str
    diffusion: str  # that training started from: catalog name, hub id or folder
    clip: str
    diffusion_hash: str = ""  # of the folder `sd`, which is saved with the configuration
    clip_hash: str = ""  # of the folder `clip`


class FinetunedBaseline(TrainedBaseline, SdClipBaseline):
    """B-Finetuning: B-SD+CLIP whose UNet and CLIP image encoder were trained for a task, every weight of them.

    "Fine-tuning of SD+CLIP" is all that the paper says. There is neither injection nor aggregation, so a map is the
    concatenation that B-SD+CLIP has, centred; the VAE and CLIP's text encoder stay as they were.
    """

    def __init__(
        self, diffusion: FrozenDiffusion, clip: FrozenClip, config: FinetunedConfig, name: str, device: torch.device
    ) -> None:
        super().__init__(diffusion, clip, "", name, device)
        self.config, self.task = config, config.task
        self.centring = Centring(self.channels).to(device)

    @classmethod
    def untrained(cls, diffusion: str, clip: str, task: str = "retrieval", device: Device = None) -> Self:
        """Load what training starts from, in float32: its steps are too small for less."""
        device, config = pick_device(device), FinetunedConfig(task, diffusion, clip)
        frozen, towers = load_diffusion(locate(diffusion)), load_clip(locate(clip))
        towers.text_digest = ()  # training may move what texts are projected to
        return cls(frozen, towers, config, f"{diffusion}+{clip}:{B_FINETUNING}", device)

    @classmethod
    def load_trained(cls, folder: str | Path, device: Device = None, dtype: Precision = None) -> Self:
        """Load what `save_pretrained` wrote; WeightsError when it is damaged."""
        device, folder = pick_device(device), Path(folder)
        dtype = pick_dtype(device, dtype)
        settings, state = read_trained(folder, "fine-tuned weights")
        settings.pop("method", None)
        config: FinetunedConfig = build(FinetunedConfig, settings, folder / CONFIG)
        check_hash(folder / "sd", config.diffusion_hash)
        check_hash(folder / "clip", config.clip_hash)
        models = load_diffusion(folder / "sd", dtype), load_clip(folder / "clip", dtype)
        model = cls(*models, config, str(folder), device)
        load_weights(model.centring, state, folder)
        model.heads = Heads.read(folder)
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the folders `sd` and `clip` in the hub's layout, heads, centring and configuration.

        What was not trained is copied, so that any tool can read the two folders, here or on another machine. They
        are in float32, as they were trained. The configuration is removed first and written last, so a folder that
        has one is complete.
        """
        folder = Path(folder)
        (folder / CONFIG).unlink(missing_ok=True)
        with atomic_write(folder / "sd") as sd, atomic_write(folder / "clip") as clip:
            source = locate(self.config.diffusion)
            save_model(self.diffusion.unet, sd / "unet")
            for part in COPIED:
                if (source / part).is_dir():
                    ignored = shutil.ignore_patterns(*(f"*{suffix}" for suffix in PICKLES))
                    shutil.copytree(source / part, sd / part, ignore=ignored)
            shutil.copy(source / "model_index.json", sd)
            source = locate(self.config.clip)
            save_clip(self.clip, clip)
            for path in (*source.glob("*.json"), *source.glob("*.txt")):
                if path.name != CONFIG and not path.name.endswith(".index.json"):
                    shutil.copy(path, clip)
        hashes = {"diffusion_hash": folder_hash(folder / "sd"), "clip_hash": folder_hash(folder / "clip")}
        self.config = replace(self.config, **hashes)
        write_trained(folder, {"method": B_FINETUNING, **asdict(self.config)}, self.centring.state_dict(), self.heads)

    @property
    def fingerprint(self) -> str:
        """A hash of settings and weights; ValueError before they have been written."""
        if not self.config.diffusion_hash:
            raise ValueError(f"{self.name} has no fingerprint until it is saved")
        weights = f"{self.config.diffusion_hash}+{self.config.clip_hash}+{weights_hash(self.centring)}"
        return extractor.hash_settings({"baseline": B_FINETUNING, **self.settings, "weights": weights})


@dataclass(frozen=True)
class SdPlConfig:
    diffusion: str  # catalog name, hub id or folder
    diffusion_hash: str
    task: str
    side: int  # pixels of the square
    border: int  # pixels
    stages: tuple[str, ...]
    timestep: int = 273
    ensemble: int = 6  # noise draws that are averaged; a step of training uses one of them


class Prompts(nn.Module):
    """The centring and what is trained: a text (1, L, D) and two borders, at first null prompt and invisible."""

    rim: Tensor

    def __init__(self, null_prompt: Tensor, side: int, border: int, width: int) -> None:
        """Make prompts for squares of `side` pixels and features of `width` channels."""
        super().__init__()
        rim = torch.ones(side, side, dtype=torch.bool)
        rim[border : side - border, border : side - border] = False
        self.register_buffer("rim", rim, persistent=False)
        self.text = nn.Parameter(null_prompt.detach().float().clone())
        self.border = nn.Parameter(torch.zeros(2, 3, int(rim.sum())))
        self.centring = Centring(width)

    def add_border(self, squares: Tensor, kinds: Tensor) -> Tensor:
        """Add the border of its kind (B,) to each square (B, 3, S, S); a smaller square gets a smaller border."""
        frames = self.border.new_zeros(2, 3, *self.rim.shape)
        frames[..., self.rim] = self.border
        if squares.shape[-2:] != self.rim.shape:
            frames = F.interpolate(frames, squares.shape[-2:], mode="area")
        return squares + frames[kinds]


class SdPlBaseline(TrainedBaseline):
    """SD-PL (Koley et al., CVPR 2024): a frozen Stable Diffusion under a learned text and a learned border.

    Dense features are up stages at t = 273, of unit length in every cell, concatenated. How the layers are joined and
    pooled is not published: it is as in B-SD, so that the two differ in prompts, stages, timestep and draws alone. The
    stages are the poster's: n = 1, 2 for categories, recognition included, and n = 3, 4 for instances. SD-PL has no
    dense tasks; there the stages are B-SD's, n = 1, 2, 3, so that only the prompts differ. The border is 16 px of a
    square of 480, the same share of others, and lies on the square's edge, padding or not; pixels are not clamped
    after it is added.
    """

    def __init__(self, diffusion: FrozenDiffusion, config: SdPlConfig, name: str, device: torch.device) -> None:
        """Put new prompts before a loaded diffusion model; ValueError for stages that it does not have."""
        self.config, self.task, self.name, self.side, self.device = config, config.task, name, config.side, device
        self.dim = sum(diffusion.channels(config.stages).values())
        self.diffusion = diffusion.to(device)
        self.prompts = Prompts(diffusion.null_prompt, config.side, config.border, self.dim).eval().to(device)
        self.centring = self.prompts.centring
        self.caption: Tensor | None = None  # (1, L, D), in place of the learned text

    @classmethod
    def untrained(cls, diffusion: str, task: str = "retrieval", device: Device = None, dtype: Precision = None) -> Self:
        """Load what training starts from, by catalog name, hub id or folder."""
        device, folder = pick_device(device), locate(diffusion)
        frozen = load_diffusion(folder, pick_dtype(device, dtype))
        side = input_side(frozen)
        stages, border = SD_PL_STAGES.get(task, STAGES), max(1, round(side * BORDER))
        config = SdPlConfig(diffusion, folder_hash(folder), task, side, border, stages)
        return cls(frozen, config, f"{diffusion}:{SD_PL}", device)

    @classmethod
    def load(cls, folder: str | Path, device: Device = None, dtype: Precision = None) -> Self:
        """Load what `save_pretrained` wrote; WeightsError when it is damaged or its frozen parts cannot be had."""
        device, folder = pick_device(device), Path(folder)
        settings, state = read_trained(folder, "learned prompts")
        settings.pop("method", None)
        config: SdPlConfig = build(SdPlConfig, settings, folder / CONFIG)
        sd = locate(config.diffusion)
        check_hash(sd, config.diffusion_hash)
        frozen = load_diffusion(sd, pick_dtype(device, dtype))
        try:
            model = cls(frozen, config, str(folder), device)
        except (ValueError, TypeError, RuntimeError) as error:
            raise WeightsError(f"the settings in {folder / CONFIG} do not fit: {error}") from error
        load_weights(model.prompts, state, folder)
        model.heads = Heads.read(folder)
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        settings = {"method": SD_PL, **asdict(self.config)}
        write_trained(Path(folder), settings, self.prompts.state_dict(), self.heads)

    def with_caption(self, text: str) -> Self:
        """Give a model with a caption in place of the learned text, all else shared: their features are compared."""
        other = copy(self)
        other.caption = embed_prompt(locate(self.config.diffusion), " ".join(text.split()))
        return other

    @property
    def fingerprint(self) -> str:
        """A hash of settings and prompts; a caption in place of the learned text does not change it."""
        settings = {key: value for key, value in asdict(self.config).items() if key not in ("diffusion", "task")}
        return extractor.hash_settings({"baseline": SD_PL, "prompts": weights_hash(self.prompts), **settings})

    def forward(self, inputs: Sequence[ModelInput]) -> ModelOutput:
        squares = extractor.stack([one.square for one in inputs], self.device)
        kinds = kind_indices([one.kind for one in inputs])
        maps = self.centred(self.stages(squares, kinds, range(self.config.ensemble)), inputs)
        return ModelOutput(maps, extractor.max_pool(maps, inputs))

    def stages(self, squares: Tensor, kinds: Tensor, seeds: Sequence[int]) -> Tensor:
        """Compute features (B, C, g, g) of squares (B, 3, S, S) of kinds (B,), averaged over noise and not centred."""
        latents = self.diffusion.encode(self.prompts.add_border(squares, kinds.to(squares.device)) * 2 - 1)
        prompt = self.prompts.text if self.caption is None else self.caption.to(squares.device)
        return stages_on_grid(self.diffusion, latents, self.config.stages, self.config.timestep, seeds, prompt)
