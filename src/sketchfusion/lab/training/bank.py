"""Training pictures, decoded once into one array, and the frozen models' features of them; both memory-mapped."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from ...backbones.encoders import resize_square
from ...errors import ImageError
from ...featuremap import FeatureMap, Frame
from ...io.files import atomic_write
from ...io.images import Kind, letterbox, quantise, read_image, stroke_window
from ..datasets.base import is_unseen, readable_name
from . import augment
from .loop import Report

Pixels = np.ndarray
Item = TypeVar("Item")
DECODED = 64  # pictures that are decoded ahead of the one that is being stored
ENCODED = 32  # pictures that are augmented and encoded together
WHOLE = (0.0, 0.0, 1.0, 1.0)  # the box of a picture that fills its square
Box = tuple[float, ...]  # left, top, right and bottom of a picture in its square, as shares of the side
Shown = Literal["window", "black", "middle"]  # what a frozen model sees of a square, as in `_shown`
Encode = Callable[[Tensor], Tensor]  # pictures (B, 3, S, S) in [0, 1] -> a frozen model's features (B, C, h, w)


@dataclass(frozen=True)
class Picture:
    """A training picture: where it is and what it shows."""

    path: str  # a file, or "file.ndjson:7" for one drawing of a file
    names: tuple[str, ...]  # what it shows, the usual name first, then synonyms


@dataclass(frozen=True, eq=False)
class PictureArray:
    """Pictures of one kind and size with their names."""

    kind: Kind
    pixels: Pixels  # (N, C, S, S) uint8; C = 3 for photos, 1 for sketches
    names: list[tuple[str, ...]]  # N
    device: str | torch.device = "cpu"  # of the batches
    boxes: np.ndarray | None = None  # (N, 4) float64, the `Box` of each; None if all fill their squares

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def by_name(self) -> dict[str, list[int]]:
        """The indices of each name's pictures."""
        return index_by_name(self.names)

    @cached_property
    def seen(self) -> list[int]:
        """The indices of pictures of seen classes, the only ones that may be turned into sketches."""
        return [n for n, names in enumerate(self.names) if not any(is_unseen(name) for name in names)]

    def on(self, device: str | torch.device) -> PictureArray:
        return replace(self, device=device)

    def named(self, names: set[str], most: int) -> PictureArray:
        """Return the first `most` pictures of each of `names`."""
        return self.at(sorted({n for name in names for n in self.by_name.get(name, [])[:most]}))

    def at(self, index: list[int]) -> PictureArray:
        """Return the pictures at `index`."""
        boxes = None if self.boxes is None else self.boxes[index]
        return replace(self, pixels=self.pixels[index], names=[self.names[n] for n in index], boxes=boxes)

    def draw_named(self, wanted: list[str], generator: Generator) -> tuple[Tensor, list[tuple[str, ...]]]:
        """Draw a random picture for each name of `wanted`."""
        index = [choose(self.by_name[name], generator) for name in wanted]
        return self.take(index), [self.names[i] for i in index]

    def draw(self, count: int, generator: Generator) -> tuple[Tensor, list[tuple[str, ...]]]:
        """Draw `count` pictures (count, C, S, S) in [0, 1] with their names."""
        index = torch.randint(len(self), (count,), generator=generator).tolist()
        return self.take(index), [self.names[i] for i in index]

    def take(self, index: list[int]) -> Tensor:
        """Return the pictures at `index` as a batch (len(index), C, S, S) in [0, 1]."""
        if torch.device(self.device).type == "cpu":
            return torch.from_numpy(self.pixels[index]).float() / 255
        return self._on_device[torch.tensor(index).to(self.device)].float() / 255

    def windows(self, index: list[int]) -> Tensor:
        """Return the pictures at `index` as models see them: sketches cropped to the window around their strokes."""
        squares = self.take(index)
        return squares if self.kind == "photo" else torch.stack([around_strokes(page) for page in squares])

    @cached_property
    def _on_device(self) -> Tensor:
        """All pictures, copied to the device once; copying every batch would be slow."""
        return torch.from_numpy(np.asarray(self.pixels)).to(self.device)


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
    """Letterbox pictures to `side` pixels, or read them from `cache` if no file has changed; leave out unreadable ones.

    ValueError if no file can be read.
    """
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
            pixels = _write_rows(path, _decoded(pictures, kind, side, rows), len(pictures))
        except ValueError as error:  # no rows
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
        return quantise(square if kind == "photo" else square.mean(0, keepdim=True)), box_of(frame)

    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(pictures), DECODED):
            some = pictures[start : start + DECODED]
            for picture, loaded in zip(some, pool.map(load, some), strict=True):
                if loaded:
                    rows.append((picture.names, loaded[1]))
                    yield loaded[0][None]


