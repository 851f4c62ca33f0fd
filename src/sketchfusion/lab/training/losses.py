"""Losses on features and maps."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cosines(vectors: Tensor, others: Tensor) -> Tensor:
    """Cosines of vectors (.., N, d) with others (.., M, d): (.., N, M).

    In float32 under autocast too: over a small temperature bfloat16's error would count.
    """
    with torch.autocast(vectors.device.type, enabled=False):
        return F.normalize(vectors.float(), dim=-1) @ F.normalize(others.float(), dim=-1).mT


def triplet(sketches: Tensor, photos: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """max(0, margin + d(s, p) - d(s, n)) over every triplet of a batch, d the cosine distance (paper section 6.1).

    (S, d) and (P, d) features, and which photos are positive and negative for which sketches, (S, P) bool -> (), the
    mean over the triplets that violate the margin (a mean over all would vanish as training goes on); 0 without any.
    """
    distance = 1 - cosines(sketches, photos)  # (S, P)
    violation = F.relu(margin + distance[:, :, None] - distance[:, None, :])  # (S, positive, negative)
    violation = violation * (positive[:, :, None] & negative[:, None, :])
    return violation.sum() / (violation > 0).sum().clamp(min=1)


def contrast(vectors: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al., 2020) of vectors (B, d); `positive` (B, B) says which rows match."""
    diagonal = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    positive = positive & ~diagonal
    log_share = F.log_softmax((cosines(vectors, vectors) / temperature).masked_fill(diagonal, float("-inf")), dim=1)
    paired = positive.any(1)
    total = log_share.masked_fill(~positive, 0.0).sum(1)[paired]
    return -(total / positive.sum(1)[paired]).mean()


def point_contrast(features_a: Tensor, features_b: Tensor, visible: Tensor, temperature: float) -> Tensor:
    """Contrastive loss of matched points, in both directions (CLIP's loss within a pair: paper section 6.3, L_CL).

    (B, K, d) features of the points of either picture and (B, K) bool, which points are visible in both -> (), the
    mean over those. A point's negatives are the other points of its pair.
    """
    logits = cosines(features_a, features_b) / temperature  # (B, K, K)
    losses = []
    for direction in (logits, logits.mT):
        share = F.log_softmax(direction.masked_fill(~visible[:, None, :], -1e4), dim=2)
        losses.append(-share.diagonal(dim1=1, dim2=2)[visible].mean())
    return (losses[0] + losses[1]) / 2


def soft_argmax(features: Tensor, maps: Tensor, temperature: float) -> Tensor:
    """Locate features (B, K, d) in maps (B, d, h, w) by softmax over cosines: (B, K, 2) x, y as shares of the side."""
    rows, columns = maps.shape[-2:]
    cells = F.normalize(maps, dim=1).flatten(2)  # (B, d, h w)
    weights = (F.normalize(features, dim=-1) @ cells / temperature).softmax(dim=2)
    y, x = ((torch.arange(count, device=maps.device) + 0.5) / count for count in (rows, columns))
    centres = torch.stack([x.expand(rows, -1), y[:, None].expand(-1, columns)], dim=-1).flatten(0, 1)
    return weights @ centres.to(weights.dtype)


def end_point_error(points: Tensor, truth: Tensor, visible: Tensor) -> Tensor:
    """Mean distance of points (B, K, 2) from the truth over the visible ones (B, K) (L_EPE, not squared)."""
    error: Tensor = torch.linalg.vector_norm(points - truth, dim=-1)[visible].mean()
    return error


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Sample maps (B, d, h, w) bilinearly at points (B, K, 2), x, y as shares of the side: (B, K, d)."""
    sampled = F.grid_sample(maps, 2 * points[:, None] - 1, padding_mode="border", align_corners=False)
    return sampled[:, :, 0].mT
