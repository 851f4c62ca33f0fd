"""Training of small CNNs: the baseline from random weights, and the student that a large model teaches.

The baseline learns the names, and by a supervised contrastive loss (Khosla et al., 2020) that pictures of one name,
sketches and photos alike, lie close together. The student learns a teacher's embeddings and the similarities between
them (relational distillation, Park et al., 2019), without names, so any photos and sketches will do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ...baselines.scratch import ScratchBaseline, ScratchConfig, ScratchNet
from ...extractor import Extractor, pick_device
from ..datasets import Dataset
from ..datasets.world import SketchWorld
from . import augment
from .bank import PictureArray, cached, decode, world_banks
from .loop import Losses, Report, Schedule, fit
from .losses import contrast
from .recipes import shaping
from .sources import Sources, collect_photos, collect_sketches

STORED = 96  # pixels at which the baseline's pictures are kept, so that crops stay sharp
WORLD_SIDE = 128  # pixels of Sketch World's pictures for the student


@dataclass(frozen=True)
class ScratchRecipe:
    """Settings of the baseline's training."""

    steps: int = 2500
    lr: float = 2e-3
    classes: int = 32  # of a batch
    per_kind: int = 2  # sketches, and as many photos, of each
    contrast: float = 1.0  # weight of the contrastive loss
    temperature: float = 0.1
    world_instances: int = 100  # of each seen category
    seed: int = 0


@dataclass(frozen=True)
class DistillRecipe:
    """Settings of the student's training."""

    steps: int = 2500
    lr: float = 2e-3
    batch: int = 64  # sketches, and as many photos
    relations: float = 1.0  # weight of the similarities between pictures
    temperature: float = 0.05  # of these similarities
    per_class: int = 60  # pictures of a class and a source at most
    seed: int = 0


