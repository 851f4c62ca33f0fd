"""What every data set yields: samples that say where they lie, what they show and what belongs together."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, Protocol

from ...io.files import find_images


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


# Published class splits, and the rule of what is never seen as a sketch.


SPLITS = (
    "sketchy-21",
    "sketchy-25-sake",
    "sketchy-25-sempcyc",
    "tuberlin-30-sake",
    "tuberlin-30-sempcyc",
    "quickdraw-30",
)


def _lines(name: str) -> list[str]:
    text = resources.files(__package__).joinpath("data", f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def split_names(split: str) -> tuple[str, ...]:
    """The unseen categories of a published split, spelt as published; their source heads the file in `data/`."""
    if split not in SPLITS:
        raise DatasetError(f"no split {split!r}; choose one of {', '.join(SPLITS)}")
    return tuple(_lines(split))


def unseen_of(categories: Iterable[str], split: str) -> list[str]:
    """Those of the categories that a published split keeps for testing, however their names are spelt; all sorted."""
    unseen = {plain_name(name) for name in split_names(split)}
    return sorted(name for name in categories if plain_name(name) in unseen)


def plain_name(name: str) -> str:
    """Spell a category the one way that compares: "car_(sedan)" -> "car", "Palm-Tree" -> "palm tree"."""
    return " ".join(words_of(re.sub(r"\(.*?\)", " ", name)))


def clean(name: str) -> str:
    """Spell a category as people write it, and as training does: "hot-air_balloon" -> "hot air balloon".

    What stands in brackets is kept: "car_(sedan)" -> "car sedan".
    """
    return " ".join(words_of(name))


def unseen_names() -> tuple[str, ...]:
    """The 21 categories never trained on as a sketch (Yelamarthi et al., ECCV 2018)."""
    return split_names("sketchy-21")


@functools.cache
def _table(name: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in _lines(name))
    return {item.strip(): head for head, _, items in pairs for item in items.split(",")}


@functools.cache
def _terms() -> dict[str, str]:
    terms = {name: name for name in unseen_names()} | _table("unseen-synonyms")
    return terms | {term.replace(" ", ""): head for term, head in terms.items()}


def unseen_class(name: str) -> str | None:
    """Name the unseen category that `name` (a category or a WordNet id) belongs to, None if it is free to train on.

    Cautious on purpose: synonyms, kinds and near twins count, and so does any name that ends in one of them
    ("palm tree"), but for the few that are listed as something else ("wading bird").
    """
    if re.fullmatch(r"n\d{8}", name):
        return _table("unseen-wnids").get(name)
    words = plain_name(name).split()
    for start in range(len(words)):
        term = " ".join(words[start:])
        head = _terms().get(term) or _terms().get(term.removesuffix("s"))
        if head:
            return None if head == "-" else head
    return None


def is_unseen(name: str) -> bool:
    """Tell whether a category name or WordNet id must never be trained on as a sketch; see `unseen_class`."""
    return unseen_class(name) is not None


def held_out(photo_id: str) -> bool:
    """Keep about one photo in five, with all sketches of it, out of training: by a hash, the same everywhere."""
    return hashlib.sha256(photo_id.encode()).digest()[0] < 51
