"""Surroundings of the photos: backgrounds, clutter behind the object and occluders in front of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .difficulty import Difficulty
from .figure import COLOURS, RGB, Figure, Paint, Part
from .noise import grounds, window
from .shapes import Points, box, cloud, ellipse, limb, path, shift, smooth, turn

Pieces = list[tuple[Points, NDArray[np.float32]]]  # coloured polygons; clutter has size s around (x, y)


def tinted(rng: np.random.Generator, names: tuple[str, ...]) -> NDArray[np.float32]:
    """Choose one of the named colours and vary it."""
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


@dataclass(frozen=True)
class Setting:
    """Colours and textures above and below a horizon (a share of the side), and the kinds of clutter there."""

    above: tuple[str, ...]
    below: tuple[str, ...]
    texture: tuple[str, str]
    horizon: tuple[float, float]
    clutter: tuple[str, ...]
    grounded: bool = True


SETTINGS: dict[str, Setting] = {
    "field": Setting(("sky", "white", "blue"), ("green", "lime", "gold"), ("clouds", "grass"), (0.25, 0.6),
        ("bush", "fence", "rock", "hill", "tuft")),
    "meadow": Setting(("green", "lime", "sky"), ("green", "dark green"), ("leaves", "grass"), (0.1, 0.5),
        ("bush", "tuft", "disc", "stem")),
    "forest": Setting(("dark green", "green"), ("brown", "dark green"), ("leaves", "leaves"), (0.4, 0.75),
        ("pole", "bush", "rock", "stem")),
    "desert": Setting(("sky", "cream"), ("tan", "gold"), ("clouds", "sand"), (0.35, 0.65),
        ("rock", "hill", "tuft")),
    "lake": Setting(("sky", "green"), ("teal", "blue"), ("clouds", "water"), (0.2, 0.5),
        ("bush", "rock", "stem", "hill")),
    "sea": Setting(("sky", "white", "orange"), ("blue", "teal", "navy"), ("clouds", "water"), (0.35, 0.65),
        ("puff", "hill", "rock"), False),
    "underwater": Setting(("teal", "sky"), ("blue", "navy", "tan"), ("water", "sand"), (0.7, 0.95),
        ("bubble", "stem", "rock"), False),
    "sky": Setting(("sky", "blue", "white"), ("sky", "white"), ("clouds", "clouds"), (0.8, 1.0),
        ("puff", "puff", "hill"), False),
    "night": Setting(("night", "navy", "purple"), ("night", "black"), ("clouds", "clouds"), (0.7, 1.0),
        ("disc", "hill", "star"), False),
    "ice": Setting(("sky", "white"), ("white", "silver", "sky"), ("clouds", "clouds"), (0.3, 0.6),
        ("rock", "hill")),
    "ground": Setting(("tan", "brown", "green"), ("brown", "stone", "dark green"), ("stones", "leaves"),
        (0.0, 0.2), ("rock", "stem", "disc", "tuft"), False),
    "beach": Setting(("sky", "blue"), ("tan", "cream"), ("water", "sand"), (0.15, 0.45),
        ("rock", "disc", "tuft")),
    "street": Setting(("stone", "sky", "brick"), ("grey", "night"), ("brick", "stones"), (0.4, 0.68),
        ("house", "pole", "pane", "kerb")),
    "city": Setting(("sky", "orange", "silver"), ("grey", "night"), ("clouds", "stones"), (0.75, 0.95),
        ("house", "house", "puff")),
    "rain": Setting(("grey", "steel", "night"), ("grey", "night"), ("clouds", "water"), (0.5, 0.8),
        ("house", "pole", "disc")),
    "room": Setting(("cream", "sky", "pink", "lime", "white"), ("wood", "dark wood", "stone"),
        ("plaster", "planks"), (0.5, 0.78), ("picture", "block", "pole", "disc")),
    "table": Setting(("cream", "teal", "maroon", "stone", "navy"), ("wood", "white", "dark wood"),
        ("plaster", "planks"), (0.3, 0.65), ("disc", "block", "picture", "bottle")),
    "floor": Setting(("white", "stone", "wood"), ("wood", "grey", "tan"), ("plaster", "tiles"), (0.05, 0.4),
        ("block", "disc", "kerb")),
    "wall": Setting(("cream", "brick", "sky", "stone", "night"), ("wood", "grey"), ("plaster", "planks"),
        (0.85, 1.0), ("picture", "kerb", "disc"), False),
}  # fmt: skip

WALLS = ("plaster", "brick", "tiles", "grid", "planks")


def choose_setting(rng: np.random.Generator, name: str, hard: Difficulty) -> Setting:
    """Choose the category's usual setting, or sometimes any other."""
    if float(rng.random()) < hard.foreign_scene:
        return SETTINGS[list(SETTINGS)[int(rng.random() * len(SETTINGS))]]
    return SETTINGS[name]


