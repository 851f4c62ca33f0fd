"""Visualise results: matches as numbered points joined by lines, a mask drawn over its photo."""

import colorsys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..io.images import to_uint8
from .correspondence import PointMatch

HEIGHT, GAP, MARGIN = 440, 72, 20
FINE = 2  # supersampling: drawn this many times larger, then reduced, for smooth lines
RADIUS = 9
PAPER, BORDER, CONTOUR = "#ffffff", "#d0d7de", (255, 92, 0)
DIM = 0.35  # share of the contrast kept outside a mask


def match_picture(sketch: Tensor, photo: Tensor, matches: Sequence[PointMatch]) -> Image.Image:
    """Draw pictures (3, H, W) side by side and join matches by lines; one that is not mutual is thin and hollow."""
    left, right = _fitted(sketch), _fitted(photo)
    height = max(left.height, right.height)
    size = (left.width + right.width + FINE * (GAP + 2 * MARGIN), height + 2 * FINE * MARGIN)
    sheet = Image.new("RGB", size, PAPER)
    across = (FINE * MARGIN, FINE * (MARGIN + GAP) + left.width)
    corners = [(x, FINE * MARGIN + (height - one.height) // 2) for x, one in zip(across, (left, right), strict=True)]
    draw = ImageDraw.Draw(sheet)
    for (x, y), picture in zip(corners, (left, right), strict=True):
        sheet.paste(picture, (x, y))
        draw.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline=BORDER, width=FINE)
    scales = np.array([[left.height / sketch.shape[1]], [right.height / photo.shape[1]]])
    ends = [(np.array([one.sketch, one.photo]) * scales + corners).tolist() for one in matches]
    colours = _colours(len(matches))
    for one, pair, colour in zip(matches, ends, colours, strict=True):
        draw.line([*pair[0], *pair[1]], fill=PAPER, width=FINE * (4 if one.mutual else 3))
        draw.line([*pair[0], *pair[1]], fill=colour, width=FINE * 2 if one.mutual else FINE)
    font = ImageFont.load_default(size=FINE * 11)
    for number, (one, pair, colour) in enumerate(zip(matches, ends, colours, strict=True), start=1):
        for x, y in pair:
            draw.circle((x, y), FINE * (RADIUS + 1), fill=PAPER)
            draw.circle((x, y), FINE * RADIUS, fill=colour if one.mutual else PAPER, outline=colour, width=FINE)
            draw.text((x, y), str(number), fill=PAPER if one.mutual else colour, font=font, anchor="mm")
    return sheet.resize((size[0] // FINE, size[1] // FINE), Image.Resampling.LANCZOS)


def mask_picture(photo: Tensor, mask: npt.NDArray[np.bool_]) -> Image.Image:
    """Draw a photo (3, H, W) in [0, 1] in low-contrast grey outside a mask (H, W), with the mask's outline."""
    pixels = to_uint8(photo).astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True) * DIM + 40
    picture = Image.fromarray(np.where(mask[:, :, None], pixels, grey).astype(np.uint8))
    ring = dilated(mask, max(1, round(max(mask.shape) / 300))) & ~mask
    picture.paste(CONTOUR, mask=Image.fromarray(ring.astype(np.uint8) * 255))
    return picture


def dilated(mask: npt.NDArray[np.bool_], radius: int) -> npt.NDArray[np.bool_]:
    """Widen a mask (H, W) by a square of 2 * radius + 1 pixels; the time hardly depends on the radius."""
    for _ in range(2):
        mask, reach = mask.T, 0
        while reach < radius:  # each step doubles the reach; a larger one would leave gaps by the border
            step = min(reach + 1, radius - reach)
            wider = mask.copy()
            wider[step:] |= mask[:-step]
            wider[:-step] |= mask[step:]
            mask, reach = wider, reach + step
    return mask


def mask_image(mask: npt.NDArray[np.bool_]) -> Image.Image:
    """Turn a mask (H, W) into a picture: white inside, black outside."""
    return Image.fromarray(mask.astype(np.uint8) * 255)


def _fitted(image: Tensor) -> Image.Image:
    """Scale a picture to fit a box of height `HEIGHT` and twice that width, both times `FINE`, for supersampling."""
    picture = Image.fromarray(to_uint8(image))
    scale = FINE * HEIGHT / max(picture.height, picture.width / 2)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _colours(count: int) -> list[tuple[int, int, int]]:
    """Choose colours evenly around the hue circle, dark enough for white digits to be legible on them."""
    shades = (colorsys.hsv_to_rgb(n / max(count, 1), 0.85, 0.72 + 0.14 * (n % 2)) for n in range(count))
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in shades]
