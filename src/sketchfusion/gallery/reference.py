"""Questions that have nothing to do with a gallery, put to it to learn how high its photos score by chance.

They are sketches of Sketch World and the names of what they show; for a question that is a photo, the gallery's own
photos. The features of the former are kept beside the gallery, so that they are computed once.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .background import Background
from .confidence import Chance, chance
from .faults import GalleryError, explained
from .question import Asked, Question, look_for, read_words
from .rows import listed, matrix
from .table import connect, table_names

if TYPE_CHECKING:
    from ..extractor import BatchExtractor
    from .nearest import Nearest
    from .store import GalleryStore


Floats = npt.NDArray[np.float32]

COUNT = 48
FIRST = 5000  # the number of the instance drawn; no training or benchmark draws so many
SKETCHES, WORDS = "sketches", "words"


class Reference:
    """What a gallery says to unrelated questions; read or computed when it is first needed."""

    def __init__(self, store: GalleryStore, model: BatchExtractor) -> None:
        self._store, self._model = store, model
        self._known: dict[str, Floats] = {}
        self._chances: dict[tuple[int, Asked], Chance] = {}

    def chance(self, question: Question, nearest: Nearest) -> Chance:
        """The scores of the best photos for unrelated questions that ask in the same way."""
        key = nearest.version, question.asked
        if key not in self._chances:
            background = nearest.background(question)
            self._chances = {old: value for old, value in self._chances.items() if old[0] == nearest.version}
            self._chances[key] = chance(*self._unrelated(question.asked, background))
        return self._chances[key]

    def _unrelated(self, asked: Asked, background: Background) -> tuple[list[Question], Background]:
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


def embed_reference(model: BatchExtractor, kind: str = SKETCHES) -> Floats:
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
