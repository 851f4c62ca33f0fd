"""Recipes of pretraining: every setting, as frozen data. `cpu` is for two cores, `gpu` for one H200."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .loop import Schedule

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
class DecoderRecipe:
    """Reconstruction of whole pictures by the VAE's decoder alone."""

    schedule: Schedule
    batch: int = 8
    sketch_share: float = 0.125


@dataclass(frozen=True)
class MixtureRecipe:
    """How many pictures of each source make a batch for CLIP and its teacher."""

    shared_classes: int = 16  # classes that photos and sketches share, two photos and two sketches of each
    world_classes: int = 3  # the same of Sketch World
    photos: int = 2  # of each bank of photos
    outlines: int = 8  # photos of each bank, each beside its own outline
    drawn: int = 6  # photos of each bank, each beside its own pseudo-sketch
    sketches: int = 6


@dataclass(frozen=True)
class TeacherRecipe:
    """A CNN that learns names, and that pictures of one name are alike; on small pictures first."""

    schedule: Schedule
    widths: tuple[int, ...] = (32, 64, 128, 192)  # channels of its stages
    depth: int = 1  # blocks of a stage
    side: int = 32  # pixels in the first part
    full_side: int = 64  # pixels in the second
    full_size_after: float = 0.5  # share of the steps
    mixture: MixtureRecipe = MixtureRecipe()
    full_size_mixture: MixtureRecipe = MixtureRecipe(shared_classes=32, outlines=2)  # what photos and sketches share
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


@dataclass(frozen=True)
class DinoRecipe:
    """Self-distillation on photos: the student matches, from any crop, what its moving average sees in a wide one."""

    schedule: Schedule
    batch: int = 64  # photos a step, each in two wide crops and several narrow ones
    sharp_share: float = 0.4  # of the batch from the larger photos; the rest from those of 64 px
    side: int = 32  # pixels of a wide crop in the first part; a narrow one has half
    full_size_after: float = 0.82  # share of the steps
    narrow: int = 2  # narrow crops of a photo
    wide_zoom: tuple[float, float] = (0.6, 1.0)  # share of the photo's side that a crop sees
    narrow_zoom: tuple[float, float] = (0.35, 0.65)
    prototypes: int = 512
    hidden: int = 512  # width of the projection head, which is left behind
    bottleneck: int = 128
    fixed: float = 0.02  # share of the steps before the prototypes move
    momentum: float = 0.9  # of the teacher at the start; 1 at the end
    student_temperature: float = 0.1
    teacher_temperature: float = 0.012


VAE: dict[Budget, VaeRecipe] = {
    "cpu": VaeRecipe(Schedule(steps=1600, lr=1e-3, weight_decay=0.0, average=0.995)),
    "gpu": VaeRecipe(Schedule(steps=8000, lr=6e-4, weight_decay=0.0, seconds=100), batch=64, crop=96),
}
DECODER: dict[Budget, DecoderRecipe] = {
    "cpu": DecoderRecipe(Schedule(steps=1200, lr=3e-4, warmup=30, weight_decay=0.0, average=0.99)),
    "gpu": DecoderRecipe(Schedule(steps=4000, lr=3e-4, weight_decay=0.0, average=0.995, seconds=80), batch=48),
}
TEACHER: dict[Budget, TeacherRecipe] = {
    "cpu": TeacherRecipe(Schedule(steps=10_000, lr=3e-3, warmup=60, weight_decay=0.03, bf16=True)),
    "gpu": TeacherRecipe(
        Schedule(steps=6000, lr=3e-3, warmup=100, weight_decay=0.05, seconds=170),
        widths=(64, 128, 256, 384),
        depth=2,
        side=48,
        full_side=96,
        mixture=MixtureRecipe(shared_classes=80, world_classes=12, photos=16, outlines=24, drawn=24, sketches=32),
        full_size_mixture=MixtureRecipe(
            shared_classes=128, world_classes=12, photos=8, outlines=8, drawn=24, sketches=24
        ),
    ),
}
CLIP: dict[Budget, ClipRecipe] = {
    "cpu": ClipRecipe(Schedule(steps=5000, lr=1e-3, warmup=60, average=0.995, bf16=True), TEACHER["cpu"]),
    "gpu": ClipRecipe(
        Schedule(steps=8000, lr=1.5e-3, warmup=200, average=0.998, seconds=250),
        TEACHER["gpu"],
        MixtureRecipe(shared_classes=112, world_classes=12, photos=16, outlines=12, drawn=24, sketches=32),
        full_size_after=0.4,
    ),
}
DIFFUSION: dict[Budget, DiffusionRecipe] = {
    "cpu": DiffusionRecipe(Schedule(steps=2800, lr=6e-4, weight_decay=0.01, average=0.998), TEACHER["cpu"]),
    "gpu": DiffusionRecipe(
        Schedule(steps=12_000, lr=8e-4, weight_decay=0.01, seconds=255),
        TEACHER["gpu"],
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
