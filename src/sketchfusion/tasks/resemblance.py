"""Resemblance: do the drawn places of a sketch find their like anywhere in a photo?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from ..featuremap import FeatureMap


def resemblance(sketch: FeatureMap, ink: Tensor, photo: FeatureMap) -> float:
    """The mean over the marked cells (h, w) of a sketch of the best cosine with any cell of a photo but its padding."""
    drawn = F.normalize(sketch.data[:, ink].float(), dim=0)
    shown = F.normalize(photo.data[:, photo.valid()].float(), dim=0)
    return float((drawn.T @ shown).amax(dim=1).mean())
