"""Buildings, doors and windows, and furniture."""

from itertools import product

from ..figure import SIDES, Figure, Mark, category, sides
from ..shapes import Points, arc, box, curve, ellipse, limb, mirrored, path, shift, smooth, turn


def pane(f: Figure, x0: float, y0: float, x1: float, y1: float, detail: int = 1, lit: str = "glass") -> None:
    """Draw a window with a cross bar."""
    mx, my = (x0 + x1) / 2, (y0 + y1) / 2
    bars = (path((mx, y0), (mx, y1)), path((x0, my), (x1, my)))
    f.add("window", box(x0, y0, x1, y1), f.paint("plain", lit, "night", roundness=0.1), detail=detail, lines=bars)


def arched(x0: float, x1: float, y0: float, y1: float) -> Points:
    """Make a gate with straight sides and a round top that begins at y0."""
    top = arc((x0 + x1) / 2, y0, (x1 - x0) / 2, (x1 - x0) / 2, 180, 360, 12)
    return path(top, (x1, y1), (x0, y1))


def battlement(x0: float, x1: float, top: float, bottom: float, teeth: int) -> Points:
    """Make the outline of a wall with merlons."""
    step, points = (x1 - x0) / (2 * teeth - 1), []
    for i in range(2 * teeth - 1):
        y = top if i % 2 == 0 else top + 0.09
        points += [(x0 + i * step, y), (x0 + (i + 1) * step, y)]
    return path(*points, (x1, bottom), (x0, bottom))


@category("castle", scene="field", spin=3)
def castle(f: Figure) -> None:
    stone = f.paint("brick", "stone", "grey", "tan", "cream", roundness=0.3)
    roof, dark = f.paint("plain", "red", "blue", "maroon", "navy"), f.paint("wood", "dark wood", "brown")
    high, spires = f.trait(-0.5, -0.3), f.chance(0.6)
    if f.chance(0.6):
        f.add("keep", battlement(-0.26, 0.26, high - 0.3, 0.4, 3), stone.shaded(0.88))
        f.thin("flagpole", [(0, high - 0.2), (0, high - 0.62)], 0.016, dark)
        f.add("flag", path((0, high - 0.62), (0.24, high - 0.54), (0, high - 0.46)), roof, detail=1)
    f.add("wall", battlement(-0.7, 0.7, -0.06, 0.8, 7), stone)
    for side, tag in SIDES:
        x = side * 0.76
        f.add("tower", battlement(x - 0.23, x + 0.23, high, 0.82, 3), stone.shaded(1.04))
        if spires:
            f.add("spire", path((x - 0.28, high + 0.02), (x, high - 0.48), (x + 0.28, high + 0.02)), roof)
        f.at({f"{tag} tower": (x, high + 0.2)})
        f.add("slit", arched(x - 0.05, x + 0.05, 0.1, 0.26), dark.shaded(0.5), detail=1)
    f.add("gate", arched(-0.2, 0.2, 0.42, 0.81), dark, lines=(path((0, 0.24), (0, 0.8)),), at=(0, 0.6))


@category("church", scene="field", spin=3)
def church(f: Figure) -> None:
    wall = f.paint("plain", "white", "cream", "stone", "brick", roundness=0.2)
    roof, dark = f.paint("grain", "maroon", "grey", "brown", "night"), f.paint("wood", "dark wood", "brown")
    tall, wide = f.trait(-0.4, -0.25), f.trait(0.24, 0.29)
    f.add("nave", box(-0.2, 0.12, 1.0, 0.8), wall)
    f.add("roof", path((-0.2, 0.14), (-0.06, -0.26), (0.9, -0.26), (1.08, 0.14)), roof, at={"roof end": (0.9, -0.2)})
    for x in (0.2, 0.48, 0.76):
        glass = f.paint("plain", "glass", "navy", "night", roundness=0.1)
        f.add("window", arched(x - 0.07, x + 0.07, 0.36, 0.6), glass, detail=1)
    f.add("tower", box(-0.4 - wide, tall, -0.4 + wide, 0.82), wall.shaded(1.04))
    peak = tall - f.trait(0.5, 0.64)
    f.add("steeple", path((-0.46 - wide, tall + 0.01), (-0.4, peak), (-0.34 + wide, tall + 0.01)), roof)
    for points in ([(-0.4, peak + 0.02), (-0.4, peak - 0.28)], [(-0.5, peak - 0.17), (-0.3, peak - 0.17)]):
        f.thin("cross", points, 0.025, f.paint("metal", "gold", "night"), detail=0)
    f.at({"cross": (-0.4, peak - 0.17)})
    f.add("rose window", ellipse(-0.4, tall + 0.26, 0.1), f.paint("plain", "glass", "gold", "navy"), detail=1)
    f.add("door", arched(-0.52, -0.28, 0.5, 0.81), dark, at=(-0.4, 0.66))


