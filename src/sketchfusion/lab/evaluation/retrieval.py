"""Benchmarks: an extractor and labelled pictures in, figures under their full names out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from ...tasks.retrieval import ranked
from ..datasets.base import is_unseen
from .data import Labelled, Own, Shown
from .metrics import Estimate, Hits, Ranks, Values, accuracy, bootstrap, chance, measure, own_ranks
from .result import Measured, summarise

if TYPE_CHECKING:
    from ...extractor import Extractor
    from ...io.images import ImageInput, Kind


Label = TypeVar("Label")

BATCH = 32  # pictures at a time
RETRIEVAL_METRICS = (
    "mAP@all",
    "mAP@all/VOC",
    "mAP@200/min(k,R)",
    "mAP@200/VOC",
    "mAP@200/hits",
    "mAP@200/k",
    "P@10",
    "P@100",
    "P@200",
    "P@100/min(k,R)",
    "P@200/min(k,R)",
)
FOREMOST = ("mAP@all", "P@10")  # what categories are told by, and models compared by


@dataclass(frozen=True)
class Result:
    """What one model does on one benchmark."""

    model: str
    fingerprint: str
    queries: int  # that have something to be found
    unanswerable: int  # queries left out because the gallery has nothing of their category
    gallery: int
    metrics: dict[str, Estimate]
    chance: dict[str, float]
    per_category: dict[str, dict[str, float]]  # mAP@all and P@10
    about: str = ""  # which categories these are

    def more_than(self, other: Result, name: str) -> Result:
        """Add how much more it reaches than a model called `name` on the same queries, with intervals."""
        more = {
            f"{metric}, more than {name}": bootstrap(self.metrics[metric].each - other.metrics[metric].each)
            for metric in FOREMOST
        }
        return replace(self, metrics={**self.metrics, **more})

    def summary(self) -> dict[str, Any]:
        """One flat object: every metric under its name, then what it was measured on."""
        return {
            **{name: estimate.mean for name, estimate in self.metrics.items()},
            "intervals": {name: [e.low, e.high] for name, e in self.metrics.items()},
            "chance": self.chance,
            "per category": self.per_category,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "queries": self.queries,
            "queries left out": self.unanswerable,
            "gallery": self.gallery,
            **({"categories": self.about} if self.about else {}),
        }

    def described(self) -> str:
        """What was measured, in a few sentences."""
        about = f" ({self.about})" if self.about else ""
        return (
            f"{self.queries} sketches, {self.gallery} photos, {len(self.per_category)} categories{about}; "
            f"{self.unanswerable} sketches left out because no photo has their category. "
            f"Weights {self.fingerprint[:16]}. Chance: mAP@all {self.chance['mAP@all']:.4f}, "
            f"P@k {self.chance['P@k']:.4f}."
        )


def benchmark_retrieval(
    model: Extractor,
    sketches: Sequence[Labelled],
    photos: Sequence[Shown],
    progress: Callable[[int, int], None] | None = None,
    about: str = "",
) -> Result:
    """Rank all photos for every sketch; a photo is relevant if it has the sketch's label, be it among others.

    `progress` is told how many pictures of how many are embedded.
    """
    total = len(sketches) + len(photos)
    queries, query_labels = embed_labelled(model, sketches, "sketch", _counted(progress, 0, total))
    gallery, gallery_labels = embed_labelled(model, photos, "photo", _counted(progress, len(sketches), total))
    result = score_retrieval(queries, query_labels, gallery, gallery_labels, model.name, model.fingerprint)
    return replace(result, about=with_trained_on(about, result.per_category))


def with_trained_on(about: str, categories: Iterable[str]) -> str:
    """Add to what is said of categories how many of them training may draw: splits differ in what they call unseen."""
    trained = sum(not is_unseen(category) for category in categories)
    if not about or not trained:
        return about
    return f"{about}, {trained} of which models of this project may have been trained on"


def score_retrieval(
    queries: npt.ArrayLike,
    query_labels: Sequence[str],
    gallery: npt.ArrayLike,
    gallery_labels: Sequence[str | Collection[str]],
    name: str = "",
    fingerprint: str = "",
    metrics: Sequence[str] = RETRIEVAL_METRICS,
) -> Result:
    """Score unit vectors (Q, d) against (N, d) with their labels, a chunk of queries at a time.

    A photo with several labels is relevant to the queries of each. ValueError if no query has a photo of its category.
    """
    shown = [{labels} if isinstance(labels, str) else set(labels) for labels in gallery_labels]
    queries, categories = np.asarray(queries, np.float32), sorted(set[str]().union(*shown))
    number = {category: place for place, category in enumerate(categories)}
    shows = np.zeros((len(categories), len(shown)), bool)
    for photo, labels in enumerate(shown):
        shows[[number[label] for label in labels], photo] = True
    sketch_class = np.array([number.get(label, -1) for label in query_labels], np.int64)
    kept = sketch_class >= 0
    if not kept.any():
        raise ValueError("no sketch has a photo of its category; sketches and photos need common labels")
    values: dict[str, list[Values]] = {metric: [] for metric in metrics}
    extra = [metric for metric in FOREMOST if metric not in values]
    values |= {metric: [] for metric in extra}
    expected = []
    for hits in _hits(queries[kept], shows, sketch_class[kept], gallery):
        for metric in values:
            values[metric].append(measure(metric, hits))
        expected.append((len(hits.relevant), chance(hits)))
    scores = {metric: np.concatenate(parts) for metric, parts in values.items()}
    return Result(
        model=name,
        fingerprint=fingerprint,
        queries=int(kept.sum()),
        unanswerable=int((~kept).sum()),
        gallery=len(shown),
        metrics={metric: bootstrap(scores[metric]) for metric in metrics},
        chance={
            metric: sum(count * by_name[metric] for count, by_name in expected) / int(kept.sum())
            for metric in ("mAP@all", "P@k")
        },
        per_category={
            categories[place]: {
                metric: float(scores[metric][sketch_class[kept] == place].mean()) for metric in FOREMOST
            }
            for place in np.unique(sketch_class[kept])
        },
    )


def _hits(
    queries: npt.NDArray[np.float32],
    shows: npt.NDArray[np.bool_],
    sketch_class: npt.NDArray[np.int64],
    gallery: npt.ArrayLike,
) -> Iterator[Hits]:
    start = 0
    for _, order in ranked(queries, gallery):
        classes = sketch_class[start : start + len(order)]
        yield Hits.of(np.stack([shows[number].take(row) for number, row in zip(classes, order, strict=True)]))
        start += len(order)


def embed_labelled(
    model: Extractor,
    pictures: Sequence[tuple[ImageInput, Label]],
    kind: Kind,
    progress: Callable[[int], None] | None = None,
    task: str | None = None,
) -> tuple[npt.NDArray[np.float32], list[Label]]:
    """Embed labelled pictures: unit vectors (N, d) and their N labels; `progress` is told how many are done.

    The model's weights for `task` are used where it has any.
    """
    task = task if task and model.serves(task) else None
    if not pictures:
        raise ValueError(f"no {kind} to measure with")
    vectors = []
    for start in range(0, len(pictures), BATCH):
        images = [image for image, _ in pictures[start : start + BATCH]]
        vectors.append(model.embed(images, kind=kind, task=task, batch_size=BATCH).numpy())
        if progress:
            progress(start + len(images))
    return np.concatenate(vectors), [label for _, label in pictures]


def _counted(progress: Callable[[int, int], None] | None, before: int, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda done: progress(before + done, total)


# Instance-level retrieval: is the very photo that a sketch was drawn of among the first k?
#
#     Acc@k/within-category    ranked among the photos of the sketch's own category (100 of each in Sketchy)
#     Acc@k/across-categories  ranked among the photos of all categories measured (2,100 for Sketchy's 21 unseen
# classes)
#
# No paper of the field says which of the two its table has, so both are reported.


TASK = "instance-retrieval"
DEPTHS = (1, 5, 10)
AMONG = ("within-category", "across-categories")
CHUNK = 512  # queries at a time


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
