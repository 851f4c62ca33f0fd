"""Plants and fruit on their stalks: flower, mushroom, cactus, tree."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, Mark, category
from ..shapes import arc, cloud, ellipse, limb, path, shift, smooth, turn
from .anatomy import leaf


@category("flower", scene="meadow", spin=10)
def flower(f: Figure) -> None:
    petal, heart = f.paint("plain", "red", "yellow", "pink", "purple", "white", "orange"), f.paint("grain",
        "gold", "dark wood", "yellow")
    green = f.paint("plain", "green", "lime", "dark green")
    count, long, bend = f.count(5, 9), f.trait(0.42, 0.52), f.pose(-0.16, 0.16)
    f.add("stem", limb([(0.0, -0.3), (bend, 0.35), (0.0, 1.0)], [0.035, 0.035, 0.045]), green, detail=0)
    f.at("stem foot", 0, 0.98)
    for side in (-1, 1):
        y = 0.62 if side < 0 else 0.46
        tip = (bend * 0.6 + side * 0.5, y - 0.22 + f.pose(-0.08, 0.08))
        f.add("leaf", leaf((bend * 0.6, y), tip, 0.4, 0.2 * side), green, detail=0,
            lines=(path((bend * 0.6, y), (tip[0] * 0.7, y - 0.14)),))
        f.at("left leaf" if side < 0 else "right leaf", *tip)
    phase, width = f.pose(0, 60), 2.2 / count
    for k in range(count):
        angle = phase + 360 * k / count
        blade = shift(turn(leaf((0.1, 0), (long, 0), width * 1.5), angle), 0, -0.44)
        f.add("petal", blade, petal.shaded(0.94 + 0.12 * (k % 2)), detail=0)
        if k in (0, count // 3, 2 * count // 3):
            x, y = turn(path((long - 0.04, 0.0)), angle)[0]
            f.at(f"petal {1 + k * 3 // count}", x, y - 0.44)
    f.add("heart", ellipse(0, -0.44, f.trait(0.13, 0.19)), heart, detail=0)
    f.at("heart", 0, -0.44)


@category("mushroom", scene="forest", spin=8)
def mushroom(f: Figure) -> None:
    cap, stalk = f.paint("plain", "red", "orange", "brown", "tan", "maroon"), f.paint("grain", "cream",
        "white")
    wide, high, thick = f.trait(0.62, 0.78), f.trait(0.6, 0.75), f.trait(0.17, 0.26)
    f.add("stalk", smooth([(-thick, -0.1), (thick, -0.1), (thick * 0.9, 0.4), (thick * 1.35, 0.8), (0, 0.88),
        (-thick * 1.35, 0.8), (-thick * 0.9, 0.4)]), stalk, detail=0)
    f.at("stalk foot", 0, 0.83)
    if f.chance(0.6):
        f.add("skirt", smooth([(-thick * 0.9, 0.08), (thick * 0.9, 0.08), (thick * 1.5, 0.26), (0, 0.2),
            (-thick * 1.5, 0.26)]), stalk.shaded(0.93), detail=1)
    f.add("gills", ellipse(0, -0.02, wide * 0.92, 0.13), stalk.shaded(0.78), detail=1)
    spots = [(0.0, -0.42, 0.12), (-0.36, -0.2, 0.09), (0.38, -0.22, 0.1), (-0.16, -0.08, 0.07),
        (0.2, -0.04, 0.06)]
    marks = [Mark(ellipse(x * wide * 1.4, y * high * 1.3, r, r * 0.85), stalk.rgb) for x, y, r in spots]
    dome = [*arc(0, 0.0, wide, high, 180, 360, 22).tolist(), (wide * 0.96, 0.06), (0.4, 0.1), (0.0, 0.05),
        (-0.4, 0.1), (-wide * 0.96, 0.06)]
    f.add("cap", path(*dome), cap, marks=marks if f.chance(0.75) else (), detail=0)
    f.at("cap top", 0, -high + 0.04)
    f.at("cap left", -wide + 0.04, -0.02)
    f.at("cap right", wide - 0.04, -0.02)


@category("cactus", scene="desert", spin=4)
def cactus(f: Figure) -> None:
    green = f.paint("grain", "green", "dark green", "teal", "lime")
    thick, top = f.trait(0.17, 0.24), f.trait(-0.95, -0.8)
    for side, tag in ((-1, "left"), (1, "right")):
        if side > 0 and f.chance(0.15):
            continue
        y, reach = f.trait(-0.1, 0.3), f.trait(0.42, 0.54)
        tip = (side * reach, y - f.trait(0.36, 0.55))
        arm = [(0.0, y), (side * reach * 0.75, y + 0.02), (side * reach, y - 0.12), tip]
        f.add(f"{tag} arm", limb(arm, [thick * 0.62] * 4), green, group="cactus")
        f.at(f"{tag} arm tip", *tip)
    ribs = [smooth([(x, top + 0.08), (x * 1.1, 0.0), (x, 0.75)], closed=False) for x in (-thick * 0.45,
        thick * 0.45)]
    f.add("trunk", limb([(0, top), (0, 0.0), (0, 0.85)], [thick, thick * 1.08, thick]), green,
        group="cactus", lines=ribs)
    f.at("top", 0, top - thick * 0.6)
    f.at("foot", 0, 0.74)
    for i in range(6):
        x, y = (thick * 1.02) * (1 if i % 2 else -1), top + 0.25 + 0.22 * i
        f.thin("spine", [(x, y), (x * 1.4, y - 0.05)], 0.01, f.paint("plain", "cream"), detail=2)
    if f.chance(0.4):
        f.add("bloom", cloud(0.02, top - thick, 0.12, 0.1, 5), f.paint("plain", "rose", "red", "yellow"),
            detail=1)
    f.add("pot" if f.chance(0.4) else "sand", path((-0.42, 0.74), (0.42, 0.74), (0.32, 1.12), (-0.32, 1.12)),
        f.paint("grain", "brick", "orange", "tan"), detail=1)


@category("tree", scene="field", spin=3, unseen=True)
def tree(f: Figure) -> None:
    bark, green = f.paint("wood", "brown", "dark wood"), f.paint("blotch", "green", "dark green", "lime")
    kind = f.pick("round", "round", "fir", "tall")
    thick = f.trait(0.1, 0.16)
    lean = f.pose(-0.06, 0.06)
    f.add("trunk", path((-thick * 0.8, 0.0), (thick * 0.8, 0.0), (thick, 0.7), (thick * 1.9, 0.98),
        (-thick * 1.9, 0.98), (-thick, 0.7)), bark, detail=0)
    f.at("trunk foot", 0, 0.94)
    f.at("trunk", 0, 0.6)
    if kind == "fir":
        for i in range(3):
            y, w = 0.36 - 0.42 * i, 0.66 - 0.15 * i
            f.add("tier", path((-w + lean, y), (lean, y - 0.68), (w + lean, y)), green, group="crown")
        f.at("crown top", lean, -1.1)
        f.at("crown left", -0.6 + lean, 0.33)
        f.at("crown right", 0.6 + lean, 0.33)
        return
    wide, high = (f.trait(0.6, 0.74), 0.55) if kind == "round" else (f.trait(0.4, 0.48), 0.72)
    f.thin("branch", [(0, 0.3), (0.2, 0.05)], 0.04, bark, detail=2)
    f.add("crown", cloud(lean, -0.38, wide, high, f.count(7, 10), 0.2), green, detail=0)
    for x, y in ((-0.25, -0.45), (0.2, -0.3), (0.0, -0.62)):
        curl = cloud(lean + x, y, 0.16, 0.12, 5)
        f.add("tuft", curl, green.shaded(1.14), detail=2, strokes=(curl[16:28],))
    f.at("crown top", lean, -0.38 - high * 0.85)
    f.at("crown left", lean - wide * 0.85, -0.38)
    f.at("crown right", lean + wide * 0.85, -0.38)
