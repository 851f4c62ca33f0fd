"""From files to rows: read, embedded by this process, several processes or Ray, and ready to be written."""

import hashlib
import math
import os
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ..errors import ImageError, escaped
from ..extractor import Extractor, ModelInput
from ..featuremap import Floats
from ..io.exif import Capture, read_capture
from ..io.images import MAX_BYTES, has_content, read_reduced, thumbnail
from ..models import load as load_by_name
from .rows import FileState, Photo, changed_ns
from .storage import GalleryError

DECODERS = 2  # threads that read files
PHOTO_SIDE = 2000  # longer side at which photos are decoded: all that models and thumbnails need
LEAST_SIDE = 8  # pixels of a photo as decoded: a spacer or a sliver would be found for any sketch
AHEAD = 48  # files read before their turn
# Makes worker processes: on Linux by forking one that has imported the libraries, because importing takes seconds.
PROCESSES = get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    PROCESSES.set_forkserver_preload([__name__])
MAX_DEATHS = 3  # for each worker: so many die in a row, without an answer of any, before indexing gives up

Chunk = list[Path]
Load = Callable[[], Extractor]  # gives each worker its model


@dataclass(frozen=True)
class Failure:
    path: str
    reason: str


class Unread(Failure):
    """A file that the system would not read, which may pass."""


@dataclass(frozen=True)
class Prepared:
    """A file that was read: its row without the feature, and the picture for the model."""

    photo: Photo
    view: ModelInput


Read = Prepared | FileState | Failure  # FileState: its content has a row already
Item = Photo | FileState | Failure


def choose_engine(
    model: Extractor, location: bool, engine: str, workers: int, load: Load | None
) -> "Embedder | Workers":
    """Make the engine "local" or "ray"; workers get their models from `load`, else by name. GalleryError else."""
    if workers < 1:
        raise GalleryError(f"workers must be at least 1, not {workers}")
    if engine not in ("local", "ray"):
        raise GalleryError(f"no engine is called {engine!r}; choose local or ray")
    if engine == "local" and workers == 1:
        return Embedder(model, location)
    setup = partial(start_worker, load or partial(load_by_name, model.name), model.fingerprint, location)
    return Workers(ray_crew(setup, workers) if engine == "ray" else local_crew(setup, workers), workers)


