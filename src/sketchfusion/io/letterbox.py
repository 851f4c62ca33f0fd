"""Any picture into the square that the models see, with the exact way back."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from ..featuremap import Frame

Kind = Literal["sketch", "photo"]

# Thinner lines than this many pixels of the square turn to pale grey when a large drawing is reduced.
THINNEST_LINE = 1.2


def letterbox(image: Tensor, side: int, kind: Kind = "photo") -> tuple[Tensor, Frame]:
    """Fit (3, H, W) in [0, 1] into the middle of a (3, side, side) square, and say where each pixel went.

    Antialiased bicubic. Sketches are padded with white, photos with their replicated edge; a sketch's lines
    are kept from becoming thinner than about a pixel. A square of the right size is returned unchanged.
    """
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(f"letterbox needs an image of shape (3, H, W), not {tuple(image.shape)}")
    if side < 1:
        raise ValueError(f"side={side}: choose at least 1")
    file_height, file_width = image.shape[1:]
    scale = side / max(file_height, file_width)
    height, width = (max(1, round(edge * scale)) for edge in (file_height, file_width))
    left, top = (side - width) // 2, (side - height) // 2
    frame = Frame(file_width, file_height, side, width / file_width, height / file_height, left, top)
    if (height, width) != (file_height, file_width):
        if kind == "sketch" and scale < 1:
            image = _thickened(image, side)
        image = _resized(image, height, width)
    if height != side or width != side:
        edges = [left, side - width - left, top, side - height - top]
        image = F.pad(image, edges, value=1.0) if kind == "sketch" else F.pad(image, edges, mode="replicate")
    return image, frame


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    out = F.interpolate(image[None], size=(height, width), mode="bicubic", align_corners=False, antialias=True)
    return out[0].clamp_(0, 1)


def _thickened(image: Tensor, side: int) -> Tensor:
    """Widen dark lines that reduction to `side` would wash out; reduces to 4 times `side` on the way."""
    height, width = image.shape[1:]
    reduction = max(height, width) / (4 * side)
    if reduction > 1:
        image = _resized(image, max(1, round(height / reduction)), max(1, round(width / reduction)))
    ink = image.mean(dim=0) < 0.6
    edges = int((ink[1:] != ink[:-1]).sum() + (ink[:, 1:] != ink[:, :-1]).sum())
    # A line of length l and width d has l * d ink pixels and, over all directions, 2 * l * 4 / pi edges.
    line = float(ink.sum()) * 2.55 / max(edges, 1)
    missing = round(THINNEST_LINE * max(image.shape[1:]) / side - line)
    if not edges or missing < 1:
        return image
    before, after = missing // 2, missing - missing // 2
    padded = F.pad(1 - image, [before, after, before, after])
    return 1 - F.max_pool2d(F.max_pool2d(padded, (missing + 1, 1), 1), (1, missing + 1), 1)
