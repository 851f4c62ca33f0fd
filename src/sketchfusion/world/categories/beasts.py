"""Large four-legged animals: one frame, told apart by neck, head, back and coat."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import COLOURS, Figure, Mark, Paint, category
from ..shapes import arc, cloud, ellipse, limb, path, shift, smooth, turn
from .anatomy import Frame, eye, horn, leaf, tail, trunk


@category("horse", scene="field")
def horse(f: Figure) -> None:
    coat = f.paint("fur", "chestnut", "brown", "tan", "grey", "white")
    mane = f.paint("fur", "black", "dark wood", "cream")
    body = Frame(f.trait(0.52, 0.62), f.trait(0.22, 0.27), f.trait(0.58, 0.7), 0.075, 0.045, swing=0.16)
    rise, up = f.trait(0.48, 0.6), f.pose(-0.04, 0.06)
    x, y = body.length + 0.22, -rise - up
    sway = f.pose(-0.1, 0.1)
    tail(f, [(-body.length, -0.12), (-body.length - 0.16, 0.05), (-body.length - 0.2 + sway, 0.45)],
        [0.03, 0.08, 0.03], mane, "tail")
    trunk(f, body, coat)
    f.add("neck", limb([(body.length - 0.16, 0.0), (body.length + 0.02, -0.22), (x, y)], [0.2, 0.15, 0.09]),
        coat, group="coat")
    f.add("ear", leaf((x - 0.05, y - 0.06), (x - 0.05, y - 0.25), 0.5), coat, group="coat", detail=1)
    head = [(-0.1, -0.06), (0.02, -0.12), (0.2, -0.03), (0.38, 0.06), (0.42, 0.16), (0.34, 0.21),
        (0.18, 0.16), (0.04, 0.16), (-0.08, 0.08)]
    nod = 22 + f.pose(-8, 14)
    f.add("head", shift(turn(smooth(head), nod), x, y), coat, group="coat")
    f.at("nose", x + 0.3, y + 0.22)
    eye(f, x + 0.08, y + 0.0, 0.028)
    ridge = [(x + 0.02, y - 0.13), (x - 0.1, y - 0.06), (body.length - 0.1, -0.34),
        (body.length - 0.3, -0.22), (body.length - 0.16, -0.16), (body.length + 0.0, -0.24),
        (x - 0.06, y + 0.04)]
    f.add("mane", smooth(ridge), mane, detail=0)


@category("cow", scene="field", unseen=True)
def cow(f: Figure) -> None:
    coat = f.paint("fur", "white", "cream", "chestnut")
    patch = COLOURS["black"] if coat.rgb[1] > 150 else COLOURS["white"]
    body = Frame(f.trait(0.64, 0.72), f.trait(0.32, 0.38), f.trait(0.42, 0.5), 0.085, 0.06, swing=0.1)
    spots = tuple(Mark(ellipse(f.trait(a, a + 0.2), f.trait(-0.25, 0.1), f.trait(0.1, 0.17),
        f.trait(0.08, 0.16), f.trait(0, 90)), patch) for a in (-0.6, -0.2, 0.25))
    sway, x, y = f.pose(-0.08, 0.1), body.length + 0.14, -0.28 + f.pose(-0.08, 0.16)
    tail(f, [(-body.length, -0.25), (-body.length - 0.12, 0.0), (-body.length - 0.1 + sway, 0.4)],
        [0.025, 0.02, 0.05], coat, "tail")
    trunk(f, body, coat, spots)
    f.add("udder", ellipse(-0.24, body.height * 0.9, 0.13, 0.1), f.paint("plain", "pink"), detail=1)
    f.add("neck", limb([(body.length - 0.2, -0.05), (x, y)], [0.24, 0.15]), coat, group="coat")
    ivory = f.paint("plain", "cream")
    for side in (-0.1, 0.06):
        f.add("horn", leaf((x + side, y - 0.1), (x + side + 0.05, y - 0.3), 0.32, 0.5), ivory, detail=0)
    head = [(-0.14, -0.1), (0.06, -0.15), (0.26, -0.02), (0.4, 0.1), (0.38, 0.24), (0.22, 0.24),
        (0.02, 0.16), (-0.12, 0.1)]
    nod = f.pose(4, 26)
    f.add("ear", leaf((x - 0.1, y - 0.04), (x - 0.3, y - 0.06), 0.6), coat.shaded(0.85), detail=0)
    f.add("head", shift(turn(smooth(head), nod), x, y), coat, group="coat")
    f.add("muzzle", turn(ellipse(x + 0.33, y + 0.14, 0.09, 0.11), nod, (x, y)),
        f.paint("plain", "pink", "tan"), detail=1)
    f.at("nose", x + 0.28, y + 0.22)
    eye(f, x + 0.06, y - 0.01, 0.025)


@category("giraffe", scene="field", unseen=True)
def giraffe(f: Figure) -> None:
    coat = f.paint("fur", "yellow", "tan", "cream")
    spot = Paint(COLOURS["chestnut"]).rgb
    body = Frame(f.trait(0.42, 0.48), f.trait(0.22, 0.26), f.trait(0.66, 0.78), 0.065, 0.04, swing=0.1)
    rise, lean = f.trait(1.1, 1.4), f.pose(0.2, 0.36)
    x, y = body.length + lean, -rise
    spots = tuple(
        Mark(ellipse(-0.4 + 0.17 * i + f.trait(0, 0.05), -0.14 + 0.17 * j, f.trait(0.05, 0.075),
            f.trait(0.05, 0.07)), spot)
        for i in range(6) for j in range(3)
    )  # fmt: skip
    tail(f, [(-body.length, -0.1), (-body.length - 0.08, 0.1), (-body.length - 0.05, 0.3)],
        [0.02, 0.015, 0.035], coat, "tail")
    trunk(f, body, coat, spots)
    root = (body.length - 0.14, -0.02)
    neck = limb([root, (body.length + lean * 0.45, -rise * 0.5), (x, y)], [0.19, 0.11, 0.075])
    dots = tuple(Mark(ellipse(root[0] + (x - root[0]) * t + o, root[1] + (y - root[1]) * t, 0.045, 0.05),
        spot) for t, o in ((0.12, -0.08), (0.2, 0.06), (0.33, -0.03), (0.46, 0.03), (0.58, -0.02),
        (0.7, 0.02), (0.83, -0.01)))
    f.add("neck", neck, coat, group="coat", marks=dots)
    f.at("neck", (root[0] + x) / 2 + 0.02, (root[1] + y) / 2)
    for side in (-0.03, 0.05):
        f.thin("horn", [(x + side, y - 0.06), (x + side - 0.02, y - 0.2)], 0.018, coat.shaded(0.7), detail=0)
        f.dot("horn tip", x + side - 0.02, y - 0.2, 0.028, "dark wood", detail=1)
    f.add("ear", leaf((x - 0.04, y - 0.03), (x - 0.2, y - 0.1), 0.5), coat, group="coat", detail=1)
    head = [(-0.07, -0.05), (0.04, -0.09), (0.2, 0.0), (0.32, 0.09), (0.3, 0.16), (0.14, 0.13),
        (-0.04, 0.08)]
    f.add("head", shift(turn(smooth(head), f.pose(-6, 16)), x, y), coat, group="coat")
    f.at("nose", x + 0.27, y + 0.11)
    eye(f, x + 0.06, y - 0.01, 0.02)


@category("rhinoceros", scene="field", unseen=True)
def rhinoceros(f: Figure) -> None:
    hide = f.paint("blotch", "grey", "stone")
    body = Frame(f.trait(0.68, 0.76), f.trait(0.36, 0.42), f.trait(0.28, 0.34), 0.12, 0.1, swing=0.08)
    x, y = body.length + 0.16, -0.02 + f.pose(-0.06, 0.1)
    tail(f, [(-body.length, -0.15), (-body.length - 0.1, 0.02), (-body.length - 0.08, 0.2)],
        [0.025, 0.02, 0.03], hide, "tail")
    trunk(f, body, hide, hump=0.08)
    f.add("neck", limb([(body.length - 0.25, -0.05), (x, y)], [0.32, 0.2]), hide, group="coat")
    fold = smooth([(body.length - 0.24, -0.3), (body.length - 0.18, 0.0), (body.length - 0.26, 0.28)],
        closed=False)
    head = [(-0.14, -0.2), (0.08, -0.18), (0.24, -0.06), (0.42, -0.02), (0.48, 0.1), (0.4, 0.2),
        (0.14, 0.22), (-0.12, 0.18)]
    bone = f.paint("plain", "cream", "stone")
    big = f.trait(0.36, 0.48)
    f.add("second horn", horn((x + 0.14, y - 0.1), (x + 0.29, y - 0.04), (x + 0.27, y - 0.08 - big * 0.5),
        0.12), bone, detail=1)
    f.add("head", shift(smooth(head), x, y), hide, group="coat", lines=(fold,))
    f.add("horn", horn((x + 0.33, y - 0.04), (x + 0.49, y + 0.1), (x + 0.56, y - big), 0.16), bone, detail=0)
    f.at("horn tip", x + 0.55, y - big + 0.05)
    for side in (-0.1, 0.02):
        f.add("ear", leaf((x + side, y - 0.14), (x + side - 0.08, y - 0.34), 0.5), hide, group="coat",
            detail=1)
    eye(f, x + 0.18, y + 0.0, 0.024)


@category("elephant", scene="field")
def elephant(f: Figure) -> None:
    hide = f.paint("blotch", "grey", "stone", "silver")
    body = Frame(f.trait(0.62, 0.7), f.trait(0.42, 0.5), f.trait(0.44, 0.52), 0.14, 0.13, swing=0.1)
    x, y = body.length + 0.12, -0.2 + f.pose(-0.06, 0.06)
    tail(f, [(-body.length, -0.2), (-body.length - 0.1, 0.05), (-body.length - 0.08, 0.3)],
        [0.025, 0.02, 0.03], hide, "tail")
    trunk(f, body, hide)
    curl, drop = f.pose(-0.1, 0.3), f.trait(0.75, 0.9)
    f.add("tusk", leaf((x + 0.16, y + 0.2), (x + 0.46, y + 0.34), 0.3, -0.5), f.paint("plain", "cream"),
        detail=0)
    nose = [(x + 0.2, y + 0.05), (x + 0.36, y + drop * 0.45), (x + 0.32, y + drop * 0.85),
        (x + 0.36 + curl, y + drop)]
    f.add("trunk", limb(nose, [0.17, 0.1, 0.07, 0.05]), hide, group="coat")
    f.at("trunk tip", *nose[-1])
    f.add("head", ellipse(x + 0.02, y, 0.3, 0.32), hide, group="coat")
    size = f.trait(0.28, 0.36)
    ear = [(0.1, -0.75), (0.2, 0.0), (0.0, 0.7), (-0.35, 1.0), (-0.75, 0.5), (-0.9, -0.3), (-0.5, -0.95)]
    f.add("ear", shift(turn(smooth(ear), f.pose(-8, 12)), x + 0.02, y + 0.02, size), hide.shaded(0.86),
        detail=0)
    f.at("ear", x - 0.1, y + 0.03)
    eye(f, x + 0.15, y - 0.06, 0.026)


@category("camel", scene="desert")
def camel(f: Figure) -> None:
    coat = f.paint("fur", "tan", "cream", "brown")
    body = Frame(f.trait(0.52, 0.6), f.trait(0.22, 0.27), f.trait(0.58, 0.68), 0.075, 0.05, swing=0.12)
    two, size = f.chance(0.5), f.trait(0.26, 0.34)
    x, y = body.length + f.trait(0.36, 0.44), -f.trait(0.46, 0.56) + f.pose(-0.05, 0.05)
    tail(f, [(-body.length, -0.1), (-body.length - 0.09, 0.1), (-body.length - 0.06, 0.3)],
        [0.02, 0.018, 0.04], coat, "tail")
    trunk(f, body, coat)
    for cx in (-0.26, 0.22) if two else (-0.02,):
        width = 0.2 if two else 0.3
        bump = [(cx - width, -0.05), (cx - width * 0.6, -0.22 - size * 0.5), (cx, -0.2 - size),
            (cx + width * 0.6, -0.22 - size * 0.5), (cx + width, -0.05)]
        f.add("hump", smooth(bump), coat, group="coat")
        f.at("hump" if cx < 0 else "second hump", cx, -0.17 - size)
    f.add("neck", limb([(body.length - 0.14, 0.0), (body.length + 0.16, 0.1), (x - 0.06, y + 0.3), (x, y)],
        [0.19, 0.13, 0.09, 0.075]), coat, group="coat")
    f.add("ear", leaf((x - 0.03, y - 0.04), (x - 0.09, y - 0.18), 0.55), coat, group="coat", detail=1)
    head = [(-0.08, -0.06), (0.04, -0.1), (0.18, -0.04), (0.34, 0.0), (0.38, 0.09), (0.3, 0.14), (0.14, 0.1),
        (-0.06, 0.09)]
    f.add("head", shift(turn(smooth(head), f.pose(-8, 8)), x, y), coat, group="coat")
    f.at("nose", x + 0.33, y + 0.06)
    eye(f, x + 0.09, y - 0.02, 0.02)


@category("sheep", scene="field")
def sheep(f: Figure) -> None:
    wool, face = f.paint("blotch", "white", "cream"), f.paint("fur", "black", "tan", "dark wood")
    body = Frame(f.trait(0.5, 0.58), f.trait(0.34, 0.4), f.trait(0.36, 0.42), 0.05, 0.04, stance=0.55,
        swing=0.08)
    trunk(f, body, face)
    bumps = f.count(11, 14)
    f.add("fleece", cloud(0.0, -0.06, body.length + 0.1, body.height + 0.08, bumps), wool)
    f.at("fleece", 0.0, -0.1)
    f.add("tail", cloud(-body.length - 0.08, -0.1, 0.12, 0.1, 5), wool, group="wool", detail=1)
    x, y = body.length + 0.1, -0.24 + f.pose(-0.06, 0.12)
    head = [(-0.12, -0.12), (0.06, -0.16), (0.2, -0.02), (0.28, 0.14), (0.2, 0.22), (0.04, 0.16),
        (-0.1, 0.08)]
    f.add("head", shift(turn(smooth(head), f.pose(0, 18)), x, y, 1.15), face)
    f.at("nose", x + 0.24, y + 0.2)
    f.add("ear", leaf((x - 0.02, y - 0.08), (x - 0.24, y + 0.04), 0.6), face.shaded(0.85), detail=0)
    f.add("topknot", cloud(x - 0.02, y - 0.18, 0.16, 0.1, 6), wool, detail=1)
    f.dot("eye white", x + 0.09, y - 0.02, 0.04, "white", detail=1)
    eye(f, x + 0.1, y - 0.01, 0.022)


@category("pig", scene="field")
def pig(f: Figure) -> None:
    skin = f.paint("plain", "pink", "rose", "skin")
    body = Frame(f.trait(0.58, 0.66), f.trait(0.36, 0.43), f.trait(0.22, 0.28), 0.085, 0.065, swing=0.06)
    x, y = body.length + 0.04, -0.12 + f.pose(-0.06, 0.08)
    curl = smooth([(-body.length, -0.18), (-body.length - 0.12, -0.16), (-body.length - 0.1, -0.28),
        (-body.length - 0.05, -0.2), (-body.length - 0.2, -0.2)], closed=False)
    f.thin("tail", [(float(a), float(b)) for a, b in curl[::4]], 0.022, skin.shaded(0.85), detail=0)
    f.at("tail tip", float(curl[-1, 0]), float(curl[-1, 1]))
    trunk(f, body, skin)
    f.add("head", ellipse(x, y, 0.29, 0.27), skin, group="coat")
    f.add("snout", limb([(x + 0.2, y + 0.06), (x + 0.36, y + 0.07)], [0.13, 0.12]), skin, group="coat")
    f.add("nose", ellipse(x + 0.42, y + 0.07, 0.07, 0.12), skin.shaded(0.8), detail=0)
    f.at("nose", x + 0.42, y + 0.07)
    f.dot("nostril", x + 0.42, y + 0.03, 0.018, "maroon", detail=2)
    f.dot("nostril", x + 0.42, y + 0.1, 0.018, "maroon", detail=2)
    flop = f.pose(-0.03, 0.06)
    for side in (-0.16, 0.06):
        f.add("ear", path((x + side - 0.06, y - 0.18), (x + side + 0.16 + flop, y - 0.4),
            (x + side + 0.12, y - 0.16)), skin.shaded(0.85), detail=0)
    smile = arc(x + 0.2, y + 0.12, 0.12, 0.08, 40, 130, 7)
    f.add("cheek", ellipse(x + 0.05, y + 0.1, 0.06), skin.shaded(1.06), detail=3, lines=(smile,))
    eye(f, x + 0.1, y - 0.06, 0.026)
