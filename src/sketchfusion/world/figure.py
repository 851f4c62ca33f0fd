"""Figures: the parts, colours and keypoints of one object, which the recipe of its category draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator as Rng
from numpy.typing import ArrayLike

from .shapes import Points, curve, ellipse, limb

RGB = tuple[float, float, float]
Spot = tuple[float, float] | Points  # x and y of one point
Spots = Spot | Mapping[str, Spot] | None  # one keypoint, named like its part, or several by name
Landmarks = dict[str, tuple[float, float, int]]  # keypoints: x and y, and the index of the part that each lies on

COLOURS: dict[str, RGB] = {
    "white": (238, 236, 230), "black": (42, 40, 44), "grey": (132, 132, 136), "silver": (186, 190, 198),
    "brown": (124, 84, 52), "tan": (196, 158, 112), "cream": (236, 220, 186), "chestnut": (142, 74, 40),
    "red": (198, 44, 44), "orange": (232, 128, 40), "yellow": (240, 204, 64), "gold": (212, 168, 60),
    "green": (70, 142, 66), "lime": (140, 186, 72), "dark green": (42, 92, 52), "teal": (40, 140, 140),
    "blue": (56, 96, 176), "navy": (38, 50, 100), "sky": (128, 180, 226), "purple": (126, 74, 160),
    "pink": (238, 160, 176), "rose": (226, 96, 130), "skin": (232, 190, 160), "wood": (164, 112, 62),
    "dark wood": (104, 66, 38), "brick": (168, 82, 62), "stone": (160, 154, 142), "steel": (168, 176, 186),
    "glass": (158, 204, 222), "paper": (244, 240, 228), "night": (58, 64, 84), "maroon": (118, 36, 44),
}  # fmt: skip

TEXTURES = ("plain", "fur", "wood", "metal", "blotch", "brick", "grain")


@dataclass(frozen=True)
class Paint:
    """The material of a part: colour, texture and roundness of its shading (0 = flat, 1 = a ball)."""

    rgb: RGB
    texture: str = "plain"
    roundness: float = 0.7

    def shaded(self, factor: float) -> "Paint":
        """Return the material with a darker (factor < 1) or lighter colour."""
        r, g, b = (min(255.0, channel * factor) for channel in self.rgb)
        return replace(self, rgb=(r, g, b))


@dataclass(frozen=True)
class Mark:
    """A coloured patch on a part, clipped at its edge: a stripe or a spot."""

    outline: Points
    rgb: RGB
    drawn: bool = True  # whether sketches with fine detail show its outline


@dataclass(frozen=True, eq=False)
class Part:
    """A part of an object, in object coordinates.

    Parts of one `group` share a silhouette in sketches. `strokes` is what a sketch draws of the part (its outline, or
    the centre line of something thin), `lines` are lines inside it. Every hand draws parts of `detail` 0, careful ones
    up to 3. Only `solid` parts hide others.
    """

    outline: Points
    paint: Paint
    group: str
    detail: int
    strokes: tuple[Points, ...]
    lines: tuple[Points, ...] = ()
    marks: tuple[Mark, ...] = ()
    solid: bool = True


class Figure:
    """Collects the parts that a recipe adds, back to front, and gives the recipe its random numbers.

    `trait`, `pick`, `count`, `chance` and `paint` draw from `identity`, seeded by the instance, so that a photo and its
    sketches share them. `pose` numbers belong to one picture, or to a photo and the sketches made of it. `slop` is the
    largest error of a hand in a trait, as a share of its range; errors come from `errors`, or from `pose` if None.
    """

    def __init__(self, identity: Rng, pose: Rng, slop: float = 0.0, errors: Rng | None = None) -> None:
        self._identity, self._pose, self._slop, self._errors = identity, pose, slop, errors
        self.parts: list[Part] = []
        self.landmarks: Landmarks = {}

    def trait(self, low: float, high: float) -> float:
        """Sample a number for this instance, such as a length or a proportion, plus the hand's error."""
        value = low + (high - low) * float(self._identity.random())
        drawn = float(self._pose.random())  # drawn even if unused, so that later pose numbers stay the same
        error = ((drawn if self._errors is None else float(self._errors.random())) - 0.5) * 2 * self._slop
        return min(max(value + error * (high - low), low), high)

    def pose(self, low: float, high: float) -> float:
        """Sample a number for this picture only, such as the swing of a leg or the tilt of a head."""
        return low + (high - low) * float(self._pose.random())

    def pick(self, *options: str) -> str:
        """Choose a variant or colour for this instance."""
        return options[int(self._identity.random() * len(options))]

    def count(self, low: int, high: int) -> int:
        """Sample a number of pieces for this instance, from low to high inclusive."""
        return low + int(self._identity.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Decide with a probability whether this instance has something."""
        return bool(self._identity.random() < probability)

    def paint(self, texture: str, *colours: str, roundness: float = 0.7) -> Paint:
        """Choose one of the named colours for this instance, and vary it a little."""
        base = COLOURS[self.pick(*colours)]
        light = 0.88 + 0.24 * float(self._identity.random())
        r, g, b = (min(250.0, c * light + 16 * (float(self._identity.random()) - 0.5)) for c in base)
        return Paint((max(r, 8.0), max(g, 8.0), max(b, 8.0)), texture, roundness)

    def add(
        self,
        name: str,
        outline: Points,
        paint: Paint,
        group: str = "",
        detail: int = 0,
        lines: Sequence[Points] = (),
        marks: Sequence[Mark] = (),
        strokes: Sequence[Points] | None = None,
        solid: bool = True,
        at: Spots = None,
    ) -> None:
        """Add a part in front of the others, with keypoints."""
        drawn = (np.concatenate([outline, outline[:1]]),) if strokes is None else tuple(strokes)
        group = group or f"{name}#{len(self.parts)}"
        self.parts.append(Part(outline, paint, group, detail, drawn, tuple(lines), tuple(marks), solid))
        if at is not None:
            self.at(at if isinstance(at, Mapping) else {name: at})

    def thin(
        self, name: str, line: ArrayLike, width: float, paint: Paint, detail: int = 1, group: str = "", at: Spots = None
    ) -> None:
        """Add a part so thin that sketches draw it as one line, such as a string or a whisker."""
        spine = np.asarray(line, dtype=np.float64)
        strokes = (curve(spine) if len(spine) > 2 else spine,)
        self.add(name, limb(spine, [width] * len(spine)), paint, group, detail, strokes=strokes, solid=False, at=at)

    def dot(self, name: str, x: float, y: float, r: float, colour: str, detail: int = 1, at: Spots = None) -> None:
        """Add a small round part, such as an eye or a knob."""
        self.add(name, ellipse(x, y, r), Paint(COLOURS[colour], "plain", 0.5), detail=detail, at=at)

    def eye(self, x: float, y: float, r: float) -> None:
        """Add a round eye with its keypoint."""
        self.dot("eye", x, y, r, "black", at=(x, y))

    def at(self, spots: Mapping[str, Spot]) -> None:
        """Add keypoints on the part added last."""
        for name, (x, y) in spots.items():
            self.landmarks[name] = (float(x), float(y), len(self.parts) - 1)


SIDES = ((-1, "left"), (1, "right"))


def sides(name: str, x: float, y: float, middle: float = 0.0) -> dict[str, Spot]:
    """Make keypoints at (middle - x, y) and (middle + x, y); in `name`, such as "{} ear", {} is left or right."""
    return {name.format(tag): (middle + side * x, y) for side, tag in SIDES}


Recipe = Callable[[Figure], None]


@dataclass(frozen=True)
class Category:
    """A category of objects; `unseen` ones are held out of training, `spin` is the largest rotation in degrees."""

    name: str
    recipe: Recipe
    unseen: bool
    scene: str  # the setting of its photos
    spin: float


CATEGORIES: dict[str, Category] = {}


def category(name: str, scene: str = "room", spin: float = 8.0, unseen: bool = False) -> Callable[[Recipe], Recipe]:
    """Decorate a recipe: register it in `CATEGORIES` under a name."""

    def enter(recipe: Recipe) -> Recipe:
        CATEGORIES[name] = Category(name, recipe, unseen, scene, spin)
        return recipe

    return enter
