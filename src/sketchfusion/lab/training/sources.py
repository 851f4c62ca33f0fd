"""Which pictures of data sets are trained on, and these pictures as decoded arrays.

Never trained on are sketches of the 21 unseen classes of Sketchy, and photos of them in data sets that have sketches
too, as evaluation searches those photos. Of such a data set training also leaves out the classes that its usual split
keeps for testing (30 of TU-Berlin's, 30 of QuickDraw-extended's), and of Sketchy the photos that PSC6K measures on. Of
what is left, one picture in five is held out for validation (`held_out`).
"""

import re
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Self

import torch

from ...io.images import Kind
from ...world import SEEN
from ..datasets.base import Dataset, DatasetError, Datasets, Sample, held_out, is_unseen, readable_name
from ..datasets.folders import PhotoFolder, TinyImageNet
from ..datasets.psc6k import PSC6K, released_split
from ..datasets.quickdraw import QuickDraw
from ..datasets.segmentation import MaskFolder
from ..datasets.sketchy import Sketchy, SketchyExtended, is_extension_photo, photo_id_of
from ..datasets.tuberlin import SKETCHES, TUBerlin
from ..datasets.world import SketchWorld
from .bank import Banks, Picture, PictureArray, decode, index_by_name, seen_of, world_banks

KINDS: tuple[Kind, Kind] = ("photo", "sketch")
SMALL = 64  # pixels of a tiny-imagenet photo
HELD_OUT_SEED = 1  # of the Sketch World that is held out of training
STORED = 144  # pixels at which larger pictures are kept, so that crops stay sharp
IMAGENET_NAME = re.compile(r"(n\d{8})_(.+)")  # of a photo with its class: n01440764_tench.JPEG
# Folders of sketches in data sets of which only a part is given: not to be taken for classes of photos.
SKETCH_FOLDERS = re.compile(r"tx_\d{12}\w*|sketch(es)?|QuickDraw_sketches_final", re.IGNORECASE)


@dataclass(frozen=True)
class Most:
    """How many pictures in files a training takes at most, the first ones; 0 means all, None that no task takes any."""

    photos: int | None = None  # of a name that has sketches too
    sketches: int | None = None  # of a name
    paired: bool = False  # whether sketches of names without photos are of no use
    warped: int = 0  # photos of seen classes, whatever their names
    traced: int = 0  # photos of seen classes, of a name


