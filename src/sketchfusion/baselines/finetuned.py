"""B-Finetuning: B-SD+CLIP whose UNet and CLIP vision encoder were trained for a task, every weight of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import torch

from ..backbones.catalog import ClipCard, card_for, locate
from ..backbones.diffusion import FrozenDiffusion
from ..backbones.encoders import FrozenClip
from ..backbones.folders import load_clip, load_diffusion, quiet
from ..extractor import Seen, View, beside, fingerprint_of, pick_device, pick_dtype, pooled
from ..fusion import Centring
from ..io.weights import PICKLES, folder_hash, weights_hash
from ..saved import CONFIG, Heads, build, checked, load_into, read_trained, write_trained
from .sd_clip import WHOLE, SdClipBaseline
from .trained import TrainedBaseline

METHOD = "B-Finetuning"
COPIED = ("vae", "text_encoder", "tokenizer", "scheduler", "feature_extractor")  # of a Stable Diffusion folder


@dataclass(frozen=True)
class FinetunedConfig:
    """Where the weights came from, and which they are now."""

    task: str
    diffusion: str  # that training started from: catalog name, hub id or folder
    clip: str
    diffusion_hash: str = ""  # of the folders `sd` and `clip` beside
    clip_hash: str = ""


class FinetunedBaseline(TrainedBaseline, SdClipBaseline):
    """Read as B-SD+CLIP is, centred as everything trained here is.

    "Fine-tuning of SD+CLIP" is all that the paper says. Neither injection nor aggregation is there, so a map is the
    concatenation that B-SD+CLIP has; the VAE and CLIP's text encoder stay as they were.
    """

    def __init__(
        self, diffusion: FrozenDiffusion, clip: FrozenClip, config: FinetunedConfig, name: str, device: torch.device
    ) -> None:
        """Join loaded parts."""
        TrainedBaseline.__init__(self, config.task)
        SdClipBaseline.__init__(self, diffusion, clip, "", name, device)
        self.config = config
        self.centring = Centring(self.channels).to(device)

    @classmethod
    def untrained(
        cls, diffusion: str, clip: str, task: str = "retrieval", device: str | torch.device | None = None
    ) -> Self:
        """Make what training starts from, in float32: its steps are too small for less."""
        device, config = pick_device(device), FinetunedConfig(task, diffusion, clip)
        card = card_for(clip, ClipCard)
        parts = load_diffusion(locate(diffusion)), load_clip(locate(clip), mean=card.mean, std=card.std)
        return cls(*parts, config, f"{diffusion}+{clip}:{METHOD}", device)

    @classmethod
    def load_trained(
        cls, folder: str | Path, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """Load what `save_pretrained` wrote; WeightsError when it is damaged."""
        device, folder = pick_device(device), Path(folder)
        dtype = pick_dtype(device, dtype)
        written, state = read_trained(folder, "fine-tuned weights")
        written.pop("method", None)
        config: FinetunedConfig = build(FinetunedConfig, written, folder / CONFIG)
        checked(folder_hash(folder / "sd"), config.diffusion_hash, folder / "sd")
        checked(folder_hash(folder / "clip"), config.clip_hash, folder / "clip")
        card = card_for(config.clip, ClipCard)
        clip = load_clip(folder / "clip", dtype, card.mean, card.std)
        model = cls(load_diffusion(folder / "sd", dtype), clip, config, str(folder), device)
        load_into(model.centring, state, folder)
        model.heads = Heads.read(folder)
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `sd` and `clip` whole, as a hub has them, beside heads, centring and configuration.

        What was not trained is copied: any tool reads the two folders then, here or on another machine. They are in
        float32, as they were trained. The configuration goes first and comes last, so a folder that has one is whole.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".writing-") as name:
            draft = Path(name)
            self._write_diffusion(locate(self.config.diffusion), draft / "sd")
            self._write_clip(locate(self.config.clip), draft / "clip")
            for part in ("sd", "clip"):
                shutil.rmtree(folder / part, ignore_errors=True)
                (draft / part).replace(folder / part)
        hashes = {"diffusion_hash": folder_hash(folder / "sd"), "clip_hash": folder_hash(folder / "clip")}
        self.config = replace(self.config, **hashes)
        self.heads.write(folder)
        write_trained(folder, {"method": METHOD, **asdict(self.config)}, self.centring.state_dict())

    def _write_diffusion(self, source: Path, folder: Path) -> None:
        _save(self.diffusion.unet, folder / "unet")
        for part in COPIED:
            if (source / part).is_dir():
                ignored = shutil.ignore_patterns(*(f"*{suffix}" for suffix in PICKLES))
                shutil.copytree(source / part, folder / part, ignore=ignored)
        shutil.copy(source / "model_index.json", folder)

    def _write_clip(self, source: Path, folder: Path) -> None:
        _save(self.clip.model, folder)
        for path in (*source.glob("*.json"), *source.glob("*.txt")):
            if path.name != CONFIG and not path.name.endswith(".index.json"):
                shutil.copy(path, folder)

    @property
    def fingerprint(self) -> str:
        """What shapes the features, with the hashes of the weights; ValueError before they have been written."""
        if not self.config.diffusion_hash:
            raise ValueError(f"{self.name} has no fingerprint until it is saved")
        weights = f"{self.config.diffusion_hash}+{self.config.clip_hash}+{weights_hash(self.centring)}"
        return fingerprint_of({"baseline": METHOD, **self.shaping, "weights": weights})

    def look(self, views: Sequence[View]) -> Seen:
        """Give B-SD+CLIP's maps, centred, embeddings and CLIP's joint-space vectors of a batch of pictures."""
        seen = super().look(views)
        centred = self.centred(seen.maps, views)
        assert seen.joint is not None
        return Seen(centred, beside(pooled(centred, views), seen.joint, WHOLE), seen.joint)


def _save(model: Any, folder: Path) -> None:
    """Save a diffusers or transformers model, without the name of the place that it was loaded from."""
    with quiet():
        model.save_pretrained(folder)
    config = json.loads((folder / CONFIG).read_text())
    config.pop("_name_or_path", None)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
