"""What a gallery knows of its photos, for those who show them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from .faults import GalleryError
from .rows import PhotoInfo
from .store import GalleryStore
from .table import absolute, parts, quoted


class Catalogue(ABC):
    """The part of a gallery that lists and describes."""

    uri: str

    @abstractmethod
    def _found(self) -> GalleryStore:
        """The store; GalleryError if there is none yet."""

    @property
    def version(self) -> int:
        """The number of the newest commit, whoever made it."""
        return self._found().version

    @property
    def categories(self) -> list[str]:
        """The names of the folders that the photos lie in."""
        return self._found().categories()

    def paths(self, category: str | None = None) -> list[str]:
        """The paths of all photos, or of those in a category, in order."""
        return self._found().paths(category)

    def photos(self, offset: int = 0, limit: int = 100, category: str | None = None) -> list[PhotoInfo]:
        """What is known of photos, ordered by path, a page at a time."""
        return list(self.infos(self.paths(category)[offset : offset + limit]).values())

    def infos(self, paths: Iterable[str]) -> dict[str, PhotoInfo]:
        """What is known of photos, by path; those that are not in the gallery are left out."""
        store = self._found()
        return {info.path: info for part in parts(list(paths)) for info in store.infos(f"path IN ({quoted(part)})")}

    def info(self, path: str | Path) -> PhotoInfo:
        """What is known of one photo; GalleryError if it is not in the gallery."""
        found = self.infos([absolute(path)])
        if not found:
            raise GalleryError(f"{path} is not in gallery {self.uri}")
        return found[absolute(path)]

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Small JPEG pictures of photos by path; they outlive the files."""
        return self._found().thumbnails(paths)
