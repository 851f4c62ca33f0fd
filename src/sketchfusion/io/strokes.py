"""Vector drawings: Quick, Draw! ndjson lines as strokes, and their fast antialiased raster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .errors import ImageError
from .svg import rasterize_svg

__all__ = ["Drawing", "parse_ndjson", "rasterize", "rasterize_svg", "read_drawing", "read_ndjson"]

MAX_LINE_BYTES = 16_000_000
MAX_POINTS = 1_000_000
MAX_SIDE = 4096
# Sketchy's renderings have lines of 3 px on 256 px.
SIDES_PER_LINE_WIDTH = 85.0

Stroke = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Drawing:
    """Strokes in drawing order, inside a frame that reaches from (0, 0) to (width, height).

    `strokes` are (N, 2) arrays of x, y in drawing units; `widths`, one a stroke, are in the same units.
    """

    strokes: tuple[Stroke, ...]
    width: float
    height: float
    label: str = ""
    widths: tuple[float, ...] | None = None


def parse_ndjson(line: str, source: str = "ndjson line") -> Drawing:
    """Read one Quick, Draw! line, raw (x, y, t) or simplified (x, y); the frame is the strokes' bounding box.

    Raises ImageError, which begins with `source`, for anything but a drawing.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{source}: not JSON ({_first_line(error)}); expected one Quick, Draw! record") from None
    raw = record.get("drawing") if isinstance(record, dict) else None
    if not isinstance(raw, list) or not raw:
        raise ImageError(f'{source}: no strokes; expected {{"drawing": [[[x, ...], [y, ...]], ...]}}')
    strokes = [_stroke(item, f"{source}: stroke {number}") for number, item in enumerate(raw, 1)]
    if sum(map(len, strokes)) > MAX_POINTS:
        raise ImageError(f"{source}: more than {MAX_POINTS} points; simplify the drawing first")
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = (float(extent) for extent in high - low)
    label = record.get("word", "")
    return Drawing(
        tuple((stroke - low).astype(np.float32) for stroke in strokes),
        width,
        height,
        label if isinstance(label, str) else "",
    )


def _stroke(item: Any, where: str) -> npt.NDArray[np.float64]:
    try:
        x, y = (np.asarray(axis, dtype=np.float64) for axis in item[:2])
    except (TypeError, ValueError, KeyError, OverflowError):
        raise ImageError(f"{where} is not a pair of number lists [x, ...], [y, ...]") from None
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ImageError(f"{where} needs as many x as y, and at least one; it has {x.shape} and {y.shape}")
    points = np.stack([x, y], axis=1)
    if not (np.abs(points) < 1e7).all():
        raise ImageError(f"{where} has coordinates that are not finite numbers below 10,000,000")
    return points


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES):
                number += 1
                if len(raw) == MAX_LINE_BYTES:
                    raise ImageError(f"{path}:{number}: line longer than {MAX_LINE_BYTES} bytes; not a drawing")
                if raw.strip():
                    yield number, raw.decode("utf-8", errors="replace")
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}; check the path") from None


def read_ndjson(path: str | Path) -> Iterator[Drawing]:
    """Yield the drawings of a file, one a line; ImageError names the file and line of a malformed one."""
    for number, line in _lines(Path(path)):
        yield parse_ndjson(line, f"{path}:{number}")


def read_drawing(path: str | Path, line: int = 1) -> Drawing:
    """Read the drawing on one line (counted from 1) of an ndjson file."""
    for number, text in _lines(Path(path)):
        if number == line:
            return parse_ndjson(text, f"{path}:{number}")
    raise ImageError(f"{path}: no drawing on line {line}; choose another line")


def rasterize(
    drawing: Drawing, side: int, line_width: float | None = None, margin: float = 0.06
) -> npt.NDArray[np.uint8]:
    """Draw black strokes with round joints on white, aspect kept and centred: (side, side) uint8.

    The drawing's frame fills the square but for `margin` (a share of `side`) on every edge, so `margin=0`
    keeps coordinates of a square frame in proportion. `line_width` is in output pixels; without it the
    drawing's own widths are scaled along, else lines are as thick as in the Sketchy Database.
    """
    if not 0 < side <= MAX_SIDE:
        raise ValueError(f"side={side}: choose 1 to {MAX_SIDE}")
    factor = 4 if side <= 256 else 2
    scale = side * (1 - 2 * margin) / max(drawing.width, drawing.height, 1e-6)
    if drawing.width == drawing.height == 0:
        scale = 1.0
    offset = (side - scale * np.array([drawing.width, drawing.height])) / 2
    canvas = Image.new("L", (side * factor, side * factor), 255)
    pen = ImageDraw.Draw(canvas)
    for index, stroke in enumerate(drawing.strokes):
        width = line_width
        if width is None:
            width = side / SIDES_PER_LINE_WIDTH if drawing.widths is None else drawing.widths[index] * scale
        # Pillow centres a line on a pixel only when its width is odd.
        radius = max(0, round((max(width, 1.0) * factor - 1) / 2))
        cells = np.floor((stroke * scale + offset) * factor).clip(-(2**15), 2**15).astype(int)
        _draw(pen, [(int(x), int(y)) for x, y in cells], radius)
    return np.asarray(canvas.reduce(factor), dtype=np.uint8)


def _draw(pen: ImageDraw.ImageDraw, points: list[tuple[int, int]], radius: int) -> None:
    pen.line(points, fill=0, width=2 * radius + 1)
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
