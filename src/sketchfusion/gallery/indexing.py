"""Indexing: photos are added, found missing, planned and watched; every run is incremental and resumable."""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from ..errors import ImageError, escaped
from ..extractor import Extractor
from ..io.files import file_digest, holds_images, is_gone, survey
from .embed import Embedder, Failure, Item, Unread, Workers
from .rows import FileState, Photo, changed_ns
from .storage import GalleryError, read_mounts, write_mounts
from .store import GalleryStore

Progress = Callable[[int, int], None]  # photos done, photos in all

COMMIT_ROWS = 1000
COMMIT_SECONDS = 30.0
SAMPLE = 16  # photos that the model is timed on
RETRY_SECONDS = 600.0  # after which a file is tried again that the system would not read
IDLE = 20.0  # pauses between scans are so many times as long as one takes, up to the longest
LONGEST_PAUSE = 300.0  # seconds


@dataclass
class Report:
    """How many photos one run of indexing did what with."""

    embedded: int = 0
    reused: int = 0  # content that had been embedded before: moved, copied or only touched files
    unchanged: int = 0
    moved: int = 0  # rows dropped because a file of the same content is there, and theirs is gone or is that file
    removed: int = 0  # rows dropped because their file is gone
    from_thumbnail: int = 0  # rows whose file is gone, embedded from the stored thumbnail
    failed: list[Failure] = field(default_factory=list)
    damaged: list[Failure] = field(default_factory=list)  # indexed all the same
    left_out: list[str] = field(default_factory=list)  # files and folders that are not read, a line for each kind

    def __repr__(self) -> str:
        counts = {name: value if isinstance(value, int) else len(value) for name, value in vars(self).items()}
        return f"Report({', '.join(f'{name}={count}' for name, count in counts.items() if count)})"


@dataclass(frozen=True)
class Settings:
    batch_size: int = 16
    commit_rows: int = COMMIT_ROWS
    commit_seconds: float = COMMIT_SECONDS
    location: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise GalleryError(f"batch_size must be at least 1, not {self.batch_size}")


class Builder:
    """One run of indexing into a store."""

    def __init__(
        self, store: GalleryStore, model: Extractor, settings: Settings, engine: Embedder | Workers | None = None
    ) -> None:
        """Embed in this process unless an `engine` does it elsewhere; only this process writes rows."""
        self._store, self._settings = store, settings
        self._embedder = Embedder(model, settings.location)
        self._engine = engine or self._embedder
        self._report = Report()
        self._rows: list[Photo] = []  # for the next commit
        self._copied: list[FileState] = []  # for the next commit, rows to be copied from others of the same content
        self._committed = time.monotonic()
        self._asked = set[str]()  # the paths of this run

    def run(self, paths: Sequence[Path], progress: Progress | None = None) -> Report:
        """Update the rows of `paths`, except those committed before; unreadable files go into the report."""
        files, self._asked = self._store.files(), set(map(str, paths))
        known = {file.digest for file in files.values() if file.mtime_ns}
        todo = [path for path in paths if not unchanged(path, files.get(str(path)))]
        self._report.unchanged = len(paths) - len(todo)
        if progress:
            progress(0, len(todo))
        try:
            for done, item in enumerate(self._engine.stream(todo, known, self._settings.batch_size), start=1):
                self._note(item)
                due = time.monotonic() - self._committed > self._settings.commit_seconds
                if due or len(self._rows) + len(self._copied) >= self._settings.commit_rows:
                    self._commit()
                if progress:
                    progress(done, len(todo))
        finally:  # whatever ends it: what was finished is kept
            self._commit()
        self._store.drop_doubles()
        self._drop_moved()
        if todo or self._report.moved:
            self._store.compact()
        return self._report

    def _note(self, item: Item) -> None:
        if isinstance(item, Failure):
            self._report.failed.append(item)
        elif isinstance(item, FileState):
            self._copied.append(item)
        else:
            self._rows.append(item)
            self._report.embedded += 1
            if item.damage:
                self._report.damaged.append(Failure(item.file.path, item.damage))

    def _commit(self) -> None:
        while self._rows or self._copied:
            copies, lost = self._copies()
            self._store.put([*self._rows, *copies])
            self._rows, self._copied = [], []
            for item in self._embedder.embed([self._embedder.read(path, set()) for path in lost]):
                self._note(item)
        self._committed = time.monotonic()

    def _copies(self) -> tuple[list[Photo], list[Path]]:
        """Copy rows of the same content, from this commit or the store; list the files whose content no row has now."""
        sources = {row.file.digest: row for row in self._rows}
        sources |= self._store.photos_with_digests({file.digest for file in self._copied} - sources.keys())
        copies, lost = [], []
        for file in self._copied:
            if source := sources.get(file.digest):
                copy = replace(source, file=file, category=Path(file.path).parent.name)
                copies.append(copy if self._settings.location else replace(copy, latitude=None, longitude=None))
                self._report.reused += 1
            else:  # the row that held it was replaced meanwhile, as when files swap names
                lost.append(Path(file.path))
        return copies, lost

    def _drop_moved(self) -> None:
        """Drop rows whose file is gone, or is another row's by another path, if a row of their content has its file."""
        by_digest: dict[str, list[str]] = {}
        for file in self._store.files().values():
            by_digest.setdefault(file.digest, []).append(file.path)
        gone = []
        for paths in by_digest.values():
            if len(paths) > 1:
                there = sorted((path for path in paths if not is_gone(path)), key=self._asked.__contains__)
                kept = {os.path.realpath(path): path for path in there}  # of several paths to a file, one of this run
                gone += [path for path in paths if path not in kept.values()] if there else []
        self._report.moved = self._store.forget(gone) if gone else 0


