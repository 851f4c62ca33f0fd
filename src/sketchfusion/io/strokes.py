"""Vector drawings: read the formats of Quick, Draw! as strokes, and rasterise them.

The formats are ndjson lines, packed `.bin` files, `.npy` files of 28 x 28 bitmaps, and Sketch-RNN's `.npz` of pen
offsets (https://github.com/googlecreativelab/quickdraw-dataset).
"""

import io
import json
import pickle
import re
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..errors import ImageError, first_line
from .files import ONE_HEADER, map_array

MAX_LINE_BYTES = 16_000_000
MAX_POINTS = 1_000_000
SIDES_PER_LINE_WIDTH = 85.0  # the Sketchy Database draws lines of 3 px on 256 px
BITMAP_SIDE = 28
PARTS = ("train", "valid", "test")  # of a Sketch-RNN file
MAX_PART_BYTES = 2_000_000_000  # of one unpacked part

Stroke = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int16]

# A drawing of a .bin file, little-endian and unpadded: key_id, country code, recognized, timestamp, number of strokes;
# then for each stroke the number of points, all x, all y.
_HEAD = struct.Struct("<Q2sbIH")
_COUNT = struct.Struct("<H")


@dataclass(frozen=True, eq=False)
class Drawing:
    """Strokes in drawing order, in a frame from (0, 0) to (width, height)."""

    strokes: tuple[Stroke, ...] = field(repr=False)  # (N, 2) each: x and y in drawing units
    width: float
    height: float
    label: str = ""
    widths: tuple[float, ...] | None = field(default=None, repr=False)  # one per stroke, in drawing units


def rasterize(drawing: Drawing, side: int, margin: float = 0.06) -> npt.NDArray[np.uint8]:
    """Draw black strokes with round joints on white, centred, with their aspect ratio: (side, side) uint8.

    The drawing's frame fills the square except for `margin` (a share of `side`) on every edge, so `margin=0` keeps
    coordinates of a square frame in proportion. The drawing's own widths are scaled along; without any, lines are as
    thick as in the Sketchy Database.
    """
    factor = 4 if side <= 256 else 2
    longest = max(drawing.width, drawing.height)
    scale = side * (1 - 2 * margin) / max(longest, 1e-6) if longest else 1.0
    offset = (side - scale * np.array([drawing.width, drawing.height])) / 2
    canvas = Image.new("L", (side * factor, side * factor), 255)
    pen = ImageDraw.Draw(canvas)
    for index, stroke in enumerate(drawing.strokes):
        width = side / SIDES_PER_LINE_WIDTH if drawing.widths is None else drawing.widths[index] * scale
        # Pillow centres a line on a pixel only when its width is odd.
        radius = max(0, round((max(width, 1.0) * factor - 1) / 2))
        cells = np.floor((stroke * scale + offset) * factor).clip(-(2**15), 2**15).astype(int)
        points = [(int(x), int(y)) for x, y in cells]
        pen.line(points, fill=0, width=2 * radius + 1)
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    return np.asarray(canvas.reduce(factor), dtype=np.uint8)


def parse_ndjson(line: str, source: str = "ndjson line") -> Drawing:
    """Read one Quick, Draw! line, raw (x, y, t) or simplified (x, y); an ImageError begins with `source`."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{source}: not JSON ({first_line(error)}); expected one Quick, Draw! record") from None
    return parse_record(record, source)


def parse_record(record: Any, source: str) -> Drawing:
    """Read one Quick, Draw! record as JSON gives it; as `parse_ndjson` does."""
    raw = record.get("drawing") if isinstance(record, dict) else None
    if not isinstance(raw, list) or not raw:
        raise ImageError(f'{source}: no strokes; expected {{"drawing": [[[x, ...], [y, ...]], ...]}}')
    read = [_stroke(item, f"{source}: stroke {number}") for number, item in enumerate(raw, 1)]
    strokes = [stroke for stroke in read if len(stroke)]
    if not strokes:
        raise ImageError(f"{source}: no points in its strokes; draw something first")
    if sum(map(len, strokes)) > MAX_POINTS:
        raise ImageError(f"{source}: more than {MAX_POINTS} points; simplify the drawing first")
    label = record.get("word", "")
    return frame_strokes(strokes, label if isinstance(label, str) else "")


def read_drawing(path: Path, line: int = 1) -> Drawing:
    """Read the drawing on one line (counted from 1) of an ndjson file. Raises ImageError."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
                if len(raw) == MAX_LINE_BYTES:
                    raise ImageError(f"{path}:{number}: line longer than {MAX_LINE_BYTES} bytes; not a drawing")
                if number == line and raw.strip():
                    return parse_ndjson(raw.decode("utf-8", errors="replace"), f"{path}:{number}")
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}; check the path") from None
    raise ImageError(f"{path}: no drawing on line {line}; choose another line")


