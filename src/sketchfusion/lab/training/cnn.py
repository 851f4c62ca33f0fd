"""Training the floor: a small CNN on sketches and photos of named things, from random weights.

Cross-entropy over the names and supervised contrast (Khosla et al., 2020) between all pictures of a batch, sketches
and photos alike, so that both kinds of the same thing come together.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ...baselines.scratch import ScratchBaseline, ScratchConfig, ScratchNet
from ...extractor import Extractor, pick_device
from ...io.images import Kind
from . import augment
from .bank import PictureArray, cached, decode, world_banks
from .collect import collect_photos, collect_sketches
from .loop import Losses, Report, Schedule, fit
from .losses import contrast
from .recipes import shaping
from .sources import Roots

STORED = 96  # pixels at which pictures are kept, so that crops stay sharp


@dataclass(frozen=True)
class ScratchRecipe:
    """How the floor is trained."""

    steps: int = 2500
    lr: float = 2e-3
    classes: int = 32  # of a batch
    per_kind: int = 2  # sketches, and as many photos, of each
    contrast: float = 1.0  # weight of the supervised contrast
    temperature: float = 0.1
    world_instances: int = 100  # of each seen category
    seed: int = 0


def train_scratch(
    data: list[str],
    out: Path,
    recipe: ScratchRecipe | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> dict[str, float]:
    """Train on Sketch World (["world"]) or roots of sketches and photos; `ScratchBaseline.load` reads what it leaves.

    Only seen categories are drawn. ValueError if the data have fewer than two names common to both kinds.
    """
    recipe = recipe or ScratchRecipe()
    torch.manual_seed(recipe.seed)
    photos, sketches = _banks(data, recipe, out / "training" / "cache")
    names = sorted(set(photos.by_name) & set(sketches.by_name))
    if len(names) < 2:
        raise ValueError(f"{', '.join(data)} has too few names that both sketches and photos carry")
    config = ScratchConfig()
    device = pick_device()
    net = nn.ModuleDict({"body": ScratchNet(config), "classify": nn.Linear(config.dim, len(names))}).to(device)
    photos, sketches = photos.on(device), sketches.on(device)

    def loss_of(step: int, generator: Generator) -> Losses:
        picked = torch.randperm(len(names), generator=generator)[: recipe.classes].repeat_interleave(recipe.per_kind)
        wanted = [names[place] for place in picked.tolist()]
        squares = torch.cat(
            [
                augment.photos(photos.draw_named(wanted, generator)[0], config.side, generator),
                augment.sketches(sketches.draw_named(wanted, generator)[0], config.side, generator),
            ]
        )
        embeddings, labels = net["body"](squares), picked.repeat(2).to(device)
        entropy = F.cross_entropy(net["classify"](F.relu(embeddings)), labels)
        alike = contrast(embeddings, labels[:, None] == labels[None, :], recipe.temperature)
        return {"loss": entropy + recipe.contrast * alike, "entropy": entropy, "contrast": alike}

    settings = shaping(recipe) | {f"class {place}": name for place, name in enumerate(names)}
    schedule = Schedule(recipe.steps, recipe.lr, warmup=min(100, recipe.steps // 10), seed=recipe.seed)
    net.train()
    # The moving average lags behind the running statistics of the batch norms; the last weights go with them.
    fit(net, loss_of, schedule, out / "training", resume, report, settings=settings)
    ScratchBaseline(net["body"].cpu(), config).save(out)  # type: ignore[arg-type]
    parameters = sum(p.numel() for p in net["body"].parameters())
    figures = {"parameters": float(parameters), "categories": float(len(names))}
    card = {"data": data, "recipe": asdict(recipe), "figures": figures}
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return figures


def _banks(data: list[str], recipe: ScratchRecipe, cache: Path) -> tuple[PictureArray, PictureArray]:
    if data == ["world"]:
        return world_banks(recipe.world_instances, STORED, cache)
    if "world" in data:
        raise ValueError("the CNN trains on Sketch World or on folders, not on both at once")
    roots = [Path(root) for root in data]
    photos, sketches = collect_photos(roots), collect_sketches(roots)
    if not photos or not sketches:
        raise ValueError(f"{', '.join(data)} needs sketches and photos of seen classes, in Sketchy's layout")
    return decode(photos, "photo", STORED, cache), decode(sketches, "sketch", STORED, cache)


# A small CNN taught to embed as a large model does: for galleries where speed counts more than the last point of mAP.
#
# It follows the vector of every picture, and which pictures of a batch are alike (relational distillation, Park et
# al.,
# 2019). No name is looked at, so any photos and sketches will do.


WORLD_SIDE = 128  # pixels


@dataclass(frozen=True)
class DistillRecipe:
    """How the student is taught."""

    steps: int = 2500
    lr: float = 2e-3
    batch: int = 64  # sketches, and as many photos
    relations: float = 1.0  # weight of which pictures are alike
    temperature: float = 0.05  # of being alike
    per_class: int = 60  # pictures of a class and a source at most
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """Pictures of one kind and what the teacher makes of them, (N, d)."""

    bank: PictureArray
    vectors: Tensor

    def draw(self, count: int, side: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Augmented pictures (count, 3, side, side), and the teacher's vectors of them as they are."""
        index = torch.randint(len(self.bank), (count,), generator=generator).tolist()
        change = augment.sketches if self.bank.kind == "sketch" else augment.photos
        return change(self.bank.take(index), side, generator), self.vectors[index]


