"""What an edge in each place of a photo tells of the thing that the photo shows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SIDE = 128  # of the grid of all maps; lengths are in its pixels, but for those in half sides
COARSE = 16  # side of the grid on which colours are compared with those of the picture's border
SURROUND = 7.0
MIDDLE = 0.6  # standard deviation, in half sides, of where things are in a photo
NARROWEST, WIDEST = 0.4, 0.7  # of where the thing of this photo is

Map = NDArray[np.float64]


def salience(colours: Map, strength: Map) -> Map:
    """Weigh the edges of a photo, (SIDE, SIDE), from its opponent `colours` (3, S, S) and their gradient's strength.

    An edge weighs more where the surround has few, so that texture counts little (Grigorescu et al., 2003), where the
    colour is not one of the border's, and near the middle of what has such colours. Along the border it weighs nothing.
    """
    alone = np.maximum(strength - 1.2 * blurred(strength, SURROUND), 0.05 * strength)
    alone = alone / (alone + float(np.sqrt((alone**2).mean())) + 1e-9)
    thing = _foreign(colours) ** 2
    weighed: Map = alone * (0.1 + thing) * _near(thing)
    return weighed


def opponent(photo: NDArray[np.uint8]) -> Map:
    """Brightness, red against green and blue against yellow of a photo (3, S, S), (3, S, S)."""
    red, green, blue = np.sqrt(photo / 255.0)
    return np.stack([(red + green + blue) / 3, (red - green) * 0.7, ((red + green) / 2 - blue) * 0.5])


def blurred(maps: Map, sigma: float) -> Map:
    """Maps (..., S, S) on the grid, blurred."""
    kernel = _blur(maps.shape[-1], sigma)
    return kernel @ maps @ kernel.T


@lru_cache(maxsize=16)
def _blur(side: int, sigma: float, out: int = SIDE) -> Map:
    """The matrix (out, side) that resizes a line of `side` pixels to `out` and blurs it."""
    centre, reach = (np.arange(out) + 0.5) * side / out, side // 2
    cells = np.arange(-reach, side + reach) + 0.5
    line = np.exp(-((cells - centre[:, None]) ** 2) / (2 * (sigma * side / out) ** 2))
    weights = line[:, reach:-reach].copy()
    weights[:, 0] += line[:, :reach].sum(1)  # beyond its end a line goes on as it ends
    weights[:, -1] += line[:, -reach:].sum(1)
    normalised: Map = weights / weights.sum(1, keepdims=True)
    return normalised


def _foreign(colours: Map) -> Map:
    """How unlike the colours of the picture's border each place is, 0 to 1."""
    kernel = _blur(colours.shape[-1], 0.6, COARSE)
    small = kernel @ colours @ kernel.T * np.array([1.0, 2.0, 2.0])[:, None, None]
    place = 0.25 / COARSE * np.mgrid[:COARSE, :COARSE]  # colours of the border nearby count more
    of = np.concatenate([small, place])
    rim = np.ones((COARSE, COARSE), bool)
    rim[1:-1, 1:-1] = False
    apart = np.sqrt(((of[:, :, :, None] - of[:, rim][:, None, None]) ** 2).sum(0))
    nearest = np.pad(np.sort(apart, axis=-1)[..., :4].mean(-1), 1, mode="edge")
    beside = sliding_window_view(nearest, (3, 3)).max((2, 3))  # a thing's edge lies beside it
    wide = blurred(beside, 4.0)
    scaled: Map = np.minimum(1.5 * wide / (wide.max() + 1e-9), 1)
    return scaled


def _near(thing: Map) -> Map:
    """How near to the middle of the thing each place is: 1 there, and 0 along the border of the picture."""
    line = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1
    usual = np.exp(-(line**2) / (2 * MIDDLE**2))
    mass = thing * usual[:, None] * usual + 1e-9
    bells = []
    for along in (mass.sum(1), mass.sum(0)):
        middle = float((along * line).sum() / along.sum())
        spread = float(np.sqrt((along * (line - middle) ** 2).sum() / along.sum()))
        width = float(np.clip(1.6 * spread, NARROWEST, WIDEST))
        inside = np.clip((1 - np.abs(line)) * 12, 0, 1)
        bells.append(inside * np.exp(-((line - middle) ** 2) / (2 * width**2)))
    return np.outer(*bells)
