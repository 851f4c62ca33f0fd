"""Recipes of the light parts: every setting of a task's training, as frozen data for two cores."""

from __future__ import annotations

from dataclasses import dataclass

from .loop import Schedule


@dataclass(frozen=True)
class LightRecipe:
    """What all tasks have in common."""

    steps: int = 1000
    lr: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 60
    seed: int = 0
    accumulate: int = 1  # batches of a step
    validate_every: int = 100  # steps
    validation_batches: int = 4
    patience: int = 0  # validations without a better one before training stops; 0 is no limit
    seconds: float = 0.0  # steps are left out, evenly, where they would take longer in all; 0 is no limit
    full_size_after: float = 0.88  # share of the steps; before, pictures have half the side

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
            accumulate=self.accumulate,
            validate_every=self.validate_every,
            patience=self.patience,
            seconds=self.seconds,
        )


@dataclass(frozen=True)
class RetrievalRecipe(LightRecipe):
    """Triplets across photo and sketch, classes drawn evenly."""

    classes: int = 32  # of a batch, each with one sketch and one photo
    margin: float = 0.3
    contrast: float = 1.0  # weight of the contrast of the batch
    temperature: float = 0.2
    naming: float = 1.0  # weight of the names
    views: int = 4  # cached views of every picture at half the side; there is one at the full side
    per_class: int = 60  # photos, and sketches, of a class and a source at most
    full_per_class: int = 25  # the same at the full side


@dataclass(frozen=True)
class InstanceRetrievalRecipe(LightRecipe):
    """Hard triplets: the wrong photo is another one of the same class."""

    steps: int = 800
    classes: int = 8  # of a batch
    things: int = 4  # of each class, each with one sketch and one photo
    margin: float = 0.2
    contrast: float = 1.0  # weight of telling a thing from all others of the batch
    temperature: float = 0.1
    views: int = 3  # as above
    per_class: int = 30  # things of a class from Sketch World


@dataclass(frozen=True)
class RecognitionRecipe(LightRecipe):
    """Cross-entropy over the names."""

    steps: int = 800
    batch: int = 64  # sketches, names drawn evenly
    smoothing: float = 0.1  # of the labels
    views: int = 3  # as above
    per_class: int = 60  # sketches of a class and a source at most


@dataclass(frozen=True)
class CorrespondenceRecipe(LightRecipe):
    """Contrast of paired points, and the end-point error of the flow between the maps."""

    steps: int = 700
    batch: int = 24  # pairs of a sketch and a photo
    temperature: float = 0.05  # of the contrast, and of the soft-argmax
    flow: float = 5.0  # weight of the end-point error, which is counted in sides of the picture
    things: int = 60  # of each category of Sketch World
    warps: int = 3000  # photos of the folders that are paired with their own warped outlines
    drawn: int = 12  # photos of a name in the folders that a hand of Sketch World draws
    aligned: int = 3000  # sketches of the folders that lie over their photos


@dataclass(frozen=True)
class SegmentationRecipe(LightRecipe):
    """Cross-entropy of every pixel through a learned threshold on the cosine."""

    steps: int = 700
    batch: int = 24  # photos, each with a sketch
    absent: float = 0.25  # share of photos whose sketch shows something else, so that nothing is to be found
    threshold: float = 0.2  # at the start, as is
    temperature: float = 0.1
    things: int = 60  # of each category of Sketch World
    per_class: int = 60  # sketches of a class and a source at most


@dataclass(frozen=True)
class Weights:
    """What each task's loss counts in the sum."""

    retrieval: float = 1.0
    instance_retrieval: float = 0.2
    recognition: float = 1.0
    correspondence: float = 2.0
    segmentation: float = 2.0


@dataclass(frozen=True)
class UniversalRecipe(LightRecipe):
    """All five at once: a step takes a small batch of each; `retrieval.classes` and so on set their own."""

    steps: int = 600
    full_size_after: float = 0.9
    retrieval: RetrievalRecipe = RetrievalRecipe(classes=16)
    instance_retrieval: InstanceRetrievalRecipe = InstanceRetrievalRecipe(classes=4)
    recognition: RecognitionRecipe = RecognitionRecipe(batch=16)
    correspondence: CorrespondenceRecipe = CorrespondenceRecipe(batch=8)
    segmentation: SegmentationRecipe = SegmentationRecipe(batch=8)
    weights: Weights = Weights()
