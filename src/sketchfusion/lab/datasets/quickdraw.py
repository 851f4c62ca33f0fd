"""Quick, Draw! in all its file formats, with one file of drawings per category, and QuickDraw-extended."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from ...io.files import every_file
from ...io.strokes import count_sketchrnn, read_bitmaps, scan_bin
from .base import ClassFolders, Dataset, DatasetError, Sample, class_folders, first_folder, folder_of

# The published name of each file format and its suffix; of several in one folder the first is read.
FORMS = {"simplified": ".ndjson", "raw": ".ndjson", "binary": ".bin", "sketchrnn": ".npz", "numpy_bitmap": ".npy"}
_PUBLISHED = re.compile(rf"^(?:full[_ ])?(?:{'|'.join(FORMS)})[_ ](?=.)")  # full_simplified_cat.ndjson
_KEY = re.compile(r'"key_id"\s*:\s*"(\w+)"')
_UNRECOGNISED = re.compile(r'"recognized"\s*:\s*false')


class QuickDraw(Dataset):
    """Quick, Draw! in one file format; `root` holds the files, or a subfolder with the published name in FORMS.

    The formats are ndjson (simplified or raw), `.bin`, Sketch-RNN's `.npz` and `.npy` bitmaps. Drawings that the game
    did not recognise are left out; `.npz` and `.npy` do not say which those are.
    """

    layout = "Quick, Draw!"

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self.form, self._files = _files(self.root)
        self.categories = tuple(sorted(self._files))

    @classmethod
    def present(cls, root: Path) -> bool:
        """Whether a folder has this layout; the first .bin, .npz or .npy file is checked to really hold drawings."""
        try:
            _, files = _files(root)
            first = next(iter(files.values()))
            read = {".bin": scan_bin, ".npz": count_sketchrnn, ".npy": read_bitmaps}.get(first.suffix)
            return read is None or len(read(first)) > 0
        except ValueError:
            return False

    @property
    def names(self) -> list[str]:
        """The candidate classes when a drawing is classified: all categories, unseen ones included."""
        return list(self.categories)

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The drawings of the categories (all by default), in file order; ImageError for a file that is broken."""
        return [
            Sample(self._files[category], category, f"{category}/{key}", "sketch", line=number)
            for category in self._checked(categories)
            for number, key in self._numbered(self._files[category])
        ]

    def _numbered(self, path: Path) -> Iterator[tuple[int, str]]:
        """The number (from 1) and the key of each drawing in a file; a drawing without a key has its number as one."""
        if self.form == "binary":
            yield from ((number, record.key) for number, record in enumerate(scan_bin(path), 1) if record.recognised)
        elif self.form in ("sketchrnn", "numpy_bitmap"):
            count = sum(count_sketchrnn(path).values()) if self.form == "sketchrnn" else len(read_bitmaps(path))
            yield from ((number, str(number)) for number in range(1, count + 1))
        else:
            with path.open(encoding="utf-8", errors="replace") as file:
                for number, line in enumerate(file, 1):
                    if line.strip() and not _UNRECOGNISED.search(line):
                        key = _KEY.search(line)
                        yield number, key.group(1) if key else str(number)


def _files(root: Path) -> tuple[str, dict[str, Path]]:
    """Return the file format of a folder, and the file of each category; DatasetError if there are none."""
    for form, suffix in FORMS.items():
        folder = first_folder(root, form, f"full/{form}") or root
        paths = [path for path in folder.iterdir() if path.suffix.lower() == suffix and not path.name.startswith(".")]
        # the shortest name is taken: "cat.npz" rather than "cat.full.npz", which holds the same drawings and more
        ordered = sorted(paths, key=lambda path: (-len(path.name), path.name))
        full = [path for path in ordered if path.is_file() and path.stat().st_size]
        if full:
            return form, {_PUBLISHED.sub("", path.stem.removesuffix(".full"), count=1): path for path in full}
    raise DatasetError(f"{root}: no .ndjson, .bin, .npz or .npy files; give the folder of Quick, Draw! categories")


# QuickDraw-extended: 110 classes of Quick, Draw! drawings with photos from the web (Dey et al., CVPR 2019).
SKETCHES = ("QuickDraw_sketches_final", "sketches")
PHOTOS = ("QuickDraw_images_final", "images")


class QuickDrawExtended(ClassFolders):
    """`root` holds `QuickDraw_sketches_final/<class>/<key>.png` and `QuickDraw_images_final/<class>/image_00001.jpg`.

    The names that ZSE-SBIR gives the folders, `sketches` and `images`, work too. A sketch's file name is the key of its
    drawing in Quick, Draw!.
    """

    layout = "QuickDraw-extended"
    splits = ("quickdraw-30",)

    def __init__(self, root: str | Path) -> None:
        path, sides = folder_of(root), []
        for names in (SKETCHES, PHOTOS):
            folder = first_folder(path, *names)
            if folder is None:
                raise DatasetError(f"{path}: no folder {names[0]}; give the folder of QuickDraw-extended")
            sides.append(class_folders(folder))
        super().__init__(root, *sides)

    @classmethod
    def present(cls, root: Path) -> bool:
        """Whether a folder has this layout: a folder with a published name, or photos called image_NNNNN.jpg."""
        if first_folder(root, SKETCHES[0]) or first_folder(root, PHOTOS[0]):
            return True
        folder = first_folder(root, *PHOTOS)
        return folder is not None and any(
            path.name.lower().startswith("image_") and path.parent != folder for path in every_file(folder)
        )