def box_of(frame: Frame) -> Box:
    """Return where a picture lies in its square."""
    corners = torch.tensor([[0.0, 0.0], [frame.width, frame.height]], dtype=torch.float64)
    return tuple((frame.to_square(corners) / frame.side).flatten().tolist())


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


def _write_rows(path: Path, blocks: Iterable[np.ndarray], most: int) -> np.memmap:
    """Write blocks (n, ...) one after the other as one array of at most `most` rows; ValueError if there are none."""
    header: dict[str, Any] = {}
    rows = 0
    with atomic_write(path) as draft, draft.open("wb") as file:  # not memory-mapped: a full disk would kill the process
        for block in blocks:
            if not rows:
                header = {"descr": np.lib.format.dtype_to_descr(block.dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, {**header, "shape": (most, *block.shape[1:])})
            file.write(block.tobytes())
            rows += len(block)
        if not rows:
            raise ValueError(f"no picture for {path}")
        file.seek(0)  # the second header is as long as the first: numpy leaves room for the number of rows
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (rows, *block.shape[1:])})
    array: np.memmap = np.load(path, mmap_mode="r")
    return array


def world_banks(
    instances: int, side: int, cache: Path, seed: int = 0, *, of_photo: bool = False
) -> tuple[PictureArray, PictureArray]:
    """Return photos and sketches of Sketch World's seen categories; with `of_photo`, sketches in the photos' pose."""
    from ...world import World

    world = World(seed=seed, split="seen", size=side)
    things = [(category, instance) for category in world.categories for instance in range(instances)]
    names: list[tuple[str, ...]] = [(readable_name(category),) for category, _ in things]

    def made(kind: str, pictures: Iterable[Pixels]) -> Pixels:
        path = cache / f"world-{kind}-{side}-{seed}-{instances}.npy"
        kept = mapped(path)
        return _write_rows(path, (pixels[None] for pixels in pictures), len(things)) if kept is None else kept

    photos = made("photo", (world.photo(*thing).photo.transpose(2, 0, 1) for thing in things))
    drawn = (world.sketch(*thing, hand=thing[1] % 4, of_photo=of_photo)[0][None] for thing in things)
    sketches = made("sketch-of-photo" if of_photo else "sketch", drawn)
    return PictureArray("photo", photos, names), PictureArray("sketch", sketches, names)


@dataclass(frozen=True)
class Inputs:
    """Frozen features of B pictures, from which a model makes their feature maps."""

    features: tuple[Tensor, ...]  # one batch for each frozen encoder
    valid: Tensor | None = None  # (B, h, w) bool, the cells of the maps that lie on the pictures; None: all do


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """Features of N pictures in several augmented views, in half precision: training steps run no frozen encoder."""

    features: tuple[np.ndarray, ...]  # of each encoder, (N, views, C, h, w) float16
    names: list[tuple[str, ...]]  # N
    valid: np.ndarray | None = None  # (N, views, h, w) bool, as in `valid_cells`

    @cached_property
    def by_name(self) -> dict[str, list[int]]:
        """The indices of each name's pictures."""
        return index_by_name(self.names)

    def draw_named(self, wanted: list[str], generator: Generator) -> Inputs:
        """Draw a random view of a random picture for each name of `wanted`, in float32."""
        index = [choose(self.by_name[name], generator) for name in wanted]
        views = torch.randint(self.features[0].shape[1], (len(index),), generator=generator).tolist()
        return self.take(index, views)

    def take(self, index: list[int], views: list[int] | None = None) -> Inputs:
        """Return views (the plain ones by default) of the pictures at `index`, in float32."""
        views = views or [0] * len(index)
        valid = None if self.valid is None else torch.from_numpy(self.valid[index, views])
        return Inputs(
            tuple(torch.from_numpy(part[index, views]).float() for part in self.features),
            None if valid is None or bool(valid.all()) else valid,
        )


def joined(caches: list[FeatureCache]) -> FeatureCache:
    """Concatenate several caches in memory."""
    shape = next((cache.valid.shape[1:] for cache in caches if cache.valid is not None), None)
    marks = [np.ones((len(of.names), *shape), bool) if of.valid is None else of.valid for of in caches] if shape else []
    return FeatureCache(
        tuple(np.concatenate(parts) for parts in zip(*(cache.features for cache in caches), strict=True)),
        [names for cache in caches for names in cache.names],
        np.concatenate(marks) if shape else None,
    )


