"""The gallery: photos found by sketch, by text, or by another photo that shows something similar."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import ImageError
from ..extractor import Extractor
from ..featuremap import Floats
from ..io.files import is_gone, survey
from ..io.images import ImageInput, Images
from ..models import load as load_model
from ..tasks.inputs import read_sketches
from . import indexing
from .confidence import Calibration, confidences, store_references
from .embed import Embedder, choose_engine
from .facets import Facets, Places, count_facets, count_places
from .indexing import COMMIT_ROWS, COMMIT_SECONDS, Builder, Plan, Progress, Report, Settings, Watcher
from .maintain import drop_superseded, examine, reindex, repair
from .nearest import ApproximateIndex, ExactIndex, Hit, Hits, is_large
from .query import Filter, Guesser, Query, Scorer, can_guess, embed_text, make_scorer, refine, see, text_weight
from .reorder import CANDIDATES, diffused, fold, fold_copies
from .rows import PhotoInfo, Rows, tag_of
from .storage import GalleryError
from .store import GalleryStore, absolute

Paths = str | Path | Iterable[str | Path]


class Gallery:
    """Photos, kept with their features, that can be searched by sketch."""

    def __init__(self, uri: str, model: Extractor | str | None = None) -> None:
        """Use `Gallery.open`."""
        self.uri = uri
        self._model = model
        self._fingerprint_checked = False
        self._store = GalleryStore.find(uri)
        self._index: ExactIndex | ApproximateIndex | None = None
        self._calibration: Calibration | None = None
        self._guesser: Guesser | None = None
        self._places: tuple[int, Places] | None = None  # and the version that they are of

    @classmethod
    def open(cls, uri: str | Path, model: Extractor | str | None = None) -> Self:
        """Open the gallery in a folder or at a URI such as s3://bucket/name; it is made when photos are first added.

        `model` is an extractor or the name of one; by default the one that made the gallery, or "mini" for a new one.
        """
        return cls(str(uri), model)

    @property
    def model(self) -> Extractor:
        """The model, loaded on first use; GalleryError if it is not the one that made the gallery."""
        model = self._model
        if model is None or isinstance(model, str):
            recorded = "mini" if self._store is None else self._store.made_with.name
            model = self._model = load_model(model or recorded)
        if self._store is not None and not self._fingerprint_checked:  # also where it has no photos yet
            made_with, fingerprint = self._store.made_with, model.fingerprint
            if made_with.fingerprint != fingerprint:
                raise GalleryError(
                    f"gallery {self.uri} was made with {made_with.name} ({made_with.fingerprint[:12]}), not with "
                    f"{model.name} ({fingerprint[:12]}); use that model, or index the photos into a new gallery"
                )
            self._fingerprint_checked = True
        return model

    def search(
        self,
        sketch: Images | None = None,
        k: int = 10,
        category: str | None = None,
        where: str | None = None,
        *,
        text: str | None = None,
        like: ImageInput | None = None,
        min_score: float | None = None,
        group: bool = False,
        diffuse: bool = False,
        guess: bool = True,
    ) -> Hits:
        """Find the photos that show what a sketch shows, best first: min(k, number of photos) of them.

        `text` says in words what they show, and `like` is a photo, of the gallery or any other, to which similar
        ones are wanted (it is left out itself); both with or without a sketch. Several sketches and a photo are
        averaged. `category` and `where`, an SQL condition over the columns (path, size, width, height, category ..),
        narrow the choice. `min_score`, 0 to 1, leaves out photos of less confidence. `group` folds near-duplicates into
        one hit. `diffuse` reorders the best 1000 by the scores of photos similar to each: it finds more, and shows
        bursts and copies together. `guess` looks for what the model takes a lone sketch for, too.

        Raises ImageError for an unreadable or blank picture and GalleryError for an absent, empty or other model's
        gallery, an unknown category, and where nothing is given to look for.
        """
        self._existing_store()
        sketches = [] if sketch is None else read_sketches(sketch)
        also = None if guess else dict[str, float]()
        return self.answer(Query(sketches, text, like, k, category, where, min_score, group, diffuse, also))

    def answer(self, query: Query, vectors: Floats | None = None) -> Hits:
        """Answer a query as `search` does; `vectors` (N, d) are its sketches' embeddings, if they are known already."""
        index = self._newest_index()
        scorer, guesses = self._scorer(query, vectors)
        self._calibration = self._calibration or Calibration(self._existing_store(), self.model)
        unrelated = self._calibration.best_scores(scorer, index)
        scorer = scorer.standardised(index.background)
        background = scorer.scores(index.background.columns)
        excluded = {absolute(path) for path in (query.like, *query.wrong) if isinstance(path, str | Path)}
        count = max(query.k, CANDIDATES) if query.diffuse else query.k
        while True:
            wanted = Filter(query.category, query.where)
            ranked = index.best(scorer, count + len(excluded), wanted).without(excluded)
            if query.diffuse:
                ranked = diffused(ranked, float(background.std()))
            shares = np.array(confidences(unrelated, ranked.scores, background))
            enough = np.flatnonzero(shares >= (query.min_score or 0))
            ranked = ranked.take(enough)
            found = zip(ranked.rows.paths, ranked.scores, ranked.rows.categories, shares[enough], strict=True)
            hits = [
                Hit(str(path), float(score), rank, str(category), float(confidence))
                for rank, (path, score, category, confidence) in enumerate(found, start=1)
            ]
            folding = fold if query.group else None if query.copies else fold_copies
            answer = folding(hits, ranked.rows.columns["vector"], self.thumbnails) if folding else hits
            if len(answer) >= query.k or len(hits) < count:
                return Hits(answer[: query.k], guesses)
            count *= 4

    def _scorer(self, query: Query, vectors: Floats | None) -> tuple[Scorer, dict[str, float]]:
        """Embed what a query shows, and give what its sketches were taken for."""
        guess, names = None, dict[str, float]()
        joint = self._existing_store().made_with.joint_dim
        alone = len(query.sketches) and query.text is None and query.like is None
        if alone and (query.also is None or query.also) and joint and can_guess(self.model):
            self._guesser = guesser = self._guesser or Guesser(self.model)
            also = query.also
            if vectors is None or also is None:
                vectors, guessed = guesser.see(query.sketches)
                also = guessed if also is None else also
            names = {name: share for name, share in also.items() if name not in query.without}
            guess = guesser.vector(names) if names else None
        elif vectors is None and len(query.sketches):
            vectors, _ = see(self.model, None, query.sketches)
        photos = []
        if query.like is not None:
            named = [absolute(query.like)] if isinstance(query.like, str | Path) else []
            stored = self._existing_store().vectors(named)
            photos = [*stored.values()] or [*self.model.embed([query.like], kind="photo").numpy()]
        text = None if query.text is None else embed_text(self.model, query.text)
        if text is not None and not joint:
            raise GalleryError(
                f"gallery {self.uri} was made before words could be looked for; index the photos into a new gallery"
            )
        weight = text_weight(self.model, query.text) if query.text else 0.0
        sketches = [] if vectors is None else [*vectors]
        if query.right:
            moved = refine(sketches + photos, self._stored_vectors(query.right), self._stored_vectors(query.wrong))
            sketches, photos = ([moved], []) if sketches else ([], [moved])
        return make_scorer(sketches, photos, text, weight, guess), names

    def _stored_vectors(self, paths: Sequence[str]) -> list[Floats]:
        found = self._existing_store().vectors(map(absolute, paths))
        for path in paths:
            if absolute(path) not in found:
                raise GalleryError(f"{path} is not in the gallery {self.uri}")
        return [*found.values()]

    def _newest_index(self) -> ExactIndex | ApproximateIndex:
        """Prepare the newest version for searching; it is read again after a commit."""
        store = self._existing_store()
        if self._index is None or self._index.version != store.version:
            if not len(store):
                raise GalleryError(
                    f"gallery {self.uri} is empty; sketchfusion index PHOTOS --gallery {self.uri} fills it"
                )
            self._index = ApproximateIndex(store) if is_large(store) else ExactIndex(store)
        return self._index

    def _existing_store(self) -> GalleryStore:
        self._store = self._store or GalleryStore.find(self.uri)
        if self._store is None:
            raise GalleryError(f"no gallery at {self.uri}; make one: sketchfusion index PHOTOS --gallery {self.uri}")
        return self._store

    def __len__(self) -> int:
        self._store = self._store or GalleryStore.find(self.uri)
        return len(self._store) if self._store else 0

    def __iter__(self) -> Iterator[PhotoInfo]:
        """Describe the photos one after another, ordered by path."""
        if len(self):
            paths = self.paths()
            for start in range(0, len(paths), 500):
                yield from self.infos(paths[start : start + 500]).values()

    def __repr__(self) -> str:
        made_with = f" by {self._store.made_with.name}" if len(self) and self._store else ""
        return f"Gallery({self.uri!r}: {len(self)} photos{made_with})"

    @property
    def version(self) -> int:
        """The number of the newest commit, whoever made it."""
        return self._existing_store().version

    @property
    def categories(self) -> list[str]:
        """The names of the folders that the photos lie in."""
        return self._existing_store().categories()

    def facets(self, folder: str = "", date: str = "") -> Facets:
        """Count the photos of a date (2024 or 2024-05; by default all) by folder, and those in a folder by month."""
        store = self._existing_store()
        if self._places is None or self._places[0] != store.version:
            self._places = store.version, count_places(store.dates())
        return count_facets(self._places[1], folder, date)

    def paths(self, category: str | None = None, where: str | None = None) -> list[str]:
        """List the paths of all photos, or of those in a category or that an SQL condition holds for, in order."""
        store, condition = self._existing_store(), Filter(category, where).condition
        return sorted(store.matching(condition)) if condition else store.paths()

    def infos(self, paths: Paths) -> dict[str, PhotoInfo]:
        """Describe photos by absolute path; those that are not in the gallery are left out."""
        return self._existing_store().infos(map(absolute, _listed(paths)))

    def info(self, path: str | Path) -> PhotoInfo:
        """Describe one photo; GalleryError if it is not in the gallery."""
        if found := self.infos(path):
            return found[absolute(path)]
        raise GalleryError(f"{path} is not in gallery {self.uri}")

    def thumbnails(self, paths: Paths) -> dict[str, bytes]:
        """Give small JPEG pictures of photos by absolute path; they outlive the files."""
        return self._existing_store().thumbnails(map(absolute, _listed(paths)))

    def contents(self) -> Rows:
        """Give every photo's path, category and vectors, ordered by path, in memory."""
        index = self._newest_index()
        return index.rows if isinstance(index, ExactIndex) else self._existing_store().load()[1]

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
        exclude: Sequence[str] = (),
    ) -> Report:
        """Index the photos in folders and files; what is indexed already is not embedded again.

        Interrupted at any moment, the same call goes on where the last commit was made. Unreadable files, and what is
        left out, are listed in the report. `location=False` leaves out where photos were taken, `exclude` the files and
        folders that match a glob. Several `workers` are processes, each with a model of its own, which `load` gives
        them if the model's name does not; with `engine="ray"` they are Ray's.
        Raises ImageError if there is no such folder, or no photo in it.
        """
        roots = _listed(paths)
        found = survey(roots, exclude)
        pictures = [Path(absolute(path)) for path in found.pictures]
        if not pictures:
            why = "".join(f"; {line}" for line in found.advice())
            raise ImageError(f"no photos in {', '.join(map(str, roots))}; name a folder that has some{why}")
        if self._store is None:
            self._store = GalleryStore.find(self.uri)  # which another process may have made meanwhile
        model = self.model
        if self._store is None:
            self._store = GalleryStore.create(self.uri, tag_of(model))
        drop_superseded(self._store)
        settings = Settings(batch_size, commit_rows, commit_seconds, location)
        chosen = choose_engine(model, location, engine, workers, load)
        report = Builder(self._store, model, settings, chosen).run(pictures, progress)
        report.left_out = found.advice()
        indexing.note_mounts(self._store, pictures)
        if len(self._store):
            self._prepare_searches(model)
        return report

    def plan(self, paths: Paths, prune: bool = False, batch_size: int = 16, *, exclude: Sequence[str] = ()) -> Plan:
        """Say what `add` would do, and `prune` after it, and about how long it would take; nothing is written."""
        roots = _listed(paths)
        found = survey(roots, exclude)
        pictures = [Path(absolute(path)) for path in found.pictures]
        plan = indexing.compare(self._store, pictures, [absolute(root) for root in roots], prune)
        plan.ignored, plan.left_out = dict(sorted(found.ignored.items())), found.advice()
        if plan.to_embed:
            plan.seconds = indexing.estimate_seconds(Embedder(self.model), plan.to_embed, batch_size)
        return plan

    def prune(self, roots: Paths) -> int:
        """Forget photos under folders whose file is gone; GalleryError if a folder is missing or none of it is left."""
        store = self._existing_store()
        return indexing.remove(store, indexing.missing(store, [absolute(root) for root in _listed(roots)]))

    def remove(self, paths: Paths) -> int:
        """Forget photos by their paths and wipe them from the store's files; give how many there were."""
        return indexing.remove(self._existing_store(), map(absolute, _listed(paths)))

    def watch(
        self,
        roots: Paths,
        interval: float = 2.0,
        *,
        batch_size: int = 16,
        location: bool = True,
        exclude: Sequence[str] = (),
        stop: threading.Event | None = None,
        progress: Progress | None = None,
        commit_seconds: float = COMMIT_SECONDS,
        at_once: bool = False,
    ) -> Watcher:
        """Follow folders until `stop` is set: add and forget photos as files appear, change and go.

        Gives a report for each batch; what fails is said once. A file is indexed when two scans, `interval` seconds
        apart or more where scanning takes long, find it unchanged; with `at_once` the first scan will do. After an
        error the same iterator goes on.
        """
        folders = _listed(roots)
        if absent := [str(root) for root in folders if is_gone(root)]:
            raise ImageError(f"{absent[0]}: no such file or folder; check the path")
        return Watcher(
            [absolute(root) for root in folders],
            lambda: {} if self._store is None else self._store.files(),
            partial(
                self.add, progress=progress, batch_size=batch_size, commit_seconds=commit_seconds, location=location
            ),
            self.remove,
            interval,
            exclude,
            stop or threading.Event(),
            at_once,
            lambda photos: set() if self._store is None else indexing.note_mounts(self._store, photos),
        )

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
            model = load_model(model)
        settings = Settings(batch_size, commit_rows, commit_seconds)
        self._store, report = reindex(self._existing_store(), model, settings, progress)
        self._model, self._fingerprint_checked = model, False
        self._index = self._calibration = self._guesser = None
        self._prepare_searches(model)
        return report

    def _prepare_searches(self, model: Extractor) -> None:
        """Store what searches would otherwise compute, and index a gallery that is too large for exact search."""
        store = self._existing_store()
        store_references(store, model)
        if is_large(store):
            store.index()

    def verify(self) -> list[str]:
        """Read everything once and say what is damaged, a line each."""
        return examine(self._existing_store()).lines()

    def repair(self, batch_size: int = 16) -> Report:
        """Embed the damaged photos again; those whose file is gone are dropped and listed as failed."""
        store = self._existing_store()
        damage = examine(store)
        if not damage.lines():
            return Report()
        return repair(store, damage, Builder(store, self.model, Settings(batch_size)))


def _listed(paths: Paths) -> list[str | Path]:
    return [paths] if isinstance(paths, str | Path) else list(paths)
