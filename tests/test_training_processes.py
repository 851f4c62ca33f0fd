"""Training as real processes: killed, interrupted, out of room, and two that share the work."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from fixtures import fit
from sketchfusion.lab.training.loop import CHECKPOINT, Checkpoint
from sketchfusion.lab.training.processes import Processes, one_process

# Processes are forked from one that has imported the libraries, which takes seconds.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["accelerate", "pytest", "sketchfusion.lab.training.loop"])
# By the loopback alone: the name of a machine is not always known to itself.
TWO = ["-m", "torch.distributed.run", "--standalone", "--local_addr", "127.0.0.1", "--nproc_per_node", "2"]


def forked(function: Callable[..., None], *arguments: object, **options: object) -> BaseProcess:
    process = FORKS.Process(target=function, args=arguments, kwargs=options)
    process.start()
    return process


def run(out: Path, **options: object) -> None:
    process = forked(fit.train, out, **options)
    process.join()
    assert process.exitcode == 0


def started(out: Path) -> BaseProcess:
    """A training that is slow, and some steps of which are done."""
    process = forked(fit.train, out, pause=0.2)
    deadline = time.monotonic() + 120
    while process.is_alive() and time.monotonic() < deadline:
        if (out / CHECKPOINT).is_file() and Checkpoint.read(out / CHECKPOINT).step > 3:
            return process
        time.sleep(0.05)
    raise AssertionError("it never took a step")


def losses(out: Path) -> list[float]:
    return [float(row["loss"]) for row in csv.DictReader((out / "log.csv").open())]


def same(one: Path, other: Path) -> bool:
    a, b = (Checkpoint.read(out / CHECKPOINT) for out in (one, other))
    return a.step == b.step == 30 and all(torch.equal(tensor, b.tensors[name]) for name, tensor in a.tensors.items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped; it has dropout, so that torch's own random numbers count too."""
    out = tmp_path_factory.mktemp("whole")
    run(out)
    return out


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_process_that_was_stopped_resumes_bit_for_bit(how: signal.Signals, whole: Path, tmp_path: Path) -> None:
    process = started(tmp_path)
    assert process.pid
    os.kill(process.pid, how)
    process.join(60)
    done = Checkpoint.read(tmp_path / CHECKPOINT).step
    assert process.exitcode == (-how if how == signal.SIGKILL else 130)
    assert 3 < done < 30
    if how != signal.SIGKILL:  # the step in which it came was finished, and kept
        assert len(losses(tmp_path)) == done
    run(tmp_path, resume=True)
    assert same(whole, tmp_path)
    assert losses(whole) == losses(tmp_path)


def test_a_full_disk_is_reported_in_one_line_and_the_older_checkpoint_stays(tmp_path: Path) -> None:
    out, said = tmp_path / "out", tmp_path / "said"
    process = started(out)
    process.kill()
    process.join()
    before, names = (out / CHECKPOINT).read_bytes(), {path.name for path in out.iterdir()}
    full = forked(fit.train_saying, said, out, True, len(before) - 100)
    full.join()
    assert full.exitcode == 1
    assert said.read_text().count("\n") == 1
    assert f"{CHECKPOINT} cannot be written" in said.read_text()
    assert (out / CHECKPOINT).read_bytes() == before
    assert {path.name for path in out.iterdir()} <= names


@pytest.fixture(scope="module", params=["forked", pytest.param("torchrun", marks=pytest.mark.slow)])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave that were started by torchrun, or forked with the variables that it sets."""
    folder = tmp_path_factory.mktemp("two")
    if request.param == "torchrun":
        command = [sys.executable, *TWO, fit.__file__, str(folder)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        both = [forked(fit.share, folder, rank, port) for rank in (0, 1)]
        for process in both:
            process.join(120)
        assert [process.exitcode for process in both] == [0, 0]
    return folder


def test_two_processes_are_one_with_twice_the_batch(two: Path, tmp_path: Path) -> None:
    for name, options in {"twice": {"halves": 2}, "accumulated": {"accumulate": 2}, "single": {}}.items():
        run(tmp_path / name, dropout=0.0, **options)
    shared, twice, accumulated, single = map(
        losses, (two / "shared", *(tmp_path / name for name in ("twice", "accumulated", "single")))
    )
    assert shared == pytest.approx(twice, rel=1e-4)
    assert accumulated == pytest.approx(twice, rel=1e-4)
    assert shared[0] != pytest.approx(single[0], rel=1e-3)
    assert shared[-1] < shared[0] / 3
    statistics = [
        Checkpoint.read(out / CHECKPOINT).tensors["model.1.mean"]
        for out in (tmp_path / "twice", two / "shared", tmp_path / "accumulated")
    ]
    for other in statistics[1:]:
        assert torch.allclose(other, statistics[0], rtol=1e-3, atol=1e-5), "running statistics are those of all batches"


def test_tensors_on_several_devices_are_averaged_on_the_card() -> None:
    """Gradients lie on the card, flags in the machine's memory; the device "meta" stands in for the card."""
    card = torch.device("meta")

    def reduce(tensor: Tensor, how: str) -> Tensor:
        assert (tensor.device, how) == (card, "mean")
        return torch.full(tensor.shape, 0.5)

    team = Processes(SimpleNamespace(device=card, process_index=1, num_processes=2, reduce=reduce))
    gradient, flag = torch.empty(3, 2, device=card, dtype=torch.bfloat16), torch.ones(())
    team.mean([gradient, flag])
    assert gradient.device == card and flag.item() == 0.5


def test_what_runs_in_one_process_refuses_more(monkeypatch: pytest.MonkeyPatch) -> None:
    one_process()
    monkeypatch.setattr(
        "sketchfusion.lab.training.processes.processes",
        lambda: Processes(SimpleNamespace(process_index=0, num_processes=2)),
    )
    with pytest.raises(ValueError, match="runs in one process: start it without torchrun"):
        one_process()


def test_others_wait_for_the_first_and_fail_with_it_in_one_line(two: Path) -> None:
    assert [(two / f"cache.{rank}").read_text() for rank in (0, 1)] == ["filled; no room"] * 2
