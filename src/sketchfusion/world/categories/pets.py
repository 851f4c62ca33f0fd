"""Small four-legged animals and reptiles: dog, cat, rabbit, mouse, turtle."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, Mark, category
from ..shapes import arc, ellipse, limb, path, shift, smooth, turn
from .anatomy import Frame, eye, leaf, tail, trunk


@category("dog", scene="field")
def dog(f: Figure) -> None:
    coat = f.paint("fur", "tan", "brown", "white", "black", "chestnut")
    dark = coat.shaded(0.62)
    body = Frame(f.trait(0.5, 0.6), f.trait(0.2, 0.25), f.trait(0.36, 0.46), 0.075, 0.05, swing=0.12)
    x, y = body.length + 0.14, -0.42 + f.pose(-0.06, 0.08)
    wag = f.pose(-0.15, 0.2)
    tail(f, [(-body.length + 0.05, -0.12), (-body.length - 0.2, -0.28), (-body.length - 0.24 - wag, -0.55)],
        [0.06, 0.05, 0.025], coat)
    trunk(f, body, coat)
    f.add("neck", limb([(body.length - 0.18, -0.02), (x - 0.04, y + 0.06)], [0.19, 0.14]), coat,
        group="coat")
    f.add("collar", limb([(body.length - 0.1, -0.34), (body.length + 0.16, -0.14)], [0.03, 0.03]),
        f.paint("plain", "red", "blue", "green"), detail=2)
    nod, long = f.pose(-8, 12), f.trait(0.3, 0.42)
    muzzle = limb([(0.06, 0.04), (long, 0.09)], [0.12, 0.075])
    f.add("muzzle", shift(turn(muzzle, nod), x, y), coat, group="coat")
    f.add("skull", ellipse(x, y, 0.21, 0.19), coat, group="coat")
    tip = turn(path((long + 0.05, 0.05)), nod)[0]
    f.dot("nose", x + tip[0], y + tip[1], 0.05, "black", detail=0)
    f.at("nose", x + tip[0], y + tip[1])
    if f.chance(0.65):
        ear = smooth([(-0.1, -0.16), (0.04, -0.12), (0.05, 0.1), (-0.03, 0.26), (-0.14, 0.2), (-0.17, 0.0)])
    else:
        ear = path((-0.14, -0.12), (-0.08, -0.4), (0.06, -0.16))
    f.add("ear", shift(turn(ear, f.pose(-6, 10)), x - 0.02, y), dark, detail=0)
    f.at("ear", x - 0.06, y - 0.12)
    mouth = turn(smooth([(long, 0.14), (0.24, 0.15), (0.14, 0.1)], closed=False), nod)
    f.add("cheek", ellipse(x + 0.12, y + 0.05, 0.03), coat, detail=3, lines=(shift(mouth, x, y),),
        strokes=())
    eye(f, x + 0.08, y - 0.05, 0.026)


@category("cat", scene="room")
def cat(f: Figure) -> None:
    coat = f.paint("fur", "orange", "grey", "black", "tan", "white")
    body = Frame(f.trait(0.5, 0.58), f.trait(0.21, 0.25), f.trait(0.32, 0.4), 0.07, 0.05, swing=0.12)
    stripes = tuple(Mark(limb([(a, -0.32), (a + 0.03, -0.12), (a + 0.02, 0.02)], [0.028, 0.022, 0.005]),
        coat.shaded(0.6).rgb) for a in (-0.38, -0.22, -0.06, 0.1))
    stripes = stripes if f.chance(0.6) else ()
    sway = f.pose(-0.12, 0.2)
    tail(f, [(-body.length + 0.05, -0.1), (-body.length - 0.22, -0.22), (-body.length - 0.16, -0.6),
        (-body.length - 0.3 + sway, -0.8)], [0.05, 0.05, 0.045, 0.035], coat)
    trunk(f, body, coat, stripes)
    x, y = body.length + 0.06, -0.34 + f.pose(-0.05, 0.06)
    tilt = f.pose(-10, 10)
    inner = f.paint("plain", "pink")
    for side in (-1, 1):
        ear = path((side * 0.26, 0.0), (side * 0.25, -0.42), (side * 0.04, -0.2))
        f.add("ear", shift(turn(ear, tilt), x, y), coat, group="coat", detail=0)
        f.at("left ear" if side < 0 else "right ear", x + side * 0.21, y - 0.3)
        f.add("inner ear", shift(turn(ear, tilt) * 0.55 + turn(path((side * 0.09, -0.12)), tilt), x, y),
            inner, detail=2)
    f.add("head", ellipse(x, y, 0.29, 0.25, tilt), coat, group="coat")
    for side in (-1, 1):
        px, py = turn(path((side * 0.11, -0.04)), tilt)[0]
        f.add("eye", ellipse(x + px, y + py, 0.05, 0.06), f.paint("plain", "lime", "yellow", "sky"),
            detail=1)
        f.at("left eye" if side < 0 else "right eye", x + px, y + py)
        f.add("pupil", ellipse(x + px, y + py, 0.018, 0.045), f.paint("plain", "black"), detail=2)
    f.add("nose", shift(turn(path((-0.04, 0.05), (0.04, 0.05), (0.0, 0.1)), tilt), x, y), inner.shaded(0.8),
        detail=1)
    f.at("nose", x, y + 0.07)
    ink = f.paint("plain", "black", "white")
    for side in (-1, 1):
        for drop in (-0.02, 0.04, 0.1):
            ends = turn(path((side * 0.1, 0.09 + drop * 0.3), (side * 0.42, 0.06 + drop * 1.5)), tilt)
            f.thin("whisker", [(x + float(a), y + float(b)) for a, b in ends], 0.008, ink, detail=1)


@category("rabbit", scene="field")
def rabbit(f: Figure) -> None:
    coat = f.paint("fur", "white", "grey", "brown", "tan")
    pink = f.paint("plain", "pink")
    f.add("tail", ellipse(-0.58, 0.28, 0.13), f.paint("fur", "white"), detail=0)
    f.at("tail", -0.6, 0.28)
    fat = f.trait(0.4, 0.48)
    f.add("body", ellipse(-0.12, 0.18, 0.48, fat, -14), coat, group="coat")
    f.at("back", -0.12, -0.12)
    x, y = 0.38 + f.pose(-0.03, 0.05), -0.28 + f.pose(-0.04, 0.04)
    long = f.trait(0.55, 0.75)
    for i, lean in enumerate((f.pose(-0.34, -0.2), f.pose(-0.12, 0.06))):
        ear = leaf((x - 0.1 + 0.12 * i, y - 0.12), (x - 0.06 + lean + 0.1 * i, y - 0.14 - long), 0.36)
        f.add("ear", ear, coat, group=f"ear{i}", detail=0)
        inner = leaf((x - 0.1 + 0.12 * i, y - 0.2), (x - 0.06 + lean + 0.1 * i, y - 0.06 - long), 0.2)
        f.add("inner ear", inner, pink, detail=2)
        f.at(f"ear {i + 1} tip", x - 0.06 + lean + 0.1 * i, y - 0.1 - long)
    f.add("head", ellipse(x, y, 0.27, 0.23, 8), coat, group="coat")
    f.add("front leg", limb([(0.2, 0.2), (0.24, 0.42), (0.34 + f.pose(-0.03, 0.08), 0.58)],
        [0.1, 0.07, 0.06]), coat, group="coat")
    f.at("front foot", 0.34, 0.57)
    f.add("haunch", ellipse(-0.3, 0.36, 0.27, 0.25), coat.shaded(0.94), detail=1)
    f.add("hind foot", limb([(-0.36, 0.58), (0.02 + f.pose(-0.05, 0.1), 0.6)], [0.075, 0.065]), coat,
        group="coat")
    f.at("hind foot", -0.02, 0.59)
    f.dot("nose", x + 0.25, y + 0.03, 0.035, "rose", detail=1)
    f.at("nose", x + 0.25, y + 0.03)
    eye(f, x + 0.1, y - 0.05, 0.032)


@category("mouse", scene="room", unseen=True)
def mouse(f: Figure) -> None:
    coat, pink = f.paint("fur", "grey", "brown", "white"), f.paint("plain", "pink")
    sway = f.pose(-0.2, 0.2)
    spine = [(-0.5, 0.24), (-0.75, 0.32), (-0.95, 0.14 + sway), (-1.2, 0.1), (-1.35, -0.06 + sway)]
    f.add("tail", limb(spine, [0.045, 0.035, 0.028, 0.022, 0.012]), pink.shaded(0.9), detail=0,
        strokes=(smooth(spine, closed=False),))
    f.at("tail tip", *spine[-1])
    for x in (-0.3, 0.26):
        f.add("foot", ellipse(x + f.pose(-0.04, 0.06), 0.4, 0.13, 0.05), pink, detail=1)
    fat = f.trait(0.36, 0.44)
    body = [(0.78, 0.22), (0.5, -0.02), (0.2, -0.16), (-0.15, -fat * 0.7), (-0.48, -0.08), (-0.58, 0.22),
        (-0.36, 0.4), (0.2, 0.4), (0.6, 0.34)]
    f.add("body", smooth(body), coat, group="coat")
    f.at("back", -0.15, -fat * 0.5)
    big = f.trait(0.19, 0.26)
    for i, (x, y) in enumerate(((0.36, -0.2), (0.2, -0.16))):
        tilt = f.pose(-0.03, 0.03)
        f.add("ear", ellipse(x + tilt, y, big * 0.92, big), coat.shaded(0.9), detail=0)
        f.add("inner ear", ellipse(x + tilt + 0.02, y + 0.02, big * 0.6, big * 0.66), pink, detail=1)
        f.at(f"ear {i + 1}", x, y)
    f.dot("nose", 0.8, 0.22, 0.05, "rose", detail=0)
    f.at("nose", 0.79, 0.22)
    ink = f.paint("plain", "black", "white")
    for dx, dy in ((0.06, 0.12), (0.12, 0.2), (-0.04, 0.22)):
        f.thin("whisker", [(0.68, 0.27), (0.68 + dx, 0.27 + dy)], 0.008, ink, detail=2)
    eye(f, 0.56, 0.12, 0.04)


@category("turtle", scene="field")
def turtle(f: Figure) -> None:
    skin, shell = f.paint("blotch", "lime", "green", "tan"), f.paint("blotch", "dark green", "brown",
        "green")
    high = f.trait(0.46, 0.58)
    f.add("tail", leaf((-0.62, 0.14), (-0.88, 0.2), 0.5), skin, detail=1)
    f.at("tail tip", -0.85, 0.19)
    for name, x in (("hind", -0.4), ("front", 0.42)):
        step = f.pose(-0.1, 0.1)
        f.add(f"{name} leg", limb([(x, 0.12), (x + step, 0.4)], [0.13, 0.12]), skin, detail=0)
        f.at(f"{name} foot", x + step, 0.42)
    rise = f.pose(-0.14, 0.02)
    f.add("neck", limb([(0.5, 0.12), (0.82, -0.08 + rise)], [0.12, 0.1]), skin, group="head")
    f.add("head", ellipse(0.92, -0.12 + rise, 0.19, 0.15), skin, group="head")
    f.at("head", 0.95, -0.12 + rise)
    eye(f, 0.98, -0.16 + rise, 0.026)
    dome = [*((float(a), float(b)) for a, b in arc(0, 0.14, 0.72, high, 180, 360, 20))]
    plates = [arc(x, y, r, r, 0, 360, 7) for x, y, r in ((0.0, -0.1, 0.17), (-0.34, -0.02, 0.14),
        (0.34, -0.02, 0.14))]
    marks = tuple(Mark(p[:-1], shell.shaded(0.72).rgb) for p in plates)
    f.add("shell", path(*dome, (0.74, 0.2), (-0.74, 0.2)), shell, marks=marks, detail=0)
    f.at("shell top", 0.0, 0.18 - high)
    f.add("rim", limb([(-0.72, 0.18), (0.0, 0.22), (0.72, 0.18)], [0.05, 0.06, 0.05]), shell.shaded(1.2),
        detail=1)
    f.add("smile", ellipse(0.96, -0.06 + rise, 0.01), skin, detail=3, strokes=(),
        lines=(arc(0.98, -0.1 + rise, 0.1, 0.05, 20, 120, 6),))
