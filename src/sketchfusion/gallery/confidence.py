"""How surely a photo shows what was looked for, from 0 to 1, with one meaning in every gallery and for every model.

A gallery answers any question with some best photo. So questions that have nothing to do with it are put to it first,
and the highest score that each of them gets is noted. The confidence of a photo is the share of them that it beats:
with a cut at 0.9, one unrelated question in ten still gets an answer. No labels are needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..featuremap import Floats
from .errors import GalleryError, explained
from .query import Background, Modalities, Query, look_for, read_words, robust
from .rows import listed, matrix
from .store import connect, table_names

if TYPE_CHECKING:
    from ..extractor import Extractor
    from .nearest import Nearest
    from .store import GalleryStore


TAIL = 32  # the highest scores of a sample, whose fall tells how high those of the whole gallery reach
TYPICAL = 0.5615  # exp(-Euler's constant): the highest of n normal values is about the 1 - TYPICAL / n quantile


@dataclass(frozen=True)
class Chance:
    """The scores of the best photo for unrelated questions: median and standard deviation."""

    middle: float
    spread: float

    def beaten_by(self, scores: Iterable[float]) -> list[float]:
        """The share of unrelated questions whose best photo scores lower than each of these."""
        bell = NormalDist(self.middle, self.spread)
        return [bell.cdf(float(score)) for score in scores]


def chance(unrelated: Iterable[Query], background: Background) -> Chance:
    """Put unrelated questions to a gallery, of which a sample of the photos is known."""
    if not len(next(iter(background.columns.values()))):
        return Chance(0.0, math.inf)  # nothing is known of other photos, so every one is as likely as not
    best = [
        highest(question.against(background).scores(background.columns), background.count) for question in unrelated
    ]
    return Chance(*robust(np.array(best, np.float32)))


def highest(scores: Floats, count: int) -> float:
    """The highest of `count` scores when these (S,) are a sample of them.

    Beyond the sample the scores go on as its highest ones do when they are set against the normal distribution's.
    """
    size, normal = len(scores), NormalDist()
    if count <= size or size < TAIL:
        return float(scores.max())
    top = np.sort(scores)[-TAIL:][::-1]
    usual = [normal.inv_cdf(1 - (place + 0.5) / size) for place in range(TAIL)]
    slope = float((top - top[-1]).mean()) / (sum(usual) / TAIL - usual[-1])
    further = normal.inv_cdf(1 - TYPICAL / count) - normal.inv_cdf(1 - TYPICAL / size)
    return float(top[0]) + slope * further


# Questions that have nothing to do with a gallery, put to it to learn how high its photos score by chance.
#
# They are sketches of Sketch World and the names of what they show; for a question that is a photo, the gallery's own
# photos. The features of the former are kept beside the gallery, so that they are computed once.


COUNT = 48
FIRST = 5000  # the number of the instance drawn; no training or benchmark draws so many
SKETCHES, WORDS = "sketches", "words"


class Calibration:
    """What a gallery says to unrelated questions; read or computed when it is first needed."""

    def __init__(self, store: GalleryStore, model: Extractor) -> None:
        self._store, self._model = store, model
        self._known: dict[str, Floats] = {}
        self._chances: dict[tuple[int, Modalities], Chance] = {}

    def chance(self, question: Query, nearest: Nearest) -> Chance:
        """The scores of the best photos for unrelated questions that ask in the same way."""
        key = nearest.version, question.asked
        if key not in self._chances:
            background = nearest.background(question)
            self._chances = {old: value for old, value in self._chances.items() if old[0] == nearest.version}
            self._chances[key] = chance(*self._unrelated(question.asked, background))
        return self._chances[key]

    def _unrelated(self, asked: Modalities, background: Background) -> tuple[list[Query], Background]:
        if asked.photo and not asked.sketch:
            own, background = background.split(COUNT)
            pictures = own.columns["vector"]
        else:
            pictures = self._features(SKETCHES)
        words = self._features(WORDS) if asked.words else [None] * len(pictures)
        if not asked.sketch and not asked.photo:
            return [look_for([], [], word) for word in words], background
        return [look_for([picture], [], word) for picture, word in zip(pictures, words, strict=False)], background

    def _features(self, kind: str) -> Floats:
        """Unit vectors (COUNT, ..) of the drawings or of their names."""
        if kind not in self._known:
            vectors = _kept(self._store, kind)
            if vectors is None:
                vectors = embed_reference(self._model, kind)
                _keep(self._store, kind, vectors)
            self._known[kind] = vectors
        return self._known[kind]


def embed_reference(model: Extractor, kind: str = SKETCHES) -> Floats:
    """Embed the drawings (COUNT, d), or their names (COUNT, P), to unit vectors."""
    if kind == WORDS:
        return np.stack([read_words(model, name) for _, name in drawings()])
    vectors: Floats = model.embed([picture for picture, _ in drawings()], kind="sketch").numpy()
    return vectors


@cache
def drawings() -> tuple[tuple[npt.NDArray[np.uint8], str], ...]:
    """Pictures (H, W, 3) and names of things, by one hand after the other."""
    from ..world import SEEN, World

    world = World()
    drawn = [(world.sketch(name, FIRST, hand)[0], name) for hand, name in enumerate(SEEN[:COUNT])]
    return tuple((picture[:, :, None].repeat(3, axis=2), name) for picture, name in drawn)


def _kept(store: GalleryStore, kind: str) -> Floats | None:
    with explained(store.uri):
        database, name = connect(store.uri), _table_name(store, kind)
        there = name in table_names(database)
        return matrix(database.open_table(name).to_arrow()["vector"]) if there else None


def _keep(store: GalleryStore, kind: str, vectors: Floats) -> None:
    """Keep vectors beside the photos; a gallery that nothing can be written to goes without."""
    import pyarrow as pa

    with suppress(GalleryError), explained(store.uri):
        rows = pa.table({"vector": listed(vectors)})
        connect(store.uri).create_table(_table_name(store, kind), rows, mode="overwrite")


def _table_name(store: GalleryStore, kind: str) -> str:
    return f"{kind}-{store.made_with.fingerprint[:16]}"
