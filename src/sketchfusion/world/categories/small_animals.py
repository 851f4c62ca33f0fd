"""Birds and bats, insects, spiders and snails, and sea animals."""

import numpy as np

from ..figure import SIDES, Figure, Mark, category, sides
from ..shapes import arc, curve, ellipse, leaf, limb, mirrored, path, shift, smooth, turn


@category("duck", scene="lake")
def duck(f: Figure) -> None:
    plumage, bill = f.paint("fur", "yellow", "white", "brown", "tan"), f.paint("plain", "orange", "gold")
    head = plumage if f.chance(0.6) else f.paint("fur", "dark green", "brown")
    x, y = 0.42 + f.pose(-0.05, 0.06), -0.5 + f.pose(-0.04, 0.06)
    body = [(0.58, -0.02), (0.3, -0.12), (-0.2, -0.16), (-0.6, -0.12), (-0.92, -0.32), (-0.8, 0.12), (-0.4, 0.42),
        (0.2, 0.44), (0.56, 0.24)]
    f.add("foot", path((-0.02, 0.4), (0.06, 0.4), (0.1, 0.58), (0.24, 0.64), (-0.06, 0.64)), bill, detail=1)
    f.add("body", smooth(body), plumage, group="coat", at={"breast": (0.5, 0.1), "tail tip": (-0.88, -0.28)})
    f.add("neck", limb([(0.36, 0.06), (x - 0.04, -0.22), (x, y)], [0.18, 0.13, 0.14]), head, group="coat")
    f.add("head", ellipse(x, y, 0.22, 0.2), head, group="coat")
    long = f.trait(0.24, 0.34)
    beak = [(0.14, -0.05), (0.3, 0.0), (0.16 + long, 0.02), (0.18 + long, 0.09), (0.3, 0.12), (0.14, 0.1)]
    f.add("bill", shift(smooth(beak), x, y), bill, at={"bill tip": (x + 0.15 + long, y + 0.05)})
    wing = [(0.26, 0.02), (0.0, -0.08), (-0.4, 0.0), (-0.7, -0.06), (-0.5, 0.2), (-0.1, 0.28), (0.2, 0.2)]
    f.add("wing", shift(smooth(wing), 0, f.pose(-0.02, 0.04)), plumage.shaded(0.85), detail=1, at=(-0.1, 0.1))
    f.eye(x + 0.07, y - 0.05, 0.028)


@category("owl", scene="forest")
def owl(f: Figure) -> None:
    plumage, pale = f.paint("fur", "brown", "tan", "grey", "chestnut"), f.paint("fur", "cream", "white")
    wide = f.trait(0.42, 0.5)
    f.add("branch", limb([(-0.9, 0.82), (0.0, 0.78), (0.9, 0.84)], [0.05, 0.06, 0.045]),
        f.paint("wood", "dark wood", "wood"), detail=2)
    f.add("tail", mirrored((0.14, 0.6), (0.1, 1.0)), plumage.shaded(0.8), detail=1)
    f.add("body", smooth([(-0.42, -0.72), (-0.2, -0.62), (0.2, -0.62), (0.42, -0.72), (0.44, -0.4), (wide, 0.1),
        (0.36, 0.6), (0.0, 0.78), (-0.36, 0.6), (-wide, 0.1), (-0.44, -0.4)]), plumage, at=sides("{} ear", 0.4, -0.68))
    chevrons = [curve([(x - 0.06, y), (x, y + 0.06), (x + 0.06, y)])
        for x, y in ((-0.1, 0.16), (0.1, 0.16), (0, 0.3), (-0.12, 0.44), (0.12, 0.44))]
    f.add("breast", ellipse(0, 0.3, 0.27, 0.36), pale, detail=1, lines=chevrons, at=(0.0, 0.3))
    for side in (-1, 1):
        lift = f.pose(-6, 3)
        f.add("wing", turn(leaf((side * 0.36, -0.16), (side * 0.42, 0.66), 0.36), side * lift), plumage.shaded(0.8))
        f.add("foot", ellipse(side * 0.14, 0.77, 0.08, 0.05), f.paint("plain", "orange", "gold"), detail=1)
    big = f.trait(0.17, 0.21)
    for side, tag in SIDES:
        f.add("eye disc", ellipse(side * 0.2, -0.34, big * 1.12), pale)
        f.add("iris", ellipse(side * 0.2, -0.34, big * 0.72), f.paint("plain", "yellow", "orange"), detail=1)
        f.dot("pupil", side * 0.2 + f.pose(-0.03, 0.03), -0.34, big * 0.4, "black",
            at={f"{tag} eye": (side * 0.2, -0.34)})
    f.add("beak", path((-0.06, -0.26), (0.06, -0.26), (0.0, -0.08)), f.paint("plain", "gold", "orange"), at=(0.0, -0.2))


