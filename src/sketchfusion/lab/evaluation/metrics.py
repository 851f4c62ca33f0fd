"""Metrics of retrieval, points and masks, each under the full name of its definition.

Public code means five different things by "mAP@200". With R relevant photos in the gallery, hits the relevant ones
among the first k, and prec(i) the precision of the first i ranks:

    mAP@k/min(k,R)  sum of prec at the hits / min(k, R)                        the default
    mAP@k/VOC       the same with prec(i) replaced by its largest later value  SAKE, ZSE-SBIR
    mAP@k/hits      sum of prec at the hits / number of hits                   SEM-PCYC, torchmetrics with top_k
    mAP@k/k         sum of prec at the hits / k                                CVAE, IIAE
    mAP@all         k = the whole gallery: plain average precision             scikit-learn
    mAP@all/VOC     its interpolated form                                      SAKE, ZSE-SBIR
    P@k             hits / min(k, gallery)                                     SAKE, SEM-PCYC
    P@k/min(k,R)    hits in the first min(k, R) / min(k, R)                    ZSE-SBIR
    Acc@k           share of queries whose target is among the first k         instance level
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from ...featuremap import Floats

Values = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.int64]
_NAME = re.compile(r"mAP@all(/VOC)?|mAP@([1-9]\d*)/(min\(k,R\)|VOC|hits|k)|P@([1-9]\d*)(/min\(k,R\))?")

NEVER = np.iinfo(np.int32).max  # the rank that fills up the rows of Hits


@dataclass(frozen=True)
class Hits:
    """The ranks of the relevant photos of each query: all that any retrieval metric needs."""

    ranks: npt.NDArray[np.int32]  # (Q, most relevant of any query), from 1, rising, filled up with NEVER
    relevant: npt.NDArray[np.int64]  # (Q,), R
    gallery: int  # number of photos that were ranked

    @classmethod
    def of(cls, relevance: npt.ArrayLike, relevant: npt.ArrayLike | None = None) -> Self:
        """Read the ranks off flags (Q, N) in ranked order; give `relevant` (Q,) if the ranking was cut short."""
        flags = np.asarray(relevance, bool)
        count = flags.sum(axis=1)
        query, position = np.nonzero(flags)
        place = np.arange(len(query)) - np.repeat(np.cumsum(count) - count, count)  # of a hit among those of its query
        ranks = np.full((len(flags), int(count.max(initial=0))), NEVER, np.int32)
        ranks[query, place] = position + 1
        return cls(ranks, count if relevant is None else np.asarray(relevant, np.int64), flags.shape[1])


def average_precision(hits: Hits, k: int | None = None, over: str = "min(k,R)") -> Values:
    """Average precision of each query (Q,), cut at rank `k`; 0 where nothing relevant was found."""
    k = hits.gallery if k is None else k
    found = hits.ranks <= k
    precision = np.where(found, np.arange(1, found.shape[1] + 1) / hits.ranks, 0.0)
    if over == "VOC":
        precision = np.where(found, np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1], 0.0)
    limit = np.minimum(k, hits.relevant)
    denominators = {"min(k,R)": limit, "VOC": limit, "hits": found.sum(axis=1), "k": np.full_like(limit, k)}
    return _over(precision.sum(axis=1), denominators[over])


def precision(hits: Hits, k: int, capped: bool) -> Values:
    """Share of hits among the first ranks of each query (Q,): the first k, or the first min(k, R) if `capped`."""
    limit = np.minimum(hits.relevant if capped else np.full_like(hits.relevant, k), min(k, hits.gallery))
    return _over((hits.ranks <= limit[:, None]).sum(axis=1), limit)


def _over(total: npt.NDArray[np.generic], count: npt.NDArray[np.int64]) -> Values:
    return np.asarray(total / np.maximum(count, 1), np.float64)


def accuracy(ranks: npt.ArrayLike, k: int) -> Values:
    """Whether each query's target, found at `ranks` (Q,) from 1, is among the first k: (Q,) of 0 and 1."""
    return (np.asarray(ranks) <= k).astype(np.float64)


def shuffle_ties(similarity: Floats, order: Ranks, first: int = 0) -> Ranks:
    """Put photos of equal similarity (Q, N) in a random order within the ranking (Q, N), the same for the same query.

    Galleries come class by class, and in that order a feature that is the same for all photos scores more than chance.
    `first` is the number of the first query among all.
    """
    ranked = np.take_along_axis(similarity, order, axis=1)
    new = np.ones(ranked.shape, bool)
    np.not_equal(ranked[:, 1:], ranked[:, :-1], out=new[:, 1:])
    if new.all():
        return order
    shuffled, run = order.copy(), np.cumsum(new.ravel()).reshape(new.shape)
    tied = ~new
    tied[:, :-1] |= ~new[:, 1:]
    for row in np.flatnonzero(tied.any(axis=1)):
        places = np.flatnonzero(tied[row])
        random = np.random.default_rng(first + int(row)).random(len(places))
        shuffled[row, places] = order[row, places][np.lexsort((random, run[row, places]))]
    return shuffled