def backdrop(
    rng: np.random.Generator, setting: Setting, side: int, hard: Difficulty, object_rgb: RGB
) -> NDArray[np.float32]:
    """Draw a background (side, side, 3) in 0..255 with clutter, slightly out of focus."""
    top, top2, low, low2 = (
        tinted(rng, names) for names in (setting.above, setting.above, setting.below, setting.below)
    )
    if float(rng.random()) < hard.camouflage:
        alike = np.array(object_rgb, dtype=np.float32)
        top, low2 = top * 0.4 + alike * 0.6, low2 * 0.4 + alike * 0.6
    horizon = (setting.horizon[0] + (setting.horizon[1] - setting.horizon[0]) * float(rng.random())) * side
    upper = setting.texture[0]
    if upper == "plaster":
        upper = WALLS[int(rng.random() * len(WALLS))]
    y = np.arange(side, dtype=np.float32)[:, None]
    fade_up = np.clip(y / max(horizon, 1.0), 0, 1)
    fade_low = np.clip((y - horizon) / max(side - horizon, 1.0), 0, 1)
    amount = 10 + 38 * rng.random(2)
    sky = (top * (1 - fade_up) + top2 * fade_up)[:, None] + window(grounds()[upper], rng, side)[..., None] * float(
        amount[0]
    )
    land = (low * (1 - fade_low) + low2 * fade_low)[:, None] + window(grounds()[setting.texture[1]], rng, side)[
        ..., None
    ] * float(amount[1])
    tilt = (float(rng.random()) - 0.5) * 0.16
    edge = horizon + (np.arange(side, dtype=np.float32)[None, :] - side / 2) * tilt
    below = np.clip(y - edge, 0, 1)[..., None]
    picture = sky + (land - sky) * below
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    _scatter(rng, image, setting, side, horizon, hard)
    radius = side / 128 * (0.3 + 1.3 * float(rng.random()) ** 2)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)


def _scatter(
    rng: np.random.Generator, image: Image.Image, setting: Setting, side: int, horizon: float, hard: Difficulty
) -> None:
    pen = ImageDraw.Draw(image)
    count = hard.clutter[0] + int(rng.random() * (hard.clutter[1] - hard.clutter[0] + 1))
    for _ in range(count):
        kind = setting.clutter[int(rng.random() * len(setting.clutter))]
        size = side * (0.08 + 0.3 * float(rng.random()))
        x, y = float(rng.random()) * side, horizon + (float(rng.random()) - 0.4) * side * 0.5
        for outline, colour in CLUTTER[kind](rng, x, y, size):
            pen.polygon(outline.ravel().tolist(), fill=tuple(int(c) for c in colour))


def occluders(rng: np.random.Generator, side: float, hard: Difficulty) -> list[Part]:
    """Make the parts that occlude the object, in picture coordinates; often there are none."""
    if float(rng.random()) >= hard.occlusion:
        return []
    hand = Figure(rng, rng)
    kind = hand.pick("grass", "grass", "pole", "leaf", "ball", "box", "twig", "twig")
    x, y = (0.12 + 0.76 * float(rng.random())) * side, (0.15 + 0.7 * float(rng.random())) * side
    if kind == "grass":
        green, blades = hand.paint("grain", "green", "lime", "dark green", "gold"), 8 + int(rng.random() * 10)
        roots = rng.random((blades, 3))
        for a, b, c in roots.tolist():
            foot, tip = (a * side, side * 1.05), ((a + (b - 0.5) * 0.16) * side, (0.98 - 0.24 * c) * side)
            hand.add(
                "grass",
                path((foot[0] - side * 0.016, foot[1]), tip, (foot[0] + side * 0.016, foot[1])),
                green.shaded(0.8 + 0.4 * b),
            )
    elif kind == "pole":
        w = (0.012 + 0.024 * float(rng.random())) * side
        hand.add(
            "pole",
            turn(box(x - w, -side * 0.2, x + w, side * 1.2), (float(rng.random()) - 0.5) * 16, (x, y)),
            hand.paint("wood", "dark wood", "grey", "white", "brown", roundness=0.6),
        )
    elif kind == "twig":
        spine = [(x - side * 0.5, y), (x, y + side * 0.06), (x + side * 0.6, y - side * 0.12)]
        hand.add(
            "twig",
            limb(spine, [side * 0.022, side * 0.018, side * 0.01]),
            hand.paint("wood", "dark wood", "brown", "green"),
        )
    else:
        s = (0.06 + 0.07 * float(rng.random())) * side
        paint: Paint = hand.paint("blotch", *COLOURS)
        corner = x if abs(x - side / 2) > side * 0.16 else x + side * 0.3
        shape = {
            "leaf": cloud(corner, y, s * 1.2, s, 7),
            "ball": ellipse(corner, y, s),
            "box": box(corner - s, y - s * 0.7, corner + s, y + s * 0.7),
        }[kind]
        hand.add(kind, shape, paint)
    return hand.parts
