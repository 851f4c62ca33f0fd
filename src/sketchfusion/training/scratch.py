"""Training the floor: a small CNN on sketches and photos of named things, from random weights.

Cross-entropy over the names and supervised contrast (Khosla et al., 2020) between all pictures of a batch, sketches
and photos alike, so that both kinds of the same thing come together.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Generator, nn
from torch.nn import functional as F

from ..baselines.scratch import ScratchBaseline, ScratchConfig, ScratchNet
from ..extractor import pick_device
from . import augment
from .bank import Bank, decode, world_banks
from .collect import collect_photos, collect_sketches
from .loop import Losses, Report, Schedule, fit
from .losses import contrast
from .settings import shaping

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


def _banks(data: list[str], recipe: ScratchRecipe, cache: Path) -> tuple[Bank, Bank]:
    if data == ["world"]:
        return world_banks(recipe.world_instances, STORED, cache)
    if "world" in data:
        raise ValueError("the CNN trains on Sketch World or on folders, not on both at once")
    roots = [Path(root) for root in data]
    photos, sketches = collect_photos(roots), collect_sketches(roots)
    if not photos or not sketches:
        raise ValueError(f"{', '.join(data)} needs sketches and photos of seen classes, in Sketchy's layout")
    return decode(photos, "photo", STORED, cache), decode(sketches, "sketch", STORED, cache)
