"""Results on disk: one JSON file to compute with and one Markdown file to read."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .metrics import Estimate, Values, bootstrap


class Reported(Protocol):
    """What any benchmark gives."""

    @property
    def model(self) -> str:
        """What was measured."""

    @property
    def metrics(self) -> dict[str, Estimate]:
        """Every figure under its full name."""

    @property
    def per_category(self) -> dict[str, dict[str, float]]:
        """The foremost figures of each category."""

    def summary(self) -> dict[str, Any]:
        """Everything in one flat object."""

    def described(self) -> str:
        """What it was measured on, in a few sentences."""


def make_folder(out: Path) -> None:
    """Make the folder of results, before hours are spent on them; OSError if nothing can be written there."""
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(out))


def write_report(
    result: Reported, task: str, data: str, out: Path, notes: Mapping[str, object] | None = None
) -> tuple[Path, Path]:
    """Write `out/<task>-<data>-<model>.json`, with `notes`, and `.md`; give both paths."""
    out.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.+-]+", "-", f"{task}-{data}-{result.model}").strip("-")
    table, text = out / f"{stem}.json", out / f"{stem}.md"
    table.write_text(json.dumps({"task": task, "data": data, **(notes or {}), **result.summary()}, indent=2) + "\n")
    text.write_text(to_markdown(result, task, data))
    return table, text


def to_markdown(result: Reported, task: str, data: str) -> str:
    """Every metric with its interval, then the categories from easy to hard."""
    rows = [f"| {name} | {e.mean:.4f} | {e.low:.4f} to {e.high:.4f} |" for name, e in result.metrics.items()]
    names = list(next(iter(result.per_category.values())))
    figures = sorted(result.per_category.items(), key=lambda item: -item[1][names[0]])
    return "\n".join(
        [
            f"# {task} on {data}: {result.model}",
            "",
            result.described(),
            "",
            "| metric | mean | 95 % bootstrap interval |",
            "|---|---|---|",
            *rows,
            "",
            f"| category | {' | '.join(names)} |",
            "|---" * (1 + len(names)) + "|",
            *(f"| {category} | {' | '.join(f'{f[name]:.3f}' for name in names)} |" for category, f in figures),
            "",
        ]
    )


# What the benchmarks of dense tasks give: figures under their full names beside those of doing nothing clever.


@dataclass(frozen=True)
class Measured:
    """What one model does on one benchmark, with what trivial answers reach on the same pictures."""

    model: str
    fingerprint: str
    what: str  # what was measured, in a sentence
    counts: dict[str, int]  # of pairs, points or pictures
    metrics: dict[str, Estimate]
    trivial: dict[str, dict[str, float]]  # name of the answer -> metric -> value
    per_category: dict[str, dict[str, float]]

    def summary(self) -> dict[str, Any]:
        """One flat object: every metric under its name, then what it was measured on."""
        return {
            **{name: estimate.mean for name, estimate in self.metrics.items()},
            "intervals": {name: [e.low, e.high] for name, e in self.metrics.items()},
            "trivial": self.trivial,
            "per category": self.per_category,
            "model": self.model,
            "fingerprint": self.fingerprint,
            **self.counts,
        }

    def described(self) -> str:
        """What was measured, in a few sentences, and what trivial answers reach."""
        answers = "; ".join(
            f"{answer}: " + ", ".join(f"{name} {value:.4f}" for name, value in reached.items())
            for answer, reached in self.trivial.items()
        )
        return f"{self.what} Weights {self.fingerprint[:16]}. Trivial answers: {answers}."


def summarise(
    rows: Mapping[str, Sequence[float]], categories: Sequence[str], shown: Sequence[str]
) -> tuple[dict[str, Estimate], dict[str, dict[str, float]]]:
    """Average the values of N pairs, metric by metric; over all of them with an interval, and by category.

    `shown` are the metrics of the table of categories.
    """
    values: dict[str, Values] = {name: np.asarray(row, np.float64) for name, row in rows.items()}
    of = np.asarray(categories)
    table = {
        category: {name: float(values[name][of == category].mean()) for name in shown}
        for category in sorted(set(categories))
    }
    return {name: bootstrap(row) for name, row in values.items()}, table
