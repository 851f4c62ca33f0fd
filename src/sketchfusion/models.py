"""Any name that `--model` takes to the model that serves it."""

from __future__ import annotations

from pathlib import Path

import torch

from .backbones.catalog import CATALOG, Card, ClipCard, DiffusionCard, DinoCard, FusedCard, is_dino, model_type
from .extractor import BatchExtractor
from .io.weights import WeightsError, resolve
from .saved import read_method


def load(
    name: str | Path = "mini",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    task: str | None = None,
) -> BatchExtractor:
    """Load whatever a name stands for: a fused model, or a frozen baseline with the same face.

    `mini`, or a folder or hub id of light weights: SketchFusion. `clip-l14`, or a folder or hub id of a CLIP: B-CLIP;
    likewise `sd21`: B-SD; `dino-s8`: B-DINO; `dinov2-s14`: B-DINOv2. `sd21+clip-l14`, or any two so joined: B-SD+CLIP.
    `scratch`, or a folder that training it left: the small CNN that is the floor. A folder that training left for
    SD-PL or B-Finetuning: that. `mini:B-CLIP`: that baseline on the frozen parts of a pair. Raises WeightsError for
    anything else.
    """
    name = str(name)
    pair, _, baseline = name.partition(":")
    card = CATALOG.get(pair)
    if baseline and isinstance(card, FusedCard):
        return load(frozen_part(pair, baseline), device, dtype)
    if "+" in name and not Path(name).exists():
        from .baselines.frozen import SdClipBaseline

        diffusion, _, clip = name.partition("+")
        return SdClipBaseline.load(diffusion, clip, device, dtype)
    from .baselines.scratch import KIND, ScratchBaseline, is_scratch

    if name == KIND or is_scratch(name):
        return ScratchBaseline.load(None if name == KIND else name, device)
    folder = None if card else resolve(name)
    if folder and (method := read_method(folder)):
        return _trained(method, folder, device, dtype).for_task(task)
    kind = _kind_of(folder) if folder else type(card)
    if kind is ClipCard:
        from .baselines.frozen import ClipBaseline

        return ClipBaseline.load(name, device, dtype)
    if kind is DiffusionCard:
        from .baselines.frozen import SdBaseline

        return SdBaseline.load(name, device, dtype)
    if kind is DinoCard:
        from .baselines.frozen import DinoBaseline

        return DinoBaseline.load(name, device, dtype)
    from .features import SketchFusion

    return SketchFusion.from_pretrained(name, device, dtype, task)


def _trained(method: str, folder: Path, device: str | torch.device | None, dtype: torch.dtype | None) -> BatchExtractor:
    """Load what another method than SketchFusion's has left."""
    from .baselines import trained as finetuned
    from .baselines import trained as sd_pl

    if method == sd_pl.SD_PL:
        return sd_pl.SdPlBaseline.load(folder, device, dtype)
    if method == finetuned.B_FINETUNING:
        return finetuned.FinetunedBaseline.load_trained(folder, device, dtype)
    raise WeightsError(f"{folder} was left by {method!r}, a method that this version does not know")


def frozen_part(pair: str, baseline: str) -> str:
    """Give the name of the frozen model that a baseline of a pair is; WeightsError if there is no such baseline."""
    card = CATALOG.get(pair)
    if not isinstance(card, FusedCard):
        raise WeightsError(f"{pair!r} is not a pair of the catalog, so it has no baseline {baseline!r}")
    names = {
        "B-CLIP": card.clip,
        "B-DINO": card.dino,
        "B-DINOv2": card.dinov2,
        "B-SD": card.diffusion,
        "B-SD+CLIP": f"{card.diffusion}+{card.clip}",
    }
    if baseline not in names:
        raise WeightsError(f"{card.name} has no baseline {baseline!r}; it has {', '.join(names)}")
    return names[baseline]


def _kind_of(folder: Path) -> type[Card | FusedCard]:
    """Tell from a folder in the hub layout which kind of model it holds."""
    if (folder / "model_index.json").is_file():
        return DiffusionCard
    if is_dino(folder):
        return DinoCard
    return ClipCard if model_type(folder) == "clip" else FusedCard