@dataclass(frozen=True)
class Sources:
    """Data sets of photos and of sketches to train on; `cache` keeps decoded and rendered pictures."""

    photo_sets: Datasets
    sketch_sets: Datasets
    cache: Path
    world_instances: int = 100  # of each seen category
    device: str | torch.device = "cpu"  # of the batches
    stored: int = STORED  # pixels of the pictures that are not small
    most: tuple[Most, Most] | None = None  # to train on, and of those held out; None: all are decoded

    @classmethod
    def of(cls, datasets: Datasets, cache: Path, stored: int = STORED) -> Self:
        """Take photos and sketches from the same data sets, each once; a PSC6K folder goes with the first Sketchy."""
        datasets = list({of.root.resolve(): of for of in datasets}.values())
        apart = [dataset for dataset in datasets if isinstance(dataset, PSC6K)]
        pictures = [dataset for dataset in datasets if isinstance(dataset, Sketchy) and not dataset.keypoints]
        if apart and pictures:
            annotated = copy(pictures[0])
            annotated.keypoints = PSC6K(apart[0].root, annotated.root)
            datasets = [annotated if of is pictures[0] else of for of in datasets if of is not apart[0]]
        return cls(datasets, datasets, cache, stored=stored)

    def __str__(self) -> str:
        return ", ".join(str(dataset.root) for dataset in self.photo_sets)

    @property
    def has_world(self) -> bool:
        return any(isinstance(dataset, SketchWorld) for dataset in self.photo_sets)

    @property
    def with_instances(self) -> list[Dataset]:
        """The roots of Sketchy, whose sketches belong to a photo each."""
        return [dataset for dataset in self.photo_sets if isinstance(dataset, Sketchy)]

    @property
    def aligned(self) -> list[Dataset]:
        """Those of `with_instances` whose sketches lie over their photos."""
        return [dataset for dataset in self.with_instances if dataset.aligned]

    @property
    def pictures(self) -> Self:
        """All but PSC6K in a folder of its own, which has no pictures but those of its pairs."""
        without = [[of for of in side if not isinstance(of, PSC6K)] for side in (self.photo_sets, self.sketch_sets)]
        return replace(self, photo_sets=without[0], sketch_sets=without[1])

    @property
    def masked(self) -> list[MaskFolder]:
        return [dataset for dataset in self.photo_sets if isinstance(dataset, MaskFolder)]

    def small_photos(self) -> PictureArray:
        """Return named photos of 64 px (tiny-imagenet)."""
        tiny = [dataset for dataset in self.photo_sets if isinstance(dataset, TinyImageNet)]
        return self._decoded(tiny, "photo", SMALL, traced=False)

    def sharp_photos(self, kept_out: bool = False) -> PictureArray:
        """Return named photos of the other data sets, those to train on or those held out."""
        larger = [dataset for dataset in self.photo_sets if not isinstance(dataset, TinyImageNet)]
        return self._decoded(larger, "photo", self.stored, kept_out)

    def sketches(self, kept_out: bool = False) -> PictureArray:
        """Return named freehand sketches of seen classes, those to train on or those held out."""
        return self._decoded(self.sketch_sets, "sketch", self.stored, kept_out)

    def world(self) -> tuple[PictureArray, PictureArray]:
        photos, sketches = world_banks(self.world_instances, self.stored, self.cache)
        return photos.on(self.device), sketches.on(self.device)

    def of_world(self, count: int, side: int, kept_out: bool = False) -> tuple[Banks, Banks]:
        """Return `count` photos and sketches of each seen category of Sketch World if it is among the data."""
        if not self.has_world:
            return [], []
        photos, sketches = world_banks(count, side, self.cache, HELD_OUT_SEED if kept_out else 0)
        return [photos], [sketches]

    @cached_property
    def listed_names(self) -> dict[Kind, set[str]]:
        """The names of all photos, and of all sketches, to train on, whether they can be read or not."""
        world = {readable_name(name) for name in SEEN} if self.has_world else set[str]()
        lists = (collect(named(of), kind) for kind, of in zip(KINDS, (self.photo_sets, self.sketch_sets), strict=True))
        return {kind: world.union(*(of.names for of in pictures)) for kind, pictures in zip(KINDS, lists, strict=True)}

    def _decoded(
        self, datasets: Datasets, kind: Kind, side: int, kept_out: bool = False, traced: bool = True
    ) -> PictureArray:
        pictures = collect(named(datasets), kind, kept_out)
        if self.most:
            pictures = self._taken(pictures, kind, self.most[kept_out], traced)
        return decode(pictures, kind, side, self.cache).on(self.device)

    def _taken(self, pictures: list[Picture], kind: Kind, most: Most, traced: bool) -> list[Picture]:
        """Return the pictures that a task can take; `traced` says whether photos are warped and traced too."""
        names, chosen = [picture.names for picture in pictures], set[int]()
        by_name, of_name = index_by_name(names), most.photos if kind == "photo" else most.sketches
        if of_name is not None:
            useful = set(by_name)
            if kind == "photo" or most.paired:
                useful &= self.listed_names["sketch" if kind == "photo" else "photo"]
            chosen.update(place for name in useful for place in by_name[name][: of_name or None])
        if kind == "photo" and traced:
            seen = seen_of(names)
            chosen.update(seen[: most.warped])
            for places in index_by_name([names[place] for place in seen]).values():
                chosen.update(seen[place] for place in places[: most.traced])
        return [pictures[place] for place in sorted(chosen)]


def named(datasets: Datasets) -> list[Dataset]:
    """Return those with named pictures in files."""
    return [dataset for dataset in datasets if not isinstance(dataset, MaskFolder | SketchWorld)]


def instances(sources: Sources, per_class: int, kept_out: bool = False) -> tuple[Banks, Banks]:
    """Collect photos and sketches of the same instances, to train on or the held-out ones if `kept_out`.

    Each picture has two names: category and "category/instance". `per_class` limits Sketch World's alone.
    """
    photos, sketches = (collect(sources.with_instances, kind, kept_out) for kind in KINDS)
    photos = [photo for photo in photos if not is_extension_photo(Path(photo.path))]
    found = list[PictureArray](), list[PictureArray]()
    if photos and sketches:
        found[0].append(_decoded_instances(photos, "photo", sources))
        found[1].append(_decoded_instances(sketches, "sketch", sources))
    if sources.has_world:
        seed = HELD_OUT_SEED if kept_out else 0
        photo, sketch = world_banks(per_class, sources.stored, cache=sources.cache, seed=seed, of_photo=True)
        # photo and sketch of one instance are at the same place
        names: list[tuple[str, ...]] = [
            (category, f"{category}/world {place}") for place, (category, *_) in enumerate(photo.names)
        ]
        found[0].append(replace(photo, names=names))
        found[1].append(replace(sketch, names=names))
    return found


