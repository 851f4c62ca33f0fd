"""Pretraining, a few steps of each stage at real settings: what it leaves behind loads like any published model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sketchfusion.backbones.folders import load_clip, load_diffusion
from sketchfusion.backbones.mini import build_tokenizer
from sketchfusion.training import recipes
from sketchfusion.training.curves import draw_curves
from sketchfusion.training.loop import Schedule
from sketchfusion.training.pretrain.clip import pretrain_clip, two_way
from sketchfusion.training.pretrain.diffusion import pretrain_diffusion
from sketchfusion.training.pretrain.run import run
from sketchfusion.training.pretrain.samples import draw_samples
from sketchfusion.training.pretrain.sources import Sources
from sketchfusion.training.pretrain.vae import pretrain_vae
from sketchfusion.world import export

SHORT = Schedule(steps=2, lr=1e-4, warmup=1)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("world")
    export(root, 0, ["cat", "car", "chair"], "seen", 12, 128)
    return Sources([root], [root], root / "cache", world_instances=1)


@pytest.fixture(scope="module")
def pretrained(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mini")
    vae = replace(recipes.VAE["cpu"], schedule=SHORT, batch=4)
    diffusion = replace(recipes.DIFFUSION["cpu"], schedule=SHORT, batch=8, full_size_batch=8)
    clip = replace(recipes.CLIP["cpu"], schedule=SHORT, full_size_after=0.5, shared_classes=2, sketches=2, outlines=2)
    figures = pretrain_vae(sources, vae, out, False, None)
    figures |= pretrain_diffusion(sources, diffusion, out, False, None)
    figures |= pretrain_clip(sources, clip, out, False, None)
    assert all(torch.isfinite(torch.tensor(value)) for value in figures.values())
    assert len(figures) == 5
    return out


def test_the_diffusion_model_loads_as_a_stable_diffusion_folder_and_draws(pretrained: Path, tmp_path: Path) -> None:
    frozen = load_diffusion(pretrained / "sd")
    assert [stage.channels for stage in frozen.stages.values()] == [32, 64, 128, 192, 192, 192, 128, 64, 32]
    latents = frozen.encode(torch.rand(1, 3, 128, 128) * 2 - 1)
    assert latents.shape == (1, 4, 32, 32)
    draw_samples(pretrained / "sd", tmp_path / "samples.png", ("a photo of a cat",), steps=2)
    assert (tmp_path / "samples.png").stat().st_size > 1000


def test_the_clip_loads_with_its_tokenizer_and_names(pretrained: Path) -> None:
    clip = load_clip(pretrained / "clip")
    tokens = clip(torch.rand(1, 3, 128, 128))
    assert tokens.dense.shape == (1, 192, 8, 8)
    texts = clip.text(["a sketch of a cat", "a photo of a xylophone"])
    assert texts.shape == (2, 256) and not torch.allclose(texts[0], texts[1])
    assert {"cat", "car", "chair"} <= set((pretrained / "clip" / "labels.txt").read_text().split("\n"))


def test_weights_are_stored_in_half_precision(pretrained: Path) -> None:
    sizes = sum(path.stat().st_size for path in pretrained.rglob("*.safetensors") if "training" not in path.parts)
    assert 20e6 < sizes < 40e6


def test_the_curve_of_a_stage_is_drawn(pretrained: Path, tmp_path: Path) -> None:
    draw_curves(pretrained / "training" / "clip" / "log.csv", tmp_path / "clip.svg")
    assert "contrast" in (tmp_path / "clip.svg").read_text()


def test_a_stage_that_stands_on_another_says_so(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run `sketchfusion pretrain vae`"):
        run("diffusion", "cpu", sources.photo_roots, sources.sketch_roots, tmp_path)
    with pytest.raises(ValueError, match="'gan' is not a stage"):
        run("gan", "cpu", [], [], tmp_path)  # type: ignore[arg-type]


def test_run_writes_the_card(sources: Sources, tmp_path: Path) -> None:
    run("vae", "cpu", sources.photo_roots, sources.sketch_roots, tmp_path, steps=1)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["vae"]["recipe"]["schedule"]["steps"] == 1
    assert card["vae"]["figures"]["vae/psnr"] > 0
    assert (tmp_path / "training" / "vae" / "curve.svg").is_file()


def test_a_tokenizer_reads_whatever_it_is_given() -> None:
    tokenizer = build_tokenizer(["a photo of a cat", "a sketch of a dog"])
    for text in ("Zürich 東京 cat!", "", "a" * 500):
        ids = tokenizer(text, padding="max_length", truncation=True).input_ids
        assert len(ids) == 24 and ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(tokenizer("Cat Dog").input_ids, skip_special_tokens=True).split() == ["cat", "dog"]


def test_two_way_rewards_every_fitting_pair() -> None:
    fits = torch.tensor([[True, True, False], [False, False, True]])
    right = torch.where(fits, 10.0, -10.0)
    assert two_way(right, fits) < two_way(-right, fits) - 10
