"""What flies or sails: airplane, helicopter, hot-air balloon, rocket, sailboat."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, Mark, category
from ..shapes import Points, arc, box, ellipse, limb, path, smooth


@category("airplane", scene="sky", spin=18)
def airplane(f: Figure) -> None:
    body, trim = f.paint("plain", "white", "silver", "sky", "yellow"), f.paint("plain", "red", "blue",
        "orange", "navy", "green")
    glass, thick = f.paint("plain", "glass", "navy", roundness=0.2), f.trait(0.15, 0.19)
    rise, sweep = f.trait(0.4, 0.5), f.trait(0.3, 0.42)
    f.add("far wing", path((0.12, -thick * 0.6), (-0.2 - sweep, -0.5), (-0.36 - sweep, -0.5),
        (-0.22, -thick * 0.6)), body.shaded(0.8), detail=0)
    f.at("far wing tip", -0.28 - sweep, -0.48)
    f.add("fin", path((-0.62, -0.08), (-0.86, -0.1 - rise), (-1.06, -0.1 - rise), (-0.96, 0.0)), trim,
        detail=0)
    f.at("fin tip", -0.96, -0.06 - rise)
    hull = [(1.05, 0.04), (0.92, -0.1), (0.6, -thick), (0.0, -thick), (-0.6, -0.14), (-1.05, -0.1),
        (-0.98, 0.0), (-0.5, 0.14), (0.2, thick), (0.8, 0.15)]
    f.add("fuselage", smooth(hull), body)
    f.at("nose", 1.02, 0.04)
    f.add("cockpit", path((0.72, -0.13), (0.84, -0.12), (0.94, -0.04), (0.74, -0.04)), glass, detail=1)
    for i in range(f.count(5, 7)):
        f.add("window", ellipse(0.54 - 0.15 * i, -0.05, 0.034, 0.042), glass, detail=1)
    f.add("tailplane", path((-0.76, 0.0), (-1.14, 0.16), (-1.24, 0.14), (-1.0, -0.04)), trim, detail=1)
    reach = f.trait(0.5, 0.62)
    f.add("near wing", path((0.2, 0.06), (-0.22 - sweep, reach), (-0.42 - sweep, reach), (-0.24, 0.08)),
        body.shaded(0.92), detail=0)
    f.at("near wing tip", -0.32 - sweep, reach - 0.02)
    f.add("engine", limb([(-0.02, 0.3), (0.16, 0.3)], [0.06, 0.065]), trim, detail=1)


@category("helicopter", scene="sky", spin=12, unseen=True)
def helicopter(f: Figure) -> None:
    body, steel = f.paint("plain", "red", "blue", "yellow", "dark green", "orange",
        "night"), f.paint("metal", "night", "grey")
    glass, long = f.paint("plain", "glass", roundness=0.3), f.trait(0.7, 0.85)
    f.add("tail boom", limb([(-0.2, -0.1), (-long, -0.18)], [0.14, 0.05]), body, group="coat")
    f.add("tail fin", path((-long - 0.08, -0.44), (-long + 0.08, -0.2), (-long - 0.02, -0.1),
        (-long - 0.2, -0.42)), body, group="coat")
    f.at("tail", -long - 0.04, -0.2)
    blade = f.pose(0, 90)
    for tip in arc(-long, -0.2, 0.17, 0.17, blade, blade + 180, 2):
        f.thin("tail rotor", [(-long, -0.2), (float(tip[0]), float(tip[1]))], 0.02, steel, detail=1)
    for x in (-0.14, 0.38):
        f.thin("strut", [(x, 0.26), (x + 0.02, 0.52)], 0.022, steel, detail=1)
    f.thin("skid", [(-0.36, 0.54), (0.6, 0.54), (0.7, 0.46)], 0.028, steel, detail=0)
    f.at("skid front", 0.62, 0.53)
    cabin = [(0.74, 0.1), (0.58, -0.22), (0.26, -0.38), (-0.14, -0.36), (-0.42, -0.14), (-0.32, 0.2),
        (0.0, 0.34), (0.48, 0.33)]
    f.add("cabin", smooth(cabin), body, group="coat", lines=(path((0.16, -0.2), (0.16, 0.24), (-0.16, 0.24),
        (-0.16, -0.2)),))
    f.at("nose", 0.7, 0.1)
    f.add("windscreen", smooth([(0.68, 0.04), (0.56, -0.19), (0.3, -0.29), (0.26, -0.02), (0.4, 0.08)]),
        glass, detail=0)
    f.add("mast", box(0.06, -0.56, 0.14, -0.35), steel, detail=0)
    span = f.trait(0.9, 1.05)
    tilt = f.pose(-0.04, 0.04)
    f.add("rotor", limb([(0.1 - span, -0.56 - tilt), (0.1, -0.58), (0.1 + span, -0.56 + tilt)],
        [0.032, 0.03, 0.032]), steel, detail=0)
    f.at("left rotor tip", 0.12 - span, -0.56 - tilt)
    f.at("right rotor tip", 0.08 + span, -0.56 + tilt)


@category("hot_air_balloon", scene="sky", spin=10)
def hot_air_balloon(f: Figure) -> None:
    one, two = f.paint("plain", "red", "blue", "purple", "green"), f.paint("plain", "yellow", "white",
        "orange", "sky")
    wide, low = f.trait(0.56, 0.66), f.trait(0.7, 0.84)
    rope, basket = f.paint("plain", "dark wood"), f.paint("grain", "brown", "tan", "wood")
    for x in (-0.16, 0.16):
        f.thin("rope", [(x * 0.9, 0.28), (x, low)], 0.014, rope, detail=0)
    outline = [(0, -1.0), (wide * 0.72, -0.82), (wide, -0.36), (wide * 0.72, 0.06), (0.2, 0.34),
        (-0.2, 0.34), (-wide * 0.72, 0.06), (-wide, -0.36), (-wide * 0.72, -0.82)]

    def seam(k: float) -> list[tuple[float, float]]:
        return [(0, -1.0), (wide * k * 0.8, -0.76), (wide * k, -0.34), (wide * k * 0.72, 0.06),
            (0.2 * k, 0.34)]

    marks, lines = [], []
    for a, b in ((-0.75, -0.28), (0.28, 0.75)):
        left, right = smooth(seam(a), closed=False), smooth(seam(b), closed=False)
        marks.append(Mark(path(*((float(x), float(y)) for x, y in left),
            *((float(x), float(y)) for x, y in right[::-1])), two.rgb, drawn=False))
        lines += [left, right]
    f.add("envelope", smooth(outline), one, marks=marks, lines=lines)
    f.at("top", 0, -0.95)
    f.at("left side", -wide * 0.95, -0.36)
    f.at("right side", wide * 0.95, -0.36)
    f.add("basket", box(-0.19, low - 0.02, 0.19, low + 0.26, 0.04), basket, detail=0,
        lines=(path((-0.19, low + 0.06), (0.19, low + 0.06)),))
    f.at("basket", 0, low + 0.12)


@category("rocket", scene="night", spin=25)
def rocket(f: Figure) -> None:
    hull, trim = f.paint("plain", "white", "silver", "sky", "cream"), f.paint("plain", "red", "blue",
        "orange", "teal")
    wide, nose = f.trait(0.24, 0.3), f.trait(-0.5, -0.36)
    if f.chance(0.75):
        reach = 1.0 + f.pose(0.0, 0.16)
        flame = smooth([(-0.17, 0.6), (-0.2, 0.78), (0.0, reach), (0.2, 0.78), (0.17, 0.6)])
        f.add("flame", flame, f.paint("plain", "orange", "yellow", roundness=0.1), detail=0)
        f.add("flame core", shift_y(flame, 0.52, 0.6), f.paint("plain", "yellow", "white", roundness=0.1),
            detail=2)
    fin = f.trait(0.28, 0.38)
    for side in (-1, 1):
        f.add("fin", path((side * wide * 0.9, 0.2), (side * (wide + fin), 0.56), (side * (wide + fin), 0.8),
            (side * wide * 0.7, 0.6)), trim, detail=0)
        f.at("left fin" if side < 0 else "right fin", side * (wide + fin * 0.9), 0.7)
    f.add("nozzle", path((-0.16, 0.56), (0.16, 0.56), (0.2, 0.7), (-0.2, 0.7)),
        f.paint("metal", "grey", "night"), detail=1)
    f.add("body", smooth([(0, -1.0), (wide * 0.66, -0.7), (wide, -0.25), (wide, 0.25), (wide * 0.74, 0.6),
        (-wide * 0.74, 0.6), (-wide, 0.25), (-wide, -0.25), (-wide * 0.66, -0.7)]), hull, group="hull")
    f.add("nose", smooth([(0, -1.0), (wide * 0.6, -0.76), (wide * 0.9, nose), (-wide * 0.9, nose),
        (-wide * 0.6, -0.76)]), trim, detail=0)
    f.at("nose tip", 0, -0.94)
    for i in range(f.count(1, 2)):
        y = nose + 0.28 + 0.32 * i
        f.add("porthole rim", ellipse(0, y, 0.13), f.paint("metal", "grey", "gold"), detail=0)
        f.add("porthole", ellipse(0, y, 0.09), f.paint("plain", "glass", "navy"), detail=1)
    f.add("middle fin", limb([(0, 0.42), (0, 0.76)], [0.035, 0.03]), trim, detail=1)


def shift_y(points: Points, scale: float, about: float) -> Points:
    """Points shrunk about the axis x = 0, y = about."""
    return (points - [0.0, about]) * scale + [0.0, about]


@category("sailboat", scene="sea")
def sailboat(f: Figure) -> None:
    hull, sail = f.paint("wood", "brown", "red", "blue", "white", "navy"), f.paint("plain", "white", "cream",
        "orange", "red", "yellow")
    mast, tall = f.trait(-0.1, 0.06), f.trait(0.95, 1.15)
    f.thin("mast", [(mast, 0.5), (mast, 0.4 - tall)], 0.026, f.paint("wood", "dark wood", "wood"), detail=0)
    f.at("mast top", mast, 0.42 - tall)
    full = f.pose(0.0, 0.1)
    main = smooth([(mast - 0.05, 0.46 - tall), (mast - 0.26, 0.0), (mast - 0.62, 0.34)], closed=False)
    f.add("main sail", path(*((float(a), float(b)) for a, b in main), (mast - 0.05, 0.36)), sail, detail=0,
        lines=(path((mast - 0.05, 0.0), (mast - 0.3, 0.05)),) if f.chance(0.5) else ())
    f.at("main sail corner", mast - 0.58, 0.33)
    jib = smooth([(mast + 0.05, 0.52 - tall), (mast + 0.34 + full, -0.02), (mast + 0.6, 0.34)], closed=False)
    f.add("fore sail", path(*((float(a), float(b)) for a, b in jib), (mast + 0.06, 0.34)), sail.shaded(0.93),
        detail=0)
    f.at("fore sail corner", mast + 0.56, 0.33)
    f.add("hull", smooth_hull(f.trait(0.26, 0.34)), hull, lines=(path((-0.86, 0.54), (0.9, 0.54)),))
    f.at("bow", 0.95, 0.46)
    f.at("stern", -0.86, 0.48)
    if f.chance(0.6):
        f.add("flag", path((mast, 0.38 - tall), (mast + 0.2, 0.43 - tall), (mast, 0.49 - tall)),
            f.paint("plain", "red", "blue"), detail=1)


def smooth_hull(depth: float) -> Points:
    """A boat's side: flat deck, curved bottom."""
    bottom = smooth([(1.0, 0.42), (0.76, 0.42 + depth * 0.8), (0.3, 0.42 + depth), (-0.5, 0.42 + depth),
        (-0.8, 0.42 + depth * 0.8), (-0.92, 0.42)], closed=False)
    return bottom
