"""Losses of the light parts."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def triplet(sketches: Tensor, photos: Tensor, sketch_labels: Tensor, photo_labels: Tensor, margin: float) -> Tensor:
    """max(0, margin + d(s, p) - d(s, n)) over every triplet of a batch, d the cosine distance (paper section 6.1).

    (S, d) and (P, d) features with (S,) and (P,) labels -> (), the mean over the triplets that violate the margin:
    a mean over all would vanish as training goes on. Zero if no sketch has both a fitting and a wrong photo.
    """
    distance = 1 - F.normalize(sketches, dim=-1) @ F.normalize(photos, dim=-1).T  # (S, P)
    fits = sketch_labels[:, None] == photo_labels[None, :]
    violation = F.relu(margin + distance[:, :, None] - distance[:, None, :])  # (S, positive, negative)
    violation = violation * (fits[:, :, None] & ~fits[:, None, :])
    return violation.sum() / (violation > 0).sum().clamp(min=1)
