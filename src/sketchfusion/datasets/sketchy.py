"""The Sketchy Database in its own layout, which Sketch World is exported in too."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from .base import DatasetError, Sample, chosen, class_folders, class_names, folder_of, pictures, within

# Whole image stretched to 256 x 256, the sketch scaled alike: pixel-aligned.
ALIGNED = "tx_000000000000"
INNER = ("256x256", "rendered_256x256/256x256")


class Sketchy:
    """`root` holds `256x256/{photo,sketch}/tx_*/<class>/`, or is that `256x256` folder itself.

    Sketch `n02139199_11487-4.png` shows photo `n02139199_11487`. `invalid` names lists of sketches to leave out
    (the `invalid-*.txt` of the database's info archive; one sketch a line). The views may end in "_ready", as in the
    archives of SAKE and ZSE-SBIR, and a class may be spelt with other separators on the other side.
    """

    def __init__(
        self,
        root: str | Path,
        photo_view: str = ALIGNED,
        sketch_view: str = ALIGNED,
        invalid: Iterable[str | Path] = (),
    ) -> None:
        self.root = folder_of(root, *INNER)
        self._photos = class_folders(self._view("photo", photo_view))
        self._sketches = class_folders(self._view("sketch", sketch_view))
        self._invalid = {stem for listing in invalid for stem in _stems(Path(listing))}
        self.categories: tuple[str, ...] = class_names(self._sketches, self._photos)

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the categories (all by default), sorted by category and name."""
        wanted = chosen(self.categories, categories, self.root)
        return [replace(photo, photo_id=photo.path.stem) for photo in pictures(self._photos, wanted, "photo")]

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The sketches of the categories (all by default), sorted by category and name, invalid ones left out."""
        wanted = chosen(self.categories, categories, self.root)
        return [
            replace(sketch, photo_id=photo_of(sketch.path.stem))
            for sketch in pictures(self._sketches, wanted, "sketch")
            if sketch.path.stem not in self._invalid
        ]

    def _view(self, kind: str, view: str) -> Path:
        folder = within(self.root / kind, view, f"{view}_ready")
        if folder is None:
            where = self.root / kind / view
            raise DatasetError(f"{where}: no such folder; give the folder that holds 256x256/photo and sketch")
        return folder


def is_sketchy(root: Path) -> bool:
    """Whether a folder looks like one."""
    return any(
        within(root / inner / kind, ALIGNED, f"{ALIGNED}_ready") is not None
        for inner in ("", *INNER)
        for kind in ("photo", "sketch")
    )


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