State = tuple[int, int]  # bytes, time of the last change in ns


def unchanged(path: Path, file: FileState | None) -> bool:
    """Tell whether a file is as it was when it was indexed, by its size and time."""
    return file is not None and _state(path) == (file.size, file.mtime_ns)


def _state(path: Path) -> State | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, changed_ns(state)


def remove(store: GalleryStore, paths: Iterable[str]) -> int:
    """Forget photos and wipe them from all versions of the store; give how many there were."""
    removed = store.forget(paths)
    if removed:
        store.clean()
    return removed


def missing(store: GalleryStore, roots: Sequence[str]) -> list[str]:
    """List the photos under folders whose file is gone; GalleryError if a folder is missing, or empty (disk away)."""
    paths = sorted(store.files())
    for root in roots:
        here = [path for path in paths if under(path, [root])]
        if is_gone(root):
            raise GalleryError(f"{root} is missing; is its disk plugged in? nothing was removed")
        if here and not holds_images(root):
            raise GalleryError(
                f"{root} holds no photos, but the gallery has {len(here)} from it; is its disk plugged in? "
                "nothing was removed"
            )
    mounts = read_mounts(store.uri)
    return [path for path in paths if under(path, roots) and _is_deleted(path, mounts)]


def note_mounts(store: GalleryStore, photos: Iterable[Path]) -> set[str]:
    """Record where disks with some of these photos are mounted; give all such places, also of disks that are away."""
    folders = {os.path.realpath(folder) for folder in {photo.parent for photo in photos}}
    folders |= {str(above) for folder in folders for above in Path(folder).parents}
    known = read_mounts(store.uri)
    mounts = known - folders | {folder for folder in folders if os.path.ismount(folder)}
    if mounts != known:
        write_mounts(store.uri, mounts)
    return mounts


def _is_deleted(path: str, mounts: Collection[str]) -> bool:
    """Tell whether a file is surely deleted.

    The disk may be unplugged behind a link to a folder that is gone, or where one was mounted and now there is none.
    """
    if not is_gone(path) or any(os.path.islink(each) and is_gone(each) for each in Path(path).parents):  # noqa: PTH114
        return False
    return all(map(os.path.ismount, {*map(str, Path(os.path.realpath(path)).parents)}.intersection(mounts)))


