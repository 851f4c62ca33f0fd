"""`sketchfusion train`: light weights for a task, from folders of photos and sketches or from Sketch World."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor, nn

from sketchfusion.training import (
    correspondence,
    instance_retrieval,
    light_recipes,
    recognition,
    retrieval,
    segmentation,
    universal,
)
from sketchfusion.training.curves import draw_curves
from sketchfusion.training.encode import Encoder
from sketchfusion.training.light_recipes import LightRecipe, with_settings
from sketchfusion.training.loop import Losses, Report, fit
from sketchfusion.training.objective import Training
from sketchfusion.training.processes import processes
from sketchfusion.training.roots import Roots
from sketchfusion.training.standardise import Standardise

if TYPE_CHECKING:
    from sketchfusion.features import SketchFusion

TASKS: dict[str, tuple[LightRecipe, Callable[[Any, Roots, Encoder], Training]]] = {
    "retrieval": (light_recipes.RetrievalRecipe(), retrieval.prepare),
    "instance-retrieval": (light_recipes.InstanceRetrievalRecipe(), instance_retrieval.prepare),
    "recognition": (light_recipes.RecognitionRecipe(), recognition.prepare),
    "correspondence": (light_recipes.CorrespondenceRecipe(), correspondence.prepare),
    "segmentation": (light_recipes.SegmentationRecipe(), segmentation.prepare),
    "universal": (light_recipes.UniversalRecipe(), universal.prepare),
}

FUSION = "fusion."  # begins a setting of the light parts' shape
CLIP = "clip"  # the setting that puts another model in CLIP's place


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
) -> SketchFusion:
    """Train the light weights of `task` on the frozen parts of `model` and write them to `out`.

    `data` are roots with photos and sketches in the Sketchy layout, folders of Quick, Draw! ndjson files, folders with
    one sub-folder of photos a class, segmentation folders, or "world" for the seen categories of Sketch World. `model`
    is a pair of the catalog, a folder that `pretrain` left, or one of light weights whose frozen parts are meant;
    `start` is a folder of light weights that training begins with. What the frozen models say of the pictures is kept
    in `cache`, a folder within `out` unless given; several tasks may share one. `settings` replace those of the task's
    recipe; `fusion.key` those of the light parts' shape, as the ablations do, and `clip` names another CLIP, or a DINO,
    whose tokens are injected. ValueError in one line for anything that cannot be trained on.
    """
    if task not in TASKS:
        raise ValueError(f"training for {task!r} is not available; choose one of {', '.join(TASKS)}")
    recipe, prepare = TASKS[task]
    own, shape = _parted(settings or {})
    recipe = with_settings(recipe, own)
    team = processes()  # before the model, which goes to this process's own device
    torch.manual_seed(recipe.seed)
    fused = untrained_on(model, task, shape)
    if start:
        _begin_with(fused, start)
    folder = cache or out / "training" / "cache"
    with team.first_before_others():
        training = prepare(recipe, Roots.of(data, folder), Encoder(fused, folder, report if team.first else None))
    train_light(fused, training, recipe, out / "training" / task, resume, report)
    if team.first:
        fused.heads = training.objective.heads()
        fused.save_pretrained(out)
        draw_curves(out / "training" / task / "log.csv", out / "training" / task / "curve.svg")
    return fused


def train_light(
    fused: SketchFusion,
    training: Training,
    recipe: LightRecipe,
    out: Path,
    resume: bool = False,
    report: Report | None = None,
) -> None:
    """Train the light parts of `fused`, and what the objective adds to them, in place; they end on the CPU or device.

    The first part sees pictures of half the side on half the grid: a quarter of the work, and the light parts, being
    convolutions, have little to learn anew for the full size. In place of the centring, maps are standardised by the
    batch; at the end the centring takes that over.
    """
    fusion, objective, phases = fused.model, training.objective, training.data
    device, grid = fused.device, fused.config.fusion.grid
    light = fusion.light
    light.centring.reset()
    standardise = Standardise(fused.dim, objective.photos, objective.sketches)
    trained = nn.ModuleDict({"light": light, "standardise": standardise, "objective": objective}).to(device)
    full_size = recipe.full_size_after * recipe.steps

    def losses(of: Any, cells: int, generator: Generator) -> Losses:
        def see(said: tuple[Tensor, Tensor], kind: int) -> Tensor:
            latents, tokens = (part.to(device) for part in said)
            maps: Tensor = standardise(fusion(latents, tokens, grid=cells), kind)
            return maps

        return objective.losses(see, of, generator)

    def loss_of(step: int, generator: Generator) -> Losses:
        return losses(phases.half, grid // 2, generator) if step < full_size else losses(phases.full, grid, generator)

    def validate() -> dict[str, float]:
        batches = [
            losses(phases.held_out, grid, Generator().manual_seed(number))
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
        frozen=f"{fused.config.diffusion_hash[:12]} and {fused.config.clip_hash[:12]}",
    )
    trained.eval()
    standardise.settle(light.centring)


def _parted(settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Settings of the recipe, and those of the features' configuration."""
    shape = {key: value for key, value in settings.items() if key.startswith(FUSION) or key == CLIP}
    return {key: value for key, value in settings.items() if key not in shape}, shape


