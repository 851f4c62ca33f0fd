"""Saving pretrained parts and loading them to train further: hub layout, half precision on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....backbones.folders import save_model
from ....io.files import atomic_write

if TYPE_CHECKING:
    pass


SHARD = 15 * 2**20  # bytes of tensors; with its header a file stays below 16 MiB


def save_half(model: Any, folder: Path) -> None:
    """Save a diffusers or transformers model as fp16 safetensors, in files of at most 16 MiB, in place of `folder`.

    The model itself stays in fp32. Files are replaced together: single and sharded ones would be two models.
    """
    with atomic_write(folder) as draft:
        model.half()
        try:
            save_model(model, draft, max_shard_size=SHARD)
        finally:
            model.float()


def load_part(folder: Path) -> Any:
    """Load a model saved by `save_half`, in fp32; ValueError if there is none."""
    import diffusers
    import torch
    import transformers

    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} holds no model to start from")
    config = json.loads((folder / "config.json").read_text())
    name = config.get("_class_name") or config["architectures"][0]
    kind = getattr(diffusers, name, None) or getattr(transformers, name)
    return kind.from_pretrained(folder, torch_dtype=torch.float32)


def save_pipeline(sd: Path) -> None:
    """Write the index that makes `sd` a Stable Diffusion repository, loadable as a pipeline."""
    index = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (sd / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