def under(path: str, roots: Iterable[str]) -> bool:
    """Tell whether a file is one of `roots`, or lies in one of them; all paths are absolute."""
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


@dataclass
class Plan:
    to_add: list[str] = field(default_factory=list)  # new
    changed: list[str] = field(default_factory=list)  # the file has other bytes now
    moved: list[str] = field(default_factory=list)  # embedded before, from a file that is gone
    copied: list[str] = field(default_factory=list)  # embedded before: a copy, or only touched
    unchanged: int = 0
    to_remove: list[str] = field(default_factory=list)  # only with prune
    unreadable: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)  # files that are no pictures, by suffix
    left_out: list[str] = field(default_factory=list)  # as in a report
    seconds: float = 0.0  # an estimate, from a small sample

    @property
    def to_embed(self) -> list[str]:
        return [*self.to_add, *self.changed]


def compare(store: GalleryStore | None, found: Sequence[Path], roots: Sequence[str], prune: bool) -> Plan:
    """Compare files with a gallery's rows; the estimate of the time is left at zero."""
    files = store.files() if store else {}
    by_digest = {file.digest: path for path, file in files.items() if file.mtime_ns}
    plan, here = Plan(), set[str]()  # contents of the files that are there
    for path in found:
        known = files.get(str(path))
        if known and unchanged(path, known):
            plan.unchanged += 1
            here.add(known.digest)
            continue
        try:
            digest = file_digest(path)
        except OSError:
            plan.unreadable.append(str(path))
            continue
        here.add(digest)
        source = by_digest.get(digest)
        if source is None:
            (plan.to_add if known is None else plan.changed).append(str(path))
            by_digest[digest] = str(path)
        else:
            (plan.moved if is_gone(source) else plan.copied).append(str(path))
    if prune and store:
        plan.to_remove = [path for path in missing(store, roots) if files[path].digest not in here]
    return plan


