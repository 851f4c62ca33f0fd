"""Metrics: each against a naive oracle, the hand-made vectors, scikit-learn and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_precision

from sketchfusion.lab.evaluation.metrics import (
    Hits,
    accuracy,
    average_precision,
    bootstrap,
    chance,
    measure,
    shuffle_ties,
)
from sketchfusion.lab.evaluation.retrieval import score_retrieval


def naive_ap(flags: list[int], relevant: int, k: int, over: str) -> float:
    top, total, hits = flags[:k], 0.0, 0
    precisions = [sum(top[: i + 1]) / (i + 1) for i in range(len(top))]
    for i, flag in enumerate(top):
        if flag:
            hits += 1
            total += max(precisions[i:]) if over == "VOC" else precisions[i]
    denominator = {"min(k,R)": min(k, relevant), "VOC": min(k, relevant), "hits": hits, "k": k}[over]
    return total / denominator if denominator else 0.0


def naive_precision(flags: list[int], relevant: int, k: int, over: str) -> float:
    depth = min(k, relevant) if over == "min(k,R)" else min(k, len(flags))
    return sum(flags[:depth]) / depth if depth else 0.0


@pytest.mark.parametrize(
    ("flags", "relevant", "expected"),
    [
        ([0, 1, 1, 0], 5, {"min(k,R)": 0.2917, "VOC": 0.3333, "hits": 0.5833, "k": 0.2917}),
        ([0, 1, 1, 0], 3, {"min(k,R)": 0.3889, "VOC": 0.4444, "hits": 0.5833, "k": 0.2917}),
        ([1, 0, 1, 0], 5, {"min(k,R)": 0.4167, "VOC": 0.4167, "hits": 0.8333, "k": 0.4167}),
        ([1, 1, 0, 0], 2, {"min(k,R)": 1.0, "VOC": 1.0, "hits": 1.0, "k": 0.5}),
    ],
)
def test_hand_vectors_tell_the_definitions_apart(flags: list[int], relevant: int, expected: dict[str, float]) -> None:
    found = {over: measure(f"mAP@4/{over}", Hits.of([flags], [relevant]))[0] for over in expected}
    assert found == pytest.approx(expected, abs=5e-5)


rankings = st.lists(st.lists(st.integers(0, 1), min_size=12, max_size=12), min_size=1, max_size=5)


@settings(max_examples=150)
@given(rankings, st.integers(1, 20))
def test_every_definition_equals_its_oracle(rows: list[list[int]], k: int) -> None:
    hits = Hits.of(rows)
    for over in ("min(k,R)", "VOC", "hits", "k"):
        expected = [naive_ap(row, sum(row), k, over) for row in rows]
        assert measure(f"mAP@{k}/{over}", hits) == pytest.approx(expected)
    for name, over in ((f"P@{k}", "gallery"), (f"P@{k}/min(k,R)", "min(k,R)")):
        assert measure(name, hits) == pytest.approx([naive_precision(row, sum(row), k, over) for row in rows])
    assert measure("mAP@all", hits) == pytest.approx([naive_ap(r, sum(r), 12, "min(k,R)") for r in rows])
    assert measure("mAP@all/VOC", hits) == pytest.approx([naive_ap(r, sum(r), 12, "VOC") for r in rows])


def test_map_at_all_is_scikit_learns_average_precision() -> None:
    rng = np.random.default_rng(1)
    queries, gallery = rng.normal(size=(40, 16)), rng.normal(size=(300, 16))
    sketch_labels, photo_labels = rng.integers(5, size=40), rng.integers(5, size=300)
    similarity = queries.astype(np.float32) @ gallery.astype(np.float32).T
    expected = [
        average_precision_score(photo_labels == label, scores)
        for label, scores in zip(sketch_labels, similarity, strict=True)
    ]
    result = score_retrieval(queries, [f"{x}" for x in sketch_labels], gallery, [f"{x}" for x in photo_labels])
    assert result.metrics["mAP@all"].mean == pytest.approx(np.mean(expected), abs=1e-5)  # equal scores are shuffled


@pytest.mark.parametrize("k", [1, 5, 40, 500])
def test_cut_metrics_are_those_of_torchmetrics(k: int) -> None:
    rng = np.random.default_rng(5)
    scores, flags = torch.from_numpy(rng.random((30, 60))), rng.random((30, 60)) < 0.2
    order = scores.argsort(dim=1, descending=True).numpy()
    hits = Hits.of(np.take_along_axis(flags, order, axis=1))
    rows = [(row, torch.from_numpy(truth)) for row, truth in zip(scores, flags, strict=True)]
    expected = [retrieval_average_precision(*row, top_k=k).item() for row in rows]
    assert measure(f"mAP@{k}/hits", hits) == pytest.approx(expected, abs=1e-6)
    expected = [retrieval_precision(*row, top_k=k, adaptive_k=True).item() for row in rows]
    assert measure(f"P@{k}", hits) == pytest.approx(expected, abs=1e-6)


def test_per_category_figures_average_to_the_whole() -> None:
    rng = np.random.default_rng(2)
    labels = ["a", "b", "c", "c"] * 5
    result = score_retrieval(rng.normal(size=(20, 4)), labels, rng.normal(size=(20, 4)), labels)
    weights = {"a": 5, "b": 5, "c": 10}
    mean = sum(weights[c] * figures["mAP@all"] for c, figures in result.rows.items()) / 20
    assert mean == pytest.approx(result.metrics["mAP@all"].mean)


def test_queries_without_relevant_photos_are_left_out_and_counted() -> None:
    result = score_retrieval(np.eye(3), ["a", "nothing", "b"], np.eye(3), ["a", "x", "b"])
    assert (result.counts["queries"], result.counts["queries left out"]) == (2, 1)
    assert result.metrics["mAP@all"].mean == 1.0
    with pytest.raises(ValueError, match="common labels"):
        score_retrieval(np.eye(2), ["a", "b"], np.eye(2), ["c", "d"])


@pytest.mark.parametrize("name", ["mAP@200", "mAP@0/k", "mAP@all/k", "P@all", "P@10/k", "R@5", "map@all", "P@010"])
def test_a_name_without_a_definition_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no metric is called"):
        measure(name, Hits.of([[1, 0]]))


def test_chance_is_the_mean_over_random_rankings() -> None:
    rng = np.random.default_rng(3)
    flags = np.zeros((4000, 30), bool)
    flags[:, :6] = True
    shuffled = rng.permuted(flags, axis=1)
    expected = chance(Hits.of(flags))
    assert average_precision(Hits.of(shuffled)).mean() == pytest.approx(expected["mAP@all"], abs=0.006)
    assert expected["P@k"] == pytest.approx(0.2)


def test_accuracy_counts_targets_within_the_first_k() -> None:
    assert accuracy([1, 2, 6, 5], 1).tolist() == [1, 0, 0, 0]
    assert accuracy([1, 2, 6, 5], 5).mean() == 0.75


def test_bootstrap_covers_the_true_mean_and_repeats_for_a_seed() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for seed in range(200):
        estimate = bootstrap(rng.random(80), draws=400, seed=seed)
        covered += estimate.low <= 0.5 <= estimate.high
    assert 0.88 <= covered / 200 <= 0.99
    values = rng.random(50)
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1) != bootstrap(values, seed=2)
    with pytest.raises(ValueError, match="no queries"):
        bootstrap([])


@pytest.mark.slow
def test_sketchy_21_in_full_size_stays_small_in_memory() -> None:
    import resource

    rng = np.random.default_rng(0)
    queries = rng.normal(size=(12_694, 1280)).astype(np.float32)
    gallery = rng.normal(size=(10_453, 1280)).astype(np.float32)
    sketch_labels = [str(x) for x in rng.integers(21, size=len(queries))]
    photo_labels = [str(x) for x in rng.integers(21, size=len(gallery))]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of this process so far, in kB
    result = score_retrieval(queries, sketch_labels, gallery, photo_labels)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 1_500_000
    assert result.metrics["mAP@all"].mean == pytest.approx(result.chance["mAP@all"], abs=0.002)


@pytest.mark.parametrize("distinct", [1, 7])
def test_features_that_tell_nothing_apart_score_chance_in_a_gallery_of_class_after_class(distinct: int) -> None:
    """One vector for all, and few vectors that have nothing to do with the classes."""
    labels = [f"class {number // 40}" for number in range(400)]
    asked = [f"class {number % 4}" for number in range(80)]  # the first four, which come first in the gallery
    vectors = np.eye(distinct, 8, dtype=np.float32)[np.random.default_rng(0).integers(distinct, size=400)]
    found = score_retrieval(vectors[:80], asked, vectors, labels)
    assert found.metrics["mAP@all"].mean == pytest.approx(found.chance["mAP@all"], abs=0.01)
    assert found.metrics["P@100"].mean == pytest.approx(found.chance["P@k"], abs=0.02)
    assert found == score_retrieval(vectors[:80], asked, vectors, labels)


def test_only_photos_of_equal_similarity_change_places() -> None:
    similarity = np.random.default_rng(1).integers(0, 9, (6, 50)).astype(np.float32)
    similarity[0] = np.arange(50)
    order = np.argsort(-similarity, axis=1, kind="stable")
    shuffled = shuffle_ties(similarity, order)
    ranked, before = (np.take_along_axis(similarity, of, axis=1) for of in (shuffled, order))
    assert (ranked == before).all() and (np.sort(shuffled, axis=1) == np.arange(50)).all()
    assert (shuffled[0] == order[0]).all() and (shuffled[1:] != order[1:]).any(axis=1).all()
    halves = [shuffle_ties(similarity[part], order[part], part.start) for part in (slice(0, 2), slice(2, 6))]
    assert (np.concatenate(halves) == shuffled).all()
