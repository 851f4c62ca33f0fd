"""What the backbones see of a picture: one letterboxed square for both, or the two crops of the released code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .featuremap import Frame
from .io.images import ImageInput, Kind, letterbox, read_image


@dataclass(frozen=True)
class View:
    """One picture as the VAE and CLIP get it, both (3, S, S) in [0, 1], and where its pixels lie in the former."""

    square: Tensor
    clip: Tensor
    frame: Frame
    kind: Kind = "photo"


def letterboxed(source: ImageInput, kind: Kind, side: int) -> View:
    """Fit the whole picture into a square that both backbones share; ImageError when it cannot be read."""
    square, frame = letterbox(read_image(source, kind), side, kind)
    return View(square, square, frame, kind)


def as_released(source: ImageInput, side: int, clip_side: int) -> View:
    """Prepare a picture as the authors' code does, sketch and photo alike.

    The VAE's square is resized by Lanczos and padded with black; CLIP's has its short side resized bicubically and
    its middle cut out, so the two do not show the same part of a picture that is not square.
    """
    image = _to_pil(read_image(source, "photo"))
    square, frame = _pad_black(image, side)
    return View(_to_tensor(square), _to_tensor(_crop_middle(image, clip_side)), frame)


def _pad_black(image: Image.Image, side: int) -> tuple[Image.Image, Frame]:
    width, height = (max(1, round(side * length / max(image.size))) for length in image.size)
    left, top = (side - width) // 2, (side - height) // 2
    square = Image.new("RGB", (side, side))
    square.paste(image.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    return square, Frame(*image.size, side, width / image.width, height / image.height, left, top)


def _crop_middle(image: Image.Image, side: int) -> Image.Image:
    """Resize the short side to `side` and cut out the middle square, as CLIP's own preprocessing does."""
    short = min(image.size)
    width, height = (int(side * length / short) for length in image.size)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return resized.crop((left, top, left + side, top + side))


def _to_pil(image: Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy())


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