@dataclass(frozen=True)
class Record:
    """One drawing of a `.bin` file: where its bytes begin and end, its key and whether the game recognised it."""

    start: int
    end: int
    key: str
    recognised: bool


def scan_bin(path: Path) -> tuple[Record, ...]:
    """List the drawings of a `.bin` file without reading their points; ImageError if it is cut short."""
    try:
        stat = path.stat()
        return _scan(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}; check the path") from None


def read_bin(path: Path, number: int = 1) -> Drawing:
    """Read one drawing (counted from 1) of a `.bin` file. Raises ImageError."""
    records = scan_bin(path)
    if not 0 < number <= len(records):
        raise ImageError(f"{path}: no drawing {number}; there are {len(records)}")
    record = records[number - 1]
    with path.open("rb") as file:
        file.seek(record.start)
        data = file.read(record.end - record.start)
    strokes, offset = list[Stroke](), _HEAD.size
    for _ in range(_HEAD.unpack_from(data)[-1]):
        (count,) = _COUNT.unpack_from(data, offset)
        offset += _COUNT.size
        points = np.frombuffer(data, np.uint8, 2 * count, offset).reshape(2, count)
        offset += 2 * count
        strokes += [points.T.astype(np.float32)] if count else []
    if not strokes:
        raise ImageError(f"{path}:{number}: no strokes; choose another drawing")
    return frame_strokes(strokes, path.stem)


def read_bitmap(path: Path, number: int = 1) -> npt.NDArray[np.uint8]:
    """Read one bitmap (counted from 1) of a `.npy` file as (28, 28), dark on white. Raises ImageError."""
    bitmaps = read_bitmaps(path)
    if not 0 < number <= len(bitmaps):
        raise ImageError(f"{path}: no bitmap {number}; there are {len(bitmaps)}")
    return 255 - np.asarray(bitmaps[number - 1]).reshape(BITMAP_SIDE, BITMAP_SIDE)  # the file has them light on dark


def count_sketchrnn(path: Path) -> dict[str, int]:
    """Count the drawings in each part of a `.npz` file from its headers: {"train": 70000, ...}."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {part: _header(archive, part)[0] for part in PARTS if f"{part}.npy" in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise _broken(path, error) from None


def read_sketchrnn(path: Path, number: int = 1) -> Drawing:
    """Read one drawing of a `.npz` file, counted from 1 through train, valid and test. Raises ImageError."""
    rest = number
    for part, count in count_sketchrnn(path).items():
        if 0 < rest <= count:
            return to_drawing(read_part(path, part)[rest - 1], path.name.split(".")[0])
        rest -= count
    raise ImageError(f"{path}: no drawing {number}; there are {number - rest}")


def read_part(path: Path, part: str) -> tuple[Offsets, ...]:
    """Read all drawings of a part as (L, 3) offsets: dx, dy, and 1 where the pen is lifted after. Raises ImageError."""
    try:
        return _part(path, part, path.stat().st_mtime_ns)
    except Exception as error:  # unpickling raises anything on hostile bytes
        raise _broken(path, error) from None


def to_drawing(offsets: Offsets, label: str = "") -> Drawing:
    """Turn pen offsets (L, 3) into strokes; the frame is their bounding box."""
    points = np.cumsum(offsets[:, :2].astype(np.float32), axis=0)
    lifted = np.flatnonzero(offsets[:, 2] > 0) + 1
    return frame_strokes([stroke for stroke in np.split(points, lifted) if len(stroke)], label)


def _stroke(item: Any, where: str) -> npt.NDArray[np.float64]:
    try:
        x, y = (np.asarray(axis, dtype=np.float64) for axis in item[:2])
    except (TypeError, ValueError, KeyError, OverflowError):
        raise ImageError(f"{where} is not a pair of number lists [x, ...], [y, ...]") from None
    if x.ndim != 1 or x.shape != y.shape:
        raise ImageError(f"{where} needs as many x as y; it has {x.shape} and {y.shape}")
    points = np.stack([x, y], axis=1)
    if not (np.abs(points) < 1e7).all():
        raise ImageError(f"{where} has coordinates that are not finite numbers below 10,000,000")
    return points


@lru_cache(maxsize=4)
def _scan(path: Path, changed: int, size: int) -> tuple[Record, ...]:
    """Find the drawings of a `.bin` file; `changed` and `size` make the cache miss when the file was replaced."""
    data, records, offset = path.read_bytes(), list[Record](), 0
    try:
        while offset < len(data):
            start, (key, _, recognised, _, strokes) = offset, _HEAD.unpack_from(data, offset)
            offset += _HEAD.size
            for _ in range(strokes):
                offset += _COUNT.size + 2 * _COUNT.unpack_from(data, offset)[0]
            records.append(Record(start, offset, str(key), recognised != 0))
    except struct.error:
        offset = len(data) + 1
    if offset != len(data):
        raise ImageError(f"{path}: cut short, or not binary Quick, Draw! drawings; get it again")
    return tuple(records)


def frame_strokes(strokes: Sequence[npt.NDArray[np.floating]], label: str) -> Drawing:
    """Move strokes so that their bounding box, which becomes the frame, begins at (0, 0)."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = (float(extent) for extent in high - low)
    return Drawing(tuple((stroke - low).astype(np.float32) for stroke in strokes), width, height, label)