@category("penguin", scene="ice")
def penguin(f: Figure) -> None:
    black, white = f.paint("fur", "black", "night", "navy"), f.paint("fur", "white")
    orange, wide = f.paint("plain", "orange", "gold"), f.trait(0.36, 0.44)
    for side, tag in SIDES:
        foot = ellipse(side * 0.18 + f.pose(-0.03, 0.03), 0.92, 0.17, 0.07)
        f.add("foot", foot, orange, at={f"{tag} foot": (side * 0.18, 0.92)})
    for side, tag in SIDES:
        spread = f.pose(0.12, 0.34)
        bones = [(side * wide * 0.8, -0.2), (side * (wide + spread * 0.7), 0.1), (side * (wide + spread), 0.36)]
        f.add("flipper", limb(bones, [0.1, 0.09, 0.04]), black, at={f"{tag} flipper": (side * (wide + spread), 0.34)})
    f.add("body", smooth(mirrored((0, -0.95), (0.24, -0.86), (0.3, -0.6), (0.32, -0.36), (wide, 0.1),
        (wide * 0.95, 0.6), (0.18, 0.9))), black, at={"head top": (0, -0.92)})
    belly = mirrored((0.0, -0.36), (0.2, -0.32), (wide * 0.74, 0.2), (wide * 0.6, 0.66), (0, 0.84))
    f.add("belly", smooth(belly), white, at=(0, 0.25))
    look = f.pose(-0.05, 0.05)
    face = mirrored((0, -0.68), (0.13, -0.78), (0.22, -0.64), (0.12, -0.46), (0, -0.42))
    f.add("face", smooth(shift(face, look, 0)), white, detail=1)
    for side in (-1, 1):
        f.dot("eye", side * 0.11 + look, -0.65, 0.036, "black")
    f.add("beak", path((-0.1 + look, -0.57), (0.1 + look, -0.57), (look, -0.42)), orange, at=(look, -0.52))


@category("flamingo", scene="lake")
def flamingo(f: Figure) -> None:
    pink, leg = f.paint("fur", "rose", "pink", "orange"), f.paint("plain", "rose", "pink").shaded(0.85)
    bend = f.pose(0.1, 0.3)
    f.thin("standing leg", [(0.02, 0.1), (0.0, 0.55), (0.04, 1.02)], 0.026, leg, detail=0)
    lifted = [(-0.08, 0.1), (-0.06 + bend, 0.5), (-0.3 + bend, 0.7)]
    f.thin("lifted leg", lifted, 0.024, leg, detail=0, at={"knee": lifted[1]})
    f.thin("foot", [(0.04, 1.02), (0.2, 1.05)], 0.026, leg, at=(0.06, 1.03))
    rise = f.trait(0.78, 0.95)
    x, y = 0.36 + f.pose(-0.05, 0.08), -rise
    neck = [(0.26, -0.02), (0.5, -0.18), (0.44, -0.4), (0.2, -0.55), (x - 0.2, y + 0.08), (x, y)]
    f.add("neck", limb(neck, [0.1, 0.07, 0.058, 0.055, 0.055, 0.06]), pink, group="coat")
    f.add("body", smooth([(0.36, -0.1), (0.1, -0.26), (-0.25, -0.24), (-0.62, 0.02), (-0.74, 0.16), (-0.4, 0.2),
        (0.0, 0.24), (0.28, 0.12)]), pink, group="coat", at={"body": (-0.1, 0.0), "tail": (-0.66, 0.13)})
    wing = [(0.16, -0.1), (-0.2, -0.16), (-0.6, 0.1), (-0.3, 0.14), (0.04, 0.1)]
    f.add("wing", smooth(wing), pink.shaded(0.82), detail=1)
    f.add("head", ellipse(x + 0.02, y, 0.12, 0.1), pink, group="coat", at=(x, y))
    bill = path((0.08, -0.05), (0.24, 0.02), (0.28, 0.18), (0.2, 0.22), (0.18, 0.1), (0.08, 0.06))
    f.add("bill", smooth(shift(bill, x, y)), f.paint("plain", "cream", "white"))
    tip = smooth(shift(path((0.25, 0.09), (0.28, 0.18), (0.2, 0.22), (0.19, 0.13)), x, y))
    f.add("bill tip", tip, f.paint("plain", "black"), detail=1, at=(x + 0.23, y + 0.18))
    f.eye(x + 0.04, y - 0.03, 0.02)


