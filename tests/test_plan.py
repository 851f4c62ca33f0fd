"""What a training will take, against what real steps keep; and the command for full-size models, with nothing there."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from fixtures.roots import training_data
from sketchfusion.cli import app, terminal
from sketchfusion.features import SketchFusion
from sketchfusion.lab.datasets import Dataset
from sketchfusion.lab.training import train as training
from sketchfusion.lab.training.loop import Draw, LossOf, Schedule
from sketchfusion.lab.training.methods import Fused
from sketchfusion.lab.training.plan import SIZES, Counted, batch_bytes, decoded_bytes, kept_views, listed, parts_of
from sketchfusion.lab.training.plan import saved_bytes as saved_in_plan
from sketchfusion.lab.training.recipes import RetrievalRecipe
from sketchfusion.lab.training.sources import Sources, named
from sketchfusion.lab.training.train import choose, train_task
from test_step_memory import saved_bytes

# Of the UNet and the VAE of Stable Diffusion 2.1 and of CLIP ViT-L/14, 865,910,724 and 83,653,863 and 427,616,513.
FULL = 1_377_181_100, 12_738_883
SETTINGS = {
    "retrieval": {"classes": "3", "views": "2"},
    "instance-retrieval": {"classes": "3", "things": "2", "views": "1"},
    "recognition": {"batch": "4", "views": "1"},
    "correspondence": {"batch": "3", "warps": "6", "drawn": "0", "aligned": "0"},
    "segmentation": {"batch": "3"},
}
MAPS = {"side": "128", "fusion.grid": "32", "fusion.width": "256"}  # mini's, as much larger than all else as they are
Shapes = list[list[tuple[int, ...]]]  # of what is kept, at half and at full size
# Whether features are computed anew on the way back, and at which size: either way and either size are tried.
WAYS = {False: "full", True: "half"}
Costs = dict[bool, tuple[float, float, float]]


@pytest.fixture(scope="module")
def pair(sd_folder: Path, clip_folder: Path) -> str:
    return f"{sd_folder}+{clip_folder}"


@pytest.fixture(scope="module")
def counted(pair: str) -> tuple[Counted, Shapes, Costs]:
    models = Counted(Fused.configure(pair, "retrieval", MAPS), bf16=False)
    shapes = {size: models.keeping(share)[0] for size, share in SIZES.items()}
    costs = {False: models.step(shapes[WAYS[False]])}
    models.method.checkpoint()
    return models, [*shapes.values()], costs | {True: models.step(shapes[WAYS[True]])}


class StopError(Exception):
    """Raised once a step has been measured."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return training_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("task", list(SETTINGS))
