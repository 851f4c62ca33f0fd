"""The gallery: photos found by sketch, exactly, from features held in memory."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from ..io.errors import ImageError
from ..io.files import find_images
from ..tasks.query import read_sketches
from ..tasks.retrieval import rank
from .build import COMMIT_ROWS, COMMIT_SECONDS, Builder, Progress, Report
from .catalogue import Catalogue
from .faults import GalleryError
from .store import Contents, GalleryStore, ModelTag

if TYPE_CHECKING:
    from ..extractor import BatchExtractor
    from ..io.images import ImageInput

DEFAULT_MODEL = "mini"


@dataclass(frozen=True)
class Hit:
    """One photo of an answer."""

    path: str
    score: float  # cosine of the features of sketch and photo
    rank: int  # from 1
    category: str  # the name of its folder
    confidence: float = 0.0
    similar: tuple[str, ...] = ()


class Gallery(Catalogue):
    """Photos, kept with their features, that can be searched by sketch."""

    def __init__(self, uri: str, model: BatchExtractor | str | None = None) -> None:
        """Use `Gallery.open`."""
        self.uri = uri
        self._asked = model
        self._checked = False
        self._store = GalleryStore.find(uri)
        self._contents: Contents | None = None

    @classmethod
    def open(cls, uri: str | Path, model: BatchExtractor | str | None = None) -> Self:
        """Open the gallery in a folder or at a URI such as s3://bucket/name; it is made when photos are first added.

        `model` is an extractor or the name of one; by default the one that made the gallery, or "mini" for a new one.
        """
        return cls(str(uri), model)

    def __len__(self) -> int:
        """Number of photos."""
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

    @property
    def categories(self) -> list[str]:
        """The names of the folders that the photos lie in."""
        return sorted(set(self.contents().categories))

    def add(
        self,
        paths: str | Path | Iterable[str | Path],
        progress: Progress | None = None,
        batch_size: int = 16,
        commit_rows: int = COMMIT_ROWS,
        commit_seconds: float = COMMIT_SECONDS,
    ) -> Report:
        """Index the photos in folders and files; what is indexed already is not embedded again.

        Interrupted at any moment, the same call goes on where the last commit was made. Unreadable files are listed in
        the report. Raises ImageError if there is no such folder, or no photo in it.
        """
        roots = [paths] if isinstance(paths, str | Path) else list(paths)
        found = [Path(_absolute(path)) for path in find_images(roots)]
        if not found:
            raise ImageError(f"no photos in {', '.join(map(str, roots))}; name a folder that has some")
        model = self.model
        if self._store is None:
            self._store = GalleryStore.create(self.uri, ModelTag(model.name, model.fingerprint, model.dim))
            model = self.model
        return Builder(self._store, model, batch_size, commit_rows, commit_seconds).run(found, progress)

    def search(
        self,
        sketch: ImageInput | Sequence[ImageInput],
        k: int = 10,
        category: str | None = None,
        where: str | None = None,
    ) -> list[Hit]:
        """Find the photos that show what a sketch shows, best first: min(k, number of photos) of them.

        Several sketches are one question: their mean. `category` and `where`, an SQL condition over the columns
        (path, size, width, height, category ..), narrow the choice. Raises ImageError for an unreadable or blank
        sketch and GalleryError for an absent, empty or other model's gallery and an unknown category.
        """
        images = read_sketches(sketch)
        vectors = self.model.embed(images, kind="sketch").numpy()
        return self.find(vectors.mean(axis=0), k, category, where)

    def find(
        self, query: npt.NDArray[np.float32], k: int = 10, category: str | None = None, where: str | None = None
    ) -> list[Hit]:
        """Find photos by the feature (d,) of a sketch that was embedded before; else as `search`."""
        if k < 1:
            raise GalleryError(f"k must be at least 1, not {k}")
        contents = self.contents()
        chosen = self._chosen(contents, category, where)
        query = query[None] / max(float(np.linalg.norm(query)), 1e-12)
        narrowed = contents.vectors if chosen is None else contents.vectors[chosen]
        scores, indices = rank(query, narrowed, k)
        rows = indices[0] if chosen is None else chosen[indices[0]]
        return [
            Hit(str(contents.paths[row]), float(score), place, str(contents.categories[row]))
            for place, (row, score) in enumerate(zip(rows, scores[0], strict=True), start=1)
        ]

    def remove(self, paths: Iterable[str | Path]) -> int:
        """Forget photos by their paths; gives how many there were."""
        return self._found().remove(map(_absolute, paths))

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Small JPEG pictures of photos by path; they outlive the files."""
        return self._found().thumbnails(paths)

    def _found(self) -> GalleryStore:
        self._store = self._store or GalleryStore.find(self.uri)
        if self._store is None:
            raise GalleryError(f"no gallery at {self.uri}; make one: sketchfusion index PHOTOS --gallery {self.uri}")
        return self._store

    def contents(self) -> Contents:
        """Every photo's path, category and feature, in memory; read again after a commit."""
        store = self._found()
        if self._contents is None or self._contents.version != store.version:
            self._contents = store.load()
        if not len(self._contents.paths):
            raise GalleryError(f"gallery {self.uri} is empty; sketchfusion index PHOTOS --gallery {self.uri} fills it")
        return self._contents

    def _chosen(self, contents: Contents, category: str | None, where: str | None) -> npt.NDArray[np.int64] | None:
        """The rows that the filters leave, or None for all."""
        keep = np.ones(len(contents.paths), bool)
        if category is not None:
            keep &= contents.categories == category
            if not keep.any():
                known = sorted(set(contents.categories))
                near = difflib.get_close_matches(category, known, n=3, cutoff=0.5) or known[:8]
                more = ".." if len(known) > len(near) else ""
                raise GalleryError(f"no photo in category {category!r}; there is {', '.join(near)}{more}")
        if where is not None:
            paths = self._found().matching(where)
            keep &= np.fromiter((path in paths for path in contents.paths), bool, len(keep))
        return None if keep.all() else np.flatnonzero(keep)


def _absolute(path: str | Path) -> str:
    """The name that a file has in the store: links are kept, because a link's folder may be its category."""
    return os.path.abspath(path)  # noqa: PTH100
