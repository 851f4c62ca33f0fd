"""Losses of the light parts."""

from __future__ import annotations

import torch
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


def contrast(vectors: Tensor, partners: Tensor, temperature: float) -> Tensor:
    """Supervised contrast (Khosla et al., 2020): -log of the share that each picture gives to its partners.

    (B, d) vectors and (B, B) bool, the diagonal of which is not looked at -> (), the mean over the pictures that have
    partners.
    """
    unit = F.normalize(vectors, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    partners = partners & ~itself
    log_share = F.log_softmax((unit @ unit.T / temperature).masked_fill(itself, float("-inf")), dim=1)
    paired = partners.any(1)
    total = log_share.masked_fill(~partners, 0.0).sum(1)[paired]
    return -(total / partners.sum(1)[paired]).mean()
