"""Everything the routes work with: a gallery, its model, and what queues before it."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..extractor import Extractor
from ..gallery import Gallery, GalleryError, Hit, Report
from ..io.images import Reduced, read_reduced
from ..tasks.inputs import read_sketches
from ..tasks.recognition import Guess, Namer, TextImageSpace
from .drawing import Sketch, read_sketch
from .limits import Limits
from .messages import Drawing
from .queue import Lane, ModelQueue, Stopped
from .uploads import Jobs

# Many drawings, one run of the model: the answers to all searches that wait.


GUESSES = 5


@dataclass(frozen=True, eq=False)
class QueuedSearch:
    """What one client looks for."""

    sketch: Tensor | None  # (3, H, W), dark on white
    like: str | None  # the path of a photo of the gallery
    text: str | None
    k: int
    category: str | None
    min_score: float | None
    group: bool


@dataclass(frozen=True)
class SearchHits:
    """Photos, best first, and names for what was drawn."""

    hits: list[Hit]
    guesses: list[Guess]


class Searcher:
    """Answers searches in batches; only the model's thread may call it."""

    def __init__(self, gallery: Gallery) -> None:
        """Names are known once `namer` is set."""
        self.gallery = gallery
        self.namer: Namer | None = None

    def __call__(self, questions: Sequence[QueuedSearch]) -> list[SearchHits | Exception]:
        """Answer each question; what is wrong with one harms no other."""
        drawn = [question.sketch for question in questions if question.sketch is not None]
        vectors = iter(self._embedded(drawn))
        guesses = iter(self.namer.name(drawn, GUESSES) if self.namer and drawn else [[]] * len(drawn))
        answers: list[SearchHits | Exception] = []
        for question in questions:
            vector = next(vectors) if question.sketch is not None else None
            names = next(guesses) if question.sketch is not None else []
            try:
                answers.append(SearchHits(self._hits(question, vector), names))
            except ValueError as error:  # what the gallery says of a question is meant for who asked it
                answers.append(GalleryError(str(error)))
            except Exception as error:
                answers.append(error)
        return answers

    def _embedded(self, sketches: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        if not sketches:
            return np.empty((0, 0), np.float32)
        vectors: npt.NDArray[np.float32] = self.gallery.model.embed(
            list(sketches), kind="sketch", batch_size=len(sketches)
        ).numpy()
        return vectors

    def _hits(self, question: QueuedSearch, vector: npt.NDArray[np.float32] | None) -> list[Hit]:
        if not len(self.gallery):
            return []
        return self.gallery.find(
            None if vector is None else vector[None],
            question.k,
            question.category,
            text=question.text,
            like=question.like,
            min_score=question.min_score,
            group=question.group,
        )


# The photos of the gallery as the page may see them: opaque names, small pictures, and never a path.


class Missing(LookupError):
    """There is no such photo, or its file is gone."""


class Shelf:
    """Gives photos out by opaque names, which are the same for a path as long as the gallery lives where it does."""

    def __init__(self, gallery: Gallery, limits: Limits) -> None:
        """Nothing is read before it is asked for."""
        self._gallery, self._limits = gallery, limits
        self._paths: dict[str, str] = {}
        self._scanned: int | None = None  # the version of the gallery whose paths are all known
        self._thumbnails: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0  # bytes of thumbnails
        self._lock = threading.Lock()

    def name(self, path: str) -> str:
        """The opaque name of a photo; it says nothing to those who do not know the path."""
        digest = hashlib.blake2b(f"{self._gallery.uri}\0{path}".encode(), digest_size=15).hexdigest()
        self._paths[digest] = path
        return digest

    def path(self, name: str) -> str:
        """The path of a photo of the gallery; Missing if there is none of that name."""
        if name not in self._paths:
            self._scan()
        path = self._paths.get(name)
        if path is None:
            raise Missing("no such photo in the gallery")
        return path

    def thumbnails(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Small JPEG pictures by path, from memory where they were asked for before."""
        with self._lock:
            found = {path: self._thumbnails[path] for path in paths if path in self._thumbnails}
            for path in found:
                self._thumbnails.move_to_end(path)
        missing = [path for path in paths if path not in found]
        return found | self._fetch(missing) if missing else found

    def forget(self, paths: Iterable[str]) -> None:
        """Drop what is held of photos that were removed or made anew."""
        with self._lock:
            for path in paths:
                self._held -= len(self._thumbnails.pop(path, b""))

    def original(self, path: str, side: int) -> Reduced:
        """The photo itself, no edge longer than `side`: only the very file that was indexed, else Missing."""
        facts = self._gallery.infos([path]).get(path)
        if facts is None:
            raise Missing("no such photo in the gallery any more")
        try:
            data = Path(path).read_bytes()
        except OSError:
            raise Missing(f"{Path(path).name}: the file is gone; its small picture is all there is") from None
        if hashlib.sha256(data).hexdigest() != facts.digest:
            raise Missing(f"{Path(path).name}: the file has changed since it was indexed; index it again")
        return read_reduced(data, side, "photo", Path(path).name)

    def _scan(self) -> None:
        """Learn all paths, once for each version of the gallery."""
        version = self._gallery.version
        if version != self._scanned:
            for path in self._gallery.paths():
                self.name(path)
            self._scanned = version

    def _fetch(self, paths: Sequence[str]) -> dict[str, bytes]:
        fetched = self._gallery.thumbnails(paths)
        with self._lock:
            for path, data in fetched.items():
                self._held += len(data) - len(self._thumbnails.pop(path, b""))
                self._thumbnails[path] = data
            while self._held > self._limits.thumbnail_bytes:
                self._held -= len(self._thumbnails.popitem(last=False)[1])
        return fetched


Read = TypeVar("Read")

# Any drawing will do to run every part of the model once before the first client waits for it.
WARMING = np.full((128, 128, 3), 255, np.uint8)
WARMING[40:88, 40:88] = 0


class QueuedModel:
    """The model as indexing sees it: every run waits until no question does, and is done on the model's thread."""

    FREE = ("prepare", "for_task")  # no run of the model

    def __init__(self, model: Extractor, queue: ModelQueue) -> None:
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
        model: Extractor | str | None = None,
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
        self.searching: Lane[QueuedSearch, SearchHits] = Lane("search", self.limits.batch, searcher)
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
        for answer in self.searching.run([QueuedSearch(read_sketches([WARMING])[0], None, None, 1, None, None, False)]):
            if isinstance(answer, Exception):
                raise answer

    def _read_names(self, searcher: Searcher, model: Extractor) -> None:
        """Let the names of things be read piece by piece, while nobody waits."""
        with contextlib.suppress(Stopped):
            # every stroke asks, and a classifier would be a second pass of the whole model
            searcher.namer = Namer(cast(TextImageSpace, QueuedModel(model, self.queue)), classify=False)

    def _index(self, paths: Sequence[Path], progress: Callable[[int, int], None]) -> Report:
        self.queue.ready.wait()
        model = cast(Extractor, QueuedModel(self.gallery.model, self.queue))
        report = Gallery.open(self.uri, model).add(paths, progress, self.limits.background_batch)
        for failure in report.failed:
            Path(failure.path).unlink(missing_ok=True)
        self.shelf.forget(map(str, paths))
        self.queue.run(self._warm)
        return report