def read_bitmaps(path: Path) -> npt.NDArray[np.uint8]:
    """Map all bitmaps of a `.npy` file to memory: (N, 784), light on dark; ImageError if it holds anything else."""
    try:
        bitmaps: npt.NDArray[np.uint8] = map_array(path)
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: not an array of bitmaps ({first_line(error)}); get it again") from None
    if not isinstance(bitmaps, np.ndarray) or bitmaps.dtype != np.uint8 or bitmaps.shape[1:] != (BITMAP_SIDE**2,):
        raise ImageError(f"{path}: not bitmaps; expected (N, {BITMAP_SIDE**2}) bytes")
    return bitmaps


@lru_cache(maxsize=2)
def _part(path: Path, part: str, changed: int) -> tuple[Offsets, ...]:
    """Read a part of a `.npz` file; `changed` makes the cache miss when the file was replaced."""
    with zipfile.ZipFile(path) as archive:
        count, start = _header(archive, part)
        if archive.getinfo(f"{part}.npy").file_size > MAX_PART_BYTES:
            raise ValueError(f"{part} is larger than {MAX_PART_BYTES // 10**9} GB")
        outer = _Restricted(io.BytesIO(archive.read(f"{part}.npy")[start:]), encoding="latin1").load()
    items = outer.state[4] if isinstance(outer, _Kept) else None
    if not isinstance(items, list) or len(items) != count:
        raise ValueError(f"{part} does not hold the {count} drawings that it promises")
    return tuple(_offsets(item) for item in items)


def _header(archive: zipfile.ZipFile, part: str) -> tuple[int, int]:
    """Give the number of drawings in a part, and the byte where its pickle starts."""
    with archive.open(f"{part}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with ONE_HEADER:
            shape, _, dtype = read(file)
        if len(shape) != 1 or not dtype.hasobject:
            raise ValueError(f"{part} is not a list of drawings")
        return shape[0], file.tell()


def _offsets(item: Any) -> Offsets:
    _, shape, dtype, fortran, data = item.state
    kind = str(dtype.made_of[0])
    if not re.fullmatch(r"[<>|=]?[iuf][1248]", kind):
        raise ValueError("a drawing is not made of numbers")
    raw = data.encode("latin1") if isinstance(data, str) else data
    order = ">" if dtype.state and str(dtype.state[1]) == ">" else "<"
    values = np.frombuffer(raw, np.dtype(order + kind[-2:])).reshape(shape, order="F" if fortran else "C")
    if values.ndim != 2 or values.shape[1] != 3 or not len(values):
        raise ValueError(f"a drawing has the shape {values.shape}; expected (L, 3)")
    return values.astype(np.int16)


# Sketch-RNN's files were pickled by Python 2. Of all that a pickle can ask for, only the five names that an array of
# arrays needs are answered, by stand-ins that keep what they are given; every other name is refused.


class _Kept:
    state: Any = None

    def __init__(self, *made_of: Any) -> None:
        self.made_of = made_of

    def __setstate__(self, state: Any) -> None:
        self.state = state


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Kept,
    ("numpy", "dtype"): _Kept,
    ("_codecs", "encode"): lambda text, encoding="latin1": text.encode("latin1"),
    ("numpy.core.multiarray", "_reconstruct"): _Kept,
    ("numpy._core.multiarray", "_reconstruct"): _Kept,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        return _ALLOWED[module, name]


def _broken(path: Path, error: Exception) -> ImageError:
    if isinstance(error, FileNotFoundError):
        return ImageError(f"{path}: no such file; check the path")
    return ImageError(f"{path}: not Sketch-RNN's drawings ({first_line(error)}); get it again")
