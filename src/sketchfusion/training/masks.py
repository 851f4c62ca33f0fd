"""Masks of real photos: segmentation folders as photos in the square, each beside where its thing is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from ..io.images import letterbox, read_image
from ..lab.datasets.base import clean, held_out
from ..lab.datasets.segmentation import MaskedPhoto, MaskFolder
from .annotated import BACKGROUND, OUTSIDE, THING, Masked
from .bank import Bank


def folder_masks(root: Path, side: int, kept_out: bool = False) -> Masked:
    """The pairs of a segmentation folder at `side` pixels: about four in five, or the others if `kept_out`.

    DatasetError and ImageError for a folder or a file that cannot be read.
    """
    pairs = [pair for pair in MaskFolder(root).pairs() if held_out(pair.photo.photo_id) == kept_out]
    pixels, masks = np.empty((len(pairs), 3, side, side), np.uint8), np.empty((len(pairs), side, side), np.uint8)
    for place, pair in enumerate(pairs):
        pixels[place], masks[place] = _squares(pair, side)
    names = [clean(pair.photo.label) for pair in pairs]
    shown: dict[str, list[str]] = {}
    for pair, name in zip(pairs, names, strict=True):
        shown.setdefault(pair.photo.source, []).append(name)
    every = [tuple(dict.fromkeys((name, *shown[pair.photo.source]))) for pair, name in zip(pairs, names, strict=True)]
    return Masked(Bank("photo", pixels, every), masks, names)


def _squares(pair: MaskedPhoto, side: int) -> tuple[np.ndarray, np.ndarray]:
    square, frame = letterbox(read_image(pair.photo.source), side, "photo")
    thing = torch.from_numpy(pair.read_mask())[None, None].float()
    left, top = round(frame.offset_x), round(frame.offset_y)
    width, height = (
        round(length * scale) for length, scale in ((frame.width, frame.scale_x), (frame.height, frame.scale_y))
    )
    size = (max(1, min(height, side - top)), max(1, min(width, side - left)))
    small = F.interpolate(thing, size, mode="area")[0, 0] >= 0.5
    mask = np.full((side, side), OUTSIDE, np.uint8)
    mask[top : top + size[0], left : left + size[1]] = np.where(small.numpy(), THING, BACKGROUND)
    return (square * 255).round().to(torch.uint8).numpy(), mask
