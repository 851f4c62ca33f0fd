"""TU-Berlin (Eitz et al., SIGGRAPH 2012), and TU-Berlin-extended, which adds photos to it (Zhang et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from .base import (
    Dataset,
    DatasetError,
    Sample,
    checked_categories,
    class_folders,
    class_names,
    first_folder,
    folder_key,
    pictures,
)

SKETCHES = ("png", "png_ready", "sketches")
PHOTOS = ("ImageResized", "ImageResized_ready", "images")
# Photo folders whose names differ from those of the sketches by more than separators
# (source: AnjanDutta/sem-pcyc, download_datasets.sh).
RENAMED = {
    "chandeler": "chandelier",
    "diamod": "diamond",
    "griaffe": "giraffe",
    "mouse": "mouse (animal)",
    "pipe": "pipe (for smoking)",
    "spacesshuttle": "space shuttle",
    "spidar": "spider",
    "tromobone": "trombone",
    "wristwatching": "wrist-watch",
}


class TUBerlin(Dataset):
    """`root` holds `png/<class>/<1..20000>.png`, and with the extension `ImageResized/<class>/`.

    Photo folders are matched with those of sketches regardless of separators, and the nine misspelt ones by name.
    """

    layout = "TU-Berlin"
    paired = True
    splits = ("tuberlin-30-sake", "tuberlin-30-sempcyc")

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        sketches = first_folder(self.root, *SKETCHES)
        if sketches is None:
            raise DatasetError(f"{self.root}: no folder {SKETCHES[0]}; give the folder that holds TU-Berlin's sketches")
        self._sketches, self._photos = class_folders(sketches), _renamed(first_folder(self.root, *PHOTOS))
        names = class_names(self._sketches, self._photos)
        self.categories: tuple[str, ...] = tuple(sorted(RENAMED.get(folder_key(name), name) for name in names))

    @classmethod
    def present(cls, root: Path) -> bool:
        """Whether a folder has this layout: sketches are numbered up to 20000, where Quick, Draw! has longer keys."""
        folder = first_folder(root, *SKETCHES)
        first = folder and next(folder.glob("*/*.png"), None)
        return bool(first and first.stem.isdecimal() and len(first.stem) <= 5)

    @property
    def extended(self) -> bool:
        """Whether the photos of the extension are there."""
        return bool(self._photos)

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The sketches of the categories (all by default), sorted by category and file name."""
        return list(pictures(self._sketches, checked_categories(self.categories, categories, self.root), "sketch"))

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the extension; DatasetError where only TU-Berlin itself is there."""
        if not self._photos:
            raise DatasetError(f"{self.root}: no folder {PHOTOS[0]}; TU-Berlin has sketches only, its extension photos")
        return list(pictures(self._photos, checked_categories(self.categories, categories, self.root), "photo"))


def _renamed(folder: Path | None) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for key, path in class_folders(folder).items():
        name = folder_key(RENAMED.get(key, key))
        if found.setdefault(name, path) != path:
            raise DatasetError(f"{folder}: {found[name].name!r} and {path.name!r} are one class; put them together")
    return found