def target_ranks(similarity: Floats, target: Ranks, group: Ranks, first: int = 0) -> tuple[Ranks, Ranks]:
    """Rank from 1 of candidate `target` (Q,) by similarity (Q, N): among those of its `group` (N,), and among all.

    Candidates of equal score are ranked in a random order, as `shuffle_ties` does, so that a constant feature scores
    chance. `first` is the number of the first query among all.
    """
    column = target[:, None]
    score = np.take_along_axis(similarity, column, axis=1)
    ahead, tied = similarity > score, similarity == score
    for row in np.flatnonzero(tied.sum(axis=1) > 1):
        random = np.random.default_rng(first + int(row)).random(len(group))
        ahead[row] |= tied[row] & (random < random[target[row]])
    return 1 + (ahead & (group == group[column])).sum(axis=1), 1 + ahead.sum(axis=1)


def measure(name: str, hits: Hits) -> Values:
    """Compute a metric by its full name for each query (Q,); ValueError for a name that is not in the list above."""
    parsed = _NAME.fullmatch(name)
    if not parsed:
        raise ValueError(f"no metric is called {name!r}; names look like mAP@all, mAP@200/min(k,R), P@100")
    interpolated, k, over, first, capped = parsed.groups()
    if first:
        return precision(hits, int(first), bool(capped))
    return average_precision(hits, int(k) if k else None, over or ("VOC" if interpolated else "min(k,R)"))


def chance(hits: Hits) -> dict[str, float]:
    """The expected mAP@all and P@k of a random ranking of the same gallery."""
    ranks = np.arange(1, hits.gallery + 1)
    harmonic = float((1 / ranks).sum())
    share = (hits.relevant - 1) / max(hits.gallery - 1, 1)
    expected = (harmonic + share * (hits.gallery - harmonic)) / hits.gallery
    return {"mAP@all": float(expected.mean()), "P@k": float((hits.relevant / hits.gallery).mean())}


@dataclass(frozen=True)
class Estimate:
    """A mean over queries with its 95 % confidence interval."""

    mean: float
    low: float
    high: float
    each: Values = field(repr=False, compare=False)  # (Q,), one for each query


def bootstrap(values: Sequence[float] | Values, draws: int = 1000, seed: int = 0) -> Estimate:
    """Average values (Q,), with the percentile bootstrap's 95 % interval over queries; the same for the same seed."""
    data = np.asarray(values, np.float64)
    if not len(data):
        raise ValueError("no queries to average over")
    generator = np.random.default_rng(seed)
    step = max(1, 2_000_000 // len(data))
    means = np.concatenate(
        [
            data[generator.integers(len(data), size=(min(step, draws - done), len(data)))].mean(axis=1)
            for done in range(0, draws, step)
        ]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(data.mean()), float(low), float(high), data)


def bootstrap_of(figure: Callable[[Ranks], Values | float], queries: int, draws: int = 1000, seed: int = 0) -> Estimate:
    """Estimate as `bootstrap` does what is no mean over queries: `figure` computes it for queries by their indices.

    A figure of several values is their mean. NaN, where the drawn queries have none, does not count.
    """
    generator = np.random.default_rng(seed)
    means = [np.mean(figure(generator.integers(queries, size=queries))) for _ in range(draws)]
    each = np.atleast_1d(figure(np.arange(queries)))
    low, high = np.nanquantile(means, [0.025, 0.975])
    return Estimate(float(each.mean()), float(low), float(high), each)


# Metrics of points and masks, each under the full name of its definition.
#
# Points. The error of a point is its distance from the right place, as a share of the size of the picture:
#
#     PCK@a           error <= a of the picture stretched to a square          PSC (Lu et al., ICML 2023), 256 px
#     PCK@a/released  error < a of the longer side, the aspect ratio kept      SketchFusion's released code, 336 px
#
# Both are the share of a pair's points, averaged over the pairs; on square pictures they differ at the limit alone.
#
# Masks. With TP, FP, FN, TN the pixels of one photo, at the photo's own size:
#
#     mIoU                    TP / (TP + FP + FN), mean over photos                     the default
#     mIoU/with-background    mean of that and TN / (TN + FP + FN), mean over photos    torchmetrics on one-hot masks
#     mIoU/pooled             sum TP / sum (TP + FP + FN) over all photos
#     mIoU/category           the same over the photos of a category, mean over categories    PASCAL VOC
#     pixel accuracy          (TP + TN) / all, mean over photos                         the default
#     pixel accuracy/pooled   sum (TP + TN) / sum of all pixels
#
# A photo in which there is nothing to find and nothing was found has an IoU of 1. The paper says neither whether the
# background counts nor what is averaged over, so all are reported.


def measure_points(name: str, found: npt.ArrayLike, true: npt.ArrayLike, size: tuple[int, int]) -> float:
    """Compute PCK of a pair by its full name.

    Found and true points (K, 2) are x, y in pixels of the picture that they are in, `size` is its (width, height). The
    caller leaves invisible points out; a found point that is NaN counts as a miss. ValueError for an unknown name and
    for a pair without points.
    """
    parsed = re.fullmatch(r"PCK@(0?\.\d+|1(?:\.0+)?)(/released)?", name)
    if not parsed:
        raise ValueError(f"no metric of points is called {name!r}; names look like PCK@0.05, PCK@0.05/released")
    share, released = float(parsed[1]), parsed[2] is not None
    points, places = np.asarray(found, np.float64), np.asarray(true, np.float64)
    if points.shape != places.shape or points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"cannot compare points of shapes {points.shape} and {places.shape}; both must be (K, 2)")
    error = np.hypot(*((points - places) / (max(size) if released else np.array(size))).T)
    return float(np.mean(error < share if released else error <= share))


