"""The state behind the routes: a gallery, its model with the queue in front of it, photos and indexing jobs."""

import contextlib
import hashlib
import io
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import numpy as np
import torch
from torch import Tensor

from ..extractor import Extractor
from ..featuremap import Floats
from ..gallery import Gallery, GalleryError, Query, Report
from ..gallery.facets import dated, in_folder
from ..gallery.nearest import Hits
from ..gallery.query import likely, see
from ..io.exif import Camera, read_camera
from ..io.images import Reduced, read_reduced
from ..tasks.inputs import read_sketches
from ..tasks.recognition import Guess, Namer
from .drawing import Picture, read_photo, read_sketch
from .following import Follower
from .messages import Drawing, FolderCount, GalleryInfo, ImageDrawing, Indexing, Limits, MonthCount
from .queue import Lane, ModelQueue, Stopped
from .uploads import Jobs, upload_folder

Result = TypeVar("Result")
Found = tuple[Hits, list[Guess]]  # photos, best first, and labels of the drawing

GUESSES = 5
ABOVE = re.compile(r"(?<![\w:/.~])/(?:[^\s/'\"]+/)+")  # the folders of a path, not of an address
WARMUP = np.full((128, 128, 3), 255, np.uint8)  # a square; any drawing runs every part of the model once
WARMUP[40:88, 40:88] = 0


class NotFound(LookupError):
    """A photo or job does not exist, or its file is gone."""


class Studio:
    """One gallery served to many clients."""

    def __init__(
        self, uri: str, model: Extractor | str | None = None, limits: Limits | None = None, demo: bool = False
    ) -> None:
        """Start to load the model; requests wait until it is loaded."""
        self.uri, self.uploads, self.demo = uri, upload_folder(uri), demo
        self.limits = limits or Limits()
        self.started = time.monotonic()
        self.stopping = threading.Event()
        self.gallery = Gallery.open(uri, model)
        self.photos = PhotoStore(self.gallery, self.limits)
        self._decoders = anyio.CapacityLimiter(self.limits.decoders)
        searcher = Searcher(self.gallery)
        self.searching: Lane[Query, Found] = Lane("search", self.limits.batch, searcher)
        self.queue = ModelQueue(lambda: self._prepare(searcher), self.limits.waiting)
        self.jobs = Jobs(self._index, self.explain, self._discard, self.limits.jobs, self.limits.jobs_waiting)
        self.follower: Follower | None = None  # None if no folders are followed
        self.left_out: list[str] = []  # of these folders, for whoever started the studio: a line for each file or kind
        # of the page, with its token, for other devices in the network of now: a laptop moves from one to another
        self.network_address: Callable[[], str | None] = lambda: None

    @property
    def name(self) -> str:
        return "demo" if self.demo else self.uri.rstrip("/").rpartition("/")[2] or "gallery"

    def gallery_info(self, folder: str = "", date: str = "") -> GalleryInfo:
        """Describe the gallery; photos are counted by folder for a date, and by month for a folder's identifier."""
        photos = len(self.gallery)
        info = GalleryInfo(name=self.name, photos=photos, demo=self.demo)
        if photos:
            chosen = ""
            with contextlib.suppress(NotFound):
                chosen = folder and self.photos.path(folder)
            facets, name = self.gallery.facets(chosen, date), self.photos.identifier
            for one in facets.folders:
                above, last = one.parent and name(one.parent), Path(one.path).name
                info.folders.append(FolderCount(id=name(one.path), name=last, parent=above, photos=one.photos))
            info.months = [MonthCount(month=month, photos=count) for month, count in facets.months.items()]
            info.undated = facets.undated
        return info

    def follow(self, folders: Sequence[str]) -> None:
        """Index folders in the background, then watch them until the studio closes; their files are only read."""
        what = folders, self._opened, self.explain, self.left_out, self.limits.background_batch
        self.follower = Follower(*what)

    @property
    def following(self) -> Indexing | None:
        """How far the folders that the studio follows are indexed."""
        return self.follower.state if self.follower else None

    async def loaded(self) -> None:
        """Wait until the model is loaded. Raises Stopped if it cannot be."""
        while not self.queue.ready.is_set():
            await anyio.sleep(0.1)
        if self.queue.failure:
            raise Stopped

    async def sketch(self, drawing: Drawing) -> Picture:
        return await self.decode(lambda: read_sketch(drawing, self.limits))

    async def photo(self, photo: ImageDrawing) -> Tensor:
        return await self.decode(lambda: read_photo(photo, self.limits))

    async def decode(self, call: Callable[[], Result]) -> Result:
        """Run a function that decodes pictures in a thread, `limits.decoders` at a time."""
        return await anyio.to_thread.run_sync(call, limiter=self._decoders)

    def explain(self, error: Exception) -> str:
        """Describe an error in one line, without where the gallery, its uploads and the photos lie."""
        text = str(error)
        places = {self.uri, str(Path(self.uri).absolute()), str(self.uploads)}
        for place in sorted(places, key=len, reverse=True):  # a relative one is a part of the absolute one
            text = text.replace(place, self.name)
        return " ".join(ABOVE.sub("", text).split())[:300] or type(error).__name__

    def close(self) -> None:
        """Finish running requests and stop the jobs; photos indexed so far are kept."""
        self.stopping.set()
        self.jobs.close()
        self.queue.close()
        if self.follower:
            self.follower.close()

    def _prepare(self, searcher: "Searcher") -> None:
        """Load the model and run it once; its labels are encoded later, while no request waits."""
        model = self.gallery.model
        self._warm()
        if model.labels:
            model.encode_image([WARMUP], kind="sketch")
            threading.Thread(target=self._encode_labels, args=(searcher, model), name="labels", daemon=True).start()

    def _warm(self) -> None:
        """Search once, so that no client waits for what happens only the first time."""
        for answer in self.searching.run([Query(read_sketches([WARMUP]), k=1)]):
            if isinstance(answer, Exception):
                raise answer

    def _encode_labels(self, searcher: "Searcher", model: Extractor) -> None:
        """Encode the model's labels in small pieces between requests."""
        with contextlib.suppress(Stopped):
            # a classifier on other weights is left out: it would run the whole model a second time for each stroke
            queued = cast(Extractor, QueuedModel(model, self.queue))
            searcher.namer = Namer(queued, classify=model.recognises_as_it_is)

    def _opened(self) -> Gallery:
        """Open the gallery for background work, once the model is loaded. Raises Stopped if it cannot be."""
        self.queue.ready.wait()
        if self.queue.failure:
            raise Stopped
        return Gallery.open(self.uri, cast(Extractor, QueuedModel(self.gallery.model, self.queue)))

    def _index(self, paths: Sequence[Path], progress: Callable[[int, int], None]) -> Report:
        self.queue.ready.wait()
        model = cast(Extractor, QueuedModel(self.gallery.model, self.queue))
        report = Gallery.open(self.uri, model).add(paths, progress, self.limits.background_batch)
        self._discard([Path(failure.path) for failure in report.failed])
        self.queue.run(self._warm)
        return report

    def _discard(self, paths: Sequence[Path]) -> None:
        """Delete uploads that the gallery does not have."""
        with contextlib.suppress(GalleryError):  # whatever keeps it from being read: it may have them
            kept = self.gallery.infos(paths) if len(self.gallery) else {}
            for path in paths:
                if str(path) not in kept:
                    path.unlink(missing_ok=True)


