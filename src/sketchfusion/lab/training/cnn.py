"""Training of the baseline CNN from random weights.

It learns the names, and by a supervised contrastive loss (Khosla et al., 2020) that pictures of one name, sketches and
photos alike, lie close together.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Generator, nn
from torch.nn import functional as F

from ...baselines.scratch import ScratchBaseline, ScratchConfig, ScratchNet
from ...extractor import pick_device
from ..datasets.base import Datasets
from ..datasets.world import SketchWorld
from . import augment
from .bank import Banks, decode, world_banks
from .loop import Losses, Report, Schedule, fit
from .losses import contrast
from .processes import one_process
from .recipes import shaping
from .sources import KINDS, Sources, collect

STORED = 96  # pixels at which the baseline's pictures are kept, so that crops stay sharp


@dataclass(frozen=True)
class ScratchRecipe:
    steps: int = 2500
    lr: float = 2e-3
    classes: int = 32  # of a batch
    per_kind: int = 2  # sketches, and as many photos, of each
    contrast: float = 1.0  # weight of the contrastive loss
    temperature: float = 0.1
    world_instances: int = 100  # of each seen category
    seed: int = 0


def train_scratch(
    data: Datasets, out: Path, recipe: ScratchRecipe, resume: bool = False, report: Report = None
) -> dict[str, float]:
    """Train the baseline on Sketch World alone or on other data sets, seen categories only; return the card's figures.

    `ScratchBaseline.load` reads `out`. ValueError if fewer than two names have both sketches and photos.
    """
    one_process()
    torch.manual_seed(recipe.seed)
    sources = Sources(data, data, out / "training" / "cache", device=pick_device(), stored=STORED)
    photos, sketches = _photos_and_sketches(sources, recipe.world_instances)
    names = sorted(set(photos.by_name) & set(sketches.by_name))
    if len(names) < 2:
        raise ValueError(f"{sources} has too few names that both sketches and photos carry")
    config, device = ScratchConfig(), sources.device
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
    schedule = Schedule(recipe.steps, recipe.lr, warmup=min(100, recipe.steps // 10), seed=recipe.seed)
    fit(net.train(), loss_of, schedule, out / "training", resume, report, settings=settings)
    ScratchBaseline(net["body"].cpu(), config).save(out)  # type: ignore[arg-type]
    parameters = sum(p.numel() for p in net["body"].parameters())
    figures = {"parameters": float(parameters), "categories": float(len(names))}
    card = {"data": [str(of.root) for of in data], "recipe": asdict(recipe), "figures": figures}
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return figures


def _photos_and_sketches(sources: Sources, world_instances: int) -> Banks:
    worlds, cache = [isinstance(dataset, SketchWorld) for dataset in sources.photo_sets], sources.cache
    if all(worlds):
        return world_banks(world_instances, STORED, cache)
    if any(worlds):
        raise ValueError("the CNN trains on Sketch World or on folders, not on both at once")
    photos, sketches = (collect(sources.photo_sets, kind) for kind in KINDS)
    if not photos or not sketches:
        raise ValueError(f"{sources} needs sketches and photos of seen classes, in Sketchy's layout")
    return [decode(photos, "photo", STORED, cache), decode(sketches, "sketch", STORED, cache)]