def train_scratch(
    data: Sequence[Dataset],
    out: Path,
    recipe: ScratchRecipe | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> dict[str, float]:
    """Train the baseline on Sketch World alone or on other data sets, seen categories only; return the card's figures.

    `ScratchBaseline.load` reads `out`. ValueError if fewer than two names have both sketches and photos.
    """
    recipe = recipe or ScratchRecipe()
    torch.manual_seed(recipe.seed)
    photos, sketches = _photos_and_sketches(data, recipe, out / "training" / "cache")
    names = sorted(set(photos.by_name) & set(sketches.by_name))
    if len(names) < 2:
        raise ValueError(f"{_roots(data)} has too few names that both sketches and photos carry")
    config, device = ScratchConfig(), pick_device()
    net = nn.ModuleDict({"body": ScratchNet(config), "classify": nn.Linear(config.dim, len(names))}).to(device)
    photos, sketches = photos.on(device), sketches.on(device)

    def loss_of(step: int, generator: Generator) -> Losses:
        chosen = torch.randperm(len(names), generator=generator)[: recipe.classes].repeat_interleave(recipe.per_kind)
        wanted = [names[place] for place in chosen.tolist()]
        drawn = augment.photos(photos.draw_named(wanted, generator)[0], config.side, generator)
        drawn = torch.cat([drawn, augment.sketches(sketches.draw_named(wanted, generator)[0], config.side, generator)])
        embeddings, labels = net["body"](drawn), chosen.repeat(2).to(device)
        entropy = F.cross_entropy(net["classify"](F.relu(embeddings)), labels)
        contrastive = contrast(embeddings, labels[:, None] == labels[None, :], recipe.temperature)
        return {"loss": entropy + recipe.contrast * contrastive, "entropy": entropy, "contrast": contrastive}

    settings = shaping(recipe) | {f"class {place}": name for place, name in enumerate(names)}
    fit(net.train(), loss_of, _schedule(recipe), out / "training", resume, report, settings=settings)
    ScratchBaseline(net["body"].cpu(), config).save(out)  # type: ignore[arg-type]
    parameters = sum(p.numel() for p in net["body"].parameters())
    figures = {"parameters": float(parameters), "categories": float(len(names))}
    return _write_card(out, figures, data=[str(of.root) for of in data], recipe=asdict(recipe))


def train_distilled(
    data: Sequence[Dataset],
    out: Path,
    teacher: Extractor,
    recipe: DistillRecipe | None = None,
    resume: bool = False,
    report: Report | None = None,
    cache: Path | None = None,
) -> dict[str, float]:
    """Train a student to embed as `teacher` does, on data sets as `train_task` takes them; `load` reads `out`.

    Returns the mean cosine with the teacher on held-out pictures. ValueError if there are no photos, or no sketches.
    """
    recipe = recipe or DistillRecipe()
    torch.manual_seed(recipe.seed)
    folder = cache or out / "training" / "cache"
    sources = Sources.of(data, folder)
    photos, sketches = _few_of_each_class(sources, recipe.per_class)
    if not photos or not sketches:
        raise ValueError(f"{sources}: a student needs photos and sketches to look at")

    def embedded(banks: list[PictureArray]) -> list[EmbeddedPictures]:
        return [EmbeddedPictures(bank, _vectors(teacher, bank, folder, report)) for bank in banks]

    sides = [embedded(photos), embedded(sketches)]
    config, device = ScratchConfig(dim=teacher.dim), pick_device()
    net = ScratchNet(config).to(device)

    def loss_of(step: int, generator: Generator) -> Losses:
        drawn = [
            source.draw(part, config.side, generator)
            for side in sides
            for source, part in zip(side, _shares(side, recipe.batch), strict=True)
        ]
        pictures, targets = (torch.cat(parts).to(device) for parts in zip(*drawn, strict=True))
        vectors = F.normalize(net(pictures).float(), dim=1)
        followed = 1 - (vectors * targets).sum(1).mean()
        alike = _relations(vectors, targets, recipe.temperature)
        return {"loss": followed + recipe.relations * alike, "followed": followed, "alike": alike}

    frozen, settings = teacher.fingerprint, shaping(recipe)
    fit(net.train(), loss_of, _schedule(recipe), out / "training", resume, report, frozen=frozen, settings=settings)
    student = ScratchBaseline(net.cpu(), config)
    student.save(out)
    held_out = [bank for bank in (sources.held_out_photos(), sources.held_out_sketches()) if len(bank)]
    figures = {
        f"cosine with the teacher, held-out {of.bank.kind}": _mean_cosine(student, of) for of in embedded(held_out)
    }
    names = [str(of.root) for of in data]
    return _write_card(out, figures, data=names, teacher=teacher.fingerprint, recipe=asdict(recipe))


def _schedule(recipe: ScratchRecipe | DistillRecipe) -> Schedule:
    return Schedule(recipe.steps, recipe.lr, warmup=min(100, recipe.steps // 10), seed=recipe.seed)


def _write_card(out: Path, figures: dict[str, float], **card: Any) -> dict[str, float]:
    (out / "card.json").write_text(json.dumps({**card, "figures": figures}, indent=2) + "\n")
    return figures


def _roots(data: Sequence[Dataset]) -> str:
    return ", ".join(str(of.root) for of in data)


def _photos_and_sketches(
    data: Sequence[Dataset], recipe: ScratchRecipe, cache: Path
) -> tuple[PictureArray, PictureArray]:
    worlds = [isinstance(dataset, SketchWorld) for dataset in data]
    if all(worlds):
        return world_banks(recipe.world_instances, STORED, cache)
    if any(worlds):
        raise ValueError("the CNN trains on Sketch World or on folders, not on both at once")
    photos, sketches = collect_photos(data), collect_sketches(data)
    if not photos or not sketches:
        raise ValueError(f"{_roots(data)} needs sketches and photos of seen classes, in Sketchy's layout")
    return decode(photos, "photo", STORED, cache), decode(sketches, "sketch", STORED, cache)


@dataclass(frozen=True)
class EmbeddedPictures:
    """Pictures of one kind with the teacher's embeddings (N, d)."""

    bank: PictureArray
    vectors: Tensor

    def draw(self, count: int, side: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw augmented pictures (count, 3, side, side), and the embeddings (count, d) of the plain ones."""
        index = torch.randint(len(self.bank), (count,), generator=generator).tolist()
        change = augment.sketches if self.bank.kind == "sketch" else augment.photos
        return change(self.bank.take(index), side, generator), self.vectors[index]


def _few_of_each_class(sources: Sources, per_class: int) -> tuple[list[PictureArray], list[PictureArray]]:
    photos, sketches = [sources.sharp_photos(), sources.small_photos()], [sources.sketches()]
    world_photos, world_sketches = sources.of_world(per_class, WORLD_SIDE)
    few = [[bank.named(set(bank.by_name), per_class) for bank in of if len(bank)] for of in (photos, sketches)]
    return few[0] + world_photos, few[1] + world_sketches


def _vectors(teacher: Extractor, bank: PictureArray, folder: Path, report: Report | None) -> Tensor:
    """Return the teacher's embeddings (N, d) of all pictures, from the cache in `folder` if they are there."""

    def encode(pictures: Tensor) -> Tensor:
        return teacher.embed([*pictures.clamp(0, 1)], bank.kind)[:, :, None, None]

    name = f"embedding {teacher.fingerprint} {bank.kind}"
    vectors = cached(bank, encode, name, teacher.side, 1, folder, report)
    return torch.from_numpy(np.array(vectors[:, 0, :, 0, 0], np.float32))


def _shares(sources: list[EmbeddedPictures], batch: int) -> list[int]:
    """Divide a batch among sources in proportion to the square root of their sizes."""
    sizes = torch.tensor([len(source.bank) for source in sources]).double().sqrt()
    ends = (batch * sizes.cumsum(0) / sizes.sum()).round().int()
    return torch.diff(ends, prepend=ends.new_zeros(1)).tolist()


def _relations(vectors: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """KL divergence between the softmax similarities of the student's vectors (B, d) and of the teacher's (B, d)."""
    diagonal = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    student, teacher = (
        F.log_softmax((of @ of.T / temperature).masked_fill(diagonal, -1e4), dim=1) for of in (vectors, targets)
    )
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def _mean_cosine(student: ScratchBaseline, of: EmbeddedPictures) -> float:
    vectors = student.embed([*of.bank.take(list(range(len(of.bank)))).expand(-1, 3, -1, -1)], of.bank.kind)
    return float((vectors * of.vectors).sum(1).mean())
