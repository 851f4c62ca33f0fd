"""The training loop: kills, resumptions, bad losses."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from sketchfusion.training.checkpoint import Checkpoint
from sketchfusion.training.loop import Losses, Schedule, fit

SCHEDULE = Schedule(steps=12, lr=0.05, warmup=3, average=0.9, checkpoint_seconds=0.0)


class Killed(Exception):
    """Stands for a process that dies."""


def regression(module: nn.Module, dies_at: int = -1):
    truth = torch.arange(8.0).view(2, 4)

    def loss_of(step: int, generator: torch.Generator) -> Losses:
        if step == dies_at:
            raise Killed
        x = torch.randn(16, 4, generator=generator)
        return {"loss": (module(x) - x @ truth.T).square().mean()}

    return loss_of


def fresh() -> nn.Module:
    torch.manual_seed(3)
    return nn.Linear(4, 2)


def test_a_killed_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    whole, broken = fresh(), fresh()
    average = fit(whole, regression(whole), SCHEDULE, tmp_path / "whole")
    with pytest.raises(Killed):
        fit(broken, regression(broken, dies_at=7), SCHEDULE, tmp_path / "broken")
    resumed = fresh()
    again = fit(resumed, regression(resumed), SCHEDULE, tmp_path / "broken", resume=True)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name])
        assert torch.equal(average[name], again[name])
    rows = [
        [row["step"], row["loss"]]
        for folder in ("whole", "broken")
        for row in csv.DictReader((tmp_path / folder / "log.csv").open())
    ]
    assert rows[:12] == rows[12:]


def test_without_resume_a_run_starts_again(tmp_path: Path) -> None:
    first = fresh()
    fit(first, regression(first), SCHEDULE, tmp_path)
    second = fresh()
    fit(second, regression(second), replace(SCHEDULE, steps=1), tmp_path)
    assert len(list(csv.DictReader((tmp_path / "log.csv").open()))) == 1


def test_training_learns_and_only_what_may_move_moves(tmp_path: Path) -> None:
    module = fresh()
    module.bias.requires_grad_(False)
    before = module.bias.clone()
    fit(module, regression(module), replace(SCHEDULE, steps=400), tmp_path)
    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / "log.csv").open())]
    assert losses[-1] < losses[0] / 100
    assert torch.equal(module.bias, before)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    module = fresh()

    def loss_of(step: int, generator: torch.Generator) -> Losses:
        loss = regression(module)(step, generator)["loss"]
        return {"loss": loss * float("nan") if step == 5 else loss}

    with pytest.raises(ValueError, match="batch 5 is not finite"):
        fit(module, loss_of, SCHEDULE, tmp_path)
    assert Checkpoint.read(tmp_path / "checkpoint.safetensors").step == 5


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"\x80\x04 not safetensors")
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        Checkpoint.read(path)


def test_the_rate_warms_up_and_decays() -> None:
    schedule = Schedule(steps=100, lr=1.0, warmup=10)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.02
