"""Retrieval: ranking is exact and stable, whatever the size of chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from fixtures.pixels import PixelExtractor
from sketchfusion.errors import ImageError
from sketchfusion.tasks import retrieval
from sketchfusion.tasks.retrieval import rank_chunks, retrieve


def rank(queries: np.ndarray, gallery: np.ndarray, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    chunks = [*rank_chunks(queries, gallery, k)]
    scores = [np.take_along_axis(similarity, indices, axis=1) for similarity, indices in chunks]
    return np.concatenate(scores), np.concatenate([indices for _, indices in chunks])


few_values = st.sampled_from([-1.0, -0.5, -0.0, 0.0, 0.25, 1.0])


@settings(max_examples=100)
@given(hnp.arrays(np.float32, (3, 2), elements=few_values), hnp.arrays(np.float32, (17, 2), elements=few_values))
def test_ties_keep_the_order_of_the_gallery(queries: np.ndarray, gallery: np.ndarray) -> None:
    for k in (None, 1, 5, 17, 40):
        scores, indices = rank(queries, gallery, k)
        for query, row, found in zip(queries, scores, indices, strict=True):
            similarity = gallery @ query
            expected = sorted(range(17), key=lambda place: (-similarity[place], place))[: k or 17]
            assert found.tolist() == expected
            assert row == pytest.approx(similarity[expected])


def test_chunks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(23, 8)), rng.normal(size=(50, 8))
    whole = rank(queries, gallery, 10)[1]
    monkeypatch.setattr(retrieval, "CHUNK", 5)
    assert (rank(queries, gallery, 10)[1] == whole).all()


def test_empty_inputs_and_wrong_shapes() -> None:
    assert rank(np.zeros((0, 4)), np.zeros((3, 4)), 2)[1].shape == (0, 2)
    assert rank(np.zeros((2, 4)), np.zeros((0, 4)), 5)[1].shape == (2, 0)
    with pytest.raises(ValueError, match="cannot compare"):
        rank(np.zeros((1, 3)), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="at least 1"):
        rank(np.zeros((1, 3)), np.zeros((1, 3)), 0)


def drawing(box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).rectangle(box, fill="black")
    return image


def test_retrieve_finds_the_photo_that_looks_like_the_sketch() -> None:
    left, right = drawing((4, 4, 28, 60)), drawing((36, 4, 60, 60))
    found = retrieve(PixelExtractor(), [left, right], [right, left], k=2)
    assert [[match.index for match in row] for row in found] == [[1, 0], [0, 1]]
    assert found[0][0].score > found[0][1].score


def test_a_blank_sketch_is_refused_by_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "empty.png"
    Image.new("RGB", (40, 40), "white").save(path)
    with pytest.raises(ImageError, match=r"empty\.png: the sketch is blank"):
        retrieve(PixelExtractor(), path, [drawing((0, 0, 9, 9))])
