"""What opens in a wall: door, window."""

# Recipes are tables of points, laid out by hand.
# fmt: off

from __future__ import annotations

from ..figure import Figure, category
from ..shapes import box, path
from .buildings import arched, pane


@category("door", scene="wall", spin=2, unseen=True)
def door(f: Figure) -> None:
    wood = f.paint("wood", "wood", "dark wood", "red", "blue", "green", "white", roundness=0.1)
    case = f.paint("wood", "white", "cream", "dark wood", roundness=0.1)
    wide, style = f.trait(0.4, 0.5), f.pick("panels", "glazed", "arch")
    f.add("frame", box(-wide - 0.11, -1.06, wide + 0.11, 1.0), case, detail=0)
    f.add("leaf", box(-wide, -0.95, wide, 1.0), wood, detail=0)
    f.at("top left", -wide + 0.03, -0.91)
    f.at("top right", wide - 0.03, -0.91)
    f.at("bottom left", -wide + 0.03, 0.96)
    dark = wood.shaded(0.8)
    if style == "glazed":
        pane(f, -wide * 0.66, -0.78, wide * 0.66, -0.1, detail=0)
    elif style == "arch":
        f.add("panel", arched(-wide * 0.62, wide * 0.62, -0.5, -0.02), dark, detail=0)
    else:
        for a, b in ((-wide * 0.76, -0.05), (0.05, wide * 0.76)):
            f.add("panel", box(a, -0.8, b, -0.06), dark, detail=0)
    for a, b in ((-wide * 0.76, -0.05), (0.05, wide * 0.76)):
        f.add("panel", box(a, 0.24, b, 0.84), dark, detail=0 if style != "panels" else 1)
    f.add("plate", box(wide - 0.15, -0.02, wide - 0.05, 0.2, 0.02), f.paint("metal", "gold", "silver"),
        detail=2)
    f.dot("knob", wide - 0.1, 0.08, 0.06, "gold", detail=0)
    f.at("knob", wide - 0.1, 0.08)
    f.add("step", box(-wide - 0.2, 1.0, wide + 0.2, 1.09), f.paint("plain", "stone", "grey"), detail=1)


@category("window", scene="wall", spin=2, unseen=True)
def window(f: Figure) -> None:
    case, glass = f.paint("wood", "white", "brown", "dark wood", "green", roundness=0.1), f.paint("plain",
        "glass", "sky", "night", roundness=0.1)
    wide, high = f.trait(0.56, 0.68), f.trait(0.66, 0.8)
    shutters = f.chance(0.45)
    if shutters:
        for side in (-1, 1):
            a, b = sorted((side * (wide + 0.04), side * (wide + 0.46)))
            slats = [path((a + 0.05, y), (b - 0.05, y)) for y in (-0.5, -0.3, -0.1, 0.1, 0.3, 0.5)]
            f.add("shutter", box(a, -high, b, high), f.paint("wood", "green", "blue", "red", "brown"),
                detail=0, lines=slats)
    f.add("frame", box(-wide, -high, wide, high), case, detail=0)
    f.at("top left", -wide + 0.04, -high + 0.04)
    f.at("top right", wide - 0.04, -high + 0.04)
    rows, columns = f.count(2, 3), 2
    dx, dy = (2 * wide - 0.1) / columns, (2 * high - 0.1) / rows
    for i in range(rows):
        for j in range(columns):
            x, y = -wide + 0.05 + dx * j, -high + 0.05 + dy * i
            glint = path((x + dx * 0.3, y + dy * 0.6), (x + dx * 0.55, y + dy * 0.35))
            f.add("pane", box(x + 0.03, y + 0.03, x + dx - 0.03, y + dy - 0.03), glass, detail=0,
                lines=(glint,))
    if f.chance(0.4):
        cloth = f.paint("grain", "red", "cream", "yellow", "pink")
        for side in (-1, 1):
            drape = [(side * wide * 0.94, -high + 0.04), (side * 0.06, -high + 0.04),
                (side * wide * 0.5, 0.0), (side * wide * 0.78, high * 0.7), (side * wide * 0.94, high * 0.8)]
            f.add("curtain", path(*drape), cloth, detail=1)
    f.add("sill", box(-wide - 0.12, high - 0.02, wide + 0.12, high + 0.1), case.shaded(0.9), detail=0)
    f.at("sill left", -wide - 0.08, high + 0.04)
    f.at("sill right", wide + 0.08, high + 0.04)
