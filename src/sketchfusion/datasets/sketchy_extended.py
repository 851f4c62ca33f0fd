"""Sketchy-extended: Sketchy with 60,502 more photos of its classes (Liu et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from .base import DatasetError, Sample, chosen, class_folders, class_names, pictures, within
from .sketchy import ALIGNED, INNER, Sketchy

EXTENDED = ("EXTEND_image_sketchy", "EXTEND_image_sketchy_ready", "extended_photo")


class SketchyExtended(Sketchy):
    """A Sketchy root with `EXTEND_image_sketchy/<class>/` in it or beside its `256x256`.

    That folder holds the 12,500 photos of Sketchy once more (`n02139199_11487.jpg`) and the new ones (`ext_7.jpg`), so
    it is the whole gallery, each photo once: 10,453 photos for the 21 unseen classes, as SEM-PCYC and Doodle2Search
    rank them. `twice` adds Sketchy's own copies, as SAKE and ZSE-SBIR do: 12,553.
    """

    def __init__(
        self, root: str | Path, sketch_view: str = ALIGNED, invalid: Iterable[str | Path] = (), twice: bool = False
    ) -> None:
        super().__init__(root, ALIGNED, sketch_view, invalid)
        folder = extended_folder(Path(root))
        if folder is None:
            raise DatasetError(f"{root}: no {EXTENDED[0]} folder; give the folder that holds it and 256x256")
        self._extended = class_folders(folder)
        self._twice = twice
        self.categories = class_names(self._sketches, self._photos, self._extended)

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The gallery of the categories (all by default), sorted by category and name; copies, if any, come last."""
        wanted = chosen(self.categories, categories, self.root)
        extended = [
            replace(photo, photo_id="" if is_added(photo.path) else photo.path.stem)
            for photo in pictures(self._extended, wanted, "photo")
        ]
        copies = self.originals(wanted) if self._twice else []
        return extended + [replace(photo, id=f"{photo.id} (stretched)") for photo in copies]

    def originals(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of Sketchy itself, of which the sketches are: the gallery of instance-level retrieval."""
        return super().photos(categories)


def is_added(photo: Path) -> bool:
    """Whether it is a photo of the extension alone, which nobody sketched."""
    return photo.stem.startswith("ext_")


def extended_folder(root: Path) -> Path | None:
    """Where the extended photos of a Sketchy root lie: in it, in its 256x256, or beside that."""
    places = (root, *(root / inner for inner in INNER), *([root.parent] if root.name == "256x256" else []))
    return next((folder for place in places if (folder := within(place, *EXTENDED))), None)
