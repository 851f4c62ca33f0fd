"""The training loop: kills, resumptions, bad losses."""

from __future__ import annotations

import csv
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sketchfusion.lab.training.log import draw_curves
from sketchfusion.lab.training.loop import CHECKPOINT, Checkpoint, Losses, Schedule, fit

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
    fit(whole, regression(whole), SCHEDULE, tmp_path / "whole")
    with pytest.raises(Killed):
        fit(broken, regression(broken, dies_at=7), SCHEDULE, tmp_path / "broken")
    resumed = fresh()
    fit(resumed, regression(resumed), SCHEDULE, tmp_path / "broken", resume=True)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name])
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


def test_a_moving_average_is_kept_only_where_the_schedule_has_one(tmp_path: Path) -> None:
    module = fresh()
    start = module.weight.detach().clone()
    fit(module, regression(module), replace(SCHEDULE, average=0.0), tmp_path)
    assert not any(name.startswith("average.") for name in Checkpoint.read(tmp_path / CHECKPOINT).tensors)
    fit(averaged := fresh(), regression(averaged), SCHEDULE, tmp_path)
    saved = Checkpoint.read(tmp_path / CHECKPOINT).tensors
    assert torch.equal(saved["model.weight"], module.weight) and torch.equal(saved["average.weight"], averaged.weight)
    assert not torch.equal(averaged.weight, module.weight) and not torch.equal(averaged.weight, start)


def test_training_changes_only_trainable_weights(tmp_path: Path) -> None:
    module = fresh()
    module.bias.requires_grad_(False)
    before = module.bias.clone()
    fit(module, regression(module), replace(SCHEDULE, steps=400, checkpoint_seconds=60.0), tmp_path)
    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / "log.csv").open())]
    assert losses[-1] < losses[0] / 100
    assert torch.equal(module.bias, before)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    module = fresh()

    def loss_of(step: int, generator: torch.Generator) -> Losses:
        loss = regression(module)(step, generator)["loss"]
        return {"loss": loss * float("nan") if step == 5 else loss}

    with pytest.raises(ValueError, match="loss of batch 5 is not finite; the last good checkpoint is kept"):
        fit(module, loss_of, SCHEDULE, tmp_path)
    assert Checkpoint.read(tmp_path / "checkpoint.safetensors").step == 5


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(tmp_path: Path) -> None:
    module = fresh()

    def loss_of(step: int, generator: torch.Generator, bad: int = 5) -> Losses:
        loss = regression(module)(step, generator)["loss"]
        return {"loss": loss + (0 * module.weight).square().sum().sqrt() if step == bad else loss}

    with pytest.raises(ValueError, match="gradient of batch 5 is not finite; the last good checkpoint is kept"):
        fit(module, loss_of, SCHEDULE, tmp_path)
    saved = Checkpoint.read(tmp_path / CHECKPOINT)
    assert saved.step == 5 and bool(saved.tensors["model.weight"].isfinite().all())
    assert torch.equal(saved.tensors["model.weight"], module.weight)
    with pytest.raises(ValueError, match="gradient of batch 0 is not finite; there is no checkpoint yet"):
        fit(module, lambda step, generator: loss_of(step, generator, bad=0), SCHEDULE, tmp_path / "new")


def test_weights_that_are_not_finite_are_never_kept(tmp_path: Path) -> None:
    module = fresh()

    def loss_of(step: int, generator: torch.Generator) -> Losses:
        losses = regression(module)(step, generator)
        if step == 3:
            module.bias.data.fill_(torch.inf)
        return losses

    with pytest.raises(ValueError, match="weights after batch 3 are not finite; the last good checkpoint is kept"):
        fit(module, loss_of, SCHEDULE, tmp_path)
    saved = Checkpoint.read(tmp_path / CHECKPOINT)
    assert saved.step == 3 and bool(saved.tensors["model.weight"].isfinite().all())


