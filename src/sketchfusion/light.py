"""The folder that training leaves behind: light weights, and a configuration that names the frozen parts by hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from torch import Tensor

from .backbones.catalog import CATALOG, FusedCard, Preset, is_dino, locate
from .fusion.model import FusionConfig
from .io.weights import WeightsError, folder_hash, resolve
from .trained import CONFIG, build, read_trained, write_trained

UNIVERSAL = "universal"  # the task name of light weights that serve every task


@dataclass(frozen=True)
class FeaturesConfig:
    """How pictures become features; the defaults are the paper's intent at full size."""

    diffusion: str = "sd21"  # catalog name, hub id or folder
    clip: str = "clip-l14"  # or a DINO in its place
    diffusion_hash: str = ""  # of the weights that the light parts were trained on
    clip_hash: str = ""
    task: str = "retrieval"
    side: int = 480  # pixels of the square that the VAE sees
    view: Literal["letterbox", "as-released"] = "letterbox"
    vae_range: tuple[float, float] = (-1.0, 1.0)  # what black and white become on the way into the VAE
    sample_latents: bool = False  # draw from the VAE's posterior instead of taking its mean
    clip_layer: int = -2
    whole: float = 0.0  # weight of CLIP's own vector of the picture in the embedding, beside the pooled map's 1
    quarters: float = 0.0  # weight of the maxima of the picture's quarters in the embedding, beside the whole map's 1
    fusion: FusionConfig = field(default_factory=FusionConfig)


def as_released(config: FeaturesConfig) -> FeaturesConfig:
    """Give the configuration with the choices of the authors' published code in place of the paper's."""
    return replace(
        config,
        view="as-released",
        vae_range=(0.0, 255.0),
        sample_latents=True,
        clip_layer=-1,
        fusion=replace(
            config.fusion,
            inject_skips=True,
            zero_init=False,
            cut_gradient=True,
            dropout=0.5,
            ensemble=32,
            noise_seed=None,
        ),
    )


def of_pair(name: str, preset: Preset | None = None) -> FeaturesConfig:
    """Give the configuration of a pair of the catalog, by its own preset or another; WeightsError if it is none."""
    card = CATALOG.get(name)
    if not isinstance(card, FusedCard):
        pairs = ", ".join(card.name for card in CATALOG.values() if isinstance(card, FusedCard))
        raise WeightsError(f"{name!r} is not a pair to be fused; the catalog has {pairs}")
    fusion = FusionConfig(grid=card.grid, width=card.width)
    config = FeaturesConfig(card.diffusion, card.clip, side=card.side, fusion=fusion)
    return as_released(config) if (preset or card.preset) == "as-released" else config


def seen_by(config: FeaturesConfig, encoder: str) -> FeaturesConfig:
    """Give the configuration with another CLIP, or a DINO in its place; of a DINO the last block's normed tokens."""
    folder = locate(encoder)
    own = FeaturesConfig.clip_layer if is_dino(locate(config.clip)) else config.clip_layer
    layer = -1 if is_dino(folder) else own
    return replace(config, clip=encoder, clip_hash=folder_hash(folder), clip_layer=layer)


def find_light(name: str) -> Path:
    """Find the folder of light weights of a catalog name, hub id or folder; WeightsError when there is none."""
    card = CATALOG.get(name)
    if isinstance(card, FusedCard) and card.heads:
        return resolve(card.heads)
    if isinstance(card, FusedCard):
        raise WeightsError(
            f"nobody has published light weights for {name!r}: make them with `sketchfusion train`, or use the "
            f"untrained {card.diffusion}+{card.clip} (B-SD+CLIP) on the same commands"
        )
    if card is not None or "+" in name:
        raise WeightsError(f"{name!r} has no light weights, it is a baseline: sketchfusion.load({name!r}) serves it")
    return resolve(name)


def of_task(heads: Path, task: str) -> Path:
    """Pick a task's own set of light weights, or the universal one."""
    for candidate in (task, UNIVERSAL):
        if (heads / candidate / "config.json").is_file():
            return heads / candidate
    tasks = sorted(path.parent.name for path in heads.glob("*/config.json"))
    raise WeightsError(f"{heads} has no light weights for {task!r}; it has {', '.join(tasks) or 'none'}")


def has_task(heads: Path, task: str) -> bool:
    """Tell whether `of_task` finds a set for a task."""
    return any((heads / name / "config.json").is_file() for name in (task, UNIVERSAL))


def write_light(folder: Path, config: FeaturesConfig, state: Mapping[str, Tensor]) -> None:
    """Write light weights and their configuration as `folder`/model.safetensors and config.json."""
    write_trained(folder, asdict(config), state)


def read_light(folder: Path) -> tuple[FeaturesConfig, dict[str, Tensor]]:
    """Read what `write_light` wrote; WeightsError when the folder holds something else."""
    written, state = read_trained(folder)
    fusion = build(FusionConfig, written.pop("fusion", {}), folder / CONFIG)
    return build(FeaturesConfig, {**written, "fusion": fusion}, folder / CONFIG), state
