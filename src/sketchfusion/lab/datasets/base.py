"""The base class of all data sets, their samples, and the rules for what is held out of training."""

from __future__ import annotations

import csv
import functools
import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ...io.files import find_images

if TYPE_CHECKING:
    from ...io.images import ImageInput, Kind

Part = Literal["all", "tuning", "measured"]


class DatasetError(ValueError):
    """A data set cannot be used; the message is one line that names its folder and says what is expected there."""


@dataclass(frozen=True)
class Sample:
    """One photo or sketch; `photo_id` is the same for a photo and the sketches drawn from it, "" if not known."""

    path: Path
    label: str
    id: str
    kind: Kind = "photo"
    photo_id: str = ""
    line: int = 0  # 1-based number of the drawing in a file of many; 0 for a file of one picture

    @property
    def source(self) -> str:
        """The path; for a drawing in a file of many, "path:number"."""
        return f"{self.path}:{self.line}" if self.line else str(self.path)

    @property
    def picture(self) -> ImageInput:
        """The argument for `read_image`."""
        return self.source

    @property
    def origin(self) -> str:
        """The id to pass to `held_out`: the `photo_id` if there is one, or else this sample's own id."""
        return self.photo_id or (f"{self.label}:{self.line}" if self.line else self.id)


@dataclass(frozen=True, eq=False)
class MaskedScene:
    """A photo, the mask (H, W) of the objects of one category in it, and two sketches."""

    category: str
    photo: ImageInput
    mask: Callable[[], npt.NDArray[np.bool_]]
    sketch: ImageInput  # of the category
    other: ImageInput  # of a category that the photo is not known to show


@dataclass(frozen=True, eq=False)
class PointPair:
    """A sketch, a photo, and N corresponding points visible in both: x, y (N, 2) in each picture's own pixels."""

    category: str
    sketch: ImageInput
    photo: ImageInput
    sketch_points: npt.NDArray[np.float64] = field(repr=False)
    photo_points: npt.NDArray[np.float64] = field(repr=False)
    rough: bool = False  # the photo's points were estimated, not annotated


