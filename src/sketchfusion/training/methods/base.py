"""What tells one method of training from another; loop, objectives and data are the same for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from ...backbones.diffusion import FrozenDiffusion
from ...extractor import Classifier
from ...fusion import Centring
from ..cache import Encode

Trained = TypeVar("Trained", bound=Classifier)
Said = tuple[Tensor, ...]  # what is kept of B pictures, part by part


class Method(ABC, Generic[Trained]):
    """A model in training: what of a picture is kept, what is trained, and how it makes maps of what was kept.

    What is left behind is the model's own to write.
    """

    own: ClassVar[tuple[str, ...]] = ()  # settings of the method's own; one that ends in a dot begins several
    defaults: ClassVar[Mapping[str, str]] = {}  # settings of any task's recipe that suit it better

    model: Trained  # which serves, once trained
    trained: nn.Module  # what moves
    centring: Centring  # of the model, which takes over the standardisation
    origin: str  # names the weights that it starts from; a checkpoint made for others is refused

    @classmethod
    @abstractmethod
    def begin(cls, model: str, task: str, own: Mapping[str, str], start: Path | None) -> Self:
        """Make what training starts from, on the frozen parts that `model` names as `train_task` takes it.

        `own` are settings of the method's own, `start` a folder that training left before; ValueError for what it
        cannot take.
        """

    @abstractmethod
    def asks(self) -> dict[str, Encode]:
        """Give what is kept of a picture, each part under a name that changes with all that shapes it."""

    @abstractmethod
    def maps(self, said: Said, kind: int) -> Tensor:
        """Give the maps (B, d, h, w), not centred, of pictures of one kind; pictures of half the side are seen too."""

    @property
    def width(self) -> int:
        """Channels of the maps, d."""
        return self.centring.centre.shape[1]

    def finish(self) -> bool:
        """Make maps as they will be served from now on; tell whether those of training were others."""
        return False


def latents_of(
    diffusion: FrozenDiffusion, weights: str, device: torch.device, low: float = -1.0, high: float = 1.0
) -> dict[str, Encode]:
    """Keep the latents of a frozen VAE, whose weights have a hash and which sees black as `low`, white as `high`."""

    def encode(pictures: Tensor) -> Tensor:
        return diffusion.encode(pictures.to(device) * (high - low) + low)

    return {f"latents {weights} {(low, high)}": encode}


def refuse(start: Path | None, name: str) -> None:
    """Refuse, with a ValueError, to begin with light weights where there are none."""
    if start:
        raise ValueError(f"{name} begins with the weights of --model; --start is for light weights of SketchFusion")
