"""Correspondence measured: how many keypoints of a sketch are found in its photo, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import tee
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...tasks.correspondence import STROKES, TEMPERATURE, WINDOW, Side, match_drawn, match_maps, spread
from ...tasks.inputs import dense_maps, read_sketch
from .data import ROUGH, EvaluationPair, Points
from .metrics import measure_points
from .result import Measured, summarise

if TYPE_CHECKING:
    from torch import Tensor

    from ...extractor import Extractor
    from ...featuremap import FeatureMap


METRICS = ("PCK@0.05", "PCK@0.10", "PCK@0.05/released", "PCK@0.10/released")
ALONE = "pointwise"  # every point matched by itself, as the paper does


def benchmark_correspondence(
    model: Extractor,
    pairs: Sequence[EvaluationPair],
    progress: Callable[[int, int], None] | None = None,
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
) -> Measured:
    """Match the keypoints of every pair in both directions; ValueError if there are no pairs.

    As `match` does, the sketch laid as a whole; PCK/pointwise is of the paper's way, which matches every point by
    itself. `temperature` and `window` are those of `match_maps`.

    Beside the model stands the answer that every point lies at the same place of the other picture.
    """
    if not pairs:
        raise ValueError("no pairs of a sketch and a photo with keypoints to measure with")
    rows: dict[str, list[float]] = {}
    still: dict[str, list[float]] = {}
    drawings, seen = tee(read_sketch(pair.sketch) for pair in pairs)  # a batch is kept at a time, not all of them
    sketches = dense_maps(model, seen, "sketch", "correspondence")
    photos = dense_maps(model, (pair.photo for pair in pairs), "photo", "correspondence")
    for number, (pair, drawn, sketch, photo) in enumerate(zip(pairs, drawings, sketches, photos, strict=True), start=1):
        ways = [*_both_ways(pair, sketch, photo, spread(drawn, STROKES), temperature, window)]
        for name in METRICS:
            posed, alone, left = np.mean([[of[name] for of in way] for way in ways], axis=0).tolist()
            rows.setdefault(name, []).append(posed)
            rows.setdefault(f"{name}/{ALONE}", []).append(alone)
            still.setdefault(name, []).append(left)
        for direction, (posed, *_) in zip(("sketch to photo", "photo to sketch"), ways, strict=True):
            rows.setdefault(f"PCK@0.10 {direction}", []).append(posed["PCK@0.10"])
        if progress:
            progress(number, len(pairs))
    metrics, per_category = summarise(rows, [pair.category for pair in pairs], METRICS[:2])
    points = sum(len(pair.sketch_points) for pair in pairs)
    return Measured(
        model=model.name,
        fingerprint=model.fingerprint,
        what=f"{points} keypoints of {len(pairs)} pairs in {len(per_category)} categories, matched in both directions."
        + (ROUGH if any(pair.rough for pair in pairs) else ""),
        counts={"pairs": len(pairs), "points": points},
        metrics=metrics,
        trivial={"the same place": {name: float(np.mean(values)) for name, values in still.items()}},
        per_category=per_category,
    )


def _both_ways(
    pair: EvaluationPair, sketch: FeatureMap, photo: FeatureMap, strokes: Tensor, temperature: float, window: float
) -> Iterator[list[dict[str, float]]]:
    """From the sketch to the photo, then back: PCK under each rule of the pose, of each point alone, of no move."""
    sides: list[tuple[Side, FeatureMap, Points]]
    sides = [("sketch", sketch, pair.sketch_points), ("photo", photo, pair.photo_points)]
    for (source, start, points), (_, end, true) in (sides, sides[::-1]):
        asked = torch.from_numpy(points)
        posed = match_drawn(sketch, photo, strokes, asked, source, temperature, window).positions
        alone = match_maps(start, end, asked, temperature, window).positions
        left = asked / asked.new_tensor(start.frame.size) * asked.new_tensor(end.frame.size)
        yield [
            {
                name: float(measure_points(name, [found.numpy(force=True)], [true], [end.frame.size])[0])
                for name in METRICS
            }
            for found in (posed, alone, left)
        ]
