"""Light parts for category-level retrieval (paper section 6.1): triplets on globally max-pooled fused maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

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
    convolutions, have little to learn anew for the full size. To the paper's triplets comes a contrast of the batch,
    which hears every wrong picture at once.
    """
    shared = sorted(set(full.photos.by_name) & set(full.sketches.by_name))
    fusion.light.aggregation.start_sparse()
    full_size = recipe.full_size_after * recipe.steps

    def loss_of(step: int, generator: Generator) -> Losses:
        pairs, grid = (small, fusion.config.grid // 2) if step < full_size else (full, fusion.config.grid)
        chosen = torch.randperm(len(shared), generator=generator)[: recipe.classes]
        wanted = [shared[c] for c in chosen.tolist()]
        drawn = [side.draw_named(wanted, generator) for side in (pairs.sketches, pairs.photos)]
        latents, tokens = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        pooled: Tensor = fusion(latents, tokens, grid=grid).amax((2, 3))
        of_sketches, of_photos = torch.split(pooled, len(wanted))
        triplets = triplet(of_sketches, of_photos, chosen, chosen, recipe.margin)
        labels = chosen.repeat(2)
        alike = contrast(pooled, labels[:, None] == labels[None, :], recipe.temperature)
        return {"loss": triplets + recipe.contrast * alike, "triplet": triplets, "contrast": alike}

    average = fit(fusion.light, loss_of, recipe.schedule, out, resume, report)
    fusion.light.load_state_dict({**fusion.light.state_dict(), **average})
