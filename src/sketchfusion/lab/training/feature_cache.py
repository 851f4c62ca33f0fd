"""Frozen models' features of training pictures: kept in files, or computed when a batch is drawn, the same either way.

Files hold the features of a block of pictures in one view. Each is written at once, so a killed run goes on with those
that are there. Rows are read through short-lived memory maps; 64 rows of 0.5 MB take 1.4 to 2 times as long from Lance.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from math import prod
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from ...backbones.encoders import resize_square
from ...featuremap import FeatureMap, Frame
from ...io.files import atomic_write, free_room, map_array
from . import augment
from .bank import BLOCK, GIB, WHOLE, PictureArray, Pictures, choose, in_threads, index_by_name, mapped
from .loop import Report

ENCODED = 8  # pictures that are encoded together, always so many: others could change the last bits
FITS = 20 * GIB  # by default at most this is kept, and at most half of the free disk space
Keep = Literal["all", "latents", "nothing"]  # which features are kept on disk
Shown = Literal["window", "black", "middle"]  # what a frozen model sees of a square, as in `_shown`
Encode = Callable[[Tensor], Tensor]  # pictures (B, 3, S, S) in [0, 1] -> a frozen model's features (B, C, h, w)
Rows = Callable[[Sequence[int], Sequence[int]], Tensor]  # (which pictures, their views) -> a row for each
Read = Callable[[Sequence[int], Sequence[int]], Callable[[], Tensor]]  # the same, but reads what makes the rows


@dataclass(frozen=True)
class FrozenInput:
    """Features that a frozen model makes of pictures, from which a method makes its maps."""

    name: str  # its kind, and all that determines the features
    encode: Encode
    small: bool = False  # whether they take little room for the time they save, as latents do


@dataclass(frozen=True)
class InputBatch:
    """B pictures, read in any thread, and their frozen features, from which a model makes their feature maps."""

    makes: tuple[Callable[[], Tensor], ...]  # give a batch for each frozen encoder
    valid: Tensor | None = None  # (B, h, w) bool, the cells of the maps that lie on the pictures; None: all do

    @property
    def features(self) -> tuple[Tensor, ...]:
        """One batch for each frozen encoder, made now where it is not kept."""
        return tuple(make() for make in self.makes)


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """Features of N pictures in several augmented views, from which batches are drawn."""

    features: Sequence[Read] = field(repr=False)  # of each encoder, rows (C, h, w) float32
    names: list[tuple[str, ...]] = field(repr=False)  # N
    views: int = 1
    valid: Rows | None = None  # rows (h, w) bool, as of `valid_cells`

    @cached_property
    def by_name(self) -> dict[str, list[int]]:
        """The indices of each name's pictures."""
        return index_by_name(self.names)

    def draw_named(self, wanted: list[str], generator: Generator) -> InputBatch:
        """Draw a random view of a random picture for each name of `wanted`."""
        index = [choose(self.by_name[name], generator) for name in wanted]
        return self.take(index, torch.randint(self.views, (len(index),), generator=generator).tolist())

    def take(self, index: list[int], views: list[int] | None = None) -> InputBatch:
        """Return views (the plain ones by default) of the pictures at `index`."""
        views = views or [0] * len(index)
        valid = self.valid(index, views) if self.valid else None
        valid = None if valid is None or bool(valid.all()) else valid
        return InputBatch(tuple(read(index, views) for read in self.features), valid)


