"""Correspondence measured: how many keypoints of a sketch are found in its photo, and the other way round."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ...extractor import Extractor
from ...featuremap import FeatureMap
from ...io.images import read_image
from ...tasks.correspondence import POSE_POINTS, TEMPERATURE, WINDOW, Side, match_aligned, match_maps, sample_strokes
from ...tasks.inputs import extract_maps, read_sketch
from ..datasets.base import Dataset, PointPair, Sample, held_out, is_unseen, not_trained_on
from ..datasets.sketchy import FEWEST_SKETCHES, has_ink, mean_alignment
from .metrics import Values, bootstrap, measure_points
from .result import Result, by_category
from .retrieval import Progress, counter, with_maps

METRICS = ("PCK@0.05", "PCK@0.10", "PCK@0.05/released", "PCK@0.10/released")
ROUGH = " Nobody annotated them: each sketch was moved to the average of all sketches of its photo, so they are rough."
POINTWISE = "pointwise"  # every point matched by itself, as in the paper
ALIGNED_POINTS = 8  # of a sketch whose keypoints no one annotated; PSC6K has as many


def point_pairs(dataset: Dataset, sketchy: Dataset | None = None, *, measured: bool = True) -> Iterator[PointPair]:
    """Annotated pairs to measure on (or tune on), or rough ones of a Sketchy root; DatasetError for other data."""
    source = dataset.keypoints or dataset
    if source.aligned:
        return aligned_pairs(source, measured=measured)
    return source.point_pairs(sketchy, measured=measured)


def aligned_pairs(dataset: Dataset, *, measured: bool = True) -> Iterator[PointPair]:
    """Sketches that lie over their photos, with points of their strokes and about where those belong in the photos.

    Nobody annotated them: each sketch is moved to the average of all sketches of its photo. Those of unseen classes are
    measured on, and held-out photos of the others are for tuning. Of a data set without unseen classes the held-out
    photos are measured on, and the others are for tuning.
    """
    sketches, photos = dataset.instances()
    if any(map(is_unseen, dataset.categories)):
        sketches = [s for s in sketches if is_unseen(s.label) == measured and not_trained_on(s)]
    else:
        sketches = [s for s in sketches if held_out(s.origin) == measured]
    by_photo: dict[tuple[str, str], list[Sample]] = {}
    for sketch in sketches:
        by_photo.setdefault((sketch.label, sketch.photo_id), []).append(sketch)
    found = False
    for photo in photos:
        read = [(s.path, read_image(s.path, "sketch")) for s in by_photo.get((photo.label, photo.photo_id), [])]
        drawings = [(path, sheet) for path, sheet in read if has_ink(sheet.mean(0).numpy())]
        if len(drawings) < FEWEST_SKETCHES:
            continue
        size = np.array(read_image(photo.path).shape[:0:-1])  # width, height
        frames = mean_alignment(sheet.mean(0).numpy() for _, sheet in drawings)
        for (path, sheet), (zoom, shift) in zip(drawings, frames, strict=True):
            points = sample_strokes(sheet, ALIGNED_POINTS).double().numpy()
            there = zoom * (2 * points / np.array(sheet.shape[:0:-1]) - 1) + shift
            inside = (np.abs(there) < 1).all(axis=1)
            if inside.any():
                found = True
                yield PointPair(photo.label, path, photo.path, points[inside], (there[inside] + 1) / 2 * size, True)
    if not found:
        raise dataset.error(f"none of the photos to measure on has {FEWEST_SKETCHES} sketches to average")


def benchmark_correspondence(
    model: Extractor,
    pairs: Sequence[PointPair],
    progress: Progress | None = None,
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
) -> Result:
    """Match the keypoints of every pair in both directions; ValueError if there are no pairs.

    Points are matched as by `match`, with the pose of the whole sketch; PCK/pointwise matches every point by itself, as
    in the paper. `temperature` and `window` are those of `match_maps`. The trivial answer is the same place in the
    other picture.
    """
    if not pairs:
        raise ValueError("no pairs of a sketch and a photo with keypoints to measure with")
    rows: dict[str, list[float]] = {}
    same_place: dict[str, list[float]] = {}
    sketches = with_maps(model, (read_sketch(pair.sketch) for pair in pairs), "sketch", "correspondence")
    photos = extract_maps(model, (pair.photo for pair in pairs), "photo", "correspondence")
    count = counter(progress, len(pairs))
    for pair, (drawn, sketch), photo in zip(pairs, sketches, photos, strict=True):
        directions = [*_both_directions(pair, sketch, photo, sample_strokes(drawn, POSE_POINTS), temperature, window)]
        for name in METRICS:
            posed, pointwise, unmoved = np.mean([[of[name] for of in way] for way in directions], axis=0).tolist()
            rows.setdefault(name, []).append(posed)
            rows.setdefault(f"{name}/{POINTWISE}", []).append(pointwise)
            same_place.setdefault(name, []).append(unmoved)
        for direction, (found, *_) in zip(("sketch to photo", "photo to sketch"), directions, strict=True):
            rows.setdefault(f"PCK@0.10 {direction}", []).append(found["PCK@0.10"])
        count(1)
    values = {name: np.asarray(row, np.float64) for name, row in rows.items()}
    categories = by_category({name: values[name] for name in METRICS[:2]}, [pair.category for pair in pairs])
    points = sum(len(pair.sketch_points) for pair in pairs)
    return Result(
        model.name,
        model.fingerprint,
        about=f"{points} keypoints of {len(pairs)} pairs in {len(categories)} categories, matched in both directions."
        + (ROUGH if any(pair.rough for pair in pairs) else ""),
        counts={"pairs": len(pairs), "points": points},
        metrics={name: bootstrap(of) for name, of in values.items()},
        rows=categories,
        trivial={"the same place": {name: float(np.mean(of)) for name, of in same_place.items()}},
    )


def _both_directions(
    pair: PointPair, sketch: FeatureMap, photo: FeatureMap, strokes: Tensor, temperature: float, window: float
) -> Iterator[list[dict[str, float]]]:
    """PCK from the sketch to the photo, then back: with the pose, of each point by itself, and of the same place."""
    sides: list[tuple[Side, FeatureMap, Values]]
    sides = [("sketch", sketch, pair.sketch_points), ("photo", photo, pair.photo_points)]
    for (source, start, points), (_, end, true) in (sides, sides[::-1]):
        queries = torch.from_numpy(points)
        posed = match_aligned(sketch, photo, strokes, queries, source, temperature, window).positions
        pointwise = match_maps(start, end, queries, temperature, window).positions
        unmoved = queries / queries.new_tensor(start.frame.size) * queries.new_tensor(end.frame.size)
        yield [
            {name: measure_points(name, found.numpy(force=True), true, end.frame.size) for name in METRICS}
            for found in (posed, pointwise, unmoved)
        ]
