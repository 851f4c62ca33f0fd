"""Everything the routes work with: a gallery, its model, and what queues before it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import numpy as np
import torch

from ..extractor import BatchExtractor
from ..gallery import Gallery, Report
from ..tasks.inputs import read_sketches
from ..tasks.recognition import Namer, TextImageSpace
from .drawing import Sketch, read_sketch
from .jobs import Jobs
from .limits import Limits
from .photos import Shelf
from .queue import Lane, ModelQueue, Stopped
from .schemas import Drawing
from .search import Found, Question, Searcher

Read = TypeVar("Read")

# Any drawing will do to run every part of the model once before the first client waits for it.
WARMING = np.full((128, 128, 3), 255, np.uint8)
WARMING[40:88, 40:88] = 0


class QueuedModel:
    """The model as indexing sees it: every run waits until no question does, and is done on the model's thread."""

    FREE = ("view", "for_task")  # no run of the model

    def __init__(self, model: BatchExtractor, queue: ModelQueue) -> None:
        """Stand before a model."""
        self._model, self._queue = model, queue

    def __getattr__(self, name: str) -> Any:
        """The model's own attribute, its methods queued."""
        value = getattr(self._model, name)
        if name in self.FREE or not callable(value):
            return value

        def queued(*args: Any, **options: Any) -> Any:
            return self._queue.run(lambda: torch.no_grad()(value)(*args, **options))  # which is set for each thread

        return queued


class Studio:
    """One gallery opened for many clients."""

    def __init__(
        self,
        uri: str,
        uploads: Path,
        model: BatchExtractor | str | None = None,
        limits: Limits | None = None,
        demo: bool = False,
    ) -> None:
        """Begin to load the model; questions that come meanwhile wait. Uploaded photos are kept in `uploads`."""
        self.uri, self.uploads, self.demo = uri, uploads, demo
        self.limits = limits or Limits()
        self.started = time.monotonic()
        self.stopping = False
        self.gallery = Gallery.open(uri, model)
        self.shelf = Shelf(self.gallery, self.limits)
        self._decoders = anyio.CapacityLimiter(self.limits.decoders)
        searcher = Searcher(self.gallery)
        self.searching: Lane[Question, Found] = Lane("search", self.limits.batch, searcher)
        self.queue = ModelQueue(lambda: self._prepare(searcher), self.limits.waiting)
        self.jobs = Jobs(self._index, self.explain, self.limits.jobs, self.limits.jobs_waiting)

    @property
    def name(self) -> str:
        """What the gallery is called, without where it lies."""
        return "demo" if self.demo else self.uri.rstrip("/").rpartition("/")[2] or "gallery"

    async def loaded(self) -> None:
        """Wait for the model."""
        while not self.queue.ready.is_set():
            await anyio.sleep(0.1)
        if self.queue.failure:
            raise Stopped

    async def sketch(self, drawing: Drawing) -> Sketch:
        """Read a drawing."""
        return await self.decoding(lambda: read_sketch(drawing, self.limits))

    async def decoding(self, call: Callable[[], Read]) -> Read:
        """Read a picture beside the event loop, only so many at a time."""
        return await anyio.to_thread.run_sync(call, limiter=self._decoders)

    async def reading(self, call: Callable[[], Read]) -> Read:
        """Ask the store something beside the event loop."""
        return await anyio.to_thread.run_sync(call)

    def explain(self, error: Exception) -> str:
        """One line about what a client can put right, without saying where the gallery lies."""
        text = str(error)
        for place in {self.uri, str(Path(self.uri).absolute()), str(self.uploads)}:
            text = text.replace(place, self.name)
        return " ".join(text.split())[:300] or type(error).__name__

    def close(self) -> None:
        """Finish what is being done; what was committed of a running job stays."""
        self.stopping = True
        self.jobs.close()
        self.queue.close()

    def _prepare(self, searcher: Searcher) -> None:
        """Load and run the model once; names are read when nobody waits."""
        model = self.gallery.model
        self._warm()
        if isinstance(model, TextImageSpace) and model.labels:
            model.encode_image([WARMING], kind="sketch")
            threading.Thread(target=self._read_names, args=(searcher, model), name="names", daemon=True).start()

    def _warm(self) -> None:
        """Search once, so that nobody waits for what is only done the first time."""
        for answer in self.searching.run([Question(read_sketches([WARMING])[0], None, None, 1, None, None, False)]):
            if isinstance(answer, Exception):
                raise answer

    def _read_names(self, searcher: Searcher, model: BatchExtractor) -> None:
        """Let the names of things be read piece by piece, while nobody waits."""
        with contextlib.suppress(Stopped):
            # every stroke asks, and a classifier would be a second pass of the whole model
            searcher.namer = Namer(cast(TextImageSpace, QueuedModel(model, self.queue)), classify=False)

    def _index(self, paths: Sequence[Path], progress: Callable[[int, int], None]) -> Report:
        self.queue.ready.wait()
        model = cast(BatchExtractor, QueuedModel(self.gallery.model, self.queue))
        report = Gallery.open(self.uri, model).add(paths, progress, self.limits.background_batch)
        for failure in report.failed:
            Path(failure.path).unlink(missing_ok=True)
        self.shelf.forget(map(str, paths))
        self.queue.run(self._warm)
        return report
