"""Training pictures, decoded once into arrays that are mapped to memory."""

import functools
import hashlib
import json
import logging
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from ...errors import ImageError
from ...io.files import Arrays, atomic_write, cached_arrays
from ...io.images import Kind, letterbox, quantise, read_image
from ...world import World
from ..datasets.base import is_unseen, readable_name

Pixels = np.ndarray
Item = TypeVar("Item")
CHUNK = 64  # pictures that are decoded or hashed at a time
BANK_HANDS = 4  # the first hands of Sketch World, which draw the sketches of `world_banks` in turn
BLOCK = 128  # pictures whose features, in one view, are kept in one file
WHOLE = (0.0, 0.0, 1.0, 1.0)  # the box of a picture that fills its square
Box = tuple[float, ...]  # left, top, right and bottom of a picture in its square, as shares of the side


@dataclass(frozen=True)
class Picture:
    path: str  # a file, or "file.ndjson:7" for one drawing of a file
    names: tuple[str, ...]  # what it shows, the usual name first, then synonyms


@dataclass(frozen=True, eq=False)
class PictureArray:
    """A bank: pictures of one kind and size with their names."""

    kind: Kind
    pixels: Pixels = field(repr=False)  # (M, C, S, S) uint8; C = 3 for photos, 1 for sketches
    names: list[tuple[str, ...]] = field(repr=False)  # N
    device: str | torch.device = "cpu"  # of the batches
    boxes: np.ndarray | None = None  # (N, 4) float64, the `Box` of each; None if all fill their squares
    rows: np.ndarray | None = None  # (N,) where each picture is in `pixels`; None if they are all of them, in order

    def __len__(self) -> int:
        return len(self.names)

    @property
    def side(self) -> int:
        """Pixels of the squares, S."""
        return int(self.pixels.shape[-1])

    @cached_property
    def by_name(self) -> dict[str, list[int]]:
        """The indices of each name's pictures."""
        return index_by_name(self.names)

    @cached_property
    def seen(self) -> list[int]:
        """The indices of pictures of seen classes, the only ones that may be turned into sketches."""
        return [n for n, names in enumerate(self.names) if not any(is_unseen(name) for name in names)]

    def on(self, device: str | torch.device) -> Self:
        return replace(self, device=device)

    def named(self, names: set[str], most: int) -> Self:
        """Return the first `most` pictures of each of `names`, all of them if it is 0."""
        return self.at(sorted({n for name in names for n in self.by_name.get(name, [])[: most or None]}))

    def at(self, index: list[int]) -> Self:
        """Return the pictures at `index`; nothing is copied."""
        boxes = None if self.boxes is None else self.boxes[index]
        rows = np.array(index, np.int64) if self.rows is None else self.rows[index]
        return replace(self, names=[self.names[n] for n in index], boxes=boxes, rows=rows)

    def stored(self, index: Sequence[int] | slice) -> Pixels:
        """Copy the pictures at `index` (n, C, S, S) uint8."""
        whole = self.pixels
        if isinstance(whole, np.memmap):  # mapped anew: pages once read would count as memory of this process for good
            whole = np.load(str(whole.filename), mmap_mode="r")
        return np.array(whole[index if self.rows is None else self.rows[index]])

    def digest(self, start: int = 0, stop: int | None = None) -> str:
        """Return the SHA-256 of the bytes of the pictures from `start` to `stop`, read a few at a time."""
        content, stop = hashlib.sha256(), len(self) if stop is None else stop
        for first in range(start, stop, CHUNK):
            content.update(self.stored(slice(first, min(first + CHUNK, stop))).tobytes())
        return content.hexdigest()

    def draw_named(self, wanted: list[str], generator: Generator) -> tuple[Tensor, list[tuple[str, ...]]]:
        index = [choose(self.by_name[name], generator) for name in wanted]
        return self.take(index), [self.names[i] for i in index]

    def draw(self, count: int, generator: Generator) -> tuple[Tensor, list[tuple[str, ...]]]:
        """Draw `count` pictures (count, C, S, S) in [0, 1] with their names."""
        index = torch.randint(len(self), (count,), generator=generator).tolist()
        return self.take(index), [self.names[i] for i in index]

    def take(self, index: list[int]) -> Tensor:
        """Return the pictures at `index` as a batch (len(index), C, S, S) in [0, 1]."""
        if torch.device(self.device).type == "cpu":
            return torch.from_numpy(self.stored(index)).float() / 255
        return self._on_device[torch.tensor(index).to(self.device)].float() / 255

    def windows(self, index: list[int]) -> Tensor:
        """Return the pictures at `index` as models see them: sketches cropped to the window around their strokes."""
        squares = self.take(index)
        return squares if self.kind == "photo" else torch.stack([around_strokes(page) for page in squares])

    @cached_property
    def digests(self) -> list[str]:
        """The SHA-256 of the bytes of each `BLOCK` of pictures, the last of which may be shorter."""
        return [self.digest(start, min(start + BLOCK, len(self))) for start in range(0, len(self), BLOCK)]

    @cached_property
    def _on_device(self) -> Tensor:
        """All pictures, copied to the device once; copying every batch would be slow."""
        return torch.from_numpy(self.stored(slice(None))).to(self.device)


