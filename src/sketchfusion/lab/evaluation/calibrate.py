"""Choose the constants of segmentation and correspondence: `python -m sketchfusion.lab.evaluation.calibrate`.

They depend on the weights, so run this for new ones. It prints the best value of each and the figures that it was
chosen by; the constants in the code are round numbers near the best ones. `--data` adds the scenes of a segmentation
folder to those of Sketch World, and `--sketches` names folders of sketches for them.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
import torch

from ...extractor import Extractor
from ...io.images import read_image
from ...models import load
from ...tasks.correspondence import locate
from ...tasks.inputs import extract_maps, read_sketch
from ...tasks.segmentation import (
    MIN_RECALL,
    fit_threshold,
    heat_map,
    similarity,
    sketch_cosine,
    stroke_cells,
    with_closeup,
)
from ..datasets.base import MaskedScene, PointPair
from ..datasets.layouts import open
from ..datasets.world import FIRST_TUNING, SketchWorld
from .metrics import Overlap, Values, measure_points
from .retrieval import with_maps

TEMPERATURES, WINDOWS = (0.02, 0.05, 0.1, 0.2), (0.05, 0.1, 0.15, 0.2)
REACHES = np.arange(0.05, 1.01, 0.05)
LEVELS = 1 / (1 + np.exp(-np.arange(-6.0, 6.1, 0.25)))  # of the heat


def choose_segmentation(model: Extractor, tuning: Iterable[MaskedScene]) -> dict[str, Any]:
    """Choose how far below the best cosine a mask reaches, and the threshold of presence, with figures of both."""
    overlaps: list[Values] = []
    similarities: list[tuple[float, float]] = []
    scenes = list(tuning)
    rights = with_maps(model, (read_sketch(scene.sketch) for scene in scenes), "sketch", "segmentation")
    wrongs = with_maps(model, (read_sketch(scene.other) for scene in scenes), "sketch", "segmentation")
    photos = with_maps(model, (read_image(scene.photo) for scene in scenes), "photo", "segmentation")
    read = zip(scenes, photos, rights, wrongs, strict=True)
    for scene, (picture, photo), (drawing, right), (other, wrong) in read:
        truth = scene.mask()
        cosine = sketch_cosine(right, photo, stroke_cells(drawing, right), truth.shape).numpy()
        overlaps.append(Overlap.of((cosine > cosine.max() - reach, truth) for reach in REACHES).iou)
        close = with_closeup(model, right, photo, drawing, picture)
        other_close = with_closeup(model, wrong, photo, other, picture)
        similarities.append((similarity(right, close), similarity(wrong, other_close)))
    means = np.mean(overlaps, axis=0)
    present, absent = torch.tensor(similarities, dtype=torch.float64).T
    return {
        "reach": round(float(REACHES[means.argmax()]), 3),
        "threshold": {name: round(value, 3) for name, value in asdict(fit_threshold(present, absent)).items()},
        "mIoU by reach": {f"{at:.2f}": round(float(value), 4) for at, value in zip(REACHES, means, strict=True)},
        "right above wrong": round(float((present > absent).double().mean()), 4),
        "empty when not there": round(float((absent < present.quantile(1 - MIN_RECALL)).double().mean()), 4),
    }


def choose_level(model: Extractor, tuning: Iterable[MaskedScene]) -> float:
    """Choose the threshold of the heat map, in (0, 1), with the best masks; ValueError if there are no scenes."""
    overlaps: list[Values] = []
    scenes = list(tuning)
    sketches = with_maps(model, (read_sketch(scene.sketch) for scene in scenes), "sketch", "segmentation")
    photos = extract_maps(model, (scene.photo for scene in scenes), "photo", "segmentation")
    for scene, (drawing, sketch), photo in zip(scenes, sketches, photos, strict=True):
        truth = scene.mask()
        heat = heat_map(sketch, photo, stroke_cells(drawing, sketch))
        overlaps.append(Overlap.of((heat > level, truth) for level in LEVELS).iou)
    if not overlaps:
        raise ValueError("no photos with masks to choose a threshold from; about four in five of a folder's are")
    return float(LEVELS[np.mean(overlaps, axis=0).argmax()])


def choose_correspondence(model: Extractor, pairs: Sequence[PointPair]) -> dict[str, Any]:
    """Choose the temperature and the window with the best PCK@0.10 over both directions."""
    sketches = extract_maps(model, (read_sketch(pair.sketch) for pair in pairs), "sketch", "correspondence")
    photos = extract_maps(model, (pair.photo for pair in pairs), "photo", "correspondence")
    shares: dict[tuple[float, float], list[float]] = {of: [] for of in product(TEMPERATURES, WINDOWS)}
    for pair, sketch, photo in zip(pairs, sketches, photos, strict=True):
        sides = [(sketch.centred(), pair.sketch_points), (photo.centred(), pair.photo_points)]
        for (start, points), (end, true) in (sides, sides[::-1]):
            features = start.sample(torch.from_numpy(points))
            for setting, found in shares.items():
                at = locate(features, end, *setting)
                found.append(measure_points("PCK@0.10", at.numpy(), true, end.frame.size))
    means = {setting: float(np.mean(found)) for setting, found in shares.items()}
    temperature, window = max(means, key=lambda setting: (means[setting], setting))
    listed = {f"{a}, {b}": round(mean, 4) for (a, b), mean in means.items()}
    return {"TEMPERATURE": temperature, "WINDOW": window, "PCK@0.10 by temperature, window": listed}


def main() -> None:
    """Choose on Sketch World, and on a folder if one is given; print what was chosen."""
    parser = argparse.ArgumentParser(description="Choose the constants of segmentation and correspondence.")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--data", help="segmentation folder")
    parser.add_argument("--sketches", nargs="*", default=[], help="roots of sketches of its categories")
    parser.add_argument("--count", type=int, default=6, help="scenes and pairs of each category of Sketch World")
    options = parser.parse_args()
    model = load(options.model)
    world = SketchWorld()
    found = [*world.draw_scenes("unseen", options.count, FIRST_TUNING)]
    if options.data:
        found += open(options.data).scenes([open(root) for root in options.sketches], "tuning")
    answer = {
        "segmentation": choose_segmentation(model, found),
        "correspondence": choose_correspondence(model, [*world.draw_pairs("unseen", options.count, FIRST_TUNING)]),
    }
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
