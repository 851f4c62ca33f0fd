"""What a search says of its own answers: figures of a model that always knows, and of one that guesses."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from fixtures.pixels import PixelExtractor
from sketchfusion.extractor import ModelInput, ModelOutput
from sketchfusion.gallery.query import make_scorer
from sketchfusion.lab.evaluation import search
from sketchfusion.lab.evaluation.search import benchmark_search

NAMES = ["ant", "bee", "cow", "dog", "elk", "fox"]


class Knowing(PixelExtractor):
    """Reads the category off the one black block in the top row; the rest of the vector is the picture's own noise."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
        rows = []
        for view in views:
            pixels = (view.square * 255).round().long().flatten()
            generator = torch.Generator().manual_seed(int((pixels * torch.arange(len(pixels))).sum()))
            name = torch.zeros(self.dim)
            blocks = view.square[0, 2:6, 1 : 1 + 5 * len(NAMES)].unflatten(1, (len(NAMES), 5)).mean((0, 2))
            if (blocks < 0.2).sum() == 1 and (blocks > 0.8).sum() == len(NAMES) - 1:
                name[int(blocks.argmin())] = 1.0
            noise = torch.nn.functional.normalize(torch.randn(self.dim, generator=generator), dim=0)
            rows.append(self.share * name + (1 - self.share) * noise)
        return ModelOutput(self.maps(views), torch.stack(rows))


def pictures(count: int, seed: int) -> list[tuple[np.ndarray, str]]:
    generator, made = np.random.default_rng(seed), []
    for place, name in enumerate(NAMES):
        for _ in range(count):
            picture = np.full((32, 32, 3), 255, np.uint8)
            picture[2:6, 1 + 5 * place : 6 + 5 * place] = 0
            rows, columns = generator.integers((8, 1), (31, 31), (40, 2)).T
            picture[rows, columns] = 0
            made.append((picture, name))
    return made


def test_a_perfect_model_is_confident_and_right() -> None:
    result = benchmark_search(Knowing(0.8), pictures(3, 0), pictures(8, 1))
    figures = result.to_json()
    assert figures["AUC, all photos"] == 1
    assert figures["precision at 0.9, all photos"] > 0.9
    assert set(result.rows) == {"all photos", "5 of each", "half of the categories"}
    assert result.counts == {"queries": 18, "gallery": 48}
    assert repr(result).startswith("Result(") and "AUC, all photos 1.000 (1.000 to 1.000)" in repr(result)
    assert "| AUC, all photos | 1.0000 |" in result.to_markdown("search", "made up")


def test_a_model_that_guesses_gives_as_many_false_alarms_as_its_confidence_says() -> None:
    figures = benchmark_search(Knowing(0.0), pictures(30, 0), pictures(8, 1)).to_json()
    assert figures["AUC, all photos"] == pytest.approx(0.5, abs=0.12)
    assert figures["false alarms at 0.5, all photos"] == pytest.approx(0.5, abs=0.2)
    assert figures["false alarms at 0.9, all photos"] == pytest.approx(0.1, abs=0.1)
    assert not [name for name in figures if "words" in name]


def test_marked_finds_help_a_model_that_knows_a_little_and_cannot_help_one_that_knows_all() -> None:
    little, all_of_it = (benchmark_search(Knowing(of), pictures(3, 0), pictures(8, 1)).to_json() for of in (0.2, 0.8))
    assert little["mAP@all of the rest, more by marks"] > 0.05
    told = little["mAP@all of the rest, a right and a wrong find marked"]
    assert told == pytest.approx(little["mAP@all of the rest"] + little["mAP@all of the rest, more by marks"], abs=2e-4)
    assert all_of_it["mAP@all of the rest"] == 1 and all_of_it["mAP@all of the rest, more by marks"] == 0


def test_figures_are_the_same_whatever_number_of_sketches_is_ranked_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Knowing(0.3), pictures(3, 0), pictures(8, 1)
    at_once = benchmark_search(*asked).to_json()
    monkeypatch.setattr(search, "CHUNK", 4)
    assert json.dumps(benchmark_search(*asked).to_json()) == json.dumps(at_once)


def test_a_feature_that_is_the_same_for_all_photos_is_no_better_than_chance() -> None:
    class Constant(PixelExtractor):
        def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
            return ModelOutput(self.maps(views), torch.ones(len(views), self.dim))

    one_class = [of for of in pictures(40, 0) if of[1] == NAMES[0]]  # the first in the gallery
    figures = benchmark_search(Constant(), one_class, pictures(8, 1)).to_json()
    assert figures["mAP@all"] == pytest.approx(1 / 6, abs=0.1)


def test_precision_varies_with_the_sketches_and_is_left_out_where_nothing_is_sure() -> None:
    vectors, labels = np.eye(4, dtype=np.float32)[[0] * 50 + [1] * 50], np.array(["a"] * 50 + ["b"] * 50)
    drawn, asked = np.eye(4, dtype=np.float32)[[0, 1, 0, 1]], np.array(["a", "b", "b", "a"])  # two right, two wrong
    weak = [make_scorer([np.eye(4, dtype=np.float32)[3]], [], None)]
    found = search._confidence_figures(drawn, asked, vectors, labels, weak)["precision at 0.9"]
    assert found.mean == 0.5 and (found.low, found.high) == (0.0, 1.0)  # four sketches, not two hundred photos
    drawn = np.eye(4, dtype=np.float32)[[3, 3, 3, 3]]
    found = search._confidence_figures(drawn, asked, vectors, labels, weak)
    assert "precision at 0.5" in found and "precision at 0.9" not in found
