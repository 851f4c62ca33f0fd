"""Drawings to start from, by the hands of Sketch World."""

from __future__ import annotations

import functools

from ..world import World
from .replies import Example, ExampleStroke

# Nothing that a hand draws of these instances is a photo of the demo.
INSTANCE = 1_000
NAMES = (
    *("cup", "umbrella", "sailboat", "giraffe", "windmill", "bicycle"),
    *("tree", "fish", "helicopter", "key", "butterfly", "wheelchair"),
)


@functools.cache
def examples() -> list[Example]:
    """Draw the examples; the same ones always."""
    world = World(size=64)
    return [_example(world, name) for name in NAMES]


def _example(world: World, name: str) -> Example:
    _, drawing, _ = world.sketch(name, INSTANCE, hand=0)
    widths = drawing.widths or (3.0,) * len(drawing.strokes)
    strokes = [
        ExampleStroke(points=[[round(float(x), 1), round(float(y), 1)] for x, y in stroke], width=width)
        for stroke, width in zip(drawing.strokes, widths, strict=True)
    ]
    return Example(name=name.replace("_", " "), width=drawing.width, height=drawing.height, strokes=strokes)
