"""Search measured: how reliable confidence is, and how much words, diffusion and judged finds add.

Each sketch searches a gallery twice, with the photos of its category and without them. A confident photo of the second
search is a false alarm. Galleries of several sizes are made of the same photos.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from ...baselines.trained import SdPlBaseline
from ...extractor import Extractor
from ...featuremap import Floats
from ...gallery.confidence import confidences, embed_references, measure_best_scores
from ...gallery.embed import embed_views
from ...gallery.nearest import Ranked
from ...gallery.query import Background, Scorer, embed_text, make_scorer, refine
from ...gallery.reorder import diffused
from ...gallery.rows import Rows
from ...io.images import Kind
from ...tasks.retrieval import CHUNK, best_first
from .metrics import Estimate, Hits, Ranks, Values, average_precision, bootstrap, bootstrap_of, measure, shuffle_ties
from .result import Result
from .retrieval import BATCH, LabelledImages, Progress, counter

Labels = npt.NDArray[np.str_]

CUTS = (0.5, 0.8, 0.9)
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0)
FEW = 5  # photos of each category in a small gallery
JUDGED = 20  # the first finds, of which a user marks a right and a wrong one
EXPLAINED = (
    "AUC: how well the best score tells galleries with the category from galleries without (0.5 is chance). False "
    "alarms at c: share of sketches of missing categories with a photo of confidence c or more, nominally 1 - c. "
    "Precision at c: share of photos of confidence c or more that show the category. Diffused: photos similar to good "
    "answers rise (`search --diffuse`). Words of weight w: the category's name is searched for with the sketch, as the "
    "sum of standard scores. Rest: the photos left when the first right and the first wrong find of the best 20 are "
    "marked as such, and taken out."
)


def benchmark_search(
    model: Extractor, sketches: LabelledImages, photos: LabelledImages, progress: Progress | None = None
) -> Result:
    """Measure confidence in several galleries, diffusion and, for a model with a text encoder, the weight of words."""
    count = counter(progress, len(sketches) + len(photos))
    queries, sketch_labels = _embed_columns(model, sketches, "sketch", count)
    drawn = queries["vector"]
    columns, labels = _embed_columns(model, photos, "photo", count)
    vectors = columns["vector"]
    reference = [make_scorer([vector], [], None) for vector in embed_references(model)]
    names = sorted(set(labels.tolist()))
    galleries = {
        "all photos": np.arange(len(labels)),
        f"{FEW} of each": np.concatenate([np.flatnonzero(labels == name)[:FEW] for name in names]),
        "half of the categories": np.flatnonzero(np.isin(labels, names[::2])),
    }
    by_gallery = {
        name: _confidence_figures(drawn, sketch_labels, vectors[chosen], labels[chosen], reference)
        for name, chosen in galleries.items()
        if np.isin(sketch_labels, labels[chosen]).any()
    }
    there = np.isin(sketch_labels, names)
    metrics = {f"{name}, all photos": estimate for name, estimate in by_gallery["all photos"].items()}
    metrics |= _with_diffusion(drawn[there], sketch_labels[there], vectors, labels)
    metrics |= _with_feedback(drawn[there], sketch_labels[there], vectors, labels)
    if "joint" in columns:
        words = {name: embed_text(model, name.replace("_", " ")) for name in names}
        metrics |= _with_words(drawn[there], sketch_labels[there], columns, labels, words)
    if isinstance(model, SdPlBaseline):
        metrics["mAP@all, words as the prompt"] = _guided_by_words(model, sketches, vectors, labels)
    rows = {name: {key: of.mean for key, of in figures.items()} for name, figures in by_gallery.items()}
    return Result(
        model.name,
        model.fingerprint,
        about=f"{len(drawn)} sketches, {len(labels)} photos. {EXPLAINED}",
        counts={"queries": len(drawn), "gallery": len(labels)},
        metrics=metrics,
        rows=rows,
        row_kind="gallery",
    )


def _confidence_figures(
    drawn: Floats, sketch_labels: Labels, vectors: Floats, labels: Labels, reference: Sequence[Scorer]
) -> dict[str, Estimate]:
    """AUC, false alarms and precision in one gallery; no precision where no photo has such a confidence."""
    unrelated = measure_best_scores(reference, Background(len(labels), {"vector": vectors}))
    best_present, best_absent, alarms = list[float](), list[float](), list[float]()
    answers = list[list[tuple[int, int]]]()  # of each sketch, at each cut: right photos of such a confidence, and all
    for start in range(0, len(drawn), CHUNK):
        asked = sketch_labels[start : start + CHUNK].tolist()
        for row, name in zip(drawn[start : start + CHUNK] @ vectors.T, asked, strict=True):
            right, confidence = labels == name, np.array(confidences(unrelated, row, row))
            best_absent.append(float(row[~right].max(initial=-np.inf)))
            alarms.append(float(confidence[~right].max(initial=0.0)))
            if right.any():
                best_present.append(float(row.max()))
                sure = [confidence >= cut for cut in CUTS]
                answers.append([(int((right & of).sum()), int(of.sum())) for of in sure])
    absent = np.sort(best_absent)
    below, not_above = (np.searchsorted(absent, best_present, side) for side in ("left", "right"))
    found = {"AUC": bootstrap((below + not_above) / 2 / len(absent))}
    found |= {f"false alarms at {cut}": bootstrap(np.greater_equal(alarms, cut).astype(float)) for cut in CUTS}
    for cut, counts in zip(CUTS, np.array(answers).swapaxes(0, 1), strict=True):
        if counts[:, 1].any():
            found[f"precision at {cut}"] = bootstrap_of(partial(_share, counts), len(counts))
    return found


def _share(counts: Ranks, chosen: Ranks) -> float:
    """Divide the sums of two counts (Q, 2) over the chosen queries; NaN where there is nothing to divide by."""
    part, whole = counts[chosen].sum(axis=0).tolist()
    return part / whole if whole else np.nan


def _with_diffusion(drawn: Floats, sketch_labels: Labels, vectors: Floats, labels: Labels) -> dict[str, Estimate]:
    """The mAP@all and P@10 of sketches without and with diffusion, and the difference."""
    photos = Rows(np.arange(len(labels)).astype(object), labels.astype(object), {"vector": vectors})
    names = ("mAP@all", "P@10")
    each: dict[str, list[list[float]]] = {name: [] for name in names}  # of each sketch, without and with diffusion
    for number, (sketch, label) in enumerate(zip(drawn, sketch_labels.tolist(), strict=True)):
        scores = vectors @ sketch
        order = shuffle_ties(scores[None], best_first(scores[None], len(labels)), number)[0]
        again = diffused(Ranked(photos.take(order), scores[order]), float(scores.std()))
        hits = Hits.of(np.stack([labels[order] == label, again.rows.categories == label]))
        for name in names:
            each[name].append(measure(name, hits).tolist())
    found = {}
    for name in names:
        before, after = np.array(each[name]).T
        found[name], found[f"{name}, diffused"] = bootstrap(before), bootstrap(after)
        found[f"{name}, more by diffusion"] = bootstrap(after - before)
    return found


def _with_feedback(drawn: Floats, sketch_labels: Labels, vectors: Floats, labels: Labels) -> dict[str, Estimate]:
    """The mAP@all of the rest before and after a right and a wrong find are marked, and the difference."""
    before, after = list[float](), list[float]()
    for sketch, name in zip(drawn, sketch_labels.tolist(), strict=True):
        order = best_first((vectors @ sketch)[None], len(labels))[0]
        hits = labels[order[:JUDGED]] == name
        right, wrong = (np.flatnonzero(hits == answer)[:1] for answer in (True, False))
        rest = np.delete(order, [*right, *wrong])
        if (labels[rest] == name).any():
            moved = refine([sketch], vectors[order[right]], vectors[order[wrong]]) if len(right) else sketch
            for vector, values in ((sketch, before), (moved, after)):
                again = rest[best_first((vectors[rest] @ vector)[None], len(rest))[0]]
                values.append(float(average_precision(Hits.of((labels[again] == name)[None]))[0]))
    if not before:
        return {}
    plain, told = np.array(before), np.array(after)
    found = {"": plain, ", a right and a wrong find marked": told, ", more by marks": told - plain}
    return {f"mAP@all of the rest{more}": bootstrap(values) for more, values in found.items()}


def _with_words(
    drawn: Floats, sketch_labels: Labels, columns: dict[str, Floats], labels: Labels, words: dict[str, Floats]
) -> dict[str, Estimate]:
    """The mAP@all of words alone and of sketches with words of each weight."""
    background = Background(len(labels), columns)

    def precision(scorers: Sequence[Scorer]) -> Estimate:
        each = list[Values]()
        for start in range(0, len(scorers), CHUNK):
            chunk = slice(start, start + CHUNK)
            scores = np.stack([scorer.standardised(background).scores(columns) for scorer in scorers[chunk]])
            order = shuffle_ties(scores, best_first(scores, len(labels)), start)
            each.append(average_precision(Hits.of(labels[order] == sketch_labels[chunk, None])))
        return bootstrap(np.concatenate(each))

    texts = [words[name] for name in sketch_labels.tolist()]
    both = list(zip(drawn, texts, strict=True))
    by_weight = {w: precision([make_scorer([sketch], [], text, w) for sketch, text in both]) for w in WEIGHTS}
    return {
        "mAP@all, words alone": precision([make_scorer([], [], text) for text in texts]),
        **{f"mAP@all, words of weight {weight:g}": estimate for weight, estimate in by_weight.items()},
    }


def _guided_by_words(model: SdPlBaseline, sketches: LabelledImages, vectors: Floats, labels: Labels) -> Estimate:
    """The mAP@all of sketches whose category's name is the prompt of the UNet."""
    precision = []
    for name in sorted(set(labels.tolist())):
        if drawn := [image for image, label in sketches if label == name]:
            embedded = model.with_caption(f"a photo of {name.replace('_', ' ')}").embed(drawn, kind="sketch").numpy()
            order = best_first(embedded @ vectors.T, len(labels))
            precision.append(average_precision(Hits.of((labels == name)[order])))
    return bootstrap(np.concatenate(precision))


def _embed_columns(
    model: Extractor, pictures: LabelledImages, kind: Kind, progress: Callable[[int], None]
) -> tuple[dict[str, Floats], Labels]:
    """Embed labelled pictures: vectors by the column of a gallery that keeps them, and labels."""
    parts = []
    for start in range(0, len(pictures), BATCH):
        views = [model.prepare(image, kind) for image, _ in pictures[start : start + BATCH]]
        parts.append(embed_views(model, views))
        progress(len(views))
    return concatenate_views(parts), np.array([label for _, label in pictures])


def concatenate_views(parts: Sequence[tuple[Floats, Floats | None]]) -> dict[str, Floats]:
    """Join the vectors of batches, as `embed_views` gives them, by the column of a gallery that keeps them."""
    columns = {"vector": [part[0] for part in parts], "joint": [part[1] for part in parts if part[1] is not None]}
    return {name: np.concatenate(rows) for name, rows in columns.items() if rows}
