"""Uploaded photos become files of the gallery's own, named by their content."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from ..gallery import Failure, Report
from ..io.files import atomic_write
from ..io.weights import cache_folder

CHUNK = 1 << 20
LONGEST = 60  # characters of a name that are kept
FOLDER = "uploads"


def folder_for(uri: str) -> Path:
    """Where a gallery's uploads are kept: in its own folder, or for an object store in the cache of this machine."""
    if "://" not in uri:
        return Path(os.path.abspath(uri)) / FOLDER  # noqa: PTH100
    return cache_folder() / FOLDER / hashlib.sha256(uri.encode()).hexdigest()[:16]


def keep(folder: Path, files: Iterable[tuple[str, BinaryIO]]) -> list[Path]:
    """Write files, given by the names they had, into `folder`; the same content under the same name is one file."""
    return [_keep(folder, name, stream) for name, stream in files]


def original_name(path: Path) -> str:
    """The name that an upload had, as far as it was kept."""
    stem, _, digest = path.stem.rpartition("-")
    return f"{stem}{path.suffix}" if len(digest) == 12 and stem else path.name


def _keep(folder: Path, name: str, stream: BinaryIO) -> Path:
    parts = PurePosixPath(name.replace("\\", "/"))
    category = _plain(parts.parent.name) or FOLDER
    suffix = re.sub(r"[^.a-z0-9]", "", parts.suffix.lower())[:8]
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    stream.seek(0)
    path = folder / category / f"{_plain(parts.stem) or 'photo'}-{digest.hexdigest()[:12]}{suffix}"
    with atomic_write(path) as draft, draft.open("wb") as file:
        shutil.copyfileobj(stream, file, CHUNK)
    return path


def _plain(text: str) -> str:
    """Letters, digits, spaces and a few signs; nothing that means something to a file system."""
    return re.sub(r"[^\w \-().]", "_", text).strip(" .")[:LONGEST].strip(" .")


# Indexing of uploaded photos: one job at a time, beside the searches and behind them.


State = Literal["waiting", "running", "done", "failed", "cancelled"]
Index = Callable[[Sequence[Path], Callable[[int, int], None]], Report]


class Cancelled(KeyboardInterrupt):
    """Stops a run of indexing as Ctrl-C does: what is finished is kept."""


class TooManyJobs(Exception):
    """As many jobs wait as may wait."""


@dataclass(eq=False)
class Job:
    """Photos to index, and how far that is."""

    paths: Sequence[Path]
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "waiting"
    done: int = 0
    failed: list[Failure] = field(default_factory=list)
    error: str | None = None
    cancelled: bool = False

    def failures(self) -> list[tuple[Path, str]]:
        """The files that could not be indexed, and why."""
        return [(Path(failure.path), failure.reason) for failure in self.failed]

    def progress(self, done: int, total: int) -> None:
        """Take note of photos done; Cancelled if the job is not wanted any more."""
        self.done = len(self.paths) - total + done
        if self.cancelled:
            raise Cancelled


class Jobs:
    """The jobs that wait, run and are over, oldest first."""

    def __init__(self, index: Index, explain: Callable[[Exception], str], remembered: int, waiting: int) -> None:
        """Start the thread that runs them one by one; `explain` makes one line of an error."""
        self._index, self._explain = index, explain
        self._remembered, self._limit = remembered, waiting
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def submit(self, paths: Sequence[Path]) -> Job:
        """Let photos be indexed when the jobs before are done."""
        job = Job(paths)
        with self._change:
            if sum(other.state == "waiting" for other in self._jobs.values()) >= self._limit:
                raise TooManyJobs
            self._jobs[job.name] = job
            over = [name for name, other in self._jobs.items() if other.state not in ("waiting", "running")]
            for name in over[: max(0, len(self._jobs) - self._remembered)]:
                del self._jobs[name]
            self._change.notify()
        return job

    def find(self, name: str) -> Job | None:
        """A job by its name, if it is remembered."""
        return self._jobs.get(name)

    def cancel(self, job: Job) -> None:
        """Do not start a job, or stop it; photos that it has indexed stay."""
        with self._change:
            job.cancelled = True
            if job.state == "waiting":
                job.state = "cancelled"

    def close(self) -> None:
        """Stop the running job where it is and wait for that."""
        with self._change:
            self._closed = True
            for job in self._jobs.values():
                job.cancelled = True
            self._change.notify()
        self._thread.join()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)

    def _next(self) -> Job | None:
        with self._change:
            while not self._closed:
                if job := next((job for job in self._jobs.values() if job.state == "waiting"), None):
                    job.state = "running"
                    return job
                self._change.wait()
            return None

    def _run(self, job: Job) -> None:
        try:
            job.failed = self._index(job.paths, job.progress).failed
            job.done, job.state = len(job.paths), "done"
        except Cancelled:
            job.state = "cancelled"
        except Exception as error:
            job.error, job.state = self._explain(error), "failed"
