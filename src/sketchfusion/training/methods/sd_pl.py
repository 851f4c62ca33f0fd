"""SD-PL: prompts before a frozen diffusion model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from ...baselines.trained import SD_PL, SdPlBaseline
from ..cache import Encode
from .base import Method, Said, refuse
from .pair import pair_of


class SdPl(Method[SdPlBaseline]):
    """Pixels are kept: the border is added to them, so its gradient comes through the frozen VAE as well."""

    def __init__(self, model: SdPlBaseline) -> None:
        """Train the prompts of a model."""
        self.model, self.trained, self.centring = model, model.prompts, model.centring
        self._draws = range(model.config.ensemble)
        self._seeds: Sequence[int] = self._draws[:1]
        self.origin = model.config.diffusion_hash[:12]

    @classmethod
    def begin(cls, model: str, task: str, own: Mapping[str, str], start: Path | None) -> Self:
        """Begin with the null prompt and no border."""
        refuse(start, SD_PL)
        return cls(SdPlBaseline.untrained(pair_of(model, task).diffusion, task))

    def asks(self) -> dict[str, Encode]:
        """Keep the pictures as they are."""
        return {"pixels": lambda pictures: pictures}

    def maps(self, said: Said, kind: int) -> Tensor:
        """Give the stages under the prompts: by a random one of the draws in training, by the first in validation."""
        (squares,) = said
        seeds = [int(torch.randint(len(self._draws), ()))] if self.trained.training else self._seeds
        return self.model.stages(squares, torch.full((len(squares),), kind), seeds)

    def finish(self) -> bool:
        """Average all draws. Means have lower maxima than single draws, by two standard deviations in fine stages."""
        self._seeds = self._draws
        return True
