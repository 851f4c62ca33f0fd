"""What to look for in a gallery, and the vectors that photos are scored by."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from ..extractor import Extractor
from ..featuremap import Floats
from ..io.images import ImageInput, NormalisedSketch
from ..tasks.recognition import Guess, Namer, joint_space
from .storage import GalleryError

Vectors = Sequence[Floats]  # (d,) each

PROMPTS = ("{}", "a photo of {}", "a picture of {}")
# Weights of the text's standard score when there is a picture too, for words that the model has learned with photos and
# for others; chosen on photos of things that it has learned, and by `sketchfusion evaluate search` on others.
LEARNED_TEXT_WEIGHT, TEXT_WEIGHT = 2.0, 0.25
SAMPLE = 4096  # photos that stand for a larger gallery
FEW = 24  # photos; the median and spread of scores over fewer are not reliable
# Of what the model takes a sketch for: the most names, the least probability, and the weight of a certain one's text.
GUESSES, LEAST_GUESS, GUESS_WEIGHT = 5, 0.1, 0.5
# How far the mean vectors of right and wrong finds move a query of unit length; wrong ones alone would make it worse.
RIGHT_WEIGHT, WRONG_WEIGHT = 2.0, 0.5


@dataclass(frozen=True)
class Filter:
    category: str | None = None
    where: str | None = None  # SQL condition over the columns

    @property
    def condition(self) -> str | None:
        """Both as one SQL condition; None if every photo may be in the answer."""
        category = None if self.category is None else "category = '" + self.category.replace("'", "''") + "'"
        return f"{category} AND ({self.where})" if category and self.where else category or self.where


@dataclass(frozen=True, eq=False, repr=False)
class Query:
    """What to look for and how to answer; several pictures are averaged. GalleryError if it cannot be answered."""

    sketches: Sequence[Tensor] = ()  # (3, H, W) each, dark on white, as `tasks.inputs.read_sketches` gives them
    text: str | None = None  # what the photos show
    like: ImageInput | None = None  # a photo, of the gallery or any other, to which similar ones are wanted
    k: int = 10
    category: str | None = None
    where: str | None = None  # SQL condition over the columns
    min_score: float | None = None  # the least confidence, 0 to 1
    group: bool = False  # fold near-duplicates into one hit
    diffuse: bool = False  # let photos rise that are similar to good answers
    also: Mapping[str, float] | None = None  # what the sketch may show, with probabilities; None: the model guesses
    without: Sequence[str] = ()  # names that are wrong guesses
    right: Sequence[str] = ()  # paths of finds that are what was looked for: similar ones rise
    wrong: Sequence[str] = ()  # paths of finds that are not: left out, and similar ones fall if any find is right
    copies: bool = True  # give each of several copies of one picture a hit

    def __post_init__(self) -> None:
        if self.k < 1:
            raise GalleryError(f"k must be at least 1, not {self.k}")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise GalleryError(f"min_score must be between 0 and 1, not {self.min_score}")
        if not len(self.sketches) and self.text is None and self.like is None:
            raise GalleryError("there is nothing to look for; give a sketch, a text or a photo")

    def __repr__(self) -> str:
        """Give the number of sketches and what else was set, in one line."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {name: value for name, value in given.items() if value is not getattr(Query, name)}
        if "sketches" in given:
            given["sketches"] = len(self.sketches)
        if not isinstance(self.like, str | Path | None):
            given["like"] = type(self.like)
        return f"Query({', '.join(f'{name}={value!r}' for name, value in given.items())})"


