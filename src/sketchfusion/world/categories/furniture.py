"""Furniture: chair, table, bed, couch, lamp."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, category
from ..shapes import box, limb, path, smooth


@category("chair", spin=5)
def chair(f: Figure) -> None:
    wood = f.paint("wood", "wood", "dark wood", "red", "white", "teal")
    cushion = f.paint("grain", "red", "blue", "cream", "green") if f.chance(0.4) else wood
    top, thick, skew = f.trait(-1.0, -0.8), f.trait(0.035, 0.055), f.pose(0.14, 0.26)
    left, right, y = -0.42, 0.36, f.trait(0.0, 0.1)
    for x in (left + skew, right + skew):
        f.add("far leg", limb([(x, y - 0.05), (x + 0.02, 0.72)], [thick, thick * 0.8]), wood.shaded(0.7),
            detail=1)
    for x, name in ((left + skew, "left post"), (right + skew, "right post")):
        f.add(name, limb([(x, y), (x + 0.03, top)], [thick, thick]), wood, group="back")
        f.at(f"{name} top", x + 0.03, top + 0.03)
    style = f.pick("slats", "panel", "bars")
    span = (left + skew, right + skew)
    if style == "panel":
        f.add("back panel", box(span[0], top + 0.06, span[1] + 0.03, y - 0.3, 0.05), cushion, group="back",
            detail=0)
    elif style == "slats":
        for t in (0.1, 0.34, 0.58):
            yy = top + (y - top) * t + 0.04
            f.add("slat", box(span[0], yy, span[1] + 0.03, yy + 0.1), wood, group="back", detail=0)
    else:
        f.add("rail", box(span[0], top + 0.02, span[1] + 0.03, top + 0.13), wood, group="back", detail=0)
        for t in (0.25, 0.5, 0.75):
            x = span[0] + (span[1] - span[0]) * t
            f.thin("bar", [(x + 0.03, top + 0.1), (x, y)], 0.022, wood, detail=1)
    f.add("seat", path((left - 0.03, y + 0.18), (left + skew - 0.03, y - 0.02),
        (right + skew + 0.04, y - 0.02), (right + 0.04, y + 0.18)), cushion, detail=0)
    f.add("seat edge", box(left - 0.03, y + 0.18, right + 0.04, y + 0.26), wood.shaded(0.85), detail=0)
    f.at("seat front left", left, y + 0.2)
    f.at("seat front right", right, y + 0.2)
    for x, name in ((left + 0.02, "left"), (right - 0.01, "right")):
        f.add(f"{name} leg", limb([(x, y + 0.26), (x, 0.96)], [thick, thick * 0.8]), wood, detail=0)
        f.at(f"{name} foot", x, 0.95)


@category("table", spin=4)
def table(f: Figure) -> None:
    wood = f.paint("wood", "wood", "dark wood", "cream", "grey", "white")
    thick, skew, high = f.trait(0.045, 0.08), f.pose(0.16, 0.34), f.trait(0.55, 0.75)
    for x, name in ((-0.86 + skew, "far left foot"), (0.72 + skew * 0.7, "far right foot")):
        f.add("far leg", limb([(x, -0.1), (x, high - 0.18)], [thick * 0.85, thick * 0.7]), wood.shaded(0.68),
            detail=0)
        f.at(name, x, high - 0.19)
    for x, name in ((-0.9, "left foot"), (0.84, "right foot")):
        f.add("leg", limb([(x, 0.0), (x, high)], [thick, thick * 0.75]), wood, detail=0)
        f.at(name, x, high - 0.01)
    if f.chance(0.4):
        f.add("drawer", box(-0.3, 0.06, 0.3, 0.24), wood.shaded(0.86), detail=1)
        f.dot("knob", 0.0, 0.15, 0.03, "gold", detail=2)
    f.add("top", path((-1.0, 0.02), (-1.0 + skew + 0.1, -0.28), (0.82 + skew * 0.7, -0.28), (0.98, 0.02)),
        wood.shaded(1.12), detail=0)
    f.add("edge", box(-1.0, 0.02, 0.98, 0.1), wood.shaded(0.86), detail=0)
    f.at("front left corner", -0.98, 0.05)
    f.at("front right corner", 0.96, 0.05)


@category("bed", spin=4)
def bed(f: Figure) -> None:
    wood, sheet = f.paint("wood", "wood", "dark wood", "white", "night"), f.paint("plain", "white", "cream")
    cover = f.paint("grain", "blue", "red", "green", "purple", "pink", "teal")
    head, foot = f.trait(-0.62, -0.42), f.trait(-0.04, 0.12)
    round_ = f.chance(0.5)
    board = smooth([(-1.02, 0.2), (-1.02, head + 0.1), (-0.92, head), (-0.84, head + 0.1),
        (-0.84, 0.2)]) if round_ else box(-1.04, head, -0.88, 0.4)
    f.add("headboard", board, wood, detail=0)
    f.at("headboard top", -0.95, head + 0.05)
    f.add("mattress", box(-0.92, 0.08, 0.96, 0.32, 0.04), sheet, detail=0)
    f.add("pillow", smooth([(-0.86, 0.08), (-0.86, -0.08), (-0.6, -0.13), (-0.36, -0.06), (-0.38, 0.08),
        (-0.6, 0.1)]), sheet.shaded(1.04), detail=0)
    f.at("pillow", -0.62, -0.02)
    rise = f.pose(-0.05, 0.02)
    blanket = [*((float(a), float(b)) for a, b in smooth([(-0.3, 0.3), (-0.26, 0.0 + rise),
        (0.2, -0.08 + rise), (0.7, -0.03), (0.96, 0.06)], closed=False)), (0.96, 0.38), (-0.34, 0.38)]
    f.add("blanket", path(*blanket), cover, detail=0, lines=(smooth([(-0.3, 0.14), (0.2, 0.06),
        (0.94, 0.16)], closed=False),))
    f.at("blanket", 0.3, 0.16)
    f.add("frame", box(-0.96, 0.36, 1.0, 0.5), wood, detail=0)
    f.add("footboard", box(0.92, foot, 1.06, 0.5, 0.03), wood.shaded(0.9), detail=0)
    f.at("footboard top", 0.99, foot + 0.04)
    for x, name in ((-0.96, "head leg"), (0.99, "foot leg")):
        f.add(name, box(x - 0.06, 0.4, x + 0.06, 0.74), wood.shaded(0.85), detail=0)
        f.at(name, x, 0.71)


@category("couch", spin=4)
def couch(f: Figure) -> None:
    cloth = f.paint("grain", "red", "blue", "grey", "green", "brown", "teal", "cream")
    seats, top = f.count(2, 3), f.trait(-0.5, -0.36)
    wide = 0.56 * seats * 0.5 + 0.2
    for x in (-wide - 0.06, wide + 0.06):
        f.add("foot", box(x - 0.06, 0.5, x + 0.06, 0.64), f.paint("wood", "dark wood"), detail=1)
    f.add("back", box(-wide - 0.1, top, wide + 0.1, 0.3, 0.12), cloth.shaded(0.88), detail=0)
    f.at("back left", -wide, top + 0.06)
    f.at("back right", wide, top + 0.06)
    f.add("base", box(-wide, 0.26, wide, 0.54), cloth.shaded(0.8), detail=0)
    pitch = 2 * wide / seats
    for i in range(seats):
        x = -wide + i * pitch
        f.add("back cushion", box(x + 0.02, top + 0.1, x + pitch - 0.02, 0.14, 0.06), cloth, detail=1)
        f.add("seat cushion", box(x + 0.01, 0.1, x + pitch - 0.01, 0.32, 0.07), cloth.shaded(1.08), detail=0)
    f.at("seat", 0.0, 0.2)
    round_ = f.trait(0.05, 0.12)
    for side in (-1, 1):
        a, b = sorted((side * (wide - 0.03), side * (wide + 0.24)))
        f.add("arm", box(a, -0.1, b, 0.54, round_), cloth, detail=0)
        f.at("left arm" if side < 0 else "right arm", side * (wide + 0.1), -0.04)


@category("lamp", spin=6)
def lamp(f: Figure) -> None:
    shade, base = f.paint("grain", "cream", "yellow", "red", "white", "teal",
        roundness=0.5), f.paint("metal", "gold", "grey", "brown", "teal")
    wide, narrow, low = f.trait(0.44, 0.56), f.trait(0.2, 0.3), f.trait(-0.24, -0.12)
    stem = f.pick("slim", "vase")
    if stem == "slim":
        f.add("stem", limb([(0, low - 0.1), (0, 0.8)], [0.035, 0.04]), base, detail=0)
    else:
        f.add("stem", smooth([(-0.06, low), (0.06, low), (0.1, 0.1), (0.27, 0.42), (0.14, 0.78),
            (-0.14, 0.78), (-0.27, 0.42), (-0.1, 0.1)]), base, detail=0)
    f.at("stem", 0, 0.35)
    f.add("base", box(-0.34, 0.76, 0.34, 0.88, 0.05), base.shaded(0.85), detail=0)
    f.at("base left", -0.31, 0.83)
    f.at("base right", 0.31, 0.83)
    f.thin("pull cord", [(0.2, low), (0.2, low + 0.22)], 0.012, base, detail=2)
    f.add("shade", path((-narrow, -0.92), (narrow, -0.92), (wide, low), (-wide, low)), shade, detail=0,
        lines=(path((-wide * 0.96, low - 0.07), (wide * 0.96, low - 0.07)),))
    f.at("shade top", 0, -0.88)
    f.at("shade left", -wide + 0.04, low - 0.02)
    f.at("shade right", wide - 0.04, low - 0.02)
