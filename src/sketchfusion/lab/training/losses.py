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
    fits = sketch_labels[:, None] == photo_labels[None, :]
    return _violation(sketches, photos, fits, ~fits, margin)


def hard_triplet(sketches: Tensor, photos: Tensor, classes: Tensor, margin: float) -> Tensor:
    """The same where the i-th photo is the one that fits the i-th sketch, and wrong are the others of its class.

    (B, d) features of both and (B,) classes -> () (paper section 6.1, cross-category fine-grained retrieval).
    """
    own = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    return _violation(sketches, photos, own, (classes[:, None] == classes[None, :]) & ~own, margin)


def _violation(sketches: Tensor, photos: Tensor, fits: Tensor, wrong: Tensor, margin: float) -> Tensor:
    distance = 1 - F.normalize(sketches, dim=-1) @ F.normalize(photos, dim=-1).T  # (S, P)
    violation = F.relu(margin + distance[:, :, None] - distance[:, None, :])  # (S, positive, negative)
    violation = violation * (fits[:, :, None] & wrong[:, None, :])
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


def point_contrast(features_a: Tensor, features_b: Tensor, visible: Tensor, temperature: float) -> Tensor:
    """Contrast of paired points, both ways (CLIP's loss over the patches of a pair: paper section 6.3, L_CL).

    (B, K, d) features of the points of either picture and (B, K) bool, which points are there in both -> (), the mean
    over those. A point has the others of its own pair to be told from.
    """
    logits = F.normalize(features_a, dim=-1) @ F.normalize(features_b, dim=-1).mT / temperature  # (B, K, K)
    losses = []
    for way in (logits, logits.mT):
        share = F.log_softmax(way.masked_fill(~visible[:, None, :], -1e4), dim=2)
        losses.append(-share.diagonal(dim1=1, dim2=2)[visible].mean())
    return (losses[0] + losses[1]) / 2


def soft_argmax(features: Tensor, maps: Tensor, temperature: float) -> Tensor:
    """Where features (B, K, d) lie in maps (B, d, h, w): (B, K, 2) x, y in sides of the square, (0, 0) its corner.

    The mean of all cells' centres, weighted by a softmax over their cosines. The grid is fixed, not trained.
    """
    rows, columns = maps.shape[-2:]
    cells = F.normalize(maps, dim=1).flatten(2)  # (B, d, h w)
    weights = (F.normalize(features, dim=-1) @ cells / temperature).softmax(dim=2)
    y, x = ((torch.arange(count, device=maps.device) + 0.5) / count for count in (rows, columns))
    centres = torch.stack([x.expand(rows, -1), y[:, None].expand(-1, columns)], dim=-1).flatten(0, 1)
    places: Tensor = weights @ centres.to(weights.dtype)
    return places


def end_point_error(found: Tensor, truth: Tensor, visible: Tensor) -> Tensor:
    """How far (B, K, 2) points are from the truth, on average over the visible ones (B, K) (L_EPE, not squared)."""
    error: Tensor = torch.linalg.vector_norm(found - truth, dim=-1)[visible].mean()
    return error


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Read maps (B, d, h, w) at points (B, K, 2), x, y in sides of the square, bilinearly: (B, K, d)."""
    read = F.grid_sample(maps, 2 * points[:, None] - 1, padding_mode="border", align_corners=False)
    points_read: Tensor = read[:, :, 0].mT
    return points_read
