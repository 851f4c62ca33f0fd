"""Benchmarks: an extractor and labelled pictures in, figures under their full names out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..lab.datasets.base import is_unseen
from ..tasks.retrieval import ranked
from .metrics import Estimate, Hits, Values, bootstrap, chance, measure

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..io.images import ImageInput, Kind


Label = TypeVar("Label")
Labelled = tuple["ImageInput", str]
Shown = tuple["ImageInput", "str | Collection[str]"]  # a photo and what it shows, one thing or several

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
