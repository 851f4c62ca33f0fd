"""What a search says of its own answers: figures of a model that always knows, and of one that guesses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from fixtures.pixels import PixelExtractor
from sketchfusion.extractor import ModelInput, ModelOutput
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