@category("lighthouse", scene="sea", spin=3)
def lighthouse(f: Figure) -> None:
    white, band = f.paint("plain", "white", "cream"), f.paint("plain", "red", "blue", "black")
    wide, stripes = f.trait(0.3, 0.38), f.count(2, 3)
    rock = [(-0.75, 0.98), (-0.55, 0.78), (-0.2, 0.84), (0.2, 0.78), (0.5, 0.82), (0.8, 0.98), (0.0, 1.04)]
    f.add("rock", smooth(rock), f.paint("blotch", "stone", "grey", "brown"), detail=1)
    pitch = 1.3 / (2 * stripes)
    tops = [-0.44 + pitch * (2 * i + 0.6) for i in range(stripes)]
    marks = [Mark(box(-0.6, y, 0.6, y + pitch), band.rgb) for y in tops]
    f.add("tower", mirrored((0.19, -0.48), (wide, 0.86)), white, marks=marks,
        at=sides("tower foot {}", wide - 0.03, 0.8))
    f.add("door", arched(-0.09, 0.09, 0.66, 0.85), f.paint("wood", "dark wood"), detail=1)
    f.add("gallery", box(-0.3, -0.54, 0.3, -0.46), band.shaded(0.7))
    f.add("lantern", box(-0.15, -0.82, 0.15, -0.54), f.paint("plain", "yellow", "gold"),
        lines=(path((-0.05, -0.82), (-0.05, -0.54)), path((0.05, -0.82), (0.05, -0.54))), at=(0, -0.68))
    f.add("dome", path((-0.22, -0.81), (0, -1.06), (0.22, -0.81)), band, at=(0, -0.95))
    for side, dy in product((-1, 1), (-0.1, 0.1)) if f.chance(0.5) else ():
        beam = [(side * 0.3, -0.7 + dy * 0.6), (side * 0.66, -0.7 + dy * 1.8)]
        f.thin("beam", beam, 0.015, f.paint("plain", "yellow"), detail=2)


@category("tent", scene="forest", spin=4)
def tent(f: Figure) -> None:
    cloth = f.paint("grain", "orange", "green", "blue", "red", "yellow", "tan", roundness=0.3)
    lean, high, back = f.pose(0.6, 0.8), f.trait(-0.62, -0.46), f.trait(0.86, 1.0)
    pole, rope = f.paint("wood", "dark wood"), f.paint("plain", "cream", "night")
    f.add("side", path((-0.3, high), (lean - 0.1, high + 0.06), (back + 0.12, 0.5), (0.3, 0.6)), cloth.shaded(0.8),
        at={"ridge back": (lean - 0.12, high + 0.1), "back corner": (back + 0.06, 0.47)})
    f.add("front", path((-0.3, high), (0.3, 0.6), (-0.86, 0.6)), cloth,
        at={"front left corner": (-0.82, 0.58), "front right corner": (0.27, 0.58)})
    open_ = f.pose(0.12, 0.24)
    f.add("opening", path((-0.3, high + 0.16), (-0.28 + open_, 0.6), (-0.28 - open_, 0.6)), cloth.shaded(0.35))
    f.thin("pole", [(-0.3, high + 0.04), (-0.3, high - 0.14)], 0.02, pole, at={"ridge front": (-0.3, high)})
    for ends in ([(-0.3, high), (-1.06, 0.64)], [(-0.58, 0.1), (-1.0, 0.62)]):
        f.thin("rope", ends, 0.01, rope, detail=2)


