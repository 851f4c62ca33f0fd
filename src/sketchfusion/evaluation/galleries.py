"""Queries and galleries of the retrieval benchmarks: Sketch World, or roots in the layouts that people have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..lab.datasets.base import DatasetError, Paired, Sample, Sketches, held_out, is_unseen, plain_name, unseen_of
from ..lab.datasets.folders import PhotoFolder, TinyImageNet
from ..lab.datasets.layouts import Layout, recognise
from ..lab.datasets.quickdraw import QuickDraw, QuickDrawExtended
from ..lab.datasets.segmentation import MaskFolder
from ..lab.datasets.sketchy import Sketchy, SketchyExtended
from ..lab.datasets.tuberlin import TUBerlin

if TYPE_CHECKING:
    from .benchmarks import Labelled, Shown


WORLD = "world"
WORLD_PHOTOS = 20  # of each unseen category of Sketch World
WORLD_SKETCHES = 5  # one by each hand, of instances that no photo shows
FIRST_SKETCHED = 1000


@dataclass(frozen=True)
class Retrieval:
    """Queries and gallery of one benchmark; the pictures are made or read when they are asked for."""

    name: str
    about: str  # which categories they are of
    sketches: Callable[[], Iterator[Labelled]]
    photos: Callable[[], Iterator[Shown]]


def retrieval_data(
    data: str,
    split: str | None = None,
    sketches: Sequence[str] = (),
    duplicates: bool = False,
    untrained: bool = False,
) -> Retrieval:
    """The category-level benchmark of "world" or of a root.

    A root with sketches and photos is measured on the unseen classes of a published `split` (by default the usual one
    of its layout, or all classes where it has none of them). Photos alone need roots of `sketches`, whose classes are
    matched by name; of classes that are trained on, only held-out sketches count. `duplicates` ranks Sketchy's photos
    twice, as SAKE and ZSE-SBIR do. `untrained` leaves out what training on the same root draws. DatasetError says what
    is wrong with a root, a split or a class.
    """
    if data == WORLD:
        return Retrieval(WORLD, "unseen categories", *world_pictures("unseen"))
    name, layout = Path(data).resolve().name, recognise(data)
    if sketches:
        return _cluttered(name, _shown(data, layout, untrained), [drawings(root) for root in sketches])
    dataset = paired(data, layout, duplicates)
    categories, about = unseen_categories(dataset, layout, split)
    drawn, shown = dataset.sketches(categories), dataset.photos(categories)
    if untrained:
        drawn, shown, about = untrained_sides(dataset, layout, drawn, shown, about)
    _check(dataset, drawn, shown)
    return Retrieval(name, about, lambda: _labelled(drawn), lambda: _labelled(shown))


def world_pictures(
    split: str, first_sketched: int = FIRST_SKETCHED, sketched: int = WORLD_SKETCHES
) -> tuple[Callable[[], Iterator[Labelled]], Callable[[], Iterator[Labelled]]]:
    """Sketches and photos of Sketch World, of different instances; those of the seen split no training draws.

    The sketches are of so many objects of each category, by each hand in turn.
    """
    from ..world import World

    world, first = World(split=split), 0 if split == "unseen" else FIRST_SKETCHED

    def sketches() -> Iterator[Labelled]:
        for category in world.categories:
            for number in range(sketched):
                picture = world.sketch(category, first_sketched + number, number % WORLD_SKETCHES)[0]
                yield picture[:, :, None].repeat(3, axis=2), category

    def photos() -> Iterator[Labelled]:
        for category in world.categories:
            for instance in range(WORLD_PHOTOS):
                yield world.photo(category, first + instance).photo, category

    return sketches, photos


def unseen_categories(dataset: Paired, layout: Layout, split: str | None) -> tuple[list[str], str]:
    """The categories to measure on, and a phrase that says which those are; DatasetError if the split does not fit."""
    if split is None and (card := dataset.root.parent / "world.json").is_file():
        unseen = set(json.loads(card.read_text(encoding="utf-8")).get("unseen", ()))
        if found := sorted(unseen & set(dataset.categories)):
            return found, f"{len(found)} unseen categories of Sketch World"
        return list(dataset.categories), f"all {len(dataset.categories)} categories"
    if split is not None and split not in layout.splits:
        raise DatasetError(f"{dataset.root}: {layout.name} has no split {split!r}; choose {', '.join(layout.splits)}")
    named = split or layout.splits[0]
    if found := unseen_of(dataset.categories, named):
        return found, f"{len(found)} of the {named.split('-')[1]} unseen classes of {named}"
    if split is not None:
        raise DatasetError(f"{dataset.root}: none of the classes of {split} is here; leave the split out to take all")
    return list(dataset.categories), f"all {len(dataset.categories)} classes, as none of {named} is there"


def paired(data: str, layout: Layout, duplicates: bool = False) -> Paired:
    """Open a root that has sketches and photos; DatasetError says what another lacks."""
    if duplicates and layout.name != "Sketchy-extended":
        raise DatasetError(f"{data}: {layout.name} has no photo twice; leave the duplicates out")
    if layout.name == "Sketchy-extended":
        return SketchyExtended(data, twice=duplicates)
    opened: dict[str, Callable[[str], Paired]] = {
        "Sketchy": Sketchy,
        "TU-Berlin": TUBerlin,
        "QuickDraw-extended": QuickDrawExtended,
    }
    if layout.name not in opened:
        lacking = "photos" if layout.name in ("Quick, Draw!", "PSC6K") else "sketches"
        advice = "; name a root of them with --sketches" if lacking == "sketches" else ""
        raise DatasetError(f"{data}: a {layout.name} has no {lacking}, and retrieval needs both{advice}")
    return opened[layout.name](data)


def _check(dataset: Paired, drawn: list[Sample], shown: list[Sample]) -> None:
    for have, others, what in ((drawn, shown, "photos"), (shown, drawn, "sketches")):
        if not others:
            raise DatasetError(f"{dataset.root}: no {what} of the classes to measure on")
        if what == "photos" and (lacking := sorted({s.label for s in have} - {s.label for s in others})):
            raise DatasetError(f"{dataset.root}: {lacking[0]!r} has sketches but no photos; add them or drop the class")


def _labelled(samples: Iterable[Sample]) -> Iterator[Labelled]:
    return ((sample.source, sample.label) for sample in samples)


def _shown(data: str, layout: Layout, untrained: bool) -> list[tuple[str, frozenset[str]]]:
    """The photos of any root, with all that is known to be in them; training draws all of a folder without sketches."""
    if layout.name == "segmentation folder":
        return [(photo.source, labels) for photo, labels in MaskFolder(data).photos().items()]
    if layout.name == "tiny-imagenet":
        tiny = TinyImageNet(data)
        synonyms = {names[0]: frozenset(names) for names in tiny.synonyms.values()}
        return [(photo.source, synonyms[photo.label]) for photo in tiny.validation()]
    if layout.name == "folder of photos":
        photos = PhotoFolder(data).photos()
    else:
        dataset = paired(data, layout)
        photos = dataset.photos()
        photos = untrained_only(dataset, layout, photos) if untrained else photos
    return [(photo.source, frozenset({photo.label} - {""})) for photo in photos]


def drawings(root: str) -> Sketches:
    """Open a root that has sketches; DatasetError says what another lacks."""
    layout = recognise(root)
    if layout.name == "Quick, Draw!":
        return QuickDraw(root)
    return paired(root, layout)


def _cluttered(name: str, shown: list[tuple[str, frozenset[str]]], roots: list[Sketches]) -> Retrieval:
    gallery = [(photo, frozenset(map(plain_name, labels))) for photo, labels in shown]
    there = frozenset[str]().union(*(labels for _, labels in gallery))
    drawn: list[Sample] = []
    for root in roots:
        common = [category for category in root.categories if plain_name(category) in there]
        drawn += [s for s in root.sketches(common) if not_trained_on(s)] if common else []
    if not drawn:
        where = ", ".join(str(root.root) for root in roots)
        raise DatasetError(f"{where}: no sketches of anything that the photos of {name} are known to show")
    kinds = len({plain_name(sketch.label) for sketch in drawn})
    about = f"{kinds} categories that both sides name, {len(there)} in the gallery"
    return Retrieval(name, about, lambda: ((s.source, plain_name(s.label)) for s in drawn), lambda: iter(gallery))


def untrained_sides(
    dataset: Paired, layout: Layout, drawn: list[Sample], shown: list[Sample], about: str
) -> tuple[list[Sample], list[Sample], str]:
    """Leave out of sketches, photos and what is said of them what training on the root draws.

    Classes of which one side is left are left out too; DatasetError if that is all.
    """
    sides = [untrained_only(dataset, layout, samples) for samples in (drawn, shown)]
    if [*map(len, sides)] == [len(drawn), len(shown)]:
        return drawn, shown, about
    both = {sketch.label for sketch in sides[0]} & {photo.label for photo in sides[1]}
    if not both:
        raise DatasetError(
            f"{dataset.root}: training leaves sketches and photos out of no class; it does of one in five"
        )
    drawn, shown = ([sample for sample in side if sample.label in both] for side in sides)
    return drawn, shown, f"{about}, of {len(both)} of them what training leaves out"


def untrained_only(dataset: Paired, layout: Layout, samples: list[Sample]) -> list[Sample]:
    """Those of a root's sketches or photos that training on it does not draw."""
    kept_out = set(layout.kept_out(dataset.categories))
    return [sample for sample in samples if sample.label in kept_out or not_trained_on(sample)]


def not_trained_on(sample: Sample) -> bool:
    """Whether no training of this project draws the sketch: one of an unseen class, or one in five of another."""
    return is_unseen(sample.label) or held_out(sample.origin)
