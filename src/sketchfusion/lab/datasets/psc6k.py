"""PSC6K: keypoints of 6,250 photo-sketch pairs of the Sketchy Database (Lu et al., ICML 2023)."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from .base import Dataset, DatasetError, PointPair, Sample, first_folder, folder_of
from .sketchy import INNER, photo_id_of

SIDE = 256  # pixels of a picture of Sketchy; coordinates reach from 0 to 256, both included
FILES = tuple(f"{split}_pairs_{form}.csv" for split in ("train", "test") for form in ("ps", "st"))

Points = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class AnnotatedPair:
    """A photo and a sketch of it, in either order; `flip` if both are to be mirrored."""

    source: Sample
    target: Sample
    flip: bool = False


@dataclass(frozen=True, eq=False)
class KeypointPair:
    """A photo and a sketch of it, in either order, with corresponding points (8, 2) x, y in pixels of 256 x 256."""

    source: Sample
    target: Sample
    source_points: Points
    target_points: Points


class PSC6K(Dataset):
    """`root` holds the four csv files (or a folder `PSC6K` of them), whose paths are relative to the root of Sketchy.

    `sketchy` is that root, if it is not `root` itself. Only the test photos, ten of each class, have keypoints.
    """

    layout = "PSC6K"
    categories = ()

    def __init__(self, root: str | Path, sketchy: str | Path | None = None) -> None:
        super().__init__(root)
        self.tables = folder_of(root, "PSC6K")
        base = folder_of(root if sketchy is None else sketchy)
        self._bases = [base, *(base / inner for inner in INNER), base.parent]

    @classmethod
    def present(cls, root: Path) -> bool:
        """Whether a folder has this layout."""
        folder = first_folder(root, "PSC6K") or root
        return any((folder / name).is_file() for name in FILES)

    def point_pairs(self, sketchy: Dataset | None = None, *, measured: bool = True) -> Iterator[PointPair]:
        """Pairs of the 40 % of photos that are measured on, or of the others; `sketchy` has the pictures, if given.

        Points are scaled from 256 x 256 pixels to the size of the pictures.
        """
        annotated = PSC6K(self.root, sketchy.root) if sketchy else self
        pairs = released_split(annotated.test_pairs())[measured]
        if not pairs:
            raise DatasetError(
                f"{self.root}: 60 % of each class's photos are left out, which leaves none; give all of PSC6K"
            )
        for pair in pairs:
            sketch, photo = pair.target, pair.source
            points = _in_pixels(pair.target_points, sketch), _in_pixels(pair.source_points, photo)
            yield PointPair(sketch.label, sketch.path, photo.path, *points)

    def test_pairs(self) -> list[KeypointPair]:
        """The 6,250 pairs from photo to sketch, with keypoints."""
        return self._read("test_pairs_ps.csv", ("photo", "sketch", "XA", "YA", "XB", "YB"), _keypoints)

    def test_directions(self) -> list[KeypointPair]:
        """The 12,500 pairs in both directions, as PSC evaluates them."""
        return self._read("test_pairs_st.csv", ("source_image", "target_image", "XA", "YA", "XB", "YB"), _keypoints)

    def train_pairs(self) -> list[AnnotatedPair]:
        """Pairs from photo to sketch without keypoints, each once as it is and once to be mirrored."""
        return self._read("train_pairs_ps.csv", ("photo", "sketch", "flip"), _flipped)

    def train_directions(self) -> list[AnnotatedPair]:
        """The training pairs in both directions."""
        return self._read("train_pairs_st.csv", ("source_image", "target_image", "flip"), _flipped)

    def _read(
        self, name: str, columns: tuple[str, ...], made: Callable[[Sample, Sample, dict[str, str]], T]
    ) -> list[T]:
        path = self.tables / name
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = csv.DictReader(file)
                if missing := [column for column in columns if column not in (rows.fieldnames or ())]:
                    raise DatasetError(f"{path}: no column {missing[0]!r}; expected {', '.join(columns)}")
                return list(self._rows(path, rows, columns, made))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{path}: cannot be read ({error}); PSC6K has {', '.join(FILES)}") from None

    def _rows(
        self,
        path: Path,
        rows: csv.DictReader[str],
        columns: tuple[str, ...],
        made: Callable[[Sample, Sample, dict[str, str]], T],
    ) -> Iterator[T]:
        for number, row in enumerate(rows, 2):
            if any(row.get(column) in (None, "") for column in columns):
                raise DatasetError(f"{path}:{number}: cut short; expected {', '.join(columns)}")
            try:
                yield made(self._sample(row[columns[0]]), self._sample(row[columns[1]]), row)
            except ValueError as error:
                raise DatasetError(f"{path}:{number}: {error}") from None

    def _sample(self, name: str) -> Sample:
        for base in self._bases:
            if (base / name).resolve().is_relative_to(base.resolve()) and (base / name).is_file():
                path = base / name
                break
        else:
            raise ValueError(f"{name} is not under {self._bases[0]}; give the root of Sketchy")
        label = path.parent.name
        kind: Literal["sketch", "photo"] = "sketch" if "sketch" in Path(name).parts else "photo"
        photo = path.stem if kind == "photo" else photo_id_of(path.stem)
        return Sample(path, label, f"{label}/{path.stem}", kind, photo)


def released_split(pairs: list[KeypointPair]) -> tuple[list[KeypointPair], list[KeypointPair]]:
    """Split test pairs into training and evaluation pairs, as SketchFusion's released code does.

    Of each class the first 60 % of photos by path are for training, the others for evaluation: 6 and 4 of 10.
    """

    def photo(pair: KeypointPair) -> Sample:
        return pair.source if pair.source.kind == "photo" else pair.target

    train, evaluation = list[KeypointPair](), list[KeypointPair]()
    in_order = sorted(pairs, key=lambda pair: (photo(pair).label, str(photo(pair).path)))
    for _, of_class in itertools.groupby(in_order, key=lambda pair: photo(pair).label):
        photos = [list(group) for _, group in itertools.groupby(of_class, key=lambda pair: photo(pair).path)]
        first = round(0.6 * len(photos))
        train += itertools.chain(*photos[:first])
        evaluation += itertools.chain(*photos[first:])
    return train, evaluation


def _in_pixels(points: Points, sample: Sample) -> Points:
    from ...io.images import read_image  # brings torch, which lists of files do without

    height, width = read_image(sample.path, sample.kind).shape[1:]
    return points * (np.array([width, height]) / SIDE)


def _flipped(source: Sample, target: Sample, row: dict[str, str]) -> AnnotatedPair:
    if row["flip"] not in ("0", "1"):
        raise ValueError(f"flip is {row['flip']!r}; expected 0 or 1")
    return AnnotatedPair(source, target, row["flip"] == "1")


def _keypoints(source: Sample, target: Sample, row: dict[str, str]) -> KeypointPair:
    a, b = _points(row["XA"], row["YA"]), _points(row["XB"], row["YB"])
    if len(a) != len(b):
        raise ValueError(f"{len(a)} keypoints in one picture and {len(b)} in the other")
    return KeypointPair(source, target, a, b)


def _points(x: str, y: str) -> Points:
    try:
        points = np.array([[float(v) for v in axis.split(";")] for axis in (x, y)]).T
    except ValueError:
        raise ValueError(f"keypoints {x!r}, {y!r} are not as many x as y, parted by ;") from None
    if not ((points >= 0) & (points <= SIDE)).all():
        raise ValueError(f"a keypoint lies outside 0 to {SIDE}")
    return points