class Dataset:
    """The base class of all data sets: a subclass overrides what it has data for; the rest raises a DatasetError."""

    layout: ClassVar[str]
    splits: ClassVar[tuple[str, ...]] = ()  # published class splits, the default one first
    paired: ClassVar[bool] = False  # whether it has photos and sketches of the same classes, to train on
    categories: tuple[str, ...]
    aligned: bool = False  # whether sketches and their photos show the object at the same pixels
    keypoints: Dataset | None = None  # PSC6K, if its files lie in the same folder

    def __init__(self, root: str | Path) -> None:
        self.root = folder_of(root)

    @classmethod
    def present(cls, root: Path) -> bool:
        """Whether the files in the folder `root` have this layout."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name of the root folder, used to name reports."""
        return self.root.resolve().name

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The photos of the categories (all by default); DatasetError for an unknown one."""
        raise self._lacks("photos", "give a data set that has")

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """The sketches of the categories (all by default); DatasetError for an unknown one."""
        raise self._lacks("sketches", "give data with both, or sketches by --sketches if the command takes it")

    def contents(self, untrained: bool = False) -> list[tuple[Sample, frozenset[str]]]:
        """List photos with all categories each is known to show; if `untrained`, those that training never uses."""
        photos = self.untrained(self.photos()) if untrained else self.photos()
        return [(photo, frozenset({photo.label} - {""})) for photo in photos]

    def with_duplicates(self) -> Dataset:
        """Return the data set with the duplicate photos of its published gallery, which are left out otherwise."""
        raise DatasetError(f"{self.root}: {self.layout} has no photo twice; leave the duplicates out")

    def instances(self, categories: Collection[str] | None = None) -> tuple[list[Sample], list[Sample]]:
        """The sketches that were drawn from a known photo, and those photos; `photo_id` says which belong together."""
        raise self.error(f"a {self.layout} does not say which photo a sketch is of; give a root of Sketchy")

    def point_pairs(self, sketchy: Dataset | None = None, *, measured: bool = True) -> Iterator[PointPair]:
        """Pairs of a sketch and a photo with corresponding points: test pairs, or validation pairs if not `measured`.

        `sketchy` provides the pictures if this data set has annotations only.
        """
        raise self.error("correspondence is measured where keypoints are known; give PSC6K, Sketchy or world")

    def scenes(self, sketches: Sequence[Dataset] = (), part: Part = "all") -> Iterator[MaskedScene]:
        """Photos with masks, each with one sketch of the masked category and one of a category that is not shown.

        `sketches` provides the sketches if this data set has none. The part "tuning" has the photos for training and
        for choosing a threshold, "measured" has the other photos, which are for testing.
        """
        raise self._lacks("masks", "give a folder with index.csv, photo/ and mask/")

    @property
    def names(self) -> list[str]:
        """The candidate classes when a picture of this data set is classified."""
        return [category for category in self.categories if not is_unseen(category)]

    def named(self, kind: Kind, examples: bool = False) -> list[Sample]:
        """Pictures of seen categories to classify: held out of training or, with `examples`, those used in training."""
        pictures = self.sketches(self.names) if kind == "sketch" else self.photos(self.names)
        found = [s for s in pictures if not is_unseen(s.label) and not_trained_on(s) != examples]
        if not found:
            what = "to learn from" if examples else "is held out"
            raise DatasetError(f"{self.root}: no {kind} {what}; one in five of seen classes is held out")
        return found

    def unseen(self, split: str | None = None) -> tuple[list[str], str]:
        """The test categories, and a phrase for reports that describes them.

        They are the unseen classes of the published split `split` or, by default, of the first in `splits`. By default
        they are all categories if there are no splits or the folder has none of those classes. DatasetError for a split
        that is not in `splits`, or for a given one if the folder has none of its classes.
        """
        if split is not None and split not in self.splits:
            raise DatasetError(f"{self.root}: {self.layout} has no split {split!r}; choose {', '.join(self.splits)}")
        if not self.splits:
            return list(self.categories), f"all {len(self.categories)} categories"
        named = split or self.splits[0]
        if found := unseen_of(self.categories, named):
            return found, f"{len(found)} of the {named.split('-')[1]} unseen classes of {named}"
        if split is not None:
            raise DatasetError(f"{self.root}: none of the classes of {split} is here; leave the split out to take all")
        return list(self.categories), f"all {len(self.categories)} classes, as none of {named} is there"

    @property
    def kept_out(self) -> frozenset[str]:
        """The unseen categories of the default split: they are for testing, and training leaves them out."""
        return frozenset(unseen_of(self.categories, self.splits[0]) if self.splits else ())

    def untrained(self, samples: Sequence[Sample]) -> list[Sample]:
        """Select the samples that training on this data set never uses."""
        kept_out = self.kept_out
        return [sample for sample in samples if sample.label in kept_out or not_trained_on(sample)]

    def _checked(self, wanted: Collection[str] | None) -> list[str]:
        """Return the wanted categories, sorted (all for None); DatasetError if one is not there."""
        if missing := sorted(set(wanted or ()) - set(self.categories)):
            known = ", ".join(sorted(self.categories)[:5])
            raise DatasetError(f"{self.root}: no category {missing[0]!r}; there are {known}, ...")
        return sorted(self.categories if wanted is None else set(wanted))

    def _lacks(self, what: str, advice: str) -> DatasetError:
        return self.error(f"a {self.layout} has no {what}; {advice}")

    def error(self, what: str) -> DatasetError:
        """Make an error about this data set, which names its folder."""
        return DatasetError(f"{self.root}: {what}")


Datasets = Sequence[Dataset]


def folder_of(root: str | Path, *inner: str) -> Path:
    """Return the first of the subfolders `inner` that exists, or else `root`; DatasetError if `root` is no folder."""
    path = Path(root)
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; check the path of the data")
    return first_folder(path, *inner) or path


def first_folder(root: Path, *names: str) -> Path | None:
    """Return the first of the subfolders `names` of `root` that exists; None if none does."""
    return next((root / name for name in names if (root / name).is_dir()), None)


def leads_out(root: Path, name: str) -> bool:
    """Tell whether a path in a table, relative to `root`, leads out of it; folders in it may be links to elsewhere."""
    return not Path(os.path.abspath(root / name)).is_relative_to(os.path.abspath(root))  # noqa: PTH100, as of links


def read_table(path: Path, columns: Sequence[str], expected: str) -> list[dict[str, str]]:
    """Read a CSV file with a header; DatasetError, which says what was `expected`, for another file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if missing := [column for column in columns if column not in (rows.fieldnames or ())]:
                raise DatasetError(f"{path}: no column {missing[0]!r}; expected {', '.join(columns)}")
            return list(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); {expected}") from None


# Data sets with a folder for each class.
class ClassFolders(Dataset):
    """Sketches and photos in `sides`, as `class_folders` lists them; a class is spelt as in the first that has it."""

    paired = True

    def __init__(self, root: str | Path, *sides: dict[str, Path]) -> None:
        super().__init__(root)
        self._sketches, self._photos, *_ = sides
        spelt = {key: path.name for side in reversed(sides) for key, path in side.items()}
        self.categories = tuple(sorted(spelt.values()))

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        return self._pictures(self._sketches, categories, "sketch")

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        return self._pictures(self._photos, categories, "photo")

    def _pictures(self, side: dict[str, Path], categories: Collection[str] | None, kind: Kind) -> list[Sample]:
        """The pictures of one side, sorted by category and file name, without `photo_id`."""
        return [
            Sample(path, category, f"{category}/{path.stem}", kind)
            for category in self._checked(categories)
            if (folder := side.get(folder_key(category)))
            for path in find_images(folder)
        ]


