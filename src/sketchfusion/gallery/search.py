"""The gallery: photos found by sketch, by words, or by what another photo shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from ..tasks.inputs import read_sketches
from .catalogue import Catalogue
from .diffusion import CANDIDATES, diffused
from .duplicates import fold
from .faults import GalleryError
from .hits import Hit, to_hits
from .indexing import Indexing
from .nearest import Filter, Held, Nearest, prepare
from .question import Question, look_for, read_words
from .reading import Contents
from .reference import Reference
from .store import GalleryStore
from .table import absolute

if TYPE_CHECKING:
    from ..extractor import BatchExtractor
    from ..io.images import ImageInput


DEFAULT_MODEL = "mini"


class Gallery(Catalogue, Indexing):
    """Photos, kept with their features, that can be searched by sketch."""

    def __init__(self, uri: str, model: BatchExtractor | str | None = None) -> None:
        """Use `Gallery.open`."""
        self.uri = uri
        self._asked = model
        self._checked = False
        self._store = GalleryStore.find(uri)
        self._prepared: Nearest | None = None
        self._unrelated: Reference | None = None

    @classmethod
    def open(cls, uri: str | Path, model: BatchExtractor | str | None = None) -> Self:
        """Open the gallery in a folder or at a URI such as s3://bucket/name; it is made when photos are first added.

        `model` is an extractor or the name of one; by default the one that made the gallery, or "mini" for a new one.
        """
        return cls(str(uri), model)

    def __len__(self) -> int:
        """Number of photos."""
        self._store = self._store or GalleryStore.find(self.uri)
        return len(self._store) if self._store else 0

    @property
    def model(self) -> BatchExtractor:
        """The model, loaded on first use; GalleryError if it is not the one that made the gallery."""
        model = self._asked
        if model is None or isinstance(model, str):
            from ..models import load

            recorded = self._store.made_with.name if self._store else DEFAULT_MODEL
            model = self._asked = load(model or recorded)
        if self._store and not self._checked:
            made_with, fingerprint = self._store.made_with, model.fingerprint
            if made_with.fingerprint != fingerprint:
                raise GalleryError(
                    f"gallery {self.uri} was made with {made_with.name} ({made_with.fingerprint[:12]}), not with "
                    f"{model.name} ({fingerprint[:12]}); use that model, or index the photos into a new gallery"
                )
            self._checked = True
        return model

    def search(
        self,
        sketch: ImageInput | Sequence[ImageInput] | None = None,
        k: int = 10,
        category: str | None = None,
        where: str | None = None,
        *,
        text: str | None = None,
        like: str | Path | None = None,
        min_score: float | None = None,
        group: bool = False,
        diffuse: bool = False,
    ) -> list[Hit]:
        """Find the photos that show what a sketch shows, best first: min(k, number of photos) of them.

        `text` says in words what they show, `like` names a photo, of the gallery or any other, whose like is wanted (it
        is left out itself); with or without a sketch. Several sketches and a photo are one question: their mean.
        `category` and `where`, an SQL condition over the columns (path, size, width, height, category ..), narrow the
        choice. `min_score`, 0 to 1, leaves out photos of less confidence. `group` folds near-duplicates into one hit.
        `diffuse` orders the best 1000 anew by what the photos that are like each of them score: it finds more, and
        shows bursts and copies together.

        Raises ImageError for an unreadable or blank picture and GalleryError for an absent, empty or other model's
        gallery, an unknown category and a question that nothing is in.
        """
        self._found()
        drawn = [] if sketch is None else read_sketches(sketch)
        sketches = self.model.embed(drawn, kind="sketch").numpy() if drawn else None
        return self.find(
            sketches, k, category, where, text=text, like=like, min_score=min_score, group=group, diffuse=diffuse
        )

    def find(
        self,
        sketches: npt.NDArray[np.float32] | None = None,
        k: int = 10,
        category: str | None = None,
        where: str | None = None,
        *,
        text: str | None = None,
        like: str | Path | None = None,
        min_score: float | None = None,
        group: bool = False,
        diffuse: bool = False,
    ) -> list[Hit]:
        """Search with sketches that were embedded before, (N, d); else as `search`."""
        if k < 1:
            raise GalleryError(f"k must be at least 1, not {k}")
        if min_score is not None and not 0 <= min_score <= 1:
            raise GalleryError(f"min_score must be between 0 and 1, not {min_score}")
        nearest, wanted = self._nearest(), Filter(category, where)
        question = self._question(sketches, text, like)
        chance = self._reference.chance(question, nearest)
        background = nearest.background(question)
        question = question.against(background)
        left_out = None if like is None else absolute(like)
        count = max(k, CANDIDATES) if diffuse else k
        while True:
            found = nearest.best(question, count + (left_out is not None), wanted).without(left_out)
            if diffuse:
                found = diffused(found, float(question.scores(background.columns).std()))
            confidences = np.array(chance.beaten_by(found.scores))
            enough = np.flatnonzero(confidences >= (min_score or 0))
            sure = found.take(enough)
            hits = to_hits(sure, confidences[enough].tolist())
            answer = fold(hits, sure.rows.columns["vector"], self.thumbnails) if group else hits
            if len(answer) >= k or len(hits) < count:
                return answer[:k]
            count *= 4

    def _question(
        self, sketches: npt.NDArray[np.float32] | None, text: str | None, like: str | Path | None
    ) -> Question:
        if sketches is None and text is None and like is None:
            raise GalleryError("there is nothing to look for; give a sketch, a text or a photo")
        photos = []
        if like is not None:
            stored = self._found().vector(absolute(like))
            photos = [self.model.embed([like], kind="photo").numpy()[0] if stored is None else stored]
        words = None if text is None else read_words(self.model, text)
        if words is not None and not self._found().made_with.joint_dim:
            raise GalleryError(
                f"gallery {self.uri} was made before words could be looked for; index the photos into a new gallery"
            )
        return look_for([] if sketches is None else [*sketches], photos, words)

    def _found(self) -> GalleryStore:
        self._store = self._store or GalleryStore.find(self.uri)
        if self._store is None:
            raise GalleryError(f"no gallery at {self.uri}; make one: sketchfusion index PHOTOS --gallery {self.uri}")
        return self._store

    def contents(self) -> Contents:
        """Every photo's path, category and feature, in memory."""
        nearest = self._nearest()
        return nearest.contents if isinstance(nearest, Held) else self._found().load()

    def _nearest(self) -> Nearest:
        """The newest version, ready to be searched; read again after a commit."""
        store = self._found()
        if self._prepared is None or self._prepared.version != store.version:
            if not len(store):
                raise GalleryError(
                    f"gallery {self.uri} is empty; sketchfusion index PHOTOS --gallery {self.uri} fills it"
                )
            self._prepared = prepare(store)
        return self._prepared

    @property
    def _reference(self) -> Reference:
        if self._unrelated is None:
            self._unrelated = Reference(self._found(), self.model)
        return self._unrelated
