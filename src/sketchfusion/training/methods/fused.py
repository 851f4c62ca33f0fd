"""SketchFusion: light parts between a frozen diffusion model and a frozen CLIP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from torch import Tensor

from ...features import SketchFusion, read_light, seen_by
from ...saved import UNIVERSAL
from ..cache import Encode
from ..settings import with_settings
from .base import Method, Said, latents_of
from .pair import pair_of

FUSION = "fusion."
BESIDE = ("whole", "quarters")  # weights of what stands beside the maps' maxima in embeddings
# Of CLIP's own vector in the embeddings of these tasks; 0 is the paper's.
WHOLE = {"retrieval": 1.0, "recognition": 1.0, UNIVERSAL: 1.0}


class Fused(Method[SketchFusion]):
    """Latents and CLIP tokens are kept.

    Settings of its own: the light parts' shape, what is in CLIP's place, and what embeddings have beside the maximum.
    """

    own = (FUSION, "clip", *BESIDE)

    def __init__(self, model: SketchFusion) -> None:
        """Train the light parts of a model."""
        config = model.config
        self.model, self.trained, self.centring = model, model.model.light, model.model.light.centring
        self.origin = f"{config.diffusion_hash[:12]} and {config.clip_hash[:12]}"

    @classmethod
    def begin(cls, model: str, task: str, own: Mapping[str, str], start: Path | None) -> Self:
        """Make new light parts, or those of the folder `start`."""
        shape = {key.removeprefix(FUSION): value for key, value in own.items() if key.startswith(FUSION)}
        config = pair_of(model, task)
        config = replace(config, fusion=with_settings(config.fusion, shape), whole=WHOLE.get(task, 0.0))
        if "clip" in own:
            config = seen_by(config, own["clip"])
        config = with_settings(config, {name: own[name] for name in BESIDE if name in own})
        fused = SketchFusion.untrained(model, config=config, task=task)
        if start:
            _begin_with(fused, start)
        return cls(fused)

    def asks(self) -> dict[str, Encode]:
        """Ask the VAE for latents and CLIP for its tokens."""
        model, config = self.model, self.model.config

        def tokens(pictures: Tensor) -> Tensor:
            dense: Tensor = model.clip(pictures.to(model.device), config.clip_layer).dense
            return dense

        latents = latents_of(model.model.diffusion, config.diffusion_hash, model.device, *config.vae_range)
        return {**latents, f"tokens {config.clip_hash} {config.clip_layer}": tokens}

    def maps(self, said: Said, kind: int) -> Tensor:
        """Fuse them, on a grid that is as much smaller as the picture is."""
        latents, tokens = said
        fusion, config = self.model.model, self.model.config
        share = latents.shape[-1] * fusion.diffusion.latent_stride / config.side
        maps: Tensor = fusion(latents, tokens, grid=round(config.fusion.grid * share))
        return maps


def _begin_with(fused: SketchFusion, start: Path) -> None:
    config, state = read_light(start)
    own = (fused.config.diffusion_hash, fused.config.clip_hash)
    if (config.diffusion_hash, config.clip_hash) != own:
        raise ValueError(f"{start} was trained on other frozen weights than those of {fused.name}")
    if replace(config.fusion, dropout=0.0) != replace(fused.config.fusion, dropout=0.0):
        raise ValueError(f"{start} has light weights of another shape or timestep than {fused.name}")
    fused.model.light.load_state_dict(state)