@dataclass(frozen=True)
class Overlap:
    """How the predicted masks of N photos overlap the true ones."""

    counts: Ranks  # (4, N) pixels in both (TP), the prediction only (FP), the truth only (FN) and neither (TN)

    @classmethod
    def of(cls, pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]) -> Self:
        """Count over (predicted, true) masks, each pair (H, W) of booleans; photos may differ in size."""
        return cls(np.array([_counts(*pair) for pair in pairs], np.int64).reshape(-1, 4).T)

    @property
    def iou(self) -> Values:
        """Intersection over union of the object in each photo (N,); 1 where it is in neither mask."""
        return _ratio(self.counts[0], self.counts[:3].sum(axis=0))

    @property
    def background_iou(self) -> Values:
        """The same of all that is not the object."""
        return _ratio(self.counts[3], self.counts[1:].sum(axis=0))

    @property
    def accuracy(self) -> Values:
        """The share of pixels that are right in each photo (N,)."""
        return _ratio(self.counts[0] + self.counts[3], self.counts.sum(axis=0))

    def of_photos(self, chosen: Ranks) -> Self:
        """Select photos by their indices; one may be there several times."""
        return type(self)(self.counts[:, chosen])

    def pooled(self, chosen: npt.NDArray[np.bool_] | slice = slice(None)) -> Self:
        """Add up all photos, or the chosen ones, as if they were one."""
        return type(self)(self.counts[:, chosen].sum(axis=1, keepdims=True))


def _by_category(overlap: Overlap, categories: Sequence[str] | None) -> Values:
    if categories is None or len(categories) != overlap.counts.shape[1]:
        raise ValueError("mIoU/category needs the category of each photo")
    labels = np.asarray(categories)
    return np.array([overlap.pooled(labels == label).iou[0] for label in sorted(set(categories))])


MASK_METRICS: dict[str, Callable[[Overlap, Sequence[str] | None], Values]] = {
    "mIoU": lambda overlap, categories: overlap.iou,
    "mIoU/with-background": lambda overlap, categories: (overlap.iou + overlap.background_iou) / 2,
    "mIoU/pooled": lambda overlap, categories: overlap.pooled().iou,
    "mIoU/category": _by_category,
    "pixel accuracy": lambda overlap, categories: overlap.accuracy,
    "pixel accuracy/pooled": lambda overlap, categories: overlap.pooled().accuracy,
}


def measure_masks(name: str, overlap: Overlap, categories: Sequence[str] | None = None) -> Values:
    """Compute a metric of masks by its full name: a value for each photo (N,), each category, or one for all pooled.

    Its mean is the figure. `mIoU/category` takes the category of each photo and gives one value for each of them,
    sorted by name. ValueError for an unknown name and where there are no photos.
    """
    if not overlap.counts.size:
        raise ValueError("no masks to score")
    if name not in MASK_METRICS:
        raise ValueError(f"no metric of masks is called {name!r}; choose one of {', '.join(MASK_METRICS)}")
    return MASK_METRICS[name](overlap, categories)


def estimate_masks(name: str, overlap: Overlap, categories: Sequence[str]) -> Estimate:
    """Compute a metric of masks with its interval over the photos, of which whole ones are drawn for pooled figures."""
    values, labels = measure_masks(name, overlap, categories), np.asarray(categories)
    if "/pooled" not in name and "/category" not in name:
        return bootstrap(values)
    photos = overlap.counts.shape[1]
    return bootstrap_of(lambda drawn: measure_masks(name, overlap.of_photos(drawn), labels[drawn].tolist()), photos)


def _counts(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[int, int, int, int]:
    guess, mask = np.asarray(predicted), np.asarray(truth)
    if guess.shape != mask.shape or guess.dtype != bool or mask.dtype != bool:
        raise ValueError(
            f"masks must be booleans of one shape, not {guess.dtype} {guess.shape} and {mask.dtype} {mask.shape}"
        )
    hit, extra, missed = (int(np.count_nonzero(part)) for part in (guess & mask, guess & ~mask, ~guess & mask))
    return hit, extra, missed, mask.size - hit - extra - missed


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Values:
    return np.where(whole > 0, part / np.maximum(whole, 1), 1.0)
