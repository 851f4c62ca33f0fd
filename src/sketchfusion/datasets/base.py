"""What every data set yields: samples that say where they lie, what they show and what belongs together."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ..io.files import find_images


class DatasetError(ValueError):
    """A data set that cannot be used: one line that names the place and says what is expected there."""


@dataclass(frozen=True)
class Sample:
    """One picture or drawing; `photo_id` is shared by a photo and the sketches of it, empty where nobody knows."""

    path: Path
    label: str
    id: str
    kind: Literal["sketch", "photo"] = "photo"
    photo_id: str = ""
    line: int = 0

    @property
    def source(self) -> str:
        """What `read_image` takes: the path, with the number of the drawing in a file of many."""
        return f"{self.path}:{self.line}" if self.line else str(self.path)

    @property
    def origin(self) -> str:
        """What `held_out` is asked about: the photo that it is or shows, or else itself."""
        return self.photo_id or (f"{self.label}:{self.line}" if self.line else self.id)


class Photos(Protocol):
    """A data set that has photos."""

    root: Path
    categories: tuple[str, ...]

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the categories (all by default); DatasetError for an unknown one."""


class Sketches(Protocol):
    """A data set that has sketches."""

    root: Path
    categories: tuple[str, ...]

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The sketches of the categories (all by default); DatasetError for an unknown one."""


class Paired(Photos, Sketches, Protocol):
    """A data set that has both, under the same categories."""


def folder_of(root: str | Path, *inner: str) -> Path:
    """Return `root` as an existing folder, or the first folder of `inner` names within it that exists."""
    path = Path(root)
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; check the path of the data")
    return next((path / name for name in inner if (path / name).is_dir()), path)


def within(root: Path, *names: str) -> Path | None:
    """The first of the folders `names` in `root` that exists."""
    return next((root / name for name in names if (root / name).is_dir()), None)


def words_of(name: str) -> list[str]:
    """The words of a class name in small letters: letters, digits and the marks on them, composed (NFC)."""
    composed = unicodedata.normalize("NFC", name.lower())
    return "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in composed).split()


def squeezed(name: str) -> str:
    """Letters and digits of a class name alone: "hot-air_balloon", "hot air balloon" and "hotairballoon" are one."""
    return "".join(words_of(name))


def class_folders(folder: Path | None) -> dict[str, Path]:
    """The folders of classes in a folder, by the squeezed name; none where there is no folder."""
    if folder is None:
        return {}
    folders: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith((".", "__")):
            twin = folders.setdefault(squeezed(path.name), path)
            if twin != path:
                raise DatasetError(f"{folder}: {twin.name!r} and {path.name!r} are one class; put them together")
    return folders


def class_names(*sides: dict[str, Path]) -> tuple[str, ...]:
    """All classes of several sets of folders, sorted, spelt as in the first set that has them."""
    spelt = {key: path.name for side in reversed(sides) for key, path in side.items()}
    return tuple(sorted(spelt.values()))


def pictures(
    folders: dict[str, Path], categories: Collection[str], kind: Literal["sketch", "photo"]
) -> Iterator[Sample]:
    """The pictures of the categories, sorted by category and name; `photo_id` is left empty."""
    for category in categories:
        if folder := folders.get(squeezed(category)):
            for path in find_images(folder):
                yield Sample(path, category, f"{category}/{path.stem}", kind)


def chosen(available: Collection[str], wanted: Collection[str] | None, where: Path) -> list[str]:
    """Sort the wanted categories (all when None); DatasetError names one that does not exist."""
    if missing := sorted(set(wanted or ()) - set(available)):
        raise DatasetError(f"{where}: no category {missing[0]!r}; there are {', '.join(sorted(available)[:5])}, ...")
    return sorted(available if wanted is None else set(wanted))
