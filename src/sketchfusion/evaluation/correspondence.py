"""Correspondence measured: how many keypoints of a sketch are found in its photo, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ..io.images import read_image
from ..lab.datasets.base import DatasetError, Sample, held_out, is_unseen
from ..lab.datasets.layouts import recognise
from ..lab.datasets.psc6k import PSC6K, SIDE, is_psc6k, released_split
from ..lab.datasets.sketchy import FEWEST, Sketchy, inked, laid, lies_over
from ..tasks.correspondence import STROKES, TEMPERATURE, WINDOW, Side, match_drawn, match_maps, spread
from ..tasks.inputs import dense_maps, read_sketch
from .galleries import WORLD, not_trained_on
from .measured import Measured, summarise
from .metrics_dense import measure_points
from .scenes import CHOSEN_FROM, WORLD_CHOICES

if TYPE_CHECKING:
    from torch import Tensor

    from ..extractor import Extractor
    from ..featuremap import FeatureMap
    from ..io.images import ImageInput, Kind


Points = npt.NDArray[np.float64]

METRICS = ("PCK@0.05", "PCK@0.10", "PCK@0.05/released", "PCK@0.10/released")
ALONE = "pointwise"  # every point matched by itself, as the paper does
WORLD_PAIRS = 10  # of each unseen category of Sketch World
ROUGH = " No one annotated them: each sketch was laid where those of its photo lie on average, which is a rough truth."
LAID_POINTS = 8  # of a sketch whose keypoints no one annotated; PSC6K has as many


@dataclass(frozen=True, eq=False)
class KeypointPair:
    """A sketch and a photo with keypoints (N, 2) x, y that can be seen in both, in pixels of each."""

    category: str
    sketch: ImageInput
    photo: ImageInput
    sketch_points: Points
    photo_points: Points
    rough: bool = False  # where they are in the photo is no more than likely


def world_pairs(instances: int = WORLD_PAIRS, first: int = 0, split: str = "unseen") -> Iterator[KeypointPair]:
    """Pairs of Sketch World, drawn by each hand in turn; pairs without a common keypoint are left out."""
    from ..world import World

    world = World(split=split)
    for category in world.categories:
        for instance in range(first, first + instances):
            pair = world.pair(category, instance, instance)
            there = pair.photo_keypoints
            names = [name for name, point in pair.sketch_keypoints.items() if point.visible and there[name].visible]
            if names:
                yield KeypointPair(
                    category,
                    pair.sketch[:, :, None].repeat(3, axis=2),
                    pair.photo,
                    np.array([[pair.sketch_keypoints[name].x, pair.sketch_keypoints[name].y] for name in names]),
                    np.array([[there[name].x, there[name].y] for name in names]),
                )


def psc_pairs(data: str, sketchy: str | None = None, *, measured: bool = True) -> Iterator[KeypointPair]:
    """Pairs of PSC6K, whose pictures lie in a root of Sketchy: of the 40 % of photos that are measured on, or not.

    Its points are of 256 x 256 pixels, and are scaled to pictures of another size.
    """
    pairs = released_split(PSC6K(data, sketchy).test_pairs())[measured]
    if not pairs:
        raise DatasetError(f"{data}: 60 % of each class's photos are left out, which leaves none; give all of PSC6K")
    for pair in pairs:
        drawn, shown = pair.target, pair.source
        of_sketch = _in_pixels(pair.target_points, drawn.path, "sketch")
        of_photo = _in_pixels(pair.source_points, shown.path, "photo")
        yield KeypointPair(drawn.label, drawn.path, shown.path, of_sketch, of_photo)


def _in_pixels(points: Points, path: Path, kind: Kind) -> Points:
    height, width = read_image(path, kind).shape[1:]
    return points * (np.array([width, height]) / SIDE)


def laid_pairs(data: str, *, measured: bool = True) -> Iterator[KeypointPair]:
    """Sketches of a root of Sketchy with points of their strokes, and about where those belong in their photos.

    No one annotated them: each sketch is laid where those of its photo lie on average. Of the unseen classes, or, if
    they are not measured on, of the photos of the others that no training draws. Of a root without unseen classes, the
    photos that no training draws are measured on, and not the others.
    """
    if not lies_over(Path(data)):
        raise DatasetError(f"{data}: Sketch World's sketches do not lie over their photos; measure on world itself")
    dataset = Sketchy(data)
    some_unseen = any(map(is_unseen, dataset.categories))
    drawn: dict[tuple[str, str], list[Sample]] = {}
    for sketch in dataset.sketches():
        if some_unseen:
            wanted = is_unseen(sketch.label) == measured and not_trained_on(sketch)
        else:
            wanted = held_out(sketch.origin) == measured
        if wanted:
            drawn.setdefault((sketch.label, sketch.photo_id), []).append(sketch)
    found = False
    for photo in dataset.photos():
        own = drawn.get((photo.label, photo.photo_id), [])
        read = [(sketch.path, read_image(sketch.path, "sketch")) for sketch in own]
        drawings = [(path, sheet) for path, sheet in read if inked(sheet.mean(0).numpy())]
        if len(drawings) < FEWEST:
            continue
        size = np.array(read_image(photo.path).shape[:0:-1])  # width, height
        frames = laid(sheet.mean(0).numpy() for _, sheet in drawings)
        for (path, sheet), (zoom, shift) in zip(drawings, frames, strict=True):
            points = spread(sheet, LAID_POINTS).double().numpy()
            there = zoom * (2 * points / np.array(sheet.shape[:0:-1]) - 1) + shift
            inside = (np.abs(there) < 1).all(axis=1)
            if inside.any():
                found = True
                yield KeypointPair(photo.label, path, photo.path, points[inside], (there[inside] + 1) / 2 * size, True)
    if not found:
        raise DatasetError(f"{data}: none of the photos to measure on has {FEWEST} sketches to lay over one another")


def keypoint_pairs(data: str, sketchy: str | None = None, *, measured: bool = True) -> Iterator[KeypointPair]:
    """The benchmark of "world", of a root of PSC6K or, roughly, of one of Sketchy; DatasetError for other data.

    Those not measured on are to choose settings from: Sketch World's seen categories, the other photos of PSC6K.
    """
    if data == WORLD:
        return world_pairs() if measured else world_pairs(WORLD_CHOICES, CHOSEN_FROM, "seen")
    if is_psc6k(Path(data)):
        return psc_pairs(data, sketchy, measured=measured)
    if recognise(data).name == "Sketchy":
        return laid_pairs(data, measured=measured)
    raise DatasetError(f"{data}: correspondence is measured where keypoints are known; give PSC6K, Sketchy or world")


def benchmark_correspondence(
    model: Extractor,
    pairs: Sequence[KeypointPair],
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
    pair: KeypointPair, sketch: FeatureMap, photo: FeatureMap, strokes: Tensor, temperature: float, window: float
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
