"""Drawing pictures from texts with a Stable Diffusion folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .folders import explained

if TYPE_CHECKING:
    from PIL import Image


BATCH = 20


def draw(
    sd: Path,
    prompts: Sequence[str],
    seed: int = 0,
    steps: int = 25,
    guidance: float = 4.0,
) -> list[Image.Image]:
    """Draw one picture a prompt with diffusers' own pipeline, the folder's sampler and classifier-free guidance.

    WeightsError if `sd` is no Stable Diffusion folder.
    """
    from diffusers import StableDiffusionPipeline

    with explained(sd):
        pipeline = StableDiffusionPipeline.from_pretrained(sd, torch_dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), BATCH):
        some = list(prompts[start : start + BATCH])
        pictures += pipeline(some, num_inference_steps=steps, guidance_scale=guidance, generator=generator).images
    return pictures
