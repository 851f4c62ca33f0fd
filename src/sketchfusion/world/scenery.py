"""Surroundings of the photos: backgrounds, clutter behind the object and occluders in front of it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .difficulty import Difficulty
from .figure import COLOURS, RGB, Figure, Part
from .noise import grounds, window
from .shapes import Points, box, cloud, curve, ellipse, limb, path, shift, smooth, turn

Floats = NDArray[np.float32]
Pieces = list[tuple[Points, Floats]]  # polygons and their colours
Clutter = Callable[[Rng, float, float, float], Pieces]  # makes an object of size s around (x, y)
ANY = tuple(COLOURS)


def tinted(rng: Rng, names: tuple[str, ...]) -> Floats:
    """Choose one of the named colours and vary it."""
    base = np.array(COLOURS[names[int(rng.random() * len(names))]], dtype=np.float32)
    return np.clip(base * (0.75 + 0.45 * float(rng.random())) + (rng.random(3) * 30 - 15), 10, 250).astype(np.float32)


def _bush(rng: Rng, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, ("green", "dark green", "lime", "brown"))
    back, front = cloud(x, y, s * 0.7, s * 0.5, 7), cloud(x - s * 0.1, y - s * 0.1, s * 0.4, s * 0.3, 6)
    return [(back, colour * 0.8), (front, colour)]


def _rock(rng: Rng, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, ("stone", "grey", "brown", "tan"))
    outline = smooth(np.array([[-1, 0.4], [-0.7, -0.3], [0.0, -0.6], [0.6, -0.3], [1.0, 0.4]]) * s * 0.6 + [x, y])
    return [(outline, colour * 0.8), (outline * 0.7 + np.array([x - s * 0.08, y - s * 0.06]) * 0.3, colour * 1.05)]


def _hill(rng: Rng, x: float, y: float, s: float) -> Pieces:
    crest = [(-2.6, 0.9), (-1.2, 0.1), (-0.2, -0.45 * float(rng.random())), (0.8, 0.15), (2.4, 0.9)]
    ridge = curve(np.array(crest) * s + [x, y])
    return [(ridge, tinted(rng, ("stone", "dark green", "night", "steel", "tan")))]


def _pole(rng: Rng, x: float, y: float, s: float) -> Pieces:
    colour, w = tinted(rng, ("dark wood", "brown", "grey", "black")), s * 0.1
    return [(box(x - w, y - s * 3, x + w, y + s * 1.2), colour), (box(x, y - s * 3, x + w, y + s * 1.2), colour * 0.75)]


def _fence(rng: Rng, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, ("wood", "white", "brown"))
    rails = [box(x - s * 2, y + d * s, x + s * 2, y + (d + 0.1) * s) for d in (-0.2, 0.15)]
    posts = [x + k * s * 0.7 for k in range(-2, 3)]
    bars = [box(post - s * 0.07, y - s * 0.4, post + s * 0.07, y + s * 0.5) for post in posts]
    return [(rail, colour) for rail in rails] + [(bar, colour * 0.9) for bar in bars]


def _tuft(rng: Rng, x: float, y: float, s: float) -> Pieces:
    colour = tinted(rng, ("green", "lime", "gold"))
    pieces: Pieces = []
    for k in range(3 + int(rng.random() * 4)):
        foot, tip = x + (k - 2) * s * 0.09, x + (k - 2) * s * 0.2 + s * 0.03
        blade = path((foot, y + s * 0.4), (tip, y - s * 0.5), (foot + s * 0.08, y + s * 0.4))
        pieces.append((blade, colour * (0.8 + 0.1 * k)))
    return pieces


def _stem(rng: Rng, x: float, y: float, s: float) -> Pieces:
    lean = float(rng.random()) - 0.5
    spine = [(x, y + s * 1.5), (x + lean * s * 0.5, y), (x + lean * s, y - s * 1.4)]
    stem = limb(spine, [s * 0.06, s * 0.05, s * 0.03], 4)
    return [(stem, tinted(rng, ("dark green", "brown", "lime", "dark wood")))]


def _disc(rng: Rng, x: float, y: float, s: float) -> Pieces:
    colour, high = tinted(rng, ANY), s * (0.2 + 0.25 * float(rng.random()))
    shine = ellipse(x - s * 0.1, y - s * 0.08, s * 0.16, s * 0.1)
    return [(ellipse(x, y, s * 0.4, high), colour), (shine, colour * 1.15)]


def _block(rng: Rng, x: float, y: float, s: float) -> Pieces:
    colour, h = tinted(rng, ANY), s * (0.4 + 0.8 * float(rng.random()))
    left, right, back = x - s * 0.4, x + s * 0.4, x + s * 0.62
    side = path((right, y - h), (back, y - h * 1.08), (back, y + s * 0.3), (right, y + s * 0.4))
    top = path((left, y - h), (x - s * 0.18, y - h * 1.08), (back, y - h * 1.08), (right, y - h))
    return [(box(left, y - h, right, y + s * 0.4), colour), (side, colour * 0.7), (top, colour * 1.1)]


def _house(rng: Rng, x: float, y: float, s: float) -> Pieces:
    front, dark = _block(rng, x, y, s * 1.3), tinted(rng, ("night", "glass", "yellow"))
    corners = product((-0.36, 0.1), (-0.4, 0.05))
    return front + [(box(x + dx * s, y + dy * s, x + (dx + 0.2) * s, y + (dy + 0.2) * s), dark) for dx, dy in corners]


def _picture(rng: Rng, x: float, y: float, s: float) -> Pieces:
    y, w, h = y - s * 1.2, s * (0.4 + 0.5 * float(rng.random())), s * (0.4 + 0.4 * float(rng.random()))
    inner = tinted(rng, ANY)
    return [
        (box(x - w, y - h, x + w, y + h), tinted(rng, ("dark wood", "gold", "white", "black"))),
        (box(x - w * 0.84, y - h * 0.84, x + w * 0.84, y + h * 0.84), inner),
        (path((x - w * 0.8, y + h * 0.8), (x - w * 0.1, y - h * 0.4), (x + w * 0.6, y + h * 0.8)), inner * 0.7),
    ]


def _pane(rng: Rng, x: float, y: float, s: float) -> Pieces:
    dark, top, bottom = tinted(rng, ("night", "glass", "navy")), y - s * 1.2, y - s * 0.7
    corners = product((-0.6, 0.0), (0.0, 0.7))
    return [(box(x + dx * s, top + dy * s, x + (dx + 0.4) * s, bottom + dy * s), dark) for dx, dy in corners]


def _kerb(rng: Rng, x: float, y: float, s: float) -> Pieces:
    line = turn(box(-s * 4, -s * 0.06, s * 4, s * 0.06), (float(rng.random()) - 0.5) * 60)
    return [(shift(line, x, y), tinted(rng, ("white", "yellow", "black", "dark wood")))]


def _puff(rng: Rng, x: float, y: float, s: float) -> Pieces:
    return [(cloud(x, y * 0.6, s, s * 0.45, 8), tinted(rng, ("white", "silver", "sky")))]


def _bubble(rng: Rng, x: float, y: float, s: float) -> Pieces:
    bubbles = (ellipse(x + k * s * 0.3, y - k * s * 0.8, s * 0.14) for k in range(3))
    return [(bubble, tinted(rng, ("sky", "white", "glass"))) for bubble in bubbles]


def _star(rng: Rng, x: float, y: float, s: float) -> Pieces:
    white = np.array([245, 240, 210], dtype=np.float32)
    return [(ellipse(x + a, y + b, s * 0.04), white) for a, b in (rng.random((5, 2)) * s * 4 - s * 2).tolist()]


def _bottle(rng: Rng, x: float, y: float, s: float) -> Pieces:
    colour, neck = tinted(rng, ANY), box(x - s * 0.1, y - s * 0.8, x + s * 0.1, y - s * 0.45)
    return [(box(x - s * 0.2, y - s * 0.5, x + s * 0.2, y + s * 0.5, s * 0.08), colour), (neck, colour * 0.8)]


@dataclass(frozen=True)
class Setting:
    """Colours and textures above and below a horizon (a share of the side), and the kinds of clutter there."""

    above: tuple[str, ...]
    below: tuple[str, ...]
    texture: tuple[str, str]
    horizon: tuple[float, float]
    clutter: tuple[Clutter, ...]
    grounded: bool = True


SETTINGS: dict[str, Setting] = {
    "field": Setting(("sky", "white", "blue"), ("green", "lime", "gold"), ("clouds", "grass"), (0.25, 0.6),
        (_bush, _fence, _rock, _hill, _tuft)),
    "meadow": Setting(("green", "lime", "sky"), ("green", "dark green"), ("leaves", "grass"), (0.1, 0.5),
        (_bush, _tuft, _disc, _stem)),
    "forest": Setting(("dark green", "green"), ("brown", "dark green"), ("leaves", "leaves"), (0.4, 0.75),
        (_pole, _bush, _rock, _stem)),
    "desert": Setting(("sky", "cream"), ("tan", "gold"), ("clouds", "sand"), (0.35, 0.65), (_rock, _hill, _tuft)),
    "lake": Setting(("sky", "green"), ("teal", "blue"), ("clouds", "water"), (0.2, 0.5), (_bush, _rock, _stem, _hill)),
    "sea": Setting(("sky", "white", "orange"), ("blue", "teal", "navy"), ("clouds", "water"), (0.35, 0.65),
        (_puff, _hill, _rock), False),
    "underwater": Setting(("teal", "sky"), ("blue", "navy", "tan"), ("water", "sand"), (0.7, 0.95),
        (_bubble, _stem, _rock), False),
    "sky": Setting(("sky", "blue", "white"), ("sky", "white"), ("clouds", "clouds"), (0.8, 1.0),
        (_puff, _puff, _hill), False),
    "night": Setting(("night", "navy", "purple"), ("night", "black"), ("clouds", "clouds"), (0.7, 1.0),
        (_disc, _hill, _star), False),
    "ice": Setting(("sky", "white"), ("white", "silver", "sky"), ("clouds", "clouds"), (0.3, 0.6), (_rock, _hill)),
    "ground": Setting(("tan", "brown", "green"), ("brown", "stone", "dark green"), ("stones", "leaves"), (0.0, 0.2),
        (_rock, _stem, _disc, _tuft), False),
    "beach": Setting(("sky", "blue"), ("tan", "cream"), ("water", "sand"), (0.15, 0.45), (_rock, _disc, _tuft)),
    "street": Setting(("stone", "sky", "brick"), ("grey", "night"), ("brick", "stones"), (0.4, 0.68),
        (_house, _pole, _pane, _kerb)),
    "city": Setting(("sky", "orange", "silver"), ("grey", "night"), ("clouds", "stones"), (0.75, 0.95),
        (_house, _house, _puff)),
    "rain": Setting(("grey", "steel", "night"), ("grey", "night"), ("clouds", "water"), (0.5, 0.8),
        (_house, _pole, _disc)),
    "room": Setting(("cream", "sky", "pink", "lime", "white"), ("wood", "dark wood", "stone"), ("plaster", "planks"),
        (0.5, 0.78), (_picture, _block, _pole, _disc)),
    "table": Setting(("cream", "teal", "maroon", "stone", "navy"), ("wood", "white", "dark wood"),
        ("plaster", "planks"), (0.3, 0.65), (_disc, _block, _picture, _bottle)),
    "floor": Setting(("white", "stone", "wood"), ("wood", "grey", "tan"), ("plaster", "tiles"), (0.05, 0.4),
        (_block, _disc, _kerb)),
    "wall": Setting(("cream", "brick", "sky", "stone", "night"), ("wood", "grey"), ("plaster", "planks"),
        (0.85, 1.0), (_picture, _kerb, _disc), False),
}  # fmt: skip

WALLS = ("plaster", "brick", "tiles", "grid", "planks")


def choose_setting(rng: Rng, name: str, hard: Difficulty) -> Setting:
    """Choose the category's usual setting, or sometimes any other."""
    if float(rng.random()) < hard.foreign_scene:
        return SETTINGS[list(SETTINGS)[int(rng.random() * len(SETTINGS))]]
    return SETTINGS[name]


