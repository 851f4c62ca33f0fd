"""Recognition learned from examples: against cases whose answer is known, and on Sketch World by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.pixels import PixelExtractor
from sketchfusion.cli import app, terminal
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import DatasetError
from sketchfusion.lab.evaluation.recognition import SHOTS, benchmark_examples
from sketchfusion.lab.evaluation.table import measure_task
from sketchfusion.saved import Heads, LinearHead

PLACES = {"left": 0, "middle": 1, "right": 2}


class Thirds(PixelExtractor):
    """How dark each third of a picture is; a classifier that was trained to call everything left, if told so."""

    dim = 3  # type: ignore[assignment]

    def __init__(self, trained: bool = False) -> None:
        super().__init__()
        names = (*sorted(PLACES), "nowhere")
        weight, bias = torch.zeros(4, 3), torch.tensor([5.0, 1.0, 0.0, 9.0])
        self.trained = LinearHead(names, weight, bias) if trained else None

    def maps(self, views):  # type: ignore[no-untyped-def]
        dark = torch.stack([1 - view.square.mean(dim=0) for view in views])
        return torch.nn.functional.adaptive_avg_pool2d(dark[:, None], (1, 3)).transpose(1, 3)

    def heads_for(self, task: str) -> Heads:
        return Heads(classifier=self.trained) if task == "recognition" else Heads()

    def classify(self, images):  # type: ignore[no-untyped-def]
        assert self.trained
        return self.trained(torch.zeros(len(images), 3))


def pictures(each: int, seed: int) -> list[tuple[np.ndarray, str]]:
    rng = np.random.default_rng(seed)
    made = []
    for name, place in PLACES.items():
        for _ in range(each):
            picture = np.full((48, 48, 3), 255, np.uint8)
            top, left = rng.integers(2, 20), 16 * place + rng.integers(0, 6)
            picture[top : top + 20, left : left + 10] = 0
            made.append((picture, name))
    return made


def test_separable_classes_are_learned_in_every_way() -> None:
    found = benchmark_examples(Thirds(), pictures(12, 0), pictures(5, 1))
    ways = ["linear head", *(f"{k}-shot" for k in SHOTS)]
    assert set(found.metrics) == {f"Acc@{k}/{way}" for k in (1, 5) for way in ways}
    assert all(found.metrics[f"Acc@1/{way}"].mean == 1.0 for way in ways)
    assert found.counts == {"pictures": 15, "examples": 36, "labels": 3}
    assert found.trivial["guessing"]["Acc@1"] == pytest.approx(1 / 3)


def test_a_trained_classifier_chooses_among_the_names_at_hand() -> None:
    found = benchmark_examples(Thirds(trained=True), pictures(4, 0), pictures(2, 1))
    assert found.metrics["Acc@1/classifier"].mean == pytest.approx(1 / 3)  # always left, never nowhere
    assert found.rows["left"]["Acc@1"] == 1.0 and found.rows["right"]["Acc@1"] == 0.0
    spelt = [[(picture, f"{name}_(side)") for picture, name in pictures(4, seed)] for seed in (0, 1)]  # as data sets do
    assert benchmark_examples(Thirds(trained=True), *spelt).rows["left_(side)"]["Acc@1"] == 1.0


def test_a_classifier_is_asked_for_the_names_that_training_gave_it() -> None:
    """Sketchy's "car_(sedan)" is learned as "car sedan", beside the "car" of others where there is one."""
    for others in ((), ("car",)):
        model = Thirds()
        names = ("car sedan", "hot air balloon", "door", *others)
        model.trained = LinearHead(names, torch.zeros(len(names), 3), torch.tensor([5.0, 1.0, 0.0, 9.0][: len(names)]))
        spelt = dict(zip(PLACES, ("car_(sedan)", "hot-air_balloon", "door"), strict=True))
        named = [[(picture, spelt[name]) for picture, name in pictures(3, seed)] for seed in (0, 1)]
        assert benchmark_examples(model, *named).rows["car_(sedan)"]["Acc@1"] == 1.0


def test_a_table_compares_features_by_one_head_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    world = datasets.open("world")
    monkeypatch.setattr(world, "named", lambda kind, examples: pictures(12, 0) if examples else pictures(5, 1))
    monkeypatch.setattr("sketchfusion.lab.evaluation.table.labelled_pictures", lambda samples: samples)
    found = measure_task("recognition", Thirds(trained=True), world)
    assert found["Acc@1"] == found["Acc@1/linear head"] != found["Acc@1/classifier"]


def test_one_shot_of_noise_is_chance_and_a_class_without_examples_is_refused() -> None:
    rng = np.random.default_rng(0)
    noise = [(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), name) for name in PLACES for _ in range(40)]
    shuffled = [(noise[n][0], noise[m][1]) for n, m in enumerate(rng.permutation(len(noise)))]
    found = benchmark_examples(Thirds(), noise, shuffled)
    assert found.metrics["Acc@1/1-shot"].mean == pytest.approx(1 / 3, abs=0.12)
    with pytest.raises(ValueError, match="'right' has no example"):
        benchmark_examples(Thirds(), [p for p in pictures(3, 0) if p[1] != "right"], pictures(1, 1))


@pytest.mark.usefixtures("few_categories")
def test_examples_are_other_pictures_than_those_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sketchfusion.lab.datasets.world.EXAMPLES", 2)
    world = datasets.open("world")
    asked, seen = world.named("sketch"), world.named("sketch", examples=True)
    assert {sketch.label for sketch in asked} == {sketch.label for sketch in seen}
    known = {np.asarray(sketch.picture).tobytes() for sketch in asked}
    assert not known & {np.asarray(sketch.picture).tobytes() for sketch in seen}
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "1.png")
    with pytest.raises(DatasetError, match="no held-out part"):
        datasets.open(tmp_path).named("photo", examples=True)


@pytest.mark.usefixtures("few_categories")
def test_the_command_reports_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sketchfusion.models.load", lambda *a, **k: Thirds())
    monkeypatch.setattr("sketchfusion.lab.datasets.world.EXAMPLES", 2)
    asked = ["evaluate", "recognition", "--examples", "--data", "world", "--out", str(tmp_path)]
    assert terminal.run(app, asked) == 0
    [report] = tmp_path.glob("recognition-world-examples-*.json")
    written = json.loads(report.read_text())
    assert 0 <= written["Acc@1/5-shot"] <= 1 and written["labels"] == len(datasets.open("world").names)
