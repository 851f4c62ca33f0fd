"""A plain folder of pictures: the first sub-folder is the category."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..io.files import find_images
from .base import DatasetError, Sample, chosen, folder_of


class PhotoFolder:
    """`root/<category>/**/photo.jpg`; photos that lie in `root` itself have the category ""."""

    def __init__(self, root: str | Path) -> None:
        self.root = folder_of(root)
        self._samples = [self._sample(path) for path in find_images(self.root)]
        if not self._samples:
            raise DatasetError(f"{self.root}: no pictures in this folder; give one that holds photos")
        self.categories: tuple[str, ...] = tuple(sorted({sample.label for sample in self._samples}))

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the categories (all by default), sorted by path."""
        wanted = set(chosen(self.categories, categories, self.root))
        return [sample for sample in self._samples if sample.label in wanted]

    def _sample(self, path: Path) -> Sample:
        inner = path.relative_to(self.root)
        label = inner.parts[0] if len(inner.parts) > 1 else ""
        name = inner.with_suffix("").as_posix()
        return Sample(path, label, name, "photo", name)


def by_category(root: str | Path) -> dict[str, list[Path]]:
    """The pictures of each category of such a folder; DatasetError if there are none, or for one without a category."""
    found: dict[str, list[Path]] = {}
    for sample in PhotoFolder(root).photos():
        if not sample.label:
            raise DatasetError(f"{sample.source}: not in a sub-folder, so it has no name; put it into one")
        found.setdefault(sample.label, []).append(sample.path)
    return found
