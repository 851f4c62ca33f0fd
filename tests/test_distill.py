"""The student: it learns its teacher's maps, needs no diffusion model, and serves what its teacher serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from fixtures.roots import training_data
from sketchfusion import features
from sketchfusion.analysis.inside import component_maps
from sketchfusion.cli import app, terminal
from sketchfusion.features import SketchFusion, model_card
from sketchfusion.lab.training.distill import DistillRecipe, _untrained, train_student
from sketchfusion.models import load

FEW = DistillRecipe(pictures=12, steps=1, batch=2, world_instances=1)


@pytest.fixture(scope="module")
def mini() -> SketchFusion:
    return SketchFusion.from_pretrained("mini")


@pytest.fixture(scope="module")
def untaught(mini: SketchFusion) -> SketchFusion:
    return _untrained(mini, FEW)


def test_a_student_learns_its_teachers_maps_and_needs_no_diffusion_model(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots, teacher = training_data(tmp_path)[:1], load(model_folder)
    recipe = replace(FEW, pictures=16, steps=24, batch=4)

    def taught(recipe: DistillRecipe) -> dict[str, float]:
        return train_student(roots, tmp_path / str(recipe.steps), teacher, recipe, cache=tmp_path / "cache")

    before, after = taught(replace(recipe, steps=1)), taught(recipe)
    for kind in ("photo", "sketch"):
        name = f"cosine of cells of retrieval, held-out {kind}"
        assert 1 - after[name] < 0.9 * (1 - before[name])
    card = json.loads((tmp_path / "24" / "card.json").read_text())
    assert card["figures"] == after and card["teacher"] == teacher.fingerprint
    monkeypatch.setattr(features, "load_diffusion", lambda *_: pytest.fail("a diffusion model was loaded"))
    student = load(tmp_path / "24")
    picture = torch.rand(3, 40, 60)
    assert student.embed(picture).shape == (1, teacher.dim)
    assert student.extract(picture)[0].data.shape == teacher.extract(picture)[0].data.shape
    assert student.fingerprint != load(tmp_path / "1").fingerprint
    with pytest.raises(ValueError, match=r"was trained with lr=0\.003, not 0\.001"):
        train_student(roots, tmp_path / "24", teacher, replace(recipe, lr=1e-3), True, cache=tmp_path / "cache")


def test_a_student_on_its_teachers_clip_has_all_that_clip_gives(mini: SketchFusion, untaught: SketchFusion) -> None:
    photo = torch.rand(3, 90, 60, generator=torch.Generator().manual_seed(0))
    assert torch.equal(untaught.encode_image(photo), mini.encode_image(photo))
    width = mini.config.fusion.width
    one, other = (model.embed(photo)[0, width:] for model in (untaught, mini))
    assert torch.allclose(one, other, atol=1e-6)  # CLIP's own vector, as much of the embedding
    assert untaught.classes == mini.classes and untaught.config.local
    assert untaught.heads.threshold == mini.heads.threshold


def test_a_students_picture_costs_a_fifth_of_its_teachers(mini: SketchFusion, untaught: SketchFusion) -> None:
    def operations(model: SketchFusion) -> int:
        with FlopCounterMode(display=False) as counter:
            model.embed(torch.rand(3, 64, 64))
        return counter.get_total_flops()

    assert operations(mini) >= 5 * operations(untaught)


def test_what_needs_the_diffusion_model_says_that_a_student_has_none(untaught: SketchFusion) -> None:
    with pytest.raises(ValueError, match="is a student: there is no diffusion model in it; take its teacher"):
        component_maps(untaught, torch.rand(3, 64, 64), "photo")
    assert "student on mini-clip" in repr(untaught)
    card = model_card(untaught.config, untaught.dim, "me/student")
    assert "A student" in card and "Stable Diffusion |" not in card


@pytest.mark.usefixtures("few_categories")
def test_the_command(model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(model: str, *more: str) -> int:
        asked = ["train", "distill", "--data", more[0] if more else "world", "--model", model]
        settings = ["--set", "steps=1", "--set", "batch=2", "--set", "pictures=4"]
        return terminal.run(app, [*asked, "--out", str(tmp_path / "out"), *settings])

    assert run(str(model_folder)) == 0
    assert load(tmp_path / "out").dim == load(model_folder).dim
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (8, 8)).save(photos / "cat.png")
    assert run(str(model_folder), str(photos)) == 2
    assert "a student needs photos and sketches to look at" in capsys.readouterr().err
    assert run("scratch") == 2
    assert "scratch has no fused maps to teach; name a fused model, such as mini" in capsys.readouterr().err


def test_other_encoders_than_a_convolutional_clip_are_refused(model_folder: Path, clip_folder: Path) -> None:
    teacher = SketchFusion.from_pretrained(model_folder)
    with pytest.raises(features.WeightsError, match="a student stands on a convolutional CLIP"):
        _untrained(teacher, replace(FEW, clip=str(clip_folder)))
