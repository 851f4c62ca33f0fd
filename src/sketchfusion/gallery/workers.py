"""Several processes on this machine embed; the one that asked for them writes."""

from __future__ import annotations

import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .embed import Embedder, Failure, Item
from .errors import GalleryError
from .rows import Photo

if TYPE_CHECKING:
    from ..extractor import Extractor


Chunk = list[Path]

FRUITLESS = 3  # pools that died in a row without an answer

_embedder: Embedder | Exception | None = None  # of a worker process
_known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Duty:
    """What a worker is to do, in a form that can be sent to it."""

    load: Callable[[], Extractor]
    fingerprint: str  # of the model that must come of it
    location: bool = True

    def embedder(self) -> Embedder:
        """Load the model; GalleryError if it is another one than was asked for."""
        model = self.load()
        if model.fingerprint != self.fingerprint:
            raise GalleryError(f"a worker loaded other weights ({model.fingerprint[:12]}) than {self.fingerprint[:12]}")
        return Embedder(model, self.location)


class LocalWorkers:
    """An engine of worker processes; a worker that dies costs nothing but its time.

    What was in its hands is given out again, file by file and one at a time, so that a file that kills whoever reads
    it is found, reported, and left out.
    """

    def __init__(self, duty: Duty, count: int) -> None:
        """Each of `count` workers has a model of its own."""
        self._duty, self._count = duty, count

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files, as they get done."""
        todo = deque([list(paths[start : start + batch_size]) for start in range(0, len(paths), batch_size)])
        suspects: deque[Path] = deque()
        fruitless = 0
        while todo or suspects:
            pool = self._pool(known)
            try:
                for item in self._rounds(pool, todo, suspects):
                    if isinstance(item, Photo):
                        known.add(item.file.digest)
                        fruitless = 0
                    yield item
            except BrokenProcessPool:  # a new pool goes on with the rest
                fruitless += 1
                if fruitless == FRUITLESS:
                    raise GalleryError(
                        f"{fruitless} times in a row a worker died without an answer; what was finished is kept, so "
                        "run the same command again with fewer --workers"
                    ) from None
            finally:
                pool.shutdown(cancel_futures=True)

    def _rounds(self, pool: ProcessPoolExecutor, todo: deque[Chunk], suspects: deque[Path]) -> Iterator[Item]:
        """Give out what is to be done until it is done, or until a worker dies."""
        while suspects:
            path = suspects.popleft()
            try:
                yield from pool.submit(embed, [path]).result()
            except BrokenProcessPool:
                yield Failure(str(path), "the worker that read it died")
                raise
        running: dict[Future[list[Item]], Chunk] = {}
        try:
            while todo or running:
                while todo and len(running) < 2 * self._count:
                    running[pool.submit(embed, todo[0])] = todo[0]
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
        setup = (self._duty, threads, frozenset(known))
        return ProcessPoolExecutor(self._count, get_context("spawn"), initializer=start, initargs=setup)


def start(duty: Duty, threads: int, known: frozenset[str]) -> None:
    """Make this process a worker that computes with some threads."""
    global _embedder, _known
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that writes
    try:
        import torch

        torch.set_num_threads(threads)
        _embedder, _known = duty.embedder(), known
    except Exception as error:  # raised here it would look as if the worker had been killed
        _embedder = error


def embed(paths: Chunk) -> list[Item]:
    """Give the rows of files, in a process that was made ready; what went wrong there is raised here."""
    if not isinstance(_embedder, Embedder):
        raise _embedder or RuntimeError("the worker was not made ready")
    return list(_embedder.stream(paths, set(_known), len(paths)))


# Ray embeds, on this machine or on the cluster that RAY_ADDRESS names; the process that asked for it writes.
#
# Every machine of the cluster must see the photos under the same paths.


class RayWorkers:
    """An engine of Ray actors; one that dies costs nothing but its time.

    What was in its hands is given out again, file by file, so that a file that kills whoever reads it is found,
    reported, and left out.
    """

    def __init__(self, duty: Duty, count: int) -> None:
        """Each of `count` actors has a model of its own. GalleryError if Ray is not installed."""
        try:
            import ray
        except ImportError:
            raise GalleryError("--engine ray needs Ray: pip install 'sketchfusion[ray]'") from None
        self._ray: Any = ray
        self._duty, self._count = duty, count

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files, as they get done."""
        chunks = [list(paths[place : place + batch_size]) for place in range(0, len(paths), batch_size)]
        begun = not self._ray.is_initialized()
        if begun:
            with warnings.catch_warnings(action="ignore"):  # LanceDB's, of the processes that Ray starts
                self._ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        try:
            yield from self._rounds(deque(chunks), known)
        finally:
            if begun:
                self._ray.shutdown()

    def _rounds(self, todo: deque[Chunk], known: set[str]) -> Iterator[Item]:
        """Give each free actor a chunk until all are done."""
        new = self._actor_maker()
        free = [new(frozenset(known)) for _ in range(min(self._count, len(todo)))]
        running: dict[Any, tuple[Any, Chunk]] = {}
        suspects: set[Path] = set()
        fruitless = 0
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
                fruitless += 1
                if fruitless == FRUITLESS * self._count:
                    raise GalleryError(
                        f"{fruitless} times in a row a Ray actor died without an answer ({_last_line(error)}); what "
                        "was finished is kept, so run the same command again with fewer --workers"
                    ) from None
                guilty = [path for path in chunk if len(chunk) == 1 and path in suspects]
                yield from (Failure(str(path), "the worker that read it died") for path in guilty)
                suspects.update(chunk)
                todo.extend([path] for path in chunk if path not in guilty)
                free.append(new(frozenset(known)))
                continue
            free.append(actor)
            fruitless = 0
            known |= {item.file.digest for item in items if isinstance(item, Photo)}
            yield from items

    def _actor_maker(self) -> Any:
        """A function that starts an actor with what is known; GalleryError if the cluster is too small for all."""
        there = self._ray.cluster_resources()
        if there.get("CPU", 0) < self._count:
            raise GalleryError(f"Ray has {there.get('CPU', 0):g} CPUs; ask for that many --workers at most")
        share = min(1.0, there.get("GPU", 0) / self._count)
        remote = self._ray.remote(num_cpus=1, num_gpus=share, scheduling_strategy="SPREAD")(Actor)
        return lambda known: remote.remote(self._duty, known)


class Actor:
    """A worker of Ray's."""

    def __init__(self, duty: Duty, known: frozenset[str]) -> None:
        """Load the model."""
        start(duty, 1, known)

    def embed(self, paths: Chunk) -> list[Item]:
        """Give the rows of files."""
        return embed(paths)


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1].strip()
