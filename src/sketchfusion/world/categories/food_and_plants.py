"""Food and plants."""

from ..figure import SIDES, Figure, Mark, category, sides
from ..shapes import arc, cloud, curve, ellipse, inside, leaf, limb, mirrored, path, shift, smooth, turn


def stalk(f: Figure, x: float, y: float) -> None:
    """Draw the stem of a fruit, often with a leaf."""
    lean, green = f.pose(-0.08, 0.12), f.paint("plain", "green", "lime", "dark green")
    foot, middle, tip = (x, y + 0.1), (x + lean * 0.4, y - 0.06), (x + lean, y - 0.22)
    stem = limb([foot, middle, tip], [0.035, 0.03, 0.035])
    f.add("stem", stem, f.paint("wood", "dark wood", "brown"), at={"stem tip": tip})
    if f.chance(0.75):
        blade = leaf(middle, (x + 0.4, y - 0.24 + f.pose(-0.08, 0.08)), 0.45)
        f.add("leaf", blade, green, at={"leaf tip": (x + 0.37, y - 0.23)})


@category("apple", scene="table", spin=14)
def apple(f: Figure) -> None:
    skin = f.paint("grain", "red", "lime", "yellow", "maroon", roundness=1.0)
    wide, dip = f.trait(0.74, 0.86), f.trait(0.08, 0.16)
    f.add("fruit", smooth(mirrored((0.0, -0.62 + dip), (wide * 0.42, -0.72), (wide * 0.9, -0.46), (wide, 0.0),
        (wide * 0.76, 0.5), (0.28, 0.76), (0.0, 0.7))), skin, lines=(arc(0.0, -0.62 + dip, 0.2, 0.06, 10, 170, 8),),
        at=sides("{}", wide - 0.04, 0) | {"bottom": (0, 0.66)})
    stalk(f, 0.0, -0.62 + dip)


@category("pear", scene="table", spin=14, unseen=True)
def pear(f: Figure) -> None:
    skin = f.paint("grain", "lime", "yellow", "green", "gold", roundness=1.0)
    wide, neck = f.trait(0.52, 0.62), f.trait(0.2, 0.27)
    f.add("fruit", smooth(mirrored((0, -0.82), (neck * 0.8, -0.74), (neck, -0.42), (neck * 1.5, -0.1), (wide, 0.36),
        (wide * 0.78, 0.76), (0.16, 0.92), (0, 0.88))), skin, at=sides("{}", wide - 0.04, 0.4) | {"bottom": (0, 0.84)})
    stalk(f, 0.0, -0.8)


@category("banana", scene="table", spin=25)
def banana(f: Figure) -> None:
    skin, bend, thick = f.paint("plain", "yellow", "gold", "lime"), f.trait(0.36, 0.5), f.trait(0.19, 0.25)
    outer = [(-1.0, -0.42), (-0.86, -0.06), (-0.5, bend * 0.75), (0.0, bend), (0.5, bend * 0.7), (0.86, -0.1),
        (0.96, -0.36)]
    inner = [(0.88, -0.4), (0.66, -0.18), (0.36, bend * 0.7 - thick * 1.5), (0.0, bend - thick * 2),
        (-0.4, bend * 0.75 - thick * 1.7), (-0.74, -0.2), (-0.9, -0.46)]
    ridge = curve([(-0.9, -0.3), (-0.46, bend * 0.75 - thick * 0.7), (0.0, bend - thick * 0.9),
        (0.46, bend * 0.7 - thick * 0.7), (0.88, -0.26)])
    f.add("fruit", path(curve(outer), curve(inner)), skin, lines=(ridge,), at={"bend": (0, bend - 0.06)})
    stem = path((0.87, -0.4), (0.92, -0.66), (1.04, -0.62), (0.97, -0.33))
    f.add("stem", stem, f.paint("wood", "brown", "dark green"), at=(0.95, -0.52))
    f.add("tip", ellipse(-0.96, -0.45, 0.07), f.paint("plain", "dark wood"), at=(-0.96, -0.44))


