"""Household objects, clothing, musical instruments, hand tools and cutlery."""

from itertools import product

from ..figure import SIDES, Figure, Mark, category, sides
from ..shapes import arc, box, curve, ellipse, flipped, limb, mirrored, path, ring, shift, smooth, turn


@category("teapot", scene="table", spin=6)
def teapot(f: Figure) -> None:
    glaze = f.paint("plain", "white", "blue", "red", "teal", "yellow", "green", "pink", roundness=1.0)
    wide, high = f.trait(0.52, 0.6), f.trait(0.42, 0.52)
    grip = [(-wide * 0.72, -0.2), (-wide - 0.3, -0.34), (-wide - 0.4, 0.02), (-wide - 0.1, 0.3), (-wide * 0.8, 0.26)]
    f.add("handle", limb(grip, [0.055] * 5), glaze.shaded(0.88), at=(-wide - 0.35, -0.08))
    reach = f.trait(0.4, 0.52)
    spout = [(wide * 0.7, 0.22), (wide + 0.18, 0.1), (wide + reach - 0.14, -0.24), (wide + reach, -0.38)]
    tube = limb(spout, [0.17, 0.12, 0.075, 0.075])
    f.add("spout", tube, glaze.shaded(0.94), group="pot", at={"spout tip": spout[-1]})
    f.add("foot", box(-0.3, high + 0.02, 0.3, high + 0.14), glaze.shaded(0.8), detail=1)
    band = curve([(-wide * 0.95, 0.16), (0, 0.26), (wide * 0.95, 0.16)])
    f.add("body", ellipse(0, 0.08, wide, high), glaze, group="pot", lines=(band,) if f.chance(0.4) else (), at=(0, 0.1))
    lid, dome = wide * 0.6, arc(0, -high + 0.16, wide * 0.6, 0.2, 180, 360, 14)
    f.add("lid", path(dome, (lid, -high + 0.2), (-lid, -high + 0.2)), glaze.shaded(1.08))
    f.add("knob", ellipse(0, -high - 0.09, 0.08), glaze.shaded(0.8), at=(0, -high - 0.09))


@category("cup", scene="table", spin=6)
def cup(f: Figure) -> None:
    glaze = f.paint("plain", "white", "blue", "red", "teal", "yellow", "green", "orange", roundness=0.8)
    wide, taper, high = f.trait(0.46, 0.58), f.trait(0.7, 1.0), f.trait(0.5, 0.68)
    for x in (-0.18, 0.16) if f.chance(0.6) else ():
        plume = [(x, -0.62), (x + 0.09 + f.pose(-0.06, 0.06), -0.76), (x - 0.05, -0.92), (x + 0.06, -1.08)]
        f.thin("steam", plume, 0.022, f.paint("plain", "silver", "white"))
    y = -0.05
    grip = [(wide * 0.9, y - 0.28), (wide + 0.3, y - 0.26), (wide + 0.34, y + 0.1), (wide * 0.85, y + 0.3)]
    f.add("handle", limb(grip, [0.065] * 4), glaze.shaded(0.88), at=(wide + 0.33, y - 0.06))
    band = [curve([(-wide * 0.96, d), (0, d + 0.1), (wide * 0.96, d)]) for d in (0.0, 0.14)]
    f.add("body", path((-wide, -0.45), (wide, -0.45), arc(0, high, wide * taper, 0.1, 0, 180, 12)), glaze, group="cup",
        lines=band if f.chance(0.4) else (), at=sides("foot {}", wide * taper - 0.05, high))
    f.add("rim", ellipse(0, -0.45, wide, 0.12), glaze.shaded(1.08))
    f.add("drink", ellipse(0, -0.43, wide * 0.86, 0.085), f.paint("plain", "dark wood", "brown"), detail=1,
        at={"rim left": (-wide + 0.04, -0.45)})


