"""Birds, and the bat that flies like one."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, category
from ..shapes import arc, ellipse, limb, path, shift, smooth, turn
from .anatomy import eye, leaf


@category("duck", scene="lake")
def duck(f: Figure) -> None:
    plumage, bill = f.paint("fur", "yellow", "white", "brown", "tan"), f.paint("plain", "orange", "gold")
    head = plumage if f.chance(0.6) else f.paint("fur", "dark green", "brown")
    x, y = 0.42 + f.pose(-0.05, 0.06), -0.5 + f.pose(-0.04, 0.06)
    body = [(0.58, -0.02), (0.3, -0.12), (-0.2, -0.16), (-0.6, -0.12), (-0.92, -0.32), (-0.8, 0.12),
        (-0.4, 0.42), (0.2, 0.44), (0.56, 0.24)]
    f.add("foot", path((-0.02, 0.4), (0.06, 0.4), (0.1, 0.58), (0.24, 0.64), (-0.06, 0.64)), bill, detail=1)
    f.add("body", smooth(body), plumage, group="coat")
    f.at("breast", 0.5, 0.1)
    f.at("tail tip", -0.88, -0.28)
    f.add("neck", limb([(0.36, 0.06), (x - 0.04, -0.22), (x, y)], [0.18, 0.13, 0.14]), head, group="coat")
    f.add("head", ellipse(x, y, 0.22, 0.2), head, group="coat")
    long = f.trait(0.24, 0.34)
    beak = [(0.14, -0.05), (0.3, 0.0), (0.16 + long, 0.02), (0.18 + long, 0.09), (0.3, 0.12), (0.14, 0.1)]
    f.add("bill", shift(smooth(beak), x, y), bill, detail=0)
    f.at("bill tip", x + 0.15 + long, y + 0.05)
    wing = [(0.26, 0.02), (0.0, -0.08), (-0.4, 0.0), (-0.7, -0.06), (-0.5, 0.2), (-0.1, 0.28), (0.2, 0.2)]
    f.add("wing", shift(smooth(wing), 0, f.pose(-0.02, 0.04)), plumage.shaded(0.85), detail=1)
    f.at("wing", -0.1, 0.1)
    eye(f, x + 0.07, y - 0.05, 0.028)


@category("owl", scene="forest")
def owl(f: Figure) -> None:
    plumage, pale = f.paint("fur", "brown", "tan", "grey", "chestnut"), f.paint("fur", "cream", "white")
    wide = f.trait(0.42, 0.5)
    f.add("branch", limb([(-0.9, 0.82), (0.0, 0.78), (0.9, 0.84)], [0.05, 0.06, 0.045]),
        f.paint("wood", "dark wood", "wood"), detail=2)
    f.add("tail", path((-0.14, 0.6), (0.14, 0.6), (0.1, 1.0), (-0.1, 1.0)), plumage.shaded(0.8), detail=1)
    outline = [(-0.42, -0.72), (-0.2, -0.62), (0.2, -0.62), (0.42, -0.72), (0.44, -0.4), (wide, 0.1),
        (0.36, 0.6), (0.0, 0.78), (-0.36, 0.6), (-wide, 0.1), (-0.44, -0.4)]
    f.add("body", smooth(outline), plumage)
    f.at("left ear", -0.4, -0.68)
    f.at("right ear", 0.4, -0.68)
    chevrons = [smooth([(x - 0.06, y), (x, y + 0.06), (x + 0.06, y)], closed=False) for x,
        y in ((-0.1, 0.16), (0.1, 0.16), (0, 0.3), (-0.12, 0.44), (0.12, 0.44))]
    f.add("breast", ellipse(0, 0.3, 0.27, 0.36), pale, detail=1, lines=chevrons)
    f.at("breast", 0.0, 0.3)
    for side in (-1, 1):
        lift = f.pose(-6, 3)
        f.add("wing", turn(leaf((side * 0.36, -0.16), (side * 0.42, 0.66), 0.36), side * lift),
            plumage.shaded(0.8), detail=0)
        f.add("foot", ellipse(side * 0.14, 0.77, 0.08, 0.05), f.paint("plain", "orange", "gold"), detail=1)
    big = f.trait(0.17, 0.21)
    for side in (-1, 1):
        f.add("eye disc", ellipse(side * 0.2, -0.34, big * 1.12), pale, detail=0)
        f.add("iris", ellipse(side * 0.2, -0.34, big * 0.72), f.paint("plain", "yellow", "orange"), detail=1)
        f.dot("pupil", side * 0.2 + f.pose(-0.03, 0.03), -0.34, big * 0.4, "black", detail=1)
        f.at("left eye" if side < 0 else "right eye", side * 0.2, -0.34)
    f.add("beak", path((-0.06, -0.26), (0.06, -0.26), (0.0, -0.08)), f.paint("plain", "gold", "orange"),
        detail=0)
    f.at("beak", 0.0, -0.2)


@category("penguin", scene="ice")
def penguin(f: Figure) -> None:
    black, white = f.paint("fur", "black", "night", "navy"), f.paint("fur", "white")
    orange, wide = f.paint("plain", "orange", "gold"), f.trait(0.36, 0.44)
    for side in (-1, 1):
        f.add("foot", ellipse(side * 0.18 + f.pose(-0.03, 0.03), 0.92, 0.17, 0.07), orange, detail=0)
        f.at("left foot" if side < 0 else "right foot", side * 0.18, 0.92)
    for side in (-1, 1):
        spread = f.pose(0.12, 0.34)
        f.add("flipper", limb([(side * wide * 0.8, -0.2), (side * (wide + spread * 0.7), 0.1),
            (side * (wide + spread), 0.36)], [0.1, 0.09, 0.04]), black, detail=0)
        f.at("left flipper" if side < 0 else "right flipper", side * (wide + spread), 0.34)
    outline = [(0, -0.95), (0.24, -0.86), (0.3, -0.6), (0.32, -0.36), (wide, 0.1), (wide * 0.95, 0.6),
        (0.18, 0.9), (-0.18, 0.9), (-wide * 0.95, 0.6), (-wide, 0.1), (-0.32, -0.36), (-0.3, -0.6),
        (-0.24, -0.86)]
    f.add("body", smooth(outline), black)
    f.at("head top", 0, -0.92)
    belly = [(0.0, -0.36), (0.2, -0.32), (wide * 0.74, 0.2), (wide * 0.6, 0.66), (0, 0.84),
        (-wide * 0.6, 0.66), (-wide * 0.74, 0.2), (-0.2, -0.32)]
    f.add("belly", smooth(belly), white, detail=0)
    f.at("belly", 0, 0.25)
    look = f.pose(-0.05, 0.05)
    f.add("face", smooth([(look, -0.68), (0.13 + look, -0.78), (0.22 + look, -0.64), (0.12 + look, -0.46),
        (look, -0.42), (-0.12 + look, -0.46), (-0.22 + look, -0.64),
        (-0.13 + look, -0.78)]), white, detail=1)
    for side in (-1, 1):
        f.dot("eye", side * 0.11 + look, -0.65, 0.036, "black", detail=1)
    f.add("beak", path((-0.1 + look, -0.57), (0.1 + look, -0.57), (look, -0.42)), orange, detail=0)
    f.at("beak", look, -0.52)


@category("flamingo", scene="lake")
def flamingo(f: Figure) -> None:
    pink = f.paint("fur", "rose", "pink", "orange")
    leg = f.paint("plain", "rose", "pink").shaded(0.85)
    bend = f.pose(0.1, 0.3)
    f.thin("standing leg", [(0.02, 0.1), (0.0, 0.55), (0.04, 1.02)], 0.026, leg, detail=0)
    f.thin("lifted leg", [(-0.08, 0.1), (-0.06 + bend, 0.5), (-0.3 + bend, 0.7)], 0.024, leg, detail=0)
    f.at("knee", -0.06 + bend, 0.5)
    f.thin("foot", [(0.04, 1.02), (0.2, 1.05)], 0.026, leg, detail=1)
    f.at("foot", 0.06, 1.03)
    rise = f.trait(0.78, 0.95)
    x, y = 0.36 + f.pose(-0.05, 0.08), -rise
    neck = [(0.26, -0.02), (0.5, -0.18), (0.44, -0.4), (0.2, -0.55), (x - 0.2, y + 0.08), (x, y)]
    f.add("neck", limb(neck, [0.1, 0.07, 0.058, 0.055, 0.055, 0.06]), pink, group="coat")
    body = [(0.36, -0.1), (0.1, -0.26), (-0.25, -0.24), (-0.62, 0.02), (-0.74, 0.16), (-0.4, 0.2),
        (0.0, 0.24), (0.28, 0.12)]
    f.add("body", smooth(body), pink, group="coat")
    f.at("body", -0.1, 0.0)
    f.at("tail", -0.66, 0.13)
    f.add("wing", smooth([(0.16, -0.1), (-0.2, -0.16), (-0.6, 0.1), (-0.3, 0.14), (0.04, 0.1)]),
        pink.shaded(0.82), detail=1)
    f.add("head", ellipse(x + 0.02, y, 0.12, 0.1), pink, group="coat")
    f.at("head", x, y)
    f.add("bill", smooth([(x + 0.08, y - 0.05), (x + 0.24, y + 0.02), (x + 0.28, y + 0.18),
        (x + 0.2, y + 0.22), (x + 0.18, y + 0.1), (x + 0.08,
        y + 0.06)]), f.paint("plain", "cream", "white"), detail=0)
    f.add("bill tip", smooth([(x + 0.25, y + 0.09), (x + 0.28, y + 0.18), (x + 0.2, y + 0.22),
        (x + 0.19, y + 0.13)]), f.paint("plain", "black"), detail=1)
    f.at("bill tip", x + 0.23, y + 0.18)
    eye(f, x + 0.04, y - 0.03, 0.02)


@category("bat", scene="night", unseen=True)
def bat(f: Figure) -> None:
    fur, wing = f.paint("fur", "brown", "grey", "dark wood"), f.paint("plain", "black", "night", "maroon")
    span, lift = f.trait(0.95, 1.15), f.pose(-0.2, 0.12)
    for side in (-1, 1):
        tip = (side * span, -0.3 + lift)
        top = [(side * 0.1, -0.05), (side * 0.35, -0.42 + lift * 0.6), (side * 0.7, -0.36 + lift), tip]
        low = [(side * span * 0.84, 0.22 + lift), (side * span * 0.68, 0.06), (side * span * 0.52, 0.34),
            (side * 0.34, 0.12), (side * 0.16, 0.36)]
        edge = [tip, (side * span * 0.96, 0.0 + lift), low[0], (side * span * 0.74, 0.07),
            (side * span * 0.64, 0.1), low[2], (side * 0.4, 0.14), (side * 0.28, 0.16), low[4],
            (side * 0.05, 0.2)]
        ribs = [path((side * 0.35, -0.42 + lift * 0.6), low[0]), path((side * 0.35, -0.42 + lift * 0.6),
            low[2])]
        f.add("wing", path(*((float(a), float(b)) for a, b in smooth(top, closed=False)), *edge[1:]), wing,
            lines=ribs, detail=0)
        f.at("left wing tip" if side < 0 else "right wing tip", *tip)
    f.add("body", ellipse(0, 0.12, 0.17, 0.34), fur, group="coat")
    f.at("belly", 0, 0.22)
    big = f.trait(0.2, 0.28)
    for side in (-1, 1):
        f.add("ear", path((side * 0.03, -0.3), (side * 0.2, -0.36 - big), (side * 0.2, -0.2)), fur,
            group="coat", detail=0)
        f.at("left ear" if side < 0 else "right ear", side * 0.18, -0.3 - big)
    f.add("head", ellipse(0, -0.2, 0.2, 0.18), fur, group="coat")
    for side in (-1, 1):
        f.dot("eye", side * 0.08, -0.23, 0.035, "yellow", detail=1)
        f.add("fang", path((side * 0.02, -0.11), (side * 0.08, -0.11), (side * 0.05, -0.03)),
            f.paint("plain", "white"), detail=2)
        f.add("foot", limb([(side * 0.07, 0.42), (side * 0.08, 0.54)], [0.03, 0.02]), fur, detail=2)
    f.add("mouth", ellipse(0, -0.12, 0.01), fur, detail=3, strokes=(),
        lines=(arc(0, -0.16, 0.09, 0.06, 20, 160, 6),))
