"""A linear classifier in closed form: what probes and baselines are given, each the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PENALTIES = (1e-2, 1e-1, 1.0, 10.0, 100.0)  # of the ridge


def fit_ridge(features: Tensor, labels: Tensor, classes: int, penalty: float) -> Callable[[Tensor], Tensor]:
    """Fit a linear classifier of features (N, C) by ridge regression on the labels (N,) as indicators.

    Each channel is standardised first. Gives a function from features to scores (N, classes).
    """
    mean, spread = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)

    def ready(x: Tensor) -> Tensor:
        return torch.cat([(x - mean) / spread, x.new_ones(len(x), 1)], dim=1)

    x = ready(features)
    targets = torch.nn.functional.one_hot(labels, classes).to(x.dtype)
    weights = torch.linalg.solve(x.T @ x + penalty * len(x) * torch.eye(x.shape[1], dtype=x.dtype), x.T @ targets)
    return lambda unseen: ready(unseen) @ weights


def chosen_ridge(features: Tensor, labels: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """Do so with the penalty that names every fourth picture best when it is left out, then on all of them."""
    fourth = torch.arange(len(features)) % 4 == 0

    def validated(penalty: float) -> float:
        scores = fit_ridge(features[~fourth], labels[~fourth], classes, penalty)(features[fourth])
        return float((scores.argmax(dim=1) == labels[fourth]).double().mean())

    return fit_ridge(features, labels, classes, max(PENALTIES, key=validated))
