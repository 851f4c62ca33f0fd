"""Real photos in which a masked thing is small and among others: cut out, and pasted onto photos of other things.

Photos of one thing that fills them teach to tell it from its background; here it has to be told from another thing
(Dwibedi et al., Cut, Paste and Learn, 2017).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sketchfusion.training.annotated import BACKGROUND, OUTSIDE, THING, Masked
from sketchfusion.training.bank import Bank

SIZES = (0.3, 0.9)  # of the thing's longer side, in sides of the photo
SOFT = 3  # pixels over which an edge fades into the photo below


def collages(things: Masked, each: int, seed: int = 0) -> Masked:
    """Paste every thing `each` times, at random sizes and places, onto photos of things of other names.

    What was neither thing nor background around the thing is neither there. None where all have one name.
    """
    rng = np.random.default_rng(seed)
    names = np.asarray(things.names)
    pixels, masks, of = list[np.ndarray](), list[np.ndarray](), list[str]()
    for place, name in enumerate(things.names):
        below = np.flatnonzero(names != name)
        if not len(below) or not (things.masks[place] == THING).any():
            continue
        for other in rng.choice(below, each):
            photo, mask = _pasted(things, place, int(other), rng)
            pixels.append(photo)
            masks.append(mask)
            of.append(name)
    shape = (0, *things.photos.pixels.shape[1:])
    photos = Bank("photo", np.stack(pixels) if pixels else np.empty(shape, np.uint8), [(name,) for name in of])
    return Masked(photos, np.stack(masks) if masks else np.empty((0, *shape[2:]), np.uint8), of)


def _pasted(things: Masked, place: int, other: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One collage: its pixels (3, S, S) and its mask (S, S)."""
    photo, mask = things.photos.pixels[place], things.masks[place]
    side = mask.shape[0]
    rows, columns = (np.flatnonzero((mask == THING).any(axis)) for axis in (1, 0))
    cut = np.s_[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = mask[cut].shape
    scale = rng.uniform(*SIZES) * side / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (int(rng.integers(side - length + 1)) for length in size)
    at = np.s_[..., top : top + size[0], left : left + size[1]]
    flip = rng.random() < 0.5
    parts = [
        torch.from_numpy(np.ascontiguousarray(part[cut])).float() for part in (photo, mask == THING, mask == OUTSIDE)
    ]
    thing, sure, unsure = (_resized(part.flip(-1) if flip else part, size) for part in parts)
    below = things.photos.pixels[other].astype(np.float32)
    opacity = F.avg_pool2d(sure[None], SOFT, 1, SOFT // 2)[0].numpy()
    below[at] = opacity * thing.numpy() + (1 - opacity) * below[at]
    found = np.full((side, side), BACKGROUND, np.uint8)
    found[at] = np.select([sure.numpy() >= 0.5, unsure.numpy() >= 0.5], [THING, OUTSIDE], BACKGROUND)
    return below.round().astype(np.uint8), found


def _resized(part: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate (..., h, w) to (..., *size)."""
    planes = part.reshape(1, -1, *part.shape[-2:])
    return F.interpolate(planes, size, mode="bilinear", antialias=True)[0].reshape(*part.shape[:-2], *size)
