"""Noise textures of Sketch World: tiles made once, of which random windows are cut."""

from functools import lru_cache

import numpy as np
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from PIL import Image

from .figure import TEXTURES

TILE = 256
Tile = NDArray[np.float32]


def _octaves(rng: Rng, scales: tuple[tuple[int, int], ...], decay: float = 0.6) -> Tile:
    """Make value noise in about [-1, 1] with a period of TILE pixels, one octave for each (columns, rows) grid."""
    total, gain = np.zeros((TILE, TILE), dtype=np.float32), 1.0
    for columns, rows in scales:
        grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
        wrapped = np.pad(grid, 2, mode="wrap")
        box = (2.0, 2.0, 2.0 + columns, 2.0 + rows)
        image = Image.fromarray(wrapped).resize((TILE, TILE), Image.Resampling.BICUBIC, box=box)
        total += gain * np.asarray(image, dtype=np.float32)
        gain *= decay
    return total / np.float32(max(1e-6, float(np.abs(total).max())))


def _bricks() -> Tile:
    y, x = np.mgrid[0:TILE, 0:TILE]
    row = y // 16
    mortar = (y % 16 < 2) | ((x + (row % 2) * 16) % 32 < 2)
    return np.where(mortar, 0.9, -0.15).astype(np.float32)


@lru_cache(maxsize=1)
def textures() -> NDArray[np.float32]:
    """Make the textures of objects (len(TEXTURES), TILE, TILE), in the order of TEXTURES."""
    rng = Rng(np.random.PCG64(20240229))
    made = {
        "plain": _octaves(rng, ((4, 4), (8, 8))) * 0.35,
        "fur": _octaves(rng, ((16, 8), (64, 24), (128, 48))) * 0.9,
        "wood": _octaves(rng, ((2, 24), (8, 64), (16, 128))) * 0.9,
        "metal": _octaves(rng, ((1, 96), (3, 6), (6, 12))) * 0.7,
        "blotch": _octaves(rng, ((8, 8), (24, 24), (64, 64))),
        "brick": _bricks() + _octaves(rng, ((32, 32), (64, 64))) * 0.3,
        "grain": _octaves(rng, ((48, 48), (128, 128)), 0.9) * 0.8,
    }
    return np.stack([made[name] for name in TEXTURES])


@lru_cache(maxsize=1)
def grounds() -> dict[str, Tile]:
    """Make the textures of backgrounds, each (2 TILE, 2 TILE), so that a window of TILE fits anywhere."""
    rng = Rng(np.random.PCG64(19991231))
    made = {
        "clouds": _octaves(rng, ((3, 5), (6, 10), (12, 20), (32, 40))),
        "grass": _octaves(rng, ((8, 8), (96, 32), (200, 64)), 0.9),
        "leaves": _octaves(rng, ((6, 6), (20, 20), (50, 50), (120, 120)), 0.8),
        "sand": _octaves(rng, ((4, 10), (100, 100)), 0.5),
        "water": _octaves(rng, ((3, 24), (8, 56), (20, 110)), 0.7),
        "plaster": _octaves(rng, ((3, 3), (12, 12), (90, 90)), 0.5),
        "planks": _planks(rng),
        "brick": _bricks(),
        "tiles": _tiles(),
        "stones": _octaves(rng, ((14, 14), (30, 30), (100, 100)), 0.8),
        "grid": _octaves(rng, ((2, 2),)) * 0.2 + _tiles() * 0.5,
    }
    return {name: np.tile(tile, (2, 2)).astype(np.float32) for name, tile in made.items()}


def _planks(rng: Rng) -> Tile:
    y = np.arange(TILE)[:, None]
    shade = np.repeat(rng.uniform(-0.4, 0.4, 8), TILE // 8)[:, None]
    gaps = np.where(y % (TILE // 8) < 2, -0.9, 0.0)
    return (_octaves(rng, ((3, 40), (8, 100))) * 0.35 + shade + gaps).astype(np.float32)


def _tiles() -> Tile:
    y, x = np.mgrid[0:TILE, 0:TILE]
    return np.where((y % 32 < 2) | (x % 32 < 2), -0.8, 0.1).astype(np.float32)


@lru_cache(maxsize=1)
def grain() -> NDArray[np.float32]:
    """Make standard normal sensor noise (2 TILE, 2 TILE, 3)."""
    rng = Rng(np.random.PCG64(314159))
    return rng.standard_normal((2 * TILE, 2 * TILE, 3)).astype(np.float32)


def window(tile: NDArray[np.float32], rng: Rng, side: int) -> NDArray[np.float32]:
    """Cut a side x side window at a random place; beyond TILE pixels the texture repeats."""
    x, y = (int(v * TILE) for v in rng.random(2))
    if side <= TILE:
        return tile[y : y + side, x : x + side]
    times = -(-side // TILE) + 1
    repeats = (times, times) + (1,) * (tile.ndim - 2)
    return np.tile(tile[:TILE, :TILE], repeats)[y : y + side, x : x + side]