@dataclass(eq=False)
class FrozenFeatures:
    """A frozen model's features of all views of pictures, as `Rows`; view 0 is plain, the others are augmented.

    They are read from files where `keep` was called, else computed when asked for; in half precision either way. An
    augmented view depends only on the picture's place in its array and the view's number, and not on the encoder.
    """

    input: FrozenInput
    pictures: Pictures
    side: int  # pixels of the squares that are encoded
    views: int = 1
    shown: Shown = "window"  # what the encoder sees of the squares
    device: str | torch.device = "cpu"  # where pictures are augmented
    kept: dict[tuple[int, int, int], Path] = field(default_factory=dict)  # the file of an array's block in a view

    def __call__(self, index: Sequence[int], views: Sequence[int]) -> Tensor:
        return self.read(index, views)()

    def read(self, index: Sequence[int], views: Sequence[int]) -> Callable[[], Tensor]:
        """Read what is kept, or the pictures; what is returned gives the features, by the encoder if they are not."""
        if not self.kept:
            alone = [*self._each(index, views)]
            # In the layout of the files: convolutions of other strides may take another kernel, with other last bits.
            return lambda: self._computed(alone, index, views).float().contiguous()
        rows = []
        for (number, place), view in zip(map(self.pictures.locate, index), views, strict=True):
            rows.append(map_array(self.kept[number, place // BLOCK, view])[place % BLOCK])
        found = torch.from_numpy(np.stack(rows)).float()
        return lambda: found

    def files(self, folder: Path) -> dict[tuple[int, int, int], Path]:
        """Return the file in `folder` of each array's blocks in each view, named by all that determines its content."""
        name = f"{self.input.name} {self.side} {self.shown} {torch.device(self.device).type}"  # a GPU's are in bfloat16
        folder = folder / f"{name.split()[0]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        found = {}
        for number, bank in enumerate(self.pictures.banks):
            for block, content in enumerate(bank.digests):
                if self.shown != "window" and bank.boxes is not None:
                    content += hashlib.sha256(bank.boxes[block * BLOCK : (block + 1) * BLOCK].tobytes()).hexdigest()
                key = hashlib.sha256(content.encode()).hexdigest()[:20]
                for view in range(self.views):  # the plain one is the same at any place
                    found[number, block, view] = folder / f"{key}-{block if view else 0}-{view}.npy"
        return found

    def sizes(self, folder: Path) -> dict[Path, int]:
        """Return the files that `keep` wants in `folder`, with their bytes; a blank page is encoded where any lacks."""
        files = self.files(folder)
        if not any(mapped(path) is None for path in files.values()):
            return {path: path.stat().st_size for path in files.values()}
        with torch.no_grad():
            shape = self.input.encode(torch.ones(1, 3, self.side, self.side, device=self.device)).shape[1:]
        return {path: 2 * len(self._rows(*of[:2])) * prod(shape) for of, path in files.items()}

    def keep(self, folder: Path, report: Report = None) -> None:
        """Write what is missing in `folder`, and read from there from now on.

        OSError, in one line, if it cannot be written; the files that are there stay.
        """
        files = self.files(folder)
        for done, (of, path) in enumerate(files.items(), 1):
            if mapped(path) is None:
                rows = self._rows(*of[:2])
                views = [of[2]] * len(rows)
                features = self._computed(self._each(rows, views), rows, views).cpu().numpy()
                with atomic_write(path) as draft:
                    np.save(draft, features)
            if report:
                report(done, len(files), {})
        self.kept = files

    def _rows(self, number: int, block: int) -> range:
        """Return the pictures of a block among those of all arrays."""
        before = sum(map(len, self.pictures.banks[:number]))
        return range(before + block * BLOCK, before + min((block + 1) * BLOCK, len(self.pictures.banks[number])))

    def _each(self, index: Sequence[int], views: Sequence[int]) -> Iterator[Tensor]:
        return in_threads(self._alone, map(self.pictures.locate, index), views)

    @torch.no_grad()
    def _computed(self, each: Iterable[Tensor], index: Sequence[int], views: Sequence[int]) -> Tensor:
        """Encode views of the pictures at `index`: (B, C, h, w) float16; ValueError for numbers that are not finite."""
        made, alone = [], iter(each)
        for start in range(0, len(index), ENCODED):
            some = [*islice(alone, ENCODED)]
            squares = self._seen(some, index[start : start + ENCODED], views[start : start + ENCODED])
            filled = torch.cat([squares, squares.new_zeros(ENCODED - len(squares), *squares.shape[1:])])
            made.append(self.input.encode(filled)[: len(squares)].half())
        features = torch.cat(made)
        if not bool(features.isfinite().all()):
            kind = self.input.name.split()[0]
            raise ValueError(f"the {kind} of a picture are not finite: the weights of the frozen model may be damaged")
        return features

    def _alone(self, where: tuple[int, int], view: int) -> Tensor:
        """Return what is done to each picture by itself: all of `_seen` on a CPU, the crop alone for other devices."""
        bank = self.pictures.banks[where[0]]
        square = _shown(bank, where[1], self.shown)
        return self._views(square[None], bank.kind, [where[1]], [view])[0] if self._on_cpu else square

    def _seen(self, alone: list[Tensor], index: Sequence[int], views: Sequence[int]) -> Tensor:
        """Return views of the pictures at `index` as the encoder sees them: (B, 3, side, side)."""
        if self._on_cpu:
            return torch.stack(alone)
        seen = torch.empty(len(index), 3, self.side, self.side, device=self.device)
        where = [*map(self.pictures.locate, index)]
        for number, plain in {(of, view == 0) for (of, _), view in zip(where, views, strict=True)}:
            rows = [row for row in range(len(index)) if where[row][0] == number and (views[row] == 0) == plain]
            squares = torch.stack([alone[row] for row in rows]).to(self.device)
            places, kind = [where[row][1] for row in rows], self.pictures.banks[number].kind
            seen[rows] = self._views(squares, kind, places, [views[row] for row in rows])
        return seen

    @property
    def _on_cpu(self) -> bool:
        return torch.device(self.device).type == "cpu"

    def _views(self, squares: Tensor, kind: str, places: Sequence[int], views: Sequence[int]) -> Tensor:
        """Return views, all plain or all augmented, of pictures of one array."""
        if views[0]:
            return _augmented(squares, kind, self.side, places, views)
        size = (self.side, self.side)
        plain = torch.nn.functional.interpolate(squares, size, mode="bilinear", antialias=True)
        return plain.expand(-1, 3, -1, -1)


def keep(encoded: Sequence[FrozenFeatures], folder: Path, choice: Keep | None = None, report: Report = None) -> Keep:
    """Keep features in `folder`: all, those that are small, or none; by default the first of these that fits.

    Returns which. What an earlier run left counts too, so that a later one decides alike. ValueError, before anything
    is computed, if there is no room for the `choice`.
    """
    kept = {"all": encoded, "latents": [of for of in encoded if of.input.small], "nothing": []}
    free = free_room(folder)
    options: tuple[Keep, ...] = (choice,) if choice else get_args(Keep)
    for name in options:
        sizes: dict[Path, int] = {}
        for of in kept[name]:
            sizes |= of.sizes(folder)
        size = sum(of for path, of in sizes.items() if mapped(path) is None)
        fits = size <= free if choice else sum(sizes.values()) <= FITS and size <= free // 2
        if fits or not size:
            break
    else:
        line = f"--keep {choice} takes {size / GIB:.1f} GiB in {folder}, where {free / GIB:.1f} are free"
        raise ValueError(f"{line}: take --keep nothing, or latents, which are small, or another --cache")
    if size > GIB:
        what = "latents" if name == "latents" else "the frozen models' features"
        logging.getLogger(__name__).warning("%s take %.1f GiB in %s (--keep says which)", what, size / GIB, folder)
    for of in kept[name]:
        of.keep(folder, report)
    return name


def _shown(bank: PictureArray, place: int, shown: Shown) -> Tensor:
    """Return a picture as a frozen model sees it, (C, S, S).

    "window": photos as stored, sketches cropped to the window around their strokes. As in the authors' code
    (`prepare_as_released`), "black" pads pictures with black, and "middle" crops them to their central square.
    """
    if shown == "window":
        return bank.window(place)
    square = bank.take([place])[0]
    if bank.boxes is None:
        return square
    side = square.shape[-1]
    left, top, right, bottom = (bank.boxes[place] * side).round().astype(int).tolist()
    picture = square[:, top:bottom, left:right].clone()
    if shown == "black":
        square.zero_()
        square[:, top:bottom, left:right] = picture
        return square
    short = min(picture.shape[1:])
    x, y = (right - left - short) // 2, (bottom - top - short) // 2
    return resize_square(picture[None, :, y : y + short, x : x + short], side)[0]


def _augmented(pictures: Tensor, kind: str, side: int, places: Sequence[int], views: Sequence[int]) -> Tensor:
    """Augment pictures to (B, 3, side, side), each by a generator of its own, seeded by its place and view.

    Further channels follow, moved alike.
    """
    seeds = (int(np.random.SeedSequence(of).generate_state(1)[0]) for of in zip(places, views, strict=True))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    if kind == "sketch":
        return augment.sketches(pictures, side, generators)
    return augment.photos(pictures, side, generators, zoom=(0.7, 1.0))


def valid_cells(pictures: Pictures, grid: int, windowed: bool = True) -> Rows | None:
    """Return a function that marks the cells of maps that lie on the pictures, not on padding: (grid, grid) bool.

    In augmented views padding moves along with the picture, as in the features. `windowed` sketches are cropped to the
    window around their strokes. None if there is no padding.
    """
    boxes = np.concatenate([_boxes(bank, windowed) for bank in pictures.banks])
    padded = np.asarray(((boxes[:, :2] > 0) | (boxes[:, 2:] < 1)).any(1))
    if not padded.any():
        return None
    kind = pictures.banks[0].kind

    def marks(index: Sequence[int], views: Sequence[int]) -> Tensor:
        marked = torch.ones(len(index), grid, grid, dtype=torch.bool)
        for row, place in enumerate(index):
            if padded[place]:
                left, top, right, bottom = boxes[place].tolist()
                frame = Frame(1, 1, 1, right - left, bottom - top, left, top)
                marked[row] = FeatureMap(torch.empty(1, grid, grid), frame).valid()
        if rows := [row for row, view in enumerate(views) if view and padded[index[row]]]:
            colours = torch.ones(len(rows), 3 if kind == "photo" else 1, grid, grid)
            moved = torch.cat([colours, marked[rows, None].float()], 1)
            places = [pictures.locate(index[row])[1] for row in rows]
            moved = _augmented(moved, kind, grid, places, [views[row] for row in rows])[:, 3] > 0.5
            marked[rows] = moved | ~moved.any((1, 2), keepdim=True)
        return marked

    return marks


def _boxes(bank: PictureArray, windowed: bool) -> np.ndarray:
    """Return where pictures lie in the squares that models see, (N, 4) as `Box`."""
    boxes = np.tile(WHOLE, (len(bank), 1)) if bank.boxes is None else bank.boxes.copy()
    if windowed and bank.kind == "sketch":
        windows = bank.known["window"]
        drawn = windows[:, 2] > 0
        boxes[drawn] = (boxes[drawn] * bank.side - np.tile(windows[drawn, :2], 2)) / windows[drawn, 2:]
    return boxes
