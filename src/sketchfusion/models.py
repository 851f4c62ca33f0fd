"""Load the model that a name stands for: what `--model` takes."""

from collections.abc import Mapping
from pathlib import Path

from .backbones import catalog
from .backbones.catalog import CATALOG, Card, FusedCard
from .baselines.frozen import ClipBaseline, DinoBaseline, FrozenBaseline, SdBaseline, SdClipBaseline
from .baselines.scratch import KIND, ScratchBaseline, is_scratch
from .baselines.trained import B_FINETUNING, SD_PL, FinetunedBaseline, SdPlBaseline
from .extractor import Device, Extractor, Precision
from .features import SketchFusion
from .io.weights import WeightsError, resolve
from .saved import read_method


def load(
    name: str | Path = "mini", device: Device = None, dtype: Precision = None, task: str | None = None
) -> Extractor:
    """Load the model that a name stands for: a fused model, a frozen baseline or a trained one.

    - `mini`, or a folder or hub id of light weights: SketchFusion, with the light weights of `task`
    - `clip-l14`, `dino-s8`, `dinov2-s14`, `sd21`, or a folder or hub id of their kind: B-CLIP, B-DINO, B-DINOv2, B-SD
    - `sd21+clip-l14`, or any Stable Diffusion and CLIP joined by a plus: B-SD+CLIP
    - `mini:B-CLIP`: that baseline on the frozen parts of a pair of the catalog, of SD+CLIP or of a folder with both
    - `scratch`, or a folder that training it left: the small CNN trained from scratch
    - a folder that training left for SD-PL or B-Finetuning: that baseline

    Raises WeightsError for anything else.
    """
    name = str(name)
    pair, _, baseline = name.partition(":")
    card = CATALOG.get(pair)
    if baseline and catalog.parts_of(pair) and not Path(name).exists():
        return load(frozen_part(pair, baseline), device, dtype)
    if "+" in name and not Path(name).exists():
        diffusion, _, clip = name.partition("+")
        return SdClipBaseline.load(diffusion, clip, device=device, dtype=dtype)
    if name == KIND or is_scratch(name):
        return ScratchBaseline.load(None if name == KIND else name, device)
    folder = None if card else resolve(name)
    if folder and (method := read_method(folder)):
        if method == SD_PL:
            return SdPlBaseline.load(folder, device, dtype).for_task(task)
        if method == B_FINETUNING:
            return FinetunedBaseline.load_trained(folder, device, dtype).for_task(task)
        raise WeightsError(f"{folder} was left by {method!r}, a method that this version does not know")
    kind = _kind_of(folder) if folder else card.kind if isinstance(card, Card) else "fused"
    of_kind: dict[str, type[FrozenBaseline]] = {"clip": ClipBaseline, "diffusion": SdBaseline, "dino": DinoBaseline}
    if kind in of_kind:
        return of_kind[kind].load(name, device=device, dtype=dtype)
    return SketchFusion.from_pretrained(name, device, dtype, task)


def frozen_part(pair: str, baseline: str) -> str:
    """Give the name of the frozen model of a baseline on a pair; WeightsError if there is none."""
    card, parts = CATALOG.get(pair), catalog.parts_of(pair)
    if not parts:
        raise WeightsError(f"{pair!r} is not a pair of models, so it has no baseline {baseline!r}")
    usual = card if isinstance(card, FusedCard) else FusedCard(pair, *parts)
    names = {
        "B-CLIP": usual.clip,
        "B-DINO": usual.dino,
        "B-DINOv2": usual.dinov2,
        "B-SD": usual.diffusion,
        "B-SD+CLIP": f"{usual.diffusion}+{usual.clip}",
    }
    if baseline not in names:
        raise WeightsError(f"{usual.name} has no baseline {baseline!r}; it has {', '.join(names)}")
    return names[baseline]


def checkpoint(pair: str, name: str, given: Mapping[str, str]) -> str:
    """Say where another model of a pair is to be had: in `given` by name, or published; WeightsError if it is not."""
    card, parts = CATALOG.get(pair), catalog.parts_of(pair)
    channels = card.channels if isinstance(card, FusedCard) else ()
    if parts and not channels:
        channels = catalog.unet_channels(catalog.locate(parts[0]))
    if name not in given and channels != FusedCard.channels:
        raise WeightsError("only models of full size have other checkpoints")
    catalog.locate(given.get(name, name))
    return given.get(name, name)


def _kind_of(folder: Path) -> str:
    """Tell from a folder in the hub layout which kind of model it holds, as a card of the catalog does."""
    if catalog.is_diffusion(folder):
        return "diffusion"
    if catalog.is_dino(folder):
        return "dino"
    return "clip" if catalog.model_type(folder) in ("clip", catalog.CONVOLUTIONAL_CLIP) else "fused"
