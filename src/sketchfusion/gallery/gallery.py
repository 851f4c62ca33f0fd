"""The gallery: photos found by sketch, by words, or by what another photo shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from ..errors import ImageError
from ..io.files import find_images, other_files
from ..tasks.inputs import read_sketches
from .confidence import Calibration
from .embed import Embedder
from .errors import GalleryError
from .indexing import (
    COMMIT_ROWS,
    COMMIT_SECONDS,
    Builder,
    Engine,
    Plan,
    Progress,
    Report,
    Settings,
    Watcher,
    compare,
    missing,
    remove,
    seconds_for,
)
from .maintain import drop_superseded, examine, reindex, repair
from .nearest import Filter, Held, Hit, Nearest, index_if_large, prepare, to_hits
from .query import Query, look_for, read_words
from .reorder import CANDIDATES, diffused, fold
from .rows import PhotoInfo, tag_of
from .store import Contents, GalleryStore, absolute, parts, quoted
from .workers import Duty, LocalWorkers, RayWorkers

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..io.images import ImageInput


# The side of a gallery that keeps photos: adding, following folders, forgetting, moving to other weights, checking.


Paths = str | Path | Iterable[str | Path]


class Indexing(ABC):
    """What a gallery does besides being searched."""

    uri: str
    _asked: Extractor | str | None
    _checked: bool
    _store: GalleryStore | None
    _prepared: Nearest | None
    _unrelated: Calibration | None

    @property
    @abstractmethod
    def model(self) -> Extractor:
        """The model, loaded on first use; GalleryError if it is not the one that made the gallery."""

    @abstractmethod
    def _found(self) -> GalleryStore:
        """The store; GalleryError if there is none yet."""

    def add(
        self,
        paths: Paths,
        progress: Progress | None = None,
        batch_size: int = 16,
        commit_rows: int = COMMIT_ROWS,
        commit_seconds: float = COMMIT_SECONDS,
        *,
        location: bool = True,
        workers: int = 1,
        engine: str = "local",
        load: Callable[[], Extractor] | None = None,
    ) -> Report:
        """Index the photos in folders and files; what is indexed already is not embedded again.

        Interrupted at any moment, the same call goes on where the last commit was made. Unreadable files are listed in
        the report. `location=False` leaves out where photos were taken. Several `workers` are processes, each with a
        model of its own, which `load` gives them if the model's name does not; with `engine="ray"` they are Ray's.
        Raises ImageError if there is no such folder, or no photo in it.
        """
        roots = _listed(paths)
        found = _pictures(roots)
        if not found:
            raise ImageError(f"no photos in {', '.join(map(str, roots))}; name a folder that has some")
        model = self.model
        if self._store is None:
            self._store = GalleryStore.create(self.uri, tag_of(model))
            model = self.model
        drop_superseded(self._store)
        settings = Settings(batch_size, commit_rows, commit_seconds, location)
        chosen = self._engine(model, settings, engine, workers, load)
        report = Builder(self._store, model, settings, chosen).run(found, progress)
        index_if_large(self._store)
        return report

    def plan(self, paths: Paths, prune: bool = False, batch_size: int = 16) -> Plan:
        """Say what `add` would do, and `prune` after it, and about how long it would take; nothing is written."""
        roots = _listed(paths)
        plan = compare(self._store, _pictures(roots), [absolute(root) for root in roots], prune)
        plan.ignored = dict(sorted(other_files(roots).items()))
        if plan.to_embed:
            plan.seconds = seconds_for(Embedder(self.model), plan.to_embed, batch_size)
        return plan

    def prune(self, roots: Paths) -> int:
        """Forget the photos under some folders whose file is gone; gives how many.

        GalleryError, and nothing is forgotten, if a folder is missing or holds no photo any more: its disk may be away.
        """
        store = self._found()
        return remove(store, missing(store, [absolute(root) for root in _listed(roots)]))

    def remove(self, paths: Iterable[str | Path]) -> int:
        """Forget photos by their paths and wipe them from the store's files; gives how many there were."""
        return remove(self._found(), map(absolute, paths))

    def watch(
        self, roots: Paths, interval: float = 2.0, *, batch_size: int = 16, location: bool = True
    ) -> Iterator[Report]:
        """Follow folders for ever: what appears, changes or goes there does so here, with a report for each batch.

        A file is taken up when two looks, `interval` seconds apart, find it the same.
        """
        folders = _listed(roots)
        if absent := [str(root) for root in folders if not Path(root).exists()]:
            raise ImageError(f"{absent[0]}: no such file or folder; check the path")
        add = partial(self.add, batch_size=batch_size, location=location)
        watcher = Watcher(
            [absolute(root) for root in folders],
            lambda: self._store.files() if self._store else {},
            add,
            lambda gone: remove(self._found(), gone),
            interval,
        )
        return watcher.changes()

    def reindex(
        self,
        model: Extractor | str,
        progress: Progress | None = None,
        batch_size: int = 16,
        commit_rows: int = COMMIT_ROWS,
        commit_seconds: float = COMMIT_SECONDS,
    ) -> Report:
        """Move the gallery to another model; until the last commit the old one answers.

        Interrupted at any moment, the same call goes on. Photos whose file is gone are embedded from their thumbnails.
        """
        if isinstance(model, str):
            from ..models import load

            model = load(model)
        settings = Settings(batch_size, commit_rows, commit_seconds)
        self._store, report = reindex(self._found(), model, settings, progress)
        index_if_large(self._store)
        self._asked, self._checked, self._prepared, self._unrelated = model, False, None, None
        return report

    def verify(self) -> list[str]:
        """Read everything once and say what is damaged, a line each."""
        return examine(self._found()).lines()

    def repair(self, batch_size: int = 16) -> Report:
        """Embed the damaged photos again; those whose file is gone are dropped and listed as failed."""
        store = self._found()
        damage = examine(store)
        if not damage.lines():
            return Report()
        return repair(store, damage, Builder(store, self.model, Settings(batch_size)))

    def _engine(
        self,
        model: Extractor,
        settings: Settings,
        engine: str,
        workers: int,
        load: Callable[[], Extractor] | None,
    ) -> Engine | None:
        if workers < 1:
            raise GalleryError(f"workers must be at least 1, not {workers}")
        if engine not in ("local", "ray"):
            raise GalleryError(f"no engine is called {engine!r}; choose local or ray")
        if engine == "local" and workers == 1:
            return None
        if load is None:
            from ..models import load as load_by_name

            load = partial(load_by_name, model.name)
        duty = Duty(load, model.fingerprint, settings.location)
        return RayWorkers(duty, workers) if engine == "ray" else LocalWorkers(duty, workers)


