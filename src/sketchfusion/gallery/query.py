"""What is looked for: sketches, a photo, words, or several of these, as unit vectors in the spaces to be searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..featuremap import Floats
from ..tasks.recognition import joint_space

if TYPE_CHECKING:
    from ..extractor import Extractor


# What scores a gallery gives to a question by chance: the bulk of its photos does not show what is looked for.


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


PROMPTS = ("{}", "a photo of {}", "a picture of {}")
# Of the words' standard score beside the sketch's, by `sketchfusion evaluate search`.
TEXT_WEIGHT = 0.25


@dataclass(frozen=True, eq=False)
class QueryTerm:
    """One vector to be compared with one column of the gallery: gain * (cosine - shift)."""

    column: str
    vector: Floats  # (d,), unit length
    gain: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Modalities:
    """In which ways something is looked for."""

    sketch: bool
    photo: bool
    words: bool


@dataclass(frozen=True, eq=False)
class Query:
    """All that a photo is compared with; its score is the sum over the parts."""

    asked: Modalities
    parts: tuple[QueryTerm, ...]

    @property
    def columns(self) -> set[str]:
        """The columns of vectors that it needs."""
        return {part.column for part in self.parts}

    def scores(self, columns: Mapping[str, Floats]) -> Floats:
        """Score photos by their vectors (N, d) in each column: (N,)."""
        each = [
            np.float32(part.gain) * ((part.vector[None] @ columns[part.column].T)[0] - np.float32(part.shift))
            for part in self.parts
        ]
        return np.asarray(sum(each[1:], each[0]), np.float32)

    def against(self, background: Background) -> Query:
        """Make the parts comparable: each cosine becomes its distance from the gallery's bulk in standard deviations.

        A question of one part keeps its cosines.
        """
        if len(self.parts) == 1:
            return self
        parts = []
        for part in self.parts:
            middle, spread = robust((part.vector[None] @ background.columns[part.column].T)[0])
            parts.append(replace(part, shift=middle, gain=part.gain / spread))
        return replace(self, parts=tuple(parts))


def look_for(
    sketches: Sequence[Floats], photos: Sequence[Floats], words: Floats | None, weight: float = TEXT_WEIGHT
) -> Query:
    """Make one question of the vectors of sketches and photos, whose mean counts, and of the words' vector.

    `weight` is that of the words where there is a picture too.
    """
    parts = []
    if pictures := [*sketches, *photos]:
        parts.append(QueryTerm("vector", _unit(np.mean(pictures, axis=0))))
    if words is not None:
        parts.append(QueryTerm("joint", words, weight if pictures else 1.0))
    return Query(Modalities(bool(sketches), bool(photos), words is not None), tuple(parts))


def read_words(model: Extractor, text: str) -> Floats:
    """Give words as one vector (P,) of the space that they share with pictures; ValueError if there are none."""
    words = " ".join(text.split())
    if not words:
        raise ValueError("the text is empty; say what the photos should show")
    prompts = [prompt.format(words) for prompt in PROMPTS]
    return _unit(joint_space(model).encode_text(prompts).numpy().mean(axis=0))


def _unit(vector: Floats) -> Floats:
    unit: Floats = np.asarray(vector, np.float32)
    return unit / np.float32(max(float(np.linalg.norm(unit)), 1e-12))
