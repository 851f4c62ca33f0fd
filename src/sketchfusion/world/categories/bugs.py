"""Small crawling and flying things: butterfly, spider, snail."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

import numpy as np

from ..figure import Figure, Mark, category
from ..shapes import arc, ellipse, limb, smooth


@category("butterfly", scene="meadow", spin=25)
def butterfly(f: Figure) -> None:
    wing = f.paint("grain", "orange", "blue", "yellow", "purple", "red", "pink")
    low = wing.shaded(0.8) if f.chance(0.5) else f.paint("grain", "orange", "blue", "yellow", "purple")
    spot, dark = f.paint("plain", "white", "black", "yellow").rgb, f.paint("fur", "black", "dark wood")
    wide, fold = f.trait(0.8, 0.95), f.pose(0.75, 1.0)
    size, tall = f.trait(0.09, 0.15), f.trait(0.6, 0.8)
    for side in (-1, 1):
        s = side * fold
        lower = [(s * 0.05, 0.05), (s * wide * 0.6, 0.08), (s * wide * 0.78, 0.36), (s * wide * 0.5, 0.72),
            (s * 0.16, 0.5)]
        f.add("lower wing", smooth(lower), low, marks=(Mark(ellipse(s * wide * 0.48, 0.38, size * fold,
            size), spot),), detail=0)
        f.at("left lower wing" if side < 0 else "right lower wing", s * wide * 0.55, 0.6)
        upper = [(s * 0.04, 0.08), (s * wide * 0.3, -tall * 0.62), (s * wide * 0.8, -tall),
            (s * wide * 1.06, -tall * 0.72), (s * wide * 0.84, -0.06), (s * 0.4, 0.14)]
        rounds = (Mark(ellipse(s * wide * 0.72, -tall * 0.62, size * fold * 1.3, size * 1.3), spot),
            Mark(ellipse(s * wide * 0.42, -0.14, size * 0.7), spot))
        f.add("upper wing", smooth(upper), wing, marks=rounds, detail=0)
        f.at("left wing tip" if side < 0 else "right wing tip", s * wide * 0.98, -tall * 0.8)
    for side in (-1, 1):
        feeler = [(side * 0.02, -0.3), (side * 0.1, -0.55), (side * 0.24, -0.7 + f.pose(-0.05, 0.05))]
        f.thin("feeler", feeler, 0.014, dark, detail=1)
        f.dot("feeler tip", *feeler[-1], 0.03, "black", detail=2)
    f.add("body", limb([(0, -0.26), (0, 0.1), (0, 0.5)], [0.07, 0.075, 0.035]), dark, group="trunk")
    f.add("head", ellipse(0, -0.3, 0.08), dark, group="trunk")
    f.at("head", 0, -0.3)
    f.at("body end", 0, 0.5)


@category("spider", scene="ground", spin=30)
def spider(f: Figure) -> None:
    skin = f.paint("fur", "black", "brown", "dark wood", "grey")
    fat = f.trait(0.34, 0.44)
    for side in (-1, 1):
        for i, (angle, reach) in enumerate(((-1.0, 0.95), (-0.35, 0.9), (0.3, 0.9), (0.95, 1.0))):
            step = f.pose(-0.08, 0.08)
            knee = (side * reach * 0.58, -0.12 + angle * 0.42 - 0.16 + step)
            foot = (side * reach, -0.02 + angle * 0.78 + step)
            spine = [(side * 0.1, -0.12 + angle * 0.08), knee, foot]
            f.add("leg", limb(spine, [0.04, 0.034, 0.018], steps=4), skin, detail=0,
                strokes=(smooth(spine, closed=False),), solid=False)
            if i in (0, 3):
                f.at(f"{'left' if side < 0 else 'right'} {'front' if i == 0 else 'hind'} foot", *foot)
    cross = f.paint("plain", "red", "white", "yellow").rgb
    marks = (Mark(ellipse(0, 0.3, 0.06, 0.16), cross),) if f.chance(0.5) else ()
    f.add("abdomen", ellipse(0, 0.28, fat * 0.82, fat), skin, marks=marks)
    f.at("abdomen", 0, 0.4)
    f.add("head", ellipse(0, -0.18, 0.2, 0.19), skin, detail=0)
    f.at("head", 0, -0.2)
    for x in (-0.07, 0.07):
        f.dot("eye", x, -0.26, 0.032, "white", detail=1)


@category("snail", scene="ground")
def snail(f: Figure) -> None:
    skin, shell = (f.paint("grain", "tan", "cream", "stone"), f.paint("grain", "brown", "orange", "chestnut",
        "rose"))
    rise = f.pose(-0.06, 0.06)
    for x, lean in ((0.72, 0.06), (0.86, 0.16)):
        tip = (x + lean + f.pose(-0.04, 0.04), -0.46 + rise)
        f.thin("horn", [(x, -0.06), tip], 0.02, skin, detail=0)
        f.dot("horn tip", *tip, 0.038, "dark wood", detail=1)
        f.at("near eye" if lean > 0.1 else "far eye", *tip)
    foot = [(0.98, 0.02), (0.84, -0.16 + rise), (0.66, -0.1), (0.52, 0.14), (0.0, 0.3), (-0.6, 0.34),
        (-1.02, 0.5), (-0.4, 0.54), (0.5, 0.52), (0.84, 0.36)]
    smile = arc(0.84, 0.06, 0.09, 0.06, 10, 120, 6)
    f.add("foot", smooth(foot), skin, lines=(smile,))
    f.at("tail", -0.96, 0.48)
    f.at("head", 0.84, 0.0)
    big, turns = f.trait(0.48, 0.58), f.trait(2.1, 3.0)
    t = np.linspace(0, 1, 44)
    unit = np.round(np.stack([np.cos(2 * np.pi * turns * t), np.sin(2 * np.pi * turns * t)], axis=1), 12)
    spiral = unit * (big * 0.97 * (1 - t) + 0.03)[:, None] + np.array([-0.16, -0.06])
    f.add("shell", ellipse(-0.16, -0.06, big), shell, lines=(spiral,))
    f.at("shell centre", -0.16, -0.06)
    f.at("shell top", -0.16, 0.02 - big)
