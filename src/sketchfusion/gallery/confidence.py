"""How surely a photo shows what was looked for, from 0 to 1, with one meaning in every gallery and for every model.

A gallery answers any question with some best photo. So questions that have nothing to do with it are put to it first,
and the highest score that each of them gets is noted. The confidence of a photo is the share of them that it beats:
with a cut at 0.9, one unrelated question in ten still gets an answer. No labels are needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from .background import Background, robust
from .question import Question

Floats = npt.NDArray[np.float32]

TAIL = 32  # the highest scores of a sample, whose fall tells how high those of the whole gallery reach
TYPICAL = 0.5615  # exp(-Euler's constant): the highest of n normal values is about the 1 - TYPICAL / n quantile


@dataclass(frozen=True)
class Chance:
    """The scores of the best photo for unrelated questions: median and standard deviation."""

    middle: float
    spread: float

    def beaten_by(self, scores: Iterable[float]) -> list[float]:
        """The share of unrelated questions whose best photo scores lower than each of these."""
        bell = NormalDist(self.middle, self.spread)
        return [bell.cdf(float(score)) for score in scores]


def chance(unrelated: Iterable[Question], background: Background) -> Chance:
    """Put unrelated questions to a gallery, of which a sample of the photos is known."""
    if not len(next(iter(background.columns.values()))):
        return Chance(0.0, math.inf)  # nothing is known of other photos, so every one is as likely as not
    best = [
        highest(question.against(background).scores(background.columns), background.count) for question in unrelated
    ]
    return Chance(*robust(np.array(best, np.float32)))


def highest(scores: Floats, count: int) -> float:
    """The highest of `count` scores when these (S,) are a sample of them.

    Beyond the sample the scores go on as its highest ones do when they are set against the normal distribution's.
    """
    size, normal = len(scores), NormalDist()
    if count <= size or size < TAIL:
        return float(scores.max())
    top = np.sort(scores)[-TAIL:][::-1]
    usual = [normal.inv_cdf(1 - (place + 0.5) / size) for place in range(TAIL)]
    slope = float((top - top[-1]).mean()) / (sum(usual) / TAIL - usual[-1])
    further = normal.inv_cdf(1 - TYPICAL / count) - normal.inv_cdf(1 - TYPICAL / size)
    return float(top[0]) + slope * further