def folder_key(name: str) -> str:
    """Reduce a class name to letters and digits, so that "hot-air_balloon" and "hotairballoon" are the same."""
    return readable_name(name).replace(" ", "")


def class_folders(folder: Path | None, renamed: Mapping[str, str] | None = None) -> dict[str, Path]:
    """Map the `folder_key` of each class, after `renamed`, to its subfolder; DatasetError if two have one key."""
    folders: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder else ():
        if path.is_dir() and not path.name.startswith((".", "__")):
            key = folder_key(path.name)
            twin = folders.setdefault(folder_key((renamed or {}).get(key, key)), path)
            if twin != path:
                raise DatasetError(f"{folder}: {twin.name!r} and {path.name!r} are one class; put them together")
    return folders


# Published class splits, and the categories that are never trained on as sketches.


def data_lines(name: str) -> list[str]:
    """Read the lines of `data/<name>.txt` without comments, which cite the source; those of a split are its classes."""
    text = resources.files(__package__).joinpath("data", f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def unseen_of(categories: Iterable[str], split: str) -> list[str]:
    """Select the categories that are unseen in a published split, sorted; case and punctuation do not matter."""
    unseen = {comparable_name(name) for name in data_lines(split)}
    return sorted(name for name in categories if comparable_name(name) in unseen)


def comparable_name(name: str) -> str:
    """Normalise a category for comparison across data sets: "car_(sedan)" -> "car", "Palm-Tree" -> "palm tree"."""
    return readable_name(re.sub(r"\(.*?\)", " ", name))


def readable_name(name: str) -> str:
    """Spell a category in plain words, as training does: "hot-air_balloon" -> "hot air balloon".

    Words consist of letters, digits and combining marks, in lower case and Unicode form NFC. Those in brackets are
    kept, unlike in `comparable_name`: "car_(sedan)" -> "car sedan".
    """
    composed = unicodedata.normalize("NFC", name.lower())
    spaced = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in composed)
    return " ".join(spaced.split())


@functools.cache
def _table(name: str) -> dict[str, str]:
    """Read `data/<name>.txt`, whose lines are "category: name, name", as a mapping from each name to its category."""
    pairs = (line.partition(":") for line in data_lines(name))
    return {item.strip(): head for head, _, items in pairs for item in items.split(",")}


@functools.cache
def _terms() -> dict[str, str]:
    """Map unseen categories (Yelamarthi et al., ECCV 2018) and their synonyms to the category; "-" for exceptions."""
    terms = {name: name for name in data_lines("sketchy-21")} | _table("unseen-synonyms")
    return terms | {term.replace(" ", ""): head for term, head in terms.items()}


def is_unseen(name: str) -> bool:
    """Tell whether a category or WordNet id must never be trained on as a sketch.

    Broad on purpose: synonyms, subtypes and look-alikes of unseen categories count, and so does any name that ends with
    one of these ("palm tree"), unless it is a listed exception ("wading bird").
    """
    if re.fullmatch(r"n\d{8}", name):
        return name in _table("unseen-wnids")
    words = comparable_name(name).split()
    for start in range(len(words)):
        term = " ".join(words[start:])
        if head := _terms().get(term) or _terms().get(term.removesuffix("s")):
            return head != "-"
    return False


def drawn_as(name: str) -> tuple[str, ...]:
    """List the sketch categories that may be paired with photos of `name`, closest first; none if it is unseen.

    They are the name itself, its entry in `data/photo-names.txt` ("airliner" -> "airplane"), and its last word
    ("rock crab" -> "crab").
    """
    name = comparable_name(name)
    if is_unseen(name):
        return ()
    known = _table("photo-names").get(name)
    last = () if known == "-" else (name.split()[-1],)
    return tuple(dict.fromkeys((name, *([known] if known and known != "-" else []), *last)))


def held_out(photo_id: str) -> bool:
    """Tell whether a photo and its sketches are held out of training: about one in five are, by a hash of the id."""
    return hashlib.sha256(photo_id.encode(errors="surrogateescape")).digest()[0] < 51


def not_trained_on(sample: Sample) -> bool:
    """Tell whether no training ever uses this sample as a sketch: its category is unseen, or it is held out."""
    return is_unseen(sample.label) or held_out(sample.origin)
