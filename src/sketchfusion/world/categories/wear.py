"""What one wears or carries: shoe, hat, t-shirt, eyeglasses, umbrella."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, Mark, category
from ..shapes import arc, box, ellipse, limb, path, smooth


@category("shoe", scene="floor", spin=8)
def shoe(f: Figure) -> None:
    leather = f.paint("grain", "red", "blue", "white", "black", "brown", "green", "orange")
    sole, lace = f.paint("plain", "white", "black", "tan"), f.paint("plain", "white", "cream", "yellow")
    high, boot = f.trait(-0.5, -0.36), f.chance(0.3)
    top = high - 0.3 if boot else high
    upper = [(-0.94, 0.26), (-0.96, -0.1), (-0.9, top + 0.04), (-0.7, top + 0.05), (-0.36, top - 0.01),
        (-0.24, top + 0.02), (-0.16, -0.22), (0.2, -0.06), (0.66, 0.02), (0.94, 0.14), (1.0, 0.28)]
    toe = arc(0.98, 0.3, 0.36, 0.26, 190, 275, 8)
    f.add("upper", path(*smooth(upper, closed=False).tolist()), leather, lines=(toe,), detail=0)
    f.at("heel", -0.92, 0.0)
    f.at("ankle", -0.6, top + 0.08)
    f.at("toe", 0.92, 0.2)
    if f.chance(0.6):
        band = [Mark(limb([(x - 0.06, 0.3), (x + 0.12, -0.16)], [0.04, 0.03]), sole.rgb) for x in (-0.5,
            -0.32)]
        f.add("side panel", path((-0.66, 0.24), (-0.6, -0.16), (-0.2, -0.12), (-0.02, 0.24)),
            leather.shaded(1.12), marks=band, detail=2)
    f.add("sole", smooth([(-0.98, 0.24), (-0.2, 0.26), (0.4, 0.26), (1.02, 0.26), (1.06, 0.36), (0.9, 0.43),
        (0.2, 0.42), (-0.5, 0.43), (-0.96, 0.43)]), sole, detail=0)
    f.at("sole", 0.0, 0.35)
    for i in range(4):
        x, y = -0.14 + 0.11 * i, -0.26 + 0.055 * i
        f.thin("lace", [(x - 0.05, y + 0.13), (x + 0.09, y - 0.04)], 0.022, lace, detail=1)


@category("hat", scene="table", spin=8)
def hat(f: Figure) -> None:
    felt, band = f.paint("grain", "black", "brown", "grey", "tan", "navy", "cream"), f.paint("plain", "red",
        "blue", "gold", "black", "white")
    kind, wide = f.pick("top", "bowler", "fedora"), f.trait(0.86, 1.0)
    if kind == "top":
        crown = [(-0.46, 0.3), (-0.5, -0.75), (0.5, -0.75), (0.46, 0.3)]
        f.add("crown", path(*crown), felt, group="hat")
        f.add("crown top", ellipse(0, -0.75, 0.5, 0.1), felt.shaded(1.15), detail=1)
        high = -0.75
    elif kind == "bowler":
        f.add("crown", path(*arc(0, 0.3, 0.55, 0.82, 180, 360, 22).tolist()), felt, group="hat")
        high = -0.5
    else:
        f.add("crown", smooth([(-0.52, 0.34), (-0.48, -0.1), (-0.34, -0.5), (0.0, -0.4), (0.34, -0.5),
            (0.48, -0.1), (0.52, 0.34)]), felt, group="hat")
        high = -0.36
    f.at("top", 0, high + 0.05)
    f.add("band", path((-0.5, 0.06), (0.0, 0.12), (0.5, 0.06), (0.52, 0.26), (0.0, 0.33), (-0.52, 0.26)),
        band, detail=0)
    f.at("band", 0, 0.2)
    droop = f.trait(0.0, 0.14)
    brim = [(-wide, 0.24 - droop * 0.5), (-0.5, 0.24), (0.0, 0.3), (0.5, 0.24), (wide, 0.24 - droop * 0.5),
        (0.62, 0.42), (0.0, 0.48), (-0.62, 0.42)]
    f.add("brim", smooth(brim), felt.shaded(0.9), detail=0)
    f.at("brim left", -wide + 0.04, 0.25 - droop * 0.4)
    f.at("brim right", wide - 0.04, 0.25 - droop * 0.4)


@category("t_shirt", scene="wall", spin=8)
def t_shirt(f: Figure) -> None:
    cloth = f.paint("grain", "red", "blue", "white", "green", "yellow", "black", "purple", roundness=0.3)
    print_, kind = f.paint("plain", "white", "yellow", "navy", "orange"), f.pick("plain", "stripes", "disc",
        "pocket")
    wide, sleeve, long = f.trait(0.46, 0.56), f.trait(0.34, 0.46), f.trait(0.76, 0.92)
    marks: tuple[Mark, ...] = ()
    if kind == "stripes":
        marks = tuple(Mark(box(-1.2, y, 1.2, y + 0.11), print_.rgb) for y in (-0.2, 0.06, 0.32))
    elif kind == "disc":
        marks = (Mark(ellipse(0, -0.08, 0.22), print_.rgb),)
    elif kind == "pocket":
        marks = (Mark(box(0.1, -0.24, 0.34, 0.02), cloth.shaded(0.75).rgb),)
    lift = f.pose(-0.08, 0.1)
    neck = arc(0, -0.72, 0.2, 0.2, 180, 0, 10).tolist()
    right = [(0.36, -0.7), (0.56, -0.6), (wide + sleeve, -0.12 - lift), (wide + sleeve - 0.3, 0.04 - lift),
        (wide, -0.2), (wide, long)]
    outline = [*[(-x, y) for x, y in right[::-1]], *neck, *right]
    seams = [path((s * wide, -0.2), (s * 0.5, -0.62)) for s in (-1, 1)]
    f.add("shirt", path(*outline), cloth, marks=marks, lines=seams)
    f.at("left sleeve", -wide - sleeve + 0.1, -0.08 - lift)
    f.at("right sleeve", wide + sleeve - 0.1, -0.08 - lift)
    f.at("left hem", -wide + 0.04, long - 0.04)
    f.at("right hem", wide - 0.04, long - 0.04)
    collar = arc(0, -0.72, 0.27, 0.28, 180, 0, 12)
    f.add("collar", path(*collar.tolist(), *neck[::-1]), cloth.shaded(0.8), detail=1)
    f.at("collar", 0, -0.48)


@category("eyeglasses", scene="table", spin=15)
def eyeglasses(f: Figure) -> None:
    rim, glass = f.paint("plain", "black", "brown", "red", "gold", "blue"), f.paint("plain", "glass", "sky",
        "silver", "night", roundness=0.3)
    wide, high, square = f.trait(0.34, 0.42), f.trait(0.27, 0.36), f.chance(0.45)
    skew = f.pose(0.05, 0.2)
    for side, tag in ((-1, "left"), (1, "right")):
        f.thin(f"{tag} temple", [(side * 0.86, -0.08), (side * 0.98 + skew, -0.42),
            (side * 0.84 + skew, -0.62)], 0.036, rim, detail=0)
        f.at(f"{tag} temple tip", side * 0.84 + skew, -0.6)
    for side, tag in ((-1, "left"), (1, "right")):
        cx = side * 0.48
        outer = box(cx - wide, -high, cx + wide, high, 0.12) if square else ellipse(cx, 0, wide, high)
        inner = box(cx - wide + 0.07, -high + 0.07, cx + wide - 0.07, high - 0.07,
            0.08) if square else ellipse(cx, 0, wide - 0.07, high - 0.07)
        f.add(f"{tag} rim", outer, rim, detail=0)
        glint = path((cx - 0.12, 0.08), (cx + 0.06, -0.12))
        f.add(f"{tag} lens", inner, glass, detail=1, lines=(glint,))
        f.at(f"{tag} lens", cx, 0)
    f.thin("bridge", [(-0.12, -0.06), (0, -0.14), (0.12, -0.06)], 0.045, rim, detail=0)
    f.at("bridge", 0, -0.13)


@category("umbrella", scene="rain", spin=18)
def umbrella(f: Figure) -> None:
    one, two = f.paint("plain", "red", "blue", "purple", "green", "black", "yellow"), f.paint("plain",
        "white", "yellow", "pink", "sky")
    wide, high, panels = f.trait(0.86, 1.0), f.trait(0.62, 0.78), f.count(4, 5)
    grip = [(0, -0.3), (0, 0.7), (0.03, 0.86), (0.16, 0.92), (0.28, 0.84), (0.29, 0.7)]
    f.thin("handle", grip, 0.034, f.paint("wood", "dark wood", "wood", "black"), detail=0)
    f.at("handle end", 0.29, 0.72)
    f.at("shaft", 0, 0.4)
    f.thin("ferrule", [(0, -high), (0, -high - 0.2)], 0.024, f.paint("metal", "silver", "night"), detail=0)
    f.at("tip", 0, -high - 0.17)
    scallops: list[tuple[float, float]] = []
    step = 2 * wide / panels
    for i in range(panels):
        edge = arc(wide - step * (i + 0.5), 0.02, step / 2, 0.1, 0, -180, 8)
        scallops += [(float(x), float(y)) for x, y in edge]
    ribs, marks = [], []
    joints = [-wide + step * i for i in range(panels + 1)]
    lines = [smooth([(0, -high), (x * 0.66, -high * 0.62), (x, 0.02)], closed=False) for x in joints]
    ribs = lines[1:-1]
    if f.chance(0.55):
        marks = [Mark(path(*lines[i].tolist(), *lines[i + 1][::-1].tolist()), two.rgb,
            drawn=False) for i in range(0, panels, 2)]
    dome = arc(0, 0.02, wide, high, 180, 360, 24).tolist()
    f.add("canopy", path(*dome, *scallops), one, marks=marks, lines=ribs)
    f.at("left edge", -wide + 0.05, -0.06)
    f.at("right edge", wide - 0.05, -0.06)
