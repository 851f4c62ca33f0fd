"""Losses against readable loops."""

from __future__ import annotations

import pytest
import torch

from sketchfusion.lab.training.losses import (
    contrast,
    cosines,
    end_point_error,
    point_contrast,
    sample,
    soft_argmax,
    triplet,
)


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
    alike = of_sketch[:, None] == of_photo
    found = triplet(sketches * 3, photos * 2, alike, ~alike, margin)  # lengths do not matter
    assert float(found) == pytest.approx(sum(violations) / len(violations), rel=1e-5)


def test_triplet_without_a_wrong_photo_is_zero() -> None:
    alike = torch.ones(3, 3, dtype=torch.bool)
    assert float(triplet(unit(3, 0), unit(3, 1), alike, ~alike, 0.2)) == 0.0


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


def test_a_hard_triplet_is_wrong_only_within_its_class() -> None:
    sketches, photos, classes = unit(5, 0), unit(5, 1), [0, 0, 1, 1, 1]
    violations = [
        0.2 - float(sketches[i] @ photos[i]) + float(sketches[i] @ photos[j])
        for i in range(5)
        for j in range(5)
        if i != j and classes[i] == classes[j]
    ]
    positive = [v for v in violations if v > 0]
    assert 0 < len(positive) < len(violations)
    own, labels = torch.eye(5, dtype=torch.bool), torch.tensor(classes)
    found = triplet(sketches, photos, own, (labels[:, None] == labels) & ~own, 0.2)
    assert float(found) == pytest.approx(sum(positive) / len(positive), rel=1e-5)


def test_points_are_contrasted_with_the_visible_others_of_their_pair() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 4, 6, generator=generator) for _ in range(2))
    visible = torch.tensor([[True, True, False, True], [False, True, True, False]])
    ways = []
    for one, other in ((a, b), (b, a)):
        losses = []
        for pair in range(2):
            seen = visible[pair].nonzero().flatten().tolist()
            for i in seen:
                cosines = torch.stack([torch.cosine_similarity(one[pair, i], other[pair, j], dim=0) for j in seen])
                losses.append(-(cosines / 0.1).log_softmax(0)[seen.index(i)])
        ways.append(torch.stack(losses).mean())
    assert float(point_contrast(a, b, visible, 0.1)) == pytest.approx(float(ways[0] + ways[1]) / 2, rel=1e-5)


def test_the_soft_argmax_is_the_expected_centre_of_a_cell_and_has_a_gradient() -> None:
    maps = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(3)).requires_grad_()
    features = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(4))
    found = soft_argmax(features, maps, 0.3)
    for pair in range(2):
        for point in range(2):
            weights, x, y = [], 0.0, 0.0
            for row in range(3):
                for column in range(4):
                    cosine = torch.cosine_similarity(features[pair, point], maps[pair, :, row, column], dim=0)
                    weights.append((cosine / 0.3).exp().item())
                    x += weights[-1] * (column + 0.5) / 4
                    y += weights[-1] * (row + 0.5) / 3
            expected = torch.tensor([x, y]) / sum(weights)
            assert torch.allclose(found[pair, point], expected, atol=1e-5)
    end_point_error(found, torch.zeros(2, 2, 2), torch.ones(2, 2, dtype=torch.bool)).backward()
    assert bool(maps.grad.any())  # type: ignore[union-attr]


def test_maps_are_read_at_the_centres_of_cells_exactly_and_point_errors_are_lengths() -> None:
    maps = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    read = sample(maps, torch.tensor([[[0.625, 0.125], [0.375, 0.875]]]))
    assert torch.allclose(read[0], torch.stack([maps[0, :, 0, 2], maps[0, :, 3, 1]]), atol=1e-6)
    found = torch.tensor([[[0.3, 0.4], [9.0, 9.0], [0.0, 0.1]]])
    visible = torch.tensor([[True, False, True]])
    assert float(end_point_error(found, torch.zeros(1, 3, 2), visible)) == pytest.approx((0.5 + 0.1) / 2)


def test_cosines_are_in_full_precision_where_all_else_is_not() -> None:
    vectors, others = torch.randn(5, 64), torch.randn(7, 64)
    exact = torch.nn.functional.cosine_similarity(vectors[:, None], others[None], dim=2)
    with torch.autocast("cpu", torch.bfloat16):
        found = cosines(vectors, others)
        assert contrast(vectors.bfloat16(), torch.ones(5, 5, dtype=torch.bool), 0.05).dtype == torch.float32
    assert found.dtype == torch.float32 and torch.allclose(found, exact, atol=1e-6)