@category("candle", scene="table", spin=4)
def candle(f: Figure) -> None:
    wax = f.paint("plain", "white", "cream", "red", "blue", "pink", "green")
    holder = f.paint("metal", "gold", "silver", "brown")
    thick, top, sway = f.trait(0.13, 0.2), f.trait(-0.5, -0.3), f.pose(-0.05, 0.05)
    f.thin("wick", [(0, top + 0.02), (0.01, top - 0.14)], 0.018, f.paint("plain", "black"))
    tall = f.pose(0.34, 0.46)
    f.add("flame", smooth([(sway, top - 0.1 - tall), (0.1 + sway * 0.5, top - 0.3), (0.12, top - 0.15), (0, top - 0.06),
        (-0.12, top - 0.15), (-0.1 + sway * 0.5, top - 0.3)]), f.paint("plain", "orange", "yellow", roundness=0.1),
        at={"flame tip": (sway, top - 0.06 - tall)})
    core = [(sway * 0.5, top - 0.28), (0.05, top - 0.16), (0, top - 0.08), (-0.05, top - 0.16)]
    f.add("flame core", smooth(core), f.paint("plain", "white", "yellow", roundness=0.1), detail=2)
    drip = f.trait(0.15, 0.4)
    f.add("stick", box(-thick, top, thick, 0.74, 0.03), wax, at=sides("stick top {}", thick - 0.03, top + 0.04))
    run = [(-thick * 0.55, top + 0.03), (-thick * 0.6, top + drip)]
    f.add("drip", limb(run, [0.045, 0.05]), wax.shaded(1.08), detail=1)
    dish = [(-0.5, 0.66), (-0.3, 0.74), (0.3, 0.74), (0.5, 0.66), (0.4, 0.86), (0, 0.9), (-0.4, 0.86)]
    f.add("dish", smooth(dish), holder, at=(0, 0.82))
    if f.chance(0.6):
        loop, hole = arc(0.56, 0.74, 0.15, 0.14, 0, 360, 21), arc(0.56, 0.74, 0.09, 0.08, 360, 0, 21)
        f.add("ring", path(loop, hole), holder.shaded(0.9), detail=1, strokes=(loop,), solid=False)


@category("clock", scene="wall", spin=5)
def clock(f: Figure) -> None:
    case = f.paint("metal", "red", "gold", "blue", "black", "teal", "silver")
    face = f.paint("plain", "white", "cream", roundness=0.2)
    if f.chance(0.5):
        for side in (-1, 1):
            f.add("leg", limb([(side * 0.4, 0.5), (side * 0.56, 0.86)], [0.06, 0.05]), case.shaded(0.8))
            bell = turn(arc(0, 0, 0.3, 0.28, 180, 360, 12), side * 36)
            f.add("bell", shift(bell, side * 0.44, -0.58), case.shaded(0.92))
        f.add("hammer", box(-0.05, -0.92, 0.05, -0.66), case.shaded(0.7), detail=1)
    f.add("case", ellipse(0, 0, 0.78), case)
    f.add("face", ellipse(0, 0, 0.66), face, at=sides("{}", 0.72, 0) | {"twelve": (0, -0.56)})
    ink = f.paint("plain", "black", "navy")
    for k in range(12):
        width, detail = (0.024, 1) if k % 3 == 0 else (0.015, 2)
        f.thin("mark", path(*(arc(0, 0, r, r, 30 * k, 30 * k + 1, 2)[0] for r in (0.5, 0.59))), width, ink, detail)
    hour, minute = f.trait(0, 360), f.trait(0, 360)
    for angle, long, width, name in ((hour, 0.32, 0.034, "hour hand"), (minute, 0.48, 0.024, "minute hand")):
        hand = turn(path((0, 0), (0, -long)), angle)
        f.thin(name, hand, width, ink, detail=0, at=hand[1])
    f.dot("pin", 0, 0, 0.045, "red", detail=2)


