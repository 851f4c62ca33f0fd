"""Resemblance: do the drawn places of a sketch find their like anywhere in a photo?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from ..featuremap import FeatureMap


def inked(sketch: Tensor, features: FeatureMap) -> Tensor:
    """Mark the cells (h, w) of a sketch's map that its strokes touch; `sketch` is (3, H, W) in [0, 1]."""
    grey = sketch.mean(dim=0)
    points = (grey <= (grey.amin() + grey.amax()) / 2).nonzero().flip(1) + 0.5
    columns, rows = features.to_cells(points).long().T
    marks = torch.zeros(features.grid, dtype=torch.bool, device=features.data.device)
    marks[rows.clamp(0, marks.shape[0] - 1), columns.clamp(0, marks.shape[1] - 1)] = True
    return marks


def resemblance(sketch: FeatureMap, ink: Tensor, photo: FeatureMap) -> float:
    """The mean over the marked cells (h, w) of a sketch of the best cosine with any cell of a photo but its padding."""
    drawn = F.normalize(sketch.data[:, ink].float(), dim=0)
    shown = F.normalize(photo.data[:, photo.valid()].float(), dim=0)
    return float((drawn.T @ shown).amax(dim=1).mean())