@category("strawberry", scene="table", spin=20)
def strawberry(f: Figure) -> None:
    skin, wide = f.paint("grain", "red", "rose", "maroon", roundness=1.0), f.trait(0.58, 0.7)
    seed = f.paint("plain", "yellow", "cream").rgb
    marks = [Mark(ellipse(x, y, 0.032, 0.048), seed) for x, y in [(-0.3, -0.2), (0, -0.26), (0.3, -0.2), (-0.18, 0.06),
        (0.16, 0.06), (-0.34, 0.1), (0.36, 0.1), (-0.08, 0.34), (0.12, 0.36), (0.0, 0.62), (-0.22, 0.4)]]
    outline = mirrored((0, -0.56), (wide * 0.7, -0.56), (wide, -0.2), (wide * 0.66, 0.32), (0.12, 0.86))
    f.add("fruit", smooth(outline), skin, marks=marks, at={"tip": (0, 0.83)} | sides("{}", wide - 0.05, -0.2))
    green = f.paint("plain", "green", "dark green", "lime")
    for i, x in enumerate((-0.5, -0.24, 0.02, 0.28, 0.5)):
        blade = leaf((x * 0.15, -0.6), (x * 1.1, -0.36 + abs(x) * 0.1 + f.pose(-0.05, 0.05)), 0.7)
        f.add("leaf", blade, green.shaded(0.9 + 0.1 * (i % 2)), group="crown")
    f.add("stem", limb([(0, -0.58), (0.04, -0.74), (0.12, -0.86)], [0.04, 0.035, 0.035]), green, at=(0.1, -0.82))


