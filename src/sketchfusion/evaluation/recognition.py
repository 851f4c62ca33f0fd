"""Recognition from examples: a trained classifier, the same linear head for any model, and prototypes of a few shots.

The paper trains a classifier and says nothing of the head that its frozen baselines get. So that features are compared,
not heads, all models get the same one here, those with a classifier of their own too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..lab.datasets.base import clean, plain_name
from ..tasks.recognition import unit_means
from .benchmarks import BATCH, embed_labelled
from .linear import chosen_ridge
from .measured import Measured
from .metrics import Values, accuracy, bootstrap, own_ranks

if TYPE_CHECKING:
    from ..extractor import Extractor
    from .benchmarks import Labelled


SHOTS = (1, 5, 10)
DRAWS = 5  # of the examples of a few shots, averaged


def benchmark_examples(
    model: Extractor,
    examples: Sequence[Labelled],
    pictures: Sequence[Labelled],
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> Measured:
    """Name sketches after having seen `examples`: Acc@1 and Acc@5 of each way to learn from them.

    linear head    ridge regression on the pooled features of all examples, its penalty chosen on a quarter of them
    k-shot         the nearest mean of k examples of each class (Snell et al., 2017); classes with fewer give all
    classifier     what training for recognition has left, if it has; it may have seen other examples than these

    ValueError if a picture's label has no example.
    """
    total = len(examples) + len(pictures)

    def counted(before: int) -> Callable[[int], None] | None:
        return None if progress is None else lambda done: progress(before + done, total)

    learned, of = embed_labelled(model, examples, "sketch", counted(0), "recognition")
    asked, true = embed_labelled(model, pictures, "sketch", counted(len(examples)), "recognition")
    labels = sorted(set(of))
    place = {label: n for n, label in enumerate(labels)}
    if unknown := sorted(set(true) - set(labels)):
        raise ValueError(f"{unknown[0]!r} has no example to learn from")
    x, y = torch.from_numpy(learned).double(), torch.tensor([place[label] for label in of])
    queries, own = torch.from_numpy(asked).double(), np.array([place[label] for label in true])
    scores = {"linear head": [chosen_ridge(x, y, len(labels))(queries)]}
    generator = torch.Generator().manual_seed(seed)
    for shots in SHOTS:
        scores[f"{shots}-shot"] = [queries @ _means(x, y, shots, generator).T for _ in range(DRAWS)]
    trained = model.heads_for("recognition").classifier
    columns = [_column(trained.labels, label) for label in labels] if trained else []
    if columns and None not in columns:
        scores["classifier"] = [_classified(model, pictures)[:, columns]]
    values: dict[str, Values] = {}
    for name, draws in scores.items():
        ranks = [own_ranks(one.numpy(), own, np.zeros(len(labels), np.int64))[1] for one in draws]
        values |= {f"Acc@{k}/{name}": np.mean([accuracy(one, k) for one in ranks], axis=0) for k in (1, 5)}
    foremost = "classifier" if "classifier" in scores else "linear head"
    return Measured(
        model=model.name,
        fingerprint=model.fingerprint,
        what=f"{len(pictures)} sketches of {len(labels)} classes, named after {len(examples)} examples.",
        counts={"pictures": len(pictures), "examples": len(examples), "labels": len(labels)},
        metrics={name: bootstrap(value) for name, value in values.items()},
        trivial={"guessing": {"Acc@1": 1 / len(labels)}},
        per_category={
            labels[n]: {f"Acc@{k}": float(values[f"Acc@{k}/{foremost}"][own == n].mean()) for k in (1, 5)}
            for n in np.unique(own)
        },
    )


def _means(x: Tensor, y: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """The unit mean of so many examples (N, d) of each class (N,), drawn anew at every call: (classes, d)."""
    order = torch.randperm(len(x), generator=generator)
    chosen = [order[y[order] == n][:shots] for n in range(int(y.max()) + 1)]
    return torch.from_numpy(unit_means([x[index] for index in chosen])).double()


def _column(trained: Sequence[str], label: str) -> int | None:
    """Where a label is among those of a classifier: spelt as training spells it, or without what is in brackets."""
    return next((trained.index(name) for name in (clean(label), plain_name(label)) if name in trained), None)


def _classified(model: Extractor, pictures: Sequence[Labelled]) -> Tensor:
    rows = [
        model.classify([image for image, _ in pictures[start : start + BATCH]])  # type: ignore[attr-defined]
        for start in range(0, len(pictures), BATCH)
    ]
    return torch.cat(rows).double()
