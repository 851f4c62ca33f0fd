"""Training pictures, decoded once into arrays that are mapped to memory."""

import functools
import hashlib
import logging
import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from ...errors import ImageError
from ...io.cleanup import Window, stroke_window
from ...io.files import Arrays, atomic_write, cached_arrays, free_room, map_array
from ...io.images import Kind, letterbox, quantise, read_image
from ...world import World
from ..datasets.base import is_unseen, readable_name

Pixels = np.ndarray
Item = TypeVar("Item")
Result = TypeVar("Result")
GIB = 2**30
CHUNK = 64  # pictures that are decoded or hashed at a time
SHARD = 1024  # pictures, readable or not, whose pixels are kept in one file
BANK_HANDS = 4  # the first hands of Sketch World, which draw the sketches of `world_banks` in turn
BLOCK = 128  # pictures whose features, in one view, are kept in one file
WHOLE = (0.0, 0.0, 1.0, 1.0)  # the box of a picture that fills its square
Box = tuple[float, ...]  # left, top, right and bottom of a picture in its square, as shares of the side
Made = tuple[Pixels, Box]  # a picture (C, S, S) uint8
# Of each picture: its place in the list that it was read from, its `Box`, the `Window` around a sketch's strokes (of
# side 0 where there are none) and the SHA-256 of its bytes.
ABOUT = np.dtype([("place", "<i8"), ("box", "<f8", 4), ("window", "<i4", 3), ("sha256", "u1", 32)])


@dataclass(frozen=True)
class Picture:
    path: str  # a file, or "file.ndjson:7" for one drawing of a file
    names: tuple[str, ...]  # what it shows, the usual name first, then synonyms


class Shards:
    """Pictures (M, C, S, S) uint8 in several files, one after the other; they are read when they are asked for."""

    def __init__(self, paths: list[Path], sizes: list[int], shape: tuple[int, ...]) -> None:
        self._paths, self._ends = paths, np.cumsum(sizes)
        self.shape = (sum(sizes), *shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Sequence[int] | np.ndarray | slice) -> Pixels:
        every = range(len(self))[index] if isinstance(index, slice) else index
        rows = np.array(every, np.int64)
        numbers = self._ends.searchsorted(rows, "right")
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for number in np.unique(numbers):
            within, whole = numbers == number, map_array(self._paths[number])
            found[within] = whole[rows[within] - self._ends[number] + len(whole)]
        return found


@dataclass(frozen=True, eq=False)
class PictureArray:
    """A bank: pictures of one kind and size with their names."""

    kind: Kind
    pixels: Pixels | Shards = field(repr=False)  # (M, C, S, S) uint8; C = 3 for photos, 1 for sketches
    names: list[tuple[str, ...]] = field(repr=False)  # N
    device: str | torch.device = "cpu"  # of the batches
    boxes: np.ndarray | None = None  # (N, 4) float64, the `Box` of each; None if all fill their squares
    rows: np.ndarray | None = None  # (N,) where each picture is in `pixels`; None if they are all of them, in order
    about: np.ndarray | None = field(default=None, repr=False)  # (N,) as `ABOUT`; None if it is not stored

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
        return seen_of(self.names)

    def on(self, device: str | torch.device) -> Self:
        return replace(self, device=device)

    def named(self, names: set[str], most: int) -> Self:
        """Return the first `most` pictures of each of `names`, all of them if it is 0."""
        return self.at(sorted({n for name in names for n in self.by_name.get(name, [])[: most or None]}))

    def at(self, index: list[int]) -> Self:
        """Return the pictures at `index`; nothing is copied."""
        boxes = None if self.boxes is None else self.boxes[index]
        rows = np.array(index, np.int64) if self.rows is None else self.rows[index]
        about = None if self.about is None else self.about[index]
        return replace(self, names=[self.names[n] for n in index], boxes=boxes, rows=rows, about=about)

    @cached_property
    def known(self) -> np.ndarray:
        """What is stored about the pictures, (N,) as `ABOUT`; else it is found now."""
        if self.about is not None:
            return self.about
        starts = range(0, len(self), CHUNK)
        return np.concatenate([np.empty(0, ABOUT), *(described(self.stored(slice(at, at + CHUNK))) for at in starts)])

    def stored(self, index: Sequence[int] | slice) -> Pixels:
        """Copy the pictures at `index` (n, C, S, S) uint8."""
        whole, rows = self.pixels, index if self.rows is None else self.rows[index]
        if isinstance(whole, Shards):
            return whole[rows]
        if isinstance(whole, np.memmap):  # mapped anew: pages once read would count as memory of this process for good
            whole = map_array(str(whole.filename))
        return np.array(whole[rows])

    def digest(self, start: int = 0, stop: int | None = None) -> str:
        """Return a SHA-256 of the pictures from `start` to `stop`: that of those of each."""
        return hashlib.sha256(self.known["sha256"][start:stop].tobytes()).hexdigest()

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
        return self.take(index) if self.kind == "photo" else torch.stack([*in_threads(self.window, index)])

    def window(self, place: int) -> Tensor:
        """Return one picture as `windows` does."""
        square = self.take([place])[0]
        if self.kind == "photo":
            return square
        return around_strokes(square, None if self.about is None else Window(*self.about["window"][place].tolist()))

    @cached_property
    def digests(self) -> list[str]:
        """The `digest` of each `BLOCK` of pictures, the last of which may be shorter."""
        return [self.digest(start, start + BLOCK) for start in range(0, len(self), BLOCK)]

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

    def window(self, place: int) -> Tensor:
        """Return a picture as models see it, (C, S, S) in [0, 1]."""
        number, row = self.locate(place)
        return self.banks[number].window(row)

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


