"""The weights in the package: within their limits, loadable without a network, and better than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import sketchfusion
from sketchfusion.baselines.frozen import DinoBaseline
from sketchfusion.features import SketchFusion
from sketchfusion.lab.datasets.base import is_unseen
from sketchfusion.lab.datasets.world import SketchWorld
from sketchfusion.lab.evaluation.retrieval import benchmark_retrieval, retrieval_data
from sketchfusion.lab.evaluation.speed import flop_of
from sketchfusion.world import UNSEEN, World

WEIGHTS = Path(sketchfusion.__file__).parent / "weights"


def test_they_are_small_and_only_safetensors() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 45e6
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt"}


def test_parameters_and_work_stay_within_the_limits(mini: SketchFusion) -> None:
    parts = {p.data_ptr(): p.numel() for module in (mini.model, mini.clip) for p in module.parameters()}
    assert sum(parts.values()) < 20e6
    picture = torch.rand(3, 192, 192)
    encoders = flop_of(lambda: mini.encode(picture))
    assert encoders + flop_of(lambda: mini.model.diffusion(torch.zeros(1, 4, 32, 32), 195, ["up2"])) < 4e9


def test_one_small_dino_stands_for_both_of_the_papers(mini: SketchFusion) -> None:
    dino, second = sketchfusion.load("mini:B-DINO"), sketchfusion.load("mini:B-DINOv2")
    assert (
        isinstance(dino, DinoBaseline) and dino.fingerprint == second.fingerprint and (dino.side, dino.dim) == (64, 192)
    )
    picture = torch.rand(3, 100, 80)
    assert dino.embed(picture).shape == (1, 192) and dino.extract(picture)[0].data.shape == (192, 8, 8)
    every = [*mini.model.parameters(), *mini.clip.parameters(), *dino.dino.parameters()]
    assert sum({p.data_ptr(): p.numel() for p in every}.values()) < 20e6
    assert all(bool(torch.isfinite(p).all()) for p in dino.dino.parameters())


def test_every_weight_is_finite(mini: SketchFusion) -> None:
    for module in (mini.model, mini.clip):
        assert all(bool(torch.isfinite(p).all()) for p in module.parameters())


def test_the_injection_was_trained(mini: SketchFusion) -> None:
    weights = [p for name, p in mini.model.light.injection.named_parameters() if name.endswith("weight")]
    assert len(weights) == 7
    assert all(float(p.abs().max()) > 0 for p in weights)


def test_sketches_of_unseen_things_find_their_photos_better_than_chance(
    mini: SketchFusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count, each in (("PHOTOS", 2), ("SKETCHES", 1)):
        monkeypatch.setattr(f"sketchfusion.lab.datasets.world.{count}", each)
    result = benchmark_retrieval(mini, retrieval_data(SketchWorld()))
    assert result.metrics["mAP@all"].low > result.chance["mAP@all"]


def drawn(category: str, number: int) -> np.ndarray:
    return World().sketch(category, number, 0)[0][:, :, None].repeat(3, axis=2)


def test_three_examples_name_things_that_were_never_seen_drawn(mini: SketchFusion) -> None:
    names = UNSEEN[::3]
    examples = {name: [drawn(name, number) for number in range(3)] for name in names}
    guesses = sketchfusion.recognize(mini, [drawn(name, 900) for name in names], k=1, examples=examples)
    right = [guess[0].label == name for guess, name in zip(guesses, names, strict=True)]
    assert np.mean(right) > 0.7


def test_one_set_of_light_weights_serves_four_tasks_and_one_matches_points(mini: SketchFusion) -> None:
    for task in ("retrieval", "instance-retrieval", "recognition", "segmentation"):
        assert mini.serves(task) and mini.for_task(task) is mini
    assert mini.config.task == "universal" and mini.heads_for("segmentation").threshold is not None
    other = mini.for_task("correspondence")
    assert other.config.task == "correspondence" and other.fingerprint != mini.fingerprint


def test_no_class_of_the_recogniser_is_an_unseen_one(mini: SketchFusion) -> None:
    assert len(mini.classes) == 352 and not [name for name in mini.classes if is_unseen(name)]


def test_recognition_of_seen_things_is_better_than_chance(mini: SketchFusion) -> None:
    names = ["bicycle", "umbrella", "cactus", "t_shirt", "guitar", "fish", "chair", "lighthouse"]
    pictures = [drawn(name, number) for name in names for number in (900, 901)]
    labels = [name.replace("_", " ") for name in names]
    guesses = sketchfusion.recognize(mini, pictures, labels, k=1)
    right = sum(guess[0].label == labels[place // 2] for place, guess in enumerate(guesses))
    assert right / len(pictures) > 2 / len(names)
