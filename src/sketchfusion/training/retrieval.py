"""Light parts for category-level retrieval (paper section 6.1): triplets on globally max-pooled fused maps."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from sketchfusion.fusion.model import FusionModel
from sketchfusion.training.cache import Cache
from sketchfusion.training.loop import Losses, Report, fit
from sketchfusion.training.losses import triplet
from sketchfusion.training.recipes import RetrievalRecipe


def train_retrieval(
    fusion: FusionModel,
    photos: Cache,
    sketches: Cache,
    recipe: RetrievalRecipe,
    out: Path,
    resume: bool = False,
    report: Report | None = None,
) -> None:
    """Train the light parts of `fusion` in place; every class that has both photos and sketches is drawn evenly."""
    shared = sorted(set(photos.by_name) & set(sketches.by_name))

    def loss_of(step: int, generator: Generator) -> Losses:
        chosen = torch.randperm(len(shared), generator=generator)[: recipe.classes]
        wanted = [shared[c] for c in chosen.tolist()]
        drawn = [side.draw_named(wanted, generator) for side in (sketches, photos)]
        latents, tokens = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        pooled: Tensor = fusion(latents, tokens).amax((2, 3))
        of_sketches, of_photos = torch.split(pooled, len(wanted))
        return {"loss": triplet(of_sketches, of_photos, chosen, chosen, recipe.margin)}

    average = fit(fusion.light, loss_of, recipe.schedule, out, resume, report)
    fusion.light.load_state_dict({**fusion.light.state_dict(), **average})