@category("pineapple", scene="table", spin=14)
def pineapple(f: Figure) -> None:
    skin = f.paint("grain", "gold", "orange", "brown", "yellow", roundness=0.9)
    green = f.paint("plain", "green", "dark green", "teal")
    wide, spikes, tall = f.trait(0.42, 0.52), f.count(5, 7), f.trait(0.55, 0.75)
    for k in range(spikes):
        t = k / (spikes - 1) * 2 - 1
        tip = (t * 0.5 + f.pose(-0.04, 0.04), -0.26 - tall * (1 - 0.5 * abs(t)))
        f.add("leaf", leaf((t * 0.14, -0.16), tip, 0.24, 0.3 * t), green.shaded(0.85 + 0.2 * (k % 2)))
        if k in (0, spikes // 2, spikes - 1):
            f.at({{0: "left leaf", spikes - 1: "right leaf"}.get(k, "top leaf"): tip})
    weave, woven = [], ellipse(0, 0.35, wide * 0.97, 0.62)
    for k in range(-4, 5):
        for lean in (0.55, -0.55):
            top, bottom = path((k * 0.22 - lean, -0.28), (k * 0.22 + lean, 0.98))
            line = curve([top, (top + bottom) / 2, bottom], steps=12)
            weave.append(line[inside(line, woven)])
    f.add("fruit", ellipse(0, 0.35, wide, 0.64), skin, lines=[line for line in weave if len(line) > 1],
        at=sides("{}", wide - 0.04, 0.35) | {"bottom": (0, 0.94)})


@category("ice_cream", scene="sky", spin=16)
def ice_cream(f: Figure) -> None:
    waffle, flavours = f.paint("grain", "tan", "gold", "wood"), ("pink", "cream", "brown", "lime", "white", "sky")
    wide, scoops = f.trait(0.36, 0.44), f.count(1, 3)
    grid = [path((side * wide * a, -0.1), (-side * b, y))
        for side in (-1, 1) for a, b, y in ((0.6, 0.16, 0.66), (0.05, 0.26, 0.34))]
    f.add("cone", mirrored((wide, -0.1), (0.03, 1.0)), waffle, lines=grid,
        at={"cone tip": (0, 0.96)} | sides("cone {}", wide - 0.06, -0.06))
    r, places = {1: (0.46, [(0.0, -0.32)]), 2: (0.36, [(0.0, -0.3), (0.0, -0.72)]),
        3: (0.31, [(-0.22, -0.28), (0.22, -0.28), (0.0, -0.66)])}[scoops]
    scoop = path((0, -1), (0.72, -0.7), (1, 0), (0.96, 0.62), (0.6, 0.56), (0.25, 0.8), (-0.15, 0.58), (-0.5, 0.84),
        (-0.95, 0.6), (-1, 0), (-0.72, -0.7))
    for x, y in places:
        f.add("scoop", smooth(shift(scoop, x, y, r)), f.paint("blotch", *flavours))
    f.at({"top scoop": (x, y)})
    if f.chance(0.5):
        f.dot("cherry", x, y - r - 0.06, 0.1, "red", detail=0)


@category("hamburger", scene="table", spin=5)
def hamburger(f: Figure) -> None:
    bun, meat = f.paint("grain", "tan", "gold", "orange", roundness=0.9), f.paint("blotch", "dark wood", "brown")
    wide, high = f.trait(0.86, 0.98), f.trait(0.5, 0.64)
    f.add("bottom bun", smooth(mirrored((wide * 0.94, 0.42), (wide * 0.9, 0.66), (0.5, 0.74))), bun, at=(0, 0.62))
    patty = [(-wide, 0.2), (0, 0.14), (wide, 0.2), (wide * 1.02, 0.36), (0, 0.46), (-wide * 1.02, 0.36)]
    f.add("patty", smooth(patty), meat, at=sides("patty {}", wide - 0.03, 0.3))
    cheese = path((-0.96, 0.12), (0.96, 0.12), (0.7, 0.2), (0.45, 0.36), (0.2, 0.2), (-0.3, 0.2), (-0.52, 0.34),
        (-0.74, 0.2))
    if f.chance(0.7):
        f.add("cheese", shift(cheese, 0, 0, wide, 1), f.paint("plain", "yellow", "orange"), detail=1)
    wave = [(-wide * 1.04 + 2.08 * wide * i / 10, 0.17 if i % 2 else 0.04) for i in range(11)]
    f.add("lettuce", smooth([*wave, (wide, 0.0), (0, -0.04), (-wide, 0.0)]), f.paint("grain", "lime", "green"))
    if f.chance(0.5):
        slice_ = limb([(-wide * 0.8, -0.01), (wide * 0.8, -0.01)], [0.06, 0.06])
        f.add("tomato", slice_, f.paint("plain", "red"), detail=1)
    seeds = [Mark(ellipse(x * wide, y * high - 0.08, 0.05, 0.028, 20 * x), f.paint("plain", "cream").rgb)
        for x, y in ((-0.5, -0.4), (-0.2, -0.72), (0.1, -0.45), (0.42, -0.66), (0.62, -0.32), (-0.74, -0.16))]
    dome = path(arc(0, -0.05, wide, high, 180, 360, 22), (wide * 0.9, 0.03), (-wide * 0.9, 0.03))
    f.add("top bun", dome, bun, marks=seeds, at={"top": (0, -high)})


@category("carrot", scene="table", spin=40)
def carrot(f: Figure) -> None:
    skin, green = f.paint("grain", "orange", "red", "gold"), f.paint("plain", "green", "lime", "dark green")
    wide, count, bend = f.trait(0.2, 0.28), f.count(3, 5), f.pose(-0.1, 0.1)
    for k in range(count):
        t = k / (count - 1) * 2 - 1
        tip = (t * 0.36 + f.pose(-0.05, 0.05), -1.0 + 0.22 * abs(t))
        f.add("leaf", leaf((t * 0.08, -0.36), tip, 0.32, 0.2 * t), green.shaded(0.86 + 0.16 * (k % 2)))
        if k in (0, count - 1):
            f.at({"left leaf" if k == 0 else "right leaf": tip})
    notches = [curve([(x, y), (x + s * 0.1, y + 0.02)])
        for x, y, s in ((-wide * 0.8, -0.1, 1), (wide * 0.7, 0.08, -1), (-wide * 0.55, 0.3, 1), (wide * 0.4, 0.5, -1))]
    outline = [(0, -0.46), (wide * 0.8, -0.42), (wide, -0.2), (wide * 0.66 + bend * 0.5, 0.4), (0.03 + bend, 1.0),
        (-0.03 + bend, 1.0), (-wide * 0.66 + bend * 0.5, 0.4), (-wide, -0.2), (-wide * 0.8, -0.42)]
    f.add("root", smooth(outline), skin, lines=notches,
        at={"tip": (bend, 0.96)} | sides("shoulder {}", wide - 0.04, -0.24))


@category("flower", scene="meadow", spin=10)
def flower(f: Figure) -> None:
    petal = f.paint("plain", "red", "yellow", "pink", "purple", "white", "orange")
    heart, green = f.paint("grain", "gold", "dark wood", "yellow"), f.paint("plain", "green", "lime", "dark green")
    count, long, bend = f.count(5, 9), f.trait(0.42, 0.52), f.pose(-0.16, 0.16)
    stem = limb([(0.0, -0.3), (bend, 0.35), (0.0, 1.0)], [0.035, 0.035, 0.045])
    f.add("stem", stem, green, at={"stem foot": (0, 0.98)})
    for side, tag in SIDES:
        y = 0.62 if side < 0 else 0.46
        tip = (bend * 0.6 + side * 0.5, y - 0.22 + f.pose(-0.08, 0.08))
        f.add("leaf", leaf((bend * 0.6, y), tip, 0.4, 0.2 * side), green,
            lines=(path((bend * 0.6, y), (tip[0] * 0.7, y - 0.14)),), at={f"{tag} leaf": tip})
    phase, width = f.pose(0, 60), 2.2 / count
    for k in range(count):
        angle = phase + 360 * k / count
        blade = shift(turn(leaf((0.1, 0), (long, 0), width * 1.5), angle), 0, -0.44)
        f.add("petal", blade, petal.shaded(0.94 + 0.12 * (k % 2)))
        if k in (0, count // 3, 2 * count // 3):
            x, y = turn(path((long - 0.04, 0.0)), angle)[0]
            f.at({f"petal {1 + k * 3 // count}": (x, y - 0.44)})
    f.add("heart", ellipse(0, -0.44, f.trait(0.13, 0.19)), heart, at=(0, -0.44))


@category("mushroom", scene="forest", spin=8)
def mushroom(f: Figure) -> None:
    cap, stalk = f.paint("plain", "red", "orange", "brown", "tan", "maroon"), f.paint("grain", "cream", "white")
    wide, high, thick = f.trait(0.62, 0.78), f.trait(0.6, 0.75), f.trait(0.17, 0.26)
    foot = mirrored((thick, -0.1), (thick * 0.9, 0.4), (thick * 1.35, 0.8), (0, 0.88))
    f.add("stalk", smooth(foot), stalk, at={"stalk foot": (0, 0.83)})
    if f.chance(0.6):
        skirt = mirrored((thick * 0.9, 0.08), (thick * 1.5, 0.26), (0, 0.2))
        f.add("skirt", smooth(skirt), stalk.shaded(0.93), detail=1)
    f.add("gills", ellipse(0, -0.02, wide * 0.92, 0.13), stalk.shaded(0.78), detail=1)
    spots = [(0.0, -0.42, 0.12), (-0.36, -0.2, 0.09), (0.38, -0.22, 0.1), (-0.16, -0.08, 0.07), (0.2, -0.04, 0.06)]
    marks = [Mark(ellipse(x * wide * 1.4, y * high * 1.3, r, r * 0.85), stalk.rgb) for x, y, r in spots]
    f.add("cap", path(arc(0, 0.0, wide, high, 180, 360, 22), (wide * 0.96, 0.06), (0.4, 0.1), (0.0, 0.05), (-0.4, 0.1),
        (-wide * 0.96, 0.06)), cap, marks=marks if f.chance(0.75) else (),
        at={"cap top": (0, -high + 0.04)} | sides("cap {}", wide - 0.04, -0.02))


@category("cactus", scene="desert", spin=4)
def cactus(f: Figure) -> None:
    green = f.paint("grain", "green", "dark green", "teal", "lime")
    thick, top = f.trait(0.17, 0.24), f.trait(-0.95, -0.8)
    for side, tag in SIDES:
        if side > 0 and f.chance(0.15):
            continue
        y, reach = f.trait(-0.1, 0.3), f.trait(0.42, 0.54)
        tip = (side * reach, y - f.trait(0.36, 0.55))
        arm = [(0.0, y), (side * reach * 0.75, y + 0.02), (side * reach, y - 0.12), tip]
        f.add(f"{tag} arm", limb(arm, [thick * 0.62] * 4), green, group="cactus", at={f"{tag} arm tip": tip})
    ribs = [curve([(x, top + 0.08), (x * 1.1, 0.0), (x, 0.75)]) for x in (-thick * 0.45, thick * 0.45)]
    f.add("trunk", limb([(0, top), (0, 0.0), (0, 0.85)], [thick, thick * 1.08, thick]), green, group="cactus",
        lines=ribs, at={"top": (0, top - thick * 0.6), "foot": (0, 0.74)})
    for i in range(6):
        x, y = thick * 1.02 * (1 if i % 2 else -1), top + 0.25 + 0.22 * i
        f.thin("spine", [(x, y), (x * 1.4, y - 0.05)], 0.01, f.paint("plain", "cream"), detail=2)
    if f.chance(0.4):
        f.add("bloom", cloud(0.02, top - thick, 0.12, 0.1, 5), f.paint("plain", "rose", "red", "yellow"), detail=1)
    f.add("pot" if f.chance(0.4) else "sand", mirrored((0.42, 0.74), (0.32, 1.12)),
        f.paint("grain", "brick", "orange", "tan"), detail=1)


@category("tree", scene="field", spin=3, unseen=True)
def tree(f: Figure) -> None:
    bark, green = f.paint("wood", "brown", "dark wood"), f.paint("blotch", "green", "dark green", "lime")
    kind, thick, lean = f.pick("round", "round", "fir", "tall"), f.trait(0.1, 0.16), f.pose(-0.06, 0.06)
    f.add("trunk", mirrored((thick * 0.8, 0.0), (thick, 0.7), (thick * 1.9, 0.98)), bark,
        at={"trunk foot": (0, 0.94), "trunk": (0, 0.6)})
    if kind == "fir":
        for i in range(3):
            y, w = 0.36 - 0.42 * i, 0.66 - 0.15 * i
            f.add("tier", path((-w + lean, y), (lean, y - 0.68), (w + lean, y)), green, group="crown")
        f.at({"crown top": (lean, -1.1)} | sides("crown {}", 0.6, 0.33, lean))
        return
    wide, high = (f.trait(0.6, 0.74), 0.55) if kind == "round" else (f.trait(0.4, 0.48), 0.72)
    f.thin("branch", [(0, 0.3), (0.2, 0.05)], 0.04, bark, detail=2)
    f.add("crown", cloud(lean, -0.38, wide, high, f.count(7, 10), 0.2), green)
    for x, y in ((-0.25, -0.45), (0.2, -0.3), (0.0, -0.62)):
        curl = cloud(lean + x, y, 0.16, 0.12, 5)
        f.add("tuft", curl, green.shaded(1.14), detail=2, strokes=(curl[16:28],))
    f.at({"crown top": (lean, -0.38 - high * 0.85)} | sides("crown {}", wide * 0.85, -0.38, lean))
