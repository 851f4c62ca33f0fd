"""Zero-shot recognition measured: how often a picture's own name is the nearest text, or among the nearest five."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tasks.recognition import prototypes
from .benchmarks import BATCH
from .metrics import Estimate, accuracy, bootstrap, own_ranks

if TYPE_CHECKING:
    from ..io.images import Kind
    from ..tasks.recognition import JointSpace
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
            f"{self.pictures} pictures, to be named from {self.labels} names by text alone. "
            f"Weights {self.fingerprint[:16]}. Chance: Acc@1 {1 / self.labels:.4f}."
        )


def benchmark_naming(
    model: JointSpace,
    fingerprint: str,
    pictures: Sequence[Labelled],
    labels: Sequence[str],
    kind: Kind,
    progress: Callable[[int, int], None] | None = None,
) -> NamingResult:
    """Zero-shot Acc@1 and Acc@5 over `labels`, each label's text averaged over its prompts (CLIP, 2021, sec. 3.1).

    ValueError if there are no pictures, or one whose label is not among `labels`.
    """
    if not pictures:
        raise ValueError(f"no {kind} to name")
    place = {label: n for n, label in enumerate(labels)}
    if unknown := sorted({label for _, label in pictures} - set(place)):
        raise ValueError(f"{unknown[0]!r} is not among the {len(place)} names to choose from")
    texts = prototypes(model, [" ".join(re.sub(r"\W|_", " ", label).lower().split()) for label in labels], kind)
    ranks: list[int] = []
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        likeness = model.encode_image([image for image, _ in batch], kind=kind).numpy() @ texts.T
        own = np.array([place[label] for _, label in batch])
        ranks += own_ranks(likeness, own, np.zeros(len(place), np.int64))[1].tolist()
        if progress:
            progress(start + len(batch), len(pictures))
    values = {f"Acc@{k}": accuracy(ranks, k) for k in (1, 5)}
    of = np.array([place[label] for _, label in pictures])
    return NamingResult(
        model=model.name,
        fingerprint=fingerprint,
        pictures=len(pictures),
        labels=len(place),
        metrics={name: bootstrap(value) for name, value in values.items()},
        per_category={
            labels[n]: {name: float(value[of == n].mean()) for name, value in values.items()} for n in np.unique(of)
        },
    )
