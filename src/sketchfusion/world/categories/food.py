"""Food: apple, pear, banana, strawberry, pineapple, ice cream, hamburger, carrot."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, Mark, category
from ..shapes import Points, arc, ellipse, inside, limb, path, smooth
from .anatomy import leaf


def stalk(f: Figure, x: float, y: float) -> None:
    """The stem of a fruit, often with a leaf."""
    lean, green = f.pose(-0.08, 0.12), f.paint("plain", "green", "lime", "dark green")
    f.add("stem", limb([(x, y + 0.1), (x + lean * 0.4, y - 0.06), (x + lean, y - 0.22)],
        [0.035, 0.03, 0.035]), f.paint("wood", "dark wood", "brown"), detail=0)
    f.at("stem tip", x + lean, y - 0.22)
    if f.chance(0.75):
        f.add("leaf", leaf((x + lean * 0.4, y - 0.06), (x + 0.4, y - 0.24 + f.pose(-0.08, 0.08)), 0.45),
            green, detail=0)
        f.at("leaf tip", x + 0.37, y - 0.23)


@category("apple", scene="table", spin=14)
def apple(f: Figure) -> None:
    skin, wide, dip = f.paint("grain", "red", "lime", "yellow", "maroon", roundness=1.0), f.trait(0.74,
        0.86), f.trait(0.08, 0.16)
    outline = [(0.0, -0.62 + dip), (wide * 0.42, -0.72), (wide * 0.9, -0.46), (wide, 0.0),
        (wide * 0.76, 0.5), (0.28, 0.76), (0.0, 0.7), (-0.28, 0.76), (-wide * 0.76, 0.5), (-wide, 0.0),
        (-wide * 0.9, -0.46), (-wide * 0.42, -0.72)]
    f.add("fruit", smooth(outline), skin, lines=(arc(0.0, -0.62 + dip, 0.2, 0.06, 10, 170, 8),))
    f.at("left", -wide + 0.04, 0)
    f.at("right", wide - 0.04, 0)
    f.at("bottom", 0, 0.66)
    stalk(f, 0.0, -0.62 + dip)


@category("pear", scene="table", spin=14, unseen=True)
def pear(f: Figure) -> None:
    skin, wide, neck = f.paint("grain", "lime", "yellow", "green", "gold", roundness=1.0), f.trait(0.52,
        0.62), f.trait(0.2, 0.27)
    outline = [(0, -0.82), (neck * 0.8, -0.74), (neck, -0.42), (neck * 1.5, -0.1), (wide, 0.36),
        (wide * 0.78, 0.76), (0.16, 0.92), (0, 0.88), (-0.16, 0.92), (-wide * 0.78, 0.76), (-wide, 0.36),
        (-neck * 1.5, -0.1), (-neck, -0.42), (-neck * 0.8, -0.74)]
    f.add("fruit", smooth(outline), skin)
    f.at("left", -wide + 0.04, 0.4)
    f.at("right", wide - 0.04, 0.4)
    f.at("bottom", 0, 0.84)
    stalk(f, 0.0, -0.8)


@category("banana", scene="table", spin=25)
def banana(f: Figure) -> None:
    skin, bend, thick = f.paint("plain", "yellow", "gold", "lime"), f.trait(0.36, 0.5), f.trait(0.19, 0.25)
    outer = [(-1.0, -0.42), (-0.86, -0.06), (-0.5, bend * 0.75), (0.0, bend), (0.5, bend * 0.7),
        (0.86, -0.1), (0.96, -0.36)]
    inner = [(0.88, -0.4), (0.66, -0.18), (0.36, bend * 0.7 - thick * 1.5), (0.0, bend - thick * 2),
        (-0.4, bend * 0.75 - thick * 1.7), (-0.74, -0.2), (-0.9, -0.46)]
    ridge = smooth([(-0.9, -0.3), (-0.46, bend * 0.75 - thick * 0.7), (0.0, bend - thick * 0.9),
        (0.46, bend * 0.7 - thick * 0.7), (0.88, -0.26)], closed=False)
    f.add("fruit", path(*smooth(outer, closed=False).tolist(), *smooth(inner, closed=False).tolist()), skin,
        lines=(ridge,), detail=0)
    f.at("bend", 0, bend - 0.06)
    f.add("stem", path((0.87, -0.4), (0.92, -0.66), (1.04, -0.62), (0.97, -0.33)),
        f.paint("wood", "brown", "dark green"), detail=0)
    f.at("stem", 0.95, -0.52)
    f.add("tip", ellipse(-0.96, -0.45, 0.07), f.paint("plain", "dark wood"), detail=0)
    f.at("tip", -0.96, -0.44)


@category("strawberry", scene="table", spin=20)
def strawberry(f: Figure) -> None:
    skin, wide = f.paint("grain", "red", "rose", "maroon", roundness=1.0), f.trait(0.58, 0.7)
    seed = f.paint("plain", "yellow", "cream").rgb
    spots = [(-0.3, -0.2), (0, -0.26), (0.3, -0.2), (-0.18, 0.06), (0.16, 0.06), (-0.34, 0.1), (0.36, 0.1),
        (-0.08, 0.34), (0.12, 0.36), (0.0, 0.62), (-0.22, 0.4)]
    marks = [Mark(ellipse(x, y, 0.032, 0.048), seed) for x, y in spots]
    outline = [(0, -0.56), (wide * 0.7, -0.56), (wide, -0.2), (wide * 0.66, 0.32), (0.12, 0.86),
        (-0.12, 0.86), (-wide * 0.66, 0.32), (-wide, -0.2), (-wide * 0.7, -0.56)]
    f.add("fruit", smooth(outline), skin, marks=marks)
    f.at("tip", 0, 0.83)
    f.at("left", -wide + 0.05, -0.2)
    f.at("right", wide - 0.05, -0.2)
    green = f.paint("plain", "green", "dark green", "lime")
    for i, x in enumerate((-0.5, -0.24, 0.02, 0.28, 0.5)):
        f.add("leaf", leaf((x * 0.15, -0.6), (x * 1.1, -0.36 + abs(x) * 0.1 + f.pose(-0.05, 0.05)), 0.7),
            green.shaded(0.9 + 0.1 * (i % 2)), group="crown", detail=0)
    f.add("stem", limb([(0, -0.58), (0.04, -0.74), (0.12, -0.86)], [0.04, 0.035, 0.035]), green, detail=0)
    f.at("stem", 0.1, -0.82)


@category("pineapple", scene="table", spin=14)
def pineapple(f: Figure) -> None:
    skin, green = f.paint("grain", "gold", "orange", "brown", "yellow", roundness=0.9), f.paint("plain",
        "green", "dark green", "teal")
    wide, spikes, tall = f.trait(0.42, 0.52), f.count(5, 7), f.trait(0.55, 0.75)
    for k in range(spikes):
        t = k / (spikes - 1) * 2 - 1
        tip = (t * 0.5 + f.pose(-0.04, 0.04), -0.26 - tall * (1 - 0.5 * abs(t)))
        f.add("leaf", leaf((t * 0.14, -0.16), tip, 0.24, 0.3 * t), green.shaded(0.85 + 0.2 * (k % 2)),
            detail=0)
        if k in (0, spikes // 2, spikes - 1):
            f.at({0: "left leaf", spikes - 1: "right leaf"}.get(k, "top leaf"), *tip)
    weave = []
    for k in range(-4, 5):
        x = k * 0.22
        weave += [path((x - 0.55, -0.28), (x + 0.55, 0.98)), path((x + 0.55, -0.28), (x - 0.55, 0.98))]
    inside_ = ellipse(0, 0.35, wide * 0.97, 0.62)
    f.add("fruit", ellipse(0, 0.35, wide, 0.64), skin, lines=[_clip(line,
        inside_) for line in weave if len(_clip(line, inside_)) > 1])
    f.at("left", -wide + 0.04, 0.35)
    f.at("right", wide - 0.04, 0.35)
    f.at("bottom", 0, 0.94)


def _clip(line: Points, polygon: Points) -> Points:
    fine = smooth([line[0], (line[0] + line[1]) / 2, line[1]], closed=False, steps=12)
    return fine[inside(fine, polygon)]


@category("ice_cream", scene="sky", spin=16)
def ice_cream(f: Figure) -> None:
    waffle, flavours = f.paint("grain", "tan", "gold", "wood"), ("pink", "cream", "brown", "lime", "white",
        "sky")
    wide, scoops = f.trait(0.36, 0.44), f.count(1, 3)
    grid = [path((-wide * 0.6, -0.1), (0.16, 0.66)), path((-wide * 0.05, -0.1), (0.26, 0.34)),
        path((wide * 0.6, -0.1), (-0.16, 0.66)), path((wide * 0.05, -0.1), (-0.26, 0.34))]
    f.add("cone", path((-wide, -0.1), (wide, -0.1), (0.03, 1.0), (-0.03, 1.0)), waffle, detail=0, lines=grid)
    f.at("cone tip", 0, 0.96)
    f.at("cone left", -wide + 0.06, -0.06)
    f.at("cone right", wide - 0.06, -0.06)
    places = {1: [(0.0, -0.32)], 2: [(0.0, -0.3), (0.0, -0.72)], 3: [(-0.22, -0.28), (0.22, -0.28),
        (0.0, -0.66)]}[scoops]
    r = 0.46 if scoops == 1 else 0.36 if scoops == 2 else 0.31
    for x, y in places:
        f.add("scoop", smooth([(x + px * r, y + py * r) for px, py in ((0, -1), (0.72, -0.7), (1, 0),
            (0.96, 0.62), (0.6, 0.56), (0.25, 0.8), (-0.15, 0.58), (-0.5, 0.84), (-0.95, 0.6), (-1, 0),
            (-0.72, -0.7))]), f.paint("blotch", *flavours), detail=0)
    x, y = places[-1]
    f.at("top scoop", x, y)
    if f.chance(0.5):
        f.dot("cherry", x, y - r - 0.06, 0.1, "red", detail=0)


@category("hamburger", scene="table", spin=5)
def hamburger(f: Figure) -> None:
    bun, meat = f.paint("grain", "tan", "gold", "orange", roundness=0.9), f.paint("blotch", "dark wood",
        "brown")
    wide, high = f.trait(0.86, 0.98), f.trait(0.5, 0.64)
    f.add("bottom bun", smooth([(-wide * 0.94, 0.42), (wide * 0.94, 0.42), (wide * 0.9, 0.66), (0.5, 0.74),
        (-0.5, 0.74), (-wide * 0.9, 0.66)]), bun, detail=0)
    f.at("bottom bun", 0, 0.62)
    f.add("patty", smooth([(-wide, 0.2), (0, 0.14), (wide, 0.2), (wide * 1.02, 0.36), (0, 0.46),
        (-wide * 1.02, 0.36)]), meat, detail=0)
    f.at("patty left", -wide + 0.03, 0.3)
    f.at("patty right", wide - 0.03, 0.3)
    cheese = [(-wide * 0.96, 0.12), (wide * 0.96, 0.12), (wide * 0.7, 0.2), (wide * 0.45, 0.36),
        (wide * 0.2, 0.2), (-wide * 0.3, 0.2), (-wide * 0.52, 0.34), (-wide * 0.74, 0.2)]
    if f.chance(0.7):
        f.add("cheese", path(*cheese), f.paint("plain", "yellow", "orange"), detail=1)
    wave = [(-wide * 1.04 + 2.08 * wide * i / 10, 0.17 if i % 2 else 0.04) for i in range(11)]
    f.add("lettuce", smooth([*wave, (wide, 0.0), (0, -0.04), (-wide, 0.0)]),
        f.paint("grain", "lime", "green"), detail=0)
    if f.chance(0.5):
        f.add("tomato", limb([(-wide * 0.8, -0.01), (wide * 0.8, -0.01)], [0.06, 0.06]),
            f.paint("plain", "red"), detail=1)
    seeds = [Mark(ellipse(x * wide, y * high - 0.08, 0.05, 0.028, 20 * x),
        f.paint("plain", "cream").rgb) for x, y in ((-0.5, -0.4), (-0.2, -0.72), (0.1, -0.45), (0.42, -0.66),
        (0.62, -0.32), (-0.74, -0.16))]
    dome = [*arc(0, -0.05, wide, high, 180, 360, 22).tolist(), (wide * 0.9, 0.03), (-wide * 0.9, 0.03)]
    f.add("top bun", path(*dome), bun, marks=seeds, detail=0)
    f.at("top", 0, -high)


@category("carrot", scene="table", spin=40)
def carrot(f: Figure) -> None:
    skin, green = f.paint("grain", "orange", "red", "gold"), f.paint("plain", "green", "lime", "dark green")
    wide, count, bend = f.trait(0.2, 0.28), f.count(3, 5), f.pose(-0.1, 0.1)
    for k in range(count):
        t = k / (count - 1) * 2 - 1
        tip = (t * 0.36 + f.pose(-0.05, 0.05), -1.0 + 0.22 * abs(t))
        f.add("leaf", leaf((t * 0.08, -0.36), tip, 0.32, 0.2 * t), green.shaded(0.86 + 0.16 * (k % 2)),
            detail=0)
        if k in (0, count - 1):
            f.at("left leaf" if k == 0 else "right leaf", *tip)
    notches = [smooth([(x, y), (x + s * 0.1, y + 0.02)], closed=False) for x, y,
        s in ((-wide * 0.8, -0.1, 1), (wide * 0.7, 0.08, -1), (-wide * 0.55, 0.3, 1), (wide * 0.4, 0.5, -1))]
    outline = [(0, -0.46), (wide * 0.8, -0.42), (wide, -0.2), (wide * 0.66 + bend * 0.5, 0.4),
        (0.03 + bend, 1.0), (-0.03 + bend, 1.0), (-wide * 0.66 + bend * 0.5, 0.4), (-wide, -0.2),
        (-wide * 0.8, -0.42)]
    f.add("root", smooth(outline), skin, lines=notches)
    f.at("tip", bend, 0.96)
    f.at("shoulder left", -wide + 0.04, -0.24)
    f.at("shoulder right", wide - 0.04, -0.24)
