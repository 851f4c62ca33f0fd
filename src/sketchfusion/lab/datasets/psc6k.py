"""PSC6K: keypoints of 6,250 photo-sketch pairs of the Sketchy Database (Lu et al., ICML 2023)."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from .base import Dataset, DatasetError, PointPair, Sample, first_folder, folder_of, leads_out, read_table
from .sketchy import INNER, photo_id_of

SIDE = 256  # pixels of a picture of Sketchy; coordinates reach from 0 to 256, both included
FILES = tuple(f"{split}_pairs_{form}.csv" for split in ("train", "test") for form in ("ps", "st"))
COLUMNS = ("photo", "sketch", "XA", "YA", "XB", "YB")

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KeypointPair:
    """A photo and a sketch of it, with corresponding points (8, 2) x, y in pixels of 256 x 256."""

    source: Sample
    target: Sample
    source_points: Points = field(repr=False)
    target_points: Points = field(repr=False)


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
        self._bases = [base, *(base / inner for inner in INNER), base.absolute().parent]

    @classmethod
    def present(cls, root: Path) -> bool:
        folder = first_folder(root, "PSC6K") or root
        return any((folder / name).is_file() for name in FILES)

    def point_pairs(self, sketchy: Dataset | None = None, *, measured: bool = True) -> Iterator[PointPair]:
        """Yield the pairs of the photos to measure on (40 %), or of the others, scaled to the pictures' own pixels."""
        annotated = PSC6K(self.root, sketchy.root) if sketchy else self
        pairs = released_split(annotated.test_pairs())[measured]
        if not pairs:
            raise self.error("60 % of each class's photos are left out, which leaves none; give all of PSC6K")
        for pair in pairs:
            sketch, photo = pair.target, pair.source
            points = _in_pixels(pair.target_points, sketch), _in_pixels(pair.source_points, photo)
            yield PointPair(sketch.label, sketch.path, photo.path, *points)

    def test_pairs(self) -> list[KeypointPair]:
        """The 6,250 pairs from photo to sketch, with keypoints; DatasetError for a row that is wrong."""
        path, pairs = self.tables / "test_pairs_ps.csv", []
        for number, row in enumerate(read_table(path, COLUMNS, f"PSC6K has {', '.join(FILES)}"), 2):
            if any(row[column] in (None, "") for column in COLUMNS):
                raise DatasetError(f"{path}:{number}: cut short; expected {', '.join(COLUMNS)}")
            try:
                photo, sketch = self._sample(row["photo"]), self._sample(row["sketch"])
                in_photo, in_sketch = _points(row["XA"], row["YA"]), _points(row["XB"], row["YB"])
                if len(in_photo) != len(in_sketch):
                    raise ValueError(f"{len(in_photo)} keypoints in one picture and {len(in_sketch)} in the other")
            except ValueError as error:
                raise DatasetError(f"{path}:{number}: {error}") from None
            pairs.append(KeypointPair(photo, sketch, in_photo, in_sketch))
        return pairs

    def _sample(self, name: str) -> Sample:
        for base in self._bases:
            path = base / name
            if path.is_file() and not leads_out(base, name):
                kind: Literal["sketch", "photo"] = "sketch" if "sketch" in Path(name).parts else "photo"
                photo = path.stem if kind == "photo" else photo_id_of(path.stem)
                return Sample(path, path.parent.name, f"{path.parent.name}/{path.stem}", kind, photo)
        raise ValueError(f"{name} is not under {self._bases[0]}; give the root of Sketchy")


def released_split(pairs: list[KeypointPair]) -> tuple[list[KeypointPair], list[KeypointPair]]:
    """Split test pairs as the released code of SketchFusion: of each class the first 60 % of photos are to train."""
    train, evaluation = list[KeypointPair](), list[KeypointPair]()
    in_order = sorted(pairs, key=lambda pair: (pair.source.label, str(pair.source.path)))
    for _, of_class in itertools.groupby(in_order, key=lambda pair: pair.source.label):
        photos = [list(group) for _, group in itertools.groupby(of_class, key=lambda pair: pair.source.path)]
        first = round(0.6 * len(photos))
        train += itertools.chain(*photos[:first])
        evaluation += itertools.chain(*photos[first:])
    return train, evaluation


def _in_pixels(points: Points, sample: Sample) -> Points:
    from ...io.images import read_image  # brings torch, which lists of files do without

    height, width = read_image(sample.path, sample.kind).shape[1:]
    return points * (np.array([width, height]) / SIDE)


def _points(x: str, y: str) -> Points:
    try:
        points = np.array([[float(v) for v in axis.split(";")] for axis in (x, y)]).T
    except ValueError:
        raise ValueError(f"keypoints {x!r}, {y!r} are not as many x as y, parted by ;") from None
    if not ((points >= 0) & (points <= SIDE)).all():
        raise ValueError(f"a keypoint lies outside 0 to {SIDE}")
    return points