@category("bat", scene="night", unseen=True)
def bat(f: Figure) -> None:
    fur, wing = f.paint("fur", "brown", "grey", "dark wood"), f.paint("plain", "black", "night", "maroon")
    span, lift = f.trait(0.95, 1.15), f.pose(-0.2, 0.12)
    wrist, first, second = (0.35, -0.42 + lift * 0.6), (span * 0.84, 0.22 + lift), (span * 0.52, 0.34)
    outline = path(curve([(0.1, -0.05), wrist, (0.7, -0.36 + lift), (span, -0.3 + lift)]), (span * 0.96, lift), first,
        (span * 0.74, 0.07), (span * 0.64, 0.1), second, (0.4, 0.14), (0.28, 0.16), (0.16, 0.36), (0.05, 0.2))
    for side, tag in SIDES:
        half, *ribs = (shift(line, 0, 0, side, 1) for line in (outline, path(wrist, first), path(wrist, second)))
        f.add("wing", half, wing, lines=ribs, at={f"{tag} wing tip": (side * span, -0.3 + lift)})
    f.add("body", ellipse(0, 0.12, 0.17, 0.34), fur, group="coat", at={"belly": (0, 0.22)})
    big = f.trait(0.2, 0.28)
    for side, tag in SIDES:
        f.add("ear", path((side * 0.03, -0.3), (side * 0.2, -0.36 - big), (side * 0.2, -0.2)), fur, group="coat",
            at={f"{tag} ear": (side * 0.18, -0.3 - big)})
    f.add("head", ellipse(0, -0.2, 0.2, 0.18), fur, group="coat")
    for side in (-1, 1):
        f.dot("eye", side * 0.08, -0.23, 0.035, "yellow")
        fang = path((side * 0.02, -0.11), (side * 0.08, -0.11), (side * 0.05, -0.03))
        f.add("fang", fang, f.paint("plain", "white"), detail=2)
        f.add("foot", limb([(side * 0.07, 0.42), (side * 0.08, 0.54)], [0.03, 0.02]), fur, detail=2)
    f.add("mouth", ellipse(0, -0.12, 0.01), fur, detail=3, strokes=(), lines=(arc(0, -0.16, 0.09, 0.06, 20, 160, 6),))


@category("butterfly", scene="meadow", spin=25)
def butterfly(f: Figure) -> None:
    wing = f.paint("grain", "orange", "blue", "yellow", "purple", "red", "pink")
    low = wing.shaded(0.8) if f.chance(0.5) else f.paint("grain", "orange", "blue", "yellow", "purple")
    spot, dark = f.paint("plain", "white", "black", "yellow").rgb, f.paint("fur", "black", "dark wood")
    wide, fold, size, tall = f.trait(0.8, 0.95), f.pose(0.75, 1.0), f.trait(0.09, 0.15), f.trait(0.6, 0.8)
    for side, tag in SIDES:
        s = side * fold
        lower = [(s * 0.05, 0.05), (s * wide * 0.6, 0.08), (s * wide * 0.78, 0.36), (s * wide * 0.5, 0.72),
            (s * 0.16, 0.5)]
        f.add("lower wing", smooth(lower), low, marks=(Mark(ellipse(s * wide * 0.48, 0.38, size * fold, size), spot),),
            at={f"{tag} lower wing": (s * wide * 0.55, 0.6)})
        upper = [(s * 0.04, 0.08), (s * wide * 0.3, -tall * 0.62), (s * wide * 0.8, -tall),
            (s * wide * 1.06, -tall * 0.72), (s * wide * 0.84, -0.06), (s * 0.4, 0.14)]
        rounds = (Mark(ellipse(s * wide * 0.72, -tall * 0.62, size * fold * 1.3, size * 1.3), spot),
            Mark(ellipse(s * wide * 0.42, -0.14, size * 0.7), spot))
        f.add("upper wing", smooth(upper), wing, marks=rounds, at={f"{tag} wing tip": (s * wide * 0.98, -tall * 0.8)})
    for side in (-1, 1):
        feeler = [(side * 0.02, -0.3), (side * 0.1, -0.55), (side * 0.24, -0.7 + f.pose(-0.05, 0.05))]
        f.thin("feeler", feeler, 0.014, dark)
        f.dot("feeler tip", *feeler[-1], 0.03, "black", detail=2)
    f.add("body", limb([(0, -0.26), (0, 0.1), (0, 0.5)], [0.07, 0.075, 0.035]), dark, group="trunk")
    f.add("head", ellipse(0, -0.3, 0.08), dark, group="trunk", at={"head": (0, -0.3), "body end": (0, 0.5)})


