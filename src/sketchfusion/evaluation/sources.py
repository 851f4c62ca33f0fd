"""Where a benchmark's labelled pictures come from: Sketch World, or a root in Sketchy's layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..datasets.base import Sample
from ..datasets.sketchy import Sketchy
from ..datasets.splits import is_unseen

if TYPE_CHECKING:
    from .benchmarks import Labelled

WORLD = "world"
WORLD_PHOTOS = 20  # of each unseen category of Sketch World
WORLD_SKETCHES = 5  # one by each hand, of instances that no photo shows
FIRST_SKETCHED = 1000


@dataclass(frozen=True)
class Retrieval:
    """Queries and gallery of one benchmark; the pictures are made or read when they are asked for."""

    name: str
    data: str

    def sketches(self) -> Iterator[Labelled]:
        """The queries with their categories."""
        if self.data == WORLD:
            from ..world import UNSEEN, World

            world = World(split="unseen")
            for category in UNSEEN:
                for hand in range(WORLD_SKETCHES):
                    picture = world.sketch(category, FIRST_SKETCHED + hand, hand)[0]
                    yield picture[:, :, None].repeat(3, axis=2), category
        else:
            yield from ((sample.source, sample.label) for sample in self._samples("sketch"))

    def photos(self) -> Iterator[Labelled]:
        """The gallery with its categories."""
        if self.data == WORLD:
            from ..world import UNSEEN, World

            world = World(split="unseen")
            for category in UNSEEN:
                for instance in range(WORLD_PHOTOS):
                    yield world.photo(category, instance).photo, category
        else:
            yield from ((sample.source, sample.label) for sample in self._samples("photo"))

    def _samples(self, kind: str) -> list[Sample]:
        sketchy = Sketchy(self.data)
        unseen = [category for category in sketchy.categories if is_unseen(category)] or None
        return sketchy.sketches(unseen) if kind == "sketch" else sketchy.photos(unseen)


def retrieval_data(data: str) -> Retrieval:
    """The category-level benchmark of "world" or of a root: its unseen classes, or all where it has none of them."""
    return Retrieval(data if data == WORLD else Path(data).resolve().name, data)