Banks = list[PictureArray]


class Pictures:
    """The pictures of several arrays of one kind, one after the other; each is read when it is asked for."""

    def __init__(self, banks: Banks) -> None:
        self.banks = banks
        self._ends = [*accumulate(map(len, banks))]

    def __getitem__(self, place: int) -> Pixels:
        number, row = self.locate(place)
        return np.asarray(self.banks[number].stored([row])[0])

    def locate(self, place: int) -> tuple[int, int]:
        """Return which array a picture is in, and where in it."""
        number = bisect_right(self._ends, place)
        return number, place - self._ends[number] + len(self.banks[number])


def index_by_name(names: list[tuple[str, ...]]) -> dict[str, list[int]]:
    """Map each name, synonyms too, to the indices of its pictures."""
    index: dict[str, list[int]] = {}
    for number, of in enumerate(names):
        for name in of:
            index.setdefault(name, []).append(number)
    return index


def choose(pool: Sequence[Item], generator: Generator) -> Item:
    return pool[int(torch.randint(len(pool), (1,), generator=generator))]


def decode(pictures: list[Picture], kind: Kind, side: int, cache: Path) -> PictureArray:
    """Letterbox the readable pictures to `side` pixels, or take them from `cache`; ValueError if none can be read."""
    if not pictures:
        return PictureArray(kind, np.empty((0, 3 if kind == "photo" else 1, side, side), np.uint8), [])
    key = hashlib.sha256("\n".join(f"{p.names} {file_state(p.path)}" for p in pictures).encode()).hexdigest()[:16]
    path = cache / f"{kind}-{side}-{len(pictures)}-{key}.npy"
    rows: list[tuple[Sequence[str], Box]] = []
    with suppress(OSError, ValueError):
        rows = json.loads(path.with_suffix(".json").read_text())
    pixels = mapped(path)
    if pixels is None or len(pixels) != len(rows):
        rows = []
        try:
            pixels = write_rows(path, _decoded(pictures, kind, side, rows))
        except EmptyError as error:
            line = f"none of {len(pictures)} pictures can be read, {pictures[0].path} the first; save them again"
            raise ValueError(line) from error
        with atomic_write(path.with_suffix(".json")) as draft:
            draft.write_text(json.dumps(rows))
    boxes = np.array([box for _, box in rows], np.float64)
    names = [tuple(names) for names, _ in rows]
    if lost := len(pictures) - len(names):
        gone = sorted({name for of in pictures for name in of.names} - {name for of in names for name in of})
        without = f"; nothing is left of {', '.join(gone)}" if gone else ""
        _warn_once(f"{lost} of {len(pictures)} pictures ({kind}) cannot be read and are left out{without}")
    return PictureArray(kind, pixels, names, boxes=None if (boxes == WHOLE).all() else boxes)


@functools.cache
def _warn_once(line: str) -> None:
    logging.getLogger(__name__).warning(line)


