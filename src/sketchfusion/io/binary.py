"""Quick, Draw! in its binary forms: strokes packed into a `.bin` file, and 28 x 28 bitmaps in a `.npy` file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .errors import ImageError
from .strokes import Drawing

# Little-endian, unpadded: key_id, country code, recognized, timestamp, number of strokes; then for each stroke the
# number of points, all x, all y (https://github.com/googlecreativelab/quickdraw-dataset).
_HEAD = struct.Struct("<Q2sbIH")
_COUNT = struct.Struct("<H")
BITMAP_SIDE = 28


@dataclass(frozen=True)
class Record:
    """One drawing of a `.bin` file: where it starts, its key and whether the game recognised it."""

    offset: int
    key: str
    recognised: bool


def scan_bin(path: str | Path) -> list[Record]:
    """List the drawings of a `.bin` file without reading their points; ImageError if it is cut short."""
    file = Path(path)
    try:
        stat = file.stat()
        return list(_scan(file, stat.st_mtime_ns, stat.st_size))
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}; check the path") from None


@lru_cache(maxsize=4)
def _scan(path: Path, changed: int, size: int) -> tuple[Record, ...]:
    """`changed` and `size` let a file that was replaced be scanned again."""
    data, records, offset = path.read_bytes(), list[Record](), 0
    try:
        while offset < len(data):
            key, _, recognised, _, strokes = _HEAD.unpack_from(data, offset)
            records.append(Record(offset, str(key), recognised != 0))
            offset += _HEAD.size
            for _ in range(strokes):
                offset += _COUNT.size + 2 * _COUNT.unpack_from(data, offset)[0]
    except struct.error:
        offset = len(data) + 1
    if offset != len(data):
        raise ImageError(f"{path}: cut short, or not binary Quick, Draw! drawings; get it again")
    return tuple(records)


def read_bin(path: str | Path, number: int = 1) -> Drawing:
    """Read one drawing (counted from 1) of a `.bin` file. Raises ImageError."""
    records = scan_bin(path)
    if not 0 < number <= len(records):
        raise ImageError(f"{path}: no drawing {number}; there are {len(records)}")
    with Path(path).open("rb") as file:
        file.seek(records[number - 1].offset)
        end = records[number].offset if number < len(records) else None
        data = file.read() if end is None else file.read(end - records[number - 1].offset)
    strokes = [stroke for stroke in _strokes(data) if len(stroke)]
    if not strokes:
        raise ImageError(f"{path}:{number}: no strokes; choose another drawing")
    return _framed(strokes, Path(path).stem)


def _strokes(data: bytes) -> Iterator[npt.NDArray[np.float32]]:
    offset = _HEAD.size
    for _ in range(_HEAD.unpack_from(data)[-1]):
        (count,) = _COUNT.unpack_from(data, offset)
        offset += _COUNT.size
        points = np.frombuffer(data, np.uint8, 2 * count, offset).reshape(2, count)
        offset += 2 * count
        yield points.T.astype(np.float32)


def _framed(strokes: list[npt.NDArray[np.float32]], label: str) -> Drawing:
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = (float(extent) for extent in high - low)
    return Drawing(tuple(stroke - low for stroke in strokes), width, height, label)


def count_bitmaps(path: str | Path) -> int:
    """Number of bitmaps in a `.npy` file; ImageError if it holds anything else."""
    return len(_bitmaps(Path(path)))


def read_bitmap(path: str | Path, number: int = 1) -> npt.NDArray[np.uint8]:
    """Read one bitmap (counted from 1) of a `.npy` file as (28, 28), dark on white. Raises ImageError."""
    bitmaps = _bitmaps(Path(path))
    if not 0 < number <= len(bitmaps):
        raise ImageError(f"{path}: no bitmap {number}; there are {len(bitmaps)}")
    return 255 - np.asarray(bitmaps[number - 1]).reshape(BITMAP_SIDE, BITMAP_SIDE)  # kept light on dark in the file


def _bitmaps(path: Path) -> npt.NDArray[np.uint8]:
    try:
        bitmaps: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise ImageError(f"{path}: not an array of bitmaps ({reason}); get it again") from None
    if not isinstance(bitmaps, np.ndarray) or bitmaps.dtype != np.uint8 or bitmaps.shape[1:] != (BITMAP_SIDE**2,):
        raise ImageError(f"{path}: not bitmaps; expected (N, {BITMAP_SIDE**2}) bytes")
    return bitmaps