def _decoded_instances(pictures: list[Picture], kind: Kind, sources: Sources) -> PictureArray:
    def named(picture: Picture) -> Picture:
        category, stem = picture.names[0], Path(picture.path).stem
        return Picture(picture.path, (category, f"{category}/{stem if kind == 'photo' else photo_id_of(stem)}"))

    return decode([named(picture) for picture in pictures], kind, sources.stored, sources.cache)


def held_out_count(trained: int) -> int:
    """Return how many instances are enough to validate on where `trained` are trained on."""
    return max(2, trained // 15)


def names_of(banks: Banks) -> set[str]:
    return {name for bank in banks for name in bank.by_name}


def collect(datasets: Datasets, kind: Kind, kept_out: bool = False) -> list[Picture]:
    """List the photos or the sketches to train on; DatasetError for a data set that training cannot use.

    With `kept_out` it is the held-out ones (one in five) of data sets that have both.
    """
    used = [dataset for dataset in datasets if dataset.paired or not kept_out]
    annotated = [dataset.keypoints for dataset in datasets if isinstance(dataset.keypoints, PSC6K)]
    # Another root may have the same photos and sketches.
    measured = {pair.source.photo_id for of in annotated for pair in released_split(of.test_pairs())[1]}
    return [picture for dataset in used for picture in _pictures(dataset, kind, kept_out, measured)]


def _pictures(dataset: Dataset, kind: Kind, kept_out: bool, measured: set[str]) -> Iterator[Picture]:
    if kind == "photo" and isinstance(dataset, TinyImageNet):
        names = dict[str, tuple[str, ...]]()
        for wnid, synonyms in dataset.synonyms.items():
            cleaned = [readable_name(name) for name in synonyms]
            # "tabby cat" is also a "cat": the name that photos of breeds share with drawings of the kind
            names[wnid] = tuple(dict.fromkeys(cleaned + [name.split()[-1] for name in cleaned if " " in name]))
        yield from (Picture(str(path), names[wnid]) for path, wnid in dataset.train())
    elif kind == "photo" and isinstance(dataset, PhotoFolder):
        for photo in dataset.photos():
            numbered = None if photo.label else IMAGENET_NAME.fullmatch(photo.path.stem)
            name = photo.label or (numbered[2] if numbered else dataset.name)
            # a WordNet id tells unseen classes more surely than the name, which alone is kept
            if "BACKGROUND" not in name and not (numbered and is_unseen(numbered[1])):
                _refuse_sketches(dataset.root, photo.path)
                yield Picture(str(photo.path), (readable_name(name.removesuffix("_easy")),))
    else:
        samples = (sample for sample in listed_samples(dataset, kind) if sample.photo_id not in measured)
        kept = (sample for sample in samples if held_out(sample.origin) == kept_out)
        yield from (Picture(sample.source, (readable_name(sample.label),)) for sample in kept)


@cache  # every task lists them, to train on and held out: seconds for Sketchy-extended
def listed_samples(dataset: Dataset, kind: Kind) -> list[Sample]:
    """Return all samples of a kind except those of classes kept for testing, sorted by path; listed once."""
    found = list[Sample]()
    if dataset.paired:
        if kind == "sketch":
            found = dataset.sketches()
        elif isinstance(dataset, SketchyExtended):  # Sketchy's originals instead of the extension's copies of them
            found = dataset.originals() + [photo for photo in dataset.photos() if not photo.photo_id]
        elif not isinstance(dataset, TUBerlin) or dataset.extended:
            found = dataset.photos()
    elif isinstance(dataset, QuickDraw):
        if dataset.form not in ("simplified", "raw"):
            raise DatasetError(f"{dataset.root}: training takes Quick, Draw! as .ndjson files; give those")
        found = dataset.sketches() if kind == "sketch" else []
    elif not isinstance(dataset, TinyImageNet | PhotoFolder):
        raise dataset.error(f"a {dataset.layout} is no data set of named pictures to train on; leave it out")
    kept_out = dataset.kept_out
    kept = (s for s in found if s.label not in kept_out and not is_unseen(s.label))
    return sorted(kept, key=lambda sample: sample.path)


def _refuse_sketches(root: Path, picture: Path) -> None:
    """Raise DatasetError for a picture in a folder that data sets keep their sketches in."""
    folder = root.resolve()
    parents = (folder.name, *picture.relative_to(root).parts[:-1])
    part = next((name for name in parents if SKETCH_FOLDERS.fullmatch(name)), None)
    if folder.name in SKETCHES and TUBerlin.present(folder.parent):
        part = folder.name
    if part:
        raise DatasetError(f"{root}: {part} is a part of a data set and may hold sketches; give the root of all of it")
