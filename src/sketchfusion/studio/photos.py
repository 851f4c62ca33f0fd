"""The photos of the gallery as the page may see them: opaque names, small pictures, and never a path."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..gallery import Gallery
from ..io.images import Reduced, read_reduced
from .limits import Limits


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
