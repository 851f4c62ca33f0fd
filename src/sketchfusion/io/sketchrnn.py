"""Sketch-RNN's `.npz` of Quick, Draw!: pickled arrays of pen offsets, read without running what a pickle may hold.

The files were pickled by Python 2. Of all that a pickle can ask for, the four names that an array of arrays needs are
answered here, by stand-ins that only keep what they are given; every other name is refused.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ImageError
from .strokes import Drawing

PARTS = ("train", "valid", "test")
MAX_BYTES = 2_000_000_000  # of one unpacked part

Offsets = npt.NDArray[np.int16]


class _Dtype:
    def __init__(self, kind: Any = "", *_: Any) -> None:
        self.kind, self.order = str(kind), "<"

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])


class _Array:
    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _new_array(*_: Any) -> _Array:
    return _Array()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _new_array for core in ("core", "_core")},
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"asks for {module}.{name}") from None


def count_sketchrnn(path: str | Path) -> dict[str, int]:
    """Number of drawings in each part of a file, read off the headers alone: {"train": 70000, ..}."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {part: _header(archive, part)[0] for part in PARTS if f"{part}.npy" in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise _broken(path, error) from None


def read_sketchrnn(path: str | Path, number: int = 1) -> Drawing:
    """Read one drawing of a `.npz` file, counted from 1 through train, valid and test. Raises ImageError."""
    rest = number
    for part, count in count_sketchrnn(path).items():
        if 0 < rest <= count:
            return to_drawing(read_part(path, part)[rest - 1], Path(path).name.split(".")[0])
        rest -= count
    raise ImageError(f"{path}: no drawing {number}; there are {number - rest}")


def read_part(path: str | Path, part: str) -> tuple[Offsets, ...]:
    """Read all drawings of a part as (L, 3) offsets: dx, dy, and 1 where the pen is lifted after. Raises ImageError."""
    try:
        return _part(Path(path), part, Path(path).stat().st_mtime_ns)
    except ImageError:
        raise
    except Exception as error:  # unpickling raises anything on hostile bytes
        raise _broken(path, error) from None


@lru_cache(maxsize=2)
def _part(path: Path, part: str, changed: int) -> tuple[Offsets, ...]:
    """`changed` lets a file that was replaced be read again."""
    with zipfile.ZipFile(path) as archive:
        count, start = _header(archive, part)
        if archive.getinfo(f"{part}.npy").file_size > MAX_BYTES:
            raise ValueError(f"{part} is larger than {MAX_BYTES // 10**9} GB")
        outer = _Restricted(io.BytesIO(archive.read(f"{part}.npy")[start:]), encoding="latin1").load()
    items = outer.state[4] if isinstance(outer, _Array) else None
    if not isinstance(items, list) or len(items) != count:
        raise ValueError(f"{part} does not hold the {count} drawings that it promises")
    return tuple(_offsets(item) for item in items)


def _header(archive: zipfile.ZipFile, part: str) -> tuple[int, int]:
    """Number of drawings, and where the pickle starts."""
    with archive.open(f"{part}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if len(shape) != 1 or not dtype.hasobject:
            raise ValueError(f"{part} is no list of drawings")
        return shape[0], file.tell()


def _offsets(item: Any) -> Offsets:
    _, shape, dtype, fortran, data = item.state
    if not (isinstance(dtype, _Dtype) and re.fullmatch(r"[<>|=]?[iuf][1248]", dtype.kind)):
        raise ValueError("a drawing is not made of numbers")
    raw = data.encode("latin1") if isinstance(data, str) else data
    order = ">" if dtype.order == ">" else "<"
    values = np.frombuffer(raw, np.dtype(order + dtype.kind[-2:])).reshape(shape, order="F" if fortran else "C")
    if values.ndim != 2 or values.shape[1] != 3 or not len(values):
        raise ValueError(f"a drawing has the shape {values.shape}; expected (L, 3)")
    return values.astype(np.int16)


def to_drawing(offsets: Offsets, label: str = "") -> Drawing:
    """Strokes of (L, 3) offsets; the frame is their bounding box."""
    points = np.cumsum(offsets[:, :2].astype(np.float32), axis=0)
    low, high = points.min(axis=0), points.max(axis=0)
    lifted = np.flatnonzero(offsets[:, 2] > 0) + 1
    strokes = tuple(stroke for stroke in np.split(points - low, lifted) if len(stroke))
    width, height = (float(extent) for extent in high - low)
    return Drawing(strokes, width, height, label)


def _broken(path: str | Path, error: Exception) -> ImageError:
    if isinstance(error, FileNotFoundError):
        return ImageError(f"{path}: no such file; check the path")
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return ImageError(f"{path}: not Sketch-RNN's drawings ({reason}); get it again")
