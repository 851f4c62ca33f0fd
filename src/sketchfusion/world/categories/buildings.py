"""Buildings: castle, church, lighthouse, tent, cabin, skyscraper, windmill."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, Mark, Paint, category
from ..shapes import Points, arc, box, ellipse, path, shift, smooth, turn


def pane(f: Figure, x0: float, y0: float, x1: float, y1: float, detail: int = 1, lit: str = "glass") -> None:
    """A window with a cross bar."""
    mx, my = (x0 + x1) / 2, (y0 + y1) / 2
    bars = (path((mx, y0), (mx, y1)), path((x0, my), (x1, my)))
    f.add("window", box(x0, y0, x1, y1), f.paint("plain", lit, "night", roundness=0.1), detail=detail,
        lines=bars)


def arched(x0: float, x1: float, y0: float, y1: float) -> Points:
    """A gate: straight sides, round top that begins at y0."""
    top = arc((x0 + x1) / 2, y0, (x1 - x0) / 2, (x1 - x0) / 2, 180, 360, 12)
    return path(*top.tolist(), (x1, y1), (x0, y1))


def battlement(x0: float, x1: float, top: float, bottom: float, teeth: int) -> Points:
    """A wall with merlons."""
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
        f.add("keep", battlement(-0.26, 0.26, high - 0.3, 0.4, 3), stone.shaded(0.88), detail=0)
        f.thin("flagpole", [(0, high - 0.2), (0, high - 0.62)], 0.016, dark, detail=1)
        f.add("flag", path((0, high - 0.62), (0.24, high - 0.54), (0, high - 0.46)), roof, detail=1)
    f.add("wall", battlement(-0.7, 0.7, -0.06, 0.8, 7), stone, detail=0)
    for side in (-1, 1):
        x = side * 0.76
        f.add("tower", battlement(x - 0.23, x + 0.23, high, 0.82, 3), stone.shaded(1.04), detail=0)
        if spires:
            f.add("spire", path((x - 0.28, high + 0.02), (x, high - 0.48), (x + 0.28, high + 0.02)), roof,
                detail=0)
        f.at("left tower" if side < 0 else "right tower", x, high + 0.2)
        f.add("slit", arched(x - 0.05, x + 0.05, 0.1, 0.26), dark.shaded(0.5), detail=1)
    f.add("gate", arched(-0.2, 0.2, 0.42, 0.81), dark, detail=0, lines=(path((0, 0.24), (0, 0.8)),))
    f.at("gate", 0, 0.6)


@category("church", scene="field", spin=3)
def church(f: Figure) -> None:
    wall = f.paint("plain", "white", "cream", "stone", "brick", roundness=0.2)
    roof, dark = f.paint("grain", "maroon", "grey", "brown", "night"), f.paint("wood", "dark wood", "brown")
    tall, wide = f.trait(-0.4, -0.25), f.trait(0.24, 0.29)
    f.add("nave", box(-0.2, 0.12, 1.0, 0.8), wall, detail=0)
    f.add("roof", path((-0.2, 0.14), (-0.06, -0.26), (0.9, -0.26), (1.08, 0.14)), roof, detail=0)
    f.at("roof end", 0.9, -0.2)
    for x in (0.2, 0.48, 0.76):
        f.add("window", arched(x - 0.07, x + 0.07, 0.36, 0.6), f.paint("plain", "glass", "navy", "night",
            roundness=0.1), detail=1)
    f.add("tower", box(-0.4 - wide, tall, -0.4 + wide, 0.82), wall.shaded(1.04), detail=0)
    peak = tall - f.trait(0.5, 0.64)
    f.add("steeple", path((-0.46 - wide, tall + 0.01), (-0.4, peak), (-0.34 + wide, tall + 0.01)), roof,
        detail=0)
    for points in ([(-0.4, peak + 0.02), (-0.4, peak - 0.28)], [(-0.5, peak - 0.17), (-0.3, peak - 0.17)]):
        f.thin("cross", points, 0.025, f.paint("metal", "gold", "night"), detail=0)
    f.at("cross", -0.4, peak - 0.17)
    f.add("rose window", ellipse(-0.4, tall + 0.26, 0.1), f.paint("plain", "glass", "gold", "navy"),
        detail=1)
    f.add("door", arched(-0.52, -0.28, 0.5, 0.81), dark, detail=0)
    f.at("door", -0.4, 0.66)


@category("lighthouse", scene="sea", spin=3)
def lighthouse(f: Figure) -> None:
    white, band = f.paint("plain", "white", "cream"), f.paint("plain", "red", "blue", "black")
    wide, top, stripes = f.trait(0.3, 0.38), 0.19, f.count(2, 3)
    f.add("rock", smooth([(-0.75, 0.98), (-0.55, 0.78), (-0.2, 0.84), (0.2, 0.78), (0.5, 0.82), (0.8, 0.98),
        (0.0, 1.04)]), f.paint("blotch", "stone", "grey", "brown"), detail=1)
    marks = []
    pitch = 1.3 / (2 * stripes)
    for i in range(stripes):
        y0 = -0.44 + pitch * (2 * i + 0.6)
        marks.append(_mark(box(-0.6, y0, 0.6, y0 + pitch), band))
    f.add("tower", path((-top, -0.48), (top, -0.48), (wide, 0.86), (-wide, 0.86)), white, marks=marks)
    f.at("tower foot left", -wide + 0.03, 0.8)
    f.at("tower foot right", wide - 0.03, 0.8)
    f.add("door", arched(-0.09, 0.09, 0.66, 0.85), f.paint("wood", "dark wood"), detail=1)
    f.add("gallery", box(-0.3, -0.54, 0.3, -0.46), band.shaded(0.7), detail=0)
    f.add("lantern", box(-0.15, -0.82, 0.15, -0.54), f.paint("plain", "yellow", "gold"), detail=0,
        lines=(path((-0.05, -0.82), (-0.05, -0.54)), path((0.05, -0.82), (0.05, -0.54))))
    f.at("lantern", 0, -0.68)
    f.add("dome", path((-0.22, -0.81), (0, -1.06), (0.22, -0.81)), band, detail=0)
    f.at("dome", 0, -0.95)
    if f.chance(0.5):
        for side in (-1, 1):
            for dy in (-0.1, 0.1):
                f.thin("beam", [(side * 0.3, -0.7 + dy * 0.6), (side * 0.66, -0.7 + dy * 1.8)], 0.015,
                    f.paint("plain", "yellow"), detail=2)


def _mark(outline: Points, paint: Paint) -> Mark:
    return Mark(outline, paint.rgb)


@category("tent", scene="forest", spin=4)
def tent(f: Figure) -> None:
    cloth = f.paint("grain", "orange", "green", "blue", "red", "yellow", "tan", roundness=0.3)
    lean, high, back = f.pose(0.6, 0.8), f.trait(-0.62, -0.46), f.trait(0.86, 1.0)
    pole, rope = f.paint("wood", "dark wood"), f.paint("plain", "cream", "night")
    f.add("side", path((-0.3, high), (lean - 0.1, high + 0.06), (back + 0.12, 0.5), (0.3, 0.6)),
        cloth.shaded(0.8), detail=0)
    f.at("ridge back", lean - 0.12, high + 0.1)
    f.at("back corner", back + 0.06, 0.47)
    f.add("front", path((-0.3, high), (0.3, 0.6), (-0.86, 0.6)), cloth, detail=0)
    f.at("front left corner", -0.82, 0.58)
    f.at("front right corner", 0.27, 0.58)
    open_ = f.pose(0.12, 0.24)
    f.add("opening", path((-0.3, high + 0.16), (-0.28 + open_, 0.6), (-0.28 - open_, 0.6)),
        cloth.shaded(0.35), detail=0)
    f.thin("pole", [(-0.3, high + 0.04), (-0.3, high - 0.14)], 0.02, pole, detail=1)
    f.at("ridge front", -0.3, high)
    for a, b in (((-0.3, high), (-1.06, 0.64)), ((-0.58, 0.1), (-1.0, 0.62))):
        f.thin("rope", [a, b], 0.01, rope, detail=2)


@category("cabin", scene="forest", spin=3, unseen=True)
def cabin(f: Figure) -> None:
    log, roof = f.paint("wood", "brown", "wood", "dark wood", roundness=0.2), f.paint("grain", "maroon",
        "dark wood", "grey", "dark green")
    peak, eave = f.trait(-0.78, -0.62), f.trait(-0.12, -0.04)
    if f.chance(0.8):
        f.add("chimney", box(0.32, peak - 0.06, 0.52, eave), f.paint("brick", "brick", "stone"), detail=0)
        f.at("chimney", 0.42, peak)
    logs = [path((-0.8, y), (0.8, y)) for y in (0.16, 0.32, 0.48, 0.64)]
    f.add("wall", box(-0.8, eave, 0.8, 0.8), log, detail=0, lines=logs)
    for side in (-1, 1):
        f.at("left corner" if side < 0 else "right corner", side * 0.76, 0.76)
    f.add("roof", path((-1.0, eave + 0.04), (0.0, peak), (1.0, eave + 0.04), (0.86, eave + 0.14),
        (0.0, peak + 0.2), (-0.86, eave + 0.14)), roof, detail=0, group="roof")
    f.add("gable", path((-0.84, eave + 0.1), (0.0, peak + 0.18), (0.84, eave + 0.1)), log.shaded(0.9),
        detail=0)
    f.at("roof peak", 0.0, peak + 0.22)
    door = f.trait(-0.36, -0.16)
    f.add("door", box(door - 0.17, 0.24, door + 0.17, 0.8), f.paint("wood", "red", "dark wood", "green"),
        detail=0)
    f.at("door", door, 0.5)
    f.dot("knob", door + 0.11, 0.54, 0.026, "gold", detail=2)
    pane(f, 0.24, 0.24, 0.6, 0.56, detail=0, lit="yellow")
    f.add("attic window", ellipse(0, peak + 0.46, 0.1), f.paint("plain", "glass", "yellow"), detail=1)


@category("skyscraper", scene="city", spin=2, unseen=True)
def skyscraper(f: Figure) -> None:
    wall, glass = f.paint("plain", "steel", "sky", "grey", "tan", "night", roundness=0.25), f.paint("plain",
        "glass", "yellow", "navy", roundness=0.1)
    wide, crown = f.trait(0.25, 0.34), f.pick("spire", "steps", "flat")
    top, side = f.trait(-0.85, -0.7), f.pose(0.1, 0.2)
    if crown == "spire":
        f.thin("antenna", [(0, top), (0, top - 0.42)], 0.022, wall.shaded(0.6), detail=0)
    if crown != "flat":
        f.add("upper", box(-wide * 0.62, top - 0.2, wide * 0.62, top + 0.1), wall, detail=0)
    f.at("top", 0, top + 0.04)
    f.add("side", path((wide, top), (wide + side, top + 0.08), (wide + side, 0.98), (wide, 1.0)),
        wall.shaded(0.65), detail=0)
    f.add("front", box(-wide, top, wide, 1.0), wall, detail=0)
    f.at("foot left", -wide + 0.02, 0.97)
    f.at("foot right", wide - 0.02, 0.97)
    f.at("corner left", -wide + 0.02, top + 0.03)
    columns, rows = f.count(3, 4), f.count(7, 9)
    dx, dy = 2 * wide / columns, (0.8 - top) / rows
    for i in range(rows):
        for j in range(columns):
            x, y = -wide + dx * (j + 0.22), top + dy * (i + 0.3)
            f.add("window", box(x, y, x + dx * 0.56, y + dy * 0.5), glass, detail=1 if i % 2 == 0 else 2)
    f.add("door", box(-0.09, 0.84, 0.09, 1.0), glass.shaded(0.6), detail=1)


@category("windmill", scene="field", spin=3, unseen=True)
def windmill(f: Figure) -> None:
    wall, cap = f.paint("brick", "white", "brick", "stone", "cream"), f.paint("grain", "maroon", "brown",
        "night", "red")
    sail, wood = f.paint("plain", "white", "cream"), f.paint("wood", "dark wood", "wood")
    wide, reach = f.trait(0.36, 0.44), f.trait(0.68, 0.82)
    f.add("tower", path((-0.22, -0.3), (0.22, -0.3), (wide, 1.0), (-wide, 1.0)), wall, detail=0)
    f.at("foot left", -wide + 0.03, 0.96)
    f.at("foot right", wide - 0.03, 0.96)
    f.add("cap", path(*arc(0, -0.28, 0.28, 0.3, 180, 360, 14).tolist()), cap, detail=0)
    f.add("door", arched(-0.11, 0.11, 0.76, 1.0), wood, detail=0)
    f.at("door", 0, 0.86)
    f.add("window", arched(-0.07, 0.07, 0.26, 0.38), f.paint("plain", "night", "glass"), detail=1)
    phase = f.pose(8, 82)
    for k in range(4):
        angle = phase + 90 * k
        cloth = shift(turn(box(0.16, 0.02, reach, 0.2), angle), 0, -0.32)
        rungs = [shift(turn(path((x, 0.02), (x, 0.2)), angle), 0, -0.32) for x in (0.34, 0.52)]
        f.add("sail", cloth, sail, detail=0, lines=rungs)
        arm = shift(turn(path((0.0, 0.0), (reach + 0.03, 0.0)), angle), 0, -0.32)
        f.thin("arm", [(float(a), float(b)) for a, b in arm], 0.022, wood, detail=0)
        f.at(f"sail {k + 1}", float(arm[1, 0]), float(arm[1, 1]))
    f.dot("hub", 0, -0.32, 0.06, "dark wood", detail=1)
