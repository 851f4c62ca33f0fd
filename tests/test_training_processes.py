"""Training as real processes: killed, interrupted, out of room, and two that share the work."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sketchfusion.lab.training.loop import CHECKPOINT, Checkpoint

# Eight pictures of noise a batch, in halves: a batch is then what two processes, or two accumulated ones, see.
FIT = """
import resource, sys, time
from dataclasses import replace
from pathlib import Path
import torch
from torch import nn
from sketchfusion.lab.training.loop import Schedule, fit

out, resume, pause, halves, accumulate, dropout, room = Path(sys.argv[1]), *map(float, sys.argv[2:])
if room:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), resource.RLIM_INFINITY))
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 64), nn.Dropout(dropout), nn.Linear(64, 1))
schedule = Schedule(steps=30, lr=0.01, warmup=3, checkpoint_seconds=0.0, accumulate=int(accumulate))

def loss_of(step, generator):
    time.sleep(pause)
    drawn = [generator] if halves == 1 else [schedule.generator(step, batch) for batch in range(int(halves))]
    x = torch.cat([torch.randn(8, 4, generator=of) for of in drawn])
    return {"loss": (net(x) - x.sum(1, keepdim=True)).square().mean()}

try:
    fit(net.train(), loss_of, schedule, out, bool(resume))
except KeyboardInterrupt:
    sys.exit(130)
except OSError as error:
    sys.exit(str(error))
"""
# A block that the first process takes long over, and one in which it fails.
FIRST = """
import sys, time
from pathlib import Path
from sketchfusion.lab.training.processes import processes

team, found = processes(), Path(sys.argv[1])
with team.rank0_first():
    if team.first:
        time.sleep(1)
        found.write_text("filled")
    said = found.read_text()
try:
    with team.rank0_first():
        if not team.first:
            raise AssertionError("began although the first one had failed")
        raise OSError("no room")
except (ValueError, OSError) as error:
    found.with_suffix(f".{team.rank}").write_text(f"{said}; {error}")
"""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
# By the loopback alone: the name of a machine is not always known to itself.
TWO = ["-m", "torch.distributed.run", "--standalone", "--local_addr", "127.0.0.1", "--nproc_per_node", "2"]


def command(out: Path, resume: int = 0, pause: float = 0, dropout: float = 0.5, room: int = 0) -> list[str]:
    """A run on batches of eight."""
    return ["-c", FIT, *arguments(out, resume, pause, 1, 1, dropout, room)]


def arguments(out: Path, *numbers: float) -> list[str]:
    return [str(out), *map(str, numbers)]


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, *command], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def started(out: Path) -> subprocess.Popen[bytes]:
    """A training that is slow, and some steps of which are done."""
    process = subprocess.Popen([sys.executable, *command(out, pause=0.2)], env=ENVIRONMENT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (out / CHECKPOINT).is_file() and Checkpoint.read(out / CHECKPOINT).step > 3:
            return process
        time.sleep(0.05)
    raise AssertionError(f"it never took a step: {process.communicate()[1]!r}")


def losses(out: Path) -> list[float]:
    return [float(row["loss"]) for row in csv.DictReader((out / "log.csv").open())]


def same(one: Path, other: Path) -> bool:
    a, b = (Checkpoint.read(out / CHECKPOINT) for out in (one, other))
    return a.step == b.step == 30 and all(torch.equal(tensor, b.tensors[name]) for name, tensor in a.tensors.items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped; it has dropout, so that torch's own random numbers count too."""
    out = tmp_path_factory.mktemp("whole")
    run(*command(out))
    return out


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_process_that_was_stopped_resumes_bit_for_bit(how: signal.Signals, whole: Path, tmp_path: Path) -> None:
    process = started(tmp_path)
    process.send_signal(how)
    code = process.wait(timeout=60)
    done = Checkpoint.read(tmp_path / CHECKPOINT).step
    assert code == (-how if how == signal.SIGKILL else 130)
    assert 3 < done < 30
    if how != signal.SIGKILL:  # the step in which it came was finished, and kept
        assert len(losses(tmp_path)) == done
    run(*command(tmp_path, resume=1))
    assert same(whole, tmp_path)
    assert losses(whole) == losses(tmp_path)


def test_a_full_disk_is_reported_in_one_line_and_the_older_checkpoint_stays(tmp_path: Path) -> None:
    process = started(tmp_path)
    process.kill()
    process.wait()
    before, names = (tmp_path / CHECKPOINT).read_bytes(), {path.name for path in tmp_path.iterdir()}
    full = [sys.executable, *command(tmp_path, resume=1, room=len(before) - 100)]
    done = subprocess.run(full, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{CHECKPOINT} cannot be written" in done.stderr
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= names


def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    script = tmp_path / "fit.py"
    script.write_text(FIT)
    run(*TWO, str(script), *arguments(tmp_path / "shared", 0, 0, 1, 1, 0, 0))
    run(str(script), *arguments(tmp_path / "twice", 0, 0, 2, 1, 0, 0))
    run(str(script), *arguments(tmp_path / "accumulated", 0, 0, 1, 2, 0, 0))
    run(str(script), *arguments(tmp_path / "single", 0, 0, 1, 1, 0, 0))
    assert losses(tmp_path / "shared") == pytest.approx(losses(tmp_path / "twice"), rel=1e-4)
    assert losses(tmp_path / "accumulated") == pytest.approx(losses(tmp_path / "twice"), rel=1e-4)
    assert losses(tmp_path / "shared")[0] != pytest.approx(losses(tmp_path / "single")[0], rel=1e-3)
    assert losses(tmp_path / "shared")[-1] < losses(tmp_path / "shared")[0] / 3


def test_others_wait_for_the_first_and_fail_with_it_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "first.py"
    script.write_text(FIRST)
    run(*TWO, str(script), str(tmp_path / "cache"))
    assert [(tmp_path / f"cache.{rank}").read_text() for rank in (0, 1)] == ["filled; no room"] * 2
