"""What is counted while the studio runs, as Prometheus text."""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Labels = tuple[tuple[str, str], ...]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
HELP = {
    "studio_requests_total": "Requests answered, by route and status",
    "studio_request_seconds": "Time from a request's arrival to the end of its answer",
    "studio_superseded_total": "Questions dropped for a newer one of the same client",
    "studio_model_seconds": "Time of one run of the model",
    "studio_batch_size": "Questions answered by one run of the model",
}


@dataclass
class Histogram:
    """Counts of values below each bound, with their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts = self.counts or [0] * (len(self.bounds) + 1)
        self.counts[next((i for i, bound in enumerate(self.bounds) if value <= bound), len(self.bounds))] += 1
        self.total += value


class Metrics:
    """Counters, histograms and gauges by name and labels."""

    def __init__(self) -> None:
        """Start from nothing, with the memory of the process as the one gauge."""
        self._lock = threading.Lock()
        self._counters: dict[str, dict[Labels, int]] = {"studio_superseded_total": {(): 0}}
        self._histograms: dict[str, dict[Labels, Histogram]] = {}
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.gauge("process_resident_memory_bytes", "Memory of the process", resident_bytes)

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""
        with self._lock:
            series = self._counters.setdefault(name, {})
            key = _key(labels)
            series[key] = series.get(key, 0) + 1

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram: seconds, or sizes where the name says so."""
        with self._lock:
            series = self._histograms.setdefault(name, {})
            bounds = SIZES if name.endswith("_size") else SECONDS
            series.setdefault(_key(labels), Histogram(bounds)).add(value)

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Say how a value that goes up and down is read."""
        self._gauges[name] = (about, read)

    def text(self) -> str:
        """Everything in Prometheus' text format."""
        lines: list[str] = []
        with self._lock:
            for name, counters in sorted(self._counters.items()):
                lines += _head(name, HELP.get(name, name), "counter")
                lines += [f"{name}{_braces(key)} {value}" for key, value in sorted(counters.items())]
            for name, histograms in sorted(self._histograms.items()):
                lines += _head(name, HELP.get(name, name), "histogram")
                for key, histogram in sorted(histograms.items()):
                    lines += _buckets(name, key, histogram)
        for name, (about, read) in sorted(self._gauges.items()):
            lines += [*_head(name, about, "gauge"), f"{name} {read():g}"]
        return "\n".join(lines) + "\n"


def _key(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _braces(labels: Labels) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _head(name: str, about: str, kind: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]


def _buckets(name: str, key: Labels, histogram: Histogram) -> list[str]:
    lines, below = [], 0
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        below += count
        lines.append(f"{name}_bucket{_braces((*key, ('le', bound)))} {below}")
    return [*lines, f"{name}_sum{_braces(key)} {histogram.total:g}", f"{name}_count{_braces(key)} {below}"]


def resident_bytes() -> float:
    """Memory that the process holds; where the system does not say, the most that it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return float(pages * resource.getpagesize())
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak if sys.platform == "darwin" else peak * 1024)
