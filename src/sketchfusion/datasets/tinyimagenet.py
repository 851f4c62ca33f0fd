"""Tiny-imagenet: 200 classes of photos of 64 px, named by WordNet ids."""

from __future__ import annotations

from pathlib import Path

from .base import DatasetError, Sample, folder_of


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
