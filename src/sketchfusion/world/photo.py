"""Render a scene as a photo: shading, textures, background, shadow, occluders, blur and noise."""

import numpy as np
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .difficulty import Difficulty
from .figure import TEXTURES, Part
from .noise import TILE, grain, textures, window
from .scenery import Setting, backdrop, occluders

FINE = 2  # pixels drawn for each pixel of the photo, along an axis
Floats = NDArray[np.float32]
Light = NDArray[np.float64]  # direction (x, y) that it comes from, of length 1


def photograph(
    own_parts: list[Part], setting: Setting, rng: Rng, side: int, hard: Difficulty
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[Part]]:
    """Render a photo (side, side, 3), the mask (side, side) of the object's visible pixels, and the occluding parts."""
    front = occluders(rng, side, hard)
    light = rng.random(2) * np.array([2.0, 0.8]) - np.array([1.0, 1.1])
    light = light / max(1e-6, float(np.sqrt((light * light).sum())))
    largest = max(own_parts, key=lambda p: float(np.ptp(p.outline[:, 0]) * np.ptp(p.outline[:, 1])))
    picture = backdrop(rng, setting, side, hard, largest.paint.rgb)
    colour, cover, own = _shade([*own_parts, *front], len(own_parts), light, rng, side)
    picture = _shadow(picture, own, setting, light, rng, side)
    picture = picture * (1 - cover[..., None]) + colour
    return _develop(picture, light, rng, side, hard), own > 0.5, front


