"""Read a drawing into the picture that the model gets, and convert between its pixels and drawing units."""

import base64
import binascii
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..errors import ImageError
from ..io.images import Reduced, read_reduced
from ..tasks.inputs import read_sketches
from ..world import Difficulty, World
from ..world.categories import CATEGORIES, Category
from .messages import Drawing, Example, ImageDrawing, Limits, Stroke, StrokesDrawing, SvgDrawing

SIDE = 512  # of the picture that strokes are drawn into
SMOOTHING = 2  # drawn this many times larger and then reduced
MARGIN = 0.06  # blank share on each side of the ink, as in the sketches that the models were trained on
MIN_EXTENT = 0.15  # share of the sheet that is enlarged to fill the picture at most
PEN = (SIDE / 170, SIDE / 40)  # thinnest and thickest line; lines of Sketchy's sketches are SIDE / 85
FURTHEST = 2.0**15  # pixels from the corner of the picture; lines are at most that wide, too
EXAMPLE_INSTANCE = 1_000  # of Sketch World; none of the demo's photos show it
CLEAN = Difficulty(errors=0, skew=0, perspective=0, spin=0)  # an upright drawing by a steady hand
EXAMPLES = (
    *("cup", "umbrella", "sailboat", "giraffe", "windmill", "bicycle"),
    *("tree", "fish", "helicopter", "key", "butterfly", "wheelchair"),
)

Floats = npt.NDArray[np.float64]


class LimitExceeded(ValueError):
    """A request over one of the studio's limits."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawing, dark on white, or a photo (3, H, W); pixels = scale * units + offset."""

    picture: Tensor
    size: tuple[float, float]  # width and height in units: those of the drawing, or pixels of the photo's file
    scale: tuple[float, float]
    offset: tuple[float, float] = (0.0, 0.0)

    def to_picture(self, points: Sequence[Sequence[float]]) -> Floats:
        """Convert points (N, 2) in units to pixels of the picture."""
        pixels: Floats = np.asarray(points, np.float64) * self.scale + self.offset
        return pixels

    def to_units(self, points: Sequence[Sequence[float]]) -> Floats:
        """Convert points (N, 2) in pixels of the picture to units."""
        units: Floats = (np.asarray(points, np.float64) - self.offset) / self.scale
        return units


def read_sketch(drawing: Drawing, limits: Limits) -> Picture:
    """Read the drawing of a request. Raises LimitExceeded, and ImageError for a broken or blank one."""
    if isinstance(drawing, StrokesDrawing):
        sketch = _from_strokes(drawing, limits)
    else:
        data = drawing.svg.encode() if isinstance(drawing, SvgDrawing) else _decoded(drawing.data)
        if isinstance(drawing, SvgDrawing) and not data.lstrip().startswith(b"<"):
            raise ImageError("the drawing: not an SVG document")
        read = read_reduced(data, limits.drawing_side, "sketch", "the drawing", limits.pixels)
        sketch = as_read(read, drawing.width, drawing.height)
    try:
        return replace(sketch, picture=read_sketches([sketch.picture])[0])
    except ImageError:
        raise ImageError("there are no lines in this drawing") from None


def read_photo(photo: ImageDrawing, limits: Limits) -> Tensor:
    """Read a photo of a request as (3, H, W), ImageError if it is broken."""
    return read_reduced(_decoded(photo.data), limits.drawing_side, "photo", "the photo", limits.pixels).tensor("photo")


def as_read(read: Reduced, width: float | None = None, height: float | None = None) -> Picture:
    """Give what was read from a file in units that make it so wide and high, by default in pixels of the file."""
    size, shape = (width or read.width, height or read.height), read.pixels.shape
    return Picture(read.tensor("photo"), size, (shape[1] / size[0], shape[0] / size[1]))


def category_of(label: str) -> Category | None:
    """Give the category of Sketch World that a label names, or None."""
    return CATEGORIES.get(label.casefold().replace(" ", "_").replace("-", "_"))


@functools.cache
def clean_drawing(category: str) -> Example:
    """Draw a category of Sketch World, always in the same way."""
    _, drawing, _ = World(size=16, difficulty=CLEAN).sketch(category, EXAMPLE_INSTANCE, hand=0)
    pairs = zip(drawing.strokes, drawing.widths or (), strict=True)
    strokes = [Stroke(points=points.astype(float).round(1).tolist(), width=width) for points, width in pairs]
    return Example(name=category.replace("_", " "), width=drawing.width, height=drawing.height, strokes=strokes)


def _decoded(data: str) -> bytes:
    head, comma, rest = data.partition(",")
    try:
        return base64.b64decode(rest if comma and head.startswith("data:") else data, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("the picture: its data is not base64") from None


def _from_strokes(drawing: StrokesDrawing, limits: Limits) -> Picture:
    if len(drawing.strokes) > limits.strokes:
        raise LimitExceeded(f"{len(drawing.strokes)} strokes; at most {limits.strokes} can be read")
    if (count := sum(len(stroke.points) for stroke in drawing.strokes)) > limits.points:
        raise LimitExceeded(f"{count} points; at most {limits.points} can be read")
    sheet = max(drawing.width, drawing.height)
    preview = _paint(drawing.strokes, SIDE / sheet, (0.0, 0.0), clamp_width=False)
    rows, columns = np.nonzero(preview < 128)
    if not len(rows):
        raise ImageError("the drawing: the sketch is blank; draw something first")
    low = np.array([columns.min(), rows.min()]) * sheet / SIDE
    high = np.array([columns.max() + 1, rows.max() + 1]) * sheet / SIDE
    extent = max(float((high - low).max()), MIN_EXTENT * sheet)
    scale = SIDE * (1 - 2 * MARGIN) / extent
    x, y = (SIDE / 2 - scale * (low + high) / 2).tolist()
    ink = torch.from_numpy(_paint(drawing.strokes, scale, (x, y), clamp_width=True)).float().div_(255)
    return Picture(ink.expand(3, -1, -1), (drawing.width, drawing.height), (scale, scale), (x, y))


def _paint(
    strokes: Sequence[Stroke], scale: float, offset: tuple[float, float], clamp_width: bool
) -> npt.NDArray[np.uint8]:
    """Draw strokes with round ends, black on white and erasing ones in white: (SIDE, SIDE).

    Where the pressure is p a line is width * (0.5 + p) wide.
    """
    canvas = Image.new("L", (SIDE * SMOOTHING, SIDE * SMOOTHING), 255)
    pen = ImageDraw.Draw(canvas)
    for stroke in strokes:
        fill, width = 255 if stroke.erase else 0, stroke.width * scale
        if clamp_width and not stroke.erase:
            width = min(max(width, PEN[0]), PEN[1])
        points = np.array([(*point, 0.5)[:3] for point in stroke.points])  # x, y and pressure
        places = (SMOOTHING * (points[:, :2] * scale + offset)).clip(-FURTHEST, FURTHEST)
        widths = (SMOOTHING * width * (0.5 + points[:, 2].clip(0, 1))).clip(1, FURTHEST)
        for number, ((x, y), wide) in enumerate(zip(places.tolist(), widths.tolist(), strict=True)):
            if number:
                pen.line((*places[number - 1].tolist(), x, y), fill=fill, width=round(wide))
            pen.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=fill)
    return np.array(canvas.reduce(SMOOTHING), dtype=np.uint8)