def seen_of(names: list[tuple[str, ...]]) -> list[int]:
    """Return the places of names of which none is an unseen class's."""
    return [place for place, of in enumerate(names) if not any(is_unseen(name) for name in of)]


def choose(pool: Sequence[Item], generator: Generator) -> Item:
    return pool[int(torch.randint(len(pool), (1,), generator=generator))]


def decode(pictures: list[Picture], kind: Kind, side: int, cache: Path) -> PictureArray:
    """Letterbox the readable pictures to `side` pixels, or take them from `cache`; ValueError if none can be read."""
    if not pictures:
        return PictureArray(kind, np.empty((0, 3 if kind == "photo" else 1, side, side), np.uint8), [])
    key = hashlib.sha256("\n".join(f"{p.names} {file_state(p.path)}" for p in pictures).encode()).hexdigest()[:16]

    def load(place: int) -> Made | None:
        try:
            square, frame = letterbox(read_image(pictures[place].path, kind), side, kind, whole_page=True)
        except ImageError:
            return None
        corners = torch.tensor([[0.0, 0.0], [frame.width, frame.height]], dtype=torch.float64)
        box: Box = tuple((frame.to_square(corners) / frame.side).flatten().tolist())
        return quantise(square if kind == "photo" else square.mean(0, keepdim=True)), box

    bank = kept_pictures(cache / f"{kind}-{side}-{len(pictures)}-{key}", kind, side, len(pictures), load)
    if not len(bank.pixels):
        line = f"none of {len(pictures)} pictures can be read, {pictures[0].path} the first; save them again"
        raise ValueError(line)
    names = [pictures[place].names for place in bank.known["place"].tolist()]
    if lost := len(pictures) - len(names):
        gone = sorted({name for of in pictures for name in of.names} - {name for of in names for name in of})
        without = f"; nothing is left of {', '.join(gone)}" if gone else ""
        _warn_once(f"{lost} of {len(pictures)} pictures ({kind}) cannot be read and are left out{without}")
    return replace(bank, names=names)


@functools.cache
def _warn_once(line: str) -> None:
    logging.getLogger(__name__).warning(line)


def in_threads(work: Callable[..., Result], *of: Iterable[Any]) -> Iterator[Result]:
    """Give what `work` returns for each item, in their order; work that is given here may not call this itself."""
    return _threads().map(work, *of)


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """Start a thread for each core; each computes alone, as the threads of PyTorch in each would be far too many."""
    count, threads = os.cpu_count() or 1, torch.get_num_threads()
    started = threading.Barrier(count + 1)

    def alone() -> None:
        torch.get_num_threads()  # the first call in a thread sets it
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(count, initializer=alone)
    for _ in range(count):
        pool.submit(int)
    started.wait()
    torch.set_num_threads(threads)  # of threads that start later
    return pool


def kept_pictures(
    stem: Path, kind: Kind, side: int, count: int, make: Callable[[int], Made | None], threads: bool = True
) -> PictureArray:
    """Return the pictures that `make` gives of 0 to `count` - 1, without names; None of one leaves it out.

    They are kept in files of `SHARD` each, which are named by the `stem` and hold what is `ABOUT` them too. Each is
    written in one step: a run that was killed goes on with those that are there, and several may write the same.
    ValueError, before anything is made, if there is no room.
    """
    shape = (3 if kind == "photo" else 1, side, side)
    shards = [range(start, min(start + SHARD, count)) for start in range(0, count, SHARD)]
    paths = [stem.with_name(f"{stem.name}-{number:05}.npy") for number in range(len(shards))]
    found = [_stored_about(path, shape) for path in paths]
    missing = [number for number, about in enumerate(found) if about is None]
    left = sum(len(shards[number]) for number in missing)
    size, free = left * prod(shape), free_room(stem.parent)
    takes = f"{left} decoded pictures ({kind}) take {size / GIB:.1f} GiB in {stem.parent}"
    if size > free:
        raise ValueError(f"{takes}, where {free / GIB:.1f} are free: take another --cache")
    if size > GIB:
        logging.getLogger(__name__).warning(takes)
    for number in missing:
        there = _stored_about(paths[number], shape)  # another run may have written it by now
        where = paths[number], shape, shards[number]
        found[number] = _write_shard(*where, make, in_threads if threads else map) if there is None else there
    abouts = [of for of in found if of is not None]
    about = np.concatenate(abouts)
    # one file is mapped as it is
    pixels = mapped(paths[0]) if len(paths) == 1 else Shards(paths, [*map(len, abouts)], shape)
    if pixels is None:
        raise OSError(f"{paths[0]} cannot be read")
    boxes = None if (about["box"] == WHOLE).all() else about["box"].copy()
    return PictureArray(kind, pixels, [], boxes=boxes, about=about)


