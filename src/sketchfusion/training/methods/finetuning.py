"""B-Finetuning: every weight of the UNet and of CLIP's vision encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from torch import Tensor, nn

from ...backbones.catalog import locate
from ...backbones.encoders import resize_square
from ...baselines.frozen import side_by_side
from ...baselines.trained import B_FINETUNING, FinetunedBaseline
from ...io.weights import folder_hash
from ..cache import Encode
from .base import Method, Said, latents_of, refuse
from .pair import pair_of


class Finetuning(Method[FinetunedBaseline]):
    """Latents are kept, the VAE being frozen, and pixels at CLIP's own side.

    Its steps are twenty times smaller than those of new parts. Weights that no feature comes from (the last up block
    and the head of the UNet, what follows CLIP's penultimate block) get no gradient and stay.
    """

    defaults: ClassVar[Mapping[str, str]] = {"lr": "1e-4"}

    def __init__(self, model: FinetunedBaseline) -> None:
        """Train the UNet and the vision encoder of a model."""
        self.model, self.centring = model, model.centring
        self.trained = nn.ModuleDict({"unet": model.diffusion.unet, "vision": model.clip.model.vision_model})
        self.trained.requires_grad_(True)
        self._hashes = [folder_hash(locate(name)) for name in (model.config.diffusion, model.config.clip)]
        self.origin = " and ".join(of[:12] for of in self._hashes)

    @classmethod
    def begin(cls, model: str, task: str, own: Mapping[str, str], start: Path | None) -> Self:
        """Begin with the weights of both."""
        refuse(start, B_FINETUNING)
        pair = pair_of(model, task)
        return cls(FinetunedBaseline.untrained(pair.diffusion, pair.clip, task))

    def asks(self) -> dict[str, Encode]:
        """Ask the VAE for latents, and keep what CLIP will see."""
        model = self.model
        side = model.clip.side
        latents = latents_of(model.diffusion, self._hashes[0], model.device)
        return {**latents, f"pixels at {side}": lambda pictures: resize_square(pictures, side)}

    def maps(self, said: Said, kind: int) -> Tensor:
        """Give the stages and tokens side by side."""
        latents, pictures = said
        return side_by_side(self.model.diffusion, self.model.clip, latents, pictures)[0]