def untrained_on(model: str, task: str, shape: dict[str, str] | None = None) -> SketchFusion:
    """New light weights for `task` on the frozen parts of `model`, named as `train_task` takes it.

    `shape` are settings that replace the model's own: `fusion.key` of the fusion, and `clip`, the model whose tokens
    are injected, by catalog name, hub id or folder.
    """
    from sketchfusion.backbones.catalog import CATALOG, FusedCard, locate
    from sketchfusion.backbones.folders import load_encoder
    from sketchfusion.features import SketchFusion
    from sketchfusion.fusion.model import FusionConfig
    from sketchfusion.light import FeaturesConfig, find_light, of_task, read_light, seen_by

    if model in CATALOG:
        fused = SketchFusion.untrained(model, task=task)
    elif all((Path(model) / part).is_dir() for part in ("sd", "clip")):  # what `pretrain` leaves has the sizes of mini
        card, folder = CATALOG["mini"], Path(model).resolve()
        assert isinstance(card, FusedCard)
        sizes = FusionConfig(grid=card.grid, width=card.width)
        config = FeaturesConfig(str(folder / "sd"), str(folder / "clip"), side=card.side, fusion=sizes)
        fused = SketchFusion.untrained(config=config, task=task)
    else:
        folder = find_light(model)
        config, _ = read_light(folder if (folder / "config.json").is_file() else of_task(folder, task))
        fused = SketchFusion.untrained(config=config, task=task)
    if not shape:
        return fused
    fusion = {key.removeprefix(FUSION): value for key, value in shape.items() if key != CLIP}
    config = replace(fused.config, fusion=with_settings(fused.config.fusion, fusion))
    encoder = fused.clip
    if CLIP in shape:
        config = seen_by(config, shape[CLIP])
        encoder = load_encoder(config.clip, locate(config.clip), encoder.dtype)
    return SketchFusion(fused.model.diffusion, encoder, config, fused.name).to(fused.device)


def _begin_with(fused: SketchFusion, start: Path) -> None:
    from sketchfusion.light import read_light

    config, state = read_light(start)
    own = (fused.config.diffusion_hash, fused.config.clip_hash)
    if (config.diffusion_hash, config.clip_hash) != own:
        raise ValueError(f"{start} was trained on other frozen weights than those of {fused.name}")
    if replace(config.fusion, dropout=0.0) != replace(fused.config.fusion, dropout=0.0):
        raise ValueError(f"{start} has light weights of another shape or timestep than {fused.name}")
    fused.model.light.load_state_dict(state)
