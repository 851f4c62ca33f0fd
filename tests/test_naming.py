"""Naming measured: against a count by hand, and on data in the layouts that people have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sketchfusion import SketchFusion
from sketchfusion.extractor import Look
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import DatasetError, held_out, readable_name
from sketchfusion.lab.datasets.world import SketchWorld
from sketchfusion.lab.evaluation.recognition import benchmark_naming, benchmark_probe
from sketchfusion.world import SEEN, export


class Compass:
    """A joint space of four directions: a picture points as its first pixel says, a text as its last word says."""

    name, fingerprint, labels, classes, logit_scale, joint_dim = "compass", "0" * 64, (), (), 1.0, 4
    directions = ("north", "east", "south", "west")

    def encode_text(self, prompts: list[str]) -> Tensor:
        return torch.eye(4)[[self.directions.index(prompt.split()[-1]) for prompt in prompts]]

    def encode_image(self, images: list[np.ndarray], kind: str = "photo") -> Tensor:
        return torch.nn.functional.normalize(torch.tensor(np.stack([image[0, 0] for image in images])).float(), dim=-1)


def test_ranks_are_counted_over_all_names() -> None:
    pointing = {"north": (3, 2, 1, 0), "east": (3, 2, 1, 0), "west": (3, 2, 1, 0)}
    pictures = [(np.array([[direction]]), name) for name, direction in pointing.items()]
    result = benchmark_naming(Compass(), pictures, Compass.directions, "photo")  # type: ignore[arg-type]
    assert result.to_json()["Acc@1"] == pytest.approx(1 / 3)
    assert result.to_json()["Acc@5"] == 1.0
    assert result.to_json()["chance"] == {"Acc@1": 0.25}
    assert result.rows["north"]["Acc@1"] == 1.0 and result.rows["west"]["Acc@1"] == 0.0
    assert "| north | 1.000 | 1.000 |" in result.to_markdown("recognition", "winds")
    with pytest.raises(ValueError, match="'up' is not among the 4 names"):
        benchmark_naming(Compass(), [(pictures[0][0], "up")], Compass.directions, "photo")  # type: ignore[arg-type]


@pytest.mark.parametrize("spelt", ["उत्तर_दिशा", "bœuf (rôti)", "cafe\u0301"])
def test_names_of_any_script_are_spelt_as_in_training(spelt: str) -> None:
    read: list[str] = []

    class Reader(Compass):
        def encode_text(self, prompts: list[str]) -> Tensor:
            read.extend(prompts)
            return torch.eye(4)[[0] * len(prompts)]

    pictures = [(np.array([[(1, 2, 3, 4)]]), spelt)]
    result = benchmark_naming(Reader(), pictures, [spelt, spelt.upper(), "dog"], "photo")  # type: ignore[arg-type]
    assert f"a photo of a {readable_name(spelt)}" in read
    assert result.counts["labels"] == 2 and result.chance == {"Acc@1": 0.5}  # two folders of one name are one name


class Trained(Compass):
    """One that was also trained to tell east from west, and takes all for east."""

    classes = ("west", "east")

    def look(self, images: list[np.ndarray], kind: str = "sketch") -> Look:
        joint = self.encode_image(images, kind)
        return Look(joint, joint, torch.tensor([[0.0, 9.0]] * len(images)))

    def classify(self, images: list[np.ndarray], kind: str = "sketch") -> Tensor:
        return self.look(images, kind).logits


def test_a_classifier_takes_part_and_zero_shot_is_reported_too() -> None:
    pictures = [(np.array([[torch.eye(4)[n].tolist()]]), name) for n, name in enumerate(Compass.directions)]
    result = benchmark_naming(Trained(), pictures, Compass.directions, "sketch")  # type: ignore[arg-type]
    assert result.metrics["Acc@1/text"].mean == 1.0
    assert result.rows == {name: {"Acc@1": float(name != "west"), "Acc@5": 1.0} for name in sorted(Compass.directions)}
    photos = benchmark_naming(Trained(), pictures, Compass.directions, "photo")  # type: ignore[arg-type]
    assert set(photos.metrics) == {"Acc@1", "Acc@5"} and photos.metrics["Acc@1"].mean == 1.0


def test_a_model_that_cannot_separate_names_reaches_chance() -> None:
    class Blank(Compass):
        def encode_text(self, prompts: list[str]) -> Tensor:
            return torch.eye(4)[[0] * len(prompts)]

    pictures = [(np.array([[(1, 2, 3, 4)]]), "north")] * 400  # wherever its name stands among the names
    result = benchmark_naming(Blank(), pictures, Compass.directions, "photo")  # type: ignore[arg-type]
    assert result.to_json()["Acc@1"] == pytest.approx(0.25, abs=0.07)


def test_only_what_training_never_draws_is_measured(tmp_path: Path) -> None:
    export(tmp_path / "root", 0, ["cat", "car", "windmill"], "all", 12, 64)
    data = datasets.open(tmp_path / "root")
    assert data.names == ["car", "cat"]  # windmills are an unseen class
    stems = [photo.path.stem for photo in data.named("photo")]
    assert 2 <= len(stems) < 12 and all(held_out(stem) for stem in stems)


def test_drawings_of_unseen_classes_are_left_out_but_their_names_stay(tmp_path: Path) -> None:
    for category in ("bus", "scissors"):
        lines = [
            json.dumps({"word": category, "key_id": str(n), "recognized": True, "drawing": [[[0, 9], [n, 200]]]})
            for n in range(40)
        ]
        (tmp_path / f"{category}.ndjson").write_text("\n".join(lines))
    data = datasets.open(tmp_path)
    assert data.names == ["bus", "scissors"]
    drawn = data.named("sketch")
    assert {sketch.label for sketch in drawn} == {"bus"}
    assert len(drawn) == sum(held_out(f"bus:{n}") for n in range(1, 41))
    with pytest.raises(ValueError, match="has no photos"):
        data.named("photo")


def test_tiny_imagenet_is_named_by_its_validation_photos(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "wnids.txt").write_text("n1\nn2\n")
    (tmp_path / "words.txt").write_text("n1\ttabby cat, tabby\nn2\tgoldfish\nn3\tbat\n")
    with pytest.raises(ValueError, match=r"val_annotations.txt is missing"):
        datasets.open(tmp_path).named("photo")
    (tmp_path / "val" / "val_annotations.txt").write_text("a.JPEG\tn2\t0\t0\t9\t9\nb.JPEG\tn1\t0\t0\t9\t9\n")
    data = datasets.open(tmp_path)
    assert data.names == ["tabby cat", "goldfish"]
    assert [(photo.path.name, photo.label) for photo in data.named("photo")] == [
        ("a.JPEG", "goldfish"),
        ("b.JPEG", "tabby cat"),
    ]
    with pytest.raises(ValueError, match="holds photos only"):
        data.named("sketch")


def test_sketch_world_is_named_from_new_objects_of_what_was_trained_on() -> None:
    world = datasets.open("world")
    assert world.names == list(SEEN)
    assert {sketch.label for sketch in world.named("sketch")} == set(SEEN)


def test_probes_tell_classes_of_sketch_world_apart_and_refuse_data_with_too_few(
    model_folder: Path, tmp_path: Path
) -> None:
    model, data = SketchFusion.from_pretrained(str(model_folder)), SketchWorld()
    data.categories = ("bicycle", "cat", "windmill")  # the last one is unseen
    result = benchmark_probe(model, data)
    assert {"CLIP, photo", "CLIP, sketch", "fused, photo", "fused, sketch"} <= set(result.metrics)
    assert result.counts["photos"] == 2 * 8 and result.counts["photos tested"] == 2 * 2
    assert all(0 <= estimate.mean <= 1 for estimate in result.metrics.values())
    export(tmp_path / "root", 0, ["cat"], "seen", 1, 64)
    with pytest.raises(DatasetError, match="too few photos"):
        benchmark_probe(model, datasets.open(tmp_path / "root"))
