"""Does dense correspondence, as a second look at the best 50 photos, find more than the pooled feature alone?

    python docs/results/rerank/measure.py --sketchy SKETCHY

Each sketch of the unseen categories of Sketch World and of Sketchy's ten validation classes is put to the photos of the
same. The best 50 are scored again by their dense maps, and ranked by the standard score of the cosine plus `weight`
times that of the dense score. Prints P@10 and mAP of the 50, and the gain with its 95 % interval over sketches.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sketchfusion.datasets.sketchy import Sketchy
from sketchfusion.evaluation.galleries import world_pictures
from sketchfusion.extractor import BatchExtractor
from sketchfusion.featuremap import FeatureMap
from sketchfusion.io.images import read_image
from sketchfusion.models import load
from sketchfusion.tasks.segmentation import strokes

TOP = 50
WEIGHTS = (0.1, 0.25, 0.5, 1.0, 2.0)
VALIDATION = ["bat", "cabin", "door", "mouse", "raccoon", "rhinoceros", "scissors", "songbird", "tree", "window"]
Seen = tuple[Tensor, Tensor, Tensor, list[str]]


def look(model: BatchExtractor, pictures: list[tuple[object, str]], kind: str, centred: bool, task: str | None) -> Seen:
    """Vectors (N, d), unit maps (N, C, cells) in half precision, cells that count (N, cells), and labels."""
    vectors, maps, cells = [], [], []
    for start in range(0, len(pictures), 16):
        views = [model.view(image, kind) for image, _ in pictures[start : start + 16]]
        with torch.no_grad():
            seen = model.look(views)
            shown = seen.maps if task is None else model.for_task(task).maps(views)
        vectors.append(F.normalize(seen.vectors.float(), dim=1))
        for data, view, (image, _) in zip(shown.float(), views, pictures[start : start + 16], strict=True):
            one = FeatureMap(data, view.frame)
            valid = one.valid()
            if kind == "sketch":  # only what is drawn on
                valid &= strokes(read_image(image, "sketch"), one)
            maps.append(F.normalize((one.centred() if centred else one).data.flatten(1), dim=0).half())
            cells.append(valid.flatten())
    return torch.cat(vectors), torch.stack(maps), torch.stack(cells), [label for _, label in pictures]


def dense_scores(ink: Tensor, photos: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """Two scores (P,) of photos' maps (P, C, cells) for the inked cells (n, C) of a sketch."""
    cosines = (ink @ photos.float()).masked_fill(~valid[:, None], -1)
    best, place = cosines.max(dim=2)
    back = cosines.argmax(dim=1)
    mutual = back.gather(1, place) == torch.arange(len(ink))
    return {"mean of best": best.mean(dim=1), "mutual": (best * mutual).sum(dim=1) / len(ink)}


def standard(scores: Tensor) -> Tensor:
    """Standard scores."""
    return (scores - scores.mean()) / scores.std().clamp_min(1e-6)


def quality(right: np.ndarray, total: int) -> tuple[float, float]:
    """P@10 and the average precision of an answer's photos (TOP,), of which the gallery has `total` right ones."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(right[:10].mean()), float((precision * right).sum() / min(total, len(right)))


def measured(model: BatchExtractor, drawn: list, shown: list, centred: bool, task: str | None) -> dict[str, np.ndarray]:
    """P@10 and mAP (Q, 2) of every way to rank."""
    queries, sketches, inked, wanted = look(model, drawn, "sketch", centred, task)
    vectors, photos, valid, labels = look(model, shown, "photo", centred, task)
    found: dict[str, list[tuple[float, float]]] = {}
    for query, sketch, ink, name in zip(queries, sketches, inked, wanted, strict=True):
        scores, places = (vectors @ query).topk(TOP)
        ways = {"cosine": scores}
        for way, dense in dense_scores(sketch[:, ink].float().T, photos[places], valid[places]).items():
            ways |= {f"{way}, weight {w:g}": standard(scores) + w * standard(dense) for w in WEIGHTS}
            ways[f"{way} alone"] = dense
        for way, values in ways.items():
            order = values.argsort(descending=True, stable=True).tolist()
            right = np.array([labels[int(places[place])] == name for place in order])
            found.setdefault(way, []).append(quality(right, labels.count(name)))
    return {way: np.array(rows) for way, rows in found.items()}


def gain(rows: np.ndarray, base: np.ndarray) -> tuple[float, float, float]:
    """The mean gain and its 95 % interval, by a paired bootstrap over sketches."""
    difference = rows - base
    draws = np.random.default_rng(0).integers(len(difference), size=(2000, len(difference)))
    low, high = np.quantile(difference[draws].mean(axis=1), [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


def sets(sketchy: str) -> Iterator[tuple[str, list, list]]:
    """The name, sketches and photos of each set."""
    sketches, photos = world_pictures("unseen")
    yield "Sketch World, unseen categories", [*sketches()], [*photos()]
    data = Sketchy(sketchy)
    drawn, shown = data.sketches(VALIDATION), data.photos(VALIDATION)
    yield "Sketchy, 10 validation classes", *([(s.source, s.label) for s in side] for side in (drawn, shown))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sketchy", required=True)
    parser.add_argument("--model", default="mini")
    asked = parser.parse_args()
    model = load(asked.model)
    print(f"weights {model.fingerprint[:12]}")
    for name, drawn, shown in sets(asked.sketchy):
        for task in [None, *(["correspondence"] if model.serves("correspondence") else [])]:
            for centred in (False, True):
                found = measured(model, drawn, shown, centred, task)
                print(f"\n{name}: {len(drawn)} sketches, {len(shown)} photos; {task or 'usual'} maps"
                      f"{', each less its mean' if centred else ''}")  # fmt: skip
                for way, rows in found.items():
                    gains = (gain(rows[:, column], found["cosine"][:, column]) for column in (0, 1))
                    said = ", ".join(f"{mean:+.4f} ({low:+.4f} to {high:+.4f})" for mean, low, high in gains)
                    print(f"  {way:28} P@10 {rows[:, 0].mean():.4f}  mAP {rows[:, 1].mean():.4f}  gain {said}")
