"""One line of a table of costs, and how each way of doing something is measured."""

from __future__ import annotations

import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What one way of doing something costs."""

    name: str
    images_per_second: float  # pictures embedded, stored or trained on, or searches answered or scored, in a second
    milliseconds: float  # of one of them: the median, or the mean where all are done at once
    peak_bytes: int  # resident memory of its process, not of a GPU, at the most
    flop: float  # of one of them; 0 where nobody counted
    ratio: float  # how many times as fast as the reference of the same table
    more: dict[str, float] = field(default_factory=dict)  # what else is worth knowing of it


def cost_of(name: str, seconds: Sequence[float], each: float, flop: float = 0.0) -> Cost:
    """Give the cost by the `seconds` that repetitions took, of `each` pictures; the first in a table has ratio 1."""
    middle = statistics.median(seconds) / each
    return Cost(name, 1 / middle, 1000 * middle, peak_bytes(), flop, 1.0)


def beside_first(costs: Sequence[Cost]) -> list[Cost]:
    """Say how many times as fast as the first each is."""
    return [replace(cost, ratio=costs[0].milliseconds / cost.milliseconds) for cost in costs]


def alone(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a module in a new process, so that it is charged with its own memory only."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(function, *args, **kwargs).result()


def flop_of(call: Callable[[], object]) -> float:
    """Count the floating-point operations of a call in torch, a multiplication and an addition as two.

    Attention is computed step by step meanwhile: its fused form on a CPU would not be counted.
    """
    with FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
        call()
    return float(counted.get_total_flops())


def peak_bytes() -> int:
    """The most memory that this process has had resident so far."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage counts the parent of a new process too, as it was at the fork
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
