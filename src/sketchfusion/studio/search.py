"""Many drawings, one run of the model: the answers to all searches that wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..gallery import Gallery, GalleryError, Hit
from ..tasks.recognition import Guess, Namer

GUESSES = 5


@dataclass(frozen=True, eq=False)
class Question:
    """What one client looks for."""

    sketch: Tensor | None  # (3, H, W), dark on white
    like: str | None  # the path of a photo of the gallery
    text: str | None
    k: int
    category: str | None
    min_score: float | None
    group: bool


@dataclass(frozen=True)
class Found:
    """Photos, best first, and names for what was drawn."""

    hits: list[Hit]
    guesses: list[Guess]


class Searcher:
    """Answers searches in batches; only the model's thread may call it."""

    def __init__(self, gallery: Gallery) -> None:
        """Names are known once `namer` is set."""
        self.gallery = gallery
        self.namer: Namer | None = None

    def __call__(self, questions: Sequence[Question]) -> list[Found | Exception]:
        """Answer each question; what is wrong with one harms no other."""
        drawn = [question.sketch for question in questions if question.sketch is not None]
        vectors = iter(self._embedded(drawn))
        guesses = iter(self.namer.name(drawn, GUESSES) if self.namer and drawn else [[]] * len(drawn))
        answers: list[Found | Exception] = []
        for question in questions:
            vector = next(vectors) if question.sketch is not None else None
            names = next(guesses) if question.sketch is not None else []
            try:
                answers.append(Found(self._hits(question, vector), names))
            except ValueError as error:  # what the gallery says of a question is meant for who asked it
                answers.append(GalleryError(str(error)))
            except Exception as error:
                answers.append(error)
        return answers

    def _embedded(self, sketches: Sequence[Tensor]) -> npt.NDArray[np.float32]:
        if not sketches:
            return np.empty((0, 0), np.float32)
        vectors: npt.NDArray[np.float32] = self.gallery.model.embed(
            list(sketches), kind="sketch", batch_size=len(sketches)
        ).numpy()
        return vectors

    def _hits(self, question: Question, vector: npt.NDArray[np.float32] | None) -> list[Hit]:
        if not len(self.gallery):
            return []
        return self.gallery.find(
            None if vector is None else vector[None],
            question.k,
            question.category,
            text=question.text,
            like=question.like,
            min_score=question.min_score,
            group=question.group,
        )
