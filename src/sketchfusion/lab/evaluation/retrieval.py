"""Retrieval measured: by category, and of the very photo that a sketch was drawn of."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ...extractor import Extractor
from ...featuremap import FeatureMap, Floats
from ...io.images import ImageInput, Kind
from ...tasks.inputs import extract_maps
from ...tasks.retrieval import rank_chunks
from ..datasets.base import Dataset, DatasetError, Datasets, Sample, comparable_name, is_unseen, not_trained_on
from .metrics import Hits, Ranks, Values, accuracy, bootstrap, chance, measure, shuffle_ties, target_ranks
from .result import Result, by_category

Label = TypeVar("Label")
Query = TypeVar("Query")
Answer = TypeVar("Answer")
LabelledImages = Sequence[tuple[ImageInput, str]]
Progress = Callable[[int, int], None]  # called with how many are done, of how many

BATCH = 32  # pictures at a time
RETRIEVAL_METRICS = (
    *("mAP@all", "mAP@all/VOC", "mAP@200/min(k,R)", "mAP@200/VOC", "mAP@200/hits", "mAP@200/k"),
    *("P@10", "P@100", "P@200", "P@100/min(k,R)", "P@200/min(k,R)"),
)
FOREMOST = ("mAP@all", "P@10")  # of each category, and what models are compared by


@dataclass(frozen=True)
class BenchmarkData(Generic[Query, Answer]):
    """Labelled queries and gallery of one benchmark; pictures are made or read when they are asked for."""

    about: str  # which categories they are of
    queries: Sequence[tuple[Sample, Query]]
    gallery: Sequence[tuple[Sample, Answer]]

    def sketches(self) -> list[tuple[ImageInput, Query]]:
        return [(sample.picture, label) for sample, label in self.queries]

    def photos(self) -> list[tuple[ImageInput, Answer]]:
        return [(sample.picture, label) for sample, label in self.gallery]


RetrievalData = BenchmarkData[str, str | Collection[str]]  # photos with the category or categories that they show


def retrieval_data(
    data: Dataset, split: str | None = None, sketches: Datasets = (), duplicates: bool = False, untrained: bool = False
) -> RetrievalData:
    """The category-level benchmark of a data set.

    Sketches and photos are of the unseen classes of a published `split` (by default the usual one of the layout, or all
    classes where it has none of them). With `sketches`, queries are the sketches of other data sets, of the categories
    of the same name; of classes that are trained on, held-out ones alone. `duplicates` ranks Sketchy's photos twice, as
    SAKE and ZSE-SBIR do. `untrained` leaves out what training on the data set draws. DatasetError says what is wrong
    with the data, the split or a class.
    """
    if sketches:
        return _matched_by_name(data, sketches, untrained)
    drawn, photos, about = _sides(data.with_duplicates() if duplicates else data, split, untrained)
    if lacking := sorted({s.label for s in drawn} - {p.label for p in photos}):
        raise DatasetError(f"{data.root}: {lacking[0]!r} has sketches but no photos; add them or drop the class")
    return BenchmarkData(about, [(s, s.label) for s in drawn], [(p, p.label) for p in photos])


def _matched_by_name(dataset: Dataset, sketches: Datasets, untrained: bool) -> RetrievalData:
    gallery = [(photo, frozenset(map(comparable_name, labels))) for photo, labels in dataset.contents(untrained)]
    shown = frozenset[str]().union(*(labels for _, labels in gallery))
    drawn: list[Sample] = []
    for other in sketches:
        common = [category for category in other.categories if comparable_name(category) in shown]
        drawn += [s for s in other.sketches(common) if not_trained_on(s)] if common else []
    if not drawn:
        where = ", ".join(str(other.root) for other in sketches)
        raise DatasetError(f"{where}: no sketches of anything that the photos of {dataset.name} are known to show")
    queries = [(sketch, comparable_name(sketch.label)) for sketch in drawn]
    kinds = len({label for _, label in queries})
    about = f"{kinds} categories that both sides name, {len(shown)} in the gallery"
    return BenchmarkData(about, queries, gallery)


def _sides(
    dataset: Dataset, split: str | None, untrained: bool, of_photos: bool = False
) -> tuple[list[Sample], list[Sample], str]:
    """List sketches and photos of the classes of a split, or the sketches drawn of known photos, and say what they are.

    If `untrained`, only what training never draws, of classes that both sides still have. DatasetError if none is left.
    """
    categories, about = dataset.unseen(split)
    if of_photos:
        sketches, photos = dataset.instances(categories)
    else:
        photos, sketches = dataset.photos(categories), dataset.sketches(categories)
    sides = [dataset.untrained(samples) if untrained else samples for samples in (sketches, photos)]
    if [*map(len, sides)] != [len(sketches), len(photos)]:
        both = {sketch.label for sketch in sides[0]} & {photo.label for photo in sides[1]}
        if not both:
            raise dataset.error("training leaves sketches and photos out of no class; it does of one in five")
        sketches, photos = ([sample for sample in side if sample.label in both] for side in sides)
        about = f"{about}, of {len(both)} of them what training leaves out"
    for found, what in ((photos, "photos"), (sketches, "sketches")):
        if not found:
            raise dataset.error(f"no {what} of the classes to measure on")
    return sketches, photos, about


def benchmark_retrieval(model: Extractor, data: RetrievalData, progress: Progress | None = None) -> Result:
    """Rank all photos for every sketch; a photo is relevant if one of its labels is the sketch's."""
    count = counter(progress, len(data.queries) + len(data.gallery))
    queries, drawn = embed_labelled(model, data.sketches(), "sketch", count)
    gallery, shown = embed_labelled(model, data.photos(), "photo", count)
    return score_retrieval(queries, drawn, gallery, shown, model.name, model.fingerprint, data.about)


