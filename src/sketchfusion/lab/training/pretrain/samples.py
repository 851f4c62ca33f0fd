"""A sheet of pictures drawn by the diffusion model, for the model card and for eyes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from ....backbones.folders import loading_errors

# Drawing pictures from texts with a Stable Diffusion folder.


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

    with loading_errors(sd):
        pipeline = StableDiffusionPipeline.from_pretrained(sd, torch_dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), BATCH):
        some = list(prompts[start : start + BATCH])
        pictures += pipeline(some, num_inference_steps=steps, guidance_scale=guidance, generator=generator).images
    return pictures


PROMPTS = tuple(
    f"a photo of a {name}"
    for name in ("sunflower", "airplane", "motorbike", "goldfish", "butterfly", "pizza", "strawberry", "sailboat")
) + tuple(f"a sketch of a {name}" for name in ("cat", "car", "bicycle", "umbrella"))


def draw_samples(sd: Path, out: Path, prompts: tuple[str, ...] = PROMPTS, seed: int = 0, steps: int = 25) -> None:
    """Draw one picture a prompt and write them as one sheet."""
    pictures = draw(sd, prompts, seed, steps)
    side, caption, columns = pictures[0].width, 14, 4
    rows = math.ceil(len(prompts) / columns)
    sheet = Image.new("RGB", (columns * (side + 4), rows * (side + caption)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        x, y = (number % columns) * (side + 4), (number // columns) * (side + caption)
        sheet.paste(picture, (x, y))
        pen.text((x + 2, y + side), prompt, fill="black")
    sheet.save(out)
