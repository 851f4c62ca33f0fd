"""Instruments: guitar, drum, trumpet."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, category
from ..shapes import arc, box, ellipse, limb, path, shift, smooth


@category("guitar", scene="wall", spin=45)
def guitar(f: Figure) -> None:
    wood, neck = f.paint("wood", "wood", "orange", "tan", "maroon", "red", "navy"), f.paint("wood",
        "dark wood", "brown")
    wide, waist, long = f.trait(0.4, 0.48), f.trait(0.22, 0.27), f.trait(-1.1, -0.95)
    right = [(0.07, -0.22), (wide * 0.66, -0.2), (wide * 0.76, 0.04), (waist, 0.24), (wide, 0.52),
        (wide * 0.84, 0.84), (0.2, 1.0)]
    outline = [*right, *[(-x, y) for x, y in right[::-1]]]
    f.add("body", smooth(outline), wood)
    f.at("body bottom", 0, 0.96)
    f.at("waist left", -waist + 0.03, 0.24)
    f.at("waist right", waist - 0.03, 0.24)
    f.add("sound hole", ellipse(0, 0.2, 0.135), f.paint("plain", "black", roundness=0.1), detail=0)
    f.add("bridge", box(-0.2, 0.62, 0.2, 0.69, 0.02), neck, detail=1)
    f.at("bridge", 0, 0.65)
    frets = [path((-0.085, long + t), (0.085, long + t)) for t in (0.18, 0.34, 0.48, 0.6)]
    f.add("neck", box(-0.085, long, 0.085, 0.06), neck, detail=0, lines=frets)
    f.add("head", path((-0.07, long), (-0.13, long - 0.08), (-0.11, long - 0.34), (0.11, long - 0.34),
        (0.13, long - 0.08), (0.07, long)), neck.shaded(0.8), detail=0)
    f.at("head", 0, long - 0.3)
    for side in (-1, 1):
        for i in range(3):
            f.add("peg", ellipse(side * 0.16, long - 0.1 - 0.1 * i, 0.04, 0.03),
                f.paint("metal", "silver", "gold"), detail=1)
    for x in (-0.035, 0.035):
        f.thin("string", [(x, long - 0.1), (x, 0.65)], 0.007, f.paint("metal", "silver"), detail=1)


@category("drum", scene="room", spin=6)
def drum(f: Figure) -> None:
    shell, rim = f.paint("plain", "red", "blue", "green", "orange", "purple", "teal"), f.paint("metal",
        "gold", "silver", "white")
    skin, wood = f.paint("grain", "cream", "white"), f.paint("wood", "tan", "wood", "dark wood")
    wide, low = f.trait(0.66, 0.78), f.trait(0.4, 0.62)
    zig, count = [], f.count(4, 6)
    for i in range(count):
        x0, x1 = -wide + 2 * wide * i / count, -wide + 2 * wide * (i + 1) / count

        def sag(x: float) -> float:
            return 0.15 * (1 - (x / wide) * (x / wide)) ** 0.5 if abs(x) < wide else 0.0

        zig.append(path((x0, -0.22 + sag(x0)), ((x0 + x1) / 2, low - 0.08 + sag((x0 + x1) / 2)),
            (x1, -0.22 + sag(x1))))
    bottom = arc(0, low, wide, 0.17, 0, 180, 18).tolist()
    f.add("shell", path((-wide, -0.3), (wide, -0.3), *bottom), shell, lines=zig, group="shell")
    f.at("foot left", -wide + 0.04, low)
    f.at("foot right", wide - 0.04, low)
    top, base = arc(0, -0.24, wide, 0.17, 180, 0, 18), arc(0, low - 0.08, wide, 0.17, 180, 0, 18)
    for edge in (top, base):
        band = path(*edge.tolist(), *shift(edge[::-1], 0, 0.09).tolist())
        f.add("hoop", band, rim, detail=1)
    f.add("skin", ellipse(0, -0.3, wide, 0.19), skin, detail=0)
    f.at("rim left", -wide + 0.05, -0.3)
    f.at("rim right", wide - 0.05, -0.3)
    for side in (-1, 1):
        tip, end = (side * 0.08 + f.pose(-0.1, 0.1), -0.34), (side * 0.72 + f.pose(-0.14, 0.14), -0.92)
        f.add("stick", limb([tip, end], [0.034, 0.034]), wood, detail=0)
        f.add("bead", ellipse(*tip, 0.065, 0.05), wood.shaded(0.85), detail=1)
        f.at("left stick" if side < 0 else "right stick", *end)


@category("trumpet", scene="wall", spin=20)
def trumpet(f: Figure) -> None:
    brass = f.paint("metal", "gold", "orange", "silver", "yellow", roundness=0.9)
    flare, low = f.trait(0.32, 0.4), f.trait(0.26, 0.34)
    loop = [*arc(-0.3, low / 2 - 0.08, 0.3, low / 2 + 0.08, 90, 270, 12).tolist(),
        *arc(0.2, low / 2 - 0.08, 0.3, low / 2 + 0.08, -90, 90, 12).tolist()]
    hole = [*arc(-0.3, low / 2 - 0.08, 0.21, low / 2 - 0.01, 90, 270, 12).tolist(),
        *arc(0.2, low / 2 - 0.08, 0.21, low / 2 - 0.01, -90, 90, 12).tolist()]
    rim = [path(*loop, loop[0]), path(*hole, hole[0])]
    f.add("tubing", path(*loop, loop[0], hole[0], *hole[::-1]), brass.shaded(0.86), detail=0, strokes=rim)
    f.at("tubing", -0.56, low / 2 - 0.08)
    top = [(-1.0, -0.2), (0.3, -0.2), (0.62, -0.26), (0.86, -0.38), (1.0, -0.16 - flare)]
    upper, lower = smooth(top[1:], closed=False).tolist(), smooth([(1.0, -0.12 + flare), (0.86, 0.1),
        (0.62, -0.03), (0.3, -0.1)], closed=False).tolist()
    f.add("bell", path(top[0], *upper, *lower, (-1.0, -0.1)), brass, detail=0)
    f.at("bell top", 0.98, -0.12 - flare)
    f.at("bell bottom", 0.98, -0.16 + flare)
    f.add("mouth of the bell", ellipse(1.0, -0.14, 0.07, flare + 0.02), brass.shaded(0.75), detail=1)
    f.add("mouthpiece", path((-1.0, -0.19), (-1.1, -0.24), (-1.16, -0.24), (-1.16, -0.06), (-1.1, -0.06),
        (-1.0, -0.11)), brass.shaded(0.9), detail=0)
    f.at("mouthpiece", -1.12, -0.15)
    for i, x in enumerate((-0.22, -0.02, 0.18)):
        press = f.pose(-0.04, 0.1)
        f.thin("piston", [(x, -0.3), (x, -0.46 + press)], 0.022, brass.shaded(0.7), detail=1)
        f.add("valve", box(x - 0.07, -0.32, x + 0.07, low + 0.12, 0.03), brass.shaded(1.05), detail=0)
        f.add("button", box(x - 0.07, -0.53 + press, x + 0.07, -0.46 + press, 0.02), brass.shaded(0.8),
            detail=0)
        f.at(f"valve {i + 1}", x, 0.0)
