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
class ClipRecipe:
    """Image-text contrast: most steps on small pictures, the last ones at full size."""

    schedule: Schedule
    side: int = 48  # pixels in the first part
    full_size_after: float = 0.9  # share of the steps
    shared_classes: int = 7  # classes of a batch drawn with two photos and two sketches each
    sketches: int = 8
    outlines: int = 2
    world: int = 11  # photos, and as many sketches
    small_photos: int = 4
    naming: float = 1.0  # weight of the classifier's loss


@dataclass(frozen=True)
class DiffusionRecipe:
    """Denoising of VAE latents under text: small latents first, full-size ones after; few sketches, as in SD's data."""

    schedule: Schedule
    batch: int = 32
    side: int = 64  # pixels in the first part
    full_size_after: float = 0.75  # share of the steps
    full_size_batch: int = 16
    sketch_share: float = 0.06
    world_share: float = 0.14
    no_text: float = 0.12  # share of pictures trained with the null prompt


VAE: dict[Budget, VaeRecipe] = {
    "cpu": VaeRecipe(Schedule(steps=1150, lr=1e-3, weight_decay=0.0, average=0.995)),
    "gpu": VaeRecipe(Schedule(steps=12_000, lr=1e-3, weight_decay=0.0), batch=64, crop=96),
}
CLIP: dict[Budget, ClipRecipe] = {
    "cpu": ClipRecipe(Schedule(steps=3000, lr=5e-4, warmup=60, average=0.995)),
    "gpu": ClipRecipe(
        Schedule(steps=15_000, lr=1e-3, warmup=500),
        shared_classes=128,
        sketches=128,
        outlines=64,
        world=64,
        small_photos=256,
    ),
}
DIFFUSION: dict[Budget, DiffusionRecipe] = {
    "cpu": DiffusionRecipe(Schedule(steps=1300, lr=6e-4, weight_decay=0.01, average=0.998)),
    "gpu": DiffusionRecipe(Schedule(steps=25_000, lr=5e-4, weight_decay=0.01), batch=512, full_size_batch=256),
}


@dataclass(frozen=True)
class RetrievalRecipe:
    """Light parts for category-level retrieval: triplets across photo and sketch, classes drawn evenly."""

    steps: int = 400
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 40
    seed: int = 0
    classes: int = 24  # of a batch, each with one sketch and one photo
    margin: float = 0.3
    views: int = 2  # cached views of every picture

    @property
    def schedule(self) -> Schedule:
        """The schedule of the loop."""
        return Schedule(
            self.steps,
            self.lr,
            self.weight_decay,
            self.warmup,
            average=0.99,
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
