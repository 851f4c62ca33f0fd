"""Data sets of photos alone: a plain folder, whose sub-folders are categories, and Tiny-imagenet."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ...io.files import find_images
from .base import Dataset, DatasetError, Sample

if TYPE_CHECKING:
    from ...io.images import Kind


class PhotosOnly(Dataset):
    """A data set of photos alone, all of which are measured on; nothing is held out from training."""

    def contents(self, untrained: bool = False) -> list[tuple[Sample, frozenset[str]]]:
        return super().contents()

    @property
    def names(self) -> list[str]:
        """All categories: the names to choose from when photos are named."""
        return [category for category in self.categories if category]

    def named(self, kind: "Kind", examples: bool = False) -> list[Sample]:
        """All photos with a category; DatasetError for sketches and examples, which there are none of."""
        if examples:
            raise DatasetError(f"{self.root} has no held-out part next to its examples; give sketches")
        if kind == "sketch":
            raise DatasetError(f"{self.root} holds photos only; name those")
        return self.photos(self.names)


class PhotoFolder(PhotosOnly):
    """`root/<category>/**/photo.jpg`; photos that lie in `root` itself have the category ""."""

    layout = "folder of photos"

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._samples = [self._sample(path) for path in find_images(self.root)]
        if not self._samples:
            raise DatasetError(f"{self.root}: no pictures in this folder; give one that holds photos")
        self.categories = tuple(sorted({sample.label for sample in self._samples}))

    @classmethod
    def present(cls, root: Path) -> bool:
        return bool(find_images(root))

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the categories (all by default), sorted by path."""
        wanted = set(self._checked(categories))
        return [sample for sample in self._samples if sample.label in wanted]

    def _sample(self, path: Path) -> Sample:
        inner = path.relative_to(self.root)
        label = inner.parts[0] if len(inner.parts) > 1 else ""
        name = inner.with_suffix("").as_posix()
        return Sample(path, label, name, "photo", name)


def by_category(root: str | Path) -> dict[str, list[Path]]:
    """List the pictures of a folder by sub-folder; DatasetError if there are none, or for one in no sub-folder."""
    found: dict[str, list[Path]] = {}
    for sample in PhotoFolder(root).photos():
        if not sample.label:
            raise DatasetError(f"{sample.source}: not in a sub-folder, so it has no name; put it into one")
        found.setdefault(sample.label, []).append(sample.path)
    return found


class TinyImageNet(PhotosOnly):
    """200 classes of photos of 64 px, named by WordNet ids.

    `root` holds `wnids.txt`, `words.txt`, `train/<wnid>/images/` and `val/` with its annotations.
    """

    layout = "tiny-imagenet"

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        try:
            words = dict(line.split("\t") for line in (self.root / "words.txt").read_text().splitlines())
            wnids = (self.root / "wnids.txt").read_text().split()
            self.synonyms = {wnid: [name.strip() for name in words[wnid].split(",")] for wnid in wnids}
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{self.root}: wnids.txt and words.txt do not name the classes ({error})") from error
        self.categories = tuple(dict.fromkeys(names[0] for names in self.synonyms.values()))

    @classmethod
    def present(cls, root: Path) -> bool:
        return (root / "wnids.txt").is_file()

    def train(self) -> list[tuple[Path, str]]:
        """List the training photos with their WordNet ids."""
        folders = {wnid: self.root / "train" / wnid / "images" for wnid in self.synonyms}
        return [(path, wnid) for wnid, folder in folders.items() for path in sorted(folder.iterdir())]

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The validation photos of the categories (all by default), labelled with the first name of their class."""
        folder = self.root / "val"
        annotations = folder / "val_annotations.txt"
        if not annotations.is_file():
            raise DatasetError(f"{annotations} is missing; it names the validation photos")
        rows = [line.split("\t")[:2] for line in annotations.read_text().splitlines()]
        wanted = set(self._checked(categories))
        return [
            Sample(folder / "images" / name, self.synonyms[wnid][0], f"val/{name}")
            for name, wnid in rows
            if wnid in self.synonyms and self.synonyms[wnid][0] in wanted
        ]

    def contents(self, untrained: bool = False) -> list[tuple[Sample, frozenset[str]]]:
        """The validation photos with all names of their classes."""
        synonyms = {names[0]: frozenset(names) for names in self.synonyms.values()}
        return [(photo, synonyms[photo.label]) for photo in self.photos()]
