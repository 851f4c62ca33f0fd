"""The one training loop: seeded, resumable bit for bit, on one process or several, with best weights by validation."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor, nn

from .checkpoint import Checkpoint, gather, restore, restore_model
from .log import Log
from .processes import processes

# Ctrl-C and termination wait for the end of a step, so that what is saved is never half a step.


ASKING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_asked() -> Iterator[threading.Event]:
    """Give an event that is set when someone asks the process to stop; the second time it stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals belong to the main thread
        yield asked
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, hear) for number in ASKING}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


Losses = dict[str, Tensor]  # "loss" is what is minimised; the others are only written down
Report = Callable[[int, int, dict[str, float]], None]  # (steps done, steps in all, losses)
LossOf = Callable[[int, torch.Generator], Losses]
Validate = Callable[[], dict[str, float]]  # "loss" decides which weights are best

CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"


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
    bf16: bool = False  # also on a CPU, where it has instructions for it; a CUDA device always computes in it
    seed: int = 0
    checkpoint_seconds: float = 120.0
    accumulate: int = 1  # batches of a step, and of each process
    validate_every: int = 0  # steps; 0 is never
    patience: int = 0  # validations without a better one before training stops; 0 is no limit
    seconds: float = 0.0  # steps are left out, evenly, where they would take longer in all; 0 is no limit

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def validates_between(self, step: int, following: int) -> bool:
        """Whether the weights are validated after `step`, before the step that follows, which need not be the next."""
        every = self.validate_every
        return every > 0 and (following // every > step // every or following == self.steps)

    def after(self, step: int, seconds: float) -> int:
        """The step that comes after `step` where there is a limit of time, `seconds` after the first one began."""
        return min(self.steps, max(step + 1, int(self.steps * seconds / self.seconds)))

    def generator(self, step: int, batch: int) -> torch.Generator:
        """What draws a batch of a step; batches are counted over all processes."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + step + (batch << 40))


def fit(
    module: nn.Module,
    loss_of: LossOf,
    schedule: Schedule,
    out: Path,
    resume: bool = False,
    report: Report | None = None,
    validate: Validate | None = None,
    frozen: str = "",
    settings: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Train `module` in place and return the moving average of its trainable weights.

    `loss_of(step, generator)` draws its batch from the generator alone, or from torch's own, which is seeded by the
    step too: so a run that was killed and resumed sees what it would have seen. Under torchrun every process draws
    batches of its own, and a step takes the mean of all their gradients. With `validate`, whose "loss" decides, the
    module ends with the best weights, otherwise with the last. `frozen` names the weights that are not trained,
    `settings` what else shapes what is learned; a checkpoint made for others is refused. Where the schedule has a limit
    of time, what is left out depends on the machine, so neither a seed nor a resumed run gives the same again.

    ValueError for a loss, a gradient or weights that are not finite, and KeyboardInterrupt after the step in which
    Ctrl-C or a termination came; the checkpoint in `out` is good in either case.
    """
    team = processes()
    weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
    optimiser = _optimiser(weights, schedule)
    average = {name: p.detach().clone() for name, p in weights.items()}
    path, step, best = out / CHECKPOINT, 0, Best()
    if resume and path.is_file():
        saved = Checkpoint.read(path)
        saved.expect(frozen, settings or {}, path)
        restore(saved, module, optimiser, average, path)
        step, best = saved.step, Best.read(saved.notes)
    out.mkdir(parents=True, exist_ok=True)

    def save(log: Log | None) -> None:
        if not all(bool(weight.isfinite().all()) for weight in weights.values()):
            raise ValueError(f"the weights after batch {step - 1} are not finite; {_kept(path)}")
        if log:
            log.flush()  # first, so that a resumed run finds the rows of all steps before its checkpoint
            state = gather(module, optimiser, average)
            notes = {"frozen": frozen, "settings": json.dumps(dict(settings or {})), **best.notes()}
            Checkpoint(step, state, notes).write(path)

    saved_at = time.monotonic()
    started = saved_at - schedule.seconds * step / schedule.steps
    with _log(out, step) as log, stop_asked() as asked, torch.random.fork_rng():
        while step < schedule.steps and not best.stale(schedule):
            losses, stop = _step(module, optimiser, loss_of, schedule, step, asked.is_set(), path)
            # a young average forgets faster, so that it is never dominated by the random start
            decay = min(schedule.average, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.values()), list(weights.values()), 1 - decay)
            if log:
                log.write(step, schedule.rate(step), losses)
            before, step = step, step + 1
            if schedule.seconds:
                step = team.said(schedule.after(before, time.monotonic() - started))
            if report and team.first:
                report(step, schedule.steps, losses)
            if validate and schedule.validates_between(before, step):
                best = _validated(module, validate, best, step, out, log)
            if stop or time.monotonic() - saved_at > schedule.checkpoint_seconds:
                save(log)
                saved_at = time.monotonic()
            if stop:
                raise KeyboardInterrupt
        save(log)
    if best.step:
        restore_model(Checkpoint.read(out / BEST), module, out / BEST)
    return average


