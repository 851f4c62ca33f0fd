"""Words guide how a sketch is seen: a caption in place of the null or learned prompt (SD-PL, sketch+text retrieval)."""

from __future__ import annotations

from copy import copy

from torch import Tensor

from sketchfusion.backbones.catalog import locate
from sketchfusion.backbones.folders import embed_prompt
from sketchfusion.baselines.sd_pl import SdPlBaseline
from sketchfusion.extractor import BatchExtractor
from sketchfusion.features import SketchFusion


def prompted(model: BatchExtractor, text: str) -> BatchExtractor:
    """Give the model as it sees pictures under a prompt; all weights are shared, and `model` itself stays as it is.

    Its features are meant to be compared with those under the null prompt, or under SD-PL's learned one, so the
    fingerprint is the same. ValueError for a model without a diffusion model to be guided.
    """
    if isinstance(model, SdPlBaseline):
        guided = copy(model)
        guided.caption = _read(model.config.diffusion, text)
        return guided
    if not isinstance(model, SketchFusion):
        raise ValueError(f"{model.name} has no prompt to be guided by; choose a fused model, or SD-PL")
    other = SketchFusion(model.model.diffusion, model.clip, model.config, model.name)
    other.model.light = model.model.light
    other.model.prompt = _read(model.config.diffusion, text)
    return other.to(model.device)


def _read(diffusion: str, text: str) -> Tensor:
    return embed_prompt(locate(diffusion), " ".join(text.split()))
