"""`sketchfusion train`: train any method for any task, on data sets in folders or on Sketch World."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, nn

from ...extractor import Device, Extractor, TrainedExtractor
from ...io.files import clear_drafts
from ...saved import Heads
from ..datasets.base import Datasets
from . import pooled, recipes
from .correspondence import prepare_correspondence
from .feature_cache import InputBatch, Keep
from .log import draw_curves
from .loop import CHECKPOINT, DTYPE, PICTURES, Losses, Report, fit, forked_rng
from .methods import FUSION, CachedEncoder, Finetuning, Fused, Method, Place, SdPl
from .objective import Forward, Maps, Objective, Standardise, Training
from .pooled import RecognitionObjective, RetrievalObjective
from .processes import processes
from .recipes import LightRecipe, as_text, changed, halved, shaping, with_settings
from .segmentation import prepare_segmentation
from .sources import Most, Sources, listed_samples


class UniversalObjective(Objective[Mapping[str, Any]]):
    """The sum of all tasks' losses on the same maps, standardised by pooled features, which most tasks compare."""

    def __init__(self, parts: Mapping[str, Objective[Any]], weights: recipes.Weights) -> None:
        super().__init__()
        self.parts, self.objectives = parts, nn.ModuleDict(parts)
        self.weights = {task: getattr(weights, task.replace("-", "_")) for task in parts}

    def use(self, recipe: recipes.UniversalRecipe) -> None:
        for task, part in self.parts.items():
            part.use(getattr(recipe, task.replace("-", "_")))

    def draw(self, data: Mapping[str, Any], generator: Generator) -> Mapping[str, Any]:
        """Draw a batch of every task that has data."""
        return {task: self.parts[task].draw(its, generator) for task, its in data.items()}

    def losses(self, forward: Forward, drawn: Mapping[str, Any]) -> Losses:
        losses = {task: self.parts[task].losses(forward, its)["loss"] for task, its in drawn.items()}
        return {"loss": torch.stack([self.weights[task] * loss for task, loss in losses.items()]).sum(), **losses}

    def calibrate(self, model: Extractor, full: Mapping[str, Any], held_out: Mapping[str, Any] | None) -> None:
        for task, its in full.items():
            self.parts[task].calibrate(model, its, (held_out or {}).get(task))

    def heads(self) -> Heads:
        heads = [part.heads() for part in self.parts.values()]
        classifiers, thresholds = (of.classifier for of in heads), (of.threshold for of in heads)
        return Heads(next(filter(None, classifiers), None), next(filter(None, thresholds), None))


def prepare_universal(recipe: recipes.UniversalRecipe, sources: Sources, encode: CachedEncoder) -> Training:
    """Prepare all other tasks; the first that lacks data raises its ValueError."""
    single = {task: prepare for task, (_, prepare) in TASKS.items() if task != "universal"}
    parts = {t: prepare(getattr(recipe, t.replace("-", "_")), sources, encode) for t, prepare in single.items()}
    return Training(
        UniversalObjective({task: part.objective for task, part in parts.items()}, recipe.weights),
        {task: part.half for task, part in parts.items()},
        {task: part.full for task, part in parts.items()},
        {task: part.held_out for task, part in parts.items() if part.held_out is not None} or None,
    )


TASKS: dict[str, tuple[LightRecipe, Callable[[Any, Sources, CachedEncoder], Training]]] = {
    "retrieval": (recipes.RetrievalRecipe(), pooled.prepare_retrieval),
    "instance-retrieval": (recipes.InstanceRetrievalRecipe(), pooled.prepare_instance_retrieval),
    "recognition": (recipes.RecognitionRecipe(), pooled.prepare_recognition),
    "correspondence": (recipes.CorrespondenceRecipe(), prepare_correspondence),
    "segmentation": (recipes.SegmentationRecipe(), prepare_segmentation),
    "universal": (recipes.UniversalRecipe(), prepare_universal),
}
METHODS: dict[str, type[Method[Any]]] = {"SketchFusion": Fused, "SD-PL": SdPl, "B-Finetuning": Finetuning}

STATISTICS_BATCHES = 8  # for measuring the statistics again if inference makes maps in another way than training