@dataclass(frozen=True)
class Best:
    """The best validation so far: its loss, after how many steps it was, and how many worse ones came since."""

    loss: float = math.inf
    step: int = 0
    since: int = 0

    def stale(self, schedule: Schedule) -> bool:
        """Whether training has gone on for too long without a better one."""
        return 0 < schedule.patience <= self.since

    def notes(self) -> dict[str, str]:
        """As text, exactly."""
        return {"best": " ".join([self.loss.hex(), str(self.step), str(self.since)])}

    @classmethod
    def read(cls, notes: dict[str, str]) -> Best:
        """From the notes of a checkpoint; checkpoints of older versions have none."""
        if "best" not in notes:
            return cls()
        loss, step, since = notes["best"].split()
        return cls(float.fromhex(loss), int(step), int(since))


def computes_in_bf16(device: torch.device, schedule: Schedule) -> bool:
    """Whether a step computes in bfloat16: a CPU that has to imitate it is slower than in float32."""
    return device.type == "cuda" or (
        schedule.bf16 and device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    )


def _optimiser(weights: dict[str, nn.Parameter], schedule: Schedule) -> torch.optim.AdamW:
    decayed = [p for p in weights.values() if p.ndim > 1]
    plain = [p for p in weights.values() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=schedule.lr,
        betas=schedule.betas,
    )


def _log(out: Path, keep: int) -> Log | nullcontext[None]:
    return Log(out, keep) if processes().first else nullcontext()


def _step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of: LossOf,
    schedule: Schedule,
    step: int,
    asked: bool,
    checkpoint: Path,
) -> tuple[dict[str, float], bool]:
    """Take one step; give its losses, and whether any process was asked to stop."""
    team = processes()
    for group in optimiser.param_groups:
        group["lr"] = schedule.rate(step)
    optimiser.zero_grad(set_to_none=True)
    device = next(module.parameters()).device
    total: dict[str, Tensor] = {}
    for batch in range(team.rank, schedule.accumulate * team.count, team.count):
        generator = schedule.generator(step, batch)
        torch.manual_seed(generator.initial_seed())
        with torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bf16(device, schedule)):
            losses = loss_of(step, generator)
        (losses["loss"] / schedule.accumulate).backward()  # type: ignore[no-untyped-call]
        for name, value in losses.items():
            total[name] = total.get(name, 0.0) + value.detach().float().clone() / schedule.accumulate
    stop = torch.tensor(float(asked))
    moved = [p for p in module.parameters() if p.grad is not None]
    team.mean([*(p.grad for p in moved if p.grad is not None), *total.values(), stop])
    norm = nn.utils.clip_grad_norm_(moved, schedule.clip)
    for name, value in {"loss": total["loss"], "gradient": norm}.items():
        if not torch.isfinite(value):
            raise ValueError(f"the {name} of batch {step} is not finite; {_kept(checkpoint)}")
    optimiser.step()
    return {name: float(value) for name, value in total.items()}, bool(stop)


def _kept(checkpoint: Path) -> str:
    return "the last good checkpoint is kept" if checkpoint.is_file() else "there is no checkpoint yet"


def _validated(module: nn.Module, validate: Validate, best: Best, step: int, out: Path, log: Log | None) -> Best:
    """Validate; the first process keeps the weights if they are the best so far, and all hear about it."""
    team = processes()
    if log:
        module.eval()
        with torch.no_grad():
            metrics = validate()
        module.train()
        log.validated(step, metrics)
        if metrics["loss"] < best.loss:
            best = Best(metrics["loss"], step)
            tensors = {f"model.{name}": tensor for name, tensor in module.state_dict().items()}
            Checkpoint(step, tensors).write(out / BEST)
        else:
            best = Best(best.loss, best.step, best.since + 1)
    return team.said(best)
