"""QuickDraw-extended: 110 classes of Quick, Draw! drawings with photos from the web (Dey et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from .base import DatasetError, Sample, chosen, class_folders, class_names, folder_of, pictures, within

SKETCHES = ("QuickDraw_sketches_final", "sketches")
PHOTOS = ("QuickDraw_images_final", "images")


class QuickDrawExtended:
    """`root` holds `QuickDraw_sketches_final/<class>/<key>.png` and `QuickDraw_images_final/<class>/image_00001.jpg`.

    ZSE-SBIR calls the two `sketches` and `images`. A sketch's stem is the key of its drawing in Quick, Draw!, so its
    strokes can be found again.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = folder_of(root)
        sketches, photos = within(self.root, *SKETCHES), within(self.root, *PHOTOS)
        for folder, names in ((sketches, SKETCHES), (photos, PHOTOS)):
            if folder is None:
                raise DatasetError(f"{self.root}: no folder {names[0]}; give the folder of QuickDraw-extended")
        self._sketches, self._photos = class_folders(sketches), class_folders(photos)
        self.categories: tuple[str, ...] = class_names(self._sketches, self._photos)

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The sketches of the categories (all by default), sorted by category and key."""
        return list(pictures(self._sketches, chosen(self.categories, categories, self.root), "sketch"))

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the categories (all by default), sorted by category and name."""
        return list(pictures(self._photos, chosen(self.categories, categories, self.root), "photo"))


def is_quickdraw_extended(root: Path) -> bool:
    """Whether a folder looks like one: its photos are called image_NNNNN."""
    if within(root, SKETCHES[0]) or within(root, PHOTOS[0]):
        return True
    folder = within(root, *PHOTOS)
    return folder is not None and next(folder.glob("*/image_*.jpg"), None) is not None