def estimate_seconds(embedder: Embedder, paths: Sequence[str], batch_size: int) -> float:
    """Estimate how long the model takes for files, from a few of them spread over all."""
    step = max(1, len(paths) // SAMPLE)
    sample = [Path(path) for path in paths[::step][:SAMPLE]]
    list(embedder.stream(sample[:1], set(), batch_size))  # the first batch takes longer
    started = time.perf_counter()
    list(embedder.stream(sample, set(), batch_size))
    return (time.perf_counter() - started) / max(len(sample), 1) * len(paths)


@dataclass
class Watcher:
    """Compares folders with a gallery again and again, by polling, so that it works on any file system.

    A file is added, or forgotten, when two scans in a row find it in the same state: one that is still being written
    waits. A photo that was removed from the gallery meanwhile stays away until its file changes, also under another
    name. Of a folder that is missing or empty, as its disk may be unplugged, only photos are forgotten that were added
    elsewhere: they moved.
    """

    roots: Sequence[str]  # absolute
    files: Callable[[], dict[str, FileState]]  # these three are the gallery's
    add: Callable[[Sequence[Path]], Report]
    remove: Callable[[Sequence[str]], int]
    interval: float  # seconds between scans, at least
    exclude: Sequence[str] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    at_once: bool = False  # whether the first scan adds what it finds
    mounts: Callable[[Sequence[Path]], Collection[str]] = lambda _: ()  # as `note_mounts`
    _pause: float = field(default=0.0, init=False)
    _before: dict[str, State] | None = field(default=None, init=False)  # what the last scan found
    _stored: dict[str, State] = field(default_factory=dict, init=False)  # photos then, whose files are as indexed
    _removed: dict[str, State] = field(default_factory=dict, init=False)  # until they change
    _failed: dict[str, State] = field(default_factory=dict, init=False)  # cannot be read, until they change
    _unread: dict[str, float] = field(default_factory=dict, init=False)  # those of them to be tried again, and when
    _told: set[Failure | str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self._stored = self._states()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Report:
        """Give the report of the next batch of changes; it ends when `stop` is set, and goes on after an error."""
        while not self.stop.wait(self._pause):
            started, self._pause = time.monotonic(), self.interval
            with suppress(ImageError, OSError):  # something went away since it was found; the next scan sees it
                if report := self.scan():
                    return report
                # nothing is done most of the time, and on a laptop that must cost next to nothing
                self._pause = max(self.interval, min(LONGEST_PAUSE, IDLE * (time.monotonic() - started)))
        raise StopIteration

    def try_again(self) -> None:
        """Let the next scan start at once, and try what could not be read; what was removed still stays away."""
        self._pause = 0.0
        for told in (self._failed, self._unread, self._told):
            told.clear()

    def scan(self) -> Report | None:
        """Scan once; add and forget what has not changed since the last scan."""
        found = survey([root for root in self.roots if not is_gone(root)], self.exclude)
        now = {str(path): state for path in found.pictures if (state := _state(path))}  # without one it is gone by now
        stored, first = self._states(), self._before is None
        removed = self._stored.items() - stored.items()
        self._removed |= {path: state for path, state in removed if path not in stored and now.get(path) == state}
        settled = now.items() if first and self.at_once else now.items() & (self._before or {}).items()
        new = self._new(settled, stored, now)
        mounts = self.mounts(found.pictures)
        gone = [] if first else sorted(self._gone(stored, {*now, *(self._before or {})}, mounts))
        self._before, self._stored = now, dict(now.items() & stored.items())
        report = self.add([Path(path) for path in new]) if new else Report()
        self._learn(report, {path: now[path] for path in new})
        report.removed = self.remove(gone) if gone else 0
        self._stored |= now.items() & self._states().items()
        empty = first and not found.pictures
        report.left_out = [f"no photos in {', '.join(self.roots)} yet"] if empty else found.advice()
        self._tell_once(report)
        return report if report != Report() else None

    def _new(self, settled: Iterable[tuple[str, State]], stored: dict[str, State], now: dict[str, State]) -> list[str]:
        """List the files to add: neither as they are stored, nor left out."""
        renamed = {state for path, state in self._removed.items() if path not in now} - {*stored.values()}
        for path in [path for path, due in self._unread.items() if due < time.monotonic()]:
            del self._unread[path]
            self._failed.pop(path, None)
        new = []
        for path, state in settled:
            if state in renamed and path not in stored:
                self._removed[path] = state
            if state not in (stored.get(path), self._removed.get(path), self._failed.get(path)):
                new.append(path)
        return sorted(new)

    def _learn(self, report: Report, asked: dict[str, State]) -> None:
        """Remember which files that were to be added cannot be read, and which were removed while others were added."""
        there, failures = self._states() if asked else {}, {one.path: one for one in report.failed}
        failed = {path: one for path in asked if (one := failures.get(path) or failures.get(escaped(path)))}
        self._failed |= {path: asked[path] for path in failed}
        absent = [(path, state) for path, state in asked.items() if path not in there and path not in failed]
        self._removed |= {path: state for path, state in absent if _state(Path(path)) == state}
        later = time.monotonic() + RETRY_SECONDS
        self._unread |= {path: later for path, one in failed.items() if isinstance(one, Unread)}

    def _tell_once(self, report: Report) -> None:
        """Take out of a report what was said before of the same files."""
        again = {one for one in report.failed if isinstance(one, Unread) and one in self._told}
        report.failed = [one for one in report.failed if one not in again]
        report.left_out = [one for one in report.left_out if one not in self._told]
        self._told.update(report.failed, report.left_out)

    def _states(self) -> dict[str, State]:
        return {path: (file.size, file.mtime_ns) for path, file in self.files().items()}

    def _gone(self, files: Iterable[str], found: set[str], mounts: Collection[str]) -> list[str]:
        """List the photos whose files neither this scan nor the last one found, in folders that are there."""
        absent = [path for path in files if path not in found and under(path, self.roots)]
        if not absent:
            return []
        there = [root for root in self.roots if os.path.isdir(root) and holds_images(root)]  # noqa: PTH112
        return [path for path in absent if under(path, there) and _is_deleted(path, mounts)]