@category("spider", scene="ground", spin=30)
def spider(f: Figure) -> None:
    skin, fat = f.paint("fur", "black", "brown", "dark wood", "grey"), f.trait(0.34, 0.44)
    for side, tag in SIDES:
        for i, (angle, reach) in enumerate(((-1.0, 0.95), (-0.35, 0.9), (0.3, 0.9), (0.95, 1.0))):
            step = f.pose(-0.08, 0.08)
            knee = (side * reach * 0.58, -0.12 + angle * 0.42 - 0.16 + step)
            foot = (side * reach, -0.02 + angle * 0.78 + step)
            spine = [(side * 0.1, -0.12 + angle * 0.08), knee, foot]
            f.add("leg", limb(spine, [0.04, 0.034, 0.018], steps=4), skin, strokes=(curve(spine),), solid=False)
            if i in (0, 3):
                f.at({f"{tag} {'front' if i == 0 else 'hind'} foot": foot})
    cross = f.paint("plain", "red", "white", "yellow").rgb
    marks = (Mark(ellipse(0, 0.3, 0.06, 0.16), cross),) if f.chance(0.5) else ()
    f.add("abdomen", ellipse(0, 0.28, fat * 0.82, fat), skin, marks=marks, at=(0, 0.4))
    f.add("head", ellipse(0, -0.18, 0.2, 0.19), skin, at=(0, -0.2))
    for x in (-0.07, 0.07):
        f.dot("eye", x, -0.26, 0.032, "white")


@category("snail", scene="ground")
def snail(f: Figure) -> None:
    skin, shell = f.paint("grain", "tan", "cream", "stone"), f.paint("grain", "brown", "orange", "chestnut", "rose")
    rise = f.pose(-0.06, 0.06)
    for x, lean in ((0.72, 0.06), (0.86, 0.16)):
        tip = (x + lean + f.pose(-0.04, 0.04), -0.46 + rise)
        f.thin("horn", [(x, -0.06), tip], 0.02, skin, detail=0)
        f.dot("horn tip", *tip, 0.038, "dark wood", at={"near eye" if lean > 0.1 else "far eye": tip})
    foot = [(0.98, 0.02), (0.84, -0.16 + rise), (0.66, -0.1), (0.52, 0.14), (0.0, 0.3), (-0.6, 0.34), (-1.02, 0.5),
        (-0.4, 0.54), (0.5, 0.52), (0.84, 0.36)]
    smile = arc(0.84, 0.06, 0.09, 0.06, 10, 120, 6)
    f.add("foot", smooth(foot), skin, lines=(smile,), at={"tail": (-0.96, 0.48), "head": (0.84, 0.0)})
    big, turns = f.trait(0.48, 0.58), f.trait(2.1, 3.0)
    t = np.linspace(0, 1, 44)
    unit = np.round(np.stack([np.cos(2 * np.pi * turns * t), np.sin(2 * np.pi * turns * t)], axis=1), 12)
    spiral = unit * (big * 0.97 * (1 - t) + 0.03)[:, None] + np.array([-0.16, -0.06])
    f.add("shell", ellipse(-0.16, -0.06, big), shell, lines=(spiral,),
        at={"shell centre": (-0.16, -0.06), "shell top": (-0.16, 0.02 - big)})


