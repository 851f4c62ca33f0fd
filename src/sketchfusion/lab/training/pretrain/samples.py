"""A sheet of pictures drawn by the diffusion model, for the model card and for eyes."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw

from ....backbones.drawing import draw

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
