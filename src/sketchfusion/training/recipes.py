"""Recipes: every setting of a training, as frozen data. `cpu` is for two cores, `gpu` for one H200."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sketchfusion.training.loop import Schedule

Budget = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class VaeRecipe:
    """Reconstruction on crops; the VAE is convolutional, so crops teach it all that full pictures do."""

    schedule: Schedule
    batch: int = 32
    crop: int = 64  # pixels
    sketch_share: float = 0.15
    kl: float = 1e-6


@dataclass(frozen=True)
class MixtureRecipe:
    """How many pictures of each source make a batch for CLIP and its teacher."""

    shared_classes: int = 16  # classes that photos and sketches share, two photos and two sketches of each
    world_classes: int = 3  # the same of Sketch World
    photos: int = 2  # of each bank of photos
    outlines: int = 8  # photos of each bank, each beside its own pseudo-sketch
    sketches: int = 6


@dataclass(frozen=True)
class TeacherRecipe:
    """A CNN that learns names, and that pictures of one name are alike; on small pictures first."""

    schedule: Schedule
    side: int = 32  # pixels in the first part
    full_size_after: float = 0.84  # share of the steps
    mixture: MixtureRecipe = MixtureRecipe()
    contrast: float = 1.0  # weight of the supervised contrast
    temperature: float = 0.2


@dataclass(frozen=True)
class ClipRecipe:
    """The vision tower follows its teacher and learns names; the text tower learns to meet it."""

    schedule: Schedule
    teacher: TeacherRecipe
    mixture: MixtureRecipe = MixtureRecipe()
    side: int = 48  # pixels in the first part
    full_size_after: float = 0.56  # share of the steps
    follow: float = 1.0  # weight of following the teacher
    naming: float = 1.0  # weight of the classifier's loss


@dataclass(frozen=True)
class DiffusionRecipe:
    """Denoising of VAE latents under text: small latents first, full-size ones after; few sketches, as in SD's data."""

    schedule: Schedule
    teacher: TeacherRecipe
    batch: int = 32
    side: int = 64  # pixels in the first part
    full_size_after: float = 0.85  # share of the steps
    full_size_batch: int = 16
    sketch_share: float = 0.06
    world_share: float = 0.14
    no_text: float = 0.12  # share of pictures trained with the null prompt
    align: float = 0.5  # weight of seeing what the teacher sees


VAE: dict[Budget, VaeRecipe] = {
    "cpu": VaeRecipe(Schedule(steps=1600, lr=1e-3, weight_decay=0.0, average=0.995)),
    "gpu": VaeRecipe(Schedule(steps=12_000, lr=1e-3, weight_decay=0.0), batch=64, crop=96),
}
TEACHER: dict[Budget, TeacherRecipe] = {
    "cpu": TeacherRecipe(Schedule(steps=6400, lr=3e-3, warmup=60, weight_decay=0.03)),
    "gpu": TeacherRecipe(Schedule(steps=12_000, lr=2e-3, warmup=200, weight_decay=0.02)),
}
CLIP: dict[Budget, ClipRecipe] = {
    "cpu": ClipRecipe(Schedule(steps=2450, lr=1e-3, warmup=60, average=0.995), TEACHER["cpu"]),
    "gpu": ClipRecipe(
        Schedule(steps=15_000, lr=1e-3, warmup=500),
        TEACHER["gpu"],
        MixtureRecipe(shared_classes=100, world_classes=24, photos=60, outlines=30, sketches=100),
    ),
}
DIFFUSION: dict[Budget, DiffusionRecipe] = {
    "cpu": DiffusionRecipe(Schedule(steps=2800, lr=6e-4, weight_decay=0.01, average=0.998), TEACHER["cpu"]),
    "gpu": DiffusionRecipe(
        Schedule(steps=25_000, lr=5e-4, weight_decay=0.01), TEACHER["gpu"], batch=512, full_size_batch=256
    ),
}


@dataclass(frozen=True)
class RetrievalRecipe:
    """Light parts for category-level retrieval: triplets across photo and sketch, classes drawn evenly."""

    steps: int = 1000
    lr: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 60
    seed: int = 0
    classes: int = 32  # of a batch, each with one sketch and one photo
    margin: float = 0.3
    contrast: float = 1.0  # weight of the contrast of the batch
    temperature: float = 0.2
    naming: float = 1.0  # weight of the names
    full_size_after: float = 0.88  # share of the steps; before, pictures have half the side
    views: int = 3  # cached views of every picture at half the side; there is one at the full side
    per_class: int = 60  # photos, and sketches, of a class and a source at most

    @property
    def schedule(self) -> Schedule:
        """The schedule of the loop."""
        return Schedule(
            self.steps,
            self.lr,
            self.weight_decay,
            self.warmup,
            seed=self.seed,
            betas=(0.9, 0.99),
        )


Settable = TypeVar("Settable", bound=Any)


def with_settings(recipe: Settable, settings: dict[str, str]) -> Settable:
    """A recipe with some settings replaced; ValueError for a key that it does not have or a value it cannot take."""
    fields = {field.name: type(getattr(recipe, field.name)) for field in dataclasses.fields(recipe)}
    for key, value in settings.items():
        if key not in fields:
            raise ValueError(f"{key!r} is not a setting; choose from {', '.join(fields)}")
        try:
            recipe = dataclasses.replace(recipe, **{key: fields[key](value)})
        except ValueError:
            raise ValueError(f"{key}={value!r} is not a {fields[key].__name__}") from None
    return recipe
