"""Training of a student, which reads a fused model's maps off a convolutional CLIP, without a diffusion model.

The teacher is asked once about some thousand augmented pictures; its maps are kept in the cache. The student learns
these maps, their maxima, what the teacher's classifier says of the maxima, and the similarities between the maxima of a
batch (relational distillation, Park et al., 2019). Names are not used, so any photos and sketches will do.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ...backbones.catalog import locate
from ...extractor import Extractor, ModelInput, stack
from ...featuremap import Frame
from ...features import SketchFusion
from ...fusion import kind_indices
from ...io.images import Kind, quantise
from ...io.weights import folder_hash
from ...saved import LinearHead
from ..datasets.base import Datasets
from . import augment
from .bank import PictureArray, kept_rows
from .loop import Losses, Report, Schedule, fit
from .losses import cosines
from .processes import one_process
from .recipes import shaping
from .sources import KINDS, Sources
from .train import TASKS

ASKED = 8  # pictures that the teacher sees at once
MEASURED = 100  # held-out pictures of a kind that teacher and student are compared on


@dataclass(frozen=True)
class DistillRecipe:
    pictures: int = 5000  # that the teacher is asked about once, half of them sketches
    steps: int = 3000
    lr: float = 3e-3
    batch: int = 24  # pictures
    inner: int = 64  # channels inside the student
    relations: float = 0.5  # weight of the similarities between pictures
    temperature: float = 0.05  # of these similarities
    answers: float = 0.2  # weight of what the teacher's classifier says, if it has one
    world_instances: int = 10  # of each seen category of Sketch World
    clip: str = "mini-clip"  # the convolutional CLIP that the student stands on
    seed: int = 0


def train_student(
    data: Datasets,
    out: Path,
    teacher: Extractor,
    recipe: DistillRecipe,
    resume: bool = False,
    report: Report = None,
    cache: Path | None = None,
) -> dict[str, float]:
    """Train a student for each set of light weights of `teacher`; `load` reads `out`.

    Returns the mean cosines of maps and maxima with the teacher's, of held-out pictures. ValueError if the teacher is
    no fused model, or if there are no photos or no sketches.
    """
    one_process()
    torch.manual_seed(recipe.seed)
    if not isinstance(teacher, SketchFusion):
        raise ValueError(f"{teacher.name} has no fused maps to teach; name a fused model, such as mini")
    sources = Sources.of(data, cache or out / "training" / "cache", teacher.side)
    served = [teacher.for_task(task) for task in TASKS if teacher.serves(task)]
    teachers = {of.config.task: of for of in served}
    students = {task: _untrained(of, recipe) for task, of in teachers.items()}
    clip = next(iter(students.values())).clip  # the same for all
    lessons = {kind: _lessons(sources, kind, teachers, recipe, report) for kind in KINDS}

    def loss_of(step: int, generator: Generator) -> Losses:
        inputs, wanted = list[ModelInput](), list[Tensor]()
        for kind, (squares, maps) in lessons.items():
            index = torch.randint(len(squares), (recipe.batch // 2,), generator=generator).numpy()
            inputs += _inputs(squares[index], kind)
            wanted.append(torch.from_numpy(maps[index]))
        with torch.no_grad():
            levels = clip(stack([one.square for one in inputs], teacher.device)).levels
        kinds, losses = kind_indices([one.kind for one in inputs]), {"loss": torch.zeros((), device=teacher.device)}
        for (task, student), target in zip(students.items(), torch.cat(wanted).unbind(1), strict=True):
            found = student.light(levels, kinds)
            with torch.autocast(teacher.device.type, enabled=False):
                parts = _errors(found.float(), target.to(found.device).float(), student.heads.classifier, recipe)
            losses |= {f"{name} of {task}": value for name, value in parts.items()}
            losses["loss"] = losses["loss"] + sum(parts.values())
        return losses

    nets = nn.ModuleDict({task: of.light for task, of in students.items()}).train()
    schedule = Schedule(recipe.steps, recipe.lr, warmup=min(50, recipe.steps // 10), seed=recipe.seed)
    settings = shaping(recipe)
    fit(nets, loss_of, schedule, out / "training", resume, report, frozen=teacher.fingerprint, settings=settings)
    nets.eval()
    for task, of in students.items():
        of.save_pretrained(out / task if len(students) > 1 else out)
    held_out = [bank for bank in (sources.sharp_photos(True), sources.sketches(True)) if len(bank)]
    figures = {
        f"{what} of {task}, held-out {bank.kind}": value
        for bank in held_out
        for task, of in students.items()
        for what, value in _cosines(of, teachers[task], bank).items()
    }
    names = [str(of.root) for of in data]
    card = {"data": names, "teacher": teacher.fingerprint, "recipe": asdict(recipe), "figures": figures}
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return figures


def _lessons(
    sources: Sources, kind: Kind, teachers: Mapping[str, SketchFusion], recipe: DistillRecipe, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Draw half of the recipe's pictures, augmented, and ask the teachers for their maps, or read both from the cache.

    Returns pictures (N, C, S, S) uint8, and maps (N, teachers, d, grid, grid) float16.
    """
    banks = [sources.sharp_photos(), sources.small_photos()] if kind == "photo" else [sources.sketches()]
    banks = [bank for bank in banks if len(bank)]
    banks += sources.of_world(recipe.world_instances, sources.stored)[KINDS.index(kind)]
    if not banks:
        raise ValueError(f"{sources}: a student needs photos and sketches to look at")
    digests = " ".join(bank.digest() for bank in banks)
    prints = " ".join(of.fingerprint for of in teachers.values())
    key = hashlib.sha256(f"{digests} {prints} {recipe.seed}".encode()).hexdigest()[:16]
    count = recipe.pictures // 2

    def drawn() -> Iterator[np.ndarray]:
        for number in range(count):
            generator = torch.Generator().manual_seed(recipe.seed * count + number)
            bank = banks[int(torch.multinomial(sizes, 1, generator=generator))]
            change = augment.sketches if kind == "sketch" else augment.photos
            picture = bank.windows(torch.randint(len(bank), (1,), generator=generator).tolist())
            yield quantise(change(picture, sources.stored, generator)[0])[None]

    def answers() -> Iterator[np.ndarray]:
        for start in range(0, count, ASKED):
            inputs = _inputs(squares[start : start + ASKED], kind)
            with torch.no_grad():
                told = torch.stack([of.forward(inputs).maps for of in teachers.values()], 1)
            if report:
                report(start, count, {})
            yield told.half().cpu().numpy()

    sizes = torch.tensor([len(bank) for bank in banks]).double().sqrt()
    squares = kept_rows(sources.cache / f"taught-{kind}-{count}-{key}.npy", drawn)
    return squares, kept_rows(sources.cache / f"maps-{kind}-{count}-{key}.npy", answers)


