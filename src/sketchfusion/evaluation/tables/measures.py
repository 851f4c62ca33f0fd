"""One task measured on one benchmark, for a cell of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..benchmarks import benchmark_retrieval
from ..correspondence import benchmark_correspondence, keypoint_pairs
from ..galleries import retrieval_data
from ..instances import benchmark_instances, instance_data
from ..recognition import benchmark_examples
from ..scenes import scenes
from ..segmentation import benchmark_segmentation
from ..sources import naming_data

if TYPE_CHECKING:
    from ...extractor import Extractor
    from ..metrics import Estimate
    from ..report import Reported

Progress = Callable[[int, int], None]


def measure_task(
    task: str, model: Extractor, data: str, sketches: Sequence[str] = (), progress: Progress | None = None
) -> dict[str, Estimate]:
    """Every metric of a task on "world" or a root; ValueError if the root cannot serve the task.

    Recognition is by the model's trained classifier, or by the linear head that every other model gets.
    """
    if task == "recognition":
        asked, seen = naming_data(data, "sketch"), naming_data(data, "sketch", examples=True)
        named = benchmark_examples(model, seen.pictures, asked.pictures, progress).metrics
        way = "classifier" if "Acc@1/classifier" in named else "linear head"
        return {**named, **{f"Acc@{k}": named[f"Acc@{k}/{way}"] for k in (1, 5)}}
    measures: dict[str, Callable[[], Reported]] = {
        "retrieval": lambda: _retrieval(model, data, sketches, progress),
        "instance-retrieval": lambda: _instances(model, data, progress),
        "correspondence": lambda: benchmark_correspondence(model, [*keypoint_pairs(data, *sketches[:1])], progress),
        "segmentation": lambda: benchmark_segmentation(model, [*scenes(data, sketches)], progress),
    }
    return measures[task]().metrics


def _retrieval(model: Extractor, data: str, sketches: Sequence[str], progress: Progress | None) -> Reported:
    source = retrieval_data(data, None, sketches)
    return benchmark_retrieval(model, [*source.sketches()], [*source.photos()], progress=progress)


def _instances(model: Extractor, data: str, progress: Progress | None) -> Reported:
    source = instance_data(data)
    return benchmark_instances(model, [*source.sketches()], [*source.photos()], progress)