def _draw(parts: list[Part], side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw which part (2 i + 1, inner lines 2 i + 2) and which mark, from 1, is visible where, FINE times as large."""
    canvas, patches = (Image.new("L", (side * FINE, side * FINE), 0) for _ in range(2))
    pen, brush = ImageDraw.Draw(canvas), ImageDraw.Draw(patches)
    fine, number = max(1, round(side * FINE / 170)), 0
    for i, part in enumerate(parts):
        pen.polygon((part.outline * FINE).ravel().tolist(), fill=2 * i + 1)
        if not part.solid:
            for spine in part.strokes:
                pen.line((spine * FINE).ravel().tolist(), fill=2 * i + 1, width=fine + 1)
        for line in part.lines:
            pen.line((line * FINE).ravel().tolist(), fill=2 * i + 2, width=fine)
        for mark in part.marks:
            number += 1
            brush.polygon((mark.outline * FINE).ravel().tolist(), fill=number)
    return np.asarray(canvas, dtype=np.intp), np.asarray(patches, dtype=np.intp)


def _forms(parts: list[Part], side: int) -> Floats:
    """Give (n, 5) for shading: x, 1 / radius, y, 1 / radius of part and group, FINE times as large, and roundness."""
    group = np.unique([part.group for part in parts], return_inverse=True)[1]
    low, high = (np.array([f(part.outline, axis=0) for part in parts]) for f in (np.min, np.max))
    all_low = np.array([low[group == g].min(axis=0) for g in group], dtype=np.float32)
    all_high = np.array([high[group == g].max(axis=0) for g in group], dtype=np.float32)
    centre = (all_low + all_high) * 0.3 + (low + high) * 0.2
    radius = np.maximum((all_high - all_low) * 0.3 + (high - low) * 0.2, side * 0.012)
    (x, y), (rx, ry) = (centre * FINE).T, 1 / (radius * FINE).T
    return np.stack([x, rx, y, ry, [part.paint.roundness for part in parts]], axis=1).astype(np.float32)


def _shade(parts: list[Part], own_parts: int, light: Light, rng: Rng, side: int) -> tuple[Floats, Floats, Floats]:
    """Premultiplied colour (side, side, 3), cover (side, side) and the object's own cover (side, side)."""
    colour = np.zeros((side, side, 3), np.float32)
    cover, own = np.zeros((2, side, side), np.float32)
    ids, patches = _draw(parts, side)
    if (found := _box(ids > 0)) is None:
        return colour, cover, own
    (x0, y0), (x1, y1) = ((v // FINE * FINE for v in found[:2]), (-(-v // FINE) * FINE for v in found[2:]))
    crop, patch = ids[y0:y1, x0:x1], patches[y0:y1, x0:x1]
    solid, index = crop > 0, (crop - 1) // 2  # of the part, where there is one
    paint = np.array([part.paint.rgb for part in parts], dtype=np.float32)[index]
    paint[crop % 2 == 0] *= 0.5
    owner = np.array([-1, *(2 * i + 1 for i, part in enumerate(parts) for _ in part.marks)])
    tint = np.array([(0, 0, 0), *(mark.rgb for part in parts for mark in part.marks)], dtype=np.float32)
    lies = owner[patch] == crop
    paint[lies] = tint[patch[lies]]
    x, y = np.arange(x0, x1, dtype=np.float32)[None, :], np.arange(y0, y1, dtype=np.float32)[:, None]
    cx, rx, cy, ry, roundness = (column[index] for column in _forms(parts, side).T)
    u, v = (x - cx) * rx, (y - cy) * ry
    lit = np.float32(light[0] * 0.26) * u + np.float32(light[1] * 0.3) * v
    bright = 1.06 + roundness * (lit - 0.12 * (u * u + v * v))
    texture = np.array([TEXTURES.index(part.paint.texture) for part in parts])[index]
    dx, dy = (int(t * TILE) for t in rng.random(2))
    tile = textures()[texture, (np.arange(y0, y1)[:, None] + dy) % TILE, (np.arange(x0, x1)[None, :] + dx) % TILE]
    bright = bright + np.float32(0.1 + 0.16 * float(rng.random())) * tile
    soft = Image.fromarray(solid.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(side * FINE / 42))
    bright = bright * (0.62 + 0.38 * np.clip(np.asarray(soft, dtype=np.float32) / 200.0, 0, 1))
    paint = paint * (np.clip(bright, 0.25, 1.5) * solid)[..., None]
    shape = ((y1 - y0) // FINE, FINE, (x1 - x0) // FINE, FINE)
    inner = (slice(y0 // FINE, y1 // FINE), slice(x0 // FINE, x1 // FINE))
    colour[inner] = paint.reshape(*shape, 3).mean(axis=(1, 3))
    cover[inner] = solid.reshape(shape).mean(axis=(1, 3), dtype=np.float32)
    mine = solid & (crop <= 2 * own_parts)
    own[inner] = mine.reshape(shape).mean(axis=(1, 3), dtype=np.float32)
    return colour, cover, own


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Return the box (x0, y0, x1, y1) of the pixels that are set, without x1 and y1; None if there are none."""
    return Image.fromarray(mask.astype(np.uint8)).getbbox()


def _shadow(picture: Floats, own: Floats, setting: Setting, light: Light, rng: Rng, side: int) -> Floats:
    """Draw the object's shadow: at its foot, or on the wall behind it."""
    strength = 0.25 + 0.4 * float(rng.random())
    if (found := _box(own > 0.5)) is None:
        return picture
    canvas = Image.new("L", (side, side), 0)
    if setting.grounded:
        left, right, foot = found[0], found[2] - 1, found[3] - 1
        high, slide = (right - left) * 0.07 + 1, -float(light[0]) * (right - left) * 0.12
        ImageDraw.Draw(canvas).ellipse((left + slide, foot - high * 1.3, right + slide, foot + high * 0.9), fill=255)
    else:
        cast = Image.fromarray((own * 255).astype(np.uint8))
        reach = side * (0.02 + 0.05 * float(rng.random()))
        canvas.paste(cast, (int(-light[0] * reach), int(-light[1] * reach)))
        strength *= 0.6
    soft = np.asarray(canvas.filter(ImageFilter.BoxBlur(side / 48)), dtype=np.float32)
    return picture * (1 - np.float32(strength / 255) * soft)[..., None]


def _develop(picture: Floats, light: Light, rng: Rng, side: int, hard: Difficulty) -> NDArray[np.uint8]:
    """Apply a light gradient, colour cast, exposure, contrast, blur and sensor noise."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = (np.float32(0.14 * float(rng.random()) * v) for v in light)
    fall = 1 + x * axis[None, :] + y * axis[:, None]
    cast = (0.92 + 0.16 * rng.random(3)).astype(np.float32)
    exposure = 0.9 + 0.22 * float(rng.random())
    if float(rng.random()) < hard.dusk:
        exposure *= 0.62 + 0.3 * float(rng.random())
    pivot = np.float32(110 * exposure)
    contrast = np.float32(0.7 + 0.4 * float(rng.random()))
    gain = (fall * np.float32(exposure))[..., None] * cast
    exposed = (picture * gain - pivot) * contrast + pivot
    blur = (hard.blur[0] + (hard.blur[1] - hard.blur[0]) * float(rng.random())) * side / 128
    sigma = np.float32(hard.noise[0] + (hard.noise[1] - hard.noise[0]) * float(rng.random()) ** 2)
    image = Image.fromarray(np.clip(exposed, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(blur))
    noisy = np.asarray(image, dtype=np.float32) + sigma * window(grain(), rng, side)
    return np.clip(noisy, 0, 255).astype(np.uint8)