@category("wine_bottle", scene="table", spin=10)
def wine_bottle(f: Figure) -> None:
    glass = f.paint("plain", "dark green", "green", "maroon", "night", "brown")
    label = f.paint("plain", "cream", "white", "yellow", roundness=0.5)
    wide, neck, slope = f.trait(0.25, 0.32), f.trait(0.085, 0.105), f.trait(0.14, 0.34)
    shoulder = curve([(neck, -0.6), (neck, -0.46), (neck + (wide - neck) * 0.6, -0.42 + slope * 0.55),
        (wide, -0.36 + slope * 1.2), (wide, 0.2)])
    right = path((neck, -1.0), shoulder, (wide, 0.92), (wide - 0.06, 1.0))
    f.add("bottle", path(right, flipped(right)), glass,
        at={"shoulder left": (-wide + 0.05, -0.2 + slope)} | sides("foot {}", wide - 0.06, 0.95))
    f.add("capsule", box(-neck - 0.012, -1.0, neck + 0.012, -0.74), f.paint("metal", "red", "gold", "black"), detail=1)
    f.add("lip", box(-neck - 0.035, -1.06, neck + 0.035, -0.98, 0.02), glass.shaded(0.8), detail=1,
        at={"mouth": (0, -1.02)})
    top = f.trait(0.06, 0.2)
    words = [path((-wide * 0.6, top + 0.14 + d), (wide * 0.6, top + 0.14 + d)) for d in (0.0, 0.12)]
    f.add("label", box(-wide, top, wide, top + 0.5), label, lines=words, at=(0, top + 0.25))


@category("hourglass", scene="table", spin=8)
def hourglass(f: Figure) -> None:
    wood, glass = f.paint("wood", "wood", "dark wood", "gold"), f.paint("plain", "glass", "white", "silver")
    sand, wide, top = f.paint("grain", "gold", "tan", "orange"), f.trait(0.42, 0.5), f.pose(0.2, 0.75)
    for x in (-0.58, 0.58):
        f.add("post", box(x - 0.045, -0.86, x + 0.045, 0.86), wood.shaded(0.85), detail=1)
    half = curve([(wide, -0.86), (wide * 0.96, -0.5), (wide * 0.5, -0.16), (0.05, 0.0), (wide * 0.5, 0.16),
        (wide * 0.96, 0.5), (wide, 0.86)])
    f.add("glass", path(half, flipped(half)), glass, at={"waist": (0, 0)})
    level, w = -0.2 - 0.42 * top, wide * (0.55 + 0.38 * top)
    f.add("upper sand", smooth(mirrored((w, level), (wide * 0.42, -0.15), (0.0, -0.02))), sand, detail=1)
    f.thin("stream", [(0, 0.0), (0, 0.7)], 0.016, sand, detail=2)
    f.add("lower sand", smooth(mirrored((wide * 0.9, 0.84), (0.2, 0.6), (0, 0.36 + 0.2 * top))), sand, detail=1)
    for y, tag in ((-0.93, "top"), (0.93, "bottom")):
        f.add(f"{tag} plate", box(-0.72, y - 0.09, 0.72, y + 0.09, 0.04), wood, at=sides(tag + " {}", 0.68, y))


@category("light_bulb", scene="wall", spin=20)
def light_bulb(f: Figure) -> None:
    glass = f.paint("plain", "yellow", "white", "cream", roundness=1.0)
    metal, wide, neck = f.paint("metal", "silver", "grey", "gold"), f.trait(0.52, 0.62), f.trait(0.2, 0.26)
    for angle in (-160, -125, -90, -55, -20) if f.chance(0.5) else ():
        x, y = arc(0, -0.3, 1, 1, angle, angle + 1, 2)[0] - [0, -0.3]
        ray = [(x * 0.76, -0.3 + y * 0.76), (x * 0.96, -0.3 + y * 0.96)]
        f.thin("ray", ray, 0.026, f.paint("plain", "yellow", "orange"))
    f.add("glass", smooth(mirrored((0, -0.9), (wide * 0.72, -0.72), (wide, -0.28), (wide * 0.74, 0.12),
        (neck * 1.1, 0.44), (neck, 0.6))), glass, at={"top": (0, -0.86)} | sides("{}", wide - 0.04, -0.28))
    f.thin("filament", [(-0.12, 0.56), (-0.15, -0.1), (-0.08, -0.24), (-0.03, -0.08), (0.03, -0.24), (0.08, -0.08),
        (0.15, -0.2), (0.12, 0.56)], 0.016, f.paint("plain", "orange", "night"))
    for i in range(3):
        y = 0.6 + 0.12 * i
        thread = limb([(-neck * 0.94, y + 0.05), (neck * 0.94, y + 0.01)], [0.065, 0.065])
        f.add("thread", thread, metal.shaded(0.9 + 0.1 * (i % 2)))
    f.add("contact", ellipse(0, 0.98, 0.11, 0.07), metal.shaded(0.6), at=(0, 0.99))


