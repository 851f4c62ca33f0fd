"""Words guide how a sketch is seen: a caption in place of the null prompt (SD-PL, sketch+text retrieval)."""

from __future__ import annotations

from sketchfusion.backbones.catalog import locate
from sketchfusion.backbones.folders import embed_prompt
from sketchfusion.extractor import BatchExtractor
from sketchfusion.features import SketchFusion


def prompted(model: BatchExtractor, text: str) -> SketchFusion:
    """Give the model as it sees pictures under a prompt; all weights are shared, and `model` itself stays as it is.

    Its features are meant to be compared with those under the null prompt, so the fingerprint is the same. ValueError
    for a model without a diffusion model to be guided.
    """
    if not isinstance(model, SketchFusion):
        raise ValueError(f"{model.name} has no prompt to be guided by; choose a fused model")
    other = SketchFusion(model.model.diffusion, model.clip, model.config, model.name)
    other.model.light = model.model.light
    other.model.prompt = embed_prompt(locate(model.config.diffusion), " ".join(text.split()))
    return other.to(model.device)
