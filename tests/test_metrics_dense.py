"""Metrics of points and masks: naive oracles, hand-made cases, and torchmetrics where it has the same definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchmetrics.classification import BinaryAccuracy, BinaryJaccardIndex
from torchmetrics.segmentation import MeanIoU

from sketchfusion.lab.evaluation.metrics import MASK_METRICS, Overlap, estimate_masks, measure_masks, measure_points


def naive_pck(pairs: list[tuple[list, list]], size: tuple[int, int], alpha: float, released: bool) -> float:
    shares = []
    for found, true in pairs:
        right = 0
        for (x, y), (u, v) in zip(found, true, strict=True):
            across, down = (max(size), max(size)) if released else size
            error = math.sqrt(((x - u) / across) ** 2 + ((y - v) / down) ** 2)
            right += error < alpha if released else error <= alpha
        shares.append(right / len(true))
    return sum(shares) / len(shares)


coordinate = st.integers(0, 64).map(float)  # whole pixels, so that errors do fall on the limit
point = st.tuples(coordinate, coordinate)
pair = st.integers(1, 5).flatmap(
    lambda n: st.tuples(st.lists(point, min_size=n, max_size=n), st.lists(point, min_size=n, max_size=n))
)


@settings(max_examples=150)
@given(st.lists(pair, min_size=1, max_size=5), st.sampled_from([0.05, 0.125, 0.25]), st.sampled_from([64, 32]))
def test_pck_equals_its_oracle(pairs: list[tuple[list, list]], alpha: float, height: int) -> None:
    for released in (False, True):
        name = f"PCK@{alpha}{'/released' * released}"
        expected = naive_pck(pairs, (64, height), alpha, released)
        measured = [measure_points(name, *of, (64, height)) for of in pairs]
        assert np.mean(measured) == pytest.approx(expected)


def right(name: str, errors: list[list[float]], size: tuple[int, int], axis: int = 0) -> list[float]:
    """PCK of pairs whose points miss by `errors` pixels along an axis."""
    true = [np.full((len(row), 2), 100.0) for row in errors]
    found = [places.copy() for places in true]
    for places, row in zip(found, errors, strict=True):
        places[:, axis] += row
    return [measure_points(name, *of, size) for of in zip(found, true, strict=True)]


def test_the_conventions_of_pck_differ_on_the_limit() -> None:
    errors = [[32.0, 31.99, 32.01, 0.0]]  # 0.125 of 256 px is 32
    assert right("PCK@0.125", errors, (256, 256)) == [0.75]
    assert right("PCK@0.125/released", errors, (256, 256)) == [0.5]
    assert right("PCK@0.25", errors, (256, 256)) == [1.0] == right("PCK@0.250", errors, (256, 256))


def test_the_conventions_of_pck_differ_on_pictures_that_are_no_squares() -> None:
    assert right("PCK@0.1", [[15.0]], (200, 100)) == [1.0] == right("PCK@0.1/released", [[15.0]], (200, 100), axis=1)
    assert right("PCK@0.1", [[15.0]], (200, 100), axis=1) == [0.0]


def test_pairs_weigh_alike_however_many_points_they_have() -> None:
    assert np.mean(right("PCK@0.1", [[0.0], [99.0] * 9], (100, 100))) == 0.5


def test_points_that_cannot_be_scored_are_refused_or_count_as_misses() -> None:
    assert right("PCK@0.1", [[math.nan, math.inf, 0.0, 1.0]], (100, 100)) == [0.5]
    for found, true in ([[], []], [[[0, 0], [1, 1]], [[0, 0]]]):
        with pytest.raises(ValueError, match=r"cannot compare points of shapes"):
            measure_points("PCK@0.1", found, true, (9, 9))
    for name in ("PCK", "PCK@5", "PCK@0.05/<", "pck@0.05", "PCK@-0.1"):
        with pytest.raises(ValueError, match="no metric of points"):
            measure_points(name, [], [], (9, 9))


def naive_masks(pairs: list[tuple[np.ndarray, np.ndarray]], categories: list[str]) -> dict[str, float]:
    def counts(guess: np.ndarray, mask: np.ndarray) -> list[int]:
        table = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
        for a, b in zip(guess.ravel().tolist(), mask.ravel().tolist(), strict=True):
            table[a, b] += 1
        return list(table.values())

    def iou(hit: int, extra: int, missed: int) -> float:
        return hit / (hit + extra + missed) if hit + extra + missed else 1.0

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    def together(rows: list[list[int]]) -> list[int]:
        return [sum(column) for column in zip(*rows, strict=True)]

    rows = [counts(*pair) for pair in pairs]
    groups = [[row for row, of in zip(rows, categories, strict=True) if of == name] for name in set(categories)]
    whole = together(rows)
    return {
        "mIoU": mean([iou(tp, fp, fn) for tp, fp, fn, _ in rows]),
        "mIoU/with-background": mean([(iou(tp, fp, fn) + iou(tn, fp, fn)) / 2 for tp, fp, fn, tn in rows]),
        "mIoU/pooled": iou(*whole[:3]),
        "mIoU/category": mean([iou(*together(group)[:3]) for group in groups]),
        "pixel accuracy": mean([(tp + tn) / (tp + fp + fn + tn) for tp, fp, fn, tn in rows]),
        "pixel accuracy/pooled": (whole[0] + whole[3]) / sum(whole),
    }


mask_pair = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(arrays.arrays(bool, shape), arrays.arrays(bool, shape))
)


@settings(max_examples=150)
@given(st.lists(st.tuples(mask_pair, st.sampled_from("abc")), min_size=1, max_size=6))
def test_every_metric_of_masks_equals_its_oracle(labelled: list[tuple[tuple[np.ndarray, np.ndarray], str]]) -> None:
    pairs, categories = [pair for pair, _ in labelled], [name for _, name in labelled]
    overlap = Overlap.of(pairs)
    found = {name: float(measure_masks(name, overlap, categories).mean()) for name in MASK_METRICS}
    assert found == pytest.approx(naive_masks(pairs, categories))


def test_hand_made_masks_tell_the_definitions_apart() -> None:
    left, none = np.array([[True, False]]), np.zeros((1, 2), bool)
    big, half = np.ones((2, 4), bool), np.repeat([[True, True, False, False]], 2, axis=0)
    overlap = Overlap.of([(left, left), (big, half), (none, left)])
    assert overlap.iou.tolist() == [1.0, 0.5, 0.0] and overlap.background_iou.tolist() == [1.0, 0.0, 0.5]
    figures = {name: measure_masks(name, overlap, ["a", "b", "a"]).mean() for name in MASK_METRICS}
    assert figures == pytest.approx(
        {
            "mIoU": 1 / 2,
            "mIoU/with-background": 1.5 / 3,
            "mIoU/pooled": 5 / 10,
            "mIoU/category": (1 / 2 + 4 / 8) / 2,
            "pixel accuracy": (1 + 0.5 + 0.5) / 3,
            "pixel accuracy/pooled": 7 / 12,
        }
    )
    assert measure_masks("mIoU", Overlap.of([(none, none)])) == [1.0]


def test_masks_agree_with_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.random((12, 9, 7)) < 0.3, rng.random((12, 9, 7)) < 0.4
    overlap = Overlap.of(zip(guess, truth, strict=True))
    a, b = torch.from_numpy(guess), torch.from_numpy(truth)
    both = [torch.stack([~mask, mask], dim=1) for mask in (a, b)]
    with_background = MeanIoU(num_classes=2, include_background=True)(*both)
    assert measure_masks("mIoU/with-background", overlap).mean() == pytest.approx(with_background.item(), abs=1e-6)
    without = MeanIoU(num_classes=2, include_background=False)(*both)
    assert measure_masks("mIoU", overlap).mean() == pytest.approx(without.item(), abs=1e-6)
    assert measure_masks("mIoU/pooled", overlap) == pytest.approx(BinaryJaccardIndex()(a, b).item(), abs=1e-6)
    assert measure_masks("pixel accuracy/pooled", overlap) == pytest.approx(BinaryAccuracy()(a, b).item(), abs=1e-6)


def test_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="booleans of one shape"):
        Overlap.of([(np.zeros((2, 2), bool), np.zeros((2, 3), bool))])
    with pytest.raises(ValueError, match="uint8"):
        Overlap.of([(np.zeros((2, 2), np.uint8), np.zeros((2, 2), bool))])
    overlap = Overlap.of([(np.zeros((2, 2), bool), np.zeros((2, 2), bool))])
    with pytest.raises(ValueError, match="no metric of masks is called 'IoU'"):
        measure_masks("IoU", overlap)
    with pytest.raises(ValueError, match="category of each photo"):
        measure_masks("mIoU/category", overlap)
    with pytest.raises(ValueError, match="no masks"):
        measure_masks("mIoU", Overlap.of([]))


def test_intervals_of_pooled_figures_are_over_photos() -> None:
    rng = np.random.default_rng(0)
    counts, categories = rng.integers(1, 400, (4, 60)), [f"{n % 3}" for n in range(60)]
    overlap = Overlap(counts)
    for name in MASK_METRICS:
        found = estimate_masks(name, overlap, categories)
        assert found.mean == pytest.approx(measure_masks(name, overlap, categories).mean())
        drawn = [rng.integers(60, size=60) for _ in range(2000)]
        means = [measure_masks(name, Overlap(counts[:, of]), [categories[n] for n in of]).mean() for of in drawn]
        assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)
        assert found.high - found.low > 0.02
