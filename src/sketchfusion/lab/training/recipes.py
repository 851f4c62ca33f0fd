"""Recipes: every setting of training and of pretraining, as frozen data, and how text overrides it."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .loop import Schedule


@dataclass(frozen=True)
class LightRecipe:
    """Settings that all tasks share; the defaults of all tasks suit two CPU cores."""

    steps: int = 1000
    lr: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 60
    seed: int = 0
    accumulate: int = 1  # batches of a step
    validate_every: int = 100  # steps
    validation_batches: int = 4
    patience: int = 0  # validations without improvement before training stops; 0 is no limit
    seconds: float = 0.0  # time limit, kept by skipping steps evenly; 0 is no limit
    full_size_after: float = 0.88  # share of the steps; before it, pictures have half the side

    @property
    def schedule(self) -> Schedule:
        names = {field.name for field in dataclasses.fields(Schedule)}
        return Schedule(betas=(0.9, 0.99), **{name: value for name, value in vars(self).items() if name in names})


@dataclass(frozen=True)
class RetrievalRecipe(LightRecipe):
    """Triplets of sketches and photos, with classes drawn evenly."""

    classes: int = 32  # of a batch, each with one sketch and one photo
    margin: float = 0.3
    contrast: float = 1.0  # weight of the contrastive loss over the batch
    temperature: float = 0.2
    naming: float = 1.0  # weight of the classifier's loss
    views: int = 4  # cached augmented views of a picture at half size; at full size there is one
    per_class: int = 60  # most photos, and most sketches, of a class and a source; 0 is no limit
    full_per_class: int = 25  # the same at full size


@dataclass(frozen=True)
class InstanceRetrievalRecipe(LightRecipe):
    """Hard triplets: negatives are other photos of the same class."""

    steps: int = 800
    classes: int = 8  # of a batch
    things: int = 4  # instances of each class, each with one sketch and one photo
    margin: float = 0.2
    contrast: float = 1.0  # weight of the contrastive loss over the batch
    temperature: float = 0.1
    views: int = 3  # as for retrieval
    per_class: int = 30  # instances of a class from Sketch World


@dataclass(frozen=True)
class RecognitionRecipe(LightRecipe):
    steps: int = 800
    batch: int = 64  # sketches, names drawn evenly
    smoothing: float = 0.1  # of the labels
    views: int = 3  # as for retrieval
    per_class: int = 60  # most sketches of a class and a source; 0 is no limit


@dataclass(frozen=True)
class CorrespondenceRecipe(LightRecipe):
    """Contrast of matched points, and the end-point error of the flow between the maps."""

    steps: int = 700
    batch: int = 24  # pairs of a sketch and a photo
    temperature: float = 0.05  # of the contrast, and of the soft-argmax
    flow: float = 5.0  # weight of the end-point error, in sides of the picture
    things: int = 60  # instances of each category of Sketch World
    warps: int = 3000  # photos paired with their own warped outlines
    drawn: int = 12  # photos of a name paired with pseudo-sketches
    aligned: int = 3000  # freehand sketches aligned with their photos
    unseen: bool = True  # PSC6K's pairs of unseen classes too, as in the paper


@dataclass(frozen=True)
class SegmentationRecipe(LightRecipe):
    """Cross-entropy of presence and mask; presence has a learned threshold on the cosine."""

    steps: int = 700
    batch: int = 24  # photos, each with a sketch
    absent: float = 0.25  # share of photos whose sketch shows something else
    threshold: float = 0.2  # initial value
    temperature: float = 0.1  # initial value
    heat: float = 1.0  # weight of the loss of the heatmap that masks are cut from
    things: int = 60  # instances of each category of Sketch World
    per_class: int = 60  # most sketches of a class and a source; 0 is no limit


@dataclass(frozen=True)
class Weights:
    retrieval: float = 1.0
    instance_retrieval: float = 0.2
    recognition: float = 1.0
    correspondence: float = 2.0
    segmentation: float = 2.0


@dataclass(frozen=True)
class UniversalRecipe(LightRecipe):
    """All five tasks: a step takes a small batch of each; `retrieval.classes` and so on override theirs."""

    steps: int = 600
    full_size_after: float = 0.9
    retrieval: RetrievalRecipe = RetrievalRecipe(classes=16)
    instance_retrieval: InstanceRetrievalRecipe = InstanceRetrievalRecipe(classes=4)
    recognition: RecognitionRecipe = RecognitionRecipe(batch=16)
    correspondence: CorrespondenceRecipe = CorrespondenceRecipe(batch=8, unseen=False)
    segmentation: SegmentationRecipe = SegmentationRecipe(batch=8)
    weights: Weights = Weights()


# Recipes other than mini's, which are the defaults above: the settings that differ, of every task ("") and of each.
# A training sees as many pairs as the authors' code does in 50 epochs of PSC6K, about 375,000.
_LONG = {"steps": "12000", "validate_every": "1000"}
_ALL = {"per_class": "0"}
_MAPS_ALONE = {"whole": "0", "dense": "0", "local": "false"}
RECIPES: dict[str, dict[str, dict[str, str]]] = {
    "mini": {},
    "full": {
        "": {**_LONG, "warmup": "500"},
        "retrieval": {**_ALL, "full_per_class": "0"},
        "recognition": _ALL,
        "correspondence": {"steps": "16000", "warps": "20000", "drawn": "25", "aligned": "100000"},
        "segmentation": {**_ALL, "steps": "16000"},
    },
    # The paper and its code state the losses and, of correspondence, data, AdamW's rates and temperature. Chosen here:
    # the same rates for the other tasks, all batches and margins, the weight of the flow, no augmentation.
    "paper": {
        "": {**_LONG, "warmup": "0", "lr": "1.25e-3", "weight_decay": "1e-3", "full_size_after": "0"} | _MAPS_ALONE,
        "retrieval": {**_ALL, "full_per_class": "0", "contrast": "0", "naming": "0", "views": "1"},
        "instance-retrieval": {"contrast": "0", "views": "1"},
        "recognition": {**_ALL, "smoothing": "0", "views": "1"},
        "correspondence": {
            **{"steps": "16000", "temperature": "0.02", "flow": "1", "warps": "0", "drawn": "0", "aligned": "0"}
        },
        "segmentation": {**_ALL, "steps": "16000", "absent": "0", "heat": "0"},
    },
}


def settings_of(recipe: str, task: str) -> dict[str, str]:
    """Return what a recipe sets for a task; ValueError for a recipe that there is not, or not for this task."""
    if recipe not in RECIPES:
        raise ValueError(f"no recipe is called {recipe!r}; choose one of {', '.join(RECIPES)}")
    parts = dict(RECIPES[recipe])
    shared = parts.pop("", {})
    if task != "universal":
        return {**shared, **parts.get(task, {})}
    if recipe == "paper":
        raise ValueError("the paper trains every task by itself: there is no recipe paper for universal")
    each = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items() if key != "steps"}
    return {**shared, **each}


Budget = Literal["cpu", "gpu"]  # of pretraining: two cores, or one H200


@dataclass(frozen=True)
class VaeRecipe:
    """Reconstruction of crops, which suffice because the VAE is convolutional."""

    schedule: Schedule
    batch: int = 32
    crop: int = 64  # pixels
    sketch_share: float = 0.15
    kl: float = 1e-6


@dataclass(frozen=True)
class TowerRecipe:
    """EfficientNet-Lite, trained on ImageNet, learns sketches; features of photos are kept near the original ones."""

    schedule: Schedule
    side: int = 128  # pixels in training, where crops show things larger than they are in whole pictures
    final_side: int = 192  # pixels of the finished model's pictures; retrieval 0.56 where 128 have 0.50
    frozen: int = 4  # first blocks that are not trained, as the first convolution is not
    classes: int = 20  # of a batch, each with one photo and two sketches
    sketches: int = 16  # further ones of a batch, of any name
    traced: int = 12  # further photos of a batch, of any name, each with a pseudo-sketch of it
    traced_per_class: int = 12  # photos of a class of which there are pseudo-sketches
    photo_zoom: tuple[float, float] = (0.65, 1.0)  # visible share of the photo's side
    sketch_zoom: tuple[float, float] = (0.85, 1.4)  # the same of a sketch; above 1 it shrinks
    temperature: float = 0.07  # of the contrast of sketches with photos
    keep: float = 2.0  # weight of the photos' distance to their original features
    smoothing: float = 0.1  # of the names
    words: float = 0.5  # weight of matching the sentence encoder's vectors of the names
    words_temperature: float = 0.06
    words_steps: int = 600  # of fitting the projection to the joint space when the network is finished
    small_per_class: int = 60  # photos of 64 px of a class, for that alone
    vector: int = 384  # width of the vectors by which images are compared
    head_rate: float = 10.0  # how much faster the heads learn than the network


@dataclass(frozen=True)
class WordsRecipe:
    """A small transformer learns a sentence encoder's vectors."""

    schedule: Schedule
    batch: int = 256  # texts
    vocabulary: int = 8192  # tokens
    width: int = 192
    layers: int = 2
    length: int = 24  # tokens of the longest text
    temperature: float = 0.05  # of the contrast between texts


