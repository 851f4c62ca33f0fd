"""Segmentation measured: how well masks fit, and whether a sketch of what is not there is known for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import tee
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...io.images import read_image
from ...tasks.inputs import dense_maps, read_sketch
from ...tasks.segmentation import THRESHOLD, UNTRAINED, cut, looked_at_closely, presence
from .metrics import MASK_METRICS, Estimate, Overlap, Values, bootstrap, measure_masks
from .result import Measured

if TYPE_CHECKING:
    from ...extractor import Extractor
    from .data import MaskedScene


Mask = npt.NDArray[np.bool_]
BOXES = (0.5, 0.7)  # sides of the trivial boxes, as shares of the photo's
SHOWN = ("mIoU", "pixel accuracy")
TRAINED_ON = " Training draws four in five of these photos; --held-out measures the others."


def benchmark_segmentation(
    model: Extractor,
    scenes: Sequence[MaskedScene],
    progress: Callable[[int, int], None] | None = None,
    refine: bool = True,
    level: float = THRESHOLD,
    about: str = "",
) -> Measured:
    """Cut what is sketched out of every photo at a fixed `level` of the heat (SketchFusion, section 6.4).

    Masks are scored as the paper's are, told that the sketched thing is there. Whether it is there is asked as well, of
    the right sketch and of one of something else. `about` says more of the photos. ValueError if there are no scenes.
    """
    if not scenes:
        raise ValueError("no photos with masks to measure with")
    names = ["model", "everything", *(f"a centred box of {side} of the sides" for side in BOXES)]
    pairs: dict[str, list[tuple[Mask, Mask]]] = {name: [] for name in names}
    scores: list[tuple[float, float]] = []
    refined, head = False, model.heads_for("segmentation").threshold or UNTRAINED
    # Read once: the copies run at most a batch ahead of one another.
    seen, photos = tee(read_image(scene.photo) for scene in scenes)
    drawn, sketches = tee(read_sketch(scene.sketch) for scene in scenes)
    not_there, others = tee(read_sketch(scene.other) for scene in scenes)
    maps = zip(
        dense_maps(model, photos, "photo", "segmentation"),
        dense_maps(model, sketches, "sketch", "segmentation"),
        dense_maps(model, others, "sketch", "segmentation"),
        strict=True,
    )
    for number, (scene, picture, drawing, absent, (photo, right, wrong)) in enumerate(
        zip(scenes, seen, drawn, not_there, maps, strict=True), start=1
    ):
        truth = scene.mask()
        asked = ((right, drawing), (wrong, absent))
        close = [looked_at_closely(model, sketch, photo, of, picture) for sketch, of in asked]
        found = cut(right, close[0], drawing, picture, level, refine, head)
        scores.append((found.score, presence(wrong, close[1], head)))
        refined |= found.refined
        trivial = [np.ones_like(truth), *(centred_box(truth.shape, side) for side in BOXES)]
        for name, mask in zip(names, [found.mask, *trivial], strict=True):
            pairs[name].append((mask, truth))
        if progress:
            progress(number, len(scenes))
    categories = [scene.category for scene in scenes]
    overlaps = {name: Overlap.of(masks) for name, masks in pairs.items()}
    figures = {name: measure_masks(name, overlaps["model"], categories) for name in MASK_METRICS}
    of = np.asarray(categories)
    return Measured(
        model=model.name,
        fingerprint=model.fingerprint,
        what=f"{len(scenes)} photos, each for one of {len(set(categories))} categories that it shows, "
        f"masks {'refined by a CRF' if refined else 'as they are, without a CRF'}.{about}",
        counts={"photos": len(scenes)},
        metrics={
            **{name: bootstrap(values) for name, values in figures.items()},
            **presence_figures(scores, head.least),
        },
        trivial={
            name: {metric: float(measure_masks(metric, overlaps[name]).mean()) for metric in SHOWN}
            for name in names[1:]
        },
        per_category={
            category: {metric: float(figures[metric][of == category].mean()) for metric in SHOWN}
            for category in sorted(set(categories))
        },
    )


def centred_box(shape: tuple[int, ...], side: float) -> Mask:
    """Mark the middle of a photo (H, W), a box of `side` of its height and of its width."""
    mask = np.zeros(shape, np.bool_)
    (top, bottom), (left, right) = ((round(n * (1 - side) / 2), round(n * (1 + side) / 2)) for n in shape)
    mask[top:bottom, left:right] = True
    return mask


def presence_figures(scores: Sequence[tuple[float, float]], least: float) -> dict[str, Estimate]:
    """Figures on (score of the right sketch, score of a wrong one) of the same photos; `least` is that of a mask.

    How often the right one has the higher score, how often it is found to be there, how often the wrong one is not.
    """
    right, wrong = (np.asarray(column, np.float64) for column in zip(*scores, strict=True))
    values: dict[str, Values] = {
        "right above wrong": (right > wrong) + 0.5 * (right == wrong),
        "kept when there": (right >= least).astype(np.float64),
        "empty when not there": (wrong < least).astype(np.float64),
    }
    return {name: bootstrap(value) for name, value in values.items()}