def train_task(
    task: str,
    data: Datasets,
    out: Path,
    model: str = "mini",
    resume: bool = False,
    settings: dict[str, str] | None = None,
    report: Report = None,
    start: Path | None = None,
    cache: Path | None = None,
    method: str = "SketchFusion",
    checkpointing: bool = False,
    recipe: str = "mini",
    keep: Keep | None = None,
    device: Device = None,
    dtype: torch.dtype | None = None,
) -> TrainedExtractor:
    """Train `method` for `task` on the frozen parts of `model`, save the result to `out` and return it.

    `data` are data sets of photos and sketches, Quick, Draw! as ndjson files, folders with one sub-folder of photos per
    class, segmentation folders, or Sketch World, of which only the seen categories are used. `model` says which frozen
    diffusion model and CLIP to use: a name in the catalog, SD+CLIP (two names, hub ids or folders), a folder written by
    `pretrain`, or a folder of light weights (the trained part of a model), of which only the frozen models are used.
    `start` is a folder of light weights to start training from. `cache` is the folder for the frozen models' features
    (default: inside `out`); tasks and methods may share one. `keep` says which are kept there, by default as many as
    fit well. `checkpointing` takes less memory and more time. `dtype` is the frozen weights', bfloat16 or float32.

    `recipe` is a name in `RECIPES`; `settings` override what it sets, those named `fusion.KEY` the architecture of the
    trained part; `diffusion` and `clip`, which may be a DINO, name other frozen models. ValueError for what cannot fit.
    """
    chosen, of_method = choose(task, method, settings or {}, recipe)
    method_type, prepare = METHODS[method], TASKS[task][1]
    team, folder = processes(), out / "training" / task  # before the model, which goes to this process's own device
    if resume and team.first and not (folder / CHECKPOINT).is_file():
        logging.getLogger(__name__).warning("%s holds no checkpoint to go on from; training begins anew", folder)
    torch.manual_seed(chosen.seed)
    if team.count > 1 and device is not None:
        raise ValueError("every process of torchrun has a GPU of its own: leave --device out")
    in_training = method_type.create(model, task, of_method, start, Place(device, dtype))
    if checkpointing:
        in_training.checkpoint()
    cache = cache or out / "training" / "cache"
    if team.first:
        clear_drafts(cache, folder)
    with team.rank0_first():
        encode = CachedEncoder(in_training, cache, report if team.first else None, chosen.full_size_after > 0)
        sources = replace(Sources.of(data, cache, encode.side), most=most_taken(chosen))
        training = prepare(chosen, sources, encode)
        listed_samples.cache_clear()
        if team.first:
            keep = encode.keep(keep)
    keep = team.broadcast(keep)
    if not team.first:
        encode.keep(keep)
    train(in_training, training, chosen, folder, resume, report, encode.pictures)
    if team.first:
        in_training.model.heads = training.objective.heads()
        in_training.model.save_pretrained(out)
        draw_curves(folder / "log.csv", folder / "curve.svg")
    return in_training.model  # type: ignore[no-any-return]


