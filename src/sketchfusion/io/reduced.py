"""Pictures from bytes at the size that is needed: what came over a network, and large photos to be shown small."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from .images import MAX_PIXELS, Kind, is_svg, open_image, to_rgb
from .normalise import normalise_sketch
from .svg import rasterize_svg

ORIENTATION = 0x0112  # the EXIF tag; from 5 on width and height are exchanged
VECTOR_SIDE = 512


@dataclass(frozen=True, eq=False)
class Reduced:
    """A picture no edge of which is longer than was asked for, and the upright size of the file in pixels."""

    pixels: npt.NDArray[np.uint8]  # (H, W, 3)
    width: int
    height: int

    def tensor(self, kind: Kind) -> Tensor:
        """Give (3, H, W) float32 in [0, 1]; a sketch comes dark on white."""
        image = torch.from_numpy(np.ascontiguousarray(self.pixels.transpose(2, 0, 1))).to(torch.float32).div_(255)
        return normalise_sketch(image) if kind == "sketch" else image

    def jpeg(self, quality: int = 85) -> bytes:
        """Give the pixels alone as JPEG: nothing that the file said about place, time or camera is in it."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, format="JPEG", quality=quality)
        return buffer.getvalue()


def read_reduced(
    data: bytes, side: int, kind: Kind = "photo", name: str = "the picture", max_pixels: int = MAX_PIXELS
) -> Reduced:
    """Read the bytes of a raster picture or an SVG; a large JPEG is never decoded at its full size.

    Raises ImageError, which begins with `name`, for anything else and for more than `max_pixels`.
    """
    if is_svg(data):
        drawn = rasterize_svg(data, min(side, VECTOR_SIDE), name)
        return Reduced(drawn, drawn.shape[1], drawn.shape[0])
    with open_image(data, name, max_pixels) as image:
        width, height = _upright_size(image)
        image.draft(None, (side, side))
        picture = Image.fromarray(to_rgb(image, kind, name))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return Reduced(np.asarray(picture, dtype=np.uint8), width, height)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    try:
        turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # broken EXIF says nothing about the pixels
        turned = False
    return (image.height, image.width) if turned else image.size
