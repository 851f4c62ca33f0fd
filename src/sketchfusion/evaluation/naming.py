"""Naming measured: how often `recognize` gives a picture its own name, first or among five."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tasks.recognition import Namer
from .benchmarks import BATCH
from .metrics import Estimate, accuracy, bootstrap, own_ranks

if TYPE_CHECKING:
    from ..io.images import Kind
    from ..tasks.recognition import TextImageSpace
    from .benchmarks import Labelled


@dataclass(frozen=True)
class NamingResult:
    """What one model makes of the pictures of one benchmark when it may choose from all their names."""

    model: str
    fingerprint: str
    pictures: int
    labels: int
    metrics: dict[str, Estimate]
    per_category: dict[str, dict[str, float]]

    def summary(self) -> dict[str, Any]:
        """One flat object: every metric under its name, then what it was measured on."""
        return {
            **{name: estimate.mean for name, estimate in self.metrics.items()},
            "intervals": {name: [e.low, e.high] for name, e in self.metrics.items()},
            "chance": {"Acc@1": 1 / self.labels},
            "per category": self.per_category,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "pictures": self.pictures,
            "labels": self.labels,
        }

    def described(self) -> str:
        """What was measured, in a sentence or two."""
        return (
            f"{self.pictures} pictures, to be named from {self.labels} names. "
            f"Weights {self.fingerprint[:16]}. Chance: Acc@1 {1 / self.labels:.4f}."
        )


def benchmark_naming(
    model: TextImageSpace,
    fingerprint: str,
    pictures: Sequence[Labelled],
    labels: Sequence[str],
    kind: Kind,
    progress: Callable[[int, int], None] | None = None,
) -> NamingResult:
    """Acc@1 and Acc@5 over `labels` of what `recognize` says.

    That is zero-shot (CLIP, 2021, section 3.1) unless a classifier has its say; then Acc@k/text are, beside.
    ValueError if there are no pictures, or one whose label is not among `labels`.
    """
    if not pictures:
        raise ValueError(f"no {kind} to name")
    names = {label: " ".join(re.sub(r"\W|_", " ", label).lower().split()) for label in labels}
    if unknown := sorted({label for _, label in pictures} - set(names)):
        raise ValueError(f"{unknown[0]!r} is not among the {len(names)} names to choose from")
    namers = {"": Namer(model, list(names.values()), kind)}
    if namers[""].classifies:
        namers["/text"] = Namer(model, list(names.values()), kind, classify=False)
    ranks: dict[str, list[int]] = {way: [] for way in namers}
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        for way, namer in namers.items():
            likely = namer.log_shares([image for image, _ in batch])
            own = np.array([namer.labels.index(names[label]) for _, label in batch])
            ranks[way] += own_ranks(likely, own, np.zeros(len(namer.labels), np.int64))[1].tolist()
        if progress:
            progress(start + len(batch), len(pictures))
    values = {f"Acc@{k}{way}": accuracy(found, k) for way, found in ranks.items() for k in (1, 5)}
    of = np.array([label for _, label in pictures])
    return NamingResult(
        model=model.name,
        fingerprint=fingerprint,
        pictures=len(pictures),
        labels=len(names),
        metrics={name: bootstrap(value) for name, value in values.items()},
        per_category={
            label: {f"Acc@{k}": float(values[f"Acc@{k}"][of == label].mean()) for k in (1, 5)}
            for label in np.unique(of)
        },
    )
