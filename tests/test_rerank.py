"""The second look: places of a sketch found again in photos, and the best photos ordered anew by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.photos import photo
from fixtures.pixels import PixelExtractor
from sketchfusion.featuremap import FeatureMap, Frame
from sketchfusion.gallery import Gallery, GalleryError
from sketchfusion.gallery.hits import Hit
from sketchfusion.gallery.rerank import TOP, reranked
from sketchfusion.tasks.resemblance import resemblance
from sketchfusion.tasks.segmentation import strokes

FRAME = Frame(40, 20, 40, 1.0, 1.0, 0.0, 10.0)  # twice as wide as high: padding above and below


def test_only_cells_under_strokes_count_and_padding_never_matches() -> None:
    picture = torch.ones(3, 20, 40)
    picture[:, 7, 12] = picture[:, 19, 39] = 0
    generator = torch.Generator().manual_seed(0)
    sketch, other = (FeatureMap(torch.randn(5, 4, 4, generator=generator), FRAME) for _ in range(2))
    ink = strokes(picture, sketch)
    assert ink.nonzero().tolist() == [[1, 1], [2, 3]]
    assert resemblance(sketch, ink, sketch) == pytest.approx(1)
    cosines = sketch.cosine(other)[:, :, 1:3]
    expected = (cosines[1, 1].max() + cosines[2, 3].max()) / 2
    assert resemblance(sketch, ink, other) == pytest.approx(float(expected), abs=1e-6)


def test_the_best_are_ordered_anew_and_the_rest_stay() -> None:
    sketch = torch.ones(3, 32, 32)
    sketch[:, 4:8] = 0
    (own,) = PixelExtractor().extract([sketch], kind="sketch")
    hits = [Hit(str(number), 0.5 - 0.001 * number, number + 1, "c") for number in range(TOP + 2)]
    blank = FeatureMap(torch.ones_like(own.data), own.frame)
    order = reranked(PixelExtractor(), [sketch], hits, lambda path: own if path == "7" else blank)
    assert [hit.path for hit in order] == ["7", *(str(number) for number in range(TOP + 2) if number != 7)]
    assert [hit.rank for hit in order] == list(range(1, TOP + 3)) and order[0].score == hits[7].score
    assert reranked(PixelExtractor(), [sketch], hits[:1], lambda path: own) == hits[:1]


def test_a_gallery_answers_the_same_with_kept_maps_and_without(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(20):
        patches = generator.integers(0, 256, (8, 8, 3), np.uint8)
        path = photo(tmp_path / "photos" / f"{number:02}.png", number)
        Image.fromarray(patches).resize((64, 64), Image.Resampling.NEAREST).save(path)
    sketch = np.full((64, 64, 3), 255, np.uint8)
    sketch[10:50, 20:24] = 0
    answers = []
    for dense in (True, False):
        gallery = Gallery.open(tmp_path / str(dense), PixelExtractor())
        gallery.add(tmp_path / "photos", dense=dense)
        plain, again = gallery.search(sketch, k=20), gallery.search(sketch, k=20, rerank=True)
        assert {hit.path: hit.score for hit in again} == {hit.path: hit.score for hit in plain}
        assert [hit.path for hit in again] != [hit.path for hit in plain]
        assert gallery.search(sketch, k=5, rerank=True) == again[:5]
        answers.append([hit.path for hit in again])
    assert answers[0] == answers[1]
    (tmp_path / "photos" / "05.png").unlink()  # its thumbnail is still there
    assert len(gallery.search(sketch, k=20, rerank=True)) == 20


def test_without_a_sketch_there_is_nothing_to_look_at_again(tmp_path: Path) -> None:
    path = photo(tmp_path / "photos" / "a.png", 1)
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(path)
    with pytest.raises(GalleryError, match="only an answer to a sketch can be reranked"):
        gallery.search(like=path, rerank=True)
