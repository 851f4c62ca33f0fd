"""What swims: fish, shark, whale, dolphin, octopus, crab."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, Mark, category
from ..shapes import arc, ellipse, limb, path, shift, smooth, turn
from .anatomy import eye, leaf


@category("fish", scene="underwater", spin=14)
def fish(f: Figure) -> None:
    skin = f.paint("grain", "orange", "yellow", "blue", "red", "silver", "purple")
    fin, high = skin.shaded(0.78), f.trait(0.34, 0.46)
    flick = f.pose(-0.1, 0.1)
    f.add("tail fin", smooth([(-0.55, 0.0), (-0.82, -0.3), (-1.0, -0.36 + flick), (-0.88, flick),
        (-1.0, 0.36 + flick), (-0.82, 0.3)]), fin, detail=0)
    f.at("tail", -0.95, flick)
    f.add("top fin", smooth([(0.2, -high * 0.8), (-0.02, -high - 0.22), (-0.3, -high - 0.1),
        (-0.4, -high * 0.55)]), fin, detail=0)
    f.at("top fin", -0.1, -high - 0.08)
    f.add("bottom fin", smooth([(0.05, high * 0.85), (-0.12, high + 0.18), (-0.28, high * 0.7)]), fin,
        detail=1)
    outline = [(0.8, 0.0), (0.62, -high * 0.6), (0.15, -high), (-0.35, -high * 0.6), (-0.66, -0.09),
        (-0.66, 0.09), (-0.35, high * 0.6), (0.15, high), (0.62, high * 0.6)]
    bands = tuple(Mark(limb([(a, -0.6), (a + 0.07, 0), (a, 0.6)], [0.055] * 3),
        f.paint("plain", "white", "black", "yellow").rgb) for a in (0.05, -0.25))
    scales = [arc(a, b, 0.1, 0.12, -80, 80, 7) for a, b in ((0.0, -0.12), (0.0, 0.12), (-0.2, 0.0),
        (-0.4, 0.0))]
    banded = f.chance(0.5)
    gill = arc(0.28, 0, 0.12, high * 0.72, -70, 70, 9)
    f.add("body", smooth(outline), skin, marks=bands if banded else (),
        lines=[gill] if banded else [gill, *scales])
    f.at("mouth", 0.77, 0.0)
    f.add("side fin", leaf((0.2, 0.1), (-0.12, 0.22 + f.pose(-0.1, 0.06)), 0.5), fin, detail=1)
    eye(f, 0.56, -0.1, 0.042, white=True)


@category("shark", scene="underwater", spin=10)
def shark(f: Figure) -> None:
    back, belly = f.paint("plain", "grey", "night", "steel"), f.paint("plain", "white", "silver")
    high, flick = f.trait(0.24, 0.29), f.pose(-0.06, 0.06)
    f.add("tail fin", path((-0.86, 0.0), (-1.22, -0.46 + flick), (-1.06, -0.06), (-1.16, 0.28 + flick)),
        back, group="coat")
    f.at("tail tip", -1.18, -0.4 + flick)
    tall = f.trait(0.34, 0.44)
    f.add("back fin", smooth([(0.22, -high * 0.8), (0.02, -high - tall * 0.75), (-0.14, -high - tall),
        (-0.12, -high - tall * 0.4), (-0.2, -high * 0.7)]), back, group="coat")
    f.at("back fin", -0.12, -high - tall * 0.92)
    f.add("small fin", path((-0.6, 0.1), (-0.76, 0.26), (-0.74, 0.04)), back, group="coat", detail=2)
    outline = [(1.0, -0.02), (0.72, -0.17), (0.25, -high), (-0.3, -0.2), (-0.95, -0.05), (-0.95, 0.05),
        (-0.4, 0.17), (0.2, high * 0.95), (0.7, 0.2), (0.9, 0.1)]
    under = Mark(smooth([(1.1, 0.1), (0.5, 0.08), (-0.2, 0.1), (-0.9, 0.06), (-0.6, 0.5), (0.6, 0.5)]),
        belly.rgb, drawn=False)
    gills = [arc(0.36 - 0.08 * i, -0.01, 0.03, 0.1, -70, 70, 5) for i in range(3)]
    f.add("body", smooth(outline), back, group="coat", marks=(under,), lines=gills)
    f.at("snout", 0.97, -0.02)
    teeth = path((0.6, 0.14), (0.63, 0.09), (0.67, 0.14), (0.7, 0.08), (0.74, 0.13), (0.77, 0.07),
        (0.81, 0.12), (0.86, 0.07))
    f.add("mouth", path((0.58, 0.15), (0.88, 0.06), (0.84, 0.13)), f.paint("plain", "maroon"), detail=1,
        lines=(teeth,))
    f.add("side fin", path((0.26, 0.12), (-0.02, 0.48 + flick), (0.06, 0.12)), back.shaded(0.85), detail=0)
    f.at("side fin", 0.0, 0.43 + flick)
    eye(f, 0.68, -0.07, 0.026)


@category("dolphin", scene="sea", spin=16, unseen=True)
def dolphin(f: Figure) -> None:
    skin, belly = f.paint("plain", "grey", "steel", "blue"), f.paint("plain", "white", "silver")
    high, arch = f.trait(0.22, 0.27), f.pose(0.0, 0.16)
    f.add("tail fin", smooth([(-0.86, 0.16 + arch), (-1.02, 0.06 + arch), (-1.24, 0.08 + arch),
        (-1.08, 0.2 + arch), (-1.16, 0.42 + arch), (-0.98, 0.32 + arch),
        (-0.88, 0.24 + arch)]), skin, group="coat")
    f.at("tail", -1.1, 0.18 + arch)
    f.add("back fin", smooth([(0.12, -high * 0.8), (-0.06, -high - 0.2), (-0.26, -high - 0.3),
        (-0.2, -high - 0.08), (-0.22, -high * 0.6)]), skin, group="coat")
    f.at("back fin", -0.22, -high - 0.24)
    outline = [(0.64, -0.12), (0.4, -high * 0.95), (0.0, -high), (-0.45, -0.12 + arch * 0.3),
        (-0.9, 0.14 + arch), (-0.9, 0.26 + arch), (-0.4, 0.16 + arch * 0.4), (0.1, high * 0.9),
        (0.5, high * 0.75), (0.72, 0.06)]
    under = Mark(smooth([(0.9, 0.06), (0.4, 0.08), (-0.2, 0.1 + arch * 0.3), (-0.5, 0.3), (0.5, 0.5)]),
        belly.rgb, drawn=False)
    beak = f.trait(0.24, 0.32)
    f.add("beak", limb([(0.62, 0.02), (0.68 + beak, 0.05)], [0.08, 0.045]), skin, group="coat")
    f.at("beak tip", 0.68 + beak, 0.05)
    f.add("body", smooth(outline), skin, group="coat", marks=(under,))
    f.add("side fin", smooth([(0.28, 0.1), (0.14, 0.3), (-0.02, 0.44), (0.02, 0.26), (0.1, 0.1)]),
        skin.shaded(0.82), detail=0)
    f.at("side fin", 0.04, 0.36)
    smile = smooth([(0.68 + beak, 0.07), (0.72, 0.08), (0.56, 0.03)], closed=False)
    f.add("mouth", ellipse(0.6, 0.04, 0.01), skin, strokes=(), detail=2, lines=(smile,))
    eye(f, 0.5, -0.04, 0.026)


@category("whale", scene="sea")
def whale(f: Figure) -> None:
    skin, belly = f.paint("blotch", "blue", "navy", "night", "steel"), f.paint("plain", "white", "silver")
    high, lift = f.trait(0.46, 0.54), f.pose(-0.05, 0.12)
    water = f.paint("plain", "sky")
    for side in (-1, 1):
        jet = [(0.42, -high * 0.8), (0.42 + side * 0.08, -high - 0.24),
            (0.42 + side * 0.28, -high - 0.2 - lift)]
        f.thin("spout", jet, 0.03, water, detail=0)
    f.at("spout", 0.42, -high)
    for side in (-1, 1):
        fluke = leaf((-1.0, -0.42 - lift), (-1.04 + side * 0.3, -0.68 - lift), 0.5, side * 0.3)
        f.add("fluke", fluke, skin, group="coat")
        f.at("left fluke" if side < 0 else "right fluke", -1.04 + side * 0.27, -0.66 - lift)
    f.add("stem", limb([(-0.5, 0.1), (-0.86, -0.1), (-1.0, -0.46 - lift)], [0.28, 0.13, 0.07]), skin,
        group="coat")
    outline = [(0.92, -0.08), (0.72, -0.4), (0.3, -high), (-0.2, -high * 0.75), (-0.68, -0.1), (-0.6, 0.25),
        (-0.2, 0.44), (0.4, 0.46), (0.84, 0.28)]
    under = Mark(smooth([(1.0, 0.14), (0.5, 0.2), (-0.1, 0.24), (-0.6, 0.2), (-0.4, 0.7), (0.7, 0.7)]),
        belly.rgb)
    f.add("body", smooth(outline), skin, group="coat", marks=(under,))
    f.at("snout", 0.89, -0.06)
    f.add("flipper", leaf((0.2, 0.26), (-0.08, 0.62), 0.5), skin.shaded(0.82), detail=0)
    f.at("flipper tip", -0.06, 0.58)
    mouth = smooth([(0.9, 0.1), (0.7, 0.14), (0.52, 0.06)], closed=False)
    f.add("mouth", ellipse(0.6, 0.1, 0.01), skin, strokes=(), detail=1, lines=(mouth,))
    eye(f, 0.56, -0.06, 0.03)


@category("octopus", scene="underwater", spin=10)
def octopus(f: Figure) -> None:
    skin = f.paint("blotch", "red", "purple", "orange", "pink", "teal")
    for i, x in enumerate((-0.42, -0.26, -0.09, 0.09, 0.26, 0.42)):
        side = -1 if x < 0 else 1
        reach, curl = 0.3 + abs(x) * 1.5, f.pose(-0.14, 0.14)
        foot = (x + side * reach * 0.95 + curl, 0.78 - abs(x) * 0.9 + curl)
        arm = [(x * 0.8, 0.1), (x + side * reach * 0.25 - curl, 0.44),
            (x + side * reach * 0.62, 0.62 - abs(x) * 0.4), foot]
        f.add("arm", limb(arm, [0.11, 0.085, 0.06, 0.03]), skin if i % 2 else skin.shaded(0.9), group="coat",
            detail=0)
        if i in (0, 2, 3, 5):
            f.at(f"arm {i + 1} tip", *foot)
    wide, tall = f.trait(0.42, 0.5), f.trait(0.5, 0.62)
    head = [(0.0, -tall - 0.14), (wide * 0.8, -tall * 0.8), (wide, -tall * 0.25), (0.36, 0.16), (0.0, 0.24),
        (-0.36, 0.16), (-wide, -tall * 0.25), (-wide * 0.8, -tall * 0.8)]
    f.add("head", smooth(head), skin, group="coat")
    f.at("head top", 0.0, -tall - 0.1)
    for side in (-1, 1):
        f.add("eye white", ellipse(side * 0.16, -0.12, 0.1, 0.11), f.paint("plain", "white"), detail=1)
        f.dot("pupil", side * 0.16 + f.pose(-0.03, 0.03), -0.1, 0.045, "black", detail=1)
        f.at("left eye" if side < 0 else "right eye", side * 0.16, -0.12)
    f.add("mouth", ellipse(0, 0.08, 0.01), skin, strokes=(), detail=2,
        lines=(arc(0, 0.02, 0.12, 0.07, 20, 160, 7),))


@category("crab", scene="beach")
def crab(f: Figure) -> None:
    shell = f.paint("blotch", "red", "orange", "maroon", "tan")
    wide, high = f.trait(0.5, 0.6), f.trait(0.3, 0.36)
    for side in (-1, 1):
        for i in range(3):
            step = f.pose(-0.05, 0.05)
            knee = (side * (wide + 0.22 - 0.06 * i), 0.02 + 0.12 * i + step)
            foot = (side * (wide + 0.36 - 0.14 * i) + step, 0.42 + 0.1 * i)
            f.add("leg", limb([(side * wide * 0.7, 0.1 + 0.08 * i), knee, foot], [0.05, 0.045, 0.02],
                steps=3), shell.shaded(0.85), detail=0)
        elbow = (side * (wide + 0.2), -0.28)
        raise_ = f.pose(-0.12, 0.1)
        hand = (side * (wide + 0.1), -0.62 + raise_)
        f.add("arm", limb([(side * wide * 0.75, -0.06), elbow, hand], [0.07, 0.07, 0.06]), shell, detail=0)
        big = f.trait(0.24, 0.32)
        tilt = side * f.pose(-10, 25)
        claw = path(*((float(a), float(b)) for a, b in arc(0, 0, big * 0.8, big, -60, 240, 18)), (0.0, 0.02))
        f.add("claw", shift(turn(claw, tilt), hand[0], hand[1] - big * 0.6), shell, detail=0)
        f.at("left claw" if side < 0 else "right claw", hand[0], hand[1] - big * 0.2)
    for side in (-1, 1):
        f.thin("eye stalk", [(side * 0.16, -high * 0.6), (side * 0.18, -high - 0.16)], 0.022, shell,
            detail=1)
        f.add("eye white", ellipse(side * 0.18, -high - 0.18, 0.07), f.paint("plain", "white"), detail=1)
        f.dot("pupil", side * 0.18, -high - 0.18, 0.036, "black", detail=1)
        f.at("left eye" if side < 0 else "right eye", side * 0.18, -high - 0.18)
    smile = arc(0, 0.0, 0.18, 0.14, 20, 160, 8)
    f.add("shell", ellipse(0, 0.05, wide, high), shell, lines=(smile,))
    f.at("shell", 0, -0.05)
