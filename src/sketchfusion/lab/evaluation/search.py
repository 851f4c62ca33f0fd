"""What a search says of its own answers, measured: is the thing there at all, do words or diffusion help?

Each sketch is put to a gallery twice, with the photos of its category and without them. A false alarm is a photo of
some confidence in the second. Galleries of several sizes and kinds are made of the same photos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...baselines.trained import SdPlBaseline
from ...featuremap import Floats
from ...gallery.confidence import chance, embed_reference
from ...gallery.embed import embed_views
from ...gallery.nearest import Ranked, Rows
from ...gallery.query import Background, Query, look_for, read_words
from ...gallery.reorder import diffused
from ...tasks.retrieval import best_first
from .metrics import Estimate, Hits, average_precision, bootstrap
from .result import Result
from .retrieval import BATCH, LabelledImage

if TYPE_CHECKING:
    from ...extractor import Extractor
    from ...io.images import Kind


Labels = npt.NDArray[np.str_]

CUTS = (0.5, 0.8, 0.9)
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0)
FEW = 5  # photos of each category in a small gallery
EXPLAINED = (
    "AUC: how well the best score tells a gallery that has the category from one that has not (0.5 is chance). False "
    "alarms at c: sketches of what is not there that get a photo of confidence c, nominally 1 - c. Precision at c: "
    "photos of confidence c that show it. Diffused: photos that are like good answers rise (`search --diffuse`). "
    "mAP@all with words of weight w: the category's name beside the sketch, as the sum of standard scores."
)


def benchmark_search(
    model: Extractor,
    sketches: Sequence[LabelledImage],
    photos: Sequence[LabelledImage],
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Measure confidence in several galleries and, of a model that reads, the weight of words."""
    done, total = 0, len(sketches) + len(photos)

    def count(pictures: int) -> None:
        nonlocal done
        done += pictures
        if progress:
            progress(done, total)

    queries, drawn_labels = _embedded(model, sketches, "sketch", count)
    drawn = queries["vector"]
    columns, labels = _embedded(model, photos, "photo", count)
    vectors = columns["vector"]
    reference = [look_for([vector], [], None) for vector in embed_reference(model)]
    names = sorted(set(labels.tolist()))
    places = {
        "all photos": np.arange(len(labels)),
        f"{FEW} of each": np.concatenate([np.flatnonzero(labels == name)[:FEW] for name in names]),
        "half of the categories": np.flatnonzero(np.isin(labels, names[::2])),
    }
    by_gallery = {
        name: _trusted(drawn, drawn_labels, vectors[chosen], labels[chosen], reference)
        for name, chosen in places.items()
    }
    there = np.isin(drawn_labels, names)
    metrics = {f"{name}, all photos": bootstrap(values) for name, values in by_gallery["all photos"].items()}
    metrics |= _with_diffusion(drawn[there], drawn_labels[there], vectors, labels)
    if "joint" in columns:
        words = {name: read_words(model, name.replace("_", " ")) for name in names}
        metrics |= _with_words(drawn[there], drawn_labels[there], columns, labels, words)
    if isinstance(model, SdPlBaseline):
        metrics["mAP@all, words as the prompt"] = _guided_by_words(model, sketches, vectors, labels)
    rows = {name: {key: float(np.mean(v)) for key, v in values.items()} for name, values in by_gallery.items()}
    return Result(
        model.name,
        model.fingerprint,
        about=f"{len(drawn)} sketches, {len(labels)} photos. {EXPLAINED}",
        counts={"queries": len(drawn), "gallery": len(labels)},
        metrics=metrics,
        rows=rows,
        row_kind="gallery",
    )


def _trusted(
    drawn: Floats, drawn_labels: Labels, vectors: Floats, labels: Labels, reference: Sequence[Query]
) -> dict[str, npt.NDArray[np.float64]]:
    """AUC, false alarms and precision of one gallery, one value for each sketch or photo that counts."""
    learned = chance(reference, Background(len(labels), {"vector": vectors}))
    scores = drawn @ vectors.T
    right = drawn_labels[:, None] == labels[None]
    present = scores.max(axis=1)[right.any(axis=1)]
    absent = np.where(right, -np.inf, scores).max(axis=1)
    wins = (present[:, None] > absent).mean(axis=1) + 0.5 * (present[:, None] == absent).mean(axis=1)
    alarm = np.array(learned.beaten_by(absent))
    sure = np.array(learned.beaten_by(scores[right.any(axis=1)].ravel())).reshape(-1, len(labels))
    hits = right[right.any(axis=1)]
    precision = {f"precision at {cut}": hits[sure >= cut].astype(float) for cut in CUTS}
    return {
        "AUC": wins,
        **{f"false alarms at {cut}": (alarm >= cut).astype(float) for cut in CUTS},
        **{name: values if len(values) else np.zeros(1) for name, values in precision.items()},
    }


