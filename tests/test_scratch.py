"""The baseline CNN: it learns, is saved, and has the same interface as the other models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from sketchfusion.baselines.scratch import ScratchBaseline, ScratchConfig, ScratchNet
from sketchfusion.io.weights import WeightsError
from sketchfusion.lab import datasets
from sketchfusion.lab.training.cnn import ScratchRecipe, train_scratch
from sketchfusion.models import load


def test_the_network_has_the_size_it_says() -> None:
    parameters = sum(p.numel() for p in ScratchNet(ScratchConfig()).parameters())
    assert 600_000 < parameters < 1_000_000


@pytest.mark.usefixtures("few_categories")
def test_training_lowers_the_loss_and_leaves_a_model_that_loads(tmp_path: Path) -> None:
    losses: list[float] = []
    recipe = ScratchRecipe(steps=30, classes=4, world_instances=1)
    train_scratch(
        [datasets.open("world")], tmp_path, recipe, report=lambda done, total, newest: losses.append(newest["entropy"])
    )
    assert len(losses) == 30 and sum(losses[-5:]) < sum(losses[:5])
    model = load(tmp_path)
    assert isinstance(model, ScratchBaseline)
    again = ScratchBaseline.load(tmp_path)
    picture = torch.rand(3, 50, 80)
    vector = model.embed([picture, picture])
    assert vector.shape == (2, 128) and torch.allclose(vector[:1], again.embed(picture), atol=1e-5)
    assert torch.allclose(vector.norm(dim=1), torch.ones(2))
    assert model.fingerprint == again.fingerprint
    assert model.extract(picture)[0].data.shape == (192, 4, 4)


@pytest.mark.usefixtures("few_categories")
def test_resuming_with_another_recipe_is_refused(tmp_path: Path) -> None:
    recipe = ScratchRecipe(steps=1, classes=4, world_instances=1)
    train_scratch([datasets.open("world")], tmp_path, recipe)
    with pytest.raises(ValueError, match=r"was trained with lr=.*, not 0\.5; leave --resume out or ask for the same"):
        train_scratch([datasets.open("world")], tmp_path, replace(recipe, lr=0.5), resume=True)
    train_scratch([datasets.open("world")], tmp_path, replace(recipe, steps=2), resume=True)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no trained CNN"):
        ScratchBaseline.load(tmp_path)


def test_data_without_sketches_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.png")
    with pytest.raises(ValueError, match="needs sketches and photos"):
        train_scratch([datasets.open(tmp_path)], tmp_path / "out", ScratchRecipe())
