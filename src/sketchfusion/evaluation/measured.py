"""What the benchmarks of dense tasks give: figures under their full names beside those of doing nothing clever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .metrics import Estimate, Values, bootstrap


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
