"""The side of a gallery that keeps photos: adding, following folders, forgetting, moving to other weights, checking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ImageError
from ..io.files import find_images, other_files
from .build import COMMIT_ROWS, COMMIT_SECONDS, Builder, Engine, Progress, Report, Settings
from .checks import examine, repair
from .cluster import RayWorkers
from .embed import Embedder
from .faults import GalleryError
from .nearest import Nearest, index_if_large
from .plan import Plan, compare, seconds_for
from .reference import Reference
from .reindex import drop_superseded, reindex
from .removal import missing, remove
from .rows import tag_of
from .store import GalleryStore
from .table import absolute
from .watch import Watcher
from .workers import Duty, LocalWorkers

if TYPE_CHECKING:
    from ..extractor import BatchExtractor


Paths = str | Path | Iterable[str | Path]


class Indexing(ABC):
    """What a gallery does besides being searched."""

    uri: str
    _asked: BatchExtractor | str | None
    _checked: bool
    _store: GalleryStore | None
    _prepared: Nearest | None
    _unrelated: Reference | None

    @property
    @abstractmethod
    def model(self) -> BatchExtractor:
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
        load: Callable[[], BatchExtractor] | None = None,
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
        model: BatchExtractor | str,
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
        model: BatchExtractor,
        settings: Settings,
        engine: str,
        workers: int,
        load: Callable[[], BatchExtractor] | None,
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
