"""What every benchmark gives, as one JSON file to compute with and one Markdown file to read."""

import errno
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from .metrics import Estimate, Values, bootstrap


@dataclass(frozen=True)
class Result:
    model: str
    fingerprint: str  # of the model's weights
    about: str  # what was measured, in a sentence or two
    counts: dict[str, int]  # of queries, photos, points or pairs
    metrics: dict[str, Estimate]  # by full name
    rows: dict[str, dict[str, float]]  # the foremost figures of each category
    row_kind: str = "category"  # what the rows are
    chance: dict[str, float] = field(default_factory=dict)  # metric -> what a random answer is expected to reach
    trivial: dict[str, dict[str, float]] = field(default_factory=dict)  # name of a trivial answer -> metric -> value
    notes: dict[str, str] = field(default_factory=dict)  # more for the JSON file

    def __repr__(self) -> str:
        figures = (f"{name} {e.mean:.3f} ({e.low:.3f} to {e.high:.3f})" for name, e in self.metrics.items())
        return f"Result({self.model}: {', '.join(figures)})"

    def more_than(self, other: Self, name: str) -> Self:
        """Add how much more it reaches than a model called `name`, query by query, of the metrics in the rows."""
        more = {
            f"{metric}, more than {name}": bootstrap(self.metrics[metric].each - other.metrics[metric].each)
            for metric in next(iter(self.rows.values()))
        }
        return replace(self, metrics={**self.metrics, **more})

    def to_json(self) -> dict[str, Any]:
        """One flat object: every metric under its name, then what it was measured on."""
        return {
            **{name: estimate.mean for name, estimate in self.metrics.items()},
            "intervals": {name: [e.low, e.high] for name, e in self.metrics.items()},
            **({"chance": self.chance} if self.chance else {}),
            **({"trivial": self.trivial} if self.trivial else {}),
            f"per {self.row_kind}": self.rows,
            "model": self.model,
            "fingerprint": self.fingerprint,
            **self.counts,
            **self.notes,
        }

    def to_markdown(self, task: str, data: str) -> str:
        """What was measured, every metric with its interval, then the categories from easy to hard."""
        metrics = {name: [f"{e.mean:.4f}", f"{e.low:.4f} to {e.high:.4f}"] for name, e in self.metrics.items()}
        names = list(dict.fromkeys(name for row in self.rows.values() for name in row))
        rows = sorted(self.rows.items(), key=lambda row: -row[1][names[0]])
        by_row = {row: [f"{values[name]:.3f}" if name in values else "-" for name in names] for row, values in rows}
        answers = "; ".join(f"{answer}: {_listed(figures)}" for answer, figures in self.trivial.items())
        chance = f" Chance: {_listed(self.chance)}." if self.chance else ""
        trivial = f" Trivial answers: {answers}." if answers else ""
        about = f"{self.about} Weights {self.fingerprint[:16]}.{chance}{trivial}"
        lines = [f"# {task} on {written(data)}: {written(self.model)}", "", about, ""]
        lines += markdown_table(["metric", "mean", "95 % bootstrap interval"], metrics)
        return "\n".join([*lines, "", *markdown_table([self.row_kind, *names], by_row), ""])


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


def markdown_table(heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> list[str]:
    """Write rows by name as the lines of a Markdown table; the first head is that of the names."""
    head = f"| {' | '.join(heads)} |".replace("|  |", "| |", 1)
    shown = {name: written(name).replace("|", "\\|") for name in rows}
    return [head, "|---" * len(heads) + "|", *(f"| {shown[name]} | {' | '.join(row)} |" for name, row in rows.items())]


def written(name: str) -> str:
    """Escape what no text can hold, as bytes of a file's name in another encoding."""
    return name.encode(errors="backslashreplace").decode()


def file_name(name: str) -> str:
    """Turn a name into one that files may have."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-")


def by_category(values: Mapping[str, Values], categories: Sequence[str]) -> dict[str, dict[str, float]]:
    """Average values (N,) over the items of each category."""
    of = np.asarray(categories)
    return {
        category: {name: float(each[of == category].mean()) for name, each in values.items()}
        for category in sorted(set(categories))
    }


def make_folder(out: Path) -> None:
    """Make the folder of results, before hours are spent on them; OSError if nothing can be written there."""
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(out))


def write_report(result: Result, task: str, data: str, out: Path, notes: Mapping[str, object]) -> None:
    """Write `out/<task>-<data>-<model>.json`, with `notes`, and `.md`."""
    stem = file_name(f"{task}-{data}-{result.model}")
    record = {"task": task, "data": data, **notes, **result.to_json()}
    (out / f"{stem}.json").write_text(json.dumps(record, indent=2) + "\n")
    (out / f"{stem}.md").write_text(result.to_markdown(task, data), encoding="utf-8")