def train_distilled(
    data: list[str],
    out: Path,
    teacher: Extractor,
    recipe: DistillRecipe | None = None,
    resume: bool = False,
    report: Report | None = None,
    cache: Path | None = None,
) -> dict[str, float]:
    """Teach a student the embeddings of `teacher` on "world" or on roots as `train_task` takes them.

    `load` reads what it leaves in `out`. Returns the mean cosine with the teacher on pictures that were not drawn in
    training, where the data have any. ValueError if there are no photos, or no sketches.
    """
    recipe = recipe or DistillRecipe()
    torch.manual_seed(recipe.seed)
    folder = cache or out / "training" / "cache"
    roots = Roots.of(data, folder)
    photos, sketches = _distill_banks(roots, recipe.per_class)
    if not photos or not sketches:
        raise ValueError(f"{roots}: a student needs photos and sketches to look at")

    def taught(banks: list[PictureArray]) -> list[Lesson]:
        return [Lesson(bank, _vectors(teacher, bank, folder, report)) for bank in banks]

    lessons = [taught(photos), taught(sketches)]
    config, device = ScratchConfig(dim=teacher.dim), pick_device()
    net = ScratchNet(config).to(device)

    def loss_of(step: int, generator: Generator) -> Losses:
        drawn = [
            lesson.draw(part, config.side, generator)
            for side in lessons
            for lesson, part in zip(side, _shares(side, recipe.batch), strict=True)
        ]
        pictures, wanted = (torch.cat(parts).to(device) for parts in zip(*drawn, strict=True))
        answers = F.normalize(net(pictures).float(), dim=1)
        followed = 1 - (answers * wanted).sum(1).mean()
        alike = _relations(answers, wanted, recipe.temperature)
        return {"loss": followed + recipe.relations * alike, "followed": followed, "alike": alike}

    schedule = Schedule(recipe.steps, recipe.lr, warmup=min(100, recipe.steps // 10), seed=recipe.seed)
    net.train()
    # The moving average lags behind the running statistics of the batch norms; the last weights go with them.
    fit(net, loss_of, schedule, out / "training", resume, report, frozen=teacher.fingerprint, settings=shaping(recipe))
    student = ScratchBaseline(net.cpu(), config)
    student.save(out)
    figures = {
        f"cosine with the teacher, held-out {bank.kind}": _likeness(student, lesson)
        for bank in (roots.sources.held_out_photos(), roots.sources.held_out_sketches())
        if len(bank)
        for lesson in taught([bank])
    }
    card = {"data": data, "teacher": teacher.fingerprint, "recipe": asdict(recipe), "figures": figures}
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return figures


def _distill_banks(roots: Roots, per_class: int) -> tuple[list[PictureArray], list[PictureArray]]:
    photos = [roots.sources.sharp_photos(), roots.sources.small_photos()]
    sketches = [roots.sources.sketches()]
    few = [[bank.named(set(bank.by_name), per_class) for bank in of if len(bank)] for of in (photos, sketches)]
    if roots.world:
        for of, bank in zip(few, world_banks(per_class, WORLD_SIDE, roots.cache), strict=True):
            of.append(bank)
    return few[0], few[1]


def _vectors(teacher: Extractor, bank: PictureArray, folder: Path, report: Report | None) -> Tensor:
    kind: Kind = bank.kind
    ask: Callable[[Tensor], Tensor] = lambda seen: teacher.embed([*seen.clamp(0, 1)], kind)[:, :, None, None]  # noqa: E731
    progress = (lambda done, total: report(done, total, {})) if report else None
    said = cached(bank, ask, f"embedding {teacher.fingerprint} {kind}", teacher.side, 1, folder, progress)
    return torch.from_numpy(np.array(said[:, 0, :, 0, 0], np.float32))


def _shares(lessons: list[Lesson], batch: int) -> list[int]:
    """How many of a batch come of each, in proportion to the root of how many there are."""
    sizes = torch.tensor([len(lesson.bank) for lesson in lessons]).double().sqrt()
    ends = (batch * sizes.cumsum(0) / sizes.sum()).round().int()
    return torch.diff(ends, prepend=ends.new_zeros(1)).tolist()


def _relations(answers: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """How far the student's likenesses in a batch, as shares of each row, are from the teacher's."""
    itself = torch.eye(len(answers), dtype=torch.bool, device=answers.device)
    mine, theirs = (
        F.log_softmax((of @ of.T / temperature).masked_fill(itself, -1e4), dim=1) for of in (answers, wanted)
    )
    return F.kl_div(mine, theirs, reduction="batchmean", log_target=True)


def _likeness(student: ScratchBaseline, lesson: Lesson) -> float:
    mine = student.embed([*lesson.bank.take(list(range(len(lesson.bank)))).expand(-1, 3, -1, -1)], lesson.bank.kind)
    return float((mine * lesson.vectors).sum(1).mean())