def most_taken(recipe: LightRecipe) -> tuple[Most, Most]:
    """Return the most pictures that any task of a recipe takes, to train on and of those held out."""
    parts = [of for of in (recipe, *vars(recipe).values()) if isinstance(of, LightRecipe)]
    paired = [of for of in parts if isinstance(of, recipes.RetrievalRecipe)]
    drawn = [of.per_class for of in parts if isinstance(of, recipes.RecognitionRecipe | recipes.SegmentationRecipe)]
    matched = next((of for of in parts if isinstance(of, recipes.CorrespondenceRecipe)), None)
    warps, traced = (matched.warps, matched.drawn) if matched else (0, 0)

    def most(photos: list[int], warped: int, traced: int) -> Most:
        # One task without a limit (0) takes all; None where no task takes any.
        of_photos, of_sketches = ((max(of) if all(of) else 0) if of else None for of in (photos, photos + drawn))
        return Most(of_photos, of_sketches, not drawn, warped, traced)

    full = [of.full_per_class for of in paired]
    trained = most(full + [of.per_class for of in paired], warps, traced)
    return trained, most(full, warps // 10, min(1, traced))


def choose(
    task: str, method: str, settings: Mapping[str, str], recipe: str = "mini"
) -> tuple[LightRecipe, dict[str, str]]:
    """Return a task's recipe and the method's settings; ValueError for an unknown name or setting."""
    if task not in TASKS:
        raise ValueError(f"training for {task!r} is not available; choose one of {', '.join(TASKS)}")
    if method not in METHODS:
        raise ValueError(f"no method is called {method!r}; choose one of {', '.join(METHODS)}")
    stated = settings_for(method, recipes.settings_of(recipe, task))
    of_method, of_recipe = _split({**stated, **METHODS[method].defaults, **settings}, METHODS[method].setting_names)
    return with_settings(TASKS[task][0], of_recipe), of_method


def train(
    method: Method[Any],
    training: Training,
    recipe: LightRecipe,
    out: Path,
    resume: bool = False,
    report: Report = None,
    pictures: str = "",
) -> None:
    """Train the method's and the objective's parameters in place; both end on the model's device.

    The first phase uses pictures and feature maps of half the side, a quarter of the work; convolutions need little
    further training at full size. Maps are standardised as in batch norm. At the end the running statistics become the
    model's centring; they are measured again first if inference makes maps in another way than training. `pictures`
    identifies what is trained on: a run that resumes with others says so.
    """
    objective, device = training.objective, method.model.device
    method.centring.reset()
    standardise = Standardise(method.width, objective.photo_statistics, objective.sketch_statistics)
    trained = nn.ModuleDict({"light": method.trained, "standardise": standardise, "objective": objective}).to(device)
    full_size = recipe.full_size_after * recipe.steps

    def forward(inputs: InputBatch, kind: int) -> Maps:
        bf16, features = trained.training and method.precision == torch.bfloat16, inputs.features
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            maps = method.maps(tuple(part.to(device) for part in features), kind)
        valid = None if inputs.valid is None else inputs.valid.to(device)
        return Maps(standardise(maps, kind, valid), valid)

    def draw(step: int, generator: Generator) -> Any:
        return objective.draw(training.half if step < full_size else training.full, generator)

    def loss_of(step: int, drawn: Any) -> Losses:
        with torch.autocast(device.type, enabled=False):  # cosines over a small temperature need float32
            return objective.losses(forward, drawn)

    def validate() -> dict[str, float]:
        batches = [
            objective.losses(forward, objective.draw(training.held_out, Generator().manual_seed(number)))
            for number in range(recipe.validation_batches)
        ]
        return {name: sum(float(batch[name]) for batch in batches) / len(batches) for name in batches[0]}

    def at_full_size() -> Losses:
        return loss_of(recipe.steps, draw(recipe.steps, Generator().manual_seed(0)))

    refuse_too_large(trained.train(), at_full_size, method, objective, recipe)
    checked = validate if training.held_out is not None and recipe.validation_batches else None
    settings = {**_checkpoint_settings(method, objective, recipe), **({PICTURES: pictures} if pictures else {})}
    fit(trained, loss_of, recipe.schedule, out, resume, report, checked, method.origin, settings, draw)
    trained.eval()
    if method.prepare_serving():
        with torch.no_grad():
            standardise.train()
            for number in range(STATISTICS_BATCHES):
                standardise.momentum = 1 / (number + 1)  # the mean over all batches so far
                objective.losses(forward, objective.draw(training.full, Generator().manual_seed(number)))
            standardise.eval()
    standardise.transfer(method.centring)
    objective.calibrate(method.model, training.full, training.held_out)


def is_card(device: torch.device) -> bool:
    """Return whether memory that runs out is an error, and not the end of the process."""
    return device.type == "cuda"


def refuse_too_large(
    trained: nn.Module, loss: Callable[[], Losses], method: Method[Any], objective: Objective[Any], recipe: LightRecipe
) -> None:
    """Try a batch of full size, which comes late; if a card is too small, ValueError says what would fit."""
    device = method.model.device
    if not is_card(device) or _fits(trained, device, loss):
        return
    asked = [] if method.checkpointing else ["--checkpointing"]
    method.checkpoint()
    tried = recipe if asked else halved(recipe)
    while tried is not None:
        objective.use(tried)
        if _fits(trained, device, loss):
            break
        tried = halved(tried)
    smaller = changed(recipe, tried or recipe)
    way = " ".join([*asked, *(["--set", *smaller] if smaller else [])])
    raise ValueError(
        f"a batch of full size does not fit into the memory of this {device}; "
        + (f"{way} would" if tried else "not even the smallest with --checkpointing would: take a card with more")
    )


def _fits(trained: nn.Module, device: torch.device, loss: Callable[[], Losses]) -> bool:
    buffers = {name: buffer.clone() for name, buffer in trained.named_buffers()}
    try:
        moments = [torch.empty_like(p) for p in trained.parameters() if p.requires_grad for _ in range(2)]  # AdamW's
        with forked_rng(device):
            loss()["loss"].backward()  # type: ignore[no-untyped-call]
        del moments
    except torch.OutOfMemoryError:
        return False
    finally:
        trained.zero_grad(set_to_none=True)
        for name, buffer in trained.named_buffers():
            buffer.copy_(buffers[name])
    return True


def settings_for(method: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Select the settings that apply to `method`: its own and the recipe's, but not those only other methods have."""
    others = tuple(name for other, of in METHODS.items() if other != method for name in of.setting_names)
    of_method = _split(settings, METHODS[method].setting_names)[0]
    return {**_split(settings, others)[1], **of_method}


def _split(settings: Mapping[str, str], names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Split settings into those in `names`, where a name with a final dot is a prefix, and the others."""
    prefixes = tuple(name for name in names if name.endswith("."))
    listed = {key: value for key, value in settings.items() if key in names or key.startswith(prefixes)}
    return listed, {key: value for key, value in settings.items() if key not in listed}


def _checkpoint_settings(method: Method[Any], objective: nn.Module, recipe: LightRecipe) -> dict[str, str]:
    """Return what must not change when a checkpoint is resumed: recipe, architecture and class names."""
    found = {**shaping(recipe), DTYPE: str(method.precision)}
    if isinstance(method, Fused):
        config = method.model.config
        found |= {"side": str(config.side), **{FUSION + key: value for key, value in as_text(config.fusion).items()}}
    for part in objective.modules():
        if isinstance(part, RetrievalObjective | RecognitionObjective):
            task = type(part).__name__.removesuffix("Objective").lower()
            found |= {f"{task} class {place}": name for place, name in enumerate(part.names)}
    return found