@dataclass(frozen=True)
class DiffusionRecipe:
    """Denoising of VAE latents given text: small latents first; few sketches, as in Stable Diffusion's data."""

    schedule: Schedule
    batch: int = 32
    side: int = 64  # pixels in the first phase
    full_size_after: float = 0.85  # share of the steps
    full_size_batch: int = 16
    sketch_share: float = 0.06
    world_share: float = 0.14
    no_text: float = 0.12  # share of pictures trained with the null prompt
    align: float = 0.5  # weight of alignment with CLIP's dense tokens
    align_side: int = 128  # pixels at which CLIP sees the picture


@dataclass(frozen=True)
class DinoRecipe:
    """Self-distillation on photos: from any crop, the student predicts its moving average's output for a wide one."""

    schedule: Schedule
    batch: int = 64  # photos a step, each in two wide crops and several narrow ones
    sharp_share: float = 0.4  # of the batch from the larger photos; the rest from those of 64 px
    side: int = 32  # pixels of a wide crop in the first phase; a narrow one has half
    full_size_after: float = 0.82  # share of the steps
    narrow: int = 2  # narrow crops of a photo
    wide_zoom: tuple[float, float] = (0.6, 1.0)  # share of the photo's side that a crop sees
    narrow_zoom: tuple[float, float] = (0.35, 0.65)
    prototypes: int = 512
    hidden: int = 512  # width of the projection head, which is not saved
    bottleneck: int = 128
    fixed: float = 0.02  # share of the steps before the prototypes move
    momentum: float = 0.9  # of the teacher at the start; 1 at the end
    student_temperature: float = 0.1
    teacher_temperature: float = 0.012