@category("cabin", scene="forest", spin=3, unseen=True)
def cabin(f: Figure) -> None:
    log = f.paint("wood", "brown", "wood", "dark wood", roundness=0.2)
    roof = f.paint("grain", "maroon", "dark wood", "grey", "dark green")
    peak, eave = f.trait(-0.78, -0.62), f.trait(-0.12, -0.04)
    if f.chance(0.8):
        f.add("chimney", box(0.32, peak - 0.06, 0.52, eave), f.paint("brick", "brick", "stone"), at=(0.42, peak))
    logs = [path((-0.8, y), (0.8, y)) for y in (0.16, 0.32, 0.48, 0.64)]
    f.add("wall", box(-0.8, eave, 0.8, 0.8), log, lines=logs, at=sides("{} corner", 0.76, 0.76))
    f.add("roof", path((-1.0, eave + 0.04), (0.0, peak), (1.0, eave + 0.04), (0.86, eave + 0.14), (0.0, peak + 0.2),
        (-0.86, eave + 0.14)), roof, group="roof")
    f.add("gable", path((-0.84, eave + 0.1), (0.0, peak + 0.18), (0.84, eave + 0.1)), log.shaded(0.9),
        at={"roof peak": (0.0, peak + 0.22)})
    door, wood = f.trait(-0.36, -0.16), f.paint("wood", "red", "dark wood", "green")
    f.add("door", box(door - 0.17, 0.24, door + 0.17, 0.8), wood, at=(door, 0.5))
    f.dot("knob", door + 0.11, 0.54, 0.026, "gold", detail=2)
    pane(f, 0.24, 0.24, 0.6, 0.56, detail=0, lit="yellow")
    f.add("attic window", ellipse(0, peak + 0.46, 0.1), f.paint("plain", "glass", "yellow"), detail=1)


@category("skyscraper", scene="city", spin=2, unseen=True)
def skyscraper(f: Figure) -> None:
    wall = f.paint("plain", "steel", "sky", "grey", "tan", "night", roundness=0.25)
    glass = f.paint("plain", "glass", "yellow", "navy", roundness=0.1)
    wide, crown = f.trait(0.25, 0.34), f.pick("spire", "steps", "flat")
    top, side = f.trait(-0.85, -0.7), f.pose(0.1, 0.2)
    if crown == "spire":
        f.thin("antenna", [(0, top), (0, top - 0.42)], 0.022, wall.shaded(0.6), detail=0)
    if crown != "flat":
        f.add("upper", box(-wide * 0.62, top - 0.2, wide * 0.62, top + 0.1), wall)
    f.at({"top": (0, top + 0.04)})
    f.add("side", path((wide, top), (wide + side, top + 0.08), (wide + side, 0.98), (wide, 1.0)), wall.shaded(0.65))
    f.add("front", box(-wide, top, wide, 1.0), wall,
        at=sides("foot {}", wide - 0.02, 0.97) | {"corner left": (-wide + 0.02, top + 0.03)})
    columns, rows = f.count(3, 4), f.count(7, 9)
    dx, dy = 2 * wide / columns, (0.8 - top) / rows
    for i, j in product(range(rows), range(columns)):
        x, y = -wide + dx * (j + 0.22), top + dy * (i + 0.3)
        f.add("window", box(x, y, x + dx * 0.56, y + dy * 0.5), glass, detail=1 if i % 2 == 0 else 2)
    f.add("door", box(-0.09, 0.84, 0.09, 1.0), glass.shaded(0.6), detail=1)


@category("windmill", scene="field", spin=3, unseen=True)
def windmill(f: Figure) -> None:
    wall = f.paint("brick", "white", "brick", "stone", "cream")
    cap = f.paint("grain", "maroon", "brown", "night", "red")
    sail, wood = f.paint("plain", "white", "cream"), f.paint("wood", "dark wood", "wood")
    wide, reach = f.trait(0.36, 0.44), f.trait(0.68, 0.82)
    f.add("tower", mirrored((0.22, -0.3), (wide, 1.0)), wall, at=sides("foot {}", wide - 0.03, 0.96))
    f.add("cap", arc(0, -0.28, 0.28, 0.3, 180, 360, 14), cap)
    f.add("door", arched(-0.11, 0.11, 0.76, 1.0), wood, at=(0, 0.86))
    f.add("window", arched(-0.07, 0.07, 0.26, 0.38), f.paint("plain", "night", "glass"), detail=1)
    phase, flat = f.pose(8, 82), [box(0.16, 0.02, reach, 0.2), path((0, 0), (reach + 0.03, 0))]
    flat += [path((x, 0.02), (x, 0.2)) for x in (0.34, 0.52)]
    for k in range(4):
        cloth, arm, *rungs = (shift(turn(line, phase + 90 * k), 0, -0.32) for line in flat)
        f.add("sail", cloth, sail, lines=rungs)
        f.thin("arm", arm, 0.022, wood, detail=0, at={f"sail {k + 1}": arm[1]})
    f.dot("hub", 0, -0.32, 0.06, "dark wood")