def _with_trained(about: str, categories: Iterable[str]) -> str:
    """Add to `about` how many of the categories training may draw: splits differ in what they call unseen."""
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
    about: str = "",
    metrics: Sequence[str] = RETRIEVAL_METRICS,
) -> Result:
    """Score unit vectors (Q, d) against (N, d), any shared label being relevant; ValueError if no query has any."""
    photo_labels = [{labels} if isinstance(labels, str) else set(labels) for labels in gallery_labels]
    queries, categories = np.asarray(queries, np.float32), sorted(set[str]().union(*photo_labels))
    number = {category: place for place, category in enumerate(categories)}
    relevance = np.zeros((len(categories), len(photo_labels)), bool)
    for photo, labels in enumerate(photo_labels):
        relevance[[number[label] for label in labels], photo] = True
    query_classes = np.array([number.get(label, -1) for label in query_labels], np.int64)
    kept = query_classes >= 0
    if not kept.any():
        raise ValueError("no sketch has a photo of its category; sketches and photos need common labels")
    values: dict[str, list[Values]] = {metric: [] for metric in (*metrics, *FOREMOST)}
    expected = []
    for hits in _hits(queries[kept], relevance, query_classes[kept], gallery):
        for metric in values:
            values[metric].append(measure(metric, hits))
        expected.append((len(hits.relevant), chance(hits)))
    scores = {metric: np.concatenate(parts) for metric, parts in values.items()}
    answered, left_out = int(kept.sum()), int((~kept).sum())
    foremost = {metric: scores[metric] for metric in FOREMOST}
    rows = by_category(foremost, [categories[place] for place in query_classes[kept]])
    about = _with_trained(about, rows)
    return Result(
        name,
        fingerprint,
        about=f"{answered} sketches, {len(photo_labels)} photos, {len(rows)} categories"
        f"{f' ({about})' if about else ''}; {left_out} sketches left out because no photo has their category.",
        counts={"queries": answered, "queries left out": left_out, "gallery": len(photo_labels)},
        metrics={metric: bootstrap(scores[metric]) for metric in metrics},
        rows=rows,
        chance={
            metric: sum(count * by_name[metric] for count, by_name in expected) / answered
            for metric in ("mAP@all", "P@k")
        },
        notes={"categories": about} if about else {},
    )


def _hits(queries: Floats, relevance: npt.NDArray[np.bool_], classes: Ranks, gallery: npt.ArrayLike) -> Iterator[Hits]:
    """Rank the gallery for the queries (Q, d) of classes (Q,); `relevance` (classes, N) flags the photos of each."""
    start = 0
    for similarity, order in rank_chunks(queries, gallery):
        order = shuffle_ties(similarity, order, start)
        asked = classes[start : start + len(order)]
        yield Hits.of(np.stack([relevance[number].take(row) for number, row in zip(asked, order, strict=True)]))
        start += len(order)


def embed_labelled(
    model: Extractor,
    pictures: Sequence[tuple[ImageInput, Label]],
    kind: Kind,
    count: Callable[[int], None] = lambda pictures: None,
    task: str | None = None,
) -> tuple[Floats, list[Label]]:
    """Embed labelled pictures with the weights for `task`: unit vectors (N, d) and N labels; ValueError for none."""
    task = task if task and model.serves(task) else None
    if not pictures:
        raise ValueError(f"no {kind} to measure with")
    vectors = []
    for start in range(0, len(pictures), BATCH):
        images = [image for image, _ in pictures[start : start + BATCH]]
        vectors.append(model.embed(images, kind=kind, task=task, batch_size=BATCH).numpy())
        count(len(images))
    return np.concatenate(vectors), [label for _, label in pictures]


def with_maps(model: Extractor, images: Iterable[Tensor], kind: Kind, task: str) -> Iterator[tuple[Tensor, FeatureMap]]:
    """Yield pictures (3, H, W) with their maps; each is made once, and a batch of them is held at a time."""
    shown, copies = tee(images)
    return zip(shown, extract_maps(model, copies, kind, task), strict=True)


