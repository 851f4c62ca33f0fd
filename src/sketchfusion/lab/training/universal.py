"""One set of light parts for all five tasks: a step takes a small batch of each and adds up their losses, weighted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Generator, nn

from ...extractor import Extractor
from ...saved import Heads
from . import correspondence, recognition, retrieval, segmentation
from .loop import Losses
from .methods import Encoder
from .objective import Objective, Phases, See, Training
from .recipes import UniversalRecipe
from .sources import Roots

Several = Mapping[str, Any]  # each task's data by its name


class UniversalObjective(Objective[Several]):
    """The objectives of all tasks on the same light parts; pooled features are what most of them compare."""

    def __init__(self, objectives: Mapping[str, Objective[Any]], weights: Mapping[str, float]) -> None:
        """Join objectives, and the weights of their losses, by their tasks' names."""
        super().__init__()
        self.objectives, self.weights = nn.ModuleDict(objectives), weights

    def losses(self, see: See, data: Several, generator: Generator) -> Losses:
        """Draw a batch of each task that there are data for."""
        of = {
            task: cast(Objective[Any], self.objectives[task]).losses(see, its, generator)["loss"]
            for task, its in data.items()
        }
        return {"loss": torch.stack([self.weights[task] * loss for task, loss in of.items()]).sum(), **of}

    def choose(self, model: Extractor, data: Phases[Several]) -> None:
        """Let each task choose on its own data."""
        for task, its in data.full.items():
            own = Phases(data.half[task], its, (data.held_out or {}).get(task))
            cast(Objective[Any], self.objectives[task]).choose(model, own)

    def heads(self) -> Heads:
        """Give those of all tasks."""
        heads = [cast(Objective[Any], objective).heads() for objective in self.objectives.values()]
        return Heads(
            next((of.classifier for of in heads if of.classifier), None),
            next((of.threshold for of in heads if of.threshold), None),
        )


def prepare(recipe: UniversalRecipe, roots: Roots, encode: Encoder) -> Training:
    """Prepare all five tasks; ValueError, by the one concerned, if the data lack what a task needs."""
    parts = {
        "retrieval": retrieval.prepare(recipe.retrieval, roots, encode),
        "instance-retrieval": retrieval.prepare_instances(recipe.instance_retrieval, roots, encode),
        "recognition": recognition.prepare(recipe.recognition, roots, encode),
        "correspondence": correspondence.prepare(recipe.correspondence, roots, encode),
        "segmentation": segmentation.prepare(recipe.segmentation, roots, encode),
    }
    held_out = {task: part.data.held_out for task, part in parts.items() if part.data.held_out is not None}
    phases = Phases(
        {task: part.data.half for task, part in parts.items()},
        {task: part.data.full for task, part in parts.items()},
        held_out or None,
    )
    weights = {task: getattr(recipe.weights, task.replace("-", "_")) for task in parts}
    return Training(UniversalObjective({task: part.objective for task, part in parts.items()}, weights), phases)