def _write_shard(
    path: Path,
    shape: tuple[int, ...],
    places: range,
    make: Callable[[int], Made | None],
    each: Callable[..., Iterator[Any]],
) -> np.ndarray:
    abouts = [np.empty(0, ABOUT)]

    def described_too(place: int) -> tuple[Pixels, np.ndarray] | None:
        if (made := make(place)) is None:
            return None
        return made[0], np.array([(place, made[1], *_description(made[0]))], ABOUT)

    def blocks() -> Iterator[Pixels]:
        yield np.empty((0, *shape), np.uint8)
        for start in range(0, len(places), CHUNK):
            for made in each(described_too, places[start : start + CHUNK]):
                if made:
                    abouts.append(made[1])
                    yield made[0][None]

    write_rows(path, blocks(), lambda: np.concatenate(abouts))
    return np.concatenate(abouts)


def _stored_about(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Read what is stored behind the pictures of a file; None if it is missing or damaged."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            stored, _, dtype = np.lib.format.read_array_header_1_0(file)
            file.seek(prod(stored) * dtype.itemsize, os.SEEK_CUR)
            about = np.lib.format.read_array(file)
    except (OSError, ValueError, EOFError):
        return None
    return about if stored == (len(about), *shape) and about.dtype == ABOUT else None


def described(pictures: Pixels) -> np.ndarray:
    """Give what is `ABOUT` pictures (N, C, S, S) that fill their squares."""
    rows = [(place, WHOLE, *told) for place, told in enumerate(in_threads(_description, pictures))]
    return np.array(rows, ABOUT)


def _description(picture: Pixels) -> tuple[Sequence[int], np.ndarray]:
    """Return the window around the strokes of a picture (C, S, S), if it is a sketch, and the SHA-256 of its bytes."""
    window = None
    if len(picture) == 1:
        window = stroke_window((torch.tensor(picture).float() / 255).expand(3, -1, -1))
    return window or (0, 0, 0), np.frombuffer(hashlib.sha256(picture.tobytes()).digest(), np.uint8)


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
        return map_array(path)
    except (OSError, ValueError, EOFError):
        return None


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


def write_rows(path: Path, blocks: Iterable[np.ndarray], about: Callable[[], np.ndarray] | None = None) -> np.memmap:
    """Write blocks (n, ...) one after the other as one array, and behind it what `about` tells when all are written.

    EmptyError if there are none.
    """
    header: dict[str, Any] = {}
    rows = 0
    with atomic_write(path) as draft, draft.open("wb") as file:  # not memory-mapped: a full disk would kill the process
        for block in blocks:
            if not header:
                header = {"descr": np.lib.format.dtype_to_descr(block.dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, {**header, "shape": (0, *block.shape[1:])})
            file.write(block.tobytes())
            rows += len(block)
        if not header:
            raise EmptyError(f"no picture for {path}")
        if about:
            np.lib.format.write_array(file, about())
        file.seek(0)  # the second header is as long: numpy leaves room for any number of rows
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (rows, *block.shape[1:])})
    return map_array(path)


def world_banks(instances: int, side: int, cache: Path, seed: int = 0, *, of_photo: bool = False) -> Banks:
    """Return photos and sketches of Sketch World's seen categories; with `of_photo`, sketches in the photos' pose."""
    world = World(seed=seed, split="seen", size=side)
    things = [(category, instance) for category in world.categories for instance in range(instances)]
    names: list[tuple[str, ...]] = [(readable_name(category),) for category, _ in things]

    def kept(kind: Kind, drawn: str, make: Callable[..., Pixels]) -> PictureArray:
        stem = cache / f"world-{drawn}-{side}-{seed}-{instances}"
        made = kept_pictures(stem, kind, side, len(things), lambda at: (make(*things[at]), WHOLE), threads=False)
        return replace(made, names=names)

    def drawn(category: str, instance: int) -> Pixels:
        return world.sketch(category, instance, hand=instance % BANK_HANDS, of_photo=of_photo)[0][None]

    photos = kept("photo", "photo", lambda *thing: world.photo(*thing).photo.transpose(2, 0, 1))
    return [photos, kept("sketch", "sketch-of-photo" if of_photo else "sketch", drawn)]


def around_strokes(page: Tensor, window: Window | None = None) -> Tensor:
    """Crop a sketch (1, S, S) to the window around its strokes, as models see it: (1, S, S).

    The window is found, which takes most of the time, unless it is given; its side is 0 if there are no strokes.
    """
    if window is not None and not window.side:
        return page.expand(3, -1, -1).mean(0, keepdim=True)
    return letterbox(page.expand(3, -1, -1), page.shape[-1], "sketch", window=window)[0].mean(0, keepdim=True)
