"""A second look at the best photos: their dense maps are compared with the sketch's, place by place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..tasks.resemblance import resemblance
from ..tasks.segmentation import strokes
from .hits import Hit

if TYPE_CHECKING:
    from torch import Tensor

    from ..extractor import BatchExtractor
    from ..featuremap import FeatureMap
    from .rows import Floats

TOP = 50
# Of the resemblance's standard score beside the first score's, by docs/results/rerank/measure.py.
WEIGHT = 0.5


def reranked(
    model: BatchExtractor, sketches: Sequence[Tensor], hits: Sequence[Hit], dense: Callable[[str], FeatureMap]
) -> list[Hit]:
    """Order the first `TOP` hits anew by score and resemblance to sketches (3, H, W); `dense` gives a photo's map.

    Scores and confidences stay what they were.
    """
    first, rest = hits[:TOP], hits[TOP:]
    if len(first) < 2:
        return list(hits)
    maps = model.extract(list(sketches), kind="sketch")
    drawn = [(features, strokes(sketch, features)) for sketch, features in zip(sketches, maps, strict=True)]
    alike = [np.mean([resemblance(*one, photo) for one in drawn]) for photo in (dense(hit.path) for hit in first)]
    both = _standard([hit.score for hit in first]) + WEIGHT * _standard(alike)
    ordered = [first[place] for place in np.argsort(-both, kind="stable")]
    return [replace(hit, rank=rank) for rank, hit in enumerate([*ordered, *rest], start=1)]


def _standard(scores: Sequence[float | np.floating]) -> Floats:
    values = np.asarray(scores, np.float32)
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-6), np.float32)
