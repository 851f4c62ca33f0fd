"""Counts the source files that a call goes through, and how often it changes from one to another.

`python tests/trace_calls.py [MODEL]` prints both for a search, the first search on a gallery, the whole command
`search`, and a row of Table 1 measured on a small Sketch World.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType

from PIL import Image, ImageDraw

import sketchfusion
from fixtures.photos import photo
from sketchfusion.extractor import Extractor
from sketchfusion.gallery import Gallery

PACKAGE = str(Path(sketchfusion.__file__).parent) + "/"
MOST_FILES, MOST_SWITCHES = 25, 120  # of a search in an open gallery
MOST_FILES_AT_FIRST, MOST_SWITCHES_AT_FIRST = 30, 300  # of the first search, with opening the gallery


@dataclass(frozen=True)
class Trace:
    """The functions of the package that were called, in order, as pairs of file and name."""

    calls: tuple[tuple[str, str], ...]

    @property
    def files(self) -> set[str]:
        """The files that the functions stand in."""
        return {file for file, _ in self.calls}

    @property
    def switches(self) -> int:
        """How often a function was called that stands in another file than the one called before."""
        return sum(before[0] != after[0] for before, after in pairwise(self.calls))


def trace(call: Callable[[], object]) -> Trace:
    """Call something and record which functions of the package run in this thread."""
    calls: list[tuple[str, str]] = []

    def record(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls.append((frame.f_code.co_filename.removeprefix(PACKAGE), frame.f_code.co_name))

    sys.setprofile(record)
    try:
        call()
    finally:
        sys.setprofile(None)
    return Trace(tuple(calls))


def make_gallery(folder: Path, model: Extractor) -> tuple[Path, Path]:
    """Index a few photos with a model; gives the gallery and a sketch to search it with."""
    for number in range(4):
        photo(folder / "photos" / f"{number}.png", number)
    sketch = Image.new("RGB", (96, 96), "white")
    ImageDraw.Draw(sketch).ellipse((20, 20, 70, 60), outline="black", width=3)
    sketch.save(folder / "sketch.png")
    Gallery.open(folder / "gallery", model).add(folder / "photos")
    return folder / "gallery", folder / "sketch.png"


def trace_searches(folder: Path, model: Extractor) -> tuple[Trace, Trace]:
    """Trace the first search on a gallery, with opening it, and one after that; the model is loaded."""
    gallery, sketch = make_gallery(folder, model)
    opened: list[Gallery] = []

    def first() -> None:
        opened.append(Gallery.open(gallery, model))
        opened[0].search(sketch)

    return trace(first), trace(lambda: opened[0].search(sketch))


def trace_table_row(model: Extractor) -> Trace:
    """Trace how a model is measured for a row of Table 1, on one photo and one sketch of each unseen category."""
    from sketchfusion.lab.datasets import world
    from sketchfusion.lab.evaluation.table import measure_task

    counts = world.PHOTOS, world.SKETCHES
    world.PHOTOS = world.SKETCHES = 1
    try:
        return trace(lambda: measure_task("retrieval", model, world.SketchWorld()))
    finally:
        world.PHOTOS, world.SKETCHES = counts


def main(name: str = "mini") -> None:
    """Print what is counted."""
    from sketchfusion.cli.search import search

    model = sketchfusion.load(name)
    with tempfile.TemporaryDirectory() as folder:
        first, warm = trace_searches(Path(folder), model)
        uri, sketch = str(Path(folder) / "gallery"), str(Path(folder) / "sketch.png")
        with contextlib.redirect_stdout(io.StringIO()):
            command = trace(lambda: search([sketch], uri, model=name))
    traces = {
        "a search": warm,
        "the first search, with opening the gallery": first,
        "the command, with loading the model": command,
        "a row of Table 1": trace_table_row(model),
    }
    for what, traced in traces.items():
        sys.stdout.write(f"{what}: {len(traced.files)} files, {traced.switches} switches, {len(traced.calls)} calls\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
