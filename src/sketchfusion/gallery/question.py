"""What is looked for: sketches, a photo, words, or several of these, as unit vectors in the spaces to be searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..tasks.recognition import joint_space
from .background import Background, robust

if TYPE_CHECKING:
    from ..extractor import BatchExtractor


Floats = npt.NDArray[np.float32]

PROMPTS = ("{}", "a photo of {}", "a picture of {}")
# Of the words' standard score beside the sketch's, by `sketchfusion evaluate search`.
TEXT_WEIGHT = 0.25


@dataclass(frozen=True, eq=False)
class Part:
    """One vector to be compared with one column of the gallery: gain * (cosine - shift)."""

    column: str
    vector: Floats  # (d,), unit length
    gain: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Asked:
    """In which ways something is looked for."""

    sketch: bool
    photo: bool
    words: bool


@dataclass(frozen=True, eq=False)
class Question:
    """All that a photo is compared with; its score is the sum over the parts."""

    asked: Asked
    parts: tuple[Part, ...]

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

    def against(self, background: Background) -> Question:
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
) -> Question:
    """Make one question of the vectors of sketches and photos, whose mean counts, and of the words' vector.

    `weight` is that of the words where there is a picture too.
    """
    parts = []
    if pictures := [*sketches, *photos]:
        parts.append(Part("vector", _unit(np.mean(pictures, axis=0))))
    if words is not None:
        parts.append(Part("joint", words, weight if pictures else 1.0))
    return Question(Asked(bool(sketches), bool(photos), words is not None), tuple(parts))


def read_words(model: BatchExtractor, text: str) -> Floats:
    """Give words as one vector (P,) of the space that they share with pictures; ValueError if there are none."""
    words = " ".join(text.split())
    if not words:
        raise ValueError("the text is empty; say what the photos should show")
    prompts = [prompt.format(words) for prompt in PROMPTS]
    return _unit(joint_space(model).encode_text(prompts).numpy().mean(axis=0))


def _unit(vector: Floats) -> Floats:
    unit: Floats = np.asarray(vector, np.float32)
    return unit / np.float32(max(float(np.linalg.norm(unit)), 1e-12))
