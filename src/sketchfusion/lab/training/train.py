"""`sketchfusion train`: what a method trains for a task, on folders of photos and sketches or on Sketch World."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ...extractor import TrainedExtractor
from . import correspondence, recipes, recognition, retrieval, segmentation, universal
from .log import draw_curves
from .loop import CHECKPOINT, Losses, Report, fit
from .methods import FUSION, Encoder, Finetuning, Fused, Method, SdPl
from .objective import Standardise, Training
from .processes import processes
from .recipes import LightRecipe, as_text, shaping, with_settings
from .sources import Roots

TASKS: dict[str, tuple[LightRecipe, Callable[[Any, Roots, Encoder], Training]]] = {
    "retrieval": (recipes.RetrievalRecipe(), retrieval.prepare),
    "instance-retrieval": (recipes.InstanceRetrievalRecipe(), retrieval.prepare_instances),
    "recognition": (recipes.RecognitionRecipe(), recognition.prepare),
    "correspondence": (recipes.CorrespondenceRecipe(), correspondence.prepare),
    "segmentation": (recipes.SegmentationRecipe(), segmentation.prepare),
    "universal": (recipes.UniversalRecipe(), universal.prepare),
}

RECOUNTED = 8  # batches whose statistics the centring takes over then
METHODS: dict[str, type[Method[Any]]] = {"SketchFusion": Fused, "SD-PL": SdPl, "B-Finetuning": Finetuning}


def train_task(
    task: str,
    data: list[str],
    out: Path,
    model: str = "mini",
    resume: bool = False,
    settings: dict[str, str] | None = None,
    report: Report | None = None,
    start: Path | None = None,
    cache: Path | None = None,
    method: str = "SketchFusion",
) -> TrainedExtractor:
    """Train for `task` what `method` trains on the frozen parts of `model`, write it to `out` and give the model.

    `data` are roots with photos and sketches in the Sketchy layout, folders of Quick, Draw! ndjson files, folders with
    one sub-folder of photos a class, segmentation folders, or "world" for the seen categories of Sketch World. `model`
    is a pair of the catalog, a folder that `pretrain` left, or one of light weights whose frozen parts are meant;
    `start` is a folder of light weights that training begins with. What the frozen models say of the pictures is kept
    in `cache`, a folder within `out` unless given; several tasks and methods may share one. `settings` replace those
    of the task's recipe; `fusion.key` those of the light parts' shape, as the ablations do, and `clip` names another
    CLIP, or a DINO, whose tokens are injected. ValueError in one line for anything that cannot be trained on.
    """
    if task not in TASKS:
        raise ValueError(f"training for {task!r} is not available; choose one of {', '.join(TASKS)}")
    if method not in METHODS:
        raise ValueError(f"no method is called {method!r}; choose one of {', '.join(METHODS)}")
    kind, (recipe, prepare) = METHODS[method], TASKS[task]
    own, of_recipe = _parted(settings or {}, kind.own)
    recipe = with_settings(recipe, {**kind.defaults, **of_recipe})
    team = processes()  # before the model, which goes to this process's own device
    kept = out / "training" / task
    if resume and team.first and not (kept / CHECKPOINT).is_file():
        logging.getLogger(__name__).warning("%s holds no checkpoint to go on from; training begins anew", kept)
    torch.manual_seed(recipe.seed)
    begun = kind.begin(model, task, own, start)
    folder = cache or out / "training" / "cache"
    with team.first_before_others():
        training = prepare(recipe, Roots.of(data, folder), Encoder(begun, folder, report if team.first else None))
    train(begun, training, recipe, kept, resume, report)
    if team.first:
        begun.model.heads = training.objective.heads()
        begun.model.save_pretrained(out)
        draw_curves(kept / "log.csv", kept / "curve.svg")
    trained: TrainedExtractor = begun.model
    return trained


def train(
    method: Method[Any],
    training: Training,
    recipe: LightRecipe,
    out: Path,
    resume: bool = False,
    report: Report | None = None,
) -> None:
    """Train what a method trains, and what the objective adds to it, in place; both end on the model's device.

    The first part sees pictures of half the side on half the grid: a quarter of the work, and convolutions have little
    to learn anew for the full size. In place of the centring, maps are standardised by the batch; at the end the
    centring takes that over, found anew where maps are served otherwise than they were trained.
    """
    objective, phases, device = training.objective, training.data, method.model.device
    method.centring.reset()
    standardise = Standardise(method.width, objective.photos, objective.sketches)
    trained = nn.ModuleDict({"light": method.trained, "standardise": standardise, "objective": objective}).to(device)
    full_size = recipe.full_size_after * recipe.steps

    def see(said: tuple[Tensor, ...], kind: int) -> Tensor:
        maps: Tensor = standardise(method.maps(tuple(part.to(device) for part in said), kind), kind)
        return maps

    def loss_of(step: int, generator: Generator) -> Losses:
        return objective.losses(see, phases.half if step < full_size else phases.full, generator)

    def validate() -> dict[str, float]:
        batches = [
            objective.losses(see, phases.held_out, Generator().manual_seed(number))
            for number in range(recipe.validation_batches)
        ]
        return {name: sum(float(of[name]) for of in batches) / len(batches) for name in batches[0]}

    # The moving average lags behind the running statistics; the last weights, or the best ones, go with them.
    fit(
        trained.train(),
        loss_of,
        recipe.schedule,
        out,
        resume,
        report,
        validate if phases.held_out is not None and recipe.validation_batches else None,
        frozen=method.origin,
        settings=_shaping(method, objective, recipe),
    )
    trained.eval()
    if method.finish():
        with torch.no_grad():
            standardise.train()
            for number in range(RECOUNTED):
                standardise.momentum = 1 / (number + 1)  # the mean over all batches so far
                objective.losses(see, phases.full, Generator().manual_seed(number))
            standardise.eval()
    standardise.settle(method.centring)
    objective.choose(method.model, phases)


def _shaping(method: Method[Any], objective: nn.Module, recipe: LightRecipe) -> dict[str, str]:
    """What a checkpoint must have been made with to be gone on with: settings, the light parts' shape, the names."""
    found = shaping(recipe)
    if isinstance(method, Fused):
        found |= {FUSION + key: value for key, value in as_text(method.model.config.fusion).items()}
    for part in objective.modules():
        if isinstance(part, retrieval.RetrievalObjective | recognition.RecognitionObjective):
            kind = type(part).__name__.lower()
            found |= {f"{kind} class {place}": name for place, name in enumerate(part.names)}
    return found


def settings_for(method: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Leave out of settings those that only another method knows."""
    others = [name for other, kind in METHODS.items() if other != method for name in kind.own]
    known = _parted(dict(settings), METHODS[method].own)[0]
    return {**_parted(dict(settings), tuple(others))[1], **known}


def _parted(settings: dict[str, str], names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Settings of the method, which `names` as `Method.own` does, and those of the recipe."""
    begun = tuple(name for name in names if name.endswith("."))
    own = {key: value for key, value in settings.items() if key in names or key.startswith(begun)}
    return own, {key: value for key, value in settings.items() if key not in own}
