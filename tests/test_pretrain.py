"""Pretraining, a few steps of each stage at real settings: what it leaves behind loads like any published model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from fixtures.roots import limit_categories
from fixtures.tiny import convolutional_clip
from sketchfusion.backbones.convolutional import save_convolutional_clip
from sketchfusion.backbones.folders import load_clip, load_diffusion
from sketchfusion.backbones.mini import build_tokenizer, build_unet
from sketchfusion.features import SketchFusion
from sketchfusion.lab import datasets
from sketchfusion.lab.training import recipes
from sketchfusion.lab.training.log import draw_curves
from sketchfusion.lab.training.loop import Schedule
from sketchfusion.lab.training.methods import Fused
from sketchfusion.lab.training.pretrain import diffusion as stages
from sketchfusion.lab.training.pretrain.diffusion import (
    FeatureAlignment,
    draw_samples,
    load_part,
    pretrain_diffusion,
    pretrain_vae,
    save_half,
)
from sketchfusion.lab.training.pretrain.run import run
from sketchfusion.lab.training.sources import Sources
from sketchfusion.world import export

NAMES = ["cat", "car", "chair"]
SHORT = Schedule(steps=2, lr=1e-4, warmup=1)


@pytest.fixture(scope="module", autouse=True)
def _few_measured() -> Iterator[None]:
    """Measure how far latents spread on few photos: all stages together take less time than on all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "_latent_spread", partial(stages._latent_spread, count=16))
        yield


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("world")
    export(root, 0, NAMES, "seen", 6, 128)
    data = [datasets.open(root)]
    return Sources(data, data, root / "cache", world_instances=1, stored=64)


@pytest.fixture(scope="module")
def pretrained(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mini")
    vae = replace(recipes.VAE["cpu"], schedule=SHORT, batch=4)
    diffusion = replace(recipes.DIFFUSION["cpu"], schedule=SHORT, batch=8, full_size_batch=8)
    save_convolutional_clip(convolutional_clip(NAMES, NAMES), out / "clip")  # training one: test_pretrain_tower.py
    figures = pretrain_vae(sources, vae, out, None, False, None)
    with pytest.MonkeyPatch.context() as patch:
        limit_categories(patch)
        figures |= pretrain_diffusion(sources, diffusion, out, None, False, None)
    assert all(torch.isfinite(torch.tensor(value)) for value in figures.values())
    assert len(figures) == 3
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
    assert tokens.dense.shape == (1, clip.channels, 4, 4)  # of its own side of 64 pixels
    texts = clip.text(["a sketch of a cat", "a photo of a xylophone"])
    assert tokens.joint is not None and texts.shape == tokens.joint.expand(2, -1).shape
    assert not torch.allclose(texts[0], texts[1])
    assert {"cat", "car", "chair"} <= set((pretrained / "clip" / "labels.txt").read_text().split("\n"))


def test_weights_are_stored_in_half_precision(pretrained: Path) -> None:
    sizes = sum(path.stat().st_size for path in pretrained.rglob("*.safetensors") if "training" not in path.parts)
    assert 10e6 < sizes < 40e6


def test_light_weights_are_trained_on_what_it_leaves(pretrained: Path, tmp_path: Path) -> None:
    Fused.create(str(pretrained), "retrieval", {}, None).model.save_pretrained(tmp_path)
    model = SketchFusion.from_pretrained(tmp_path)
    assert (model.config.diffusion, model.side) == (str(pretrained / "sd"), 128)
    assert model.embed([torch.rand(3, 64, 64)]).shape == (1, 256 + model.clip.pooled_dim)


def test_no_file_of_weights_is_larger_than_a_shard(pretrained: Path, tmp_path: Path) -> None:
    files = [path for path in pretrained.rglob("*.safetensors") if "training" not in path.parts]
    assert all(path.stat().st_size <= 16 * 2**20 for path in files)
    unet = load_part(pretrained / "sd" / "unet")
    whole = tmp_path / "unet"
    unet.save_pretrained(whole)
    save_half(unet, whole)  # in place of what was one file
    assert len(list(whole.glob("*.safetensors"))) == 2
    read = load_part(whole).state_dict()
    assert all(torch.equal(tensor, read[name]) for name, tensor in unet.state_dict().items())


def test_the_curve_of_a_stage_is_drawn(pretrained: Path, tmp_path: Path) -> None:
    draw_curves(pretrained / "training" / "diffusion" / "log.csv", tmp_path / "diffusion.svg")
    assert "alignment" in (tmp_path / "diffusion.svg").read_text()


def test_a_stage_names_the_missing_stage_it_builds_on(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run `sketchfusion pretrain vae`"):
        run("diffusion", "cpu", sources.photo_sets, sources.sketch_sets, tmp_path)
    with pytest.raises(ValueError, match="'gan' is not a stage"):
        run("gan", "cpu", [], [], tmp_path)  # type: ignore[arg-type]


def test_run_writes_the_card(sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.VAE, "cpu", replace(recipes.VAE["cpu"], batch=4))
    monkeypatch.setattr("sketchfusion.lab.training.pretrain.run.Sources", partial(Sources, stored=64))
    run("vae", "cpu", sources.photo_sets, sources.sketch_sets, tmp_path, steps=1)
    with pytest.raises(ValueError, match="run `sketchfusion pretrain clip`"):
        run("diffusion", "cpu", sources.photo_sets, sources.sketch_sets, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["vae"]["recipe"]["schedule"]["steps"] == 1
    assert card["vae"]["figures"]["vae/psnr"] > 0
    assert (tmp_path / "training" / "vae" / "curve.svg").is_file()


def test_pretraining_can_start_from_a_folder(sources: Sources, pretrained: Path, tmp_path: Path) -> None:
    still = replace(recipes.VAE["cpu"], schedule=replace(SHORT, steps=1, lr=0.0), batch=4)
    pretrain_vae(sources, still, tmp_path, pretrained, False, None)
    before, after = load_part(pretrained / "sd" / "vae").state_dict(), load_part(tmp_path / "sd" / "vae").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(ValueError, match="holds no model to start from"):
        pretrain_vae(sources, still, tmp_path, tmp_path / "nowhere", False, None)


def test_the_denoisers_maps_are_aligned_with_the_teachers_features() -> None:
    torch.manual_seed(0)
    unet, taught = build_unet(), torch.rand(2, 5, 8, 8)
    inner = FeatureAlignment(unet, 5)
    unet(torch.randn(2, 4, 16, 16), 10, torch.randn(2, 3, 128))
    far = inner.distance(taught)
    far.backward()  # type: ignore[no-untyped-call]
    assert unet.down_blocks[0].resnets[0].conv1.weight.grad.abs().sum() > 0
    assert unet.conv_out.weight.grad is None
    assert float(far) > 0.5  # normalised by place, so that knowing nothing costs about 1


def test_a_tokenizer_reads_whatever_it_is_given() -> None:
    tokenizer = build_tokenizer(["a photo of a cat", "a sketch of a dog"])
    for text in ("Zürich 東京 cat!", "", "a" * 500):
        ids = tokenizer(text, padding="max_length", truncation=True).input_ids
        assert len(ids) == 24 and ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(tokenizer("Cat Dog").input_ids, skip_special_tokens=True).split() == ["cat", "dog"]
