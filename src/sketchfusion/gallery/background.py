"""What scores a gallery gives to a question by chance: the bulk of its photos does not show what is looked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SAMPLE = 4096  # photos that stand for a larger gallery


@dataclass(frozen=True, eq=False)
class Background:
    """The vectors of a sample of a gallery's photos, the same sample as long as the photos stay."""

    count: int  # photos of the whole gallery
    columns: dict[str, Floats]  # (S, d) each

    def split(self, size: int) -> tuple[Background, Background]:
        """Take `size` photos out, at most every second one; gives them and the rest."""
        total = len(next(iter(self.columns.values())))
        own = np.arange(0, total, max(2, -(-total // size)))
        rest = np.setdiff1d(np.arange(total), own)
        parts = [{name: vectors[places] for name, vectors in self.columns.items()} for places in (own, rest)]
        return Background(self.count, parts[0]), Background(self.count, parts[1])


def robust(values: Floats) -> tuple[float, float]:
    """Median, and standard deviation as the median absolute deviation tells it, which few outliers do not move."""
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - np.float32(middle))))
    return middle, max(spread, 1e-6)
