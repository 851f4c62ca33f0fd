"""Things that stand about behind objects: each a few coloured polygons of a size s around (x, y)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .figure import COLOURS
from .shapes import Points, box, cloud, ellipse, limb, path, shift, smooth, turn

Pieces = list[tuple[Points, NDArray[np.float32]]]


def tinted(rng: np.random.Generator, names: tuple[str, ...]) -> NDArray[np.float32]:
    """One of the named colours, varied."""
    base = np.array(COLOURS[names[int(rng.random() * len(names))]], dtype=np.float32)
    return np.clip(base * (0.75 + 0.45 * float(rng.random())) + (rng.random(3) * 30 - 15), 10, 250).astype(np.float32)


def _bush(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, ("green", "dark green", "lime", "brown"))
    return [
        (cloud(x, y, s * 0.7, s * 0.5, 7), colour * 0.8),
        (cloud(x - s * 0.1, y - s * 0.1, s * 0.4, s * 0.3, 6), colour),
    ]


def _rock(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, ("stone", "grey", "brown", "tan"))
    outline = smooth(np.array([[-1, 0.4], [-0.7, -0.3], [0.0, -0.6], [0.6, -0.3], [1.0, 0.4]]) * s * 0.6 + [x, y])
    return [(outline, colour * 0.8), (outline * 0.7 + np.array([x - s * 0.08, y - s * 0.06]) * 0.3, colour * 1.05)]


def _hill(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    crest = [(-2.6, 0.9), (-1.2, 0.1), (-0.2, -0.45 * float(rng.random())), (0.8, 0.15), (2.4, 0.9)]
    ridge = smooth(np.array(crest) * s + [x, y], closed=False)
    return [(path(*ridge.tolist()), tinted(rng, ("stone", "dark green", "night", "steel", "tan")))]


def _pole(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    colour, w = tinted(rng, ("dark wood", "brown", "grey", "black")), s * 0.1
    return [(box(x - w, y - s * 3, x + w, y + s * 1.2), colour), (box(x, y - s * 3, x + w, y + s * 1.2), colour * 0.75)]


def _fence(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, ("wood", "white", "brown"))
    rails: Pieces = [(box(x - s * 2, y + d * s, x + s * 2, y + (d + 0.1) * s), colour) for d in (-0.2, 0.15)]
    return rails + [
        (box(x + k * s * 0.7 - s * 0.07, y - s * 0.4, x + k * s * 0.7 + s * 0.07, y + s * 0.5), colour * 0.9)
        for k in range(-2, 3)
    ]


def _tuft(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, ("green", "lime", "gold"))
    blades = 3 + int(rng.random() * 4)
    return [
        (
            path(
                (x + (k - 2) * s * 0.09, y + s * 0.4),
                (x + (k - 2) * s * 0.2 + s * 0.03, y - s * 0.5),
                (x + (k - 2) * s * 0.09 + s * 0.08, y + s * 0.4),
            ),
            colour * (0.8 + 0.1 * k),
        )
        for k in range(blades)
    ]


def _stem(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    lean = float(rng.random()) - 0.5
    return [
        (
            limb(
                [(x, y + s * 1.5), (x + lean * s * 0.5, y), (x + lean * s, y - s * 1.4)],
                [s * 0.06, s * 0.05, s * 0.03],
                4,
            ),
            tinted(rng, ("dark green", "brown", "lime", "dark wood")),
        )
    ]


def _disc(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, tuple(COLOURS))
    return [
        (ellipse(x, y, s * 0.4, s * (0.2 + 0.25 * float(rng.random()))), colour),
        (ellipse(x - s * 0.1, y - s * 0.08, s * 0.16, s * 0.1), colour * 1.15),
    ]


def _block(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    colour, h = tinted(rng, tuple(COLOURS)), s * (0.4 + 0.8 * float(rng.random()))
    side = path(
        (x + s * 0.4, y - h), (x + s * 0.62, y - h * 1.08), (x + s * 0.62, y + s * 0.3), (x + s * 0.4, y + s * 0.4)
    )
    top = path((x - s * 0.4, y - h), (x - s * 0.18, y - h * 1.08), (x + s * 0.62, y - h * 1.08), (x + s * 0.4, y - h))
    return [(box(x - s * 0.4, y - h, x + s * 0.4, y + s * 0.4), colour), (side, colour * 0.7), (top, colour * 1.1)]


def _house(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    front = _block(rng, x, y, s * 1.3)
    dark = tinted(rng, ("night", "glass", "yellow"))
    return front + [
        (box(x + dx * s, y + dy * s, x + (dx + 0.2) * s, y + (dy + 0.2) * s), dark)
        for dx in (-0.36, 0.1)
        for dy in (-0.4, 0.05)
    ]


def _picture(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    y, w, h = y - s * 1.2, s * (0.4 + 0.5 * float(rng.random())), s * (0.4 + 0.4 * float(rng.random()))
    inner = tinted(rng, tuple(COLOURS))
    return [
        (box(x - w, y - h, x + w, y + h), tinted(rng, ("dark wood", "gold", "white", "black"))),
        (box(x - w * 0.84, y - h * 0.84, x + w * 0.84, y + h * 0.84), inner),
        (path((x - w * 0.8, y + h * 0.8), (x - w * 0.1, y - h * 0.4), (x + w * 0.6, y + h * 0.8)), inner * 0.7),
    ]


def _pane(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    dark = tinted(rng, ("night", "glass", "navy"))
    return [
        (box(x + dx * s, y - s * 1.2 + dy * s, x + (dx + 0.4) * s, y - s * 0.7 + dy * s), dark)
        for dx in (-0.6, 0.0)
        for dy in (0.0, 0.7)
    ]


def _kerb(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    line = turn(box(-s * 4, -s * 0.06, s * 4, s * 0.06), (float(rng.random()) - 0.5) * 60)
    return [(shift(line, x, y), tinted(rng, ("white", "yellow", "black", "dark wood")))]


def _puff(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    return [(cloud(x, y * 0.6, s, s * 0.45, 8), tinted(rng, ("white", "silver", "sky")))]


def _bubble(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    return [
        (ellipse(x + k * s * 0.3, y - k * s * 0.8, s * 0.14), tinted(rng, ("sky", "white", "glass"))) for k in range(3)
    ]


def _star(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    spots = rng.random((5, 2)) * s * 4 - s * 2
    return [
        (ellipse(x + float(a), y + float(b), s * 0.04), np.array([245, 240, 210], dtype=np.float32)) for a, b in spots
    ]


def _bottle(rng: np.random.Generator, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, tuple(COLOURS))
    return [
        (box(x - s * 0.2, y - s * 0.5, x + s * 0.2, y + s * 0.5, s * 0.08), colour),
        (box(x - s * 0.1, y - s * 0.8, x + s * 0.1, y - s * 0.45), colour * 0.8),
    ]


CLUTTER: dict[str, Callable[[np.random.Generator, float, float, float], Pieces]] = {
    "bush": _bush, "rock": _rock, "hill": _hill, "pole": _pole, "fence": _fence, "tuft": _tuft, "stem": _stem,
    "disc": _disc, "block": _block, "house": _house, "picture": _picture, "pane": _pane, "kerb": _kerb, "puff": _puff,
    "bubble": _bubble, "star": _star, "bottle": _bottle,
}  # fmt: skip
