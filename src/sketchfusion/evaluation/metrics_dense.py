"""Metrics of points and masks, each under the full name of its definition.

Points. The error of a point is how far from its place it was put, as a share of the size of the picture it lies in:

    PCK@a           error <= a of the picture stretched to a square                 PSC (Lu et al., ICML 2023), 256 px
    PCK@a/released  error < a of the picture's longer side, its shape kept          SketchFusion's released code, 336 px

Either is the share of a pair's points, averaged over the pairs; on square pictures the two differ on the limit alone.

Masks. With TP, FP, FN, TN the pixels of one photo, at the photo's own size:

    mIoU                    TP / (TP + FP + FN), mean over photos                     the default
    mIoU/with-background    mean of that and TN / (TN + FP + FN), mean over photos    torchmetrics on one-hot masks
    mIoU/pooled             sum TP / sum (TP + FP + FN) over all photos
    mIoU/category           the same over the photos of a category, mean over categories    PASCAL VOC
    pixel accuracy          (TP + TN) / all, mean over photos                         the default
    pixel accuracy/pooled   sum (TP + TN) / sum of all pixels

A photo in which there is nothing to find and nothing was found has an IoU of 1. The paper says neither whether the
background counts nor what is averaged over, so all are reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .metrics import Values

Bools = npt.NDArray[np.bool_]
MASK_METRICS = (
    "mIoU",
    "mIoU/with-background",
    "mIoU/pooled",
    "mIoU/category",
    "pixel accuracy",
    "pixel accuracy/pooled",
)


def measure_points(
    name: str, found: Sequence[npt.ArrayLike], true: Sequence[npt.ArrayLike], sizes: Sequence[tuple[int, int]]
) -> Values:
    """Compute PCK by its full name for each pair (P,).

    A pair has the points (K, 2) that were found, those that are right, both x, y in pixels of the picture in which they
    lie, and its (width, height). Points that cannot be seen are for the caller to leave out; one that is not a number
    counts as a miss. ValueError for an unknown name and for a pair without points.
    """
    parsed = re.fullmatch(r"PCK@(0?\.\d+|1(?:\.0+)?)(/released)?", name)
    if not parsed:
        raise ValueError(f"no metric of points is called {name!r}; names look like PCK@0.05, PCK@0.05/released")
    share, released = float(parsed[1]), parsed[2] is not None
    values = [
        np.mean(error < share if released else error <= share)
        for error in (_errors(*pair, released) for pair in zip(found, true, sizes, strict=True))
    ]
    return np.array(values, np.float64)


def _errors(found: npt.ArrayLike, true: npt.ArrayLike, size: tuple[int, int], released: bool) -> Values:
    points, places = np.asarray(found, np.float64), np.asarray(true, np.float64)
    if points.shape != places.shape or points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"cannot compare points of shapes {points.shape} and {places.shape}; both must be (K, 2)")
    distances: Values = np.hypot(*((points - places) / (max(size) if released else np.array(size))).T)
    return distances


@dataclass(frozen=True)
class Overlap:
    """How the predicted masks of N photos overlap the true ones: pixel counts, each (N,)."""

    hit: npt.NDArray[np.int64]  # TP: in both
    extra: npt.NDArray[np.int64]  # FP: in the prediction only
    missed: npt.NDArray[np.int64]  # FN: in the truth only
    rest: npt.NDArray[np.int64]  # TN: in neither

    @classmethod
    def of(cls, pairs: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]) -> Overlap:
        """Count over (predicted, true) masks, each pair (H, W) of booleans; photos may differ in size."""
        return cls(*np.array([_counts(*pair) for pair in pairs], np.int64).reshape(-1, 4).T)

    @property
    def iou(self) -> Values:
        """Intersection over union of the object in each photo (N,); 1 where it is in neither mask."""
        return _ratio(self.hit, self.hit + self.extra + self.missed)

    @property
    def background_iou(self) -> Values:
        """The same of all that is not the object."""
        return _ratio(self.rest, self.rest + self.extra + self.missed)

    @property
    def pixels(self) -> npt.NDArray[np.int64]:
        """Pixels of each photo (N,)."""
        return self.hit + self.extra + self.missed + self.rest

    def pooled(self, chosen: Bools | None = None) -> Overlap:
        """All (or the chosen) photos as one."""
        sums = (np.atleast_1d(part[... if chosen is None else chosen].sum()) for part in self._parts())
        return Overlap(*sums)

    def _parts(self) -> tuple[npt.NDArray[np.int64], ...]:
        return self.hit, self.extra, self.missed, self.rest


def measure_masks(name: str, overlap: Overlap, categories: Sequence[str] | None = None) -> Values:
    """Compute a metric of masks by its full name: a value for each photo (N,), each category, or one for all pooled.

    Its mean is the figure. `mIoU/category` takes the category of each photo and gives one value for each of them,
    sorted by name. ValueError for an unknown name and where there are no photos.
    """
    if not len(overlap.hit):
        raise ValueError("no masks to score")
    if name == "mIoU":
        return overlap.iou
    if name == "mIoU/with-background":
        return (overlap.iou + overlap.background_iou) / 2
    if name == "mIoU/pooled":
        return overlap.pooled().iou
    if name == "mIoU/category":
        if categories is None or len(categories) != len(overlap.hit):
            raise ValueError("mIoU/category needs the category of each photo")
        labels = np.asarray(categories)
        return np.array([overlap.pooled(labels == label).iou[0] for label in sorted(set(categories))])
    if name == "pixel accuracy":
        return _ratio(overlap.hit + overlap.rest, overlap.pixels)
    if name == "pixel accuracy/pooled":
        pooled = overlap.pooled()
        return _ratio(pooled.hit + pooled.rest, pooled.pixels)
    raise ValueError(f"no metric of masks is called {name!r}; choose one of {', '.join(MASK_METRICS)}")


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
