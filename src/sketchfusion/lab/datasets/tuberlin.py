"""TU-Berlin (Eitz et al., SIGGRAPH 2012), and TU-Berlin-extended, which adds photos to it (Zhang et al., CVPR 2016)."""

from collections.abc import Collection
from pathlib import Path

from ...io.files import every_file
from .base import ClassFolders, DatasetError, Sample, class_folders, first_folder, folder_key, folder_of

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


class TUBerlin(ClassFolders):
    """`root` holds `png/<class>/<1..20000>.png`, and with the extension `ImageResized/<class>/`.

    Photo folders are matched with those of sketches regardless of separators, and the nine misspelt ones by name.
    """

    layout = "TU-Berlin"
    splits = ("tuberlin-30-sake", "tuberlin-30-sempcyc")

    def __init__(self, root: str | Path) -> None:
        path = folder_of(root)
        sketches = first_folder(path, *SKETCHES)
        if sketches is None:
            raise DatasetError(f"{path}: no folder {SKETCHES[0]}; give the folder that holds TU-Berlin's sketches")
        super().__init__(root, *(class_folders(side, RENAMED) for side in (sketches, first_folder(path, *PHOTOS))))
        self.categories = tuple(sorted(RENAMED.get(folder_key(name), name) for name in self.categories))
        self.extended = bool(self._photos)

    @classmethod
    def present(cls, root: Path) -> bool:
        """Whether a folder has this layout: sketches are numbered up to 20000, where Quick, Draw! has longer keys."""
        folder = first_folder(root, *SKETCHES)
        inner = (path for path in every_file(folder) if path.parent != folder) if folder else iter(())
        first = next((path for path in inner if path.suffix.lower() == ".png"), None)
        return bool(first and first.stem.isdecimal() and len(first.stem) <= 5)

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the extension; DatasetError where only TU-Berlin itself is there."""
        if not self.extended:
            raise DatasetError(f"{self.root}: no folder {PHOTOS[0]}; TU-Berlin has sketches only, its extension photos")
        return super().photos(categories)