def backdrop(rng: Rng, setting: Setting, side: int, hard: Difficulty, object_rgb: RGB) -> Floats:
    """Draw a background (side, side, 3) in 0..255 with clutter, slightly out of focus."""
    top, top2, low, low2 = (tinted(rng, names) for names in (setting.above,) * 2 + (setting.below,) * 2)
    if float(rng.random()) < hard.camouflage:
        alike = np.array(object_rgb, dtype=np.float32)
        top, low2 = top * 0.4 + alike * 0.6, low2 * 0.4 + alike * 0.6
    horizon = (setting.horizon[0] + (setting.horizon[1] - setting.horizon[0]) * float(rng.random())) * side
    upper, lower = setting.texture
    if upper == "plaster":
        upper = WALLS[int(rng.random() * len(WALLS))]
    y = np.arange(side, dtype=np.float32)[:, None]
    up, down = np.clip(y / max(horizon, 1.0), 0, 1), np.clip((y - horizon) / max(side - horizon, 1.0), 0, 1)
    amounts = (10 + 38 * rng.random(2)).tolist()

    def fill(one: Floats, two: Floats, fade: Floats, texture: str, amount: float) -> Floats:
        filled: Floats = (one * (1 - fade) + two * fade)[:, None]
        return filled + window(grounds()[texture], rng, side)[..., None] * amount

    sky, land = fill(top, top2, up, upper, amounts[0]), fill(low, low2, down, lower, amounts[1])
    tilt = (float(rng.random()) - 0.5) * 0.16
    edge = horizon + (np.arange(side, dtype=np.float32)[None, :] - side / 2) * tilt
    picture = sky + (land - sky) * np.clip(y - edge, 0, 1)[..., None]
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(hard.clutter[0] + int(rng.random() * (hard.clutter[1] - hard.clutter[0] + 1))):
        clutter = setting.clutter[int(rng.random() * len(setting.clutter))]
        size, x = side * (0.08 + 0.3 * float(rng.random())), float(rng.random()) * side
        for outline, colour in clutter(rng, x, horizon + (float(rng.random()) - 0.4) * side * 0.5, size):
            pen.polygon(outline.ravel().tolist(), fill=tuple(int(c) for c in colour))
    radius = side / 128 * (0.3 + 1.3 * float(rng.random()) ** 2)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)


