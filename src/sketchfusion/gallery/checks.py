"""Is a gallery still what was written? Every row and thumbnail against its seal."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from .build import Builder, Report
from .embed import Failure
from .faults import GalleryError
from .rows import broken, seal
from .store import GalleryStore

ROWS = 1000  # at a time


@dataclass
class Damage:
    """What is broken in a gallery."""

    rows: dict[int, str] = field(default_factory=dict)  # the seal that is stored to the path that is
    thumbnails: list[str] = field(default_factory=list)  # paths
    others: bool = False  # whether rows are missing, or deleted ones came back

    def lines(self) -> list[str]:
        """One line for each thing that is broken."""
        return [
            *(f"{path!r}: its row is damaged" for path in self.rows.values()),
            *(f"{path!r}: its thumbnail is damaged" for path in self.thumbnails),
            *(["the photos are not those that it was left with: index them again with --prune"] if self.others else []),
        ]


def examine(store: GalleryStore) -> Damage:
    """Read everything once and compare it with its seals; GalleryError if the table cannot be read at all."""
    damage = Damage()
    version, found = store.version, [np.empty(0, np.int64)]
    for rows in store.batches(ROWS):
        found.append(np.asarray(rows["seal"].to_numpy(), np.int64))
        places = broken(rows).tolist()
        damage.rows |= {rows["seal"][place].as_py(): rows["path"][place].as_py() for place in places}
        pictures = rows.select(["path", "thumbnail", "thumbnail_seal"]).to_pylist()
        damage.thumbnails += [row["path"] for row in pictures if seal(row["thumbnail"] or b"") != row["thumbnail_seal"]]
    damage.others = not damage.rows and not store.all_there(version, np.concatenate(found))
    return damage


def survived(uri: str, read: Callable[[str], None] | None = None) -> None:
    """Read a gallery in a process of its own first, because a damaged file can make the store's library stop it.

    GalleryError if that happens; whatever else is wrong is left to `examine`.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:
        try:
            apart.submit(read or _read, uri).result()
        except BrokenProcessPool:
            raise GalleryError(
                f"gallery {uri}: a file of it is so damaged that reading it stops the process; bring back a copy of "
                "it, or index the photos into a new one"
            ) from None


def _read(uri: str) -> None:
    with suppress(GalleryError):
        if store := GalleryStore.find(uri):
            examine(store)


def repair(store: GalleryStore, damage: Damage, builder: Builder) -> Report:
    """Drop what is damaged and embed the photos again; those whose file is gone are listed in the report."""
    paths = {*damage.rows.values(), *damage.thumbnails}
    there = {path for path in paths if Path(path).exists()}
    store.forget_sealed(list(damage.rows))
    store.forget(there)
    report = builder.run([Path(path) for path in sorted(there)])
    report.failed += [Failure(path, "damaged in the gallery, and no such file") for path in sorted(paths - there)]
    return report
