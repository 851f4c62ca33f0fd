"""The Sketchy Database in its own layout, which Sketch World is exported in too."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .base import ClassFolders, Dataset, DatasetError, PointPair, Sample, class_folders, first_folder, folder_of

# Whole image stretched to 256 x 256, the sketch scaled alike: pixel-aligned.
ALIGNED = "tx_000000000000"
INNER = ("256x256", "rendered_256x256/256x256")


class Sketchy(ClassFolders):
    """`root` holds `256x256/{photo,sketch}/tx_*/<class>/`, or is that `256x256` folder itself.

    Sketch `n02139199_11487-4.png` shows photo `n02139199_11487`. The views may end in "_ready", as in the archives of
    SAKE and ZSE-SBIR, and a class may be spelt with other separators on the other side.
    """

    layout = "Sketchy"
    splits = ("sketchy-21", "sketchy-25-sake", "sketchy-25-sempcyc")

    def __init__(self, root: str | Path, *more: dict[str, Path]) -> None:
        self.pictures = folder_of(root, *INNER)
        photos, sketches = (class_folders(self._view(kind)) for kind in ("photo", "sketch"))
        super().__init__(root, sketches, photos, *more)

    @classmethod
    def present(cls, root: Path) -> bool:
        return is_sketchy(root) and extended_folder(root) is None

    @property
    def aligned(self) -> bool:  # type: ignore[override]
        """Whether its sketches lie over their photos: those of an exported Sketch World do not."""
        return self._world_card is None

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        return self.originals(categories)

    def originals(self, categories: Collection[str] | None = None) -> list[Sample]:
        """Sketchy's own photos, of which the sketches are: the gallery of instance-level retrieval."""
        return [replace(photo, photo_id=photo.path.stem) for photo in super().photos(categories)]

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        return [replace(sketch, photo_id=photo_id_of(sketch.path.stem)) for sketch in super().sketches(categories)]

    def instances(self, categories: Collection[str] | None = None) -> tuple[list[Sample], list[Sample]]:
        return self.sketches(categories), self.originals(categories)

    def unseen(self, split: str | None = None) -> tuple[list[str], str]:
        """The categories to measure on; of an exported Sketch World its own unseen ones, unless a split is named."""
        if split or not self._world_card:
            return super().unseen(split)
        unseen = set(json.loads(self._world_card.read_text(encoding="utf-8")).get("unseen", ()))
        if found := sorted(unseen & set(self.categories)):
            return found, f"{len(found)} unseen categories of Sketch World"
        return list(self.categories), f"all {len(self.categories)} categories"

    def point_pairs(self, sketchy: Dataset | None = None, *, measured: bool = True) -> Iterator[PointPair]:
        raise self.error("Sketch World's sketches do not lie over their photos; measure on world itself")

    @property
    def _world_card(self) -> Path | None:
        """The card of a Sketch World that was exported here."""
        card = self.pictures.absolute().parent / "world.json"
        return card if card.is_file() else None

    def _view(self, kind: str) -> Path:
        folder = first_folder(self.pictures / kind, ALIGNED, f"{ALIGNED}_ready")
        if folder is None:
            where = self.pictures / kind / ALIGNED
            raise DatasetError(f"{where}: no such folder; give the folder that holds 256x256/photo and sketch")
        return folder


def is_sketchy(root: Path) -> bool:
    places = [root / inner / kind for inner in ("", *INNER) for kind in ("photo", "sketch")]
    return any(first_folder(place, ALIGNED, f"{ALIGNED}_ready") for place in places)


def photo_id_of(sketch: str) -> str:
    """Find the photo that a sketch was drawn of: `n02139199_11487-4` -> `n02139199_11487`."""
    photo, _, number = sketch.rpartition("-")
    return photo if photo and number.isdecimal() else sketch


# Sketchy-extended: Sketchy with 60,502 more photos of its classes (Liu et al., CVPR 2017).
EXTENDED = ("EXTEND_image_sketchy", "EXTEND_image_sketchy_ready", "extended_photo")