def _untrained(teacher: SketchFusion, recipe: DistillRecipe) -> SketchFusion:
    """Make a student with the heads of a teacher, and its weights of CLIP's own features if that is its CLIP too."""
    digest = folder_hash(locate(recipe.clip))
    config = replace(teacher.config, clip=recipe.clip, clip_hash=digest, diffusion="", diffusion_hash="")
    config = replace(config, student=recipe.inner, view="letterbox")  # as its lessons are, whatever the teacher's view
    if digest != teacher.config.clip_hash:
        config = replace(config, clip_layer=None, whole=0.0, dense=0.0, local=False)
    student = SketchFusion.untrained(config=config, device=teacher.device)
    student.heads = teacher.heads
    return student


def _inputs(squares: np.ndarray, kind: Kind) -> list[ModelInput]:
    side = squares.shape[-1]
    frame, pictures = Frame(side, side, side, 1.0, 1.0, 0.0, 0.0), torch.from_numpy(np.array(squares)).float() / 255
    return [ModelInput(square, square, frame, kind) for square in pictures.expand(-1, 3, -1, -1)]


def _errors(maps: Tensor, targets: Tensor, classifier: LinearHead | None, recipe: DistillRecipe) -> Losses:
    """Give how far a student's maps (B, d, h, w) are from its teacher's in every respect, weighted by the recipe."""
    pooled, others = maps.amax((2, 3)), targets.amax((2, 3))
    similar = (  # without the diagonal
        cosines(of, of) / recipe.temperature - 1e4 * torch.eye(len(of), device=of.device) for of in (pooled, others)
    )
    errors = {
        "map": (maps - targets).square().mean() / targets.square().mean(),
        "maxima": 1 - F.cosine_similarity(pooled, others).mean(),
        "relations": recipe.relations * _divergence(*similar),
    }
    if classifier:
        errors["answers"] = recipe.answers * _divergence(classifier(pooled), classifier(others))
    return errors


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence between the softmax of the student's logits (B, N) and of the teacher's, the mean over rows."""
    student, teacher = (F.log_softmax(of, dim=1) for of in (student, teacher))
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


@torch.no_grad()
def _cosines(student: SketchFusion, teacher: SketchFusion, bank: PictureArray) -> dict[str, float]:
    """Give the mean cosines of cells and of maxima of the student's and the teacher's maps."""
    cells, maxima = [], []
    chosen = list(range(0, len(bank), max(1, len(bank) // MEASURED)))
    for start in range(0, len(chosen), 8):
        inputs = _inputs(quantise(bank.windows(chosen[start : start + 8])), bank.kind)
        one, other = student.forward(inputs).maps, teacher.forward(inputs).maps.float()
        cells.append(F.cosine_similarity(one, other).mean((1, 2)))
        maxima.append(F.cosine_similarity(one.amax((2, 3)), other.amax((2, 3))))
    return {"cosine of cells": float(torch.cat(cells).mean()), "cosine of maxima": float(torch.cat(maxima).mean())}