@category("shoe", scene="floor", spin=8)
def shoe(f: Figure) -> None:
    leather = f.paint("grain", "red", "blue", "white", "black", "brown", "green", "orange")
    sole, lace = f.paint("plain", "white", "black", "tan"), f.paint("plain", "white", "cream", "yellow")
    high = f.trait(-0.5, -0.36)
    top = high - 0.3 if f.chance(0.3) else high
    upper = [(-0.94, 0.26), (-0.96, -0.1), (-0.9, top + 0.04), (-0.7, top + 0.05), (-0.36, top - 0.01),
        (-0.24, top + 0.02), (-0.16, -0.22), (0.2, -0.06), (0.66, 0.02), (0.94, 0.14), (1.0, 0.28)]
    f.add("upper", curve(upper), leather, lines=(arc(0.98, 0.3, 0.36, 0.26, 190, 275, 8),),
        at={"heel": (-0.92, 0.0), "ankle": (-0.6, top + 0.08), "toe": (0.92, 0.2)})
    if f.chance(0.6):
        band = [Mark(limb([(x - 0.06, 0.3), (x + 0.12, -0.16)], [0.04, 0.03]), sole.rgb) for x in (-0.5, -0.32)]
        panel = path((-0.66, 0.24), (-0.6, -0.16), (-0.2, -0.12), (-0.02, 0.24))
        f.add("side panel", panel, leather.shaded(1.12), marks=band, detail=2)
    f.add("sole", smooth([(-0.98, 0.24), (-0.2, 0.26), (0.4, 0.26), (1.02, 0.26), (1.06, 0.36), (0.9, 0.43),
        (0.2, 0.42), (-0.5, 0.43), (-0.96, 0.43)]), sole, at=(0.0, 0.35))
    for i in range(4):
        x, y = -0.14 + 0.11 * i, -0.26 + 0.055 * i
        f.thin("lace", [(x - 0.05, y + 0.13), (x + 0.09, y - 0.04)], 0.022, lace)


@category("hat", scene="table", spin=8)
def hat(f: Figure) -> None:
    felt = f.paint("grain", "black", "brown", "grey", "tan", "navy", "cream")
    band = f.paint("plain", "red", "blue", "gold", "black", "white")
    kind, wide = f.pick("top", "bowler", "fedora"), f.trait(0.86, 1.0)
    crown, high = {
        "top": (path((-0.46, 0.3), (-0.5, -0.75), (0.5, -0.75), (0.46, 0.3)), -0.75),
        "bowler": (arc(0, 0.3, 0.55, 0.82, 180, 360, 22), -0.5),
        "fedora": (smooth([(-0.52, 0.34), (-0.48, -0.1), (-0.34, -0.5), (0.0, -0.4), (0.34, -0.5), (0.48, -0.1),
            (0.52, 0.34)]), -0.36),
    }[kind]
    f.add("crown", crown, felt, group="hat")
    if kind == "top":
        f.add("crown top", ellipse(0, -0.75, 0.5, 0.1), felt.shaded(1.15), detail=1)
    f.at({"top": (0, high + 0.05)})
    ribbon = path((-0.5, 0.06), (0.0, 0.12), (0.5, 0.06), (0.52, 0.26), (0.0, 0.33), (-0.52, 0.26))
    f.add("band", ribbon, band, at=(0, 0.2))
    droop = f.trait(0.0, 0.14)
    brim = [(-wide, 0.24 - droop * 0.5), (-0.5, 0.24), (0.0, 0.3), (0.5, 0.24), (wide, 0.24 - droop * 0.5),
        (0.62, 0.42), (0.0, 0.48), (-0.62, 0.42)]
    f.add("brim", smooth(brim), felt.shaded(0.9), at=sides("brim {}", wide - 0.04, 0.25 - droop * 0.4))


