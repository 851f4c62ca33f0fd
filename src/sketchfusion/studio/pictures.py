"""Numbers as pictures: PNGs in data URLs, and the colours that say where a point of the drawing went."""

from __future__ import annotations

import base64
import colorsys
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

STEPS = 360  # of the colour circle

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def png_url(pixels: Bytes) -> str:
    """Give grey (H, W), RGB or RGBA (H, W, 3 or 4) pixels as a PNG in a data URL."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=4)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def place_colours(places: Floats) -> Bytes:
    """Colour places (..., 2) in a square from (0, 0) to (1, 1): the hue is the direction from its middle.

    The further out the more colour there is; the middle is grey.
    """
    x, y = np.moveaxis(np.clip(places, 0, 1) * 2 - 1, -1, 0)
    hue = ((np.arctan2(y, x) / (2 * np.pi)) % 1 * (STEPS - 1)).round().astype(int)
    share = np.minimum(np.hypot(x, y) * 1.1, 1)[..., None]
    colours: Bytes = np.rint(share * _CIRCLE[hue] + (1 - share) * 128).astype(np.uint8)
    return colours


_CIRCLE = np.array([colorsys.hls_to_rgb(step / STEPS, 0.52, 0.9) for step in range(STEPS)]) * 255


def with_opacity(colours: Bytes, opacity: Floats) -> Bytes:
    """Join RGB (H, W, 3) and opacity (H, W) in [0, 1] to RGBA."""
    alpha = np.rint(np.clip(opacity, 0, 1) * 255).astype(np.uint8)
    return np.concatenate([colours, alpha[..., None]], axis=-1)


def enlarged(pixels: Bytes, width: int, height: int) -> Bytes:
    """Interpolate pixels to a size; colours under no opacity do not bleed."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8)