class Searcher:
    """Answer searches in batches; for the model's thread only."""

    def __init__(self, gallery: Gallery) -> None:
        """Search `gallery`; drawings get labels once `namer` is set."""
        self.gallery = gallery
        self.namer: Namer | None = None

    def __call__(self, queries: Sequence[Query]) -> list[Found | Exception]:
        """Answer queries of at most one sketch each, or give the error of each; one of the model ends them all."""
        sketches = [query.sketches[0] for query in queries if query.sketches]
        seen = iter(self._see(sketches) if sketches else ())
        answers: list[Found | Exception] = []
        for query in queries:
            vector, names = next(seen) if query.sketches else (None, [])
            try:
                query = replace(query, also=likely(names))
                hits = self.gallery.answer(query, vector) if len(self.gallery) else Hits()
                answers.append((hits, names))
            except ValueError as error:  # what the gallery says of a query is meant for the client
                answers.append(GalleryError(str(error)))
            except Exception as error:
                answers.append(error)
        return answers

    def _see(self, sketches: Sequence[Tensor]) -> list[tuple[Floats, list[Guess]]]:
        """Embed sketches, (1, d) each, and label them, in one pass over the model where that can be."""
        namer = self.namer  # which another thread may set meanwhile
        vectors, each = see(self.gallery.model, namer, sketches)
        names = namer.best(each, GUESSES) if namer else [[] for _ in sketches]
        return [*zip(vectors[:, None], names, strict=True)]


