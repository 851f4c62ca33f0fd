"""Losses against readable loops."""

from __future__ import annotations

import pytest
import torch

from sketchfusion.training.losses import contrast, triplet
from sketchfusion.training.pretrain.clip import two_way


def unit(count: int, seed: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("margin", [0.05, 0.3])
def test_triplet_is_the_mean_over_violating_triplets(margin: float) -> None:
    sketches, photos = unit(5, 0), unit(7, 1)
    of_sketch, of_photo = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 0, 1, 2, 2, 1, 3])
    violations = []
    for s in range(5):
        for p in range(7):
            for n in range(7):
                if of_sketch[s] == of_photo[p] and of_sketch[s] != of_photo[n]:
                    near, far = 1 - sketches[s] @ photos[p], 1 - sketches[s] @ photos[n]
                    if margin + near - far > 0:
                        violations.append(float(margin + near - far))
    assert violations
    found = triplet(sketches * 3, photos * 2, of_sketch, of_photo, margin)  # lengths do not matter
    assert float(found) == pytest.approx(sum(violations) / len(violations), rel=1e-5)


def test_triplet_without_a_wrong_photo_is_zero() -> None:
    labels = torch.zeros(3, dtype=torch.long)
    assert float(triplet(unit(3, 0), unit(3, 1), labels, labels, 0.2)) == 0.0


def test_the_contrast_equals_a_loop_over_pairs() -> None:
    torch.manual_seed(0)
    vectors, labels = torch.randn(7, 5), torch.tensor([0, 1, 0, 2, 1, 0, 3])
    unit, losses = torch.nn.functional.normalize(vectors, dim=1), []
    for i in range(7):
        partners = [j for j in range(7) if j != i and labels[j] == labels[i]]
        others = torch.logsumexp(torch.stack([unit[i] @ unit[j] / 0.1 for j in range(7) if j != i]), 0)
        if partners:
            losses.append(-sum(unit[i] @ unit[j] / 0.1 - others for j in partners) / len(partners))
    found = contrast(vectors, labels[:, None] == labels[None, :], 0.1)
    assert found == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)


def test_two_way_with_single_positives_is_cross_entropy_both_ways() -> None:
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
    target = torch.arange(4)
    cross = torch.nn.functional.cross_entropy
    expected = (cross(logits, target) + cross(logits.T, target)) / 2
    assert torch.allclose(two_way(logits, torch.eye(4, dtype=torch.bool)), expected)
