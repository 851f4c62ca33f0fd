"""Sketch World as a data set: pictures are drawn when they are read, of objects that no training uses."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...world import SEEN, UNSEEN, World
from .base import Dataset, Datasets, MaskedScene, Part, PointPair, Sample

if TYPE_CHECKING:
    from ...io.images import ImageInput, Kind

WORLD = "world"
PHOTOS = 20  # of each category
SKETCHES = 5  # of each category, one by each hand, of objects that no photo of an unseen category shows
HANDS = 5
SCENES, PAIRS = 10, 10  # of each unseen category
TUNING = 2  # scenes or pairs of each seen category
EXAMPLES = 20  # sketches of each seen category to learn from
# The first instance of each use. Training uses those below FIRST_TUNING, of seen categories.
FIRST_TUNING, FIRST_SKETCHED, FIRST_EXAMPLE = 500, 1000, 2000


@dataclass(frozen=True, kw_only=True)
class WorldSample(Sample):
    """A picture of Sketch World. A sketch is by a `hand`, and has the pose and view of the photo if `of_photo`."""

    world: World
    instance: int
    hand: int
    of_photo: bool

    @property
    def picture(self) -> "ImageInput":
        if self.kind == "photo":
            return self.world.photo(self.label, self.instance).photo
        return _rgb(self.world.sketch(self.label, self.instance, self.hand, of_photo=self.of_photo)[0])


class SketchWorld(Dataset):
    """All categories of Sketch World, with masks and keypoints; the unseen ones are measured on."""

    layout = "Sketch World"

    def __init__(self, seed: int = 0) -> None:
        self.root, self.world = Path(WORLD), World(seed)
        self.categories = self.world.categories

    def photos(self, categories: Collection[str] | None = None) -> list[Sample]:
        return [
            self._sample(category, (0 if category in UNSEEN else FIRST_SKETCHED) + number, "photo")
            for category in self._checked(categories)
            for number in range(PHOTOS)
        ]

    def sketches(self, categories: Collection[str] | None = None) -> list[Sample]:
        """Sketches of the categories (all by default), by each hand."""
        wanted = self._checked(categories)
        return [self._sample(c, FIRST_SKETCHED + n, "sketch", n) for c in wanted for n in range(SKETCHES)]

    def instances(self, categories: Collection[str] | None = None) -> tuple[list[Sample], list[Sample]]:
        """Sketches in the pose and view of their photos, and the photos."""
        wanted = self._checked(categories)
        pairs = [(category, number) for category in wanted for number in range(PHOTOS)]
        sketches: list[Sample] = [self._sample(category, n, "sketch", n, of_photo=True) for category, n in pairs]
        return sketches, [self._sample(category, n, "photo") for category, n in pairs]

    @property
    def names(self) -> list[str]:
        return list(SEEN)

    def named(self, kind: "Kind", examples: bool = False) -> list[Sample]:
        """Objects of the seen categories, with `examples` others than without."""
        if kind == "photo":
            return self.photos(SEEN)
        if not examples:
            return self.sketches(SEEN)
        return [self._sample(c, FIRST_EXAMPLE + n, "sketch", n) for c in SEEN for n in range(EXAMPLES)]

    def unseen(self, split: str | None = None) -> tuple[list[str], str]:
        """The unseen categories; DatasetError if a split is named."""
        return (list(UNSEEN), "unseen categories") if split is None else super().unseen(split)

    def untrained(self, samples: Sequence[Sample]) -> list[Sample]:
        """All of them: training uses other objects."""
        return list(samples)

    def point_pairs(self, sketchy: Dataset | None = None, *, measured: bool = True) -> Iterator[PointPair]:
        """Pairs of the unseen categories with the keypoints that both show, or some of the seen ones to tune on."""
        return self.draw_pairs("unseen", PAIRS, 0) if measured else self.draw_pairs("seen", TUNING, FIRST_TUNING)

    def scenes(self, sketches: Datasets = (), part: Part = "all") -> Iterator[MaskedScene]:
        """Photos of the unseen categories, with sketches of other objects; for tuning some of the seen categories."""
        return self.draw_scenes("seen", TUNING, FIRST_TUNING) if part == "tuning" else self.draw_scenes()

    def draw_pairs(self, split: str = "unseen", count: int = PAIRS, first: int = 0) -> Iterator[PointPair]:
        """Draw `count` pairs of each category, by each hand in turn; leave out pairs without a common keypoint."""
        for category in World(split=split).categories:
            for instance in range(first, first + count):
                pair = self.world.pair(category, instance, instance)
                photo = pair.photo_keypoints
                names = [n for n, point in pair.sketch_keypoints.items() if point.visible and photo[n].visible]
                if names:
                    in_sketch = np.array([pair.sketch_keypoints[name][:2] for name in names])
                    in_photo = np.array([photo[name][:2] for name in names])
                    yield PointPair(category, _rgb(pair.sketch), pair.photo, in_sketch, in_photo)

    def draw_scenes(self, split: str = "unseen", count: int = SCENES, first: int = 0) -> Iterator[MaskedScene]:
        """Draw `count` photos of each category, each with sketches of two other objects by each hand in turn."""
        categories = World(split=split).categories
        for place, category in enumerate(categories):
            for instance in range(first, first + count):
                step = 1 + (instance * 7 + place) % (len(categories) - 1)
                other = categories[(place + step) % len(categories)]
                shot, hand = self.world.photo(category, instance), (instance + place) % HANDS
                right = _rgb(self.world.sketch(category, FIRST_SKETCHED + instance, hand)[0])
                wrong = _rgb(self.world.sketch(other, FIRST_SKETCHED + instance, hand)[0])
                yield MaskedScene(category, shot.photo, lambda mask=shot.mask: mask, right, wrong)  # type: ignore[misc]

    def _sample(self, category: str, instance: int, kind: "Kind", hand: int = 0, of_photo: bool = False) -> WorldSample:
        name = self.root, category, f"{category}/{instance}", kind, str(instance)
        return WorldSample(*name, world=self.world, instance=instance, hand=hand % HANDS, of_photo=of_photo)


def _rgb(sketch: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return sketch[:, :, None].repeat(3, axis=2)
