"""What a gallery knows of its photos, for those who show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .store import GalleryStore, _parts, _quoted


@dataclass(frozen=True)
class PhotoInfo:
    path: str
    width: int
    height: int
    category: str
    size: int
    digest: str
    taken: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Catalogue:
    """Facts about photos."""

    def _found(self) -> GalleryStore:
        raise NotImplementedError

    @property
    def version(self) -> int:
        """The number of the newest commit, whoever made it."""
        return self._found().version

    def paths(self, category: str | None = None) -> list[str]:
        """The paths of all photos, or of those in a category, in order."""
        where = None if category is None else f"category = {_quoted([category])}"
        return sorted(self._found()._read(["path"], where)["path"].to_pylist())

    def infos(self, paths: Iterable[str]) -> dict[str, PhotoInfo]:
        """What is known of photos, by path; those that are not in the gallery are left out."""
        columns = ["path", "width", "height", "category", "size", "digest"]
        rows: list[dict[str, Any]] = []
        for part in _parts(list(paths)):
            rows += self._found()._read(columns, f"path IN ({_quoted(part)})").to_pylist()
        return {row["path"]: PhotoInfo(**row) for row in rows}