@category("t_shirt", scene="wall", spin=8)
def t_shirt(f: Figure) -> None:
    cloth = f.paint("grain", "red", "blue", "white", "green", "yellow", "black", "purple", roundness=0.3)
    print_, kind = f.paint("plain", "white", "yellow", "navy", "orange"), f.pick("plain", "stripes", "disc", "pocket")
    wide, sleeve, long = f.trait(0.46, 0.56), f.trait(0.34, 0.46), f.trait(0.76, 0.92)
    marks = {
        "plain": [],
        "stripes": [Mark(box(-1.2, y, 1.2, y + 0.11), print_.rgb) for y in (-0.2, 0.06, 0.32)],
        "disc": [Mark(ellipse(0, -0.08, 0.22), print_.rgb)],
        "pocket": [Mark(box(0.1, -0.24, 0.34, 0.02), cloth.shaded(0.75).rgb)],
    }[kind]
    lift, neck, collar = f.pose(-0.08, 0.1), arc(0, -0.72, 0.2, 0.2, 180, 0, 10), arc(0, -0.72, 0.27, 0.28, 180, 0, 12)
    right = path((0.36, -0.7), (0.56, -0.6), (wide + sleeve, -0.12 - lift), (wide + sleeve - 0.3, 0.04 - lift),
        (wide, -0.2), (wide, long))
    seams = [path((s * wide, -0.2), (s * 0.5, -0.62)) for s in (-1, 1)]
    f.add("shirt", path(flipped(right), neck, right), cloth, marks=marks, lines=seams,
        at=sides("{} sleeve", wide + sleeve - 0.1, -0.08 - lift) | sides("{} hem", wide - 0.04, long - 0.04))
    f.add("collar", path(collar, neck[::-1]), cloth.shaded(0.8), detail=1, at=(0, -0.48))


@category("eyeglasses", scene="table", spin=15)
def eyeglasses(f: Figure) -> None:
    rim = f.paint("plain", "black", "brown", "red", "gold", "blue")
    glass = f.paint("plain", "glass", "sky", "silver", "night", roundness=0.3)
    wide, high, square, skew = f.trait(0.34, 0.42), f.trait(0.27, 0.36), f.chance(0.45), f.pose(0.05, 0.2)
    for side, tag in SIDES:
        temple = [(side * 0.86, -0.08), (side * 0.98 + skew, -0.42), (side * 0.84 + skew, -0.62)]
        f.thin(f"{tag} temple", temple, 0.036, rim, 0, at={f"{tag} temple tip": (side * 0.84 + skew, -0.6)})
    for side, tag in SIDES:
        cx = side * 0.48
        if square:
            outer = box(cx - wide, -high, cx + wide, high, 0.12)
            inner = box(cx - wide + 0.07, -high + 0.07, cx + wide - 0.07, high - 0.07, 0.08)
        else:
            outer, inner = ellipse(cx, 0, wide, high), ellipse(cx, 0, wide - 0.07, high - 0.07)
        f.add(f"{tag} rim", outer, rim)
        glint = path((cx - 0.12, 0.08), (cx + 0.06, -0.12))
        f.add(f"{tag} lens", inner, glass, detail=1, lines=(glint,), at=(cx, 0))
    f.thin("bridge", [(-0.12, -0.06), (0, -0.14), (0.12, -0.06)], 0.045, rim, detail=0, at=(0, -0.13))


