"""What the trained competitors share: a task, what training leaves for it, and maps centred by their kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from torch import Tensor

from ..extractor import Classifier, View
from ..fusion import Centring, numbered
from ..io.weights import WeightsError
from ..saved import UNIVERSAL, Heads


class TrainedBaseline(Classifier):
    """A baseline trained for one task, or for all. Its maps end in the centring that the fused ones end in too.

    The papers know of none. But without it all cosines of these features are near 1 as well, and only one of the
    methods compared would have it.
    """

    task: str
    centring: Centring

    def __init__(self, task: str) -> None:
        """Be of one task, without heads yet."""
        self.task, self.heads = task, Heads()

    def serves(self, task: str) -> bool:
        """Tell whether it was trained for a task."""
        return self.task in (task, UNIVERSAL)

    def for_task(self, task: str | None) -> Self:
        """Give itself; WeightsError if it was trained for another task."""
        if task is not None and not self.serves(task):
            raise WeightsError(f"{self.name} has weights for {self.task!r} only, not for {task!r}")
        return self

    def centred(self, maps: Tensor, views: Sequence[View]) -> Tensor:
        """Centre maps (B, C, h, w) by the kind of each picture."""
        kinds = numbered([view.kind for view in views])
        centred: Tensor = self.centring(maps, kinds.to(maps.device))
        return centred
