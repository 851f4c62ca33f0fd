"""Ray embeds, on this machine or on the cluster that RAY_ADDRESS names; the process that asked for it writes.

Every machine of the cluster must see the photos under the same paths.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .embed import Failure, Item
from .faults import GalleryError
from .rows import Photo
from .workers import FRUITLESS, Chunk, Duty, embed, start


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
