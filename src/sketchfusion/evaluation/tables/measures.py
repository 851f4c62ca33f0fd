"""One task measured on one benchmark, for a cell of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..benchmarks import benchmark_retrieval
from ..constants import choose_correspondence, choose_level
from ..correspondence import ALONE, METRICS, benchmark_correspondence, keypoint_pairs
from ..galleries import retrieval_data
from ..instances import benchmark_instances, instance_data
from ..recognition import benchmark_examples
from ..scenes import Part, scenes
from ..segmentation import benchmark_segmentation
from ..sources import naming_data

if TYPE_CHECKING:
    from ...extractor import Extractor
    from ..metrics import Estimate
    from ..report import Reported


MOST_CHOSEN_FROM = 200  # pairs
PARTS: tuple[Part, ...] = ("chosen from", "measured")

Progress = Callable[[int, int], None]


def measure_task(
    task: str, model: Extractor, data: str, sketches: Sequence[str] = (), progress: Progress | None = None
) -> dict[str, Estimate]:
    """Every metric of a task on "world" or a root; ValueError if the root cannot serve the task.

    Recognition is by the linear head that every model gets, and correspondence point by point, as the paper has it; the
    softmax of correspondence and the threshold of segmentation are each model's best on data that are not measured on.
    """
    if task == "recognition":
        asked, seen = naming_data(data, "sketch"), naming_data(data, "sketch", examples=True)
        named = benchmark_examples(model, seen.pictures, asked.pictures, progress).metrics
        return {**named, **{f"Acc@{k}": named[f"Acc@{k}/linear head"] for k in (1, 5)}}
    if task == "correspondence":
        matched = _correspondence(model, data, sketches, progress).metrics
        return {**matched, **{name: matched[f"{name}/{ALONE}"] for name in METRICS}}
    measures: dict[str, Callable[[], Reported]] = {
        "retrieval": lambda: _retrieval(model, data, sketches, progress),
        "instance-retrieval": lambda: _instances(model, data, progress),
        "segmentation": lambda: _segmentation(model, data, sketches, progress),
    }
    return measures[task]().metrics


def measured_on(task: str, data: str, sketches: Sequence[str] = ()) -> str:
    """Open all that `measure_task` does and say which categories it measures on, where there is a choice.

    ValueError if the data cannot serve the task.
    """
    if task == "recognition":
        for examples in (False, True):
            naming_data(data, "sketch", examples=examples)
    elif task == "correspondence":
        for measured in (False, True):
            next(keypoint_pairs(data, *sketches[:1], measured=measured), None)
    elif task == "segmentation":
        for part in PARTS:
            if next(scenes(data, sketches, part), None) is None:
                raise ValueError(
                    f"{data}: too few photos with masks; one in five is measured on, the others chosen from"
                )
    elif task == "retrieval":
        return retrieval_data(data, None, sketches, untrained=True).about
    else:
        return instance_data(data, untrained=True).about
    return ""


def _retrieval(model: Extractor, data: str, sketches: Sequence[str], progress: Progress | None) -> Reported:
    source = retrieval_data(data, None, sketches, untrained=True)
    return benchmark_retrieval(model, [*source.sketches()], [*source.photos()], progress=progress)


def _instances(model: Extractor, data: str, progress: Progress | None) -> Reported:
    source = instance_data(data, untrained=True)
    return benchmark_instances(model, [*source.sketches()], [*source.photos()], progress)


def _correspondence(model: Extractor, data: str, sketches: Sequence[str], progress: Progress | None) -> Reported:
    others = [*keypoint_pairs(data, *sketches[:1], measured=False)]
    chosen = choose_correspondence(model, others[:: 1 + len(others) // MOST_CHOSEN_FROM])
    pairs = [*keypoint_pairs(data, *sketches[:1])]
    return benchmark_correspondence(model, pairs, progress, chosen["TEMPERATURE"], chosen["WINDOW"])


def _segmentation(model: Extractor, data: str, sketches: Sequence[str], progress: Progress | None) -> Reported:
    level = fitting_level(model, data, sketches)
    return benchmark_segmentation(model, [*scenes(data, sketches, "measured")], progress, level=level)


def fitting_level(model: Extractor, data: str, sketches: Sequence[str] = ()) -> float:
    """The heat above which a model's masks fit best on the scenes that it is not measured on."""
    return choose_level(model, scenes(data, sketches, "chosen from"))
