"""Quick, Draw! in all its file formats, with one file of drawings per category, and QuickDraw-extended."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from ...io.strokes import (
    PARTS,
    Drawing,
    count_bitmaps,
    count_sketchrnn,
    parse_ndjson,
    read_bin,
    read_sketchrnn,
    scan_bin,
)
from .base import Dataset, DatasetError, Sample, checked_categories, class_folders, class_names, first_folder, pictures

# The published name of each file format and its suffix; of several in one folder the first is read.
FORMS = {
    "simplified": ".ndjson",
    "raw": ".ndjson",
    "binary": ".bin",
    "sketchrnn": ".npz",
    "numpy_bitmap": ".npy",
}
_PUBLISHED = re.compile(rf"(?:full[_ ])?(?:{'|'.join(FORMS)})[_ ](?=.)")  # full_simplified_cat.ndjson
_KEY = re.compile(r'"key_id"\s*:\s*"(\w+)"')
_UNRECOGNISED = re.compile(r'"recognized"\s*:\s*false')


class QuickDraw(Dataset):
    """Quick, Draw! in one file format; `root` holds the files, or a subfolder with the published name in FORMS.

    The formats are ndjson (simplified or raw), `.bin`, Sketch-RNN's `.npz` and `.npy` bitmaps. Drawings that the game
    did not recognise are left out unless `unrecognised` is set; `.npz` and `.npy` do not say which those are. `part`
    selects "train" (70,000 drawings of each class), "valid" or "test" (2,500 each) in `.npz` files.
    """

    layout = "Quick, Draw!"

    def __init__(self, root: str | Path, unrecognised: bool = False, part: str | None = None) -> None:
        super().__init__(root)
        self.form, self._files = _files(self.root)
        self.unrecognised, self.part = unrecognised, part
        if part is not None and (self.form != "sketchrnn" or part not in PARTS):
            raise DatasetError(f"{self.root}: no part {part!r}; .npz files of Sketch-RNN have {', '.join(PARTS)}")
        self.categories: tuple[str, ...] = tuple(sorted(self._files))

    @classmethod
    def present(cls, root: Path) -> bool:
        """Whether a folder has this layout; the first .bin, .npz or .npy file is checked to really hold drawings."""
        try:
            _, files = _files(root)
            first = next(iter(files.values()))
            counted = {".bin": scan_bin, ".npz": count_sketchrnn, ".npy": count_bitmaps}.get(first.suffix)
            return bool(counted is None or counted(first))
        except ValueError:
            return False

    @property
    def names(self) -> list[str]:
        """The candidate classes when a drawing is classified: all categories, unseen ones included."""
        return list(self.categories)

    def sketches(self, categories: Collection[str] | None = None, limit: int | None = None) -> list[Sample]:
        """The drawings of the categories, in file order, at most `limit` of each."""
        return [sample for sample, _ in self._records(categories, limit)]

    def drawings(
        self, categories: Collection[str] | None = None, limit: int | None = None
    ) -> Iterator[tuple[Sample, Drawing]]:
        """The drawings with their strokes; ImageError for a malformed one, DatasetError for bitmaps: they have none."""
        if self.form == "numpy_bitmap":
            raise DatasetError(f"{self.root}: bitmaps have no strokes; use another form of Quick, Draw!")
        for sample, line in self._records(categories, limit):
            if self.form == "binary":
                yield sample, read_bin(sample.path, sample.line)
            elif self.form == "sketchrnn":
                yield sample, read_sketchrnn(sample.path, sample.line)
            else:
                yield sample, parse_ndjson(line, sample.source)

    def _records(self, categories: Collection[str] | None, limit: int | None) -> Iterator[tuple[Sample, str]]:
        """The drawings of the categories, each with its line in an ndjson file ("" in the other formats)."""
        for category in checked_categories(self.categories, categories, self.root):
            path = self._files[category]
            for number, key, line in islice(self._numbered(path), limit):
                yield Sample(path, category, f"{category}/{key}", "sketch", line=number), line

    def _numbered(self, path: Path) -> Iterator[tuple[int, str, str]]:
        """The number (from 1), key and ndjson line of each drawing in a file that is to be used."""
        if self.form == "binary":
            for number, record in enumerate(scan_bin(path), 1):
                if record.recognised or self.unrecognised:
                    yield number, record.key, ""
        elif self.form == "sketchrnn":
            start = 1
            for part, count in count_sketchrnn(path).items():
                if self.part in (None, part):
                    yield from ((number, str(number), "") for number in range(start, start + count))
                start += count
        elif self.form == "numpy_bitmap":
            yield from ((number, str(number), "") for number in range(1, count_bitmaps(path) + 1))
        else:
            yield from self._ndjson_records(path)

    def _ndjson_records(self, path: Path) -> Iterator[tuple[int, str, str]]:
        """As `_numbered`, for an ndjson file; without a key the line number serves as the key."""
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if not line.strip() or (_UNRECOGNISED.search(line) and not self.unrecognised):
                    continue
                key = _KEY.search(line)
                yield number, key.group(1) if key else str(number), line


def _files(root: Path) -> tuple[str, dict[str, Path]]:
    """Return the file format of a folder, and the file of each category; DatasetError if there are none."""
    for form in FORMS:
        if paths := _of_form(root, form):
            # the shortest name is taken: "cat.npz" rather than "cat.full.npz", which holds the same drawings and more
            files = {_category(path): path for path in sorted(paths, key=lambda path: (-len(path.name), path.name))}
            return form, files
    raise DatasetError(f"{root}: no .ndjson, .bin, .npz or .npy files; give the folder of Quick, Draw! categories")


def _of_form(root: Path, form: str) -> list[Path]:
    """List the non-empty files of a format in its published subfolder, or else in `root`."""
    folder = first_folder(root, form, f"full/{form}") or root
    files = (path for path in folder.iterdir() if path.suffix.lower() == FORMS[form] and not path.name.startswith("."))
    return sorted(path for path in files if path.is_file() and path.stat().st_size)


def _category(path: Path) -> str:
    """Return the category in a file name, without the prefixes and suffixes of the published files."""
    return _PUBLISHED.sub("", path.stem.removesuffix(".full"), count=1)


# QuickDraw-extended: 110 classes of Quick, Draw! drawings with photos from the web (Dey et al., CVPR 2019).


SKETCHES = ("QuickDraw_sketches_final", "sketches")
PHOTOS = ("QuickDraw_images_final", "images")


class QuickDrawExtended(Dataset):
    """`root` holds `QuickDraw_sketches_final/<class>/<key>.png` and `QuickDraw_images_final/<class>/image_00001.jpg`.

    The names that ZSE-SBIR gives the folders, `sketches` and `images`, work too. A sketch's file name is the key of its
    drawing in Quick, Draw!.
    """

    layout = "QuickDraw-extended"
    paired = True
    splits = ("quickdraw-30",)

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        sketches, photos = first_folder(self.root, *SKETCHES), first_folder(self.root, *PHOTOS)
        for folder, names in ((sketches, SKETCHES), (photos, PHOTOS)):
            if folder is None:
                raise DatasetError(f"{self.root}: no folder {names[0]}; give the folder of QuickDraw-extended")
        self._sketches, self._photos = class_folders(sketches), class_folders(photos)
        self.categories: tuple[str, ...] = class_names(self._sketches, self._photos)

    @classmethod
    def present(cls, root: Path) -> bool:
        """Whether a folder has this layout: a folder with a published name, or photos called image_NNNNN.jpg."""
        if first_folder(root, SKETCHES[0]) or first_folder(root, PHOTOS[0]):
            return True
        folder = first_folder(root, *PHOTOS)
        return folder is not None and next(folder.glob("*/image_*.jpg"), None) is not None

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The sketches of the categories (all by default), sorted by category and key."""
        return list(pictures(self._sketches, checked_categories(self.categories, categories, self.root), "sketch"))

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the categories (all by default), sorted by category and name."""
        return list(pictures(self._photos, checked_categories(self.categories, categories, self.root), "photo"))