def counter(progress: Progress | None, total: int) -> Callable[[int], None]:
    """Return what to call with the number of pictures done since the last call; `progress` gets the sum and `total`."""
    done = 0

    def count(pictures: int) -> None:
        nonlocal done
        done += pictures
        if progress:
            progress(done, total)

    return count


# Instance-level retrieval: is the very photo that a sketch was drawn of among the first k?
#
#     Acc@k/within-category    among the photos of the sketch's own category (100 of each in Sketchy)
#     Acc@k/across-categories  among the photos of all categories measured (2,100 of Sketchy's 21 unseen classes)
#
# No paper of the field says which of the two its table has, so both are reported.

INSTANCES = "instance-retrieval"
DEPTHS = (1, 5, 10)
AMONG = ("within-category", "across-categories")
CHUNK = 512  # queries at a time


@dataclass(frozen=True)
class InstanceId:
    """What a picture is of: its category, and the photo that it is or was drawn of."""

    category: str
    photo: str


InstanceData = BenchmarkData[InstanceId, InstanceId]


def instance_data(dataset: Dataset, split: str | None = None, untrained: bool = False) -> InstanceData:
    """The instance-level benchmark of a data set: photos of its unseen classes, and the sketches drawn of them.

    `untrained` leaves out what training on the data set draws. DatasetError if its sketches are of no particular
    photos.
    """
    sketches, photos, about = _sides(dataset, split, untrained, of_photos=True)
    queries, gallery = ([(s, InstanceId(s.label, s.photo_id)) for s in side] for side in (sketches, photos))
    return BenchmarkData(about, queries, gallery)


def benchmark_instances(model: Extractor, data: InstanceData, progress: Progress | None = None) -> Result:
    """Rank the photos for every sketch and find the one that it was drawn of."""
    count = counter(progress, len(data.queries) + len(data.gallery))
    queries, drawn = embed_labelled(model, data.sketches(), "sketch", count, INSTANCES)
    gallery, shown = embed_labelled(model, data.photos(), "photo", count, INSTANCES)
    about = _with_trained(data.about, {target.category for target in drawn})
    return score_instances(queries, drawn, gallery, shown, model.name, model.fingerprint, about)


def score_instances(
    queries: npt.ArrayLike,
    drawn: Sequence[InstanceId],
    gallery: npt.ArrayLike,
    shown: Sequence[InstanceId],
    name: str = "",
    fingerprint: str = "",
    about: str = "",
) -> Result:
    """Score unit vectors (Q, d) of sketches against (N, d) of photos; a sketch's target is the photo of the same id.

    Sketches without their photo are left out and counted. ValueError for a photo that is there twice, and if no sketch
    has its photo.
    """
    place = {photo: number for number, photo in enumerate(shown)}
    if twice := next((photo for number, photo in enumerate(shown) if place[photo] != number), None):
        raise ValueError(f"the photo {twice.photo} of {twice.category!r} is in the gallery twice")
    kept = [number for number, target in enumerate(drawn) if target in place]
    if not kept:
        raise ValueError("no sketch has its own photo in the gallery; sketches are named after their photo")
    categories = [drawn[number].category for number in kept]
    asked, ranked = np.asarray(queries, np.float32)[kept], np.asarray(gallery, np.float32)
    targets = np.array([place[drawn[number]] for number in kept])
    groups = np.unique([photo.category for photo in shown], return_inverse=True)[1]
    parts = [
        target_ranks(asked[start : start + CHUNK] @ ranked.T, targets[start : start + CHUNK], groups, start)
        for start in range(0, len(kept), CHUNK)
    ]
    ranks = zip(AMONG, np.concatenate(parts, axis=1), strict=True)
    values = {f"Acc@{k}/{among}": accuracy(found, k) for among, found in ranks for k in DEPTHS}
    rows = by_category({name: values[name] for name in (f"Acc@1/{among}" for among in AMONG)}, categories)
    sizes = {category: sum(photo.category == category for photo in shown) for category in set(categories)}
    chance = {
        **{f"Acc@{k}/{AMONG[0]}": float(np.mean([min(k / sizes[c], 1) for c in categories])) for k in DEPTHS},
        **{f"Acc@{k}/{AMONG[1]}": min(k / len(shown), 1) for k in DEPTHS},
    }
    lost = len(drawn) - len(kept)
    return Result(
        name,
        fingerprint,
        about=f"{len(kept)} sketches of particular ones of {len(shown)} photos, {len(rows)} categories"
        f"{f' ({about})' if about else ''}; {lost} sketches left out because their photo is missing.",
        counts={"queries": len(kept), "queries left out": lost, "gallery": len(shown)},
        metrics={metric: bootstrap(row) for metric, row in values.items()},
        rows=rows,
        trivial={"chance": chance},
    )