class Embedder:
    """Embeds files in this process."""

    def __init__(self, model: Extractor, location: bool = True) -> None:
        self._model, self._location = model, location  # where photos were taken is left out without `location`

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files in order, decoding while the model runs; `known` grows by the contents read."""
        waiting: list[Read] = []
        pictures = 0
        for item in _overlapped(paths, lambda path: self.read(path, known)):
            if isinstance(item, Prepared):
                if item.photo.file.digest in known:
                    item = item.photo.file  # its twin was read at the same time
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
            file = FileState(str(path), hashlib.sha256(data).hexdigest(), before.st_size, changed_ns(before))
            after = path.stat()
            if (len(data), before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != before.st_size:
                return Failure(str(path), "changed while it was read; index it again")
            return file if file.digest in known else self.decode(data, file)
        except ImageError as error:
            return Failure(str(path), str(error).removeprefix(f"{path}: "))
        except UnicodeEncodeError:
            return Failure(escaped(path), "its name is not UTF-8, which a gallery needs; rename it")
        except OSError as error:
            return Unread(str(path), error.strerror or str(error))

    def decode(self, data: bytes, file: FileState) -> Prepared:
        picture = read_reduced(data, PHOTO_SIDE, "photo", file.path)
        if min(picture.pixels.shape[:2]) < LEAST_SIDE or not has_content(picture.pixels):
            raise ImageError(f"{file.path}: shows nothing, it is tiny or of one colour; left out")
        capture = read_capture(data) if self._location else Capture(read_capture(data).taken)
        image, unknown = picture.tensor("photo"), np.empty(0, dtype=np.float32)
        size, category = (picture.width, picture.height), Path(file.path).parent.name
        shown = Photo(file, *size, category, thumbnail(image), unknown, **vars(capture), damage=picture.damage)
        return Prepared(shown, self._model.prepare(image, "photo"))

    def embed(self, items: Sequence[Read]) -> list[Item]:
        """Embed all pictures among what was read; the order stays."""
        views = [item.view for item in items if isinstance(item, Prepared)]
        vectors, joint = embed_views(self._model, views) if views else (np.empty((0, 0), np.float32), None)
        joints: Iterable[Floats | None] = [None] * len(views) if joint is None else joint
        each = zip(vectors, joints, strict=True)

        def row(photo: Photo, vector: Floats, joint: Floats | None) -> Photo | Failure:
            if not np.isfinite(vector).all():
                return Failure(photo.file.path, "the model gives no finite feature")
            return replace(photo, vector=vector, joint=joint)

        return [row(item.photo, *next(each)) if isinstance(item, Prepared) else item for item in items]


def embed_views(model: Extractor, views: Sequence[ModelInput]) -> tuple[Floats, Floats | None]:
    """Embed prepared pictures as unit vectors (B, d), and (B, P) in the space shared with text if there is one."""
    with torch.no_grad():
        seen = model.forward(views)
        vectors = F.normalize(seen.vectors.float(), dim=1).cpu().numpy()
        joint = None if seen.joint is None else F.normalize(seen.joint.float(), dim=1).cpu().numpy()
    return vectors, joint


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


# Workers: processes of this machine, or Ray actors. Only the process that asked for them writes rows.

Worker = Callable[[Chunk], Future[list[Item]]]  # gives the rows of files
Start = Callable[[frozenset[str]], Worker]  # starts a worker that knows some contents
Setup = Callable[[int, frozenset[str]], None]  # prepares a worker: number of threads, contents


class Workers:
    """Several workers, each with a model; a dead one's files are given out singly to find the one that kills."""

    def __init__(self, crew: AbstractContextManager[tuple[Start, type[Exception]]], count: int) -> None:
        """Use `count` workers of a crew, which gives what starts one, and the error that tells of its death."""
        self._crew, self._count = crew, count

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files as they are finished."""
        todo = deque(list(paths[start : start + batch_size]) for start in range(0, len(paths), batch_size))
        running: dict[Future[list[Item]], tuple[Worker, Chunk]] = {}
        suspects: set[Path] = set()
        deaths, items = 0, list[Item]()
        with self._crew as (start, death):
            free = [start(frozenset(known)) for _ in range(min(self._count, len(todo)))]
            while todo or running:
                while todo and free:
                    worker, chunk = free.pop(), todo.popleft()
                    running[worker(chunk)] = worker, chunk
                yield from items  # only now, so that no worker waits for the next commit
                future = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
                worker, chunk = running.pop(future)
                try:
                    items = future.result()
                except death as error:
                    deaths += 1
                    if deaths == MAX_DEATHS * self._count:
                        raise _too_many(deaths, error) from None
                    lethal = chunk if len(chunk) == 1 and chunk[0] in suspects else []
                    items = [Failure(str(path), "the worker that read it died") for path in lethal]
                    suspects.update(chunk)
                    todo.extend([path] for path in chunk if path not in lethal)
                    worker = start(frozenset(known))
                except Exception as error:
                    raise getattr(error, "cause", None) or error from None  # Ray wraps what an actor raises
                else:
                    deaths = 0
                    known |= {item.file.digest for item in items if isinstance(item, Photo)}
                free.append(worker)
            yield from items


def _too_many(deaths: int, error: Exception) -> GalleryError:
    what = "a worker died without an answer"
    if not isinstance(error, BrokenProcessPool):
        what = f"a Ray actor died without an answer ({str(error).strip().splitlines()[-1].strip()})"
    return GalleryError(
        f"{deaths} times in a row {what}; what was finished is kept, so run the same command again with fewer --workers"
    )


@contextmanager
def local_crew(setup: Setup, count: int) -> Iterator[tuple[Start, type[Exception]]]:
    """Give what starts a process of this machine as one of `count` workers; `setup` prepares it."""
    threads = max(1, (os.cpu_count() or 1) // count)
    pools: list[ProcessPoolExecutor] = []

    def launch(known: frozenset[str]) -> ProcessPoolExecutor:
        pools.append(ProcessPoolExecutor(1, PROCESSES, initializer=setup, initargs=(threads, known)))
        return pools[-1]

    def start(known: frozenset[str]) -> Worker:
        pool = launch(known)

        def embed(chunk: Chunk) -> Future[list[Item]]:
            nonlocal pool
            try:
                return pool.submit(embed_in_worker, chunk)
            except BrokenProcessPool:  # it died while it had nothing to do, which no file is to blame for
                pool = launch(known)
                return pool.submit(embed_in_worker, chunk)

        return embed

    try:
        yield start, BrokenProcessPool
    finally:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in pools:
            pool.shutdown()


@contextmanager
def ray_crew(setup: Setup, count: int) -> Iterator[tuple[Start, type[Exception]]]:
    """Give what starts a Ray actor, on this machine or on the cluster that RAY_ADDRESS names, as one of `count`.

    Every machine of the cluster must see the photos under the same paths. GalleryError if Ray is not installed, or if
    the cluster has too few CPUs.
    """
    try:
        import ray
    except ImportError:
        raise GalleryError("--engine ray needs Ray: pip install 'sketchfusion[ray]'") from None
    starts_ray = not ray.is_initialized()
    if starts_ray:
        with warnings.catch_warnings(action="ignore"):  # LanceDB's, of the processes that Ray starts
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        there = ray.cluster_resources()
        if there.get("CPU", 0) < count:
            raise GalleryError(f"Ray has {there.get('CPU', 0):g} CPUs; ask for that many --workers at most")
        share = gpu_share(int(there.get("GPU", 0)), count)
        remote: Any = ray.remote(num_cpus=1, num_gpus=share, scheduling_strategy="SPREAD")(Actor)

        def start(known: frozenset[str]) -> Worker:
            actor = remote.remote(setup, known)
            return lambda chunk: actor.embed.remote(chunk).future()

        yield start, ray.exceptions.RayActorError
    finally:
        if starts_ray:
            ray.shutdown()


def gpu_share(gpus: int, count: int) -> float:
    """Give the part of a GPU for each of `count` actors, so that all find a place; each lies on one GPU."""
    return 10_000 // math.ceil(count / gpus) / 10_000 if gpus else 0.0  # Ray rounds to four digits, also up


class Actor:  # of Ray
    def __init__(self, setup: Setup, known: frozenset[str]) -> None:
        setup(1, known)

    def embed(self, paths: Chunk) -> list[Item]:
        return embed_in_worker(paths)


_embedder: Embedder | Exception | None = None  # of a worker process
_known: frozenset[str] = frozenset()


def start_worker(load: Load, fingerprint: str, location: bool, threads: int, known: frozenset[str]) -> None:
    """Make this process a worker that computes with a number of threads; its model must have a fingerprint."""
    global _embedder, _known
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that writes
    try:
        torch.set_num_threads(threads)
        model = load()
        if model.fingerprint != fingerprint:
            raise GalleryError(f"a worker loaded other weights ({model.fingerprint[:12]}) than {fingerprint[:12]}")
        _embedder, _known = Embedder(model, location), known
    except Exception as error:  # raised here it would look as if the worker had been killed
        _embedder = error


def embed_in_worker(paths: Chunk) -> list[Item]:
    """Give the rows of files, in a worker process; raises what went wrong when it started."""
    if not isinstance(_embedder, Embedder):
        raise _embedder or RuntimeError("this process is no worker")
    return list(_embedder.stream(paths, set(_known), len(paths)))
