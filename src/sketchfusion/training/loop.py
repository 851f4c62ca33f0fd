"""The one training loop: seeded, resumable, with a moving average of the weights and a CSV of every loss."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sketchfusion.training.checkpoint import Checkpoint, gather, restore

Losses = dict[str, Tensor]  # "loss" is what is minimised; the others are only written down
Report = Callable[[int, int, dict[str, float]], None]  # (steps done, steps in all, losses)
LossOf = Callable[[int, torch.Generator], Losses]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: AdamW, linear warm-up, cosine decay to one hundredth."""

    steps: int
    lr: float
    weight_decay: float = 0.05
    warmup: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0  # largest gradient norm
    average: float = 0.999  # decay of the moving average of the weights
    seed: int = 0
    checkpoint_seconds: float = 120.0

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def fit(
    module: nn.Module,
    loss_of: LossOf,
    schedule: Schedule,
    out: Path,
    resume: bool = False,
    report: Report | None = None,
) -> dict[str, Tensor]:
    """Train `module` in place and return the moving average of its trainable weights.

    `loss_of(step, generator)` draws its batch from the generator alone, so a run that was killed and resumed sees the
    batches it would have seen. A loss that is not finite stops the run: ValueError, the last checkpoint stays.
    """
    weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
    decayed = [p for p in weights.values() if p.ndim > 1]
    plain = [p for p in weights.values() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=schedule.lr,
        betas=schedule.betas,
    )
    average = {name: p.detach().clone() for name, p in weights.items()}
    path, start = out / "checkpoint.safetensors", 0
    if resume and path.is_file():
        saved = Checkpoint.read(path)
        restore(saved.tensors, module, optimiser, average)
        start = saved.step
    out.mkdir(parents=True, exist_ok=True)

    def save(step: int) -> None:
        Checkpoint(step, gather(module, optimiser, average)).write(path)

    saved_at = time.monotonic()
    with Log(out / "log.csv", keep=start) as log:
        for step in range(start, schedule.steps):
            losses = _step(module, optimiser, loss_of, schedule, step)
            # a young average forgets faster, so that it is never dominated by the random start
            decay = min(schedule.average, (1 + step) / (10 + step))
            with torch.no_grad():
                for name, weight in weights.items():
                    average[name].lerp_(weight, 1 - decay)
            log.write(step, schedule.rate(step), losses)
            if report:
                report(step + 1, schedule.steps, losses)
            if time.monotonic() - saved_at > schedule.checkpoint_seconds:
                save(step + 1)
                saved_at = time.monotonic()
    save(max(start, schedule.steps))
    return average


def _step(
    module: nn.Module, optimiser: torch.optim.Optimizer, loss_of: LossOf, schedule: Schedule, step: int
) -> dict[str, float]:
    for group in optimiser.param_groups:
        group["lr"] = schedule.rate(step)
    generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + step)
    device = next(module.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):  # on a CPU it is slower
        losses = loss_of(step, generator)
    if not torch.isfinite(losses["loss"]):
        raise ValueError(f"the loss of batch {step} is not finite; the last good checkpoint is kept")
    optimiser.zero_grad(set_to_none=True)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for p in module.parameters() if p.grad is not None], schedule.clip)
    optimiser.step()
    return {name: float(value.detach()) for name, value in losses.items()}


class Log:
    """`log.csv`: one row per step; a resumed run drops the rows after its checkpoint."""

    def __init__(self, path: Path, keep: int) -> None:
        self._path = path
        rows = list(csv.reader(path.open())) if keep and path.is_file() else []
        self._rows = [row for row in rows if row[0] == "step" or int(row[0]) < keep]
        self._started = time.monotonic()

    def __enter__(self) -> Log:
        self._file = self._path.open("w", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerows(self._rows)
        return self

    def write(self, step: int, rate: float, losses: dict[str, float]) -> None:
        if not self._rows:
            self._rows = [["step", "seconds", "rate", *losses]]
            self._writer.writerows(self._rows)
        seconds = f"{time.monotonic() - self._started:.1f}"
        self._writer.writerow([step, seconds, f"{rate:.3g}", *(f"{value:.5g}" for value in losses.values())])
        if step % 20 == 0:
            self._file.flush()

    def __exit__(self, *_: object) -> None:
        self._file.close()
