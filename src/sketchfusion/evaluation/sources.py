"""Pictures to be named, and the names to choose from: of Sketch World, or of roots in the layouts that people have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..lab.datasets.base import DatasetError, Sample, is_unseen
from ..lab.datasets.folders import PhotoFolder, TinyImageNet
from ..lab.datasets.layouts import Layout, recognise
from ..lab.datasets.quickdraw import QuickDraw
from .galleries import WORLD, not_trained_on, paired, world_pictures

if TYPE_CHECKING:
    from ..io.images import Kind
    from .benchmarks import Labelled


FIRST_EXAMPLE, EXAMPLES = 2000, 20  # objects of each seen category of Sketch World to learn from


@dataclass(frozen=True)
class Naming:
    """Pictures of one kind and the names to choose from."""

    name: str
    kind: Kind
    pictures: list[Labelled]
    labels: list[str]


def naming_data(data: str, kind: Kind, examples: bool = False) -> Naming:
    """Pictures that no training of this project draws, with the names of all categories of their source.

    With `examples`, those that the others may be learned from instead.

    "world": new objects of the seen categories of Sketch World. Sketches or photos of a root that has both: the
    held-out ones of its seen classes. Quick, Draw! files: the held-out drawings of all of them but the unseen classes.
    Tiny-imagenet: its validation photos. A folder of photos: all that lie in a sub-folder, which names them.
    """
    if data == WORLD:
        from ..world import SEEN

        sketches, photos = world_pictures("seen", FIRST_EXAMPLE, EXAMPLES) if examples else world_pictures("seen")
        return Naming(data, kind, [*(sketches() if kind == "sketch" else photos())], list(SEEN))
    samples, labels = _samples(data, recognise(data), kind, examples)
    return Naming(Path(data).resolve().name, kind, [(sample.source, sample.label) for sample in samples], labels)


def _samples(data: str, layout: Layout, kind: Kind, examples: bool) -> tuple[list[Sample], list[str]]:
    if layout.name in ("tiny-imagenet", "folder of photos"):
        if examples:
            raise DatasetError(f"{data} has no held-out part beside its examples; give sketches")
        if kind == "sketch":
            raise DatasetError(f"{data} holds photos only; name those")
        if layout.name == "tiny-imagenet":
            tiny = TinyImageNet(data)
            return tiny.validation(), list(tiny.categories)
        labels = [category for category in PhotoFolder(data).categories if category]
        return PhotoFolder(data).photos(labels), labels
    if layout.name == "Quick, Draw!":
        if kind == "photo":
            raise DatasetError(f"{data} holds drawings only; name its sketches")
        quickdraw = QuickDraw(data)
        samples, labels = quickdraw.sketches(), list(quickdraw.categories)
    else:
        dataset = paired(data, layout)
        labels = [category for category in dataset.categories if not is_unseen(category)]
        samples = dataset.sketches(labels) if kind == "sketch" else dataset.photos(labels)
    chosen = [s for s in samples if not is_unseen(s.label) and not_trained_on(s) != examples]
    if not chosen:
        raise DatasetError(
            f"{data}: no {kind} {'to learn from' if examples else 'is held out'}; one in five of seen classes is"
        )
    return chosen, labels
