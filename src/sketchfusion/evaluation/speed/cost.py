"""One line of a table of costs."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one way of doing something costs."""

    name: str
    images_per_second: float  # photos embedded or stored, or searches answered, in a second
    milliseconds: float  # of one of them, the median
    peak_bytes: int  # resident memory of its process at the most
    flop: float  # of one of them
    ratio: float  # how many times as fast as the reference of the same table
    more: dict[str, float] = field(default_factory=dict)  # what else is worth knowing of it


def peak_bytes() -> int:
    """The most memory that this process has had resident so far."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage counts the parent of a new process too, as it was at the fork
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