def _decoded(pictures: list[Picture], kind: Kind, side: int, rows: list[tuple[Sequence[str], Box]]) -> Iterator[Pixels]:
    """Yield the square (1, C, S, S) of each picture that can be read, and append its names and box to `rows`."""

    def load(picture: Picture) -> tuple[Pixels, Box] | None:
        try:
            square, frame = letterbox(read_image(picture.path, kind), side, kind, whole_page=True)
        except ImageError:
            return None
        corners = torch.tensor([[0.0, 0.0], [frame.width, frame.height]], dtype=torch.float64)
        box: Box = tuple((frame.to_square(corners) / frame.side).flatten().tolist())
        return quantise(square if kind == "photo" else square.mean(0, keepdim=True)), box

    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(pictures), CHUNK):
            some = pictures[start : start + CHUNK]
            for picture, loaded in zip(some, pool.map(load, some), strict=True):
                if loaded:
                    rows.append((picture.names, loaded[1]))
                    yield loaded[0][None]


def file_state(path: str) -> str:
    """Return the real path of a `Picture.path`, with its file's size and modification time if there is such a file."""
    real = os.path.realpath(path)
    before, _, number = real.rpartition(":")
    try:
        found = Path(before if number.isdigit() and not Path(real).exists() else real).stat()
    except OSError:
        return real
    return f"{real} {found.st_size} {found.st_mtime_ns}"


def mapped(path: Path) -> np.memmap | None:
    """Memory-map an array of the cache; None if it is missing or damaged."""
    try:
        array: np.memmap = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return array


class EmptyError(ValueError):
    """There are no rows to write."""


def kept_rows(path: Path, blocks: Callable[[], Iterable[np.ndarray]]) -> np.memmap:
    """Map the array at `path`; where it is missing or damaged, write it as `write_rows` does."""
    kept = mapped(path)
    return write_rows(path, blocks()) if kept is None else kept


def cached_rows(
    path: Path, blocks: Callable[[], Iterable[np.ndarray]], about: Callable[[], Arrays]
) -> tuple[np.memmap | None, Arrays]:
    """Map the array at `path`, and read what is beside it about its rows; write both where one is missing or damaged.

    `about` tells it when all `blocks` are written. None where there are no rows.
    """

    def write() -> Arrays:
        with suppress(EmptyError):
            write_rows(path, blocks())
        return about()

    arrays = cached_arrays(path.with_suffix(".npz"), write)
    if mapped(path) is None and all(array.size for array in arrays.values()):  # it is damaged
        write()
    return mapped(path), arrays


def write_rows(path: Path, blocks: Iterable[np.ndarray]) -> np.memmap:
    """Write blocks (n, ...) one after the other as one array; EmptyError if there are none."""
    header: dict[str, Any] = {}
    rows = 0
    with atomic_write(path) as draft, draft.open("wb") as file:  # not memory-mapped: a full disk would kill the process
        for block in blocks:
            if not rows:
                header = {"descr": np.lib.format.dtype_to_descr(block.dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, {**header, "shape": (0, *block.shape[1:])})
            file.write(block.tobytes())
            rows += len(block)
        if not rows:
            raise EmptyError(f"no picture for {path}")
        file.seek(0)  # the second header is as long: numpy leaves room for any number of rows
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (rows, *block.shape[1:])})
    array: np.memmap = np.load(path, mmap_mode="r")
    return array


def world_banks(instances: int, side: int, cache: Path, seed: int = 0, *, of_photo: bool = False) -> Banks:
    """Return photos and sketches of Sketch World's seen categories; with `of_photo`, sketches in the photos' pose."""
    world = World(seed=seed, split="seen", size=side)
    things = [(category, instance) for category in world.categories for instance in range(instances)]
    names: list[tuple[str, ...]] = [(readable_name(category),) for category, _ in things]

    def made(kind: str, pictures: Iterable[Pixels]) -> Pixels:
        path = cache / f"world-{kind}-{side}-{seed}-{instances}.npy"
        return kept_rows(path, lambda: (pixels[None] for pixels in pictures))

    photos = made("photo", (world.photo(*thing).photo.transpose(2, 0, 1) for thing in things))
    drawn = (world.sketch(*thing, hand=thing[1] % BANK_HANDS, of_photo=of_photo)[0][None] for thing in things)
    sketches = made("sketch-of-photo" if of_photo else "sketch", drawn)
    return [PictureArray("photo", photos, names), PictureArray("sketch", sketches, names)]


def around_strokes(page: Tensor) -> Tensor:
    """Crop a sketch (1, S, S) to the window around its strokes, as models see it: (1, S, S)."""
    return letterbox(page.expand(3, -1, -1), page.shape[-1], "sketch")[0].mean(0, keepdim=True)
