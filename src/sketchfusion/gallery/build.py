"""Indexing: one run that brings the rows of files up to date, incremental and resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .embed import Embedder, Failure, Item, Known
from .rows import FileState, Photo
from .store import GalleryStore

if TYPE_CHECKING:
    from ..extractor import BatchExtractor


Progress = Callable[[int, int], None]  # photos done, photos in all

COMMIT_ROWS = 1000
COMMIT_SECONDS = 30.0


@dataclass
class Report:
    """What one run of indexing did."""

    embedded: int = 0
    reused: int = 0  # content that was known already: moved, copied or only touched files
    unchanged: int = 0
    moved: int = 0  # entries dropped because their file is gone and its content lives on elsewhere
    removed: int = 0  # entries dropped because their file is gone
    from_thumbnail: int = 0  # entries whose file is gone, embedded from the thumbnail that was kept
    failed: list[Failure] = field(default_factory=list)


class Engine(Protocol):
    """Who embeds: this process, or several."""

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files; in any order, each file once."""


@dataclass(frozen=True)
class Settings:
    """How a run reads and writes."""

    batch_size: int = 16
    commit_rows: int = COMMIT_ROWS
    commit_seconds: float = COMMIT_SECONDS
    location: bool = True


class Builder:
    """One run of indexing into a store."""

    def __init__(
        self, store: GalleryStore, model: BatchExtractor, settings: Settings, engine: Engine | None = None
    ) -> None:
        """Embed in this process unless an `engine` does it elsewhere; only this process writes rows."""
        self._store, self._settings = store, settings
        self._embedder = Embedder(model, settings.location)
        self._engine = engine or self._embedder
        self._report = Report()
        self._rows: list[Photo] = []  # for the next commit
        self._known: list[FileState] = []  # for the next commit, rows to be copied from others of the same content
        self._committed = time.monotonic()

    def run(self, paths: Sequence[Path], progress: Progress | None = None) -> Report:
        """Bring the rows of `paths` up to date; unreadable files are listed in the report, the rest goes on.

        What was committed before an interruption stays and is not done again.
        """
        files = self._store.files()
        known = {file.digest for file in files.values() if file.mtime_ns}
        todo = [path for path in paths if not _done(path, files.get(str(path)), known)]
        self._report.unchanged = len(paths) - len(todo)
        if progress:
            progress(0, len(todo))
        try:
            for done, item in enumerate(self._engine.stream(todo, known, self._settings.batch_size), start=1):
                self._take(item)
                if progress:
                    progress(done, len(todo))
            self._commit()
        except KeyboardInterrupt:
            self._commit()
            raise
        self._settle_moves()
        if todo or self._report.moved:
            self._store.compact()
        return self._report

    def _take(self, item: Item) -> None:
        if isinstance(item, Failure):
            self._report.failed.append(item)
        elif isinstance(item, Known):
            self._known.append(item.file)
        else:
            self._rows.append(item)
            self._report.embedded += 1
        due = time.monotonic() - self._committed > self._settings.commit_seconds
        if due or len(self._rows) + len(self._known) >= self._settings.commit_rows:
            self._commit()

    def _commit(self) -> None:
        copies = self._copies()
        self._store.put([*self._rows, *copies])
        self._rows, self._known = [], []
        self._committed = time.monotonic()

    def _copies(self) -> list[Photo]:
        """Rows for the files whose content is known, from the rows of this commit or from the store."""
        sources = {row.file.digest: row for row in self._rows}
        sources |= self._store.with_digests({file.digest for file in self._known} - sources.keys())
        copies, lost = [], []
        for file in self._known:
            if source := sources.get(file.digest):
                copy = replace(source, file=file, category=Path(file.path).parent.name)
                copies.append(copy if self._settings.location else replace(copy, latitude=None, longitude=None))
                self._report.reused += 1
            else:  # the row that held it was replaced meanwhile, as when files swap names
                lost.append(Path(file.path))
        for item in self._embedder.embed([self._embedder.read(path, set()) for path in lost]):
            if isinstance(item, Failure):
                self._report.failed.append(item)
            elif isinstance(item, Photo):
                self._rows.append(item)
                self._report.embedded += 1
        return copies

    def _settle_moves(self) -> None:
        """Drop rows whose file is gone while the same content has a row whose file is there."""
        by_digest: dict[str, list[str]] = {}
        for file in self._store.files().values():
            by_digest.setdefault(file.digest, []).append(file.path)
        gone = []
        for paths in by_digest.values():
            if len(paths) > 1:
                there = [path for path in paths if Path(path).exists()]
                gone += [path for path in paths if path not in there] if there else []
        self._report.moved = self._store.forget(gone) if gone else 0


def unchanged(path: Path, file: FileState | None) -> bool:
    """Whether a file is as it was when it was indexed, by its size and time."""
    if file is None:
        return False
    try:
        state = path.stat()
    except OSError:
        return False
    return (state.st_size, state.st_mtime_ns) == (file.size, file.mtime_ns)


def _done(path: Path, file: FileState | None, known: set[str]) -> bool:
    return file is not None and file.digest in known and unchanged(path, file)