def test_a_checkpoint_made_with_other_settings_is_refused(tmp_path: Path) -> None:
    module = fresh()
    fit(module, regression(module), SCHEDULE, tmp_path, settings={"lr": "0.05", "class 0": "cat"})
    longer = replace(SCHEDULE, steps=14)
    with pytest.raises(
        ValueError, match=r"was trained with lr=0\.05, not 0\.1; leave --resume out or ask for the same"
    ):
        fit(module, regression(module), longer, tmp_path, resume=True, settings={"lr": "0.1"})
    with pytest.raises(ValueError, match="was trained with class 0=cat, not dog"):
        fit(module, regression(module), longer, tmp_path, resume=True, settings={"lr": "0.05", "class 0": "dog"})
    fit(module, regression(module), longer, tmp_path, resume=True, settings={"lr": "0.05", "newer": "1"})
    assert Checkpoint.read(tmp_path / CHECKPOINT).step == 14


@pytest.mark.parametrize("cut", ["1", "11,0.", ","])
def test_a_row_that_a_full_disk_cut_short_is_dropped(cut: str, tmp_path: Path) -> None:
    module = fresh()
    fit(module, regression(module), SCHEDULE, tmp_path)
    path = tmp_path / "log.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]) + cut)
    fit(module, regression(module), replace(SCHEDULE, steps=13), tmp_path, resume=True)
    assert [row["step"] for row in csv.DictReader(path.open())] == [*map(str, range(11)), "12"]
    draw_curves(path, tmp_path / "curve.svg")


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


def test_a_time_limit_skips_steps_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, seen, module = [0.0], [], fresh()
    monkeypatch.setattr("sketchfusion.lab.training.loop.time.monotonic", lambda: now[0])
    learn = regression(module)

    def slow(step: int, generator: torch.Generator) -> Losses:
        now[0] += 1.0
        seen.append(step)
        return learn(step, generator)

    timed = replace(SCHEDULE, steps=100, seconds=10.0)
    fit(module, slow, timed, tmp_path)
    assert seen == list(range(0, 100, 10))
    assert timed.rate(seen[-1]) < 0.05 * timed.lr  # the schedule has come to its end
    fit(fresh(), slow, replace(timed, seconds=1e6), tmp_path / "ample")
    assert seen[10:] == list(range(100))


def test_every_batch_of_a_step_is_drawn_from_a_seed_of_its_own() -> None:
    schedule = replace(SCHEDULE, seed=7)
    drawn = [torch.rand(4, generator=schedule.generator(step, batch)) for step in range(20) for batch in range(8)]
    assert len({tuple(numbers.tolist()) for numbers in drawn}) == len(drawn)
    again = torch.rand(4, generator=schedule.generator(3, 2))
    assert torch.equal(again, drawn[3 * 8 + 2])


def test_accumulated_batches_differ(tmp_path: Path) -> None:
    module, seen = fresh(), []

    def loss_of(step: int, generator: torch.Generator) -> Losses:
        seen.append(torch.rand(1, generator=generator).item() + torch.rand(1).item())
        return {"loss": module(torch.ones(1, 4)).square().mean()}

    fit(module, loss_of, replace(SCHEDULE, steps=2, accumulate=3), tmp_path)
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_batch_is_drawn_while_the_one_before_is_computed(accumulate: int, tmp_path: Path) -> None:
    """All of a run but the first, in their order; the curve is that of batches that are drawn in turn."""
    schedule = replace(SCHEDULE, accumulate=accumulate)
    count, drawn, seen, threads = 12 * accumulate, [], [], set()
    more = [threading.Event() for _ in range(count + 1)]
    module, alone = fresh(), fresh()
    learn = regression(module)

    def draw(step: int, generator: torch.Generator) -> tuple[int, torch.Generator]:
        threads.add(threading.current_thread())
        drawn.append(step)
        more[len(drawn) - 1].set()
        return step, generator

    def loss_of(step: int, batch: tuple[int, torch.Generator]) -> Losses:
        assert batch[0] == step
        seen.append(step)
        assert len(seen) == count or more[len(seen)].wait(30), "the next batch waits for this one"
        return learn(step, batch[1])

    fit(module, loss_of, schedule, tmp_path / "ahead", draw=draw)
    fit(alone, regression(alone), schedule, tmp_path / "alone")
    assert drawn == seen == [step for step in range(12) for _ in range(accumulate)]
    assert torch.equal(module.weight, alone.weight)
    assert not any(thread.is_alive() for thread in threads) and threading.current_thread() not in threads


