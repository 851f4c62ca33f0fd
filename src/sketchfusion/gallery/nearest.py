"""The photos nearest to a question: exactly from memory, or by an approximate index where there are too many."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from ..featuremap import Floats
from ..tasks.retrieval import best_first
from .errors import GalleryError
from .query import SAMPLE, Background
from .rows import matrix

if TYPE_CHECKING:
    from .query import Query
    from .store import GalleryStore


# Searched exactly and held in memory up to here: 100,000 photos of 768 numbers take 300 MB and 15 ms a search.
EXACT_ROWS = 100_000
CANDIDATES = 500  # for each part of a question of several parts
TIES = 16  # more than were asked for, so that equal photos at the end of an answer come in their order
FEW = 5_000  # photos that a filter leaves are all compared


@dataclass(frozen=True)
class Filter:
    """Which photos may be in an answer."""

    category: str | None = None
    where: str | None = None  # SQL over the columns

    @property
    def condition(self) -> str | None:
        """The same as one SQL condition."""
        category = None if self.category is None else "category = '" + self.category.replace("'", "''") + "'"
        return f"{category} AND ({self.where})" if category and self.where else category or self.where


@dataclass(frozen=True, eq=False)
class Rows:
    """Photos ordered by path, with their vectors."""

    paths: npt.NDArray[np.object_]  # (N,)
    categories: npt.NDArray[np.object_]  # (N,)
    columns: dict[str, Floats]  # (N, d) each

    def take(self, places: npt.NDArray[np.int64]) -> Rows:
        """Some of them, in the order given."""
        columns = {name: vectors[places] for name, vectors in self.columns.items()}
        return Rows(self.paths[places], self.categories[places], columns)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best photos, best first, and their scores (n,)."""

    rows: Rows
    scores: Floats

    def take(self, places: npt.NDArray[np.int64]) -> Ranked:
        """Some of them, in the order given."""
        return Ranked(self.rows.take(places), self.scores[places])

    def without(self, path: str | None) -> Ranked:
        """All but one photo."""
        return self.take(np.flatnonzero(self.rows.paths != path))


class Nearest(Protocol):
    """One version of a gallery, ready to be searched."""

    version: int

    def background(self, question: Query) -> Background:
        """A sample of the photos, with the vectors that a question needs."""

    def best(self, question: Query, k: int, wanted: Filter) -> Ranked:
        """The min(k, photos wanted) best; equal scores in the order of their paths."""


def prepare(store: GalleryStore) -> Nearest:
    """Read a gallery's newest version, or only a sample of it where it is too large to hold."""
    return Indexed(store) if len(store) > EXACT_ROWS else Held(store)


def index_if_large(store: GalleryStore) -> None:
    """Build the approximate index once a gallery has grown beyond exact search."""
    if len(store) > EXACT_ROWS:
        store.index()


class Held:
    """All vectors in memory."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self.contents = store.load()
        self.version = self.contents.version
        self._columns = {"vector": self.contents.vectors}
        if self.contents.joint is not None:
            self._columns["joint"] = self.contents.joint
        rows = self._rows()
        sample = rows.take(np.arange(0, len(rows.paths), max(1, -(-len(rows.paths) // SAMPLE))))
        self._background = Background(len(rows.paths), sample.columns)

    def background(self, question: Query) -> Background:
        return self._background

    def best(self, question: Query, k: int, wanted: Filter) -> Ranked:
        rows, chosen = self._rows(), self._chosen(wanted)
        return _best(rows if chosen is None else rows.take(chosen), question, k)

    def _rows(self) -> Rows:
        return Rows(self.contents.paths, self.contents.categories, self._columns)

    def _chosen(self, wanted: Filter) -> npt.NDArray[np.int64] | None:
        """The rows that the filter leaves, or None for all."""
        keep = np.ones(len(self.contents.paths), bool)
        if wanted.category is not None:
            keep &= self.contents.categories == wanted.category
            if not keep.any():
                raise _no_such(wanted.category, sorted(set(self.contents.categories)))
        if wanted.where is not None:
            paths = self._store.matching(wanted.where)
            keep &= np.fromiter((path in paths for path in self.contents.paths), bool, len(keep))
        return None if keep.all() else np.flatnonzero(keep)


class Indexed:
    """No vector in memory but a sample's; the store's index finds candidates, whose own vectors are then compared."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self.version = store.version
        self._background = Background(*store.sample(SAMPLE))

    def background(self, question: Query) -> Background:
        return self._background

    def best(self, question: Query, k: int, wanted: Filter) -> Ranked:
        condition, there = wanted.condition, self._background.count
        if condition is not None:
            there = self._store.count(condition)
            if not there and wanted.category is not None and wanted.category not in (known := self._store.categories()):
                raise _no_such(wanted.category, known)
        several = len(question.parts) > 1
        enough = min(there, max(CANDIDATES, 4 * k) if several else k + TIES)
        exactly = there <= FEW or enough > FEW
        found = self._candidates(question, max(enough, 1), wanted, exactly)
        if len(found.paths) < min(k, there) and not exactly:  # the index ran dry behind a filter
            found = self._candidates(question, enough, wanted, True)
        return _best(found, question, k)

    def _candidates(self, question: Query, count: int, wanted: Filter, exactly: bool) -> Rows:
        """The photos that come first in any part of the question."""
        parts = [
            self._store.nearest(part.column, part.vector, count, wanted.condition, exactly) for part in question.parts
        ]
        paths = np.concatenate([part["path"].to_numpy() for part in parts])
        categories = np.concatenate([part["category"].to_numpy() for part in parts])
        needed = {"vector"} | question.columns
        columns = {name: np.concatenate([matrix(part[name]) for part in parts]) for name in needed}
        return Rows(paths, categories, columns).take(np.unique(paths.astype(str), return_index=True)[1])


def _best(rows: Rows, question: Query, k: int) -> Ranked:
    scores = question.scores(rows.columns)
    places = best_first(scores[None], min(k, len(scores)))[0]
    return Ranked(rows.take(places), scores[places])


def _no_such(category: str, known: list[str]) -> GalleryError:
    near = difflib.get_close_matches(category, known, n=3, cutoff=0.5) or known[:8]
    more = ".." if len(known) > len(near) else ""
    return GalleryError(f"no photo in category {category!r}; there is {', '.join(near)}{more}")


# One photo of an answer.


@dataclass(frozen=True)
class Hit:
    """A photo that was found."""

    path: str
    score: float  # cosine of the features asked for; with words beside a sketch, their weighted standard scores
    rank: int  # from 1
    category: str  # the name of its folder
    confidence: float = 0.0  # 0 to 1: how surely it shows what was looked for, the same in every gallery
    similar: tuple[str, ...] = ()  # paths of near-duplicates that were folded into this hit


def to_hits(found: Ranked, confidences: Sequence[float]) -> list[Hit]:
    """Number what was found, best first."""
    each = zip(found.rows.paths, found.scores, found.rows.categories, confidences, strict=True)
    return [
        Hit(str(path), float(score), rank, str(category), confidence)
        for rank, (path, score, category, confidence) in enumerate(each, start=1)
    ]