class PhotoStore:
    """Photos by opaque identifiers, which last as long as the gallery's URI, so that clients never see a path."""

    def __init__(self, gallery: Gallery, limits: Limits) -> None:
        self._gallery, self._limits = gallery, limits
        self._paths: dict[str, str] = {}
        self._scanned: int | None = None  # version of the gallery whose paths are all known
        self._thumbnails: OrderedDict[str, bytes] = OrderedDict()
        self._cached_bytes, self._cached_version = 0, -1  # of the gallery, which other processes change too
        self._lock = threading.Lock()

    def identifier(self, path: str) -> str:
        """Return the identifier of a photo or folder, a digest of its path."""
        digest = hashlib.blake2b(f"{self._gallery.uri}\0{path}".encode(), digest_size=15).hexdigest()
        self._paths[digest] = path
        return digest

    def path(self, identifier: str) -> str:
        """Return the path of a photo or folder, which may be gone meanwhile; NotFound if there never was one."""
        if identifier not in self._paths:
            self._scan()
        if (path := self._paths.get(identifier)) is None:
            raise NotFound("no such photo or folder in the gallery")
        return path

    def present(self, identifiers: Collection[str]) -> list[str]:
        """Return the paths of those photos that the gallery still has."""
        if not identifiers or not len(self._gallery):
            return []
        if not self._paths.keys() >= set(identifiers):
            self._scan()
        return [*self._gallery.infos(self._paths[one] for one in identifiers if one in self._paths)]

    def condition(self, folder: str | None, date: str | None) -> str | None:
        """Write the SQL condition for photos in a folder, given by its identifier, and of a date; None for all."""
        parts = [in_folder(self.path(folder))] if folder else []
        return " AND ".join([*parts, dated(date)] if date else parts) or None

    def thumbnails(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Return small JPEG pictures by path, from memory where the gallery has not changed meanwhile."""
        version = self._gallery.version
        with self._lock:
            if version != self._cached_version:
                self._thumbnails.clear()
                self._cached_bytes, self._cached_version = 0, version
            cached = {path: self._thumbnails[path] for path in paths if path in self._thumbnails}
            for path in cached:
                self._thumbnails.move_to_end(path)
        fetched = self._gallery.thumbnails([path for path in paths if path not in cached])
        with self._lock:
            for path, data in fetched.items() if version == self._cached_version else ():
                self._cached_bytes += len(data) - len(self._thumbnails.pop(path, b""))
                self._thumbnails[path] = data
            while self._cached_bytes > self._limits.thumbnail_bytes:
                self._cached_bytes -= len(self._thumbnails.popitem(last=False)[1])
        return cached | fetched

    def original(self, path: str, side: int | None) -> Reduced:
        """Read a photo with no edge longer than `side`, if it is given; NotFound as `file` raises it."""
        return read_reduced(self.file(path), side, "photo", Path(path).name)

    def camera(self, path: str) -> Camera:
        """Read what a photo was taken with; nothing is known of one whose file is gone or has changed."""
        try:
            return read_camera(self.file(path))
        except NotFound:
            return Camera()

    def file(self, path: str) -> bytes:
        """Read the file of a photo as it is; NotFound unless it is the one that was indexed."""
        if (info := self._gallery.infos([path]).get(path)) is None:
            raise NotFound("no such photo in the gallery any more")
        try:
            data = Path(path).read_bytes()
        except OSError:
            raise NotFound(f"{Path(path).name}: the file is gone; only its small picture is left") from None
        if hashlib.sha256(data).hexdigest() != info.digest:
            raise NotFound(f"{Path(path).name}: the file has changed since it was indexed; index it again")
        return data

    def zipped(self, paths: Mapping[str, str]) -> Iterator[bytes]:
        """Yield a ZIP archive of photos under the names given for their paths; missing.txt lists the others."""
        pieces, missing = _Pieces(), list[str]()
        with zipfile.ZipFile(pieces, "w") as archive:  # photos do not get smaller by compression
            for path, name in paths.items():
                try:
                    data = self.file(path)
                    entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
                except (NotFound, OSError) as error:
                    missing.append(f"{name}: {error if isinstance(error, NotFound) else error.strerror}")
                else:
                    archive.writestr(entry, data)
                    yield pieces.take()
            if missing:
                archive.writestr("missing.txt", "\n".join(missing) + "\n")
        yield pieces.take()

    def _scan(self) -> None:
        """Compute the identifiers of all paths, once for each version of the gallery."""
        version = self._gallery.version
        if version != self._scanned:
            folders = [folder.path for folder in self._gallery.facets().folders]
            for path in [*self._gallery.paths(), *folders]:
                self.identifier(path)
            self._scanned = version


class _Pieces(io.RawIOBase):
    """A file that only grows at its end, and whose new bytes can be taken away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def reveal(path: str) -> None:
    """Show a file in this machine's file manager, or at least its folder."""
    if sys.platform == "darwin":
        commands = [["open", "-R", path]]
    elif sys.platform == "win32":
        commands = [["explorer", f"/select,{path}"]]
    else:
        manager = ["--dest=org.freedesktop.FileManager1", "/org/freedesktop/FileManager1"]
        call = ["org.freedesktop.FileManager1.ShowItems", f"array:string:{Path(path).as_uri()}", "string:"]
        commands = [["dbus-send", "--session", "--print-reply", *manager, *call], ["xdg-open", str(Path(path).parent)]]
    for command in commands:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
            if not done.returncode or sys.platform == "win32":  # the Explorer answers 1 when all is well
                return
    raise NotFound("there is no file manager to show the photo in; copy its path")


class QueuedModel:
    """The model for background work: its methods run on the model's thread while no request waits."""

    UNQUEUED = ("prepare", "for_task")  # these do not run the model

    def __init__(self, model: Extractor, queue: ModelQueue) -> None:
        self._model, self._queue = model, queue

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the model; methods are queued."""
        value = getattr(self._model, name)
        if name in self.UNQUEUED or not callable(value):
            return value

        def queued(*args: Any, **options: Any) -> Any:
            return self._queue.run(lambda: torch.no_grad()(value)(*args, **options))  # no_grad is set per thread

        return queued
