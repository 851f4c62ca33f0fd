"""What to look for in a gallery, and the vectors that photos are scored by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..featuremap import Floats
from ..tasks.recognition import joint_space
from .storage import GalleryError

if TYPE_CHECKING:
    from torch import Tensor

    from ..extractor import Extractor


PROMPTS = ("{}", "a photo of {}", "a picture of {}")
# Weight of the text's standard score when there is a picture too; chosen by `sketchfusion evaluate search`.
TEXT_WEIGHT = 0.25
SAMPLE = 4096  # photos that stand for a larger gallery


@dataclass(frozen=True)
class Filter:
    """Which photos may be in an answer."""

    category: str | None = None
    where: str | None = None  # SQL condition over the columns

    @property
    def condition(self) -> str | None:
        """Both as one SQL condition; None if every photo may be in the answer."""
        category = None if self.category is None else "category = '" + self.category.replace("'", "''") + "'"
        return f"{category} AND ({self.where})" if category and self.where else category or self.where


@dataclass(frozen=True, eq=False)
class Query:
    """What to look for, and what the answer should be like; GalleryError for a query that cannot be answered.

    Several sketches, and a photo beside them, are averaged.
    """

    sketches: Sequence[Tensor] = ()  # (3, H, W) each, dark on white, as `tasks.inputs.read_sketches` gives them
    text: str | None = None  # what the photos show
    like: str | Path | None = None  # a photo, of the gallery or any other, to which similar ones are wanted
    k: int = 10
    category: str | None = None
    where: str | None = None  # SQL condition over the columns
    min_score: float | None = None  # the least confidence, 0 to 1
    group: bool = False  # fold near-duplicates into one hit
    diffuse: bool = False  # let photos rise that are similar to good answers

    def __post_init__(self) -> None:
        if self.k < 1:
            raise GalleryError(f"k must be at least 1, not {self.k}")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise GalleryError(f"min_score must be between 0 and 1, not {self.min_score}")
        if not len(self.sketches) and self.text is None and self.like is None:
            raise GalleryError("there is nothing to look for; give a sketch, a text or a photo")

    @property
    def filter(self) -> Filter:
        """Which photos may be in the answer."""
        return Filter(self.category, self.where)


@dataclass(frozen=True, eq=False)
class Background:
    """The vectors of a sample of a gallery's photos, the same sample as long as the photos stay the same."""

    count: int  # photos of the whole gallery
    columns: dict[str, Floats]  # (S, d) each

    def split(self, size: int) -> tuple[Background, Background]:
        """Divide the sample into about `size` photos, at most half of it, and the rest."""
        total = len(next(iter(self.columns.values())))
        taken = np.arange(0, total, max(2, -(-total // size)))
        rest = np.setdiff1d(np.arange(total), taken)
        parts = [{name: vectors[rows] for name, vectors in self.columns.items()} for rows in (taken, rest)]
        return Background(self.count, parts[0]), Background(self.count, parts[1])


def robust_moments(values: Floats) -> tuple[float, float]:
    """Give the median, and the standard deviation estimated from the median absolute deviation."""
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - np.float32(middle))))
    return middle, max(spread, 1e-6)


@dataclass(frozen=True)
class Modalities:
    """What a query consists of."""

    sketch: bool
    photo: bool
    text: bool


@dataclass(frozen=True, eq=False)
class Term:
    """One vector that is compared with one column of the gallery: gain * (cosine - shift)."""

    column: str
    vector: Floats  # (d,), unit length
    gain: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True, eq=False)
class Scorer:
    """A query as vectors; the score of a photo is the sum over the terms."""

    modalities: Modalities
    terms: tuple[Term, ...]

    @property
    def columns(self) -> set[str]:
        """The columns of vectors that scoring needs."""
        return {term.column for term in self.terms}

    def scores(self, columns: Mapping[str, Floats]) -> Floats:
        """Score photos by their vectors (N, d) in each column: (N,)."""
        each = [
            np.float32(term.gain) * ((term.vector[None] @ columns[term.column].T)[0] - np.float32(term.shift))
            for term in self.terms
        ]
        return np.asarray(sum(each[1:], each[0]), np.float32)

    def standardised(self, background: Background) -> Scorer:
        """Make several terms comparable: each cosine becomes its standard score among a gallery's photos.

        A single term keeps its cosine.
        """
        if len(self.terms) == 1:
            return self
        terms = []
        for term in self.terms:
            middle, spread = robust_moments((term.vector[None] @ background.columns[term.column].T)[0])
            terms.append(replace(term, shift=middle, gain=term.gain / spread))
        return replace(self, terms=tuple(terms))


def make_scorer(
    sketches: Sequence[Floats], photos: Sequence[Floats], text: Floats | None, weight: float = TEXT_WEIGHT
) -> Scorer:
    """Combine the vectors (d,) of sketches and photos, which are averaged, and the vector (P,) of a text.

    `weight` is the text's where there is a picture too.
    """
    terms = []
    if pictures := [*sketches, *photos]:
        terms.append(Term("vector", _unit(np.mean(pictures, axis=0))))
    if text is not None:
        terms.append(Term("joint", text, weight if pictures else 1.0))
    return Scorer(Modalities(bool(len(sketches)), bool(photos), text is not None), tuple(terms))


def embed_text(model: Extractor, text: str) -> Floats:
    """Embed a text in the space (P,) that it shares with pictures, as the mean of several prompts.

    Raises ValueError for an empty text and for a model that cannot read.
    """
    words = " ".join(text.split())
    if not words:
        raise ValueError("the text is empty; say what the photos should show")
    prompts = [prompt.format(words) for prompt in PROMPTS]
    return _unit(joint_space(model).encode_text(prompts).numpy().mean(axis=0))


def _unit(vector: Floats) -> Floats:
    unit: Floats = np.asarray(vector, np.float32)
    return unit / np.float32(max(float(np.linalg.norm(unit)), 1e-12))
