"""Light parts for category-level retrieval (paper section 6.1): triplets on globally max-pooled fused maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from sketchfusion.fusion.centring import PHOTO, SKETCH
from sketchfusion.fusion.model import FusionModel
from sketchfusion.training.cache import Cache
from sketchfusion.training.loop import Losses, Report, fit
from sketchfusion.training.losses import contrast, triplet
from sketchfusion.training.recipes import RetrievalRecipe


@dataclass(frozen=True)
class Pairs:
    """What the frozen models say of photos and of sketches at one size."""

    photos: Cache
    sketches: Cache


def train_retrieval(
    fusion: FusionModel,
    small: Pairs,
    full: Pairs,
    recipe: RetrievalRecipe,
    out: Path,
    resume: bool = False,
    report: Report | None = None,
) -> None:
    """Train the light parts of `fusion` in place; every class that has both photos and sketches is drawn evenly.

    The first part sees pictures of half the side on half the grid: a quarter of the work, and the light parts, being
    convolutions, have little to learn anew for the full size. Beside the paper's triplets there are a contrast of the
    batch, which hears every wrong picture at once, and the names. All three see the pooled features normalised by
    channel over the batch's sketches and over its photos; at the end the light parts' centring takes that over.
    """
    shared = sorted(set(full.photos.by_name) & set(full.sketches.by_name))
    width, device = fusion.config.width, next(fusion.parameters()).device
    necks = [nn.BatchNorm1d(width, affine=False) for _ in (PHOTO, SKETCH)]
    naming = nn.Linear(width, len(shared))
    nn.init.zeros_(naming.weight)
    trained = nn.ModuleDict({"light": fusion.light, "necks": nn.ModuleList(necks), "naming": naming}).to(device)
    full_size = recipe.full_size_after * recipe.steps

    def loss_of(step: int, generator: Generator) -> Losses:
        pairs, grid = (small, fusion.config.grid // 2) if step < full_size else (full, fusion.config.grid)
        chosen = torch.randperm(len(shared), generator=generator)[: recipe.classes]
        wanted = [shared[c] for c in chosen.tolist()]
        drawn = [side.draw_named(wanted, generator) for side in (pairs.sketches, pairs.photos)]
        latents, tokens = (torch.cat(parts).to(device) for parts in zip(*drawn, strict=True))
        of_sketches, of_photos = torch.split(fusion(latents, tokens, grid=grid).amax((2, 3)), len(wanted))
        of_sketches, of_photos = necks[SKETCH](of_sketches), necks[PHOTO](of_photos)
        chosen = chosen.to(device)
        triplets = triplet(of_sketches, of_photos, chosen, chosen, recipe.margin)
        pooled, labels = torch.cat([of_sketches, of_photos]), chosen.repeat(2)
        alike = contrast(pooled, labels[:, None] == labels[None, :], recipe.temperature)
        named = F.cross_entropy(naming(pooled), labels)
        loss = triplets + recipe.contrast * alike + recipe.naming * named
        return {"loss": loss, "triplet": triplets, "contrast": alike, "naming": named}

    # The moving average lags behind the running statistics of the batch norms; the last weights go with them.
    fit(trained.train(), loss_of, recipe.schedule, out, resume, report)
    for kind, neck in enumerate(necks):
        mean, variance = cast(Tensor, neck.running_mean), cast(Tensor, neck.running_var)
        fusion.light.centring.settle(kind, mean, (variance + neck.eps).sqrt())
