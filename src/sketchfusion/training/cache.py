"""What the frozen models say of every training picture, kept on disk.

A training step on a warm cache runs neither VAE nor CLIP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from ..io.files import drafted
from . import augment
from .bank import Bank, choose, index_by_name, mapped

Encode = Callable[[Tensor], Tensor]  # pictures (B, 3, S, S) in [0, 1] -> what one frozen model says, (B, C, h, w)


@dataclass(frozen=True, eq=False)
class Cache:
    """What is kept of `views` augmented views of each picture of a bank, in half precision."""

    said: tuple[np.ndarray, ...]  # part by part, (N, views, C, h, w) float16
    names: list[tuple[str, ...]]  # N

    @cached_property
    def by_name(self) -> dict[str, list[int]]:
        """Where the pictures of each name are."""
        return index_by_name(self.names)

    def draw_named(self, wanted: list[str], generator: Generator) -> tuple[Tensor, ...]:
        """A random view of a random picture of each wanted name: its parts, float32."""
        index = [choose(self.by_name[name], generator) for name in wanted]
        views = torch.randint(self.said[0].shape[1], (len(index),), generator=generator).tolist()
        return self.take(index, views)

    def take(self, index: list[int], views: list[int] | None = None) -> tuple[Tensor, ...]:
        """The given views, the plain ones by default, of the pictures at `index`: their parts, float32."""
        views = views or [0] * len(index)
        return tuple(torch.from_numpy(part[index, views]).float() for part in self.said)


def joined(caches: list[Cache]) -> Cache:
    """Several caches of one kind as one, in memory."""
    return Cache(
        tuple(np.concatenate(parts) for parts in zip(*(cache.said for cache in caches), strict=True)),
        [names for cache in caches for names in cache.names],
    )


def cached(
    bank: Bank,
    encode: Encode,
    fingerprint: str,
    side: int,
    views: int,
    folder: Path,
    report: Callable[[int, int], None] | None = None,
) -> np.memmap:
    """What one frozen model says of a bank, (N, views, C, h, w) float16, read from `folder` or made there.

    The key is made of the pictures' bytes, the `fingerprint` of the weights and of how they are asked, and the views:
    a change of any of them makes a new file. View 0 is the plain picture, the others are augmented, the same for all
    models.
    """
    content = hashlib.sha256(bank.pixels.tobytes()).hexdigest()
    key = hashlib.sha256(f"{content} {fingerprint} {side} {views}".encode()).hexdigest()[:20]
    path = folder / f"{key}.npy"
    if (kept := mapped(path)) is not None:
        return kept
    with drafted(path) as draft:
        _make(bank, encode, side, views, draft, report)
    array: np.memmap = np.load(path, mmap_mode="r")
    return array


@torch.no_grad()
def _make(
    bank: Bank,
    encode: Encode,
    side: int,
    views: int,
    path: Path,
    report: Callable[[int, int], None] | None,
    batch: int = 32,
) -> None:
    generator = torch.Generator().manual_seed(0)
    with path.open("wb") as file:  # written in order, never mapped: a full disk would kill a process that maps
        for start in range(0, len(bank), batch):
            index = list(range(start, min(start + batch, len(bank))))
            pictures = bank.take(index)
            said = [encode(_view(pictures, bank.kind, side, view, generator)) for view in range(views)]
            array = torch.stack(said, 1).cpu().to(torch.float16).numpy()
            if start == 0:
                header = {"descr": "<f2", "fortran_order": False, "shape": (len(bank), *array.shape[1:])}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(array.tobytes())
            if report:
                report(index[-1] + 1, len(bank))


def _view(pictures: Tensor, kind: str, side: int, view: int, generator: Generator) -> Tensor:
    if view == 0:
        plain = torch.nn.functional.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
        return plain.expand(-1, 3, -1, -1)
    if kind == "sketch":
        return augment.sketches(pictures, side, generator)
    return augment.photos(pictures, side, generator, zoom=(0.7, 1.0))