@category("fish", scene="underwater", spin=14)
def fish(f: Figure) -> None:
    skin = f.paint("grain", "orange", "yellow", "blue", "red", "silver", "purple")
    fin, high = skin.shaded(0.78), f.trait(0.34, 0.46)
    flick = f.pose(-0.1, 0.1)
    tail = [(-0.55, 0.0), (-0.82, -0.3), (-1.0, -0.36 + flick), (-0.88, flick), (-1.0, 0.36 + flick), (-0.82, 0.3)]
    f.add("tail fin", smooth(tail), fin, at={"tail": (-0.95, flick)})
    top = [(0.2, -high * 0.8), (-0.02, -high - 0.22), (-0.3, -high - 0.1), (-0.4, -high * 0.55)]
    f.add("top fin", smooth(top), fin, at=(-0.1, -high - 0.08))
    f.add("bottom fin", smooth([(0.05, high * 0.85), (-0.12, high + 0.18), (-0.28, high * 0.7)]), fin, detail=1)
    bands = [limb([(a, -0.6), (a + 0.07, 0), (a, 0.6)], [0.055] * 3) for a in (0.05, -0.25)]
    marks = [Mark(band, f.paint("plain", "white", "black", "yellow").rgb) for band in bands]
    scales = [arc(a, b, 0.1, 0.12, -80, 80, 7) for a, b in ((0.0, -0.12), (0.0, 0.12), (-0.2, 0.0), (-0.4, 0.0))]
    banded, gill = f.chance(0.5), arc(0.28, 0, 0.12, high * 0.72, -70, 70, 9)
    f.add("body", smooth([(0.8, 0.0), (0.62, -high * 0.6), (0.15, -high), (-0.35, -high * 0.6), (-0.66, -0.09),
        (-0.66, 0.09), (-0.35, high * 0.6), (0.15, high), (0.62, high * 0.6)]), skin, marks=marks if banded else (),
        lines=[gill] if banded else [gill, *scales], at={"mouth": (0.77, 0.0)})
    f.add("side fin", leaf((0.2, 0.1), (-0.12, 0.22 + f.pose(-0.1, 0.06)), 0.5), fin, detail=1)
    f.dot("eye white", 0.56, -0.1, 0.042 * 1.9, "white")
    f.eye(0.56, -0.1, 0.042)


@category("shark", scene="underwater", spin=10)
def shark(f: Figure) -> None:
    back, belly = f.paint("plain", "grey", "night", "steel"), f.paint("plain", "white", "silver")
    high, flick = f.trait(0.24, 0.29), f.pose(-0.06, 0.06)
    tail = path((-0.86, 0.0), (-1.22, -0.46 + flick), (-1.06, -0.06), (-1.16, 0.28 + flick))
    f.add("tail fin", tail, back, group="coat", at={"tail tip": (-1.18, -0.4 + flick)})
    tall = f.trait(0.34, 0.44)
    f.add("back fin", smooth([(0.22, -high * 0.8), (0.02, -high - tall * 0.75), (-0.14, -high - tall),
        (-0.12, -high - tall * 0.4), (-0.2, -high * 0.7)]), back, group="coat", at=(-0.12, -high - tall * 0.92))
    f.add("small fin", path((-0.6, 0.1), (-0.76, 0.26), (-0.74, 0.04)), back, group="coat", detail=2)
    outline = [(1.0, -0.02), (0.72, -0.17), (0.25, -high), (-0.3, -0.2), (-0.95, -0.05), (-0.95, 0.05), (-0.4, 0.17),
        (0.2, high * 0.95), (0.7, 0.2), (0.9, 0.1)]
    under = smooth([(1.1, 0.1), (0.5, 0.08), (-0.2, 0.1), (-0.9, 0.06), (-0.6, 0.5), (0.6, 0.5)])
    f.add("body", smooth(outline), back, group="coat", marks=[Mark(under, belly.rgb, drawn=False)],
        lines=[arc(0.36 - 0.08 * i, -0.01, 0.03, 0.1, -70, 70, 5) for i in range(3)], at={"snout": (0.97, -0.02)})
    teeth = path((0.6, 0.14), (0.63, 0.09), (0.67, 0.14), (0.7, 0.08), (0.74, 0.13), (0.77, 0.07), (0.81, 0.12),
        (0.86, 0.07))
    f.add("mouth", path((0.58, 0.15), (0.88, 0.06), (0.84, 0.13)), f.paint("plain", "maroon"), detail=1, lines=(teeth,))
    side = path((0.26, 0.12), (-0.02, 0.48 + flick), (0.06, 0.12))
    f.add("side fin", side, back.shaded(0.85), at=(0.0, 0.43 + flick))
    f.eye(0.68, -0.07, 0.026)