@category("door", scene="wall", spin=2, unseen=True)
def door(f: Figure) -> None:
    wood = f.paint("wood", "wood", "dark wood", "red", "blue", "green", "white", roundness=0.1)
    case = f.paint("wood", "white", "cream", "dark wood", roundness=0.1)
    wide, style = f.trait(0.4, 0.5), f.pick("panels", "glazed", "arch")
    f.add("frame", box(-wide - 0.11, -1.06, wide + 0.11, 1.0), case)
    f.add("leaf", box(-wide, -0.95, wide, 1.0), wood,
        at=sides("top {}", wide - 0.03, -0.91) | {"bottom left": (-wide + 0.03, 0.96)})
    dark = wood.shaded(0.8)
    if style == "glazed":
        pane(f, -wide * 0.66, -0.78, wide * 0.66, -0.1, detail=0)
    elif style == "arch":
        f.add("panel", arched(-wide * 0.62, wide * 0.62, -0.5, -0.02), dark)
    else:
        for a, b in ((-wide * 0.76, -0.05), (0.05, wide * 0.76)):
            f.add("panel", box(a, -0.8, b, -0.06), dark)
    for a, b in ((-wide * 0.76, -0.05), (0.05, wide * 0.76)):
        f.add("panel", box(a, 0.24, b, 0.84), dark, detail=0 if style != "panels" else 1)
    f.add("plate", box(wide - 0.15, -0.02, wide - 0.05, 0.2, 0.02), f.paint("metal", "gold", "silver"), detail=2)
    f.dot("knob", wide - 0.1, 0.08, 0.06, "gold", detail=0, at=(wide - 0.1, 0.08))
    f.add("step", box(-wide - 0.2, 1.0, wide + 0.2, 1.09), f.paint("plain", "stone", "grey"), detail=1)


@category("window", scene="wall", spin=2, unseen=True)
def window(f: Figure) -> None:
    case = f.paint("wood", "white", "brown", "dark wood", "green", roundness=0.1)
    glass = f.paint("plain", "glass", "sky", "night", roundness=0.1)
    wide, high = f.trait(0.56, 0.68), f.trait(0.66, 0.8)
    for side in (-1, 1) if f.chance(0.45) else ():
        a, b = sorted((side * (wide + 0.04), side * (wide + 0.46)))
        slats = [path((a + 0.05, y), (b - 0.05, y)) for y in (-0.5, -0.3, -0.1, 0.1, 0.3, 0.5)]
        f.add("shutter", box(a, -high, b, high), f.paint("wood", "green", "blue", "red", "brown"), lines=slats)
    f.add("frame", box(-wide, -high, wide, high), case, at=sides("top {}", wide - 0.04, -high + 0.04))
    rows, columns = f.count(2, 3), 2
    dx, dy = (2 * wide - 0.1) / columns, (2 * high - 0.1) / rows
    for i, j in product(range(rows), range(columns)):
        x, y = -wide + 0.05 + dx * j, -high + 0.05 + dy * i
        glint = path((x + dx * 0.3, y + dy * 0.6), (x + dx * 0.55, y + dy * 0.35))
        f.add("pane", box(x + 0.03, y + 0.03, x + dx - 0.03, y + dy - 0.03), glass, lines=(glint,))
    if f.chance(0.4):
        cloth = f.paint("grain", "red", "cream", "yellow", "pink")
        for side in (-1, 1):
            drape = path((side * wide * 0.94, -high + 0.04), (side * 0.06, -high + 0.04), (side * wide * 0.5, 0.0),
                (side * wide * 0.78, high * 0.7), (side * wide * 0.94, high * 0.8))
            f.add("curtain", drape, cloth, detail=1)
    f.add("sill", box(-wide - 0.12, high - 0.02, wide + 0.12, high + 0.1), case.shaded(0.9),
        at=sides("sill {}", wide + 0.08, high + 0.04))