VAE: dict[Budget, VaeRecipe] = {
    "cpu": VaeRecipe(Schedule(steps=1600, lr=1e-3, weight_decay=0.0, average=0.995)),
    "gpu": VaeRecipe(Schedule(steps=8000, lr=6e-4, weight_decay=0.0, average=0.999, seconds=100), batch=64, crop=96),
}
TOWER: dict[Budget, TowerRecipe] = {
    "cpu": TowerRecipe(Schedule(steps=1000, lr=3e-4, warmup=30, betas=(0.9, 0.98), average=0.99), side=160),
    "gpu": TowerRecipe(
        Schedule(steps=6000, lr=6e-4, warmup=200, average=0.998, seconds=600), side=160, classes=80, sketches=96
    ),
}
WORDS: dict[Budget, WordsRecipe] = {
    "cpu": WordsRecipe(Schedule(steps=1200, lr=1e-3, warmup=60, average=0.99)),
    "gpu": WordsRecipe(Schedule(steps=12_000, lr=1e-3, warmup=200, average=0.998, seconds=300), batch=1024, layers=4),
}
DIFFUSION: dict[Budget, DiffusionRecipe] = {
    "cpu": DiffusionRecipe(Schedule(steps=2800, lr=6e-4, weight_decay=0.01, average=0.998)),
    "gpu": DiffusionRecipe(
        Schedule(steps=12_000, lr=8e-4, weight_decay=0.01, average=0.999, seconds=255),
        batch=512,
        full_size_batch=256,
        full_size_after=0.5,
    ),
}
DINO: dict[Budget, DinoRecipe] = {
    "cpu": DinoRecipe(Schedule(steps=1200, lr=1e-3, warmup=60)),
    "gpu": DinoRecipe(
        Schedule(steps=4000, lr=1e-3, warmup=100, seconds=80),
        batch=384,
        side=48,
        full_size_after=0.6,
        narrow=4,
        prototypes=1024,
        momentum=0.95,
        teacher_temperature=0.015,
    ),
}


Settable = TypeVar("Settable", bound=Any)


