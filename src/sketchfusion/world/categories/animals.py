"""Four-legged animals, which share a frame of trunk, legs, ears and tail."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..figure import COLOURS, SIDES, Figure, Mark, Paint, category
from ..shapes import Points, arc, cloud, curve, ellipse, leaf, limb, path, shift, smooth, turn

# The shared frame: trunk, legs, eyes, ears and tails


@dataclass(frozen=True)
class BodyFrame:
    """Sizes of a four-legged body: half length and half height of the trunk, length and half-widths of the legs."""

    length: float
    height: float
    leg: float
    thick: float
    foot: float
    stance: float = 0.72
    swing: float = 0.1


def trunk(f: Figure, body: BodyFrame, coat: Paint, marks: Sequence[Mark] = (), hump: float = 0.0) -> None:
    """Draw the body with its far legs behind it and its near legs in front, in one silhouette."""
    length, height = body.length, body.height
    _legs(f, body, coat.shaded(0.72), near=False)
    outline = [(length, -0.25 * height), (0.62 * length, -0.92 * height), (0.1 * length, -(0.9 + hump) * height),
        (-0.5 * length, -0.95 * height), (-0.95 * length, -0.6 * height), (-1.02 * length, 0.1 * height),
        (-0.62 * length, 0.78 * height), (0.1 * length, 0.95 * height), (0.75 * length, 0.7 * height)]
    f.add("body", smooth(outline), coat, group="coat", marks=marks, at={"back": (0.0, -0.7 * height),
        "rump": (-0.85 * length, -0.2 * height), "belly": (0.05 * length, 0.7 * height)})
    _legs(f, body, coat, near=True)


def _legs(f: Figure, body: BodyFrame, coat: Paint, near: bool) -> None:
    offset = -0.04 if near else 0.13
    for name, side in (("hind", -1), ("front", 1)):
        x = side * body.stance * body.length + offset
        bend = -0.06 * body.leg if side < 0 else 0.03 * body.leg
        hip, foot = (x, 0.25 * body.height), (x + f.pose(-body.swing, body.swing), body.height * 0.5 + body.leg)
        knee = ((hip[0] + foot[0]) / 2 + bend, hip[1] * 0.42 + foot[1] * 0.58)
        leg = limb([hip, knee, foot], [body.thick * 1.35, body.thick * 0.85, body.foot])
        if near:
            f.add(f"{name} leg", leg, coat, group="coat", at={f"{name} knee": knee, f"{name} foot": foot})
        else:
            f.add(f"{name} far leg", leg, coat, group="far legs", detail=1)


def horn(base: tuple[float, float], other: tuple[float, float], tip: tuple[float, float], bend: float) -> Points:
    """Make a spike that stands on the line from base to other and bends sideways by `bend` of its length."""
    dx, dy = tip[0] - (base[0] + other[0]) / 2, tip[1] - (base[1] + other[1]) / 2

    def side(foot: tuple[float, float]) -> Points:
        knee = (foot[0] * 0.45 + tip[0] * 0.55 - dy * bend, foot[1] * 0.45 + tip[1] * 0.55 + dx * bend)
        return curve([foot, knee, tip])

    return np.concatenate([side(base), side(other)[-2::-1]])


def tail(f: Figure, body: BodyFrame, coat: Paint, points: list[tuple[float, float]], widths: list[float],
    sway: float = 0.0, group: str = "tail") -> None:
    """Draw a tail through points relative to the rump, from its root to its tip, which swings by `sway`."""
    spine = [(x - body.length, y) for x, y in points]
    spine[-1] = (spine[-1][0] + sway, spine[-1][1])
    f.add("tail", limb(spine, widths), coat, group=group, at={"tail tip": spine[-1]})


@category("horse", scene="field")
def horse(f: Figure) -> None:
    coat = f.paint("fur", "chestnut", "brown", "tan", "grey", "white")
    mane = f.paint("fur", "black", "dark wood", "cream")
    body = BodyFrame(f.trait(0.52, 0.62), f.trait(0.22, 0.27), f.trait(0.58, 0.7), 0.075, 0.045, swing=0.16)
    x, y = body.length + 0.22, -f.trait(0.48, 0.6) - f.pose(-0.04, 0.06)
    tail(f, body, mane, [(0, -0.12), (-0.16, 0.05), (-0.2, 0.45)], [0.03, 0.08, 0.03], f.pose(-0.1, 0.1))
    trunk(f, body, coat)
    neck = [(body.length - 0.16, 0.0), (body.length + 0.02, -0.22), (x, y)]
    f.add("neck", limb(neck, [0.2, 0.15, 0.09]), coat, group="coat")
    f.add("ear", leaf((x - 0.05, y - 0.06), (x - 0.05, y - 0.25), 0.5), coat, group="coat", detail=1)
    head = smooth([(-0.1, -0.06), (0.02, -0.12), (0.2, -0.03), (0.38, 0.06), (0.42, 0.16), (0.34, 0.21), (0.18, 0.16),
        (0.04, 0.16), (-0.08, 0.08)])
    f.add("head", shift(turn(head, 22 + f.pose(-8, 14)), x, y), coat, group="coat", at={"nose": (x + 0.3, y + 0.22)})
    f.eye(x + 0.08, y, 0.028)
    f.add("mane", smooth([(x + 0.02, y - 0.13), (x - 0.1, y - 0.06), (body.length - 0.1, -0.34),
        (body.length - 0.3, -0.22), (body.length - 0.16, -0.16), (body.length, -0.24), (x - 0.06, y + 0.04)]), mane)


@category("cow", scene="field", unseen=True)
def cow(f: Figure) -> None:
    coat = f.paint("fur", "white", "cream", "chestnut")
    patch = COLOURS["black"] if coat.rgb[1] > 150 else COLOURS["white"]
    body = BodyFrame(f.trait(0.64, 0.72), f.trait(0.32, 0.38), f.trait(0.42, 0.5), 0.085, 0.06, swing=0.1)
    spots = [ellipse(f.trait(a, a + 0.2), f.trait(-0.25, 0.1), f.trait(0.1, 0.17), f.trait(0.08, 0.16), f.trait(0, 90))
        for a in (-0.6, -0.2, 0.25)]
    sway, x, y = f.pose(-0.08, 0.1), body.length + 0.14, -0.28 + f.pose(-0.08, 0.16)
    tail(f, body, coat, [(0, -0.25), (-0.12, 0.0), (-0.1, 0.4)], [0.025, 0.02, 0.05], sway)
    trunk(f, body, coat, [Mark(outline, patch) for outline in spots])
    f.add("udder", ellipse(-0.24, body.height * 0.9, 0.13, 0.1), f.paint("plain", "pink"), detail=1)
    f.add("neck", limb([(body.length - 0.2, -0.05), (x, y)], [0.24, 0.15]), coat, group="coat")
    ivory, nod = f.paint("plain", "cream"), f.pose(4, 26)
    for side in (-0.1, 0.06):
        f.add("horn", leaf((x + side, y - 0.1), (x + side + 0.05, y - 0.3), 0.32, 0.5), ivory)
    f.add("ear", leaf((x - 0.1, y - 0.04), (x - 0.3, y - 0.06), 0.6), coat.shaded(0.85))
    f.add("head", shift(turn(smooth([(-0.14, -0.1), (0.06, -0.15), (0.26, -0.02), (0.4, 0.1), (0.38, 0.24),
        (0.22, 0.24), (0.02, 0.16), (-0.12, 0.1)]), nod), x, y), coat, group="coat")
    muzzle = turn(ellipse(x + 0.33, y + 0.14, 0.09, 0.11), nod, (x, y))
    f.add("muzzle", muzzle, f.paint("plain", "pink", "tan"), detail=1, at={"nose": (x + 0.28, y + 0.22)})
    f.eye(x + 0.06, y - 0.01, 0.025)


@category("giraffe", scene="field", unseen=True)
def giraffe(f: Figure) -> None:
    coat, spot = f.paint("fur", "yellow", "tan", "cream"), COLOURS["chestnut"]
    body = BodyFrame(f.trait(0.42, 0.48), f.trait(0.22, 0.26), f.trait(0.66, 0.78), 0.065, 0.04, swing=0.1)
    rise, lean = f.trait(1.1, 1.4), f.pose(0.2, 0.36)
    x, y = body.length + lean, -rise
    spots = [ellipse(-0.4 + 0.17 * i + f.trait(0, 0.05), -0.14 + 0.17 * j, f.trait(0.05, 0.075), f.trait(0.05, 0.07))
        for i in range(6) for j in range(3)]
    tail(f, body, coat, [(0, -0.1), (-0.08, 0.1), (-0.05, 0.3)], [0.02, 0.015, 0.035])
    trunk(f, body, coat, [Mark(outline, spot) for outline in spots])
    root = (body.length - 0.14, -0.02)
    neck = limb([root, (body.length + lean * 0.45, -rise * 0.5), (x, y)], [0.19, 0.11, 0.075])
    along = ((0.12, -0.08), (0.2, 0.06), (0.33, -0.03), (0.46, 0.03), (0.58, -0.02), (0.7, 0.02), (0.83, -0.01))
    dots = [Mark(ellipse(root[0] + (x - root[0]) * t + o, root[1] + (y - root[1]) * t, 0.045, 0.05), spot)
        for t, o in along]
    f.add("neck", neck, coat, group="coat", marks=dots, at=((root[0] + x) / 2 + 0.02, (root[1] + y) / 2))
    for side in (-0.03, 0.05):
        f.thin("horn", [(x + side, y - 0.06), (x + side - 0.02, y - 0.2)], 0.018, coat.shaded(0.7), detail=0)
        f.dot("horn tip", x + side - 0.02, y - 0.2, 0.028, "dark wood")
    f.add("ear", leaf((x - 0.04, y - 0.03), (x - 0.2, y - 0.1), 0.5), coat, group="coat", detail=1)
    head = smooth([(-0.07, -0.05), (0.04, -0.09), (0.2, 0.0), (0.32, 0.09), (0.3, 0.16), (0.14, 0.13), (-0.04, 0.08)])
    head = shift(turn(head, f.pose(-6, 16)), x, y)
    f.add("head", head, coat, group="coat", at={"nose": (x + 0.27, y + 0.11)})
    f.eye(x + 0.06, y - 0.01, 0.02)


@category("rhinoceros", scene="field", unseen=True)
def rhinoceros(f: Figure) -> None:
    hide = f.paint("blotch", "grey", "stone")
    body = BodyFrame(f.trait(0.68, 0.76), f.trait(0.36, 0.42), f.trait(0.28, 0.34), 0.12, 0.1, swing=0.08)
    x, y = body.length + 0.16, -0.02 + f.pose(-0.06, 0.1)
    tail(f, body, hide, [(0, -0.15), (-0.1, 0.02), (-0.08, 0.2)], [0.025, 0.02, 0.03])
    trunk(f, body, hide, hump=0.08)
    f.add("neck", limb([(body.length - 0.25, -0.05), (x, y)], [0.32, 0.2]), hide, group="coat")
    fold = curve([(body.length - 0.24, -0.3), (body.length - 0.18, 0.0), (body.length - 0.26, 0.28)])
    bone, big = f.paint("plain", "cream", "stone"), f.trait(0.36, 0.48)
    small = horn((x + 0.14, y - 0.1), (x + 0.29, y - 0.04), (x + 0.27, y - 0.08 - big * 0.5), 0.12)
    f.add("second horn", small, bone, detail=1)
    f.add("head", shift(smooth([(-0.14, -0.2), (0.08, -0.18), (0.24, -0.06), (0.42, -0.02), (0.48, 0.1), (0.4, 0.2),
        (0.14, 0.22), (-0.12, 0.18)]), x, y), hide, group="coat", lines=(fold,))
    f.add("horn", horn((x + 0.33, y - 0.04), (x + 0.49, y + 0.1), (x + 0.56, y - big), 0.16), bone,
        at={"horn tip": (x + 0.55, y - big + 0.05)})
    for side in (-0.1, 0.02):
        f.add("ear", leaf((x + side, y - 0.14), (x + side - 0.08, y - 0.34), 0.5), hide, group="coat", detail=1)
    f.eye(x + 0.18, y, 0.024)


@category("elephant", scene="field")
def elephant(f: Figure) -> None:
    hide = f.paint("blotch", "grey", "stone", "silver")
    body = BodyFrame(f.trait(0.62, 0.7), f.trait(0.42, 0.5), f.trait(0.44, 0.52), 0.14, 0.13, swing=0.1)
    x, y = body.length + 0.12, -0.2 + f.pose(-0.06, 0.06)
    tail(f, body, hide, [(0, -0.2), (-0.1, 0.05), (-0.08, 0.3)], [0.025, 0.02, 0.03])
    trunk(f, body, hide)
    curl, drop = f.pose(-0.1, 0.3), f.trait(0.75, 0.9)
    f.add("tusk", leaf((x + 0.16, y + 0.2), (x + 0.46, y + 0.34), 0.3, -0.5), f.paint("plain", "cream"))
    nose = [(x + 0.2, y + 0.05), (x + 0.36, y + drop * 0.45), (x + 0.32, y + drop * 0.85), (x + 0.36 + curl, y + drop)]
    f.add("trunk", limb(nose, [0.17, 0.1, 0.07, 0.05]), hide, group="coat", at={"trunk tip": nose[-1]})
    f.add("head", ellipse(x + 0.02, y, 0.3, 0.32), hide, group="coat")
    size = f.trait(0.28, 0.36)
    ear = smooth([(0.1, -0.75), (0.2, 0.0), (0.0, 0.7), (-0.35, 1.0), (-0.75, 0.5), (-0.9, -0.3), (-0.5, -0.95)])
    ear = shift(turn(ear, f.pose(-8, 12)), x + 0.02, y + 0.02, size)
    f.add("ear", ear, hide.shaded(0.86), at=(x - 0.1, y + 0.03))
    f.eye(x + 0.15, y - 0.06, 0.026)


@category("camel", scene="desert")
def camel(f: Figure) -> None:
    coat = f.paint("fur", "tan", "cream", "brown")
    body = BodyFrame(f.trait(0.52, 0.6), f.trait(0.22, 0.27), f.trait(0.58, 0.68), 0.075, 0.05, swing=0.12)
    two, size = f.chance(0.5), f.trait(0.26, 0.34)
    x, y = body.length + f.trait(0.36, 0.44), -f.trait(0.46, 0.56) + f.pose(-0.05, 0.05)
    tail(f, body, coat, [(0, -0.1), (-0.09, 0.1), (-0.06, 0.3)], [0.02, 0.018, 0.04])
    trunk(f, body, coat)
    for cx in (-0.26, 0.22) if two else (-0.02,):
        width = 0.2 if two else 0.3
        bump = [(cx - width, -0.05), (cx - width * 0.6, -0.22 - size * 0.5), (cx, -0.2 - size),
            (cx + width * 0.6, -0.22 - size * 0.5), (cx + width, -0.05)]
        f.add("hump", smooth(bump), coat, group="coat", at={"hump" if cx < 0 else "second hump": (cx, -0.17 - size)})
    neck = [(body.length - 0.14, 0.0), (body.length + 0.16, 0.1), (x - 0.06, y + 0.3), (x, y)]
    f.add("neck", limb(neck, [0.19, 0.13, 0.09, 0.075]), coat, group="coat")
    f.add("ear", leaf((x - 0.03, y - 0.04), (x - 0.09, y - 0.18), 0.55), coat, group="coat", detail=1)
    head = [(-0.08, -0.06), (0.04, -0.1), (0.18, -0.04), (0.34, 0.0), (0.38, 0.09), (0.3, 0.14), (0.14, 0.1),
        (-0.06, 0.09)]
    f.add("head", shift(turn(smooth(head), f.pose(-8, 8)), x, y), coat, group="coat", at={"nose": (x + 0.33, y + 0.06)})
    f.eye(x + 0.09, y - 0.02, 0.02)


@category("sheep", scene="field")
def sheep(f: Figure) -> None:
    wool, face = f.paint("blotch", "white", "cream"), f.paint("fur", "black", "tan", "dark wood")
    body = BodyFrame(f.trait(0.5, 0.58), f.trait(0.34, 0.4), f.trait(0.36, 0.42), 0.05, 0.04, stance=0.55, swing=0.08)
    trunk(f, body, face)
    fleece = cloud(0.0, -0.06, body.length + 0.1, body.height + 0.08, bumps=f.count(11, 14))
    f.add("fleece", fleece, wool, at=(0.0, -0.1))
    f.add("tail", cloud(-body.length - 0.08, -0.1, 0.12, 0.1, 5), wool, group="wool", detail=1)
    x, y = body.length + 0.1, -0.24 + f.pose(-0.06, 0.12)
    head = [(-0.12, -0.12), (0.06, -0.16), (0.2, -0.02), (0.28, 0.14), (0.2, 0.22), (0.04, 0.16), (-0.1, 0.08)]
    f.add("head", shift(turn(smooth(head), f.pose(0, 18)), x, y, 1.15), face, at={"nose": (x + 0.24, y + 0.2)})
    f.add("ear", leaf((x - 0.02, y - 0.08), (x - 0.24, y + 0.04), 0.6), face.shaded(0.85))
    f.add("topknot", cloud(x - 0.02, y - 0.18, 0.16, 0.1, 6), wool, detail=1)
    f.dot("eye white", x + 0.09, y - 0.02, 0.04, "white")
    f.eye(x + 0.1, y - 0.01, 0.022)


@category("pig", scene="field")
def pig(f: Figure) -> None:
    skin = f.paint("plain", "pink", "rose", "skin")
    body = BodyFrame(f.trait(0.58, 0.66), f.trait(0.36, 0.43), f.trait(0.22, 0.28), 0.085, 0.065, swing=0.06)
    x, y = body.length + 0.04, -0.12 + f.pose(-0.06, 0.08)
    curl = curve([(-body.length, -0.18), (-body.length - 0.12, -0.16), (-body.length - 0.1, -0.28),
        (-body.length - 0.05, -0.2), (-body.length - 0.2, -0.2)])
    f.thin("tail", curl[::4], 0.022, skin.shaded(0.85), detail=0, at={"tail tip": curl[-1]})
    trunk(f, body, skin)
    f.add("head", ellipse(x, y, 0.29, 0.27), skin, group="coat")
    f.add("snout", limb([(x + 0.2, y + 0.06), (x + 0.36, y + 0.07)], [0.13, 0.12]), skin, group="coat")
    f.add("nose", ellipse(x + 0.42, y + 0.07, 0.07, 0.12), skin.shaded(0.8), at=(x + 0.42, y + 0.07))
    for drop in (0.03, 0.1):
        f.dot("nostril", x + 0.42, y + drop, 0.018, "maroon", detail=2)
    flop = f.pose(-0.03, 0.06)
    for side in (-0.16, 0.06):
        ear = path((x + side - 0.06, y - 0.18), (x + side + 0.16 + flop, y - 0.4), (x + side + 0.12, y - 0.16))
        f.add("ear", ear, skin.shaded(0.85))
    smile = arc(x + 0.2, y + 0.12, 0.12, 0.08, 40, 130, 7)
    f.add("cheek", ellipse(x + 0.05, y + 0.1, 0.06), skin.shaded(1.06), detail=3, lines=(smile,))
    f.eye(x + 0.1, y - 0.06, 0.026)


@category("dog", scene="field")
def dog(f: Figure) -> None:
    coat = f.paint("fur", "tan", "brown", "white", "black", "chestnut")
    body = BodyFrame(f.trait(0.5, 0.6), f.trait(0.2, 0.25), f.trait(0.36, 0.46), 0.075, 0.05, swing=0.12)
    x, y = body.length + 0.14, -0.42 + f.pose(-0.06, 0.08)
    wag = f.pose(-0.15, 0.2)
    tail(f, body, coat, [(0.05, -0.12), (-0.2, -0.28), (-0.24, -0.55)], [0.06, 0.05, 0.025], -wag, "coat")
    trunk(f, body, coat)
    f.add("neck", limb([(body.length - 0.18, -0.02), (x - 0.04, y + 0.06)], [0.19, 0.14]), coat, group="coat")
    f.add("collar", limb([(body.length - 0.1, -0.34), (body.length + 0.16, -0.14)], [0.03, 0.03]),
        f.paint("plain", "red", "blue", "green"), detail=2)
    nod, long = f.pose(-8, 12), f.trait(0.3, 0.42)
    f.add("muzzle", shift(turn(limb([(0.06, 0.04), (long, 0.09)], [0.12, 0.075]), nod), x, y), coat, group="coat")
    f.add("skull", ellipse(x, y, 0.21, 0.19), coat, group="coat")
    tip = shift(turn(path((long + 0.05, 0.05)), nod), x, y)[0]
    f.dot("nose", tip[0], tip[1], 0.05, "black", detail=0, at=tip)
    if f.chance(0.65):
        ear = smooth([(-0.1, -0.16), (0.04, -0.12), (0.05, 0.1), (-0.03, 0.26), (-0.14, 0.2), (-0.17, 0.0)])
    else:
        ear = path((-0.14, -0.12), (-0.08, -0.4), (0.06, -0.16))
    f.add("ear", shift(turn(ear, f.pose(-6, 10)), x - 0.02, y), coat.shaded(0.62), at=(x - 0.06, y - 0.12))
    mouth = shift(turn(curve([(long, 0.14), (0.24, 0.15), (0.14, 0.1)]), nod), x, y)
    f.add("cheek", ellipse(x + 0.12, y + 0.05, 0.03), coat, detail=3, lines=(mouth,), strokes=())
    f.eye(x + 0.08, y - 0.05, 0.026)


@category("cat", scene="room")
def cat(f: Figure) -> None:
    coat = f.paint("fur", "orange", "grey", "black", "tan", "white")
    body = BodyFrame(f.trait(0.5, 0.58), f.trait(0.21, 0.25), f.trait(0.32, 0.4), 0.07, 0.05, swing=0.12)
    stripes = [limb([(a, -0.32), (a + 0.03, -0.12), (a + 0.02, 0.02)], [0.028, 0.022, 0.005])
        for a in ((-0.38, -0.22, -0.06, 0.1) if f.chance(0.6) else ())]
    bends = [(0.05, -0.1), (-0.22, -0.22), (-0.16, -0.6), (-0.3, -0.8)]
    tail(f, body, coat, bends, [0.05, 0.05, 0.045, 0.035], f.pose(-0.12, 0.2), "coat")
    trunk(f, body, coat, [Mark(stripe, coat.shaded(0.6).rgb) for stripe in stripes])
    x, y = body.length + 0.06, -0.34 + f.pose(-0.05, 0.06)
    tilt, inner = f.pose(-10, 10), f.paint("plain", "pink")
    for side, tag in SIDES:
        ear = path((side * 0.26, 0.0), (side * 0.25, -0.42), (side * 0.04, -0.2))
        f.add("ear", shift(turn(ear, tilt), x, y), coat, group="coat", at={f"{tag} ear": (x + side * 0.21, y - 0.3)})
        within = turn(ear, tilt) * 0.55 + turn(path((side * 0.09, -0.12)), tilt)
        f.add("inner ear", shift(within, x, y), inner, detail=2)
    f.add("head", ellipse(x, y, 0.29, 0.25, tilt), coat, group="coat")
    for side, tag in SIDES:
        spot = shift(turn(path((side * 0.11, -0.04)), tilt), x, y)[0]
        iris = f.paint("plain", "lime", "yellow", "sky")
        f.add("eye", ellipse(spot[0], spot[1], 0.05, 0.06), iris, detail=1, at={f"{tag} eye": spot})
        f.add("pupil", ellipse(spot[0], spot[1], 0.018, 0.045), f.paint("plain", "black"), detail=2)
    nose = shift(turn(path((-0.04, 0.05), (0.04, 0.05), (0.0, 0.1)), tilt), x, y)
    f.add("nose", nose, inner.shaded(0.8), detail=1, at=(x, y + 0.07))
    ink = f.paint("plain", "black", "white")
    for side in (-1, 1):
        for drop in (-0.02, 0.04, 0.1):
            ends = turn(path((side * 0.1, 0.09 + drop * 0.3), (side * 0.42, 0.06 + drop * 1.5)), tilt)
            f.thin("whisker", shift(ends, x, y), 0.008, ink)


@category("rabbit", scene="field")
def rabbit(f: Figure) -> None:
    coat, pink = f.paint("fur", "white", "grey", "brown", "tan"), f.paint("plain", "pink")
    f.add("tail", ellipse(-0.58, 0.28, 0.13), f.paint("fur", "white"), at=(-0.6, 0.28))
    f.add("body", ellipse(-0.12, 0.18, 0.48, f.trait(0.4, 0.48), -14), coat, group="coat", at={"back": (-0.12, -0.12)})
    x, y = 0.38 + f.pose(-0.03, 0.05), -0.28 + f.pose(-0.04, 0.04)
    long = f.trait(0.55, 0.75)
    for i, lean in enumerate((f.pose(-0.34, -0.2), f.pose(-0.12, 0.06))):
        root, tip = x - 0.1 + 0.12 * i, x - 0.06 + lean + 0.1 * i
        f.add("ear", leaf((root, y - 0.12), (tip, y - 0.14 - long), 0.36), coat, group=f"ear{i}")
        inner = leaf((root, y - 0.2), (tip, y - 0.06 - long), 0.2)
        f.add("inner ear", inner, pink, detail=2, at={f"ear {i + 1} tip": (tip, y - 0.1 - long)})
    f.add("head", ellipse(x, y, 0.27, 0.23, 8), coat, group="coat")
    front = [(0.2, 0.2), (0.24, 0.42), (0.34 + f.pose(-0.03, 0.08), 0.58)]
    f.add("front leg", limb(front, [0.1, 0.07, 0.06]), coat, group="coat", at={"front foot": (0.34, 0.57)})
    f.add("haunch", ellipse(-0.3, 0.36, 0.27, 0.25), coat.shaded(0.94), detail=1)
    hind = limb([(-0.36, 0.58), (0.02 + f.pose(-0.05, 0.1), 0.6)], [0.075, 0.065])
    f.add("hind foot", hind, coat, group="coat", at=(-0.02, 0.59))
    f.dot("nose", x + 0.25, y + 0.03, 0.035, "rose", at=(x + 0.25, y + 0.03))
    f.eye(x + 0.1, y - 0.05, 0.032)


@category("mouse", scene="room", unseen=True)
def mouse(f: Figure) -> None:
    coat, pink, sway = f.paint("fur", "grey", "brown", "white"), f.paint("plain", "pink"), f.pose(-0.2, 0.2)
    spine = [(-0.5, 0.24), (-0.75, 0.32), (-0.95, 0.14 + sway), (-1.2, 0.1), (-1.35, -0.06 + sway)]
    tube = limb(spine, [0.045, 0.035, 0.028, 0.022, 0.012])
    f.add("tail", tube, pink.shaded(0.9), strokes=(curve(spine),), at={"tail tip": spine[-1]})
    for x in (-0.3, 0.26):
        f.add("foot", ellipse(x + f.pose(-0.04, 0.06), 0.4, 0.13, 0.05), pink, detail=1)
    fat = f.trait(0.36, 0.44)
    f.add("body", smooth([(0.78, 0.22), (0.5, -0.02), (0.2, -0.16), (-0.15, -fat * 0.7), (-0.48, -0.08), (-0.58, 0.22),
        (-0.36, 0.4), (0.2, 0.4), (0.6, 0.34)]), coat, group="coat", at={"back": (-0.15, -fat * 0.5)})
    big = f.trait(0.19, 0.26)
    for i, (x, y) in enumerate(((0.36, -0.2), (0.2, -0.16))):
        tilt = f.pose(-0.03, 0.03)
        f.add("ear", ellipse(x + tilt, y, big * 0.92, big), coat.shaded(0.9))
        f.add("inner ear", ellipse(x + tilt + 0.02, y + 0.02, big * 0.6, big * 0.66), pink, detail=1,
            at={f"ear {i + 1}": (x, y)})
    f.dot("nose", 0.8, 0.22, 0.05, "rose", detail=0, at=(0.79, 0.22))
    ink = f.paint("plain", "black", "white")
    for dx, dy in ((0.06, 0.12), (0.12, 0.2), (-0.04, 0.22)):
        f.thin("whisker", [(0.68, 0.27), (0.68 + dx, 0.27 + dy)], 0.008, ink, detail=2)
    f.eye(0.56, 0.12, 0.04)


@category("turtle", scene="field")
def turtle(f: Figure) -> None:
    skin, shell = f.paint("blotch", "lime", "green", "tan"), f.paint("blotch", "dark green", "brown", "green")
    high = f.trait(0.46, 0.58)
    f.add("tail", leaf((-0.62, 0.14), (-0.88, 0.2), 0.5), skin, detail=1, at={"tail tip": (-0.85, 0.19)})
    for name, x in (("hind", -0.4), ("front", 0.42)):
        foot = x + f.pose(-0.1, 0.1)
        f.add(f"{name} leg", limb([(x, 0.12), (foot, 0.4)], [0.13, 0.12]), skin, at={f"{name} foot": (foot, 0.42)})
    rise = f.pose(-0.14, 0.02)
    f.add("neck", limb([(0.5, 0.12), (0.82, -0.08 + rise)], [0.12, 0.1]), skin, group="head")
    f.add("head", ellipse(0.92, -0.12 + rise, 0.19, 0.15), skin, group="head", at=(0.95, -0.12 + rise))
    f.eye(0.98, -0.16 + rise, 0.026)
    plates = [arc(x, y, r, r, 0, 360, 7) for x, y, r in ((0.0, -0.1, 0.17), (-0.34, -0.02, 0.14), (0.34, -0.02, 0.14))]
    f.add("shell", path(arc(0, 0.14, 0.72, high, 180, 360, 20), (0.74, 0.2), (-0.74, 0.2)), shell,
        marks=[Mark(p[:-1], shell.shaded(0.72).rgb) for p in plates], at={"shell top": (0.0, 0.18 - high)})
    f.add("rim", limb([(-0.72, 0.18), (0.0, 0.22), (0.72, 0.18)], [0.05, 0.06, 0.05]), shell.shaded(1.2), detail=1)
    f.add("smile", ellipse(0.96, -0.06 + rise, 0.01), skin, detail=3, strokes=(),
        lines=(arc(0.98, -0.1 + rise, 0.1, 0.05, 20, 120, 6),))
