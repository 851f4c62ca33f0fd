"""A plain folder of pictures: the first sub-folder is the category."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ...io.files import find_images
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


# Tiny-imagenet: 200 classes of photos of 64 px, named by WordNet ids.


class TinyImageNet:
    """`root` holds `wnids.txt`, `words.txt`, `train/<wnid>/images/` and `val/` with its annotations."""

    def __init__(self, root: str | Path) -> None:
        self.root = folder_of(root)
        try:
            words = dict(line.split("\t") for line in (self.root / "words.txt").read_text().splitlines())
            wnids = (self.root / "wnids.txt").read_text().split()
            self.synonyms = {wnid: [name.strip() for name in words[wnid].split(",")] for wnid in wnids}
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{self.root}: wnids.txt and words.txt do not name the classes ({error})") from error
        self.categories: tuple[str, ...] = tuple(dict.fromkeys(names[0] for names in self.synonyms.values()))

    def train(self) -> list[tuple[Path, str]]:
        """The training photos and their WordNet ids."""
        folders = {wnid: self.root / "train" / wnid / "images" for wnid in self.synonyms}
        return [(path, wnid) for wnid, folder in folders.items() for path in sorted(folder.iterdir())]

    def validation(self) -> list[Sample]:
        """The validation photos, each labelled with the first name of its class."""
        folder = self.root / "val"
        annotations = folder / "val_annotations.txt"
        if not annotations.is_file():
            raise DatasetError(f"{annotations} is missing; it names the validation photos")
        rows = [line.split("\t")[:2] for line in annotations.read_text().splitlines()]
        return [
            Sample(folder / "images" / name, self.synonyms[wnid][0], f"val/{name}")
            for name, wnid in rows
            if wnid in self.synonyms
        ]


def is_tiny_imagenet(root: Path) -> bool:
    """Whether a folder looks like one."""
    return (root / "wnids.txt").is_file()