@category("umbrella", scene="rain", spin=18)
def umbrella(f: Figure) -> None:
    one = f.paint("plain", "red", "blue", "purple", "green", "black", "yellow")
    two = f.paint("plain", "white", "yellow", "pink", "sky")
    wide, high, panels = f.trait(0.86, 1.0), f.trait(0.62, 0.78), f.count(4, 5)
    f.thin("handle", [(0, -0.3), (0, 0.7), (0.03, 0.86), (0.16, 0.92), (0.28, 0.84), (0.29, 0.7)], 0.034,
        f.paint("wood", "dark wood", "wood", "black"), detail=0, at={"handle end": (0.29, 0.72), "shaft": (0, 0.4)})
    f.thin("ferrule", [(0, -high), (0, -high - 0.2)], 0.024, f.paint("metal", "silver", "night"), detail=0,
        at={"tip": (0, -high - 0.17)})
    step = 2 * wide / panels
    scallops = [arc(wide - step * (i + 0.5), 0.02, step / 2, 0.1, 0, -180, 8) for i in range(panels)]
    joints = [-wide + step * i for i in range(panels + 1)]
    ribs = [curve([(0, -high), (x * 0.66, -high * 0.62), (x, 0.02)]) for x in joints]
    coloured = range(0, panels, 2) if f.chance(0.55) else ()
    marks = [Mark(path(ribs[i], ribs[i + 1][::-1]), two.rgb, drawn=False) for i in coloured]
    f.add("canopy", path(arc(0, 0.02, wide, high, 180, 360, 24), *scallops), one, marks=marks, lines=ribs[1:-1],
        at=sides("{} edge", wide - 0.05, -0.06))


@category("guitar", scene="wall", spin=45)
def guitar(f: Figure) -> None:
    wood = f.paint("wood", "wood", "orange", "tan", "maroon", "red", "navy")
    neck = f.paint("wood", "dark wood", "brown")
    wide, waist, long = f.trait(0.4, 0.48), f.trait(0.22, 0.27), f.trait(-1.1, -0.95)
    right = path((0.07, -0.22), (wide * 0.66, -0.2), (wide * 0.76, 0.04), (waist, 0.24), (wide, 0.52),
        (wide * 0.84, 0.84), (0.2, 1.0))
    f.add("body", smooth(path(right, flipped(right))), wood,
        at={"body bottom": (0, 0.96)} | sides("waist {}", waist - 0.03, 0.24))
    f.add("sound hole", ellipse(0, 0.2, 0.135), f.paint("plain", "black", roundness=0.1))
    f.add("bridge", box(-0.2, 0.62, 0.2, 0.69, 0.02), neck, detail=1, at=(0, 0.65))
    frets = [path((-0.085, long + t), (0.085, long + t)) for t in (0.18, 0.34, 0.48, 0.6)]
    f.add("neck", box(-0.085, long, 0.085, 0.06), neck, lines=frets)
    left = path((-0.07, long), (-0.13, long - 0.08), (-0.11, long - 0.34))
    f.add("head", path(left, flipped(left)), neck.shaded(0.8), at=(0, long - 0.3))
    for side, i in product((-1, 1), range(3)):
        peg = ellipse(side * 0.16, long - 0.1 - 0.1 * i, 0.04, 0.03)
        f.add("peg", peg, f.paint("metal", "silver", "gold"), detail=1)
    for x in (-0.035, 0.035):
        f.thin("string", [(x, long - 0.1), (x, 0.65)], 0.007, f.paint("metal", "silver"))


@category("drum", scene="room", spin=6)
def drum(f: Figure) -> None:
    shell = f.paint("plain", "red", "blue", "green", "orange", "purple", "teal")
    rim = f.paint("metal", "gold", "silver", "white")
    skin, wood = f.paint("grain", "cream", "white"), f.paint("wood", "tan", "wood", "dark wood")
    wide, low = f.trait(0.66, 0.78), f.trait(0.4, 0.62)
    zig, count = [], f.count(4, 6)

    def sag(x: float) -> float:
        return 0.15 * (1 - x / wide * (x / wide)) ** 0.5 if abs(x) < wide else 0.0

    for i in range(count):
        x0, x1 = -wide + 2 * wide * i / count, -wide + 2 * wide * (i + 1) / count
        x = (x0 + x1) / 2
        zig.append(path((x0, -0.22 + sag(x0)), (x, low - 0.08 + sag(x)), (x1, -0.22 + sag(x1))))
    wall = path((-wide, -0.3), (wide, -0.3), arc(0, low, wide, 0.17, 0, 180, 18))
    f.add("shell", wall, shell, lines=zig, group="shell", at=sides("foot {}", wide - 0.04, low))
    for y in (-0.24, low - 0.08):
        edge = arc(0, y, wide, 0.17, 180, 0, 18)
        f.add("hoop", path(edge, shift(edge[::-1], 0, 0.09)), rim, detail=1)
    f.add("skin", ellipse(0, -0.3, wide, 0.19), skin, at=sides("rim {}", wide - 0.05, -0.3))
    for side, tag in SIDES:
        tip, end = (side * 0.08 + f.pose(-0.1, 0.1), -0.34), (side * 0.72 + f.pose(-0.14, 0.14), -0.92)
        f.add("stick", limb([tip, end], [0.034, 0.034]), wood)
        f.add("bead", ellipse(*tip, 0.065, 0.05), wood.shaded(0.85), detail=1, at={f"{tag} stick": end})


