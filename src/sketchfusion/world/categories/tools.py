"""Hand tools and cutlery."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import SIDES, Figure, category
from ..shapes import arc, box, curve, ellipse, limb, path, ring, shift, smooth, turn


@category("hammer", spin=50)
def hammer(f: Figure) -> None:
    thick, wood = f.trait(0.075, 0.1), f.paint("wood", "wood", "tan", "red", "dark wood")
    handle = limb([(-1.0, 0), (-0.25, 0), (0.5, 0)], [thick * 0.9, thick * 1.1, thick * 0.9])
    f.add("handle", handle, wood, at={"handle end": (-1.0, 0)})
    steel, big = f.paint("metal", "steel", "grey", "night"), f.trait(0.3, 0.36)
    if f.chance(0.6):
        claw = [(0.44, -0.1), (0.44, -0.26), (0.5, -0.44), (0.32, -0.64), (0.56, -0.56), (0.7, -0.36), (0.74, -0.1)]
        f.add("claw", smooth(claw), steel, group="head", at={"claw tip": (0.36, -0.6)})
    else:
        f.add("peen", path((0.46, -0.1), (0.5, -big - 0.14), (0.7, -big - 0.14), (0.74, -0.1)), steel, group="head",
            at={"claw tip": (0.6, -big - 0.1)})
    f.add("head", box(0.44, -0.2, 0.76, 0.2, 0.03), steel, group="head")
    f.add("face", box(0.4, 0.18, 0.8, big + 0.12, 0.04), steel.shaded(0.88), at=(0.6, big + 0.06))


@category("axe", spin=45)
def axe(f: Figure) -> None:
    wood, steel = f.paint("wood", "wood", "tan", "dark wood"), f.paint("metal", "steel", "silver", "grey")
    grip = [(-1.0, 0.06), (-0.5, 0.0), (0.2, 0.03), (0.82, 0.0)]
    f.add("handle", limb(grip, [0.085, 0.06, 0.06, 0.065]), wood, at={"handle end": (-1.0, 0.06)})
    drop, wide = f.trait(0.5, 0.66), f.trait(0.26, 0.36)
    for sign in (1, -1) if f.chance(0.3) else (1,):
        low = sign * drop * 0.92
        rim = curve([(0.66 - wide, low), (0.62, sign * (drop + 0.12)), (0.66 + wide * 0.75, low)])
        blade = path((0.76, sign * 0.02), (0.52, sign * 0.02), (0.5, sign * 0.16), (0.46, sign * 0.3), rim,
            (0.78, sign * 0.3), (0.76, sign * 0.14))
        f.add("blade", blade, steel, group="head", lines=(shift(rim, 0.062, -sign * 0.05, 0.9, 0.96),))
        if sign == 1:
            f.at({"edge left": (0.66 - wide + 0.02, drop * 0.9), "edge right": (0.66 + wide * 0.7, drop * 0.9)})
    f.add("eye", box(0.5, -0.11, 0.78, 0.11), steel.shaded(0.85), group="head", at={"head": (0.64, 0.0)})


@category("saw", spin=30, unseen=True)
def saw(f: Figure) -> None:
    steel, wood = f.paint("metal", "steel", "silver"), f.paint("wood", "wood", "red", "dark wood", "orange")
    deep, teeth = f.trait(0.2, 0.28), f.count(12, 16)
    xs = [1.05 - 1.5 * i / (2 * teeth) for i in range(2 * teeth + 1)]
    rim = [(x, 0.18 + (0.1 if i % 2 else 0.0)) for i, x in enumerate(xs)]
    f.add("blade", path((-0.5, -deep), (1.0, -0.02), (1.07, 0.02), *rim, (-0.5, 0.18)), steel,
        at={"blade tip": (1.02, 0.05), "blade heel": (-0.4, 0.16)})
    grip = smooth([(-0.42, -deep - 0.06), (-0.62, -deep - 0.1), (-1.0, -0.22), (-1.02, 0.1), (-0.86, 0.42),
        (-0.62, 0.4), (-0.56, 0.24), (-0.36, 0.16), (-0.38, 0.0)])
    hole = smooth([(-0.62, -0.1), (-0.82, -0.08), (-0.84, 0.12), (-0.74, 0.24), (-0.66, 0.14)])
    loop, gap = path(grip, grip[0]), path(hole, hole[0])
    f.add("handle", path(loop, gap), wood, strokes=(loop, gap),
        at={"handle top": (-0.62, -deep - 0.05), "handle bottom": (-0.78, 0.37)})


@category("scissors", spin=60, unseen=True)
def scissors(f: Figure) -> None:
    steel = f.paint("metal", "steel", "silver", "grey")
    grip = f.paint("plain", "red", "blue", "orange", "green", "black", "purple")
    spread, long, big = f.pose(8, 20), f.trait(0.9, 1.05), f.trait(0.2, 0.25)
    for side, tag in SIDES:
        angle = side * spread
        blade = path((-0.075, 0.02), (0.02 * side - 0.02, -long), (0.02 * side + 0.02, -long), (0.075, 0.02),
            (0.05, 0.3), (-0.05, 0.3))
        tip = turn(path((0.02 * side, -long + 0.04)), angle)[0]
        f.add(f"{tag} blade", turn(blade, angle), steel.shaded(0.85 if side < 0 else 1.0), at={f"{tag} blade tip": tip})
    for side, tag in SIDES:
        cx, cy = turn(path((-side * 0.1, 0.54)), side * spread)[0]
        circles = (arc(cx, cy, big, big * 1.22, 0, 360, 29), arc(cx, cy, big * 0.62, big * 0.82, 0, 360, 29))
        f.add(f"{tag} handle", path(circles[0], circles[1][::-1]), grip, strokes=circles, at=(cx, cy + big * 1.02))
    f.dot("screw", 0, 0.02, 0.045, "grey", at=(0, 0.02))


@category("sword", spin=45, unseen=True)
def sword(f: Figure) -> None:
    steel, gold = f.paint("metal", "steel", "silver"), f.paint("metal", "gold", "brown", "grey")
    leather, half = f.paint("grain", "brown", "black", "maroon", "navy"), f.trait(0.07, 0.1)
    f.add("blade", path((-0.5, -half), (0.9, -half * 0.8), (1.15, 0.0), (0.9, half * 0.8), (-0.5, half)), steel,
        lines=(path((-0.48, 0), (0.86, 0)),), at={"blade tip": (1.12, 0.0)})
    f.add("grip", box(-0.94, -0.05, -0.5, 0.05), leather,
        lines=[path((x, -0.05), (x + 0.04, 0.05)) for x in (-0.84, -0.74, -0.64)], at=(-0.72, 0.0))
    f.add("pommel", ellipse(-1.0, 0, 0.09), gold, at=(-1.0, 0.0))
    reach, bend = f.trait(0.26, 0.36), f.trait(-0.08, 0.12)
    guard = [(-0.5 + bend, -reach), (-0.52, 0.0), (-0.5 + bend, reach)]
    f.add("guard", limb(guard, [0.045, 0.05, 0.045]), gold, at={"guard top": guard[0], "guard bottom": guard[2]})


@category("knife", spin=45)
def knife(f: Figure) -> None:
    steel, long, deep = f.paint("metal", "steel", "silver"), f.trait(0.8, 1.0), f.trait(0.16, 0.24)
    edge = curve([(long, -0.1), (long * 0.75, deep * 0.6), (0.3, deep), (-0.14, deep)])
    f.add("blade", path((-0.14, -0.1), (long * 0.9, -0.11), edge), steel,
        at={"blade tip": (long - 0.03, -0.08), "blade heel": (-0.1, deep - 0.04)})
    grip = [(-0.16, -0.11), (-0.6, -0.1), (-0.98, -0.12), (-1.02, 0.04), (-0.94, 0.1), (-0.55, 0.06), (-0.16, 0.1)]
    f.add("handle", smooth(grip), f.paint("wood", "dark wood", "black", "red", "wood"),
        at={"handle end": (-0.97, -0.02)})
    for x in (-0.76, -0.54, -0.32):
        f.dot("rivet", x, -0.02, 0.026, "silver")


@category("fork", spin=45)
def fork(f: Figure) -> None:
    steel, tines = f.paint("metal", "steel", "silver", "gold"), f.count(3, 4)
    handle = limb([(-1.05, 0), (-0.7, 0), (0.0, 0), (0.35, 0)], [0.08, 0.085, 0.045, 0.05])
    f.add("handle", handle, steel, group="fork", at={"handle end": (-1.05, 0)})
    half = f.trait(0.18, 0.24)
    for i in range(tines):
        y = -half + 2 * half * i / (tines - 1)
        f.add("tine", limb([(0.5, y), (1.05, y)], [0.042, 0.028]), steel, group="fork")
        if i in (0, tines - 1):
            f.at({"first tine" if i == 0 else "last tine": (1.03, y)})
    palm = [(0.62, -half - 0.03), (0.62, half + 0.03), (0.46, half + 0.02), (0.3, 0.04), (0.3, -0.04),
        (0.46, -half - 0.02)]
    f.add("palm", smooth(palm), steel, group="fork", at=(0.5, 0))


@category("key", spin=50)
def key(f: Figure) -> None:
    metal, big = f.paint("metal", "gold", "silver", "grey", "brown"), f.trait(0.28, 0.36)
    style = f.pick("round", "clover")
    for i in range(f.count(2, 3)):
        x = 0.92 - 0.2 * i
        f.add("tooth", box(x - 0.12, 0.0, x, f.trait(0.22, 0.36)), metal, group="key")
        if i == 0:
            f.at({"tooth": (x - 0.06, 0.18)})
    f.add("shaft", box(-0.5, -0.065, 1.0, 0.065, 0.03), metal, group="key", at={"tip": (0.97, 0)})
    f.add("collar", box(-0.38, -0.12, -0.3, 0.12), metal.shaded(0.85), detail=1)
    cx = -0.5 - big
    places, outer, inner, count, end = {
        "round": (((0, 0),), big + 0.06, big * 0.55, 33, big * 0.9),
        "clover": (((0.1, -0.22), (0.1, 0.22), (-0.2, 0)), 0.21, 0.1, 25, 0.36),
    }[style]
    for dx, dy in places:
        circles = [arc(cx + dx, dy, r, r, 0, 360, count) for r in (outer, inner)]
        f.add("bow", ring(cx + dx, dy, outer, inner), metal, group="key", strokes=circles)
    f.at({"bow end": (cx - end, 0)})
