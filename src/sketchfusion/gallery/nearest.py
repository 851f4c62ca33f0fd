"""The photos nearest to a query: found exactly in memory, or by an approximate index where there are too many."""

import base64
import difflib
import functools
import html
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import ImageError
from ..featuremap import Floats
from ..io.images import read_reduced
from ..tasks.retrieval import best_first
from .query import SAMPLE, Background, Filter, Scorer
from .rows import Rows, matrix
from .storage import GalleryError
from .store import GalleryStore

# Searched exactly and held in memory up to here: 100,000 photos of 768 numbers take 300 MB and 15 ms a search.
EXACT_ROWS = 100_000
CANDIDATES = 500  # for each term of a query that has several
TIES = 16  # photos fetched beyond k, so that equal scores at the end of an answer come in the order of their paths
FEW = 5_000  # where a filter leaves no more photos than these, all are compared


@dataclass(frozen=True, eq=False)
class Ranked:
    """Photos, best first, and their scores (N,)."""

    rows: Rows
    scores: Floats

    def take(self, places: npt.NDArray[np.int64]) -> "Ranked":
        return Ranked(self.rows.take(places), self.scores[places])

    def without(self, paths: Collection[str]) -> "Ranked":
        return self.take(np.flatnonzero(~np.isin(self.rows.paths, list(paths)))) if paths else self


def is_large(store: GalleryStore) -> bool:
    """Tell whether a gallery has grown beyond exact search."""
    return len(store) > EXACT_ROWS


class ExactIndex:
    """All vectors in memory; every photo is compared."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self.version, self.rows = store.load()
        self._filtered = functools.lru_cache(maxsize=8)(self._filter)  # a drawing asks for the same again and again
        count = len(self.rows.paths)
        sample = self.rows.take(np.arange(0, count, max(1, -(-count // SAMPLE))))
        self.background = Background(count, sample.columns)

    def best(self, scorer: Scorer, k: int, wanted: Filter) -> Ranked:
        """Find the min(k, photos that pass the filter) best; equal scores come in the order of their paths.

        GalleryError for an unknown category and a malformed SQL condition.
        """
        places = self._filtered(wanted)
        return _best(self.rows if places is None else self.rows.take(places), scorer, k)

    def _filter(self, wanted: Filter) -> npt.NDArray[np.int64] | None:
        if wanted.condition is None:
            return None
        keep = np.ones(len(self.rows.paths), bool)
        if wanted.category is not None:
            keep &= self.rows.categories == wanted.category
            if not keep.any():
                raise _unknown_category(wanted.category, sorted(set(self.rows.categories)))
        if wanted.where is not None:
            paths = self._store.matching(wanted.where)
            keep &= np.fromiter((path in paths for path in self.rows.paths), bool, len(keep))
        return None if keep.all() else np.flatnonzero(keep)


class ApproximateIndex:
    """Only a sample in memory; the store's index finds candidates, whose exact scores are then compared."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self.version = store.version
        self.background = Background(*store.sample(SAMPLE))

    def best(self, scorer: Scorer, k: int, wanted: Filter) -> Ranked:
        """Find what `ExactIndex.best` finds, and score it exactly; the store's index may miss a few photos."""
        condition, count = wanted.condition, self.background.count
        if condition is not None:
            count = self._store.count(condition)
            if not count and wanted.category is not None:
                known = self._store.categories()
                if wanted.category not in known:
                    raise _unknown_category(wanted.category, known)
        several = len(scorer.terms) > 1
        enough = min(count, max(CANDIDATES, 4 * k) if several else k + TIES)
        exactly = count <= FEW or enough > FEW
        found = self._candidates(scorer, max(enough, 1), wanted, exactly)
        if len(found.paths) < min(k, count) and not exactly:  # the index found too few that pass the filter
            found = self._candidates(scorer, enough, wanted, True)
        return _best(found, scorer, k)

    def _candidates(self, scorer: Scorer, count: int, wanted: Filter, exactly: bool) -> Rows:
        """Find the `count` photos nearest to each term, ordered by path."""
        found = pa.concat_tables(
            self._store.nearest(term.column, term.vector, count, wanted.condition, exactly) for term in scorer.terms
        )
        columns = {name: matrix(found[name]) for name in {"vector"} | scorer.columns}
        rows = Rows(found["path"].to_numpy(), found["category"].to_numpy(), columns)
        return rows.take(np.unique(rows.paths.astype(str), return_index=True)[1])


def _best(rows: Rows, scorer: Scorer, k: int) -> Ranked:
    scores = scorer.scores(rows.columns)
    places = best_first(scores[None], min(k, len(scores)))[0]
    return Ranked(rows.take(places), scores[places])


def _unknown_category(category: str, known: list[str]) -> GalleryError:
    near = difflib.get_close_matches(category, known, n=3, cutoff=0.5) or known[:8]
    return GalleryError(f"no photo is in category {category!r}; categories include {', '.join(near)}")


@dataclass(frozen=True)
class Hit:
    """One photo of an answer."""

    path: str
    score: float  # cosine; of a query of several parts, such as a sketch and its guesses, a sum of standard scores
    rank: int  # from 1
    category: str  # the name of its folder
    confidence: float = 0.0  # 0 to 1: how surely it shows what was looked for, comparable between galleries
    similar: tuple[str, ...] = ()  # paths of near-duplicates that were folded into this hit

    def _repr_html_(self) -> str:
        """Show the photo in a notebook, with rank, confidence and name; without a picture if the file is gone."""
        picture = ""
        with suppress(OSError, ImageError):
            jpeg = read_reduced(Path(self.path).read_bytes(), 160).jpeg()
            picture = f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt=""><br>'
        name = html.escape(Path(self.path).name)
        return f"<figure style='display:inline-block'>{picture}{self.rank}. {self.confidence:.0%} {name}</figure>"


class Hits(list[Hit]):
    """An answer: photos, best first; a notebook shows them as pictures."""

    def __init__(self, hits: Iterable[Hit] = (), guesses: Mapping[str, float] | None = None) -> None:
        super().__init__(hits)
        self.guesses = guesses or {}  # what the sketch was taken for, and searched by, with probabilities

    def __repr__(self) -> str:
        first = "".join(f"; {hit.rank}. {hit.confidence:.0%} {hit.path}" for hit in self[:3])
        return f"Hits({len(self)} photos{first}{'; ..' if len(self) > 3 else ''})"

    def _repr_html_(self) -> str:
        return "".join(hit._repr_html_() for hit in self[:50])