def cached(
    bank: PictureArray,
    encode: Encode,
    fingerprint: str,
    side: int,
    views: int,
    folder: Path,
    report: Report | None = None,
    shown: Shown = "window",
) -> np.memmap:
    """Return one encoder's features (N, views, C, h, w) float16 of all pictures, from `folder` or computed now.

    The file's key depends on the pictures' bytes, the encoder's `fingerprint` and the views. View 0 is the plain
    picture, the others are augmented, the same for all encoders. `shown` is what the encoder sees of the squares.
    """
    content = hashlib.sha256()
    for start in range(0, len(bank), DECODED):  # not all at once, which would copy the whole array into memory
        content.update(bank.pixels[start : start + DECODED].tobytes())
    page = "" if shown == "window" else " pages"
    if page and bank.boxes is not None:
        page += f" {shown} {hashlib.sha256(bank.boxes.tobytes()).hexdigest()}"
    key = hashlib.sha256(f"{content.hexdigest()} {fingerprint} {side} {views}{page}".encode()).hexdigest()[:20]
    path = folder / f"{key}.npy"
    if (kept := mapped(path)) is not None:
        return kept

    def encoded() -> Iterator[np.ndarray]:
        generator = torch.Generator().manual_seed(0)
        for start in range(0, len(bank), ENCODED):
            index = list(range(start, min(start + ENCODED, len(bank))))
            pictures = _shown(bank, index, shown)
            features = [encode(_view(pictures, bank.kind, side, view, generator)) for view in range(views)]
            yield torch.stack(features, 1).cpu().to(torch.float16).numpy()
            if report:
                report(index[-1] + 1, len(bank), {})

    with torch.no_grad():
        return _write_rows(path, encoded(), len(bank))


def _shown(bank: PictureArray, index: list[int], shown: Shown) -> Tensor:
    """Return the pictures at `index` as a frozen model sees them, (B, C, S, S).

    "window": photos as stored, sketches cropped to the window around their strokes. As in the authors' code
    (`prepare_as_released`), "black" pads pictures with black, and "middle" crops them to their central square.
    """
    if shown == "window":
        return bank.windows(index)
    squares = bank.take(index)
    if bank.boxes is None:
        return squares
    side = squares.shape[-1]
    for square, box in zip(squares, (bank.boxes[index] * side).round().astype(int).tolist(), strict=True):
        left, top, right, bottom = box
        picture = square[:, top:bottom, left:right].clone()
        if shown == "black":
            square.zero_()
            square[:, top:bottom, left:right] = picture
        else:
            short = min(picture.shape[1:])
            x, y = (right - left - short) // 2, (bottom - top - short) // 2
            square.copy_(resize_square(picture[None, :, y : y + short, x : x + short], side)[0])
    return squares


def around_strokes(page: Tensor) -> Tensor:
    """Crop a sketch (1, S, S) to the window around its strokes, as models see it: (1, S, S)."""
    return letterbox(page.expand(3, -1, -1), page.shape[-1], "sketch")[0].mean(0, keepdim=True)


def _view(pictures: Tensor, kind: str, side: int, view: int, generator: Generator) -> Tensor:
    """Resize pictures to (B, 3, side, side) for view 0; augment them for the others."""
    if view == 0:
        plain = torch.nn.functional.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
        return plain.expand(-1, 3, -1, -1)
    if kind == "sketch":
        return augment.sketches(pictures, side, generator)
    return augment.photos(pictures, side, generator, zoom=(0.7, 1.0))


def valid_cells(bank: PictureArray, grid: int, views: int, windowed: bool = True) -> np.ndarray | None:
    """Mark the cells of the maps of all views that lie on the pictures, not on padding: (N, views, grid, grid) bool.

    In augmented views padding moves along with the picture, as in the features that `cached` gives. `windowed`
    sketches are cropped to the window around their strokes. None if there is no padding.
    """
    bank = bank.on("cpu")
    boxes = np.tile(WHOLE, (len(bank), 1)) if bank.boxes is None else bank.boxes.copy()
    if windowed and bank.kind == "sketch":
        side = bank.pixels.shape[-1]
        for place, box in enumerate(boxes):
            if window := stroke_window(bank.take([place])[0]):
                box[:] = (box * side - np.array([window.left, window.top] * 2)) / window.side
    if ((boxes[:, :2] <= 0) & (boxes[:, 2:] >= 1)).all():
        return None
    marked = np.ones((len(bank), views, grid, grid), bool)
    generator = torch.Generator().manual_seed(0)
    for start in range(0, len(bank), ENCODED):
        of = boxes[start : start + ENCODED]
        frames = [Frame(1, 1, 1, right - left, bottom - top, left, top) for left, top, right, bottom in of.tolist()]
        plain = torch.stack([FeatureMap(torch.empty(1, grid, grid), frame).valid() for frame in frames])
        marked[start : start + ENCODED, 0] = plain.numpy()
        colours = torch.ones(len(of), 3 if bank.kind == "photo" else 1, grid, grid)
        for view in range(1, views):  # the same random numbers as for the features
            moved = _view(torch.cat([colours, plain[:, None].float()], 1), bank.kind, grid, view, generator)[:, 3] > 0.5
            moved |= ~moved.any((1, 2), keepdim=True)
            marked[start : start + ENCODED, view] = moved.numpy()
    return marked
