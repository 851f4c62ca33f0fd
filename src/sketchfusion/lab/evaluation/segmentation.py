"""Segmentation measured: how well masks fit, and whether a sketch of something absent is recognised as such."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...extractor import Extractor
from ...io.images import read_image
from ...tasks.inputs import read_sketch
from ...tasks.segmentation import THRESHOLD, UNTRAINED, presence, segment_from_maps, with_closeup
from ..datasets.base import MaskedScene
from .metrics import MASK_METRICS, Estimate, Overlap, Ranks, Values, bootstrap, estimate_masks, measure_masks
from .result import Result, by_category
from .retrieval import Progress, counter, with_maps

Mask = npt.NDArray[np.bool_]
Scenes = Sequence[MaskedScene]
MODEL = "model"
BOXES = (0.5, 0.7)  # sides of the trivial boxes, as shares of the photo's
SHOWN = ("mIoU", "pixel accuracy")
TRAINED_ON = " Training draws four in five of these photos; --held-out measures the others."


def benchmark_segmentation(
    model: Extractor, scenes: Scenes, progress: Progress | None = None, level: float = THRESHOLD, about: str = ""
) -> Result:
    """Segment what is sketched in every photo, at a fixed `level` of the heat map (SketchFusion, section 6.4).

    Masks are scored as the paper's are, where the sketched thing is known to be there. Whether it is there is measured
    as well, for the right sketch and for one of something else. `about` says more of the photos. ValueError if there
    are no scenes.
    """
    if not scenes:
        raise ValueError("no photos with masks to measure with")
    overlaps, scores, refined = _segmented(model, scenes, progress, level)
    categories = [scene.category for scene in scenes]
    figures = {name: estimate_masks(name, overlaps[MODEL], categories) for name in MASK_METRICS}
    return Result(
        model.name,
        model.fingerprint,
        about=f"{len(scenes)} photos, each for one of {len(set(categories))} categories that it shows, "
        f"masks {'refined by a CRF' if refined else 'as they are, without a CRF'}.{about}",
        counts={"photos": len(scenes)},
        metrics={
            **figures,
            **presence_figures(scores, (model.heads_for("segmentation").threshold or UNTRAINED).least),
        },
        rows=by_category({name: figures[name].each for name in SHOWN}, categories),
        trivial={
            name: {metric: float(measure_masks(metric, overlap).mean()) for metric in SHOWN}
            for name, overlap in overlaps.items()
            if name != MODEL
        },
    )


def _segmented(
    model: Extractor, scenes: Scenes, progress: Progress | None, level: float
) -> tuple[dict[str, Overlap], list[tuple[float, float]], bool]:
    """Overlaps of the model's masks and of trivial ones, presence scores of the two sketches, whether a CRF refined."""
    trivial = {"everything": 1.0, **{f"a centred box of {side} of the sides": side for side in BOXES}}
    counts: dict[str, list[Ranks]] = {name: [] for name in (MODEL, *trivial)}  # of each photo, whose masks are let go
    scores: list[tuple[float, float]] = []
    refined, threshold = False, model.heads_for("segmentation").threshold or UNTRAINED
    photos = with_maps(model, (read_image(scene.photo) for scene in scenes), "photo", "segmentation")
    rights = with_maps(model, (read_sketch(scene.sketch) for scene in scenes), "sketch", "segmentation")
    wrongs = with_maps(model, (read_sketch(scene.other) for scene in scenes), "sketch", "segmentation")
    count = counter(progress, len(scenes))
    read = zip(scenes, photos, rights, wrongs, strict=True)
    for scene, (picture, photo), (drawing, right), (other, wrong) in read:
        truth = scene.mask()
        close = with_closeup(model, right, photo, drawing, picture)
        other_close = with_closeup(model, wrong, photo, other, picture)
        found = segment_from_maps(right, close, drawing, picture, level, head=threshold)
        scores.append((found.score, presence(wrong, other_close, threshold)))
        refined |= found.refined
        masks = {MODEL: found.mask, **{name: centred_box(truth.shape, side) for name, side in trivial.items()}}
        for name, mask in masks.items():
            counts[name].append(Overlap.of([(mask, truth)]).counts)
        count(1)
    return {name: Overlap(np.concatenate(of, axis=1)) for name, of in counts.items()}, scores, refined


def centred_box(shape: tuple[int, ...], side: float) -> Mask:
    """Mask the middle of a photo (H, W) by a box of `side` times its height and width."""
    mask = np.zeros(shape, np.bool_)
    (top, bottom), (left, right) = ((round(n * (1 - side) / 2), round(n * (1 + side) / 2)) for n in shape)
    mask[top:bottom, left:right] = True
    return mask


def presence_figures(scores: Sequence[tuple[float, float]], least: float) -> dict[str, Estimate]:
    """How often the right sketch of (right, wrong) scores more, the right one gets a mask (`least`), the wrong none."""
    right, wrong = (np.asarray(column, np.float64) for column in zip(*scores, strict=True))
    values: dict[str, Values] = {
        "right above wrong": (right > wrong) + 0.5 * (right == wrong),
        "kept when there": (right >= least).astype(np.float64),
        "empty when not there": (wrong < least).astype(np.float64),
    }
    return {name: bootstrap(value) for name, value in values.items()}
