"""From files to rows: read, embedded by this process, several processes or Ray, and ready to be written."""

from __future__ import annotations

import hashlib
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ImageError, escaped
from ..featuremap import Floats
from ..io.exif import Capture, read_capture
from ..io.images import MAX_BYTES, has_content, read_reduced, thumbnail
from .rows import FileState, Photo
from .storage import GalleryError

if TYPE_CHECKING:
    from torch import Tensor

    from ..extractor import Extractor, ModelInput


DECODERS = 2  # threads that read files
PHOTO_SIDE = 2000  # longer side at which photos are decoded: all that models and thumbnails need
AHEAD = 48  # files read before their turn
MAX_DEATHS = 3  # workers that die in a row without an answer before indexing gives up

Chunk = list[Path]


@dataclass(frozen=True)
class Failure:
    """A file that could not be indexed, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Known:
    """A file whose content has a row already."""

    file: FileState


@dataclass(frozen=True)
class Prepared:
    """A file that was read: its row without the feature, and the picture for the model."""

    photo: Photo
    view: ModelInput


Read = Prepared | Known | Failure
Item = Photo | Known | Failure


class Engine(Protocol):
    """Something that embeds files: this process, several processes, or Ray."""

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files, in any order, each file once; contents whose SHA-256 is known are not embedded."""


def choose_engine(
    model: Extractor, location: bool, engine: str, workers: int, load: Callable[[], Extractor] | None
) -> Engine:
    """Give the engine of a name, local or ray, with a number of workers; GalleryError if there is none.

    `load` gives workers their models; by default it loads the model's name.
    """
    if workers < 1:
        raise GalleryError(f"workers must be at least 1, not {workers}")
    if engine not in ("local", "ray"):
        raise GalleryError(f"no engine is called {engine!r}; choose local or ray")
    if engine == "local" and workers == 1:
        return Embedder(model, location)
    if load is None:
        from ..models import load as load_by_name

        load = partial(load_by_name, model.name)
    task = WorkerTask(load, model.fingerprint, location)
    return RayWorkers(task, workers) if engine == "ray" else LocalWorkers(task, workers)