@category("chair", spin=5)
def chair(f: Figure) -> None:
    wood = f.paint("wood", "wood", "dark wood", "red", "white", "teal")
    cushion = f.paint("grain", "red", "blue", "cream", "green") if f.chance(0.4) else wood
    top, thick, skew = f.trait(-1.0, -0.8), f.trait(0.035, 0.055), f.pose(0.14, 0.26)
    left, right, y = -0.42, 0.36, f.trait(0.0, 0.1)
    for x in (left + skew, right + skew):
        f.add("far leg", limb([(x, y - 0.05), (x + 0.02, 0.72)], [thick, thick * 0.8]), wood.shaded(0.7), detail=1)
    for x, name in ((left + skew, "left post"), (right + skew, "right post")):
        f.add(name, limb([(x, y), (x + 0.03, top)], [thick, thick]), wood, group="back",
            at={f"{name} top": (x + 0.03, top + 0.03)})
    style, x0, x1 = f.pick("slats", "panel", "bars"), left + skew, right + skew
    if style == "panel":
        f.add("back panel", box(x0, top + 0.06, x1 + 0.03, y - 0.3, 0.05), cushion, group="back")
    elif style == "slats":
        for t in (0.1, 0.34, 0.58):
            edge = top + (y - top) * t + 0.04
            f.add("slat", box(x0, edge, x1 + 0.03, edge + 0.1), wood, group="back")
    else:
        f.add("rail", box(x0, top + 0.02, x1 + 0.03, top + 0.13), wood, group="back")
        for t in (0.25, 0.5, 0.75):
            x = x0 + (x1 - x0) * t
            f.thin("bar", [(x + 0.03, top + 0.1), (x, y)], 0.022, wood)
    front, rear = y + 0.18, y - 0.02
    seat = path((left - 0.03, front), (left + skew - 0.03, rear), (right + skew + 0.04, rear), (right + 0.04, front))
    f.add("seat", seat, cushion)
    f.add("seat edge", box(left - 0.03, front, right + 0.04, y + 0.26), wood.shaded(0.85),
        at={"seat front left": (left, y + 0.2), "seat front right": (right, y + 0.2)})
    for x, name in ((left + 0.02, "left"), (right - 0.01, "right")):
        leg = limb([(x, y + 0.26), (x, 0.96)], [thick, thick * 0.8])
        f.add(f"{name} leg", leg, wood, at={f"{name} foot": (x, 0.95)})


@category("table", spin=4)
def table(f: Figure) -> None:
    wood = f.paint("wood", "wood", "dark wood", "cream", "grey", "white")
    thick, skew, high = f.trait(0.045, 0.08), f.pose(0.16, 0.34), f.trait(0.55, 0.75)
    for x, name in ((-0.86 + skew, "far left foot"), (0.72 + skew * 0.7, "far right foot")):
        f.add("far leg", limb([(x, -0.1), (x, high - 0.18)], [thick * 0.85, thick * 0.7]), wood.shaded(0.68),
            at={name: (x, high - 0.19)})
    for x, name in ((-0.9, "left foot"), (0.84, "right foot")):
        f.add("leg", limb([(x, 0.0), (x, high)], [thick, thick * 0.75]), wood, at={name: (x, high - 0.01)})
    if f.chance(0.4):
        f.add("drawer", box(-0.3, 0.06, 0.3, 0.24), wood.shaded(0.86), detail=1)
        f.dot("knob", 0.0, 0.15, 0.03, "gold", detail=2)
    top = path((-1.0, 0.02), (-1.0 + skew + 0.1, -0.28), (0.82 + skew * 0.7, -0.28), (0.98, 0.02))
    f.add("top", top, wood.shaded(1.12))
    f.add("edge", box(-1.0, 0.02, 0.98, 0.1), wood.shaded(0.86),
        at={"front left corner": (-0.98, 0.05), "front right corner": (0.96, 0.05)})


