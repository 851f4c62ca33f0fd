"""Store uploaded photos, named by their content, and index them in jobs that run one at a time."""

import hashlib
import os
import re
import secrets
import shutil
import threading
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from platformdirs import user_data_path

from ..gallery import Failure, GalleryError, Report
from ..io.files import atomic_write

CHUNK = 1 << 20
NAME_LENGTH, NAME_BYTES = 60, 180  # of a file name that are kept at most
FOLDER = "uploads"

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Index = Callable[[Sequence[Path], Callable[[int, int], None]], Report]


def upload_folder(uri: str) -> Path:
    """Return the folder for a gallery's uploads: within it, or in the user's data folder if it is an object store."""
    if "://" not in uri:
        return Path(os.path.abspath(uri)) / FOLDER  # noqa: PTH100
    return user_data_path("sketchfusion", appauthor=False) / FOLDER / hashlib.sha256(uri.encode()).hexdigest()[:16]


def save_uploads(folder: Path, files: Iterable[tuple[str, BinaryIO]]) -> list[Path]:
    """Write files, given as (name, stream), into `folder`; equal content of equal name is stored once.

    Raises GalleryError where they cannot be stored, and then none of them is.
    """
    paths, new = list[Path](), list[Path]()
    try:
        for name, stream in files:
            path = _path(folder, name, stream)
            if not path.exists():
                with atomic_write(path) as draft, draft.open("wb") as file:
                    shutil.copyfileobj(stream, file, CHUNK)
                new.append(path)
            paths.append(path)
    except OSError as error:
        for path in new:
            path.unlink(missing_ok=True)
        raise GalleryError(f"the photos cannot be stored: {error}") from error
    return paths


def original_name(path: Path) -> str:
    """Return the name that an upload was stored under, without the digest that was added."""
    stem, _, digest = path.stem.rpartition("-")
    return f"{stem}{path.suffix}" if len(digest) == 12 and stem else path.name


class Cancelled(KeyboardInterrupt):
    """Stops indexing as Ctrl-C does: photos indexed so far are kept."""


class TooManyJobs(Exception):
    """The list of waiting jobs is full."""


@dataclass(eq=False)
class Job:
    """Photos to index, and the progress."""

    paths: Sequence[Path] = ()
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "waiting"
    done: int = 0
    failed: list[Failure] = field(default_factory=list)
    error: str | None = None
    cancelled: bool = False

    def progress(self, done: int, total: int) -> None:
        """Record the progress; raises Cancelled if the job was cancelled."""
        self.done = len(self.paths) - total + done
        if self.cancelled:
            raise Cancelled


class Jobs:
    """A thread that runs indexing jobs one by one, and the jobs by name, oldest first."""

    def __init__(self, index: Index, explain: Callable[[Exception], str], remembered: int, waiting: int) -> None:
        """Start the thread. At most `waiting` jobs wait, and `remembered` are listed; `explain` describes an error."""
        self._index, self._explain = index, explain
        self._remembered, self._limit = remembered, waiting
        self._jobs: dict[str, Job] = {}
        self._lock = threading.RLock()
        self._thread = ThreadPoolExecutor(1, "jobs")

    def submit(self, save: Callable[[], Sequence[Path]]) -> Job:
        """Queue the photos that `save` stores for indexing. Raises TooManyJobs, and then nothing is stored."""
        job = Job()
        with self._lock:
            if sum(other.state == "waiting" for other in self._jobs.values()) >= self._limit:
                raise TooManyJobs
            self._jobs[job.name] = job
            finished = [name for name, other in self._jobs.items() if other.state not in ("waiting", "running")]
            for name in finished[: max(0, len(self._jobs) - self._remembered)]:
                del self._jobs[name]
        try:
            job.paths = save()
        except BaseException:
            self.cancel(job)
            raise
        self._thread.submit(self._run, job)
        return job

    def find(self, name: str) -> Job | None:
        """Return a job by its name, None if it is unknown or was dropped."""
        return self._jobs.get(name)

    def cancel(self, job: Job) -> None:
        """Stop a job or do not start it; photos indexed so far are kept."""
        with self._lock:
            job.cancelled = True
            if job.state == "waiting":
                job.state = "cancelled"

    def close(self) -> None:
        """Cancel all jobs and wait for the running one to stop."""
        with self._lock:
            for job in self._jobs.values():
                self.cancel(job)
        self._thread.shutdown(cancel_futures=True)

    def _run(self, job: Job) -> None:
        with self._lock:
            if job.state == "cancelled":
                return
            job.state = "running"
        try:
            job.failed = self._index(job.paths, job.progress).failed
            job.done, job.state = len(job.paths), "done"
        except Cancelled:
            job.state = "cancelled"
        except Exception as error:
            job.error, job.state = self._explain(error), "failed"


def _path(folder: Path, name: str, stream: BinaryIO) -> Path:
    parts = PurePosixPath(name.replace("\\", "/"))
    category = _safe_name(parts.parent.name) or FOLDER
    suffix = re.sub(r"[^.a-z0-9]", "", parts.suffix.lower())[:8]
    digest = hashlib.file_digest(stream, "sha256")  # type: ignore[arg-type]
    stream.seek(0)
    return folder / category / f"{_safe_name(parts.stem) or 'photo'}-{digest.hexdigest()[:12]}{suffix}"


def _safe_name(text: str) -> str:
    """Keep letters of any script with their marks, which macOS sends apart, digits, and what does no harm."""
    letters = unicodedata.normalize("NFC", text)
    kept = [one if re.match(r"[\w \-().]", one) or unicodedata.category(one)[0] == "M" else "_" for one in letters]
    short = "".join(kept).strip(" .")[:NAME_LENGTH].encode()[:NAME_BYTES]
    return short.decode(errors="ignore").strip(" .")