@pytest.mark.parametrize("failing", ["draw", "loss"])
def test_what_fails_in_either_thread_ends_the_run(failing: str, tmp_path: Path) -> None:
    """With its own error, when its batch comes; neither thread waits for the other for ever."""
    module, before = fresh(), threading.active_count()

    def draw(step: int, generator: torch.Generator) -> torch.Generator:
        if step == 5 and failing == "draw":
            raise OSError("no such block")
        return generator

    with pytest.raises(OSError if failing == "draw" else Killed):
        fit(module, regression(module, dies_at=5), SCHEDULE, tmp_path, draw=draw)
    assert threading.active_count() == before
    assert Checkpoint.read(tmp_path / CHECKPOINT).step == 5


def test_a_validation_on_a_skipped_step_is_made_up_for() -> None:
    timed = replace(SCHEDULE, steps=100, seconds=10.0, validate_every=25)
    taken = [0, 7, 14, 21, 28, 51, 74, 97, 100]  # where it goes on after the step before
    assert [b for a, b in pairwise(taken) if timed.validates_between(a, b)] == [28, 51, 97, 100]
    assert not replace(timed, validate_every=0).validates_between(0, 100)


def test_the_best_weights_by_validation_are_kept_and_training_stops_early(tmp_path: Path) -> None:
    module = fresh()
    told, weights = iter([3.0, 1.0, 2.0, 1.5, 0.5]), []

    def validate() -> dict[str, float]:
        assert not module.training
        weights.append(module.weight.detach().clone())
        return {"loss": next(told), "other": 7.0}

    schedule = replace(SCHEDULE, validate_every=2, patience=2)
    fit(module, regression(module), schedule, tmp_path, validate=validate)
    assert torch.equal(module.weight, weights[1])
    assert Checkpoint.read(tmp_path / CHECKPOINT).step == 8  # of 12
    rows = list(csv.DictReader((tmp_path / "validation.csv").open()))
    assert [(row["step"], row["loss"], row["other"]) for row in rows] == [
        ("2", "3", "7"), ("4", "1", "7"), ("6", "2", "7"), ("8", "1.5", "7"),
    ]  # fmt: skip
    again = fresh()
    fit(again, regression(again), schedule, tmp_path, resume=True, validate=validate)  # has nothing left to do
    assert torch.equal(again.weight, weights[1])
    assert len(weights) == 4


def test_a_checkpoint_without_notes_is_read(tmp_path: Path) -> None:
    """Tensors of model, average and optimiser, and nothing but the step beside them."""
    whole, module = fresh(), fresh()
    fit(whole, regression(whole), SCHEDULE, tmp_path / "whole")
    with pytest.raises(Killed):
        fit(module, regression(module, dies_at=7), SCHEDULE, tmp_path)
    saved = Checkpoint.read(tmp_path / CHECKPOINT)
    save_file(saved.tensors, tmp_path / CHECKPOINT, {"step": str(saved.step)})
    resumed = fresh()
    fit(resumed, regression(resumed), SCHEDULE, tmp_path, resume=True, frozen="abc", settings={"lr": "7"})
    assert torch.equal(resumed.weight, whole.weight)


def test_curves_go_to_tensorboard_too(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    module = fresh()
    schedule = replace(SCHEDULE, validate_every=6)
    fit(module, regression(module), schedule, tmp_path, validate=lambda: {"loss": 1.0})
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    rows = csv.DictReader((tmp_path / "log.csv").open())
    assert [event.value for event in events.Scalars("training/loss")] == [
        pytest.approx(float(row["loss"]), rel=1e-4) for row in rows
    ]
    assert [(event.step, event.value) for event in events.Scalars("validation/loss")] == [(6, 1.0), (12, 1.0)]