@category("bed", spin=4)
def bed(f: Figure) -> None:
    wood, sheet = f.paint("wood", "wood", "dark wood", "white", "night"), f.paint("plain", "white", "cream")
    cover = f.paint("grain", "blue", "red", "green", "purple", "pink", "teal")
    head, foot = f.trait(-0.62, -0.42), f.trait(-0.04, 0.12)
    board = box(-1.04, head, -0.88, 0.4)
    if f.chance(0.5):
        board = smooth([(-1.02, 0.2), (-1.02, head + 0.1), (-0.92, head), (-0.84, head + 0.1), (-0.84, 0.2)])
    f.add("headboard", board, wood, at={"headboard top": (-0.95, head + 0.05)})
    f.add("mattress", box(-0.92, 0.08, 0.96, 0.32, 0.04), sheet)
    pillow = [(-0.86, 0.08), (-0.86, -0.08), (-0.6, -0.13), (-0.36, -0.06), (-0.38, 0.08), (-0.6, 0.1)]
    f.add("pillow", smooth(pillow), sheet.shaded(1.04), at=(-0.62, -0.02))
    rise, fold = f.pose(-0.05, 0.02), curve([(-0.3, 0.14), (0.2, 0.06), (0.94, 0.16)])
    ridge = curve([(-0.3, 0.3), (-0.26, rise), (0.2, -0.08 + rise), (0.7, -0.03), (0.96, 0.06)])
    f.add("blanket", path(ridge, (0.96, 0.38), (-0.34, 0.38)), cover, lines=(fold,), at=(0.3, 0.16))
    f.add("frame", box(-0.96, 0.36, 1.0, 0.5), wood)
    f.add("footboard", box(0.92, foot, 1.06, 0.5, 0.03), wood.shaded(0.9), at={"footboard top": (0.99, foot + 0.04)})
    for x, name in ((-0.96, "head leg"), (0.99, "foot leg")):
        f.add(name, box(x - 0.06, 0.4, x + 0.06, 0.74), wood.shaded(0.85), at=(x, 0.71))


@category("couch", spin=4)
def couch(f: Figure) -> None:
    cloth = f.paint("grain", "red", "blue", "grey", "green", "brown", "teal", "cream")
    seats, top = f.count(2, 3), f.trait(-0.5, -0.36)
    wide = 0.56 * seats * 0.5 + 0.2
    for x in (-wide - 0.06, wide + 0.06):
        f.add("foot", box(x - 0.06, 0.5, x + 0.06, 0.64), f.paint("wood", "dark wood"), detail=1)
    f.add("back", box(-wide - 0.1, top, wide + 0.1, 0.3, 0.12), cloth.shaded(0.88),
        at=sides("back {}", wide, top + 0.06))
    f.add("base", box(-wide, 0.26, wide, 0.54), cloth.shaded(0.8))
    pitch = 2 * wide / seats
    for i in range(seats):
        x = -wide + i * pitch
        f.add("back cushion", box(x + 0.02, top + 0.1, x + pitch - 0.02, 0.14, 0.06), cloth, detail=1)
        f.add("seat cushion", box(x + 0.01, 0.1, x + pitch - 0.01, 0.32, 0.07), cloth.shaded(1.08))
    f.at({"seat": (0.0, 0.2)})
    round_ = f.trait(0.05, 0.12)
    for side, tag in SIDES:
        a, b = sorted((side * (wide - 0.03), side * (wide + 0.24)))
        f.add("arm", box(a, -0.1, b, 0.54, round_), cloth, at={f"{tag} arm": (side * (wide + 0.1), -0.04)})


@category("lamp", spin=6)
def lamp(f: Figure) -> None:
    shade = f.paint("grain", "cream", "yellow", "red", "white", "teal", roundness=0.5)
    base = f.paint("metal", "gold", "grey", "brown", "teal")
    wide, narrow, low = f.trait(0.44, 0.56), f.trait(0.2, 0.3), f.trait(-0.24, -0.12)
    slim, vase = [(0, low - 0.1), (0, 0.8)], mirrored((0.06, low), (0.1, 0.1), (0.27, 0.42), (0.14, 0.78))
    f.add("stem", limb(slim, [0.035, 0.04]) if f.pick("slim", "vase") == "slim" else smooth(vase), base, at=(0, 0.35))
    f.add("base", box(-0.34, 0.76, 0.34, 0.88, 0.05), base.shaded(0.85), at=sides("base {}", 0.31, 0.83))
    f.thin("pull cord", [(0.2, low), (0.2, low + 0.22)], 0.012, base, detail=2)
    hem = path((-wide * 0.96, low - 0.07), (wide * 0.96, low - 0.07))
    f.add("shade", mirrored((narrow, -0.92), (wide, low)), shade, lines=(hem,),
        at={"shade top": (0, -0.88)} | sides("shade {}", wide - 0.04, low - 0.02))
