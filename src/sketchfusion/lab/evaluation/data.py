"""Queries and galleries of the retrieval benchmarks: Sketch World, or roots in the layouts that people have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ...io.images import read_image
from ...tasks.correspondence import spread
from ..datasets.base import DatasetError, Paired, Sample, Sketches, held_out, is_unseen, plain_name, unseen_of
from ..datasets.folders import PhotoFolder, TinyImageNet
from ..datasets.layouts import Layout, recognise
from ..datasets.psc6k import PSC6K, SIDE, is_psc6k, released_split
from ..datasets.quickdraw import QuickDraw, QuickDrawExtended
from ..datasets.segmentation import MaskFolder
from ..datasets.sketchy import FEWEST, Sketchy, SketchyExtended, inked, laid, lies_over
from ..datasets.tuberlin import TUBerlin

if TYPE_CHECKING:
    from ...io.images import ImageInput, Kind


WORLD = "world"
WORLD_PHOTOS = 20  # of each unseen category of Sketch World
WORLD_SKETCHES = 5  # one by each hand, of instances that no photo shows
FIRST_SKETCHED = 1000


@dataclass(frozen=True)
class RetrievalData:
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
) -> RetrievalData:
    """The category-level benchmark of "world" or of a root.

    A root with sketches and photos is measured on the unseen classes of a published `split` (by default the usual one
    of its layout, or all classes where it has none of them). Photos alone need roots of `sketches`, whose classes are
    matched by name; of classes that are trained on, only held-out sketches count. `duplicates` ranks Sketchy's photos
    twice, as SAKE and ZSE-SBIR do. `untrained` leaves out what training on the same root draws. DatasetError says what
    is wrong with a root, a split or a class.
    """
    if data == WORLD:
        return RetrievalData(WORLD, "unseen categories", *world_pictures("unseen"))
    name, layout = Path(data).resolve().name, recognise(data)
    if sketches:
        return _cluttered(name, _shown(data, layout, untrained), [drawings(root) for root in sketches])
    dataset = paired(data, layout, duplicates)
    categories, about = unseen_categories(dataset, layout, split)
    drawn, shown = dataset.sketches(categories), dataset.photos(categories)
    if untrained:
        drawn, shown, about = untrained_sides(dataset, layout, drawn, shown, about)
    _check(dataset, drawn, shown)
    return RetrievalData(name, about, lambda: _labelled(drawn), lambda: _labelled(shown))


def world_pictures(
    split: str, first_sketched: int = FIRST_SKETCHED, sketched: int = WORLD_SKETCHES
) -> tuple[Callable[[], Iterator[Labelled]], Callable[[], Iterator[Labelled]]]:
    """Sketches and photos of Sketch World, of different instances; those of the seen split no training draws.

    The sketches are of so many objects of each category, by each hand in turn.
    """
    from ...world import World

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


def _cluttered(name: str, shown: list[tuple[str, frozenset[str]]], roots: list[Sketches]) -> RetrievalData:
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
    return RetrievalData(name, about, lambda: ((s.source, plain_name(s.label)) for s in drawn), lambda: iter(gallery))


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


# Benchmarks: an extractor and labelled pictures in, figures under their full names out.


Labelled = tuple["ImageInput", str]
Shown = tuple["ImageInput", "str | Collection[str]"]  # a photo and what it shows, one thing or several


# Photos with masks, each with a sketch of what is masked and one of something else: Sketch World, or folders.


WORLD_SCENES = 10  # photos of each unseen category of Sketch World
HANDS = 5
CHOSEN_FROM = 500  # the first instance of those that no benchmark shows and no training draws
WORLD_CHOICES = 2  # photos of each seen category to choose a threshold from

Part = Literal["all", "chosen from", "measured"]

Chosen = TypeVar("Chosen")


@dataclass(frozen=True, eq=False)
class MaskedScene:
    """A photo, the mask (H, W) of what one category names in it, and two sketches."""

    category: str
    photo: ImageInput
    mask: Callable[[], npt.NDArray[np.bool_]]
    sketch: ImageInput  # of the category
    other: ImageInput  # of a category that the photo is not known to show


def scenes(data: str, sketches: Sequence[str] = (), part: Part = "all") -> Iterator[MaskedScene]:
    """The scenes of "world" or of a segmentation folder, whose categories are drawn in the roots of `sketches`.

    `part` is for who chooses a threshold on some of them, or trains, and keeps apart what that may see: of Sketch World
    seen categories, of a folder the photos that training draws. Roots of sketches are Sketchy's or Quick, Draw!'s; of
    classes that are trained on, only held-out sketches are taken. Masked categories that nobody drew are left out;
    DatasetError if that is all.
    """
    if data != WORLD:
        return _folder_scenes(data, sketches, part)
    return world_scenes("seen", WORLD_CHOICES, CHOSEN_FROM) if part == "chosen from" else world_scenes()


def world_scenes(split: str = "unseen", count: int = WORLD_SCENES, first: int = 0) -> Iterator[MaskedScene]:
    """Photos of Sketch World, with sketches of other instances by each hand in turn."""
    from ...world import World

    world = World(split=split)
    for place, category in enumerate(world.categories):
        for instance in range(first, first + count):
            step = 1 + (instance * 7 + place) % (len(world.categories) - 1)
            other = world.categories[(place + step) % len(world.categories)]
            shot, hand = world.photo(category, instance), (instance + place) % HANDS
            drawn = [world.sketch(name, FIRST_SKETCHED + instance, hand)[0] for name in (category, other)]
            asked, not_there = (picture[:, :, None].repeat(3, axis=2) for picture in drawn)
            yield MaskedScene(category, shot.photo, lambda mask=shot.mask: mask, asked, not_there)  # type: ignore[misc]


def _folder_scenes(data: str, roots: Sequence[str], part: Part) -> Iterator[MaskedScene]:
    folder = MaskFolder(data)
    drawn = _sketches(roots)
    there: dict[str, set[str]] = {}
    for pair in folder.pairs():
        there.setdefault(pair.photo.source, set()).add(plain_name(pair.photo.label))
    masked = {plain_name(category) for category in folder.categories}
    if not masked & set(drawn):
        raise DatasetError(f"{data}: no sketches of what its masks show; name roots of them with --sketches")
    for pair in folder.pairs():
        category = plain_name(pair.photo.label)
        if category not in drawn or (part != "all" and held_out(pair.photo.photo_id) != (part == "measured")):
            continue
        absent = set(drawn) - there[pair.photo.source]
        others = sorted(absent & masked) or sorted(absent)
        if not others:
            raise DatasetError(f"{pair.photo.source}: no sketches of anything that it does not show; add some")
        other = _one_of(others, f"{pair.photo.id} other")
        sketch, wrong = (_one_of(drawn[name], f"{pair.photo.id} {name}") for name in (category, other))
        yield MaskedScene(category, pair.photo.source, pair.read_mask, sketch.source, wrong.source)


def _sketches(roots: Sequence[str]) -> dict[str, list[Sample]]:
    """Sketches by category that no training draws."""
    found: dict[str, list[Sample]] = {}
    for root in roots:
        for sample in drawings(root).sketches():
            if not_trained_on(sample):
                found.setdefault(plain_name(sample.label), []).append(sample)
    return found


def _one_of(choices: Sequence[Chosen], key: str) -> Chosen:
    """Choose by a hash, the same everywhere."""
    return choices[int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") % len(choices)]


# Correspondence measured: how many keypoints of a sketch are found in its photo, and the other way round.


Points = npt.NDArray[np.float64]
WORLD_PAIRS = 10  # of each unseen category of Sketch World
ROUGH = " No one annotated them: each sketch was laid where those of its photo lie on average, which is a rough truth."
LAID_POINTS = 8  # of a sketch whose keypoints no one annotated; PSC6K has as many


@dataclass(frozen=True, eq=False)
class EvaluationPair:
    """A sketch and a photo with keypoints (N, 2) x, y that can be seen in both, in pixels of each."""

    category: str
    sketch: ImageInput
    photo: ImageInput
    sketch_points: Points
    photo_points: Points
    rough: bool = False  # where they are in the photo is no more than likely


def world_pairs(instances: int = WORLD_PAIRS, first: int = 0, split: str = "unseen") -> Iterator[EvaluationPair]:
    """Pairs of Sketch World, drawn by each hand in turn; pairs without a common keypoint are left out."""
    from ...world import World

    world = World(split=split)
    for category in world.categories:
        for instance in range(first, first + instances):
            pair = world.pair(category, instance, instance)
            there = pair.photo_keypoints
            names = [name for name, point in pair.sketch_keypoints.items() if point.visible and there[name].visible]
            if names:
                yield EvaluationPair(
                    category,
                    pair.sketch[:, :, None].repeat(3, axis=2),
                    pair.photo,
                    np.array([[pair.sketch_keypoints[name].x, pair.sketch_keypoints[name].y] for name in names]),
                    np.array([[there[name].x, there[name].y] for name in names]),
                )


def psc_pairs(data: str, sketchy: str | None = None, *, measured: bool = True) -> Iterator[EvaluationPair]:
    """Pairs of PSC6K, whose pictures lie in a root of Sketchy: of the 40 % of photos that are measured on, or not.

    Its points are of 256 x 256 pixels, and are scaled to pictures of another size.
    """
    pairs = released_split(PSC6K(data, sketchy).test_pairs())[measured]
    if not pairs:
        raise DatasetError(f"{data}: 60 % of each class's photos are left out, which leaves none; give all of PSC6K")
    for pair in pairs:
        drawn, shown = pair.target, pair.source
        of_sketch = _in_pixels(pair.target_points, drawn.path, "sketch")
        of_photo = _in_pixels(pair.source_points, shown.path, "photo")
        yield EvaluationPair(drawn.label, drawn.path, shown.path, of_sketch, of_photo)


def _in_pixels(points: Points, path: Path, kind: Kind) -> Points:
    height, width = read_image(path, kind).shape[1:]
    return points * (np.array([width, height]) / SIDE)


def laid_pairs(data: str, *, measured: bool = True) -> Iterator[EvaluationPair]:
    """Sketches of a root of Sketchy with points of their strokes, and about where those belong in their photos.

    No one annotated them: each sketch is laid where those of its photo lie on average. Of the unseen classes, or, if
    they are not measured on, of the photos of the others that no training draws. Of a root without unseen classes, the
    photos that no training draws are measured on, and not the others.
    """
    if not lies_over(Path(data)):
        raise DatasetError(f"{data}: Sketch World's sketches do not lie over their photos; measure on world itself")
    dataset = Sketchy(data)
    some_unseen = any(map(is_unseen, dataset.categories))
    drawn: dict[tuple[str, str], list[Sample]] = {}
    for sketch in dataset.sketches():
        if some_unseen:
            wanted = is_unseen(sketch.label) == measured and not_trained_on(sketch)
        else:
            wanted = held_out(sketch.origin) == measured
        if wanted:
            drawn.setdefault((sketch.label, sketch.photo_id), []).append(sketch)
    found = False
    for photo in dataset.photos():
        own = drawn.get((photo.label, photo.photo_id), [])
        read = [(sketch.path, read_image(sketch.path, "sketch")) for sketch in own]
        drawings = [(path, sheet) for path, sheet in read if inked(sheet.mean(0).numpy())]
        if len(drawings) < FEWEST:
            continue
        size = np.array(read_image(photo.path).shape[:0:-1])  # width, height
        frames = laid(sheet.mean(0).numpy() for _, sheet in drawings)
        for (path, sheet), (zoom, shift) in zip(drawings, frames, strict=True):
            points = spread(sheet, LAID_POINTS).double().numpy()
            there = zoom * (2 * points / np.array(sheet.shape[:0:-1]) - 1) + shift
            inside = (np.abs(there) < 1).all(axis=1)
            if inside.any():
                found = True
                yield EvaluationPair(
                    photo.label, path, photo.path, points[inside], (there[inside] + 1) / 2 * size, True
                )
    if not found:
        raise DatasetError(f"{data}: none of the photos to measure on has {FEWEST} sketches to lay over one another")


def keypoint_pairs(data: str, sketchy: str | None = None, *, measured: bool = True) -> Iterator[EvaluationPair]:
    """The benchmark of "world", of a root of PSC6K or, roughly, of one of Sketchy; DatasetError for other data.

    Those not measured on are to choose settings from: Sketch World's seen categories, the other photos of PSC6K.
    """
    if data == WORLD:
        return world_pairs() if measured else world_pairs(WORLD_CHOICES, CHOSEN_FROM, "seen")
    if is_psc6k(Path(data)):
        return psc_pairs(data, sketchy, measured=measured)
    if recognise(data).name == "Sketchy":
        return laid_pairs(data, measured=measured)
    raise DatasetError(f"{data}: correspondence is measured where keypoints are known; give PSC6K, Sketchy or world")


# Pictures to be named, and the names to choose from: of Sketch World, or of roots in the layouts that people have.


FIRST_EXAMPLE, EXAMPLES = 2000, 20  # objects of each seen category of Sketch World to learn from


@dataclass(frozen=True)
class NamingData:
    """Pictures of one kind and the names to choose from."""

    name: str
    kind: Kind
    pictures: list[Labelled]
    labels: list[str]


def naming_data(data: str, kind: Kind, examples: bool = False) -> NamingData:
    """Pictures that no training of this project draws, with the names of all categories of their source.

    With `examples`, those that the others may be learned from instead.

    "world": new objects of the seen categories of Sketch World. Sketches or photos of a root that has both: the
    held-out ones of its seen classes. Quick, Draw! files: the held-out drawings of all of them but the unseen classes.
    Tiny-imagenet: its validation photos. A folder of photos: all that lie in a sub-folder, which names them.
    """
    if data == WORLD:
        from ...world import SEEN

        sketches, photos = world_pictures("seen", FIRST_EXAMPLE, EXAMPLES) if examples else world_pictures("seen")
        return NamingData(data, kind, [*(sketches() if kind == "sketch" else photos())], list(SEEN))
    samples, labels = _samples(data, recognise(data), kind, examples)
    return NamingData(Path(data).resolve().name, kind, [(sample.source, sample.label) for sample in samples], labels)


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


# Instance-level retrieval: is the very photo that a sketch was drawn of among the first k?
#
#     Acc@k/within-category    ranked among the photos of the sketch's own category (100 of each in Sketchy)
#     Acc@k/across-categories  ranked among the photos of all categories measured (2,100 for Sketchy's 21 unseen
# classes)
#
# No paper of the field says which of the two its table has, so both are reported.


@dataclass(frozen=True)
class Own:
    """What a picture is of: its category, and the photo that it is or was drawn of."""

    category: str
    photo: str


@dataclass(frozen=True)
class InstanceData:
    """Sketches of particular photos, and the photos; the pictures are made or read when they are asked for."""

    name: str
    about: str
    sketches: Callable[[], Iterator[tuple[ImageInput, Own]]]
    photos: Callable[[], Iterator[tuple[ImageInput, Own]]]


def instance_data(data: str, split: str | None = None, untrained: bool = False) -> InstanceData:
    """The instance-level benchmark of "world" or of a root of Sketchy: its unseen classes, Sketchy's own photos.

    `untrained` leaves out what training on the same root draws, where none of them is there. DatasetError for a root
    whose sketches are of no particular photos.
    """
    if data == WORLD:
        return InstanceData(WORLD, "unseen categories", *_world())
    layout = recognise(data)
    if layout.name not in ("Sketchy", "Sketchy-extended"):
        raise DatasetError(f"{data}: a {layout.name} does not say which photo a sketch is of; give a root of Sketchy")
    sketchy = Sketchy(data)
    categories, about = unseen_categories(sketchy, layout, split)
    drawn, shown = sketchy.sketches(categories), sketchy.photos(categories)
    if untrained:
        drawn, shown, about = untrained_sides(sketchy, layout, drawn, shown, about)
    if not drawn or not shown:
        raise DatasetError(f"{data}: no {'photos' if drawn else 'sketches'} of the classes to measure on")
    sketches = [(s.source, Own(s.label, s.photo_id)) for s in drawn]
    photos = [(p.source, Own(p.label, p.photo_id)) for p in shown]
    return InstanceData(Path(data).resolve().name, about, lambda: iter(sketches), lambda: iter(photos))


def _world() -> tuple[Callable[[], Iterator[tuple[ImageInput, Own]]], Callable[[], Iterator[tuple[ImageInput, Own]]]]:
    from ...world import World

    world = World(split="unseen")
    instances = [(category, n) for category in world.categories for n in range(WORLD_PHOTOS)]

    def sketches() -> Iterator[tuple[ImageInput, Own]]:
        for category, n in instances:
            picture = world.sketch(category, n, n % WORLD_SKETCHES, of_photo=True)[0]
            yield picture[:, :, None].repeat(3, axis=2), Own(category, f"{n}")

    def photos() -> Iterator[tuple[ImageInput, Own]]:
        for category, n in instances:
            yield world.photo(category, n).photo, Own(category, f"{n}")

    return sketches, photos
