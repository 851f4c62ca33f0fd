"""Household things: teapot, cup, candle, clock, wine bottle, hourglass, light bulb."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, category
from ..shapes import arc, box, ellipse, limb, path, shift, smooth, turn


@category("teapot", scene="table", spin=6)
def teapot(f: Figure) -> None:
    glaze = f.paint("plain", "white", "blue", "red", "teal", "yellow", "green", "pink", roundness=1.0)
    wide, high = f.trait(0.52, 0.6), f.trait(0.42, 0.52)
    grip = [(-wide * 0.72, -0.2), (-wide - 0.3, -0.34), (-wide - 0.4, 0.02), (-wide - 0.1, 0.3),
        (-wide * 0.8, 0.26)]
    f.add("handle", limb(grip, [0.055] * 5), glaze.shaded(0.88), detail=0)
    f.at("handle", -wide - 0.35, -0.08)
    reach = f.trait(0.4, 0.52)
    spout = [(wide * 0.7, 0.22), (wide + 0.18, 0.1), (wide + reach - 0.14, -0.24), (wide + reach, -0.38)]
    f.add("spout", limb(spout, [0.17, 0.12, 0.075, 0.075]), glaze.shaded(0.94), group="pot")
    f.at("spout tip", *spout[-1])
    f.add("foot", box(-0.3, high + 0.02, 0.3, high + 0.14), glaze.shaded(0.8), detail=1)
    band = smooth([(-wide * 0.95, 0.16), (0, 0.26), (wide * 0.95, 0.16)], closed=False)
    f.add("body", ellipse(0, 0.08, wide, high), glaze, group="pot", lines=(band,) if f.chance(0.4) else ())
    f.at("body", 0, 0.1)
    f.add("lid", path(*arc(0, -high + 0.16, wide * 0.6, 0.2, 180, 360, 14).tolist(),
        (wide * 0.6, -high + 0.2), (-wide * 0.6, -high + 0.2)), glaze.shaded(1.08), detail=0)
    f.add("knob", ellipse(0, -high - 0.09, 0.08), glaze.shaded(0.8), detail=0)
    f.at("knob", 0, -high - 0.09)


@category("cup", scene="table", spin=6)
def cup(f: Figure) -> None:
    glaze = f.paint("plain", "white", "blue", "red", "teal", "yellow", "green", "orange", roundness=0.8)
    wide, taper, high = f.trait(0.46, 0.58), f.trait(0.7, 1.0), f.trait(0.5, 0.68)
    steam = f.chance(0.6)
    if steam:
        for x in (-0.18, 0.16):
            w = f.pose(-0.06, 0.06)
            f.thin("steam", [(x, -0.62), (x + 0.09 + w, -0.76), (x - 0.05, -0.92), (x + 0.06, -1.08)], 0.022,
                f.paint("plain", "silver", "white"), detail=1)
    y = -0.05
    grip = [(wide * 0.9, y - 0.28), (wide + 0.3, y - 0.26), (wide + 0.34, y + 0.1), (wide * 0.85, y + 0.3)]
    f.add("handle", limb(grip, [0.065] * 4), glaze.shaded(0.88), detail=0)
    f.at("handle", wide + 0.33, y - 0.06)
    bottom = arc(0, high, wide * taper, 0.1, 0, 180, 12).tolist()
    band = [smooth([(-wide * 0.96, d), (0, d + 0.1), (wide * 0.96, d)], closed=False) for d in (0.0, 0.14)]
    f.add("body", path((-wide, -0.45), (wide, -0.45), *bottom), glaze, group="cup",
        lines=band if f.chance(0.4) else ())
    f.at("foot left", -wide * taper + 0.05, high)
    f.at("foot right", wide * taper - 0.05, high)
    f.add("rim", ellipse(0, -0.45, wide, 0.12), glaze.shaded(1.08), detail=0)
    f.add("drink", ellipse(0, -0.43, wide * 0.86, 0.085), f.paint("plain", "dark wood", "brown"), detail=1)
    f.at("rim left", -wide + 0.04, -0.45)


@category("candle", scene="table", spin=4)
def candle(f: Figure) -> None:
    wax, holder = f.paint("plain", "white", "cream", "red", "blue", "pink", "green"), f.paint("metal",
        "gold", "silver", "brown")
    thick, top, sway = f.trait(0.13, 0.2), f.trait(-0.5, -0.3), f.pose(-0.05, 0.05)
    f.thin("wick", [(0, top + 0.02), (0.01, top - 0.14)], 0.018, f.paint("plain", "black"), detail=1)
    tall = f.pose(0.34, 0.46)
    f.add("flame", smooth([(sway, top - 0.1 - tall), (0.1 + sway * 0.5, top - 0.3), (0.12, top - 0.15),
        (0, top - 0.06), (-0.12, top - 0.15), (-0.1 + sway * 0.5,
        top - 0.3)]), f.paint("plain", "orange", "yellow", roundness=0.1), detail=0)
    f.at("flame tip", sway, top - 0.06 - tall)
    f.add("flame core", smooth([(sway * 0.5, top - 0.28), (0.05, top - 0.16), (0, top - 0.08),
        (-0.05, top - 0.16)]), f.paint("plain", "white", "yellow", roundness=0.1), detail=2)
    drip = f.trait(0.15, 0.4)
    f.add("stick", box(-thick, top, thick, 0.74, 0.03), wax, detail=0)
    f.at("stick top left", -thick + 0.03, top + 0.04)
    f.at("stick top right", thick - 0.03, top + 0.04)
    f.add("drip", limb([(-thick * 0.55, top + 0.03), (-thick * 0.6, top + drip)], [0.045, 0.05]),
        wax.shaded(1.08), detail=1)
    f.add("dish", smooth([(-0.5, 0.66), (-0.3, 0.74), (0.3, 0.74), (0.5, 0.66), (0.4, 0.86), (0, 0.9),
        (-0.4, 0.86)]), holder, detail=0)
    f.at("dish", 0, 0.82)
    if f.chance(0.6):
        loop = arc(0.56, 0.74, 0.15, 0.14, 0, 360, 21)
        f.add("ring", path(*loop.tolist(), *arc(0.56, 0.74, 0.09, 0.08, 360, 0, 21).tolist()),
            holder.shaded(0.9), detail=1, strokes=(loop,), solid=False)


@category("clock", scene="wall", spin=5)
def clock(f: Figure) -> None:
    case, face = f.paint("metal", "red", "gold", "blue", "black", "teal", "silver"), f.paint("plain",
        "white", "cream", roundness=0.2)
    alarm = f.chance(0.5)
    if alarm:
        for side in (-1, 1):
            f.add("leg", limb([(side * 0.4, 0.5), (side * 0.56, 0.86)], [0.06, 0.05]), case.shaded(0.8),
                detail=0)
            bell = turn(arc(0, 0, 0.3, 0.28, 180, 360, 12), side * 36)
            f.add("bell", shift(bell, side * 0.44, -0.58), case.shaded(0.92), detail=0)
        f.add("hammer", box(-0.05, -0.92, 0.05, -0.66), case.shaded(0.7), detail=1)
    f.add("case", ellipse(0, 0, 0.78), case)
    f.add("face", ellipse(0, 0, 0.66), face, detail=0)
    f.at("left", -0.72, 0)
    f.at("right", 0.72, 0)
    f.at("twelve", 0, -0.56)
    ink = f.paint("plain", "black", "navy")
    for k in range(12):
        unit = arc(0, 0, 1, 1, 30 * k, 30 * k + 1, 2)[0]
        x, y = float(unit[0]), float(unit[1])
        f.thin("mark", [(x * 0.5, y * 0.5), (x * 0.59, y * 0.59)], 0.024 if k % 3 == 0 else 0.015, ink,
            detail=1 if k % 3 == 0 else 2)
    hour, minute = f.trait(0, 360), f.trait(0, 360)
    for angle, long, width, name in ((hour, 0.32, 0.034, "hour hand"), (minute, 0.48, 0.024, "minute hand")):
        tip = turn(path((0.0, -long)), angle)[0]
        f.thin(name, [(0, 0), (float(tip[0]), float(tip[1]))], width, ink, detail=0)
        f.at(name, tip[0], tip[1])
    f.dot("pin", 0, 0, 0.045, "red", detail=2)


@category("wine_bottle", scene="table", spin=10)
def wine_bottle(f: Figure) -> None:
    glass, label = f.paint("plain", "dark green", "green", "maroon", "night", "brown"), f.paint("plain",
        "cream", "white", "yellow", roundness=0.5)
    wide, neck, slope = f.trait(0.25, 0.32), f.trait(0.085, 0.105), f.trait(0.14, 0.34)
    outline = [(neck, -1.0), (neck, -0.46), (wide, -0.46 + slope), (wide, 0.92), (wide - 0.06, 1.0)]
    shoulder = smooth([(neck, -0.6), (neck, -0.46), (neck + (wide - neck) * 0.6, -0.42 + slope * 0.55),
        (wide, -0.36 + slope * 1.2), (wide, 0.2)], closed=False).tolist()
    right = [outline[0], *shoulder, outline[3], outline[4]]
    f.add("bottle", path(*right, *[(-x, y) for x, y in right[::-1]]), glass)
    f.at("shoulder left", -wide + 0.05, -0.2 + slope)
    f.at("foot left", -wide + 0.06, 0.95)
    f.at("foot right", wide - 0.06, 0.95)
    f.add("capsule", box(-neck - 0.012, -1.0, neck + 0.012, -0.74), f.paint("metal", "red", "gold", "black"),
        detail=1)
    f.add("lip", box(-neck - 0.035, -1.06, neck + 0.035, -0.98, 0.02), glass.shaded(0.8), detail=1)
    f.at("mouth", 0, -1.02)
    top = f.trait(0.06, 0.2)
    words = [path((-wide * 0.6, top + 0.14 + d), (wide * 0.6, top + 0.14 + d)) for d in (0.0, 0.12)]
    f.add("label", box(-wide, top, wide, top + 0.5), label, detail=0, lines=words)
    f.at("label", 0, top + 0.25)


@category("hourglass", scene="table", spin=8)
def hourglass(f: Figure) -> None:
    wood, glass, sand = f.paint("wood", "wood", "dark wood", "gold"), f.paint("plain", "glass", "white",
        "silver"), f.paint("grain", "gold", "tan", "orange")
    wide, top = f.trait(0.42, 0.5), f.pose(0.2, 0.75)
    for x in (-0.58, 0.58):
        f.add("post", box(x - 0.045, -0.86, x + 0.045, 0.86), wood.shaded(0.85), detail=1)
    half = smooth([(wide, -0.86), (wide * 0.96, -0.5), (wide * 0.5, -0.16), (0.05, 0.0), (wide * 0.5, 0.16),
        (wide * 0.96, 0.5), (wide, 0.86)], closed=False).tolist()
    f.add("glass", path(*half, *[(-x, y) for x, y in half[::-1]]), glass, detail=0)
    f.at("waist", 0, 0)
    level = -0.2 - 0.42 * top
    w = wide * (0.55 + 0.38 * top)
    f.add("upper sand", smooth([(-w, level), (w, level), (wide * 0.42, -0.15), (0.0, -0.02),
        (-wide * 0.42, -0.15)]), sand, detail=1)
    f.thin("stream", [(0, 0.0), (0, 0.7)], 0.016, sand, detail=2)
    f.add("lower sand", smooth([(-wide * 0.9, 0.84), (wide * 0.9, 0.84), (0.2, 0.6), (0, 0.36 + 0.2 * top),
        (-0.2, 0.6)]), sand, detail=1)
    for y, tag in ((-0.93, "top"), (0.93, "bottom")):
        f.add(f"{tag} plate", box(-0.72, y - 0.09, 0.72, y + 0.09, 0.04), wood, detail=0)
        f.at(f"{tag} left", -0.68, y)
        f.at(f"{tag} right", 0.68, y)


@category("light_bulb", scene="wall", spin=20)
def light_bulb(f: Figure) -> None:
    glass, metal = f.paint("plain", "yellow", "white", "cream", roundness=1.0), f.paint("metal", "silver",
        "grey", "gold")
    wide, neck = f.trait(0.52, 0.62), f.trait(0.2, 0.26)
    if f.chance(0.5):
        for angle in (-160, -125, -90, -55, -20):
            unit = arc(0, -0.3, 1, 1, angle, angle + 1, 2)[0] - [0, -0.3]
            x, y = float(unit[0]), float(unit[1])
            f.thin("ray", [(x * 0.76, -0.3 + y * 0.76), (x * 0.96, -0.3 + y * 0.96)], 0.026,
                f.paint("plain", "yellow", "orange"), detail=1)
    outline = [(0, -0.9), (wide * 0.72, -0.72), (wide, -0.28), (wide * 0.74, 0.12), (neck * 1.1, 0.44),
        (neck, 0.6), (-neck, 0.6), (-neck * 1.1, 0.44), (-wide * 0.74, 0.12), (-wide, -0.28),
        (-wide * 0.72, -0.72)]
    f.add("glass", smooth(outline), glass)
    f.at("top", 0, -0.86)
    f.at("left", -wide + 0.04, -0.28)
    f.at("right", wide - 0.04, -0.28)
    coil = [(-0.12, 0.56), (-0.15, -0.1), (-0.08, -0.24), (-0.03, -0.08), (0.03, -0.24), (0.08, -0.08),
        (0.15, -0.2), (0.12, 0.56)]
    f.thin("filament", coil, 0.016, f.paint("plain", "orange", "night"), detail=1)
    for i in range(3):
        y = 0.6 + 0.12 * i
        f.add("thread", limb([(-neck * 0.94, y + 0.05), (neck * 0.94, y + 0.01)], [0.065, 0.065]),
            metal.shaded(0.9 + 0.1 * (i % 2)), detail=0)
    f.add("contact", ellipse(0, 0.98, 0.11, 0.07), metal.shaded(0.6), detail=0)
    f.at("contact", 0, 0.99)