def with_settings(recipe: Settable, settings: dict[str, str], within: str = "") -> Settable:
    """Replace settings, `part.key` in a nested recipe; ValueError for an unknown key or impossible value."""
    fields = vars(recipe)
    for key, value in settings.items():
        outer, _, inner = key.partition(".")
        name, full_key = outer.replace("-", "_"), f"{within}{key}"
        part = fields.get(name)
        if part is None or dataclasses.is_dataclass(part) != bool(inner):
            names = (f"{name}.*" if dataclasses.is_dataclass(value) else name for name, value in fields.items())
            raise ValueError(f"{full_key!r} is not a setting; choose from {', '.join(names)}")
        if inner:
            part = with_settings(getattr(recipe, name), {inner: value}, f"{within}{outer}.")
            recipe = dataclasses.replace(recipe, **{name: part})
            continue
        try:
            read = _READ.get(type(part), type(part))(value)
        except (ValueError, KeyError):
            raise ValueError(f"{full_key}={value!r} is not a {type(part).__name__}") from None
        if isinstance(read, float) and not math.isfinite(read):
            raise ValueError(f"'{full_key}={value}' must be a finite number")
        if name in _LEAST and not read >= _LEAST[name]:
            raise ValueError(f"'{full_key}={value}' must be at least {_LEAST[name]}")
        if name in _MOST and not read <= _MOST[name]:
            raise ValueError(f"'{full_key}={value}' must be at most {_MOST[name]}")
        recipe = dataclasses.replace(recipe, **{name: read})
    return recipe


# Limits by name: a setting means the same in every recipe, in the light parts' shape and in the features' weights.
_LEAST: dict[str, float] = {
    **dict.fromkeys(("steps", "accumulate", "batch", "classes", "things", "views"), 1),
    **dict.fromkeys(("per_kind", "world_instances", "grid", "ensemble"), 1),
    **dict.fromkeys(("lr", "weight_decay", "warmup", "patience", "seconds", "validate_every", "validation_batches"), 0),
    **dict.fromkeys(("per_class", "full_per_class"), 0),
    **dict.fromkeys(("warps", "drawn", "aligned", "timestep", "whole", "dense", "dropout", "seed"), 0),
    **dict.fromkeys(("margin", "contrast", "naming", "smoothing", "flow", "absent", "heat", "full_size_after"), 0),
    **dict.fromkeys(("retrieval", "instance_retrieval", "recognition", "correspondence", "segmentation"), 0),
    "width": 4,
    "side": 32,
    "temperature": 1e-3,
}
_MOST: dict[str, float] = {
    "timestep": 999,  # the last one that diffusion models are trained on
    "seed": 10**9,
    "lr": 1,
    **dict.fromkeys(("smoothing", "absent", "full_size_after", "dropout"), 1),
}

_READ: dict[type, Callable[[str], Any]] = {
    bool: lambda value: {"true": True, "false": False}[value.lower()],
    tuple: lambda value: tuple(value.split("+")),
}


def as_text(recipe: Any) -> dict[str, str]:
    """Return every setting of a recipe as text, by the key that `with_settings` takes."""
    found: dict[str, str] = {}
    for name, value in vars(recipe).items():
        inner = as_text(value) if dataclasses.is_dataclass(value) else None
        found |= {name: str(value)} if inner is None else {f"{name}.{key}": of for key, of in inner.items()}
    return found


def changed(before: Any, after: Any) -> list[str]:
    """Return, as key=value, every setting of a recipe that differs from another one."""
    return [f"{name}={value}" for name, value in as_text(after).items() if as_text(before)[name] != value]


def halved(recipe: LightRecipe) -> LightRecipe | None:
    """Return a task's recipe with half the batch and twice as many batches a step; None if it cannot be halved."""
    smaller = _halved(recipe)
    return None if smaller == recipe else dataclasses.replace(smaller, accumulate=2 * recipe.accumulate)


def _halved(recipe: LightRecipe) -> LightRecipe:
    # Of retrieval two: with a single class no photo of a batch is a wrong answer.
    fewest = {"batch": 1, "classes": 2 if isinstance(recipe, RetrievalRecipe) else 1}
    changed: dict[str, Any] = {
        name: _halved(value) if isinstance(value, LightRecipe) else max(min(value, fewest[name]), value // 2)
        for name, value in vars(recipe).items()
        if isinstance(value, LightRecipe) or name in fewest
    }
    return dataclasses.replace(recipe, **changed)


# Settings that may change when a training is resumed: its length, its validation, how often it is saved.
FREE = ("steps", "patience", "seconds", "validate_every", "validation_batches", "checkpoint_seconds")


def shaping(recipe: Any) -> dict[str, str]:
    """Return, as text, the settings that must be the same when a training is resumed."""
    return {key: value for key, value in as_text(recipe).items() if key.rpartition(".")[2] not in FREE}
