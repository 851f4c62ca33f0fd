"""The Sketchy Database in its own layout, which Sketch World is exported in too."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

from ..io.files import find_images
from .base import DatasetError, Sample, chosen, folder_of

# Whole image stretched to 256 x 256, the sketch scaled alike: pixel-aligned.
ALIGNED = "tx_000000000000"


class Sketchy:
    """`root` holds `256x256/{photo,sketch}/tx_*/<class>/`, or is that `256x256` folder itself.

    Sketch `n02139199_11487-4.png` shows photo `n02139199_11487`. `invalid` names lists of sketches to leave out
    (the `invalid-*.txt` of the database's info archive; one sketch a line).
    """

    def __init__(
        self,
        root: str | Path,
        photo_view: str = ALIGNED,
        sketch_view: str = ALIGNED,
        invalid: Iterable[str | Path] = (),
    ) -> None:
        self.root = folder_of(root, "256x256", "rendered_256x256/256x256")
        self._folders = {"photo": self.root / "photo" / photo_view, "sketch": self.root / "sketch" / sketch_view}
        for folder in self._folders.values():
            if not folder.is_dir():
                raise DatasetError(f"{folder}: no such folder; give the folder that holds 256x256/photo and sketch")
        self._invalid = {stem for listing in invalid for stem in _stems(Path(listing))}
        both = [{path.name for path in folder.iterdir() if path.is_dir()} for folder in self._folders.values()]
        self.categories: tuple[str, ...] = tuple(sorted(both[0] | both[1]))

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the categories (all by default), sorted by category and name."""
        return self._samples("photo", categories)

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The sketches of the categories (all by default), sorted by category and name, invalid ones left out."""
        return [s for s in self._samples("sketch", categories) if s.path.stem not in self._invalid]

    def _samples(self, kind: Literal["photo", "sketch"], categories: Collection[str] | None) -> list[Sample]:
        samples = []
        for category in chosen(self.categories, categories, self.root):
            folder = self._folders[kind] / category
            for path in find_images(folder) if folder.is_dir() else []:
                photo_id = photo_of(path.stem) if kind == "sketch" else path.stem
                samples.append(Sample(path, category, f"{category}/{path.stem}", kind, photo_id))
        return samples


def photo_of(sketch: str) -> str:
    """The photo that a sketch shows: `n02139199_11487-4` -> `n02139199_11487`."""
    photo, _, number = sketch.rpartition("-")
    return photo if photo and number.isdecimal() else sketch


def _stems(listing: Path) -> list[str]:
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{listing}: cannot be read ({error}); expected one sketch a line") from None
    return [Path(line.strip()).name.removesuffix(".png").removesuffix(".svg") for line in lines if line.strip()]
