"""Where objects are photographed: backdrops, clutter behind them and things in front of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .clutter import CLUTTER, tinted
from .difficulty import Difficulty
from .figure import COLOURS, RGB, Figure, Paint, Part
from .noise import grounds, window
from .shapes import box, cloud, ellipse, limb, path, turn


@dataclass(frozen=True)
class Setting:
    """Colours and textures above and below a horizon (a share of the side), and the clutter that belongs there."""

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
    """The category's usual surroundings, or now and then any others."""
    if float(rng.random()) < hard.foreign_scene:
        return SETTINGS[list(SETTINGS)[int(rng.random() * len(SETTINGS))]]
    return SETTINGS[name]


def backdrop(
    rng: np.random.Generator, setting: Setting, side: int, hard: Difficulty, object_rgb: RGB
) -> NDArray[np.float32]:
    """Background picture (side, side, 3) in 0..255, clutter included, slightly out of focus."""
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
    """Things in front of the object, as parts in picture coordinates; none, one or two."""
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
