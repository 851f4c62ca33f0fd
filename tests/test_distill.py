"""The student: it learns its teacher's embeddings, also of held-out pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fixtures.roots import training_data
from sketchfusion.cli import app, terminal
from sketchfusion.extractor import Extractor, ModelInput, ModelOutput
from sketchfusion.lab.training.cnn import DistillRecipe, train_distilled
from sketchfusion.models import load


class Colours(Extractor):
    """Embeds a picture as the mean colour of its quarters: something that a small CNN can learn in little time."""

    name, side, device, dim, fingerprint = "colours", 32, torch.device("cpu"), 12, "c" * 64

    def maps(self, views: Sequence[ModelInput]) -> Tensor:
        return F.adaptive_avg_pool2d(torch.stack([view.square for view in views]), 2) - 0.5

    def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
        maps = self.maps(views)
        return ModelOutput(maps, maps.flatten(1) + 1e-3)


def test_a_student_learns_its_teachers_embeddings(tmp_path: Path) -> None:
    roots, losses = training_data(tmp_path)[:1], list[float]()

    def report(done: int, total: int, newest: dict[str, float]) -> None:
        losses.extend([newest["loss"]] if newest else [])

    teach = lambda out, steps: train_distilled(  # noqa: E731
        roots, tmp_path / out, Colours(), DistillRecipe(steps=steps, batch=16), False, report, tmp_path / "cache"
    )
    untaught, taught = teach("few", 1), teach("many", 50)
    assert len(losses) == 51 and sum(losses[-5:]) < sum(losses[1:6])
    for kind in ("photo", "sketch"):
        name = f"cosine with the teacher, held-out {kind}"
        assert taught[name] > max(0.5, 2 * untaught[name])
    card = json.loads((tmp_path / "many" / "card.json").read_text())
    assert card["figures"] == taught and card["teacher"] == "c" * 64
    student = load(tmp_path / "many")
    assert student.embed(torch.rand(3, 40, 60)).shape == (1, 12)


def test_the_teachers_embeddings_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots, recipe = training_data(tmp_path)[:1], DistillRecipe(steps=2, batch=8)
    train_distilled(roots, tmp_path / "one", Colours(), recipe, cache=tmp_path / "cache")
    monkeypatch.setattr(Colours, "forward", lambda self, views: pytest.fail("the teacher was asked again"))
    train_distilled(roots, tmp_path / "two", Colours(), recipe, cache=tmp_path / "cache")
    assert load(tmp_path / "one").fingerprint == load(tmp_path / "two").fingerprint
    with pytest.raises(ValueError, match=r"was trained with lr=0\.002, not 0\.001"):
        train_distilled(roots, tmp_path / "one", Colours(), replace(recipe, lr=1e-3), True, cache=tmp_path / "cache")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, settings = str(tmp_path / "out"), ["--set", "steps=1", "--set", "batch=4", "--set", "per_class=1"]
    asked = ["train", "distill", "--data", "world", "--model", "scratch", "--out", out, *settings]
    assert terminal.run(app, asked) == 0
    assert load(out).dim == load("scratch").dim
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (8, 8)).save(photos / "cat.png")
    assert terminal.run(app, ["train", "distill", "--data", str(photos), "--model", "scratch", "--out", out]) == 2
    assert "a student needs photos and sketches to look at" in capsys.readouterr().err