@category("trumpet", scene="wall", spin=20)
def trumpet(f: Figure) -> None:
    brass = f.paint("metal", "gold", "orange", "silver", "yellow", roundness=0.9)
    flare, low = f.trait(0.32, 0.4), f.trait(0.26, 0.34)
    y = low / 2 - 0.08
    ends = [(arc(-0.3, y, rx, ry, 90, 270, 12), arc(0.2, y, rx, ry, -90, 90, 12))
        for rx, ry in ((0.3, low / 2 + 0.08), (0.21, low / 2 - 0.01))]
    loop, hole = (path(left, right, left[0]) for left, right in ends)
    f.add("tubing", path(loop, hole[::-1]), brass.shaded(0.86), strokes=(loop, hole), at=(-0.56, y))
    upper = curve([(0.3, -0.2), (0.62, -0.26), (0.86, -0.38), (1.0, -0.16 - flare)])
    lower = curve([(1.0, -0.12 + flare), (0.86, 0.1), (0.62, -0.03), (0.3, -0.1)])
    f.add("bell", path((-1.0, -0.2), upper, lower, (-1.0, -0.1)), brass,
        at={"bell top": (0.98, -0.12 - flare), "bell bottom": (0.98, -0.16 + flare)})
    f.add("mouth of the bell", ellipse(1.0, -0.14, 0.07, flare + 0.02), brass.shaded(0.75), detail=1)
    cone = path((-1.0, -0.19), (-1.1, -0.24), (-1.16, -0.24), (-1.16, -0.06), (-1.1, -0.06), (-1.0, -0.11))
    f.add("mouthpiece", cone, brass.shaded(0.9), at=(-1.12, -0.15))
    for i, x in enumerate((-0.22, -0.02, 0.18)):
        press = f.pose(-0.04, 0.1)
        f.thin("piston", [(x, -0.3), (x, -0.46 + press)], 0.022, brass.shaded(0.7))
        f.add("valve", box(x - 0.07, -0.32, x + 0.07, low + 0.12, 0.03), brass.shaded(1.05))
        button = box(x - 0.07, -0.53 + press, x + 0.07, -0.46 + press, 0.02)
        f.add("button", button, brass.shaded(0.8), at={f"valve {i + 1}": (x, 0.0)})


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
    f.add("handle", smooth([(-0.16, -0.11), (-0.6, -0.1), (-0.98, -0.12), (-1.02, 0.04), (-0.94, 0.1), (-0.55, 0.06),
        (-0.16, 0.1)]), f.paint("wood", "dark wood", "black", "red", "wood"), at={"handle end": (-0.97, -0.02)})
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
    f.add("palm", smooth([(0.62, -half - 0.03), (0.62, half + 0.03), (0.46, half + 0.02), (0.3, 0.04), (0.3, -0.04),
        (0.46, -half - 0.02)]), steel, group="fork", at=(0.5, 0))


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
        "round": ([(0.0, 0.0)], big + 0.06, big * 0.55, 33, big * 0.9),
        "clover": ([(0.1, -0.22), (0.1, 0.22), (-0.2, 0.0)], 0.21, 0.1, 25, 0.36),
    }[style]
    for dx, dy in places:
        circles = [arc(cx + dx, dy, r, r, 0, 360, count) for r in (outer, inner)]
        f.add("bow", ring(cx + dx, dy, outer, inner), metal, group="key", strokes=circles)
    f.at({"bow end": (cx - end, 0)})
