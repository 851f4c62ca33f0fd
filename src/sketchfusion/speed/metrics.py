"""What scoring a benchmark of retrieval costs: `sketchfusion bench metrics`.

As many sketches and photos as the 21 unseen classes of Sketchy-extended have, the vectors made up. The reference takes
one sketch after the other and reads each metric off the ranking as its definition says.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..evaluation.benchmarks import score_retrieval
from .cost import Cost, alone, beside_first, cost_of

Floats = npt.NDArray[np.float32]

QUERIES, PHOTOS, CLASSES, WIDTH = 12_694, 10_453, 21, 1280
PLAIN = 50  # sketches that the reference scores
CUTS = (100, 200)
METRICS = ("mAP@all", "mAP@200/min(k,R)", "P@100", "P@200")


def bench_metrics(seed: int, queries: int = QUERIES, photos: int = PHOTOS, width: int = WIDTH) -> list[Cost]:
    """Score `queries` sketches against `photos` in both ways, each in a process of its own.

    `largest difference` is between what both say of a sketch, under any of the metrics. Scoring all together finds
    intervals, chance and each class's figures too, which the reference does not.
    """
    by_definition, reference = alone(_one_by_one, seed, queries, photos, width)
    scored, cost = alone(_together, seed, queries, photos, width)
    apart = max(abs(scored[name][place] - of[name]) for place, of in enumerate(by_definition) for name in METRICS)
    return beside_first([reference, replace(cost, more={**cost.more, "largest difference": apart})])


def by_definition(similarity: Floats, relevant: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Score one sketch by its similarity to N photos, some of them relevant (N,); equal ones keep their order."""
    hits = relevant[np.argsort(-similarity, kind="stable")]
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    found = {"mAP@all": float(precision[hits].sum() / max(hits.sum(), 1))}
    for cut in CUTS:
        found[f"P@{cut}"] = float(hits[:cut].mean())
        limit = max(min(cut, int(hits.sum())), 1)
        found[f"mAP@{cut}/min(k,R)"] = float(precision[:cut][hits[:cut]].sum() / limit)
    return found


def _made_up(seed: int, queries: int, photos: int, width: int) -> tuple[Floats, list[str], Floats, list[str]]:
    """Unit vectors of sketches and of photos about the centres of their classes, and the classes."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((CLASSES, width), np.float32)

    def around(count: int) -> tuple[Floats, list[str]]:
        classes = generator.integers(CLASSES, size=count)
        vectors = centres[classes] + 4 * generator.standard_normal((count, width), np.float32)
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit, [str(number) for number in classes]

    return *around(queries), *around(photos)


def _one_by_one(seed: int, queries: int, photos: int, width: int) -> tuple[list[dict[str, float]], Cost]:
    sketches, drawn, gallery, shown = _made_up(seed, queries, photos, width)
    classes, found, seconds = np.array(shown), [], []
    for sketch, label in zip(sketches[:PLAIN], drawn, strict=False):
        started = time.perf_counter()
        found.append(by_definition(gallery @ sketch, classes == label))
        seconds.append(time.perf_counter() - started)
    return found, cost_of("one sketch after the other", seconds, 1, 2.0 * photos * width)


def _together(seed: int, queries: int, photos: int, width: int) -> tuple[Mapping[str, Sequence[float]], Cost]:
    sketches, drawn, gallery, shown = _made_up(seed, queries, photos, width)
    started = time.perf_counter()
    result = score_retrieval(sketches, drawn, gallery, shown, metrics=METRICS)
    seconds = time.perf_counter() - started
    cost = cost_of(f"all {queries}, in chunks", [seconds], queries, 2.0 * photos * width)
    each = {name: estimate.each[:PLAIN].tolist() for name, estimate in result.metrics.items()}
    return each, replace(cost, more={"seconds": seconds})