def _with_diffusion(drawn: Floats, drawn_labels: Labels, vectors: Floats, labels: Labels) -> dict[str, Estimate]:
    """The mAP@all and P@10 of sketches, of the same by diffusion, and how much more the latter are."""
    photos = Rows(np.arange(len(labels)).astype(object), labels.astype(object), {"vector": vectors})
    plain, spread = list[npt.NDArray[np.bool_]](), list[npt.NDArray[np.bool_]]()
    for sketch, name in zip(drawn, drawn_labels.tolist(), strict=True):
        scores = vectors @ sketch
        order = best_first(scores[None], len(labels))[0]
        again = diffused(Ranked(photos.take(order), scores[order]), float(scores.std()))
        plain.append(labels[order] == name)
        spread.append(again.rows.categories == name)
    figures = {
        way: {"mAP@all": average_precision(Hits.of(np.array(of))), "P@10": np.array(of)[:, :10].mean(axis=1)}
        for way, of in (("plain", plain), ("diffused", spread))
    }
    return {
        name + more: bootstrap(values)
        for name in ("mAP@all", "P@10")
        for more, values in (
            ("", figures["plain"][name]),
            (", diffused", figures["diffused"][name]),
            (", more by diffusion", figures["diffused"][name] - figures["plain"][name]),
        )
    }


def _with_words(
    drawn: Floats, drawn_labels: Labels, columns: dict[str, Floats], labels: Labels, words: dict[str, Floats]
) -> dict[str, Estimate]:
    """The mAP@all of words alone, and of sketches with words of every weight."""
    background = Background(len(labels), columns)
    right = drawn_labels[:, None] == labels[None]

    def precision(questions: Sequence[Query]) -> Estimate:
        scores = np.stack([question.against(background).scores(columns) for question in questions])
        order = best_first(scores, len(labels))
        return bootstrap(average_precision(Hits.of(np.take_along_axis(right, order, axis=1))))

    texts = [words[name] for name in drawn_labels.tolist()]
    both = list(zip(drawn, texts, strict=True))
    by_weight = {w: precision([look_for([sketch], [], text, w) for sketch, text in both]) for w in WEIGHTS}
    return {
        "mAP@all, words alone": precision([look_for([], [], text) for text in texts]),
        **{f"mAP@all, words of weight {weight:g}": estimate for weight, estimate in by_weight.items()},
    }


def _guided_by_words(
    model: SdPlBaseline, sketches: Sequence[LabelledImage], vectors: Floats, labels: Labels
) -> Estimate:
    """The mAP@all of sketches seen with a caption that names their category as the UNet's prompt."""
    precision = []
    for name in sorted(set(labels.tolist())):
        if drawn := [image for image, label in sketches if label == name]:
            told = model.with_caption(f"a photo of {name.replace('_', ' ')}").embed(drawn, kind="sketch").numpy()
            order = best_first(told @ vectors.T, len(labels))
            precision.append(average_precision(Hits.of((labels == name)[order])))
    return bootstrap(np.concatenate(precision))


def _embedded(
    model: Extractor, pictures: Sequence[LabelledImage], kind: Kind, progress: Callable[[int], None]
) -> tuple[dict[str, Floats], Labels]:
    """The vectors of labelled pictures by column, as a gallery keeps them, and the labels."""
    parts = []
    for start in range(0, len(pictures), BATCH):
        views = [model.prepare(image, kind) for image, _ in pictures[start : start + BATCH]]
        parts.append(embed_views(model, views))
        progress(len(views))
    columns = {"vector": np.concatenate([part[0] for part in parts])}
    joint = [part[1] for part in parts if part[1] is not None]
    return columns | ({"joint": np.concatenate(joint)} if joint else {}), np.array([label for _, label in pictures])