class SketchyExtended(Sketchy):
    """A Sketchy root with `EXTEND_image_sketchy/<class>/` in it or beside its `256x256`.

    That folder holds the 12,500 photos of Sketchy once more (`n02139199_11487.jpg`) and the new ones (`ext_7.jpg`), so
    it is the whole gallery, each photo once: 10,453 photos for the 21 unseen classes, as SEM-PCYC and Doodle2Search
    rank them. `twice` adds Sketchy's own copies, as SAKE and ZSE-SBIR do: 12,553.
    """

    layout = "Sketchy-extended"

    def __init__(self, root: str | Path, twice: bool = False) -> None:
        folder = extended_folder(Path(root))
        if folder is None:
            raise DatasetError(f"{root}: no {EXTENDED[0]} folder; give the folder that holds it and 256x256")
        self._extended, self._twice = class_folders(folder), twice
        super().__init__(root, self._extended)

    @classmethod
    def present(cls, root: Path) -> bool:
        return is_sketchy(root) and extended_folder(root) is not None

    def with_duplicates(self) -> Dataset:
        """The same data set with Sketchy's own photos twice, as SAKE and ZSE-SBIR rank them."""
        return SketchyExtended(self.root, twice=True)

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The gallery of the categories (all by default), sorted by category and name; copies, if any, come last."""
        extended = [
            replace(photo, photo_id="" if is_extension_photo(photo.path) else photo.path.stem)
            for photo in self._pictures(self._extended, categories, "photo")
        ]
        copies = self.originals(categories) if self._twice else []
        return extended + [replace(photo, id=f"{photo.id} (stretched)") for photo in copies]


def is_extension_photo(photo: Path) -> bool:
    """Tell whether it is a photo of the extension alone, of which there is no sketch."""
    return photo.stem.startswith("ext_")


def extended_folder(root: Path) -> Path | None:
    """Find the folder of extended photos: in a root of Sketchy, in its 256x256, or beside that."""
    root = root.absolute()  # "." has a name and a parent too
    places = (root, *(root / inner for inner in INNER), *([root.parent] if root.name == "256x256" else []))
    return next((folder for place in places if (folder := first_folder(place, *EXTENDED))), None)


# Rough correspondence without annotations: where in its photo a stroke of a Sketchy sketch belongs.
#
# Sketches lie over their photos, but each is off by about a twentieth of the picture in place and size. The average of
# all sketches of a photo is not, so each is moved and scaled to the average: then a stroke lies about where the thing
# it shows does. Wrong proportions within a sketch stay.


FEWEST_SKETCHES = 3  # sketches of a photo
FAINT = 0.85  # brightness of a pixel that a stroke runs through
STRAY = 0.01  # share of the ink at either end that is no part of the box around it

Points = npt.NDArray[np.float64]


def has_ink(sheet: npt.NDArray[np.floating]) -> bool:
    """Tell whether a sheet (H, W) in [0, 1] has enough ink to be aligned."""
    return bool((sheet < FAINT).any())


def mean_alignment(sheets: Iterable[npt.NDArray[np.floating]]) -> Points:
    """Align the sketches of one photo to their average: scale and shift (N, 2, 2) of x and y in [-1, 1] for each.

    Sheets are (H, W) in [0, 1], dark on white. Boxes around the ink are averaged, sizes geometrically. ValueError for a
    sheet without ink.
    """
    middle, half = np.stack([_box(sheet) for sheet in sheets]).swapaxes(0, 1)
    zoom = np.exp(np.log(half).mean(axis=0)) / half
    return np.stack([zoom, middle.mean(axis=0) - zoom * middle], axis=1)


def _box(sheet: npt.NDArray[np.floating]) -> Points:
    """Middle and half size (2, 2) of the box around the ink."""
    if not has_ink(sheet):
        raise ValueError("a blank sheet cannot be aligned; leave it out")
    size = np.array(sheet.shape[::-1])
    low, high = np.quantile(2 * (np.argwhere(sheet < FAINT)[:, ::-1] + 0.5) / size - 1, [STRAY, 1 - STRAY], axis=0)
    return np.stack([(low + high) / 2, (high - low) / 2 + 1 / size])
