"""What a training will take, against what real steps keep; and the command for full-size models, with nothing there."""

from __future__ import annotations

import re
import socket
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Generator, Tensor, nn

from fixtures.roots import training_data
from sketchfusion.cli import app, terminal
from sketchfusion.features import SketchFusion
from sketchfusion.lab.datasets import Dataset
from sketchfusion.lab.training import train as training
from sketchfusion.lab.training.loop import LossOf, Schedule
from sketchfusion.lab.training.methods import Fused
from sketchfusion.lab.training.plan import SIZES, Counted, batch_bytes, kept_views, listed, parts_of
from sketchfusion.lab.training.sources import Sources
from sketchfusion.lab.training.train import choose, train_task
from test_step_memory import saved_bytes

SETTINGS = {
    "retrieval": {"classes": "3"},
    "instance-retrieval": {"classes": "3", "things": "2"},
    "recognition": {"batch": "4"},
    "correspondence": {"batch": "3", "warps": "6", "drawn": "0", "aligned": "0"},
    "segmentation": {"batch": "3"},
}
Shapes = list[list[tuple[int, ...]]]  # of what is kept, at half and at full size
Costs = dict[bool, list[tuple[float, float, float]]]  # with and without checkpointing, at half and at full size


@pytest.fixture(scope="module")
def counted() -> tuple[Counted, Shapes, Costs]:
    models = Counted(Fused.configure("mini", "retrieval", {}), bf16=False)
    shapes = [models.keeping(share)[0] for share in SIZES.values()]
    costs = {False: [models.step(of) for of in shapes]}
    models.method.checkpoint()
    return models, shapes, costs | {True: [models.step(of) for of in shapes]}


class StopError(Exception):
    """Raised once a step has been measured."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return training_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("task", list(SETTINGS))
def test_what_a_step_saves_and_what_is_kept_on_disk_are_foretold(
    task: str,
    counted: tuple[Counted, Shapes, Costs],
    data: list[Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: dict[bool, list[int]] = {False: [], True: []}

    def measure(module: nn.Module, loss_of: LossOf, schedule: Schedule, *_: Any, **__: Any) -> None:
        for step in (0, schedule.steps):  # at half and at full size
            found[checkpointing].append(saved_bytes(partial(loss, loss_of, step))[1])
        raise StopError

    monkeypatch.setattr(training, "fit", measure)
    for checkpointing in found:
        with pytest.raises(StopError):
            train_task(task, data, tmp_path, "mini", settings=SETTINGS[task], checkpointing=checkpointing)
    models, shapes, costs = counted
    recipe = choose(task, "SketchFusion", SETTINGS[task])[0]
    for way, measured in found.items():
        for share, (saved, more, _), real in zip(SIZES.values(), costs[way], measured, strict=True):
            numbers = models.method.width * models.method.grid(share) ** 2
            foretold = batch_bytes(parts_of(task, recipe), saved, more, numbers)[1]
            assert foretold == pytest.approx(real, rel=0.15), (way, share, foretold / real)
    arrays = [np.load(path, mmap_mode="r") for path in (tmp_path / "training" / "cache").glob("*.npy")]
    kept = sum(array.nbytes for array in arrays if array.dtype == np.float16)
    sources = Sources.of(data, tmp_path)
    views = kept_views(task, recipe, sources, listed(sources.named(sources.pictures.photo_sets)))
    most = sum(2 * count * sum(map(prod, of)) for count, of in zip(views, shapes, strict=True))
    assert 0.4 * most <= kept <= most  # less where photos have too few sketches for a silhouette


def loss(loss_of: LossOf, step: int) -> Tensor:
    return loss_of(step, Generator().manual_seed(0))["loss"]


def test_models_in_folders_have_as_many_weights_as_when_they_are_loaded(sd_folder: Path, clip_folder: Path) -> None:
    config = Fused.configure(f"{sd_folder}+{clip_folder}", "retrieval", {"fusion.width": "32"})
    models, real = Counted(config), SketchFusion.untrained(config=config)
    parts = (*real.model.diffusion.parameters(), *real.clip.parameters())
    assert models.weights == sum(of.numel() for of in parts)
    assert models.trained == sum(of.numel() for of in real.model.light.parameters())


def test_the_plan_of_full_models_needs_neither_weights_nor_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Takes 40 seconds of one core, half of them to import the libraries."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert terminal.run(app, ["train", "retrieval", "--model", "full", "--data", "world", "--plan"]) == 0
    lines, _ = capsys.readouterr()
    assert list(here.iterdir()) == []
    # 865,910,724 and 83,653,863 in the UNet and the VAE of Stable Diffusion 2.1, 427,616,513 in CLIP ViT-L/14
    assert "1,377,181,100 frozen in bfloat16, 12,738,883 trained" in lines
    saved = [float(of) for of in re.findall(r"([0-9.]+) GiB saved", lines)]  # half, full, and with checkpointing
    assert saved[:2] == pytest.approx([0.18, 0.62], rel=0.15)  # as first counted, by another script
    assert all(less < 0.6 * more for more, less in zip(saved[:2], saved[2:], strict=True))
    peaks = re.findall(r"^(\d+) GiB.*, ([0-9.]+) GiB$", lines, re.MULTILINE)
    assert [card for card, _ in peaks] == ["24", "24", "48", "48", "80", "80"]
    assert all(float(peak) < float(card) for card, peak in peaks)
    assert "accumulate=" in next(line for line in lines.splitlines() if line.startswith("24 GiB:"))


def test_only_what_is_counted_has_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.run(app, ["train", "retrieval", "--data", "world"]) == terminal.WRONG
    assert "say with --out which folder to write" in capsys.readouterr().err
    arguments = ["train", "retrieval", "--data", "world", "--plan", "--method", "SD-PL"]
    assert terminal.run(app, arguments) == terminal.WRONG
    assert "--plan counts SketchFusion, not SD-PL" in capsys.readouterr().err