def test_what_a_step_saves_and_what_is_kept_on_disk_are_foretold(
    task: str,
    pair: str,
    counted: tuple[Counted, Shapes, Costs],
    data: list[Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = (False,) if task in ("instance-retrieval", "recognition") else (False, True)  # as retrieval
    found: dict[bool, int] = {}

    def measure(module: nn.Module, loss_of: LossOf, schedule: Schedule, *others: Any) -> None:
        step = 0 if WAYS[checkpointing] == "half" else schedule.steps
        found[checkpointing] = saved_bytes(partial(loss, loss_of, step, others[-1]))[1]
        raise StopError

    monkeypatch.setattr(training, "fit", measure)
    for checkpointing in ways:
        with pytest.raises(StopError):
            train_task(task, data, tmp_path, pair, settings=SETTINGS[task] | MAPS, checkpointing=checkpointing)
    models, shapes, costs = counted
    recipe = choose(task, "SketchFusion", SETTINGS[task])[0]
    for way, real in found.items():
        saved, more, _ = costs[way]
        numbers = models.method.width * models.method.grid(SIZES[WAYS[way]]) ** 2
        foretold = batch_bytes(parts_of(task, recipe), saved, more, numbers)[1]
        assert foretold == pytest.approx(real, rel=0.15), (way, foretold / real)
    arrays = [np.load(path, mmap_mode="r") for path in (tmp_path / "training" / "cache").rglob("*.npy")]
    kept = sum(array.nbytes for array in arrays if array.dtype == np.float16)
    sources, side = Sources.of(data, tmp_path), models.method.model.side
    by_name = listed(named(sources.pictures.photo_sets))
    pixels = sum(array.nbytes for array in arrays if array.dtype == np.uint8)
    assert pixels <= decoded_bytes(parts_of(task, recipe), sources, by_name, side) <= 6 * pixels
    views = kept_views(task, recipe, sources, by_name)
    most = sum(2 * count * sum(map(prod, of)) for count, of in zip(views, shapes, strict=True))
    assert 0.4 * most <= kept <= most  # less where photos have too few sketches for a silhouette


def loss(loss_of: LossOf, step: int, draw: Draw) -> Tensor:
    return loss_of(step, draw(step, Generator().manual_seed(0)))["loss"]


def test_weights_are_not_among_what_is_saved_of_a_picture() -> None:
    """Not transposed ones either, as a linear layer keeps: a tenth of a picture at full size."""
    frozen, row = nn.Linear(64, 32).requires_grad_(False), torch.ones(1, 64, requires_grad=True)
    assert saved_in_plan(lambda: frozen(row), frozen)[1] == 0
    assert saved_in_plan(lambda: frozen(row).exp(), frozen)[1] == 4 * 32


def test_models_in_folders_have_as_many_weights_as_when_they_are_loaded(sd_folder: Path, clip_folder: Path) -> None:
    config = Fused.configure(f"{sd_folder}+{clip_folder}", "retrieval", {"fusion.width": "32"})
    models, real = Counted(config), SketchFusion.untrained(config=config)
    parts = (*real.model.diffusion.parameters(), *real.clip.parameters())
    assert models.weights == sum(of.numel() for of in parts)
    assert models.trained == sum(of.numel() for of in real.model.light.parameters())


def test_full_models_have_as_many_weights_as_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    models = Counted(Fused.configure("full", "retrieval", {}))
    assert (models.weights, models.trained) == FULL


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """What is printed for a model, where there is no network; nothing may be written."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def of(model: str) -> str:
        assert terminal.run(app, ["train", "retrieval", "--model", model, "--data", "world", "--plan"]) == 0
        assert list(here.iterdir()) == []
        return capsys.readouterr().out

    return of


@pytest.mark.usefixtures("unmeasured")
def test_the_command_says_what_each_card_can_take(pair: str, plan: Callable[[str], str]) -> None:
    lines = plan(pair)
    saved = [float(of) for of in re.findall(r"([0-9.]+) GiB saved", lines)]
    assert len(saved) == 4 and all(less <= more for more, less in zip(saved[:2], saved[2:], strict=True))
    assert lines.count("GiB: the batch as it is") == 3 and lines.count("GiB --checkpointing: the batch as it is") == 3
    assert "with latents, 0 with nothing" in lines and "time --checkpointing: " in lines
    assert re.search(r"time: [0-9.]+ h at [0-9.]+ TFLOP/s with --keep all, [0-9.]+ with latents,", lines)


@pytest.mark.usefixtures("unmeasured")
def test_time_counts_what_is_made_anew_in_each_step(
    pair: str, plan: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --keep latents CLIP's tokens are; 10**15 operations a picture are more than all else."""
    counted = Counted.keeping

    def dear(models: Counted, share: float) -> tuple[list[tuple[int, ...]], list[float]]:
        shapes, flop = counted(models, share)
        return shapes, [flop[0], 1e15]

    monkeypatch.setattr(Counted, "keeping", dear)
    once, anew = (float(of) for of in re.findall(r"time: ([0-9.]+) h .* all, ([0-9.]+) with", plan(pair))[0])
    recipe = RetrievalRecipe()
    pictures = recipe.steps * recipe.accumulate * 2 * recipe.classes
    assert anew == pytest.approx(pictures * 1e15 / 1e14 / 3600, rel=0.1)
    assert once < anew


@pytest.mark.slow
def test_the_plan_of_full_models_needs_neither_weights_nor_a_network(plan: Callable[[str], str]) -> None:
    lines = plan("full")
    assert "{:,} frozen in bfloat16, {:,} trained".format(*FULL) in lines
    disk = re.search(r"at most ([0-9.]+) GB with --keep all, ([0-9.]+) with latents, 0 with nothing", lines)
    assert disk and float(disk[1]) > 10 * float(disk[2]) > 0
    saved = [float(of) for of in re.findall(r"([0-9.]+) GiB saved", lines)]  # half, full, and with checkpointing
    assert saved == pytest.approx([0.144, 0.532, 0.028, 0.108], rel=0.08)  # as another script counted, without weights
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
