"""Where a benchmark's labelled pictures come from: Sketch World, or folders in the layouts that people have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..datasets.base import Sample, folder_of
from ..datasets.quickdraw import QuickDraw
from ..datasets.sketchy import Sketchy
from ..datasets.splits import held_out, is_unseen
from ..datasets.tinyimagenet import TinyImageNet, is_tiny_imagenet

if TYPE_CHECKING:
    from ..io.images import Kind
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
    split: str = "unseen"  # of Sketch World

    def sketches(self) -> Iterator[Labelled]:
        """The queries with their categories."""
        if self.data == WORLD:
            from ..world import World

            world = World(split=self.split)
            for category in world.categories:
                for hand in range(WORLD_SKETCHES):
                    picture = world.sketch(category, FIRST_SKETCHED + hand, hand)[0]
                    yield picture[:, :, None].repeat(3, axis=2), category
        else:
            yield from ((sample.source, sample.label) for sample in self._samples("sketch"))

    def photos(self) -> Iterator[Labelled]:
        """The gallery with its categories."""
        if self.data == WORLD:
            from ..world import World

            world, first = World(split=self.split), 0 if self.split == "unseen" else FIRST_SKETCHED
            for category in world.categories:
                for instance in range(WORLD_PHOTOS):
                    yield world.photo(category, first + instance).photo, category
        else:
            yield from ((sample.source, sample.label) for sample in self._samples("photo"))

    def _samples(self, kind: str) -> list[Sample]:
        sketchy = Sketchy(self.data)
        unseen = [category for category in sketchy.categories if is_unseen(category)] or None
        return sketchy.sketches(unseen) if kind == "sketch" else sketchy.photos(unseen)


def retrieval_data(data: str) -> Retrieval:
    """The category-level benchmark of "world" or of a root: its unseen classes, or all where it has none of them."""
    return Retrieval(data if data == WORLD else Path(data).resolve().name, data)


@dataclass(frozen=True)
class Naming:
    """Pictures of one kind and the names to choose from."""

    name: str
    kind: Kind
    pictures: list[Labelled]
    labels: list[str]


def naming_data(data: str, kind: Kind) -> Naming:
    """Pictures that no training of this project draws, with the names of all categories of their source.

    "world": new objects of the seen categories of Sketch World. A Sketchy root: the held-out pictures of its seen
    classes. A folder of Quick, Draw! files: the held-out drawings of all of them but the unseen classes. Tiny-imagenet:
    its validation photos.
    """
    if is_tiny_imagenet(Path(data)):
        if kind == "sketch":
            raise ValueError(f"{data} holds photos only; name those")
        tiny = TinyImageNet(data)
        photos: list[Labelled] = [(sample.source, sample.label) for sample in tiny.validation()]
        return Naming(Path(data).resolve().name, kind, photos, list(tiny.categories))
    if data == WORLD:
        from ..world import SEEN

        source = Retrieval(data, data, "seen")
        return Naming(data, kind, [*(source.sketches() if kind == "sketch" else source.photos())], list(SEEN))
    name, drawings = Path(data).resolve().name, any(folder_of(data, "simplified", "raw").glob("*.ndjson"))
    if drawings and kind == "photo":
        raise ValueError(f"{data} holds drawings only; name its sketches")
    if drawings:
        quickdraw = QuickDraw(data)
        samples = [s for s in quickdraw.sketches() if held_out(f"{s.label}:{s.line}")]
        labels = list(quickdraw.categories)
    else:
        sketchy = Sketchy(data)
        labels = [category for category in sketchy.categories if not is_unseen(category)]
        samples = sketchy.sketches(labels) if kind == "sketch" else sketchy.photos(labels)
        samples = [s for s in samples if held_out(s.photo_id)]
    return Naming(name, kind, [(s.source, s.label) for s in samples if not is_unseen(s.label)], labels)
