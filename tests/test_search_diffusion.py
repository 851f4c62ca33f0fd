"""Photos vouch for one another: what is like several good answers rises, and nothing is lost or scored anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixtures.photos import photo
from fixtures.pixels import PixelExtractor
from sketchfusion.gallery import Gallery, reorder
from sketchfusion.gallery.nearest import Ranked
from sketchfusion.gallery.reorder import NEIGHBOURS, SHARPNESS, SPREAD, diffused
from sketchfusion.gallery.rows import Rows
from sketchfusion.lab.evaluation import search

DRAWING = np.full((64, 64, 3), 255, np.uint8)
DRAWING[10:50, 20:24] = (200, 40, 40)


def found(vectors: np.ndarray, scores: list[float]) -> Ranked:
    names = np.array([f"{n:02}" for n in range(len(scores))], object)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Ranked(Rows(names, names, {"vector": unit.astype(np.float32)}), np.array(scores, np.float32))


def test_a_photo_among_good_answers_rises_above_a_lonely_one() -> None:
    thing, others = np.eye(8)[0], np.eye(8)
    vectors = np.stack(
        [thing + 0.1 * others[1], thing + 0.1 * others[2], others[5], thing + 0.1 * others[3], others[6]]
    )
    one = found(vectors, [0.9, 0.8, 0.7, 0.6, 0.5])  # the fourth is like the first two, the third like nothing
    again = diffused(one, 0.15)
    assert again.rows.paths.tolist() == ["00", "01", "03", "02", "04"]
    assert dict(zip(again.rows.paths, again.scores, strict=True)) == dict(zip(one.rows.paths, one.scores, strict=True))
    assert diffused(one.take(np.arange(2)), 0.1).rows.paths.tolist() == ["00", "01"]


def test_beyond_the_candidates_photos_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reorder, "CANDIDATES", 12)
    generator = np.random.default_rng(0)
    one = found(np.abs(generator.normal(size=(30, 6))), np.sort(generator.random(30))[::-1].tolist())
    again, alone = diffused(one, 0.2), diffused(one.take(np.arange(12)), 0.2)
    assert again.rows.paths.tolist() == [*alone.rows.paths, *one.rows.paths[12:]]
    assert alone.rows.paths.tolist() != one.rows.paths[:12].tolist()


def test_the_closed_form_of_diffusion_equals_the_walk() -> None:
    generator = np.random.default_rng(0)
    one = found(np.abs(generator.normal(size=(30, 6))), np.sort(generator.random(30))[::-1].tolist())
    links = np.zeros((30, 30))
    cosines = one.rows.columns["vector"] @ one.rows.columns["vector"].T
    for row in range(30):
        for other in sorted(set(range(30)) - {row}, key=lambda n: -cosines[row, n])[:NEIGHBOURS]:
            links[row, other] += cosines[row, other] / 2
            links[other, row] += cosines[row, other] / 2
    degree = links.sum(1)
    claims = np.exp((one.scores - one.scores.max()) / (SHARPNESS * 0.2))
    standing = np.zeros(30)
    for _ in range(400):
        standing = claims + SPREAD * (links / np.sqrt(np.outer(degree, degree))) @ standing
    assert diffused(one, 0.2).rows.paths.tolist() == one.rows.paths[np.argsort(-standing)].tolist()


def test_a_gallery_answers_with_the_same_photos_in_another_order(tmp_path: Path) -> None:
    for number in range(24):
        photo(tmp_path / "photos" / ("a" if number % 2 else "b") / f"{number:02}.png", number)
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(tmp_path / "photos")
    plain, spread = gallery.search(DRAWING, k=24), gallery.search(DRAWING, k=24, diffuse=True)
    assert [hit.path for hit in plain] != [hit.path for hit in spread]
    assert {hit.path: hit.score for hit in plain} == {hit.path: hit.score for hit in spread}
    assert [hit.rank for hit in spread] == list(range(1, 25))
    assert gallery.search(DRAWING, k=5, diffuse=True) == spread[:5]
    assert {hit.category for hit in gallery.search(DRAWING, k=24, category="a", diffuse=True)} == {"a"}
    cut = sorted(hit.confidence for hit in plain)[12]
    sure = gallery.search(DRAWING, k=24, diffuse=True, min_score=cut)
    assert {hit.path for hit in sure} == {hit.path for hit in plain if hit.confidence >= cut}
    assert [hit.rank for hit in sure] == list(range(1, len(sure) + 1))
    assert len(gallery.search(like=plain[0].path, k=24, diffuse=True)) == 23


def test_its_gain_is_measured_query_by_query() -> None:
    generator = np.random.default_rng(0)
    labels = np.array(["a"] * 15 + ["b"] * 15)
    middles = {"a": np.eye(8)[0], "b": np.eye(8)[1]}
    vectors = np.stack([middles[name] + 0.2 * generator.normal(size=8) for name in labels])
    drawn = np.stack([middles[name] + 0.8 * generator.normal(size=8) for name in "aabb" * 3])
    unit = [(of / np.linalg.norm(of, axis=1, keepdims=True)).astype(np.float32) for of in (drawn, vectors)]
    figures = search._with_diffusion(unit[0], np.array(list("aabb" * 3)), unit[1], labels)
    assert figures["mAP@all, diffused"].mean > figures["mAP@all"].mean
    gain = figures["mAP@all, diffused"].mean - figures["mAP@all"].mean
    assert figures["mAP@all, more by diffusion"].mean == pytest.approx(gain)