@category("dolphin", scene="sea", spin=16, unseen=True)
def dolphin(f: Figure) -> None:
    skin, belly = f.paint("plain", "grey", "steel", "blue"), f.paint("plain", "white", "silver")
    high, arch = f.trait(0.22, 0.27), f.pose(0.0, 0.16)
    tail = path((-0.86, 0.16), (-1.02, 0.06), (-1.24, 0.08), (-1.08, 0.2), (-1.16, 0.42), (-0.98, 0.32), (-0.88, 0.24))
    f.add("tail fin", smooth(shift(tail, 0, arch)), skin, group="coat", at={"tail": (-1.1, 0.18 + arch)})
    fin = [(0.12, -high * 0.8), (-0.06, -high - 0.2), (-0.26, -high - 0.3), (-0.2, -high - 0.08), (-0.22, -high * 0.6)]
    f.add("back fin", smooth(fin), skin, group="coat", at=(-0.22, -high - 0.24))
    outline = [(0.64, -0.12), (0.4, -high * 0.95), (0.0, -high), (-0.45, -0.12 + arch * 0.3), (-0.9, 0.14 + arch),
        (-0.9, 0.26 + arch), (-0.4, 0.16 + arch * 0.4), (0.1, high * 0.9), (0.5, high * 0.75), (0.72, 0.06)]
    under = smooth([(0.9, 0.06), (0.4, 0.08), (-0.2, 0.1 + arch * 0.3), (-0.5, 0.3), (0.5, 0.5)])
    tip = 0.68 + f.trait(0.24, 0.32)
    f.add("beak", limb([(0.62, 0.02), (tip, 0.05)], [0.08, 0.045]), skin, group="coat", at={"beak tip": (tip, 0.05)})
    f.add("body", smooth(outline), skin, group="coat", marks=[Mark(under, belly.rgb, drawn=False)])
    side = smooth([(0.28, 0.1), (0.14, 0.3), (-0.02, 0.44), (0.02, 0.26), (0.1, 0.1)])
    f.add("side fin", side, skin.shaded(0.82), at=(0.04, 0.36))
    smile = curve([(tip, 0.07), (0.72, 0.08), (0.56, 0.03)])
    f.add("mouth", ellipse(0.6, 0.04, 0.01), skin, strokes=(), detail=2, lines=(smile,))
    f.eye(0.5, -0.04, 0.026)


@category("whale", scene="sea")
def whale(f: Figure) -> None:
    skin, belly = f.paint("blotch", "blue", "navy", "night", "steel"), f.paint("plain", "white", "silver")
    high, lift, water = f.trait(0.46, 0.54), f.pose(-0.05, 0.12), f.paint("plain", "sky")
    for side in (-1, 1):
        jet = [(0.42, -high * 0.8), (0.42 + side * 0.08, -high - 0.24), (0.42 + side * 0.28, -high - 0.2 - lift)]
        f.thin("spout", jet, 0.03, water, detail=0)
    f.at({"spout": (0.42, -high)})
    for side, tag in SIDES:
        fluke = leaf((-1.0, -0.42 - lift), (-1.04 + side * 0.3, -0.68 - lift), 0.5, side * 0.3)
        f.add("fluke", fluke, skin, group="coat", at={f"{tag} fluke": (-1.04 + side * 0.27, -0.66 - lift)})
    f.add("stem", limb([(-0.5, 0.1), (-0.86, -0.1), (-1.0, -0.46 - lift)], [0.28, 0.13, 0.07]), skin, group="coat")
    under = Mark(smooth([(1.0, 0.14), (0.5, 0.2), (-0.1, 0.24), (-0.6, 0.2), (-0.4, 0.7), (0.7, 0.7)]), belly.rgb)
    f.add("body", smooth([(0.92, -0.08), (0.72, -0.4), (0.3, -high), (-0.2, -high * 0.75), (-0.68, -0.1), (-0.6, 0.25),
        (-0.2, 0.44), (0.4, 0.46), (0.84, 0.28)]), skin, group="coat", marks=(under,), at={"snout": (0.89, -0.06)})
    f.add("flipper", leaf((0.2, 0.26), (-0.08, 0.62), 0.5), skin.shaded(0.82), at={"flipper tip": (-0.06, 0.58)})
    mouth = curve([(0.9, 0.1), (0.7, 0.14), (0.52, 0.06)])
    f.add("mouth", ellipse(0.6, 0.1, 0.01), skin, strokes=(), detail=1, lines=(mouth,))
    f.eye(0.56, -0.06, 0.03)


