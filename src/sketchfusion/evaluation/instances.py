"""Instance-level retrieval: is the very photo that a sketch was drawn of among the first k?

    Acc@k/within-category    ranked among the photos of the sketch's own category (100 of each in Sketchy)
    Acc@k/across-categories  ranked among the photos of all categories measured (2,100 for Sketchy's 21 unseen classes)

No paper of the field says which of the two its table has, so both are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..lab.datasets.base import DatasetError
from ..lab.datasets.layouts import recognise
from ..lab.datasets.sketchy import Sketchy
from .benchmarks import embed_labelled, with_trained_on
from .galleries import WORLD, WORLD_PHOTOS, WORLD_SKETCHES, unseen_categories, untrained_sides
from .measured import Measured, summarise
from .metrics import Ranks, accuracy, own_ranks

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..io.images import ImageInput


TASK = "instance-retrieval"
DEPTHS = (1, 5, 10)
AMONG = ("within-category", "across-categories")
CHUNK = 512  # queries at a time


@dataclass(frozen=True)
class Own:
    """What a picture is of: its category, and the photo that it is or was drawn of."""

    category: str
    photo: str


@dataclass(frozen=True)
class Instances:
    """Sketches of particular photos, and the photos; the pictures are made or read when they are asked for."""

    name: str
    about: str
    sketches: Callable[[], Iterator[tuple[ImageInput, Own]]]
    photos: Callable[[], Iterator[tuple[ImageInput, Own]]]


def instance_data(data: str, split: str | None = None, untrained: bool = False) -> Instances:
    """The instance-level benchmark of "world" or of a root of Sketchy: its unseen classes, Sketchy's own photos.

    `untrained` leaves out what training on the same root draws, where none of them is there. DatasetError for a root
    whose sketches are of no particular photos.
    """
    if data == WORLD:
        return Instances(WORLD, "unseen categories", *_world())
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
    return Instances(Path(data).resolve().name, about, lambda: iter(sketches), lambda: iter(photos))


def _world() -> tuple[Callable[[], Iterator[tuple[ImageInput, Own]]], Callable[[], Iterator[tuple[ImageInput, Own]]]]:
    from ..world import World

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


def benchmark_instances(
    model: Extractor,
    sketches: Sequence[tuple[ImageInput, Own]],
    photos: Sequence[tuple[ImageInput, Own]],
    progress: Callable[[int, int], None] | None = None,
    about: str = "",
) -> Measured:
    """Rank the photos for every sketch and find its own; `progress` is told how many of how many are embedded."""
    total = len(sketches) + len(photos)

    def counted(before: int) -> Callable[[int], None] | None:
        return None if progress is None else lambda done: progress(before + done, total)

    queries, drawn = embed_labelled(model, sketches, "sketch", counted(0), TASK)
    gallery, shown = embed_labelled(model, photos, "photo", counted(len(sketches)), TASK)
    about = with_trained_on(about, {own.category for own in drawn})
    return score_instances(queries, drawn, gallery, shown, model.name, model.fingerprint, about)


def score_instances(
    queries: npt.ArrayLike,
    drawn: Sequence[Own],
    gallery: npt.ArrayLike,
    shown: Sequence[Own],
    name: str = "",
    fingerprint: str = "",
    about: str = "",
) -> Measured:
    """Score unit vectors (Q, d) of sketches against (N, d) of photos, by what each is of.

    Sketches whose photo is missing are left out and counted. ValueError for a photo that is there twice, and if no
    sketch has its own.
    """
    place = {own: number for number, own in enumerate(shown)}
    if len(place) < len(shown):
        twice = next(own for number, own in enumerate(shown) if place[own] != number)
        raise ValueError(f"the photo {twice.photo} of {twice.category!r} is in the gallery twice")
    kept = [number for number, own in enumerate(drawn) if own in place]
    if not kept:
        raise ValueError("no sketch has its own photo in the gallery; sketches are named after their photo")
    categories = [drawn[number].category for number in kept]
    ranks = _ranks(
        np.asarray(queries, np.float32)[kept],
        np.asarray(gallery, np.float32),
        np.array([place[drawn[number]] for number in kept]),
        np.unique([own.category for own in shown], return_inverse=True)[1],
    )
    rows = {
        f"Acc@{k}/{among}": accuracy(found, k).tolist()
        for among, found in zip(AMONG, ranks, strict=True)
        for k in DEPTHS
    }
    metrics, per_category = summarise(rows, categories, [f"Acc@1/{among}" for among in AMONG])
    sizes = {category: sum(own.category == category for own in shown) for category in set(categories)}
    chance = {
        **{f"Acc@{k}/{AMONG[0]}": float(np.mean([min(k / sizes[c], 1) for c in categories])) for k in DEPTHS},
        **{f"Acc@{k}/{AMONG[1]}": min(k / len(shown), 1) for k in DEPTHS},
    }
    lost = len(drawn) - len(kept)
    return Measured(
        model=name,
        fingerprint=fingerprint,
        what=f"{len(kept)} sketches of particular ones of {len(shown)} photos, {len(per_category)} categories"
        f"{f' ({about})' if about else ''}; {lost} sketches left out because their photo is missing.",
        counts={"queries": len(kept), "queries left out": lost, "gallery": len(shown)},
        metrics=metrics,
        trivial={"chance": chance},
        per_category=per_category,
    )


def _ranks(
    queries: npt.NDArray[np.float32], gallery: npt.NDArray[np.float32], own: Ranks, category: Ranks
) -> tuple[Ranks, Ranks]:
    """Rank from 1 of photo `own` (Q,) for each query: among those of its category, and among all."""
    parts = [
        own_ranks(queries[start : start + CHUNK] @ gallery.T, own[start : start + CHUNK], category)
        for start in range(0, len(queries), CHUNK)
    ]
    within, across = zip(*parts, strict=True)
    return np.concatenate(within), np.concatenate(across)