def _listed(paths: Paths) -> list[str | Path]:
    return [paths] if isinstance(paths, str | Path) else list(paths)


def _pictures(roots: Sequence[str | Path]) -> list[Path]:
    return [Path(absolute(path)) for path in find_images(roots)]


# What a gallery knows of its photos, for those who show them.


class Catalogue(ABC):
    """The part of a gallery that lists and describes."""

    uri: str

    @abstractmethod
    def _found(self) -> GalleryStore:
        """The store; GalleryError if there is none yet."""

    @property
    def version(self) -> int:
        """The number of the newest commit, whoever made it."""
        return self._found().version

    @property
    def categories(self) -> list[str]:
        """The names of the folders that the photos lie in."""
        return self._found().categories()

    def paths(self, category: str | None = None) -> list[str]:
        """The paths of all photos, or of those in a category, in order."""
        return self._found().paths(category)

    def photos(self, offset: int = 0, limit: int = 100, category: str | None = None) -> list[PhotoInfo]:
        """What is known of photos, ordered by path, a page at a time."""
        return list(self.infos(self.paths(category)[offset : offset + limit]).values())

    def infos(self, paths: Iterable[str]) -> dict[str, PhotoInfo]:
        """What is known of photos, by path; those that are not in the gallery are left out."""
        store = self._found()
        return {info.path: info for part in parts(list(paths)) for info in store.infos(f"path IN ({quoted(part)})")}

    def info(self, path: str | Path) -> PhotoInfo:
        """What is known of one photo; GalleryError if it is not in the gallery."""
        found = self.infos([absolute(path)])
        if not found:
            raise GalleryError(f"{path} is not in gallery {self.uri}")
        return found[absolute(path)]

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Small JPEG pictures of photos by path; they outlive the files."""
        return self._found().thumbnails(paths)


DEFAULT_MODEL = "mini"


class Gallery(Catalogue, Indexing):
    """Photos, kept with their features, that can be searched by sketch."""

    def __init__(self, uri: str, model: Extractor | str | None = None) -> None:
        """Use `Gallery.open`."""
        self.uri = uri
        self._asked = model
        self._checked = False
        self._store = GalleryStore.find(uri)
        self._prepared: Nearest | None = None
        self._unrelated: Calibration | None = None

    @classmethod
    def open(cls, uri: str | Path, model: Extractor | str | None = None) -> Self:
        """Open the gallery in a folder or at a URI such as s3://bucket/name; it is made when photos are first added.

        `model` is an extractor or the name of one; by default the one that made the gallery, or "mini" for a new one.
        """
        return cls(str(uri), model)

    def __len__(self) -> int:
        """Number of photos."""
        self._store = self._store or GalleryStore.find(self.uri)
        return len(self._store) if self._store else 0

    @property
    def model(self) -> Extractor:
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

    def _question(self, sketches: npt.NDArray[np.float32] | None, text: str | None, like: str | Path | None) -> Query:
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
    def _reference(self) -> Calibration:
        if self._unrelated is None:
            self._unrelated = Calibration(self._found(), self.model)
        return self._unrelated
