"""The one training loop: seeded, resumable bit for bit, on one process or several, with best weights by validation."""

import json
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...io.files import atomic_write
from .log import Log
from .processes import processes

Losses = dict[str, Tensor]  # "loss" is minimised; the others are only logged
Report = Callable[[int, int, dict[str, float]], None] | None  # (steps done, steps in all, losses)
Draw = Callable[[int, torch.Generator], Any]  # (step, random numbers of a batch) -> what `LossOf` takes
LossOf = Callable[[int, Any], Losses]  # (step, what was drawn)
Validate = Callable[[], dict[str, float]]  # "loss" decides which weights are best

CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"
PICTURES = "pictures"  # a setting that says which ones are trained on
DTYPE = "dtype"  # a setting: in what maps are computed
MAY_CHANGE = ("batch", "classes", "accumulate", PICTURES, DTYPE)  # when a training is resumed; it warns of it


@dataclass(frozen=True)
class Schedule:
    """Length and speed of a training: AdamW, linear warm-up, cosine decay to one hundredth."""

    steps: int
    lr: float
    weight_decay: float = 0.05
    warmup: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0  # largest gradient norm
    average: float = 0.0  # decay of the moving average of the weights; 0 keeps none
    seed: int = 0
    checkpoint_seconds: float = 120.0
    accumulate: int = 1  # batches of a step in each process
    validate_every: int = 0  # steps; 0 is never
    patience: int = 0  # validations without improvement before training stops; 0 is no limit
    seconds: float = 0.0  # time limit, kept by skipping steps evenly; 0 is no limit

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def validates_between(self, step: int, following: int) -> bool:
        """Return whether to validate between `step` and the next one taken; a time limit may skip some in between."""
        every = self.validate_every
        return every > 0 and (following // every > step // every or following == self.steps)

    def after(self, step: int, seconds: float) -> int:
        """Return the step to take after `step` under a time limit, `seconds` after the first one began."""
        return min(self.steps, max(step + 1, int(self.steps * seconds / self.seconds)))

    def generator(self, step: int, batch: int) -> torch.Generator:
        """Return the generator that draws a batch of a step; batches are counted over all processes."""
        seed = self.seed * 1_000_003 + step
        if batch:  # hashed: a CPU generator reads the lowest 32 bits of its seed only
            seed = int(np.random.SeedSequence([self.seed, step, batch]).generate_state(1)[0])
        return torch.Generator().manual_seed(seed)


def fit(
    module: nn.Module,
    loss_of: LossOf,
    schedule: Schedule,
    out: Path,
    resume: bool = False,
    report: Report = None,
    validate: Validate | None = None,
    frozen: str = "",
    settings: Mapping[str, str] | None = None,
    draw: Draw = lambda step, generator: generator,
) -> None:
    """Train `module` in place.

    `draw(step, generator)` must draw a batch from the generator alone, and runs in a thread, a batch ahead; `loss_of`
    gets the result, by default the generator. It may use torch's global one too, which is seeded by the step: a killed
    and resumed run sees the same batches. Under torchrun every process draws batches of its own, and a step averages
    all their gradients. With `validate` the module ends with the weights of the lowest validation "loss", otherwise
    with their moving average if the schedule has one, or the last. `frozen` identifies the weights that are not
    trained, `settings` whatever else determines the result; a checkpoint made with others is refused. A time limit
    skips steps depending on the machine's speed, so runs with one cannot be reproduced.

    Raises ValueError if a loss, a gradient or a weight is not finite, and KeyboardInterrupt at the end of the step in
    which Ctrl-C or a termination signal came; the checkpoint in `out` is good in either case.
    """
    team = processes()
    run = _Run(module, schedule, out, {"frozen": frozen, "settings": json.dumps(dict(settings or {}))})
    if resume and run.path.is_file():
        saved = Checkpoint.read(run.path)
        saved.expect(frozen, settings or {}, run.path)
        run.restore(saved)
        del saved
    out.mkdir(parents=True, exist_ok=True)
    saved_at = time.monotonic()
    started = saved_at - schedule.seconds * run.step / schedule.steps
    log_of_run: AbstractContextManager[Log | None] = closing(Log(out, run.step)) if team.first else nullcontext()
    device, batches = next(module.parameters()).device, Batches(draw, schedule)
    with log_of_run as log, deferred_signals() as stop_requested, forked_rng(device), closing(batches):
        while run.step < schedule.steps and not 0 < schedule.patience <= run.best.since:
            losses, stop = run.update(loss_of, batches, stop_requested.is_set())
            step = run.step
            if log:
                log.write(step, schedule.rate(step), losses)
            run.step += 1
            if schedule.seconds:
                run.step = team.broadcast(schedule.after(step, time.monotonic() - started))
            if report and team.first:
                report(run.step, schedule.steps, losses)
            if validate and schedule.validates_between(step, run.step):
                run.validate(validate, log)
            if stop or time.monotonic() - saved_at > schedule.checkpoint_seconds:
                run.save(log)
                saved_at = time.monotonic()
            if stop:
                raise KeyboardInterrupt
        run.save(log)
    if run.best.step:
        Checkpoint.read(out / BEST).load_model(module, out / BEST)
    elif run.average:
        module.load_state_dict({**module.state_dict(), **run.average})


@dataclass
class Checkpoint:
    """Everything that a run needs to resume exactly; batches depend only on seed and step."""

    step: int = 0
    tensors: dict[str, Tensor] = field(
        default_factory=dict
    )  # "model.", "average." or "optimiser.INDEX.", then the name
    notes: dict[str, str] = field(default_factory=dict)  # such as settings, frozen weights and best validation loss

    def write(self, path: Path) -> None:
        """Replace the file at `path` atomically; if the disk is full, it stays and OSError has a one-line message."""
        with atomic_write(path) as draft:
            # Copied to the memory of the machine: a card may have no room for a second copy of all.
            tensors = {name: of.detach().to("cpu", copy=True).contiguous() for name, of in self.tensors.items()}
            save_file(tensors, draft, metadata={"step": str(self.step), **self.notes})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a checkpoint; ValueError with a one-line message if the file is not one."""
        try:
            with safe_open(path, framework="pt") as file:
                notes = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is not a readable checkpoint: {error}") from None
        return cls(int(notes.pop("step", "0")), tensors, notes)

    def expect(self, frozen: str, settings: Mapping[str, str], path: Path) -> None:
        """Raise ValueError if the checkpoint recorded other weights or settings; of `MAY_CHANGE` only warn."""
        made_for = self.notes.get("frozen", "") or frozen
        if made_for != frozen:
            raise ValueError(
                f"{path} was made for the frozen weights {made_for}, not for {frozen}: "
                "give those with --model, or start anew without --resume"
            )
        trained_with = json.loads(self.notes.get("settings", "{}"))
        changed = {name: value for name, value in settings.items() if trained_with.get(name, value) != value}
        for name, value in changed.items():
            if name.rpartition(".")[2] not in MAY_CHANGE:
                raise ValueError(
                    f"{path} was trained with {name}={trained_with[name]}, not {value}; "
                    "leave --resume out or ask for the same"
                )
        if changed:
            differences = (f"{name}={value} in place of {trained_with[name]}" for name, value in changed.items())
            logging.getLogger(__name__).warning("%s goes on with %s", path, ", ".join(differences))

    def add(self, group: str, tensors: Mapping[str, Tensor]) -> None:
        self.tensors |= {f"{group}.{name}": tensor for name, tensor in tensors.items()}

    def group(self, group: str) -> dict[str, Tensor]:
        """Return the tensors that were added as `group`, by their own names."""
        prefix = f"{group}."
        return {name.removeprefix(prefix): of for name, of in self.tensors.items() if name.startswith(prefix)}

    def load_model(self, module: nn.Module, path: Path) -> None:
        """Load the weights into `module`; ValueError if they do not fit it."""
        try:
            module.load_state_dict(self.group("model"))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{path} is of another training; start anew without --resume ({reason})") from None


class Batches:
    """Draws batches in a thread, each while the one before is computed."""

    def __init__(self, draw: Draw, schedule: Schedule) -> None:
        self._draw, self._schedule = draw, schedule
        self._thread = ThreadPoolExecutor(1)
        self._ahead: dict[tuple[int, int], Future[Any]] = {}

    def take(self, step: int, batch: int) -> Any:
        """Return a batch of a step, and start to draw the one that this process takes after it."""
        team, schedule = processes(), self._schedule
        drawn = (self._ahead.get((step, batch)) or self._start(step, batch)).result()
        last = batch + team.count >= schedule.accumulate * team.count
        after = (step + 1, team.rank) if last else (step, batch + team.count)
        known = not last or (after[0] < schedule.steps and not schedule.seconds)  # a time limit may skip steps
        self._ahead = {after: self._start(*after)} if known else {}
        return drawn

    def _start(self, step: int, batch: int) -> "Future[Any]":
        return self._thread.submit(self._draw, step, self._schedule.generator(step, batch))

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)


class _Run:
    """The state of a training: everything that a checkpoint holds."""

    def __init__(self, module: nn.Module, schedule: Schedule, out: Path, notes: dict[str, str]) -> None:
        self.module, self.schedule, self.path, self._notes = module, schedule, out / CHECKPOINT, notes
        self.weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
        decayed = [p for p in self.weights.values() if p.ndim > 1]
        plain = [p for p in self.weights.values() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=schedule.lr, betas=schedule.betas)
        self.average = {name: p.detach().clone() for name, p in self.weights.items() if schedule.average}
        self.step, self.best = 0, Best()

    def restore(self, saved: Checkpoint) -> None:
        saved.load_model(self.module, self.path)
        kept = saved.group("average")
        self.average = {name: kept[name].to(value.device) for name, value in self.average.items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in saved.group("optimiser").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        loss, step, since = saved.notes.get("best", "inf 0 0").split()
        self.step, self.best = saved.step, Best(float.fromhex(loss), int(step), int(since))

    def save(self, log: Log | None) -> None:
        """Write a checkpoint, in the process that has the log; ValueError in all if a weight is not finite."""
        if not all(bool(weight.isfinite().all()) for weight in self.weights.values()):
            raise ValueError(f"the weights after batch {self.step - 1} are not finite; {self._last_checkpoint()}")
        if log:
            best = f"{self.best.loss.hex()} {self.best.step} {self.best.since}"  # exactly
            checkpoint = Checkpoint(self.step, notes={**self._notes, "best": best})
            checkpoint.add("model", self.module.state_dict())
            checkpoint.add("average", self.average)
            for index, state in self.optimiser.state_dict()["state"].items():  # such as AdamW's moments
                checkpoint.add(f"optimiser.{index}", {key: torch.as_tensor(value) for key, value in state.items()})
            checkpoint.write(self.path)

    def update(self, loss_of: LossOf, batches: "Batches", stop_requested: bool) -> tuple[dict[str, float], bool]:
        """Take one step; return its losses, and whether any process was asked to stop."""
        team, step, schedule = processes(), self.step, self.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.rate(step)
        self.optimiser.zero_grad(set_to_none=True)
        total: dict[str, Tensor] = {}
        # A normalisation's running statistics: each batch of a step moves them from the same place, all by the mean.
        several = schedule.accumulate * team.count > 1
        statistics = [of for of in self.module.buffers() if several and of.is_floating_point()]
        before, moves = [of.clone() for of in statistics], [torch.zeros_like(of) for of in statistics]
        for batch in range(team.rank, schedule.accumulate * team.count, team.count):
            drawn = batches.take(step, batch)
            torch.manual_seed(schedule.generator(step, batch).initial_seed())
            for name, value in self._backward(loss_of, drawn).items():
                total[name] = total.get(name, 0.0) + value
            for of, start, move in zip(statistics, before, moves, strict=True):
                move += (of - start) / schedule.accumulate
                of.copy_(start)
        for of, move in zip(statistics, moves, strict=True):
            of += move
        stop = torch.tensor(float(stop_requested))
        moved = [p for p in self.module.parameters() if p.grad is not None]
        team.mean([*(p.grad for p in moved if p.grad is not None), *total.values(), stop, *statistics])
        norm = nn.utils.clip_grad_norm_(moved, schedule.clip)
        for name, value in {"loss": total["loss"], "gradient": norm}.items():
            if not torch.isfinite(value):
                raise ValueError(f"the {name} of batch {step} is not finite; {self._last_checkpoint()}")
        self.optimiser.step()
        if self.average:
            # a young average forgets faster, so that it is never dominated by the random start
            decay = min(schedule.average, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.average.values()), list(self.weights.values()), 1 - decay)
        return {name: float(value) for name, value in total.items()}, bool(stop)

    def _backward(self, loss_of: LossOf, drawn: Any) -> Losses:
        """Add the gradients of one batch; return its losses, divided by the number of batches."""
        device, count = next(self.module.parameters()).device, self.schedule.accumulate
        with torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bf16(device)):
            losses = loss_of(self.step, drawn)
        (losses["loss"] / count).backward()  # type: ignore[no-untyped-call]
        return {name: value.detach().float().clone() / count for name, value in losses.items()}

    def validate(self, validate: Validate, log: Log | None) -> None:
        """Validate in the process that has the log, keep the weights if they are the best so far, and tell all."""
        if log:
            self.module.eval()
            with torch.no_grad():
                metrics = validate()
            self.module.train()
            log.validated(self.step, metrics)
            if metrics["loss"] < self.best.loss:
                self.best = Best(metrics["loss"], self.step)
                checkpoint = Checkpoint(self.step)
                checkpoint.add("model", self.module.state_dict())
                checkpoint.write(self.path.with_name(BEST))
            else:
                self.best = replace(self.best, since=self.best.since + 1)
        self.best = processes().broadcast(self.best)

    def _last_checkpoint(self) -> str:
        if self.path.is_file():
            return "the last good checkpoint is kept"
        return "there is no checkpoint yet; frozen weights may be damaged, or the learning rate too high"


def forked_rng(device: torch.device) -> AbstractContextManager[None]:
    """Leave torch's random numbers as they are after a block, on the CPU and on `device`; on no other card."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


@dataclass(frozen=True)
class Best:
    """The best validation so far: its loss, after how many steps it came, and the number of worse ones since."""

    loss: float = math.inf
    step: int = 0
    since: int = 0


def computes_in_bf16(device: torch.device) -> bool:
    """Return whether the maps of a step are computed in bfloat16."""
    return device.type == "cuda"


@contextmanager
def deferred_signals() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C or termination sets, so that a step is finished; a second stops at once."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals belong to the main thread
        yield requested
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
