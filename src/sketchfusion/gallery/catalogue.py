"""What a gallery knows of its photos, for those who show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .store import GalleryStore


@dataclass(frozen=True)
class PhotoInfo:
    """One photo of a gallery."""

    path: str
    width: int  # pixels, upright
    height: int
    category: str  # the name of its folder
    size: int  # bytes of its file
    digest: str  # SHA-256 of its bytes
    taken: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Catalogue:
    """The part of a gallery that lists and describes."""

    def _found(self) -> GalleryStore:
        raise NotImplementedError

    @property
    def version(self) -> int:
        """The number of the newest commit, whoever made it."""
        return self._found().version

    def paths(self, category: str | None = None) -> list[str]:
        """The paths of all photos, or of those in a category, in order."""
        return sorted(row["path"] for row in self._found().details(["path"], "category", category and [category]))

    def infos(self, paths: Iterable[str]) -> dict[str, PhotoInfo]:
        """What is known of photos, by path; those that are not in the gallery are left out."""
        names = [field.name for field in fields(PhotoInfo)]
        rows: Sequence[dict[str, Any]] = self._found().details(names, "path", list(paths))
        return {row["path"]: PhotoInfo(**row) for row in rows}