def occluders(rng: Rng, side: float, hard: Difficulty) -> list[Part]:
    """Make the parts that occlude the object, in picture coordinates; often there are none."""
    if float(rng.random()) >= hard.occlusion:
        return []
    f = Figure(rng, rng)
    kind = f.pick("grass", "grass", "pole", "leaf", "ball", "box", "twig", "twig")
    x, y = (0.12 + 0.76 * float(rng.random())) * side, (0.15 + 0.7 * float(rng.random())) * side
    if kind == "grass":
        green, blades = f.paint("grain", "green", "lime", "dark green", "gold"), 8 + int(rng.random() * 10)
        for a, b, c in rng.random((blades, 3)).tolist():
            left, right = a * side - side * 0.016, a * side + side * 0.016
            tip = ((a + (b - 0.5) * 0.16) * side, (0.98 - 0.24 * c) * side)
            f.add("grass", path((left, side * 1.05), tip, (right, side * 1.05)), green.shaded(0.8 + 0.4 * b))
    elif kind == "pole":
        w = (0.012 + 0.024 * float(rng.random())) * side
        pole = turn(box(x - w, -side * 0.2, x + w, side * 1.2), (float(rng.random()) - 0.5) * 16, (x, y))
        f.add("pole", pole, f.paint("wood", "dark wood", "grey", "white", "brown", roundness=0.6))
    elif kind == "twig":
        spine = [(x - side * 0.5, y), (x, y + side * 0.06), (x + side * 0.6, y - side * 0.12)]
        twig = limb(spine, [side * 0.022, side * 0.018, side * 0.01])
        f.add("twig", twig, f.paint("wood", "dark wood", "brown", "green"))
    else:
        s = (0.06 + 0.07 * float(rng.random())) * side
        x = x if abs(x - side / 2) > side * 0.16 else x + side * 0.3
        shapes = {"leaf": cloud(x, y, s * 1.2, s, 7), "ball": ellipse(x, y, s)}
        f.add(kind, shapes.get(kind, box(x - s, y - s * 0.7, x + s, y + s * 0.7)), f.paint("blotch", *COLOURS))
    return f.parts
