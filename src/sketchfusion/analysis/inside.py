"""What each part of a fused model sees in a picture: CLIP, the stages of Stable Diffusion by themselves, and both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from ..extractor import as_list
from ..featuremap import FeatureMap
from ..features import SketchFusion
from ..fusion import PHOTO, SKETCH

if TYPE_CHECKING:
    from ..extractor import BatchExtractor, Images
    from ..io.images import Kind


CLIP, FUSED = "CLIP", "fused"


def inside(
    model: BatchExtractor, pictures: Images, kinds: Sequence[Kind], task: str | None = None
) -> list[dict[str, FeatureMap]]:
    """Give for each picture its maps by name: "CLIP", "SD up0" and so on without CLIP's injection, and "fused".

    ValueError for a model that is not fused.
    """
    fused = _fused(model, task)
    fusion, diffusion = fused.config.fusion, fused.model.diffusion
    answers: list[dict[str, FeatureMap]] = []
    for picture, kind in zip(as_list(pictures), kinds, strict=True):
        encoded = fused.encode([picture], kind)
        clean = encoded.latents if encoded.latents.dim() == 4 else encoded.latents[:, 0]
        noise = diffusion.noise((clean.shape[-2], clean.shape[-1]), fusion.noise_seed or 0)
        with torch.no_grad():
            noisy = diffusion.add_noise(clean, noise, fusion.timestep)
            stages = diffusion(noisy, fusion.timestep, fusion.aggregate)
            number = torch.tensor([SKETCH if kind == "sketch" else PHOTO])
            maps = {
                CLIP: encoded.tokens,
                **{f"SD {name}": value for name, value in stages.items()},
                FUSED: fused.model(encoded.latents, encoded.tokens, kinds=number),
            }
        answers.append({name: FeatureMap(value[0].float().cpu(), encoded.frames[0]) for name, value in maps.items()})
    return answers


def branch_weights(model: BatchExtractor, task: str | None = None) -> dict[str, float]:
    """Give the share that each stage has in the fused map; they add up to 1."""
    aggregation = _fused(model, task).model.light.aggregation
    shares = aggregation.branch_weights.detach().softmax(dim=0)
    return dict(zip(aggregation.branches, shares.tolist(), strict=True))


def _fused(model: BatchExtractor, task: str | None) -> SketchFusion:
    found = model.for_task(task)
    if not isinstance(found, SketchFusion):
        raise ValueError(f"{model.name} is not a fused model, so there is nothing to look into; choose mini or another")
    return found