class Embedder:
    """Embeds files in this process."""

    def __init__(self, model: Extractor, location: bool = True) -> None:
        """Embed with a model; without `location` leave out where photos were taken."""
        self._model, self._location = model, location

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files in order, decoding while the model runs; `known` grows by the contents read."""
        waiting: list[Read] = []
        pictures = 0
        for item in _overlapped(paths, lambda path: self.read(path, known)):
            if isinstance(item, Prepared):
                if item.photo.file.digest in known:
                    item = Known(item.photo.file)  # its twin was read at the same time
                else:
                    known.add(item.photo.file.digest)
                    pictures += 1
            waiting.append(item)
            if pictures >= batch_size or len(waiting) >= 4 * batch_size:
                yield from self.embed(waiting)
                waiting, pictures = [], 0
        yield from self.embed(waiting)

    def read(self, path: Path, known: set[str]) -> Read:
        """Read one file; it fails if the file changes meanwhile, so that digest and picture belong together."""
        try:
            str(path).encode()
            before = path.stat()
            if before.st_size > MAX_BYTES:
                return Failure(str(path), f"larger than {MAX_BYTES // 10**6} MB; make it smaller first")
            data = path.read_bytes()
            file = FileState(str(path), hashlib.sha256(data).hexdigest(), before.st_size, before.st_mtime_ns)
            after = path.stat()
            if (len(data), before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != before.st_size:
                return Failure(str(path), "changed while it was read; index it again")
            return Known(file) if file.digest in known else self.decode(data, file)
        except ImageError as error:
            return Failure(str(path), str(error).removeprefix(f"{path}: "))
        except UnicodeEncodeError:
            return Failure(escaped(path), "its name is not UTF-8, which a gallery needs; rename it")
        except OSError as error:
            return Failure(str(path), error.strerror or str(error))

    def decode(self, data: bytes, file: FileState) -> Prepared:
        """Decode a photo; ImageError if it cannot be read."""
        picture = read_reduced(data, PHOTO_SIDE, "photo", file.path)
        if not has_content(picture.pixels):
            raise ImageError(f"{file.path}: shows nothing, it has one colour; left out")
        capture = read_capture(data) if self._location else Capture(read_capture(data).taken)
        image, unknown = picture.tensor("photo"), np.empty(0, dtype=np.float32)
        size, category = (picture.width, picture.height), Path(file.path).parent.name
        shown = Photo(file, *size, category, thumbnail(image), unknown, **vars(capture), damage=picture.damage)
        return Prepared(shown, self._model.prepare(image, "photo"))

    def embed(self, items: Sequence[Read]) -> list[Item]:
        """Embed all pictures among what was read; the order stays."""
        prepared = [item for item in items if isinstance(item, Prepared)]
        rows = iter(self._rows(prepared) if prepared else [])
        return [next(rows) if isinstance(item, Prepared) else item for item in items]

    def _rows(self, prepared: Sequence[Prepared]) -> list[Photo | Failure]:
        views = [item.view for item in prepared]
        vectors, joint = embed_views(self._model, views)
        finite = [bool(np.isfinite(vector).all()) for vector in vectors]
        return [
            replace(item.photo, vector=vectors[place], joint=None if joint is None else joint[place])
            if finite[place]
            else Failure(item.photo.file.path, "the model gives no finite feature")
            for place, item in enumerate(prepared)
        ]


def embed_views(model: Extractor, views: Sequence[ModelInput]) -> tuple[Floats, Floats | None]:
    """Embed prepared pictures as unit vectors (B, d), and (B, P) in the space shared with text if there is one."""
    import torch

    with torch.no_grad():
        seen = model.forward(views)
    return _unit(seen.vectors), None if seen.joint is None else _unit(seen.joint)


def _unit(vectors: Tensor) -> Floats:
    from torch.nn import functional as F

    return np.asarray(F.normalize(vectors.float(), dim=1).cpu().numpy(), np.float32)


def _overlapped(paths: Sequence[Path], read: Callable[[Path], Read]) -> Iterator[Read]:
    """Read files in threads, in order, at most AHEAD before their turn, so that memory stays bounded."""
    ahead: deque[Future[Read]] = deque()
    with ThreadPoolExecutor(DECODERS) as pool:
        try:
            for path in paths:
                ahead.append(pool.submit(read, path))
                if len(ahead) > AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


# Workers: processes of this machine, or Ray actors. A worker that dies costs nothing but its time: its files are given
# out again one by one, so that a file that kills whoever reads it is found, reported, and left out. Only the process
# that asked for them writes rows.


@dataclass(frozen=True)
class WorkerTask:
    """What a worker needs to know, in a form that can be sent to it."""

    load: Callable[[], Extractor]
    fingerprint: str  # the loaded model's must be the same
    location: bool = True

    def embedder(self) -> Embedder:
        """Load the model; GalleryError if it has another fingerprint."""
        model = self.load()
        if model.fingerprint != self.fingerprint:
            raise GalleryError(f"a worker loaded other weights ({model.fingerprint[:12]}) than {self.fingerprint[:12]}")
        return Embedder(model, self.location)


class LocalWorkers:
    """An engine of worker processes."""

    def __init__(self, task: WorkerTask, count: int) -> None:
        """Start `count` workers when needed, each with a model of its own."""
        self._task, self._count = task, count

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files as they are finished."""
        todo = deque([list(paths[start : start + batch_size]) for start in range(0, len(paths), batch_size)])
        suspects: deque[Path] = deque()
        deaths = 0
        while todo or suspects:
            pool = self._pool(known)
            try:
                for item in self._rounds(pool, todo, suspects):
                    if isinstance(item, Photo):
                        known.add(item.file.digest)
                        deaths = 0
                    yield item
            except BrokenProcessPool:  # a new pool goes on with the rest
                deaths += 1
                if deaths == MAX_DEATHS:
                    raise GalleryError(
                        f"{deaths} times in a row a worker died without an answer; what was finished is kept, so "
                        "run the same command again with fewer --workers"
                    ) from None
            finally:
                pool.shutdown(cancel_futures=True)

    def _rounds(self, pool: ProcessPoolExecutor, todo: deque[Chunk], suspects: deque[Path]) -> Iterator[Item]:
        """Give out files until all are done, or until a worker dies, which raises BrokenProcessPool."""
        while suspects:
            path = suspects.popleft()
            try:
                yield from pool.submit(embed_in_worker, [path]).result()
            except BrokenProcessPool:
                yield Failure(str(path), "the worker that read it died")
                raise
        running: dict[Future[list[Item]], Chunk] = {}
        try:
            while todo or running:
                while todo and len(running) < 2 * self._count:
                    running[pool.submit(embed_in_worker, todo[0])] = todo[0]
                    todo.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    items = future.result()
                    del running[future]
                    yield from items
        except BrokenProcessPool:
            suspects.extend(path for chunk in running.values() for path in chunk)
            raise

    def _pool(self, known: set[str]) -> ProcessPoolExecutor:
        threads = max(1, (os.cpu_count() or 1) // self._count)
        setup = (self._task, threads, frozenset(known))
        return ProcessPoolExecutor(self._count, get_context("spawn"), initializer=start_worker, initargs=setup)


_embedder: Embedder | Exception | None = None  # of a worker process
_known: frozenset[str] = frozenset()


def start_worker(task: WorkerTask, threads: int, known: frozenset[str]) -> None:
    """Make this process a worker that computes with a number of threads."""
    global _embedder, _known
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that writes
    try:
        import torch

        torch.set_num_threads(threads)
        _embedder, _known = task.embedder(), known
    except Exception as error:  # raised here it would look as if the worker had been killed
        _embedder = error


def embed_in_worker(paths: Chunk) -> list[Item]:
    """Give the rows of files, in a worker process; raises what went wrong when it started."""
    if not isinstance(_embedder, Embedder):
        raise _embedder or RuntimeError("this process is no worker")
    return list(_embedder.stream(paths, set(_known), len(paths)))


class RayWorkers:
    """An engine of Ray actors, on this machine or on the cluster that RAY_ADDRESS names.

    Every machine of the cluster must see the photos under the same paths.
    """

    def __init__(self, task: WorkerTask, count: int) -> None:
        """Start `count` actors when needed, each with a model of its own. GalleryError if Ray is not installed."""
        try:
            import ray
        except ImportError:
            raise GalleryError("--engine ray needs Ray: pip install 'sketchfusion[ray]'") from None
        self._ray: Any = ray
        self._task, self._count = task, count

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files as they are finished."""
        chunks = [list(paths[place : place + batch_size]) for place in range(0, len(paths), batch_size)]
        starts_ray = not self._ray.is_initialized()
        if starts_ray:
            with warnings.catch_warnings(action="ignore"):  # LanceDB's, of the processes that Ray starts
                self._ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        try:
            yield from self._rounds(deque(chunks), known)
        finally:
            if starts_ray:
                self._ray.shutdown()

    def _rounds(self, todo: deque[Chunk], known: set[str]) -> Iterator[Item]:
        """Give each free actor a chunk until all chunks are done."""
        new = self._actor_maker()
        free = [new(frozenset(known)) for _ in range(min(self._count, len(todo)))]
        running: dict[Any, tuple[Any, Chunk]] = {}
        suspects: set[Path] = set()
        deaths = 0
        while todo or running:
            while todo and free:
                actor, chunk = free.pop(), todo.popleft()
                running[actor.embed.remote(chunk)] = actor, chunk
            (done,), _ = self._ray.wait(list(running))
            actor, chunk = running.pop(done)
            try:
                items = self._ray.get(done)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except self._ray.exceptions.RayActorError as error:
                deaths += 1
                if deaths == MAX_DEATHS * self._count:
                    raise GalleryError(
                        f"{deaths} times in a row a Ray actor died without an answer ({_last_line(error)}); what "
                        "was finished is kept, so run the same command again with fewer --workers"
                    ) from None
                lethal = [path for path in chunk if len(chunk) == 1 and path in suspects]
                yield from (Failure(str(path), "the worker that read it died") for path in lethal)
                suspects.update(chunk)
                todo.extend([path] for path in chunk if path not in lethal)
                free.append(new(frozenset(known)))
                continue
            free.append(actor)
            deaths = 0
            known |= {item.file.digest for item in items if isinstance(item, Photo)}
            yield from items

    def _actor_maker(self) -> Any:
        """Give a function that starts an actor; GalleryError if the cluster has too few CPUs for all."""
        there = self._ray.cluster_resources()
        if there.get("CPU", 0) < self._count:
            raise GalleryError(f"Ray has {there.get('CPU', 0):g} CPUs; ask for that many --workers at most")
        share = min(1.0, there.get("GPU", 0) / self._count)
        remote = self._ray.remote(num_cpus=1, num_gpus=share, scheduling_strategy="SPREAD")(Actor)
        return lambda known: remote.remote(self._task, known)


class Actor:
    """A Ray worker."""

    def __init__(self, task: WorkerTask, known: frozenset[str]) -> None:
        """Load the model."""
        start_worker(task, 1, known)

    def embed(self, paths: Chunk) -> list[Item]:
        """Give the rows of files."""
        return embed_in_worker(paths)


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip()
