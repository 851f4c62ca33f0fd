"""Indexing: files to rows, incremental and resumable, decoding overlapped with the model."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..io.files import file_digest
from ..io.images import ImageError, read_image, thumbnail
from .store import FileState, GalleryStore, Photo

if TYPE_CHECKING:
    from torch import Tensor

    from ..extractor import BatchExtractor
    from ..squares import View

Progress = Callable[[int, int], None]  # photos done, photos in all

COMMIT_ROWS = 1000
COMMIT_SECONDS = 30.0
DECODERS = 2
AHEAD = 48  # files read before their turn


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass
class Report:
    """What one run of indexing did."""

    embedded: int = 0
    reused: int = 0  # content that was known already: moved, copied or only touched files
    unchanged: int = 0
    moved: int = 0  # entries dropped because their file is gone and its content lives on elsewhere
    failed: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """A file whose content has a row already."""

    file: FileState


@dataclass(frozen=True)
class Prepared:
    """A file that was read: all of its row but the feature."""

    photo: Photo
    view: View


class Builder:
    """One run of indexing into a store."""

    def __init__(
        self,
        store: GalleryStore,
        model: BatchExtractor,
        batch_size: int = 16,
        commit_rows: int = COMMIT_ROWS,
        commit_seconds: float = COMMIT_SECONDS,
    ) -> None:
        self._store, self._model = store, model
        self._batch_size, self._commit_rows, self._commit_seconds = batch_size, commit_rows, commit_seconds
        self._report = Report()
        self._waiting: list[Prepared] = []  # for the model
        self._rows: list[Photo] = []  # for the next commit
        self._known: list[FileState] = []  # for the next commit, rows to be copied from others of the same content
        self._committed = time.monotonic()

    def run(self, paths: Sequence[Path], progress: Progress | None = None) -> Report:
        """Bring the rows of `paths` up to date; unreadable files are listed in the report, the rest goes on.

        What was committed before an interruption stays and is not done again.
        """
        files = self._store.files()
        todo = [path for path in paths if not _unchanged(path, files.get(str(path)))]
        self._report.unchanged = len(paths) - len(todo)
        digests = {file.digest for file in files.values()}
        try:
            for done, item in enumerate(_overlapped(todo, lambda path: self._prepare(path, digests)), start=1):
                self._take(item, digests)
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

    def _prepare(self, path: Path, known: set[str]) -> Prepared | Known | Failure:
        """Read one file, in a thread of its own; the content may not change meanwhile."""
        try:
            before = path.stat()
            file = FileState(str(path), file_digest(path), before.st_size, before.st_mtime_ns)
            if file.digest in known:
                return Known(file)
            image = read_image(path, "photo")
            after = path.stat()
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                return Failure(str(path), "changed while it was read; index it again")
            height, width = image.shape[1:]
            unknown = np.empty(0, dtype=np.float32)
            photo = Photo(file, width, height, path.parent.name, thumbnail(image), unknown)
            return Prepared(photo, self._model.view(image, "photo"))
        except ImageError as error:
            return Failure(str(path), str(error).removeprefix(f"{path}: "))
        except OSError as error:
            return Failure(str(path), error.strerror or str(error))

    def _take(self, item: Prepared | Known | Failure, digests: set[str]) -> None:
        if isinstance(item, Prepared) and item.photo.file.digest in digests:
            item = Known(item.photo.file)  # its twin was read at the same time
        if isinstance(item, Known):
            self._known.append(item.file)
        else:
            self._queue(item)
            if isinstance(item, Prepared):
                digests.add(item.photo.file.digest)
        due = time.monotonic() - self._committed > self._commit_seconds
        if due or len(self._rows) + len(self._known) >= self._commit_rows:
            self._commit()

    def _queue(self, item: Prepared | Known | Failure) -> None:
        if isinstance(item, Failure):
            self._report.failed.append(item)
        elif isinstance(item, Prepared):
            self._waiting.append(item)
            if len(self._waiting) >= self._batch_size:
                self._embed()

    def _embed(self) -> None:
        """Run the model over what waits for it."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        vectors, joint = embed_views(self._model, [item.view for item in waiting])
        for place, (item, vector) in enumerate(zip(waiting, vectors, strict=True)):
            if np.isfinite(vector).all():
                both = vector, None if joint is None else joint[place]
                self._rows.append(replace(item.photo, vector=both[0], joint=both[1]))
                self._report.embedded += 1
            else:
                self._report.failed.append(Failure(item.photo.file.path, "the model gives no finite feature"))

    def _commit(self) -> None:
        self._embed()
        copies = self._copies()
        self._store.put([*self._rows, *copies])
        self._rows, self._known = [], []
        self._committed = time.monotonic()

    def _copies(self) -> list[Photo]:
        """Rows for the files whose content is known, from the rows of this commit or from the store."""
        sources = {row.file.digest: row for row in self._rows}
        sources |= self._store.with_digests({file.digest for file in self._known} - sources.keys())
        copies = []
        for file in self._known:
            if source := sources.get(file.digest):
                copies.append(replace(source, file=file, category=Path(file.path).parent.name))
                self._report.reused += 1
            else:  # the row that held it was replaced meanwhile, as when files swap names
                self._queue(self._prepare(Path(file.path), set()))
        self._embed()
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
        self._report.moved = self._store.remove(gone) if gone else 0


def _unchanged(path: Path, file: FileState | None) -> bool:
    if file is None:
        return False
    try:
        state = path.stat()
    except OSError:
        return False
    return (state.st_size, state.st_mtime_ns) == (file.size, file.mtime_ns)


def _overlapped(
    paths: Sequence[Path], prepare: Callable[[Path], Prepared | Known | Failure]
) -> Iterator[Prepared | Known | Failure]:
    """Prepare files in threads, in order, only so far ahead that memory stays flat."""
    ahead: deque[Future[Prepared | Known | Failure]] = deque()
    with ThreadPoolExecutor(DECODERS) as pool:
        try:
            for path in paths:
                ahead.append(pool.submit(prepare, path))
                if len(ahead) > AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def embed_views(
    model: BatchExtractor, views: Sequence[View]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Embed prepared pictures exactly as `embed` (B, d) and, if the model reads text, `encode_image` (B, P) do."""
    import torch

    with torch.no_grad():
        vectors, joint = model.vectors_and_joint(views)
    return _unit(vectors), None if joint is None else _unit(joint)


def _unit(vectors: Tensor) -> npt.NDArray[np.float32]:
    from torch.nn import functional as F

    return np.asarray(F.normalize(vectors.float(), dim=1).cpu().numpy(), np.float32)
