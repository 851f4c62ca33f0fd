"""Load frozen backbones from folders in the usual diffusers or transformers layout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, Dinov2Model, ViTModel
from transformers.utils import logging as transformers_logging

from ..io.weights import WeightsError, weight_files
from .catalog import (
    CONVOLUTIONAL_CLIP,
    IMAGENET_MEAN,
    IMAGENET_STD,
    OPENAI_MEAN,
    OPENAI_STD,
    ClipCard,
    DinoCard,
    card_for,
    is_dino,
    model_type,
)
from .convolutional import load_convolutional_clip
from .diffusion import FrozenDiffusion
from .encoders import FrozenClip, FrozenDino

FrozenEncoder = FrozenClip | FrozenDino  # whose tokens are injected


def load_diffusion(folder: Path, dtype: torch.dtype = torch.float32) -> FrozenDiffusion:
    """Load a Stable Diffusion folder (unet, vae, text_encoder, tokenizer, scheduler) for feature extraction.

    Raises WeightsError when a part is missing, is not in safetensors, or does not fit its configuration.
    """
    with loading_errors(folder):
        unet = _load(UNet2DConditionModel, folder, "unet", dtype)
        # The encoder is all convolutions: a third faster with the channels last, on a CPU too.
        vae = _load(AutoencoderKL, folder, "vae", dtype).to(memory_format=torch.channels_last)
        scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
        return FrozenDiffusion(unet, vae, scheduler, embed_prompt(folder).to(dtype))


def embed_prompt(folder: Path, prompt: str = "") -> Tensor:
    """Encode a prompt with a Stable Diffusion folder's text encoder: (1, L, D), float32.

    The checkpoint's own tokenizer pads it: SD 2.x with token 0, SD 1.x with the end-of-text token.
    """
    with loading_errors(folder):
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        encoder = _load(CLIPTextModel, folder, "text_encoder", torch.float32).eval()
        length = encoder.config.max_position_embeddings
        ids = tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            embedding: Tensor = encoder(ids).last_hidden_state
        return embedding


def load_clip(
    folder: Path,
    dtype: torch.dtype = torch.float32,
    mean: Sequence[float] = OPENAI_MEAN,
    std: Sequence[float] = OPENAI_STD,
) -> FrozenClip:
    """Load a CLIP folder (both towers, tokenizer); `mean` and `std` count where the folder names no preprocessing.

    Raises WeightsError when a part is missing, is not in safetensors, or does not fit its configuration.
    """
    if model_type(folder) == CONVOLUTIONAL_CLIP:
        return load_convolutional_clip(folder, dtype)
    with loading_errors(folder):
        model = _load(CLIPModel, folder, "", dtype)
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        preprocessing = _read_json(folder / "preprocessor_config.json")
        mean, std = preprocessing.get("image_mean", mean), preprocessing.get("image_std", std)
        names = folder / "labels.txt"
        return FrozenClip(model, tokenizer, mean, std, names.read_text().splitlines() if names.is_file() else ())


def load_dino(
    folder: Path,
    dtype: torch.dtype = torch.float32,
    side: int = 224,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> FrozenDino:
    """Load a DINO (ViT) or DINOv2 folder; `side`, `mean` and `std` count where the folder names no preprocessing.

    Raises WeightsError when it is neither, is not in safetensors, or does not fit its configuration.
    """
    with loading_errors(folder):
        kind = model_type(folder)
        if kind == "vit":
            model = _load(ViTModel, folder, "", dtype, add_pooling_layer=False)
        elif kind == "dinov2":
            model = _load(Dinov2Model, folder, "", dtype)
        else:
            raise WeightsError(f"{folder} holds a {kind or 'model without config.json'}, not DINO or DINOv2")
        preprocessing = _read_json(folder / "preprocessor_config.json")
        mean, std = preprocessing.get("image_mean", mean), preprocessing.get("image_std", std)
        size = preprocessing.get("size")
        # A size with a height is the model's input; one of the shortest edge is cropped from afterwards.
        return FrozenDino(model, size.get("height", side) if isinstance(size, dict) else side, mean, std)


def load_encoder(name: str, folder: Path, dtype: torch.dtype = torch.float32) -> FrozenEncoder:
    """Load a CLIP, or a DINO, as the folder's config.json says; WeightsError as for `load_clip`.

    `name` is its catalog name, hub id or path, whose card has the usual preprocessing.
    """
    if is_dino(folder):
        dino = card_for(name, DinoCard)
        return load_dino(folder, dtype, dino.side, dino.mean, dino.std)
    clip = card_for(name, ClipCard)
    return load_clip(folder, dtype, clip.mean, clip.std)


def save_model(model: Any, folder: Path, **options: Any) -> None:
    """Save a diffusers or transformers model without the path that it was loaded from."""
    with quiet_libraries():
        model.save_pretrained(folder, **options)
    config = _read_json(folder / "config.json")
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _load(kind: Any, folder: Path, subfolder: str, dtype: torch.dtype, **options: Any) -> Any:
    """Load one model of a folder with its own library."""
    weights = weight_files(folder / subfolder)
    options |= {"local_files_only": True, "use_safetensors": True}
    if all(".fp16." in path.name for path in weights):
        options["variant"] = "fp16"
    if kind.__module__.startswith("diffusers"):
        # Without accelerate diffusers can only load in the memory-hungry way, and warns unless told to.
        options |= {"torch_dtype": dtype, "low_cpu_mem_usage": find_spec("accelerate") is not None}
    else:
        options |= {"dtype": dtype}
    model, report = kind.from_pretrained(folder / subfolder, output_loading_info=True, **options)
    # Both libraries fill what a file lacks with random numbers and go on.
    missing = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if missing:
        raise WeightsError(
            f"{folder / subfolder} does not hold a whole {kind.__name__}: {len(missing)} tensors such as {missing[0]} "
            "are missing or of another shape"
        )
    return model


@contextmanager
def loading_errors(folder: Path) -> Iterator[None]:
    """Silence the libraries while they load a folder, and turn their errors into a WeightsError of one line."""
    try:
        with quiet_libraries():
            yield
    except WeightsError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"cannot load {folder}: {reason}") from error


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Turn off the progress bars and reports of transformers and diffusers."""
    libraries = (transformers_logging, diffusers_logging)
    levels = [library.get_verbosity() for library in libraries]
    bars = transformers_logging.is_progress_bar_enabled()
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
            if bars:
                library.enable_progress_bar()


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}
