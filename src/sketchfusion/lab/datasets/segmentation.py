"""A segmentation folder: photos, masks and an index that pairs them by category."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageChops, ImageOps

from . import base
from .base import Dataset, DatasetError, Datasets, MaskedScene, Part, Sample

COLUMNS = ("photo", "category", "mask")
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class MaskedPhoto:
    """A photo and the file of a mask of all objects of its label."""

    photo: Sample
    mask: Path

    def read_mask(self) -> npt.NDArray[np.bool_]:
        """Read the mask as (H, W) booleans, in pixels of the photo after EXIF orientation.

        Pixels brighter than 127 are marked, or those of 1 in a mask of 0 and 1; transparent ones are not. The mask of a
        photo with an EXIF orientation may be stored with or without it. DatasetError for a mask that marks nothing or
        does not fit the photo.
        """
        try:
            with Image.open(self.mask) as image:
                grey = image.convert("L")
                if image.has_transparency_data:
                    grey = ImageChops.multiply(grey, image.convert("RGBA").getchannel("A"))
        except Exception as error:  # decoders raise anything on hostile bytes
            raise DatasetError(f"{self.mask}: mask cannot be read ({error}); make it again") from None
        values = np.asarray(self._fitted(grey))
        brightest = int(values.max())
        if brightest <= 127 and brightest != 1:
            raise DatasetError(f"{self.mask}: marks nothing, its brightest pixel is {brightest}; draw objects in 255")
        return values > (0 if brightest == 1 else 127)

    def _fitted(self, mask: Image.Image) -> Image.Image:
        """Apply the photo's EXIF orientation to the mask, if that is stored without."""
        from ...io.images import TURNED, open_image, orientation  # bring torch, which lists of files do without

        path = self.photo.path
        with open_image(path.read_bytes(), str(path)) as photo:
            stored, turn = photo.size, orientation(photo)
        seen = stored[::-1] if turn in TURNED else stored
        if mask.size == seen:
            return mask
        if mask.size == stored:
            mask.getexif()[ExifTags.Base.Orientation] = turn
            return ImageOps.exif_transpose(mask)
        size, wanted = (f"{width} x {height}" for width, height in (mask.size, seen))
        raise DatasetError(f"{self.mask}: {size} pixels, but its photo {path} has {wanted}; make both the same size")


class MaskFolder(Dataset):
    """`root/index.csv` with columns photo, category, mask; both paths are relative to `root`."""

    layout = "segmentation folder"

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._index = self.root / "index.csv"
        if not self._index.is_file():
            raise DatasetError(f"{self.root}: no index.csv; expected a folder with index.csv, photo/ and mask/")
        rows = base.read_table(self._index, COLUMNS, "expected a table of photos")
        self._pairs = [self._pair(row, number) for number, row in enumerate(rows, 2)]
        self.categories = tuple(sorted({pair.photo.label for pair in self._pairs}))

    @classmethod
    def present(cls, root: Path) -> bool:
        return (root / "index.csv").is_file()

    def pairs(self, categories: Collection[str] | None = None) -> list[MaskedPhoto]:
        """The photos with their masks of the categories (all by default), in the order of the index."""
        wanted = set(self._checked(categories))
        return [pair for pair in self._pairs if pair.photo.label in wanted]

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos with masks of the categories (all by default), each once, labelled with the first of them."""
        first: dict[Path, Sample] = {}
        for pair in self.pairs(categories):
            first.setdefault(pair.photo.path, pair.photo)
        return list(first.values())

    def contents(self, untrained: bool = False) -> list[tuple[Sample, frozenset[str]]]:
        shown: dict[Path, set[str]] = {}
        for pair in self._pairs:
            shown.setdefault(pair.photo.path, set()).add(pair.photo.label)
        return [(photo, frozenset(shown[photo.path])) for photo in self.photos()]

    def scenes(self, sketches: Datasets = (), part: Part = "all") -> Iterator[MaskedScene]:
        """A scene for every masked category of a photo, with sketches of `sketches` that no training uses.

        "tuning" are the photos that training uses, "measured" the others. Masked categories without sketches are left
        out; DatasetError if those are all.
        """
        drawn: dict[str, list[Sample]] = {}
        for sample in (sample for dataset in sketches for sample in dataset.sketches() if base.not_trained_on(sample)):
            drawn.setdefault(base.comparable_name(sample.label), []).append(sample)
        shown: dict[str, set[str]] = {}
        for pair in self._pairs:
            shown.setdefault(pair.photo.source, set()).add(base.comparable_name(pair.photo.label))
        masked = {base.comparable_name(category) for category in self.categories}
        if not masked & set(drawn):
            raise DatasetError(f"{self.root}: no sketches of what its masks show; name roots of them with --sketches")
        for pair in self._pairs:
            category = base.comparable_name(pair.photo.label)
            if category not in drawn or (part != "all" and base.held_out(pair.photo.photo_id) != (part == "measured")):
                continue
            absent = set(drawn) - shown[pair.photo.source]
            others = sorted(absent & masked) or sorted(absent)
            if not others:
                raise DatasetError(f"{pair.photo.source}: no sketches of anything that it does not show; add some")
            other = _pick(others, f"{pair.photo.id} other")
            right, wrong = (_pick(drawn[name], f"{pair.photo.id} {name}") for name in (category, other))
            yield MaskedScene(category, pair.photo.source, pair.read_mask, right.picture, wrong.picture)

    def _pair(self, row: dict[str, str], number: int) -> MaskedPhoto:
        photo, mask = (self._file(row[name], number) for name in ("photo", "mask"))
        label = row["category"] or ""
        return MaskedPhoto(Sample(photo, label, f"{label}/{photo.stem}", "photo", photo.stem), mask)

    def _file(self, name: str | None, number: int) -> Path:
        path = self.root / (name or "")
        if base.leads_out(self.root, name or ""):
            raise DatasetError(f"{self._index}:{number}: {name} lies outside the folder; move it inside")
        if not path.is_file():
            raise DatasetError(f"{self._index}:{number}: {name or 'an empty path'} is no file; add it or drop the row")
        return path


def _pick(choices: Sequence[Choice], key: str) -> Choice:
    """Choose by a hash of `key`, the same everywhere."""
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).digest()
    return choices[int.from_bytes(digest[:8], "little") % len(choices)]
