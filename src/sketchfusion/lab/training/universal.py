"""One set of light parts for all five tasks: a step adds up the weighted losses of a small batch of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Generator, nn

from ...extractor import Extractor
from ...saved import Heads
from .correspondence import prepare_correspondence
from .loop import Losses
from .methods import CachedEncoder
from .objective import Forward, Objective, Phases, Training
from .recipes import UniversalRecipe
from .recognition import prepare_recognition
from .retrieval import prepare_instance_retrieval, prepare_retrieval
from .segmentation import prepare_segmentation
from .sources import Sources

DataByTask = Mapping[str, Any]


class UniversalObjective(Objective[DataByTask]):
    """The objectives of all tasks on the same maps, standardised by pooled features, which most of them compare."""

    def __init__(self, objectives: Mapping[str, Objective[Any]], weights: Mapping[str, float]) -> None:
        """Join objectives, with the weights of their losses, by task."""
        super().__init__()
        self.objectives, self.weights = nn.ModuleDict(objectives), weights

    def use(self, recipe: UniversalRecipe) -> None:
        """Draw batches by the tasks' parts of another recipe from now on."""
        for task, objective in self.objectives.items():
            cast(Objective[Any], objective).use(getattr(recipe, task.replace("-", "_")))

    def losses(self, forward: Forward, data: DataByTask, generator: Generator) -> Losses:
        """Draw a batch of every task that has data."""
        losses = {
            task: cast(Objective[Any], self.objectives[task]).losses(forward, its, generator)["loss"]
            for task, its in data.items()
        }
        return {"loss": torch.stack([self.weights[task] * loss for task, loss in losses.items()]).sum(), **losses}

    def calibrate(self, model: Extractor, data: Phases[DataByTask]) -> None:
        """Calibrate each task on its own data."""
        for task, full in data.full.items():
            phases = Phases(data.half[task], full, (data.held_out or {}).get(task))
            cast(Objective[Any], self.objectives[task]).calibrate(model, phases)

    def heads(self) -> Heads:
        """Return the heads of all tasks."""
        heads = [cast(Objective[Any], objective).heads() for objective in self.objectives.values()]
        return Heads(
            next((of.classifier for of in heads if of.classifier), None),
            next((of.threshold for of in heads if of.threshold), None),
        )


def prepare_universal(recipe: UniversalRecipe, sources: Sources, encode: CachedEncoder) -> Training:
    """Prepare all five tasks; the first that lacks data raises its ValueError."""
    parts = {
        "retrieval": prepare_retrieval(recipe.retrieval, sources, encode),
        "instance-retrieval": prepare_instance_retrieval(recipe.instance_retrieval, sources, encode),
        "recognition": prepare_recognition(recipe.recognition, sources, encode),
        "correspondence": prepare_correspondence(recipe.correspondence, sources, encode),
        "segmentation": prepare_segmentation(recipe.segmentation, sources, encode),
    }
    held_out = {task: part.data.held_out for task, part in parts.items() if part.data.held_out is not None}
    phases = Phases(
        {task: part.data.half for task, part in parts.items()},
        {task: part.data.full for task, part in parts.items()},
        held_out or None,
    )
    weights = {task: getattr(recipe.weights, task.replace("-", "_")) for task in parts}
    return Training(UniversalObjective({task: part.objective for task, part in parts.items()}, weights), phases)