@dataclass(frozen=True, eq=False)
class Background:
    """The vectors of a sample of a gallery's photos, the same sample as long as the photos stay the same."""

    count: int  # photos of the whole gallery
    columns: dict[str, Floats]  # (S, d) each

    def split(self, size: int) -> "tuple[Background, Background]":
        """Divide the sample into about `size` photos, at most half of it, and the rest."""
        total = len(next(iter(self.columns.values())))
        taken = np.arange(0, total, max(2, -(-total // size)))
        rest = np.setdiff1d(np.arange(total), taken)
        parts = [{name: vectors[rows] for name, vectors in self.columns.items()} for rows in (taken, rest)]
        return Background(self.count, parts[0]), Background(self.count, parts[1])


def robust_moments(values: Floats) -> tuple[float, float]:
    """Give the median, and the standard deviation: of `FEW` values and more from the median absolute deviation."""
    middle, spread = float(np.median(values)), float(np.std(values))
    if len(values) >= FEW:  # of fewer it is often much too small, and with copies 0: some photo would stand out
        spread = 1.4826 * float(np.median(np.abs(values - np.float32(middle))))
    return middle, max(spread, 1e-6)


@dataclass(frozen=True)
class Modalities:
    sketch: bool
    photo: bool
    text: float  # the weight of the words; 0 without any
    guesses: bool = False  # of what the sketch may show


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

    def standardised(self, background: Background) -> "Scorer":
        """Replace the cosines of several terms by their standard scores among a gallery's photos, to add them up."""
        if len(self.terms) == 1:
            return self
        terms = []
        for term in self.terms:
            middle, spread = robust_moments((term.vector[None] @ background.columns[term.column].T)[0])
            terms.append(replace(term, shift=middle, gain=term.gain / spread))
        return replace(self, terms=tuple(terms))


def make_scorer(
    sketches: Vectors, photos: Vectors, text: Floats | None, weight: float = TEXT_WEIGHT, guess: Floats | None = None
) -> Scorer:
    """Combine the vectors (d,) of sketches and photos, which are averaged, and the vector (P,) of a text.

    `weight` is the text's where there is a picture too. `guess` (P,) is what a `Guesser` made of the sketches; the
    longer it is, the more it counts.
    """
    terms = []
    if pictures := [*sketches, *photos]:
        terms.append(Term("vector", _unit(np.mean(pictures, axis=0))))
    if text is not None:
        terms.append(Term("joint", text, weight if pictures else 1.0))
    if guess is not None:
        terms.append(Term("joint", _unit(guess), GUESS_WEIGHT * float(np.linalg.norm(guess))))
    modalities = Modalities(bool(len(sketches)), bool(photos), 0.0 if text is None else weight, guess is not None)
    return Scorer(modalities, tuple(terms))


def refine(pictures: Vectors, right: Vectors, wrong: Vectors) -> Floats:
    """Move the mean of a query's vectors (d,) towards right finds, away from wrong ones (Rocchio's way)."""
    moved = RIGHT_WEIGHT * np.mean(right, axis=0)
    if len(pictures):
        moved = moved + _unit(np.mean(pictures, axis=0))
    return _unit(moved - WRONG_WEIGHT * np.mean(wrong, axis=0) if len(wrong) else moved)


def text_weight(model: Extractor, text: str) -> float:
    """Give the weight of words beside a picture: more if they hold a name that the model has learned."""
    words = f" {' '.join(text.lower().split())} "
    learned = any(f" {name} " in words for name in model.labels)
    return LEARNED_TEXT_WEIGHT if learned else TEXT_WEIGHT


def can_guess(model: Extractor) -> bool:
    """Tell whether a model has a text encoder and names that it has learned."""
    return bool(model.joint_dim and (model.classes or model.labels))


def see(model: Extractor, namer: Namer | None, sketches: Sequence[Tensor]) -> tuple[Floats, Floats]:
    """Embed N sketches (N, d) and name them: log probabilities (N, names). In one pass where the weights allow it."""
    pictures = [NormalisedSketch(sketch) for sketch in sketches]
    if namer and namer.classifies and model.recognises_as_it_is:
        look = model.look(pictures, "sketch", len(pictures))
        return look.vectors.numpy(), namer.seen(look)
    vectors: Floats = model.embed(pictures, kind="sketch", batch_size=len(pictures)).numpy()
    return vectors, namer.log_probabilities(pictures) if namer else np.empty((len(pictures), 0), np.float32)


def likely(guesses: Iterable[Guess]) -> dict[str, float]:
    """Give the names and probabilities of those guesses that are sure enough to search by."""
    return {guess.label: guess.score for guess in guesses if guess.score >= LEAST_GUESS}


class Guesser:
    """Guesses what sketches show, so that photos of it can be found by name too."""

    def __init__(self, model: Extractor) -> None:
        """Use a model that `can_guess`; nothing is encoded yet."""
        self._model = model
        self._texts: dict[str, Floats] = {}

    @cached_property
    def _namer(self) -> Namer:
        return Namer(self._model)  # encodes all names, which `vector` does not need

    def see(self, sketches: Sequence[Tensor]) -> tuple[Floats, dict[str, float]]:
        """Embed sketches (N, d) of one thing, and guess its names with their probabilities."""
        vectors, each = see(self._model, self._namer, sketches)
        return vectors, likely(self._namer.best(np.log(np.exp(each).mean(axis=0, keepdims=True)), GUESSES)[0])

    def vector(self, guesses: Mapping[str, float]) -> Floats:
        """Sum the text vectors (P,) of names, each times its probability."""
        for name in guesses.keys() - self._texts.keys():
            self._texts[name] = embed_text(self._model, name)
        none = np.zeros(self._model.joint_dim, np.float32)
        return sum((np.float32(share) * self._texts[name] for name, share in guesses.items()), none)


def embed_text(model: Extractor, text: str) -> Floats:
    """Embed a text (P,), the mean of several prompts; ValueError for an empty text or a model that cannot read."""
    words = " ".join(text.split())
    if not words:
        raise ValueError("the text is empty; say what the photos should show")
    prompts = [prompt.format(words) for prompt in PROMPTS]
    return _unit(joint_space(model).encode_text(prompts).numpy().mean(axis=0))


def _unit(vector: Floats) -> Floats:
    unit: Floats = np.asarray(vector, np.float32)
    return unit / np.float32(max(float(np.linalg.norm(unit)), 1e-12))