@category("octopus", scene="underwater", spin=10)
def octopus(f: Figure) -> None:
    skin = f.paint("blotch", "red", "purple", "orange", "pink", "teal")
    for i, x in enumerate((-0.42, -0.26, -0.09, 0.09, 0.26, 0.42)):
        side = -1 if x < 0 else 1
        reach, curl = 0.3 + abs(x) * 1.5, f.pose(-0.14, 0.14)
        foot = (x + side * reach * 0.95 + curl, 0.78 - abs(x) * 0.9 + curl)
        elbow, wrist = (x + side * reach * 0.25 - curl, 0.44), (x + side * reach * 0.62, 0.62 - abs(x) * 0.4)
        arm = limb([(x * 0.8, 0.1), elbow, wrist, foot], [0.11, 0.085, 0.06, 0.03])
        f.add("arm", arm, skin if i % 2 else skin.shaded(0.9), group="coat")
        if i in (0, 2, 3, 5):
            f.at({f"arm {i + 1} tip": foot})
    wide, tall = f.trait(0.42, 0.5), f.trait(0.5, 0.62)
    head = mirrored((0.0, -tall - 0.14), (wide * 0.8, -tall * 0.8), (wide, -tall * 0.25), (0.36, 0.16), (0.0, 0.24))
    f.add("head", smooth(head), skin, group="coat", at={"head top": (0.0, -tall - 0.1)})
    for side, tag in SIDES:
        f.add("eye white", ellipse(side * 0.16, -0.12, 0.1, 0.11), f.paint("plain", "white"), detail=1)
        f.dot("pupil", side * 0.16 + f.pose(-0.03, 0.03), -0.1, 0.045, "black", at={f"{tag} eye": (side * 0.16, -0.12)})
    f.add("mouth", ellipse(0, 0.08, 0.01), skin, strokes=(), detail=2, lines=(arc(0, 0.02, 0.12, 0.07, 20, 160, 7),))


@category("crab", scene="beach")
def crab(f: Figure) -> None:
    shell, wide, high = f.paint("blotch", "red", "orange", "maroon", "tan"), f.trait(0.5, 0.6), f.trait(0.3, 0.36)
    for side, tag in SIDES:
        for i in range(3):
            step = f.pose(-0.05, 0.05)
            knee = (side * (wide + 0.22 - 0.06 * i), 0.02 + 0.12 * i + step)
            foot = (side * (wide + 0.36 - 0.14 * i) + step, 0.42 + 0.1 * i)
            leg = limb([(side * wide * 0.7, 0.1 + 0.08 * i), knee, foot], [0.05, 0.045, 0.02], steps=3)
            f.add("leg", leg, shell.shaded(0.85))
        elbow, hand = (side * (wide + 0.2), -0.28), (side * (wide + 0.1), -0.62 + f.pose(-0.12, 0.1))
        f.add("arm", limb([(side * wide * 0.75, -0.06), elbow, hand], [0.07, 0.07, 0.06]), shell)
        big = f.trait(0.24, 0.32)
        f.add("claw", shift(turn(path(arc(0, 0, big * 0.8, big, -60, 240, 18), (0.0, 0.02)), side * f.pose(-10, 25)),
            hand[0], hand[1] - big * 0.6), shell, at={f"{tag} claw": (hand[0], hand[1] - big * 0.2)})
    for side, tag in SIDES:
        f.thin("eye stalk", [(side * 0.16, -high * 0.6), (side * 0.18, -high - 0.16)], 0.022, shell)
        f.add("eye white", ellipse(side * 0.18, -high - 0.18, 0.07), f.paint("plain", "white"), detail=1)
        f.dot("pupil", side * 0.18, -high - 0.18, 0.036, "black", at={f"{tag} eye": (side * 0.18, -high - 0.18)})
    f.add("shell", ellipse(0, 0.05, wide, high), shell, lines=(arc(0, 0, 0.18, 0.14, 20, 160, 8),), at=(0, -0.05))
