"""The frozen models asked once: banks of pictures in, caches of latents and CLIP tokens out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from sketchfusion.training.bank import Bank
from sketchfusion.training.cache import Cache, cached, joined
from sketchfusion.training.loop import Report

if TYPE_CHECKING:
    from sketchfusion.features import SketchFusion


@dataclass(frozen=True)
class Encoder:
    """The VAE and the CLIP of a fused model, and the folder that keeps what they said."""

    model: SketchFusion
    folder: Path
    report: Report | None = None

    @property
    def side(self) -> int:
        """Pixels of the full square."""
        return self.model.config.side

    @property
    def width(self) -> int:
        """Channels of the fused maps."""
        return self.model.config.fusion.width

    def __call__(self, banks: list[Bank], side: int, views: int = 1) -> Cache:
        """Give what they say of the pictures of all banks, seen at `side` pixels."""
        return joined([self._one(bank, side, views) for bank in banks if len(bank)])

    def _one(self, bank: Bank, side: int, views: int) -> Cache:
        config, model = self.model.config, self.model
        low, high = config.vae_range

        def latents(pictures: Tensor) -> Tensor:
            return model.model.diffusion.encode(pictures.to(model.device) * (high - low) + low)

        def tokens(pictures: Tensor) -> Tensor:
            dense: Tensor = model.clip(pictures.to(model.device), config.clip_layer).dense
            return dense

        def progress(done: int, total: int) -> None:
            if self.report:
                self.report(done, total, {})

        asked_vae = f"latents {config.diffusion_hash} {config.vae_range}"
        asked_clip = f"tokens {config.clip_hash} {config.clip_layer}"
        return Cache(
            cached(bank, latents, asked_vae, side, views, self.folder, progress),
            cached(bank, tokens, asked_clip, side, views, self.folder, progress),
            bank.names,
        )
