"""Confidence that a photo shows what was looked for: 0 to 1, comparable across galleries and models.

A gallery answers any query with some best photo. So unrelated queries are put to it first, and the highest score of
each is recorded. A photo's confidence is the share of such highest scores below its own, by a normal distribution
fitted robustly to them: with a threshold of 0.9, about one unrelated query in ten gets an answer. No labels are needed.
All scores are standardised over the photos first, because some drawings, such as a circle, are a bit like all.

The unrelated queries are the sketches in references.png, drawn by Sketch World, and the names of what they show; for a
query that is a photo, photos of the gallery itself. Their features are stored with the gallery when it is indexed.
"""

import hashlib
import io
import math
from collections.abc import Iterable
from contextlib import suppress
from importlib.resources import files
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from ..extractor import Extractor
from ..featuremap import Floats
from ..tasks.inputs import read_sketches
from .nearest import ApproximateIndex, ExactIndex
from .query import FEW, Background, Guesser, Modalities, Scorer, can_guess, embed_text, make_scorer, robust_moments
from .rows import listed, matrix
from .storage import GalleryError, connect, storage_errors
from .store import GalleryStore

COUNT = 48  # unrelated queries
COLUMNS = 8  # sketches in a row of the picture that holds them
SIDE = 128  # pixels of a sketch
SKETCHES, WORDS, GUESSED = "sketches", "words", "guessed"  # the tables of their features
TAIL = 32  # the highest scores of a sample, by which those of the whole gallery are extrapolated
TYPICAL = 0.5615  # exp(-Euler's constant): the highest of n normal values is about the 1 - TYPICAL / n quantile
_embedded: dict[str, dict[str, Floats]] = {}  # features of the references by the model's fingerprint and kind


class Calibration:
    """How high unrelated queries score in a gallery; computed when first needed, and kept in memory only."""

    def __init__(self, store: GalleryStore, model: Extractor) -> None:
        self._store, self._model = store, model
        self._references: dict[str, Floats] = {}
        self._measured: dict[tuple[int, Modalities], NormalDist] = {}

    def best_scores(self, scorer: Scorer, index: ExactIndex | ApproximateIndex) -> NormalDist:
        """Measure the best scores of unrelated queries that have the scorer's modalities."""
        key, measured = (index.version, scorer.modalities), self._measured
        if key not in measured:
            unrelated, background = self._unrelated(scorer.modalities, index.background)
            measured = {old: value for old, value in measured.items() if old[0] == index.version}
            measured[key] = measure_best_scores(unrelated, background)
            self._measured = measured  # as a whole, as other threads search too
        return measured[key]

    def _unrelated(self, modalities: Modalities, background: Background) -> tuple[list[Scorer], Background]:
        """Make unrelated queries, and the sample of photos to score for them, without photos that serve as queries."""
        if modalities.photo and not modalities.sketch:
            taken, background = background.split(COUNT)
            pictures = taken.columns["vector"]
        elif modalities.sketch:
            pictures = self._features(SKETCHES)
        else:
            return [make_scorer([], [], text) for text in self._features(WORDS)], background
        none = [None] * len(pictures)
        texts = self._features(WORDS) if modalities.text else none
        guesses = self._features(GUESSED) if modalities.guesses else none
        unrelated = zip(pictures, texts, guesses, strict=False)
        weight = modalities.text
        return [make_scorer([picture], [], text, weight, guess) for picture, text, guess in unrelated], background

    def _features(self, kind: str) -> Floats:
        """Read the vectors of `embed_references` from the gallery, or compute them if it has none."""
        if kind not in self._references:
            stored = _read(self._store, kind)
            self._references[kind] = embed_references(self._model, kind) if stored is None else stored
        return self._references[kind]


def measure_best_scores(unrelated: Iterable[Scorer], background: Background) -> NormalDist:
    """Estimate the best `comparable` scores of unrelated queries over a whole gallery, from a sample of it."""
    if not len(next(iter(background.columns.values()))):
        return NormalDist(0.0, math.inf)  # nothing is known of other photos: every confidence is 0.5
    each = [scorer.standardised(background).scores(background.columns) for scorer in unrelated]
    best = [highest(comparable(scores, scores), background.count) for scores in each]
    return NormalDist(*robust_moments(np.array(best, np.float32)))


def confidences(unrelated: NormalDist, scores: Floats, background: Floats) -> list[float]:
    """Give the share of unrelated queries with a lower best score; `background` (S,) is a sample's scores."""
    return [unrelated.cdf(float(score)) for score in comparable(scores, background)]


def comparable(scores: Floats, background: Floats) -> Floats:
    """Standardise a query's scores by median and spread of a sample's (S,); leave them if the sample is below FEW."""
    middle, spread = robust_moments(background) if len(background) >= FEW else (0.0, 1.0)
    return (scores - np.float32(middle)) / np.float32(spread)


def highest(scores: Floats, count: int) -> float:
    """Estimate the highest of `count` scores from a sample (S,), extrapolated along the normal distribution."""
    size, normal = len(scores), NormalDist()
    if count <= size or size < TAIL:
        return float(scores.max())
    top = np.sort(scores)[-TAIL:][::-1]
    usual = [normal.inv_cdf(1 - (place + 0.5) / size) for place in range(TAIL)]
    slope = float((top - top[-1]).mean()) / (sum(usual) / TAIL - usual[-1])
    further = normal.inv_cdf(1 - TYPICAL / count) - normal.inv_cdf(1 - TYPICAL / size)
    return float(top[0]) + slope * further


def reference_sketches() -> list[tuple[npt.NDArray[np.uint8], str]]:
    """Read the sketches, (SIDE, SIDE, 3) uint8, that serve as unrelated queries, each with the name of its object."""
    with Image.open(io.BytesIO(files(__package__).joinpath("references.png").read_bytes())) as sheet:
        pixels, names = np.asarray(sheet.convert("RGB")), str(sheet.info["names"]).split(",")
    corners = [(SIDE * (number // COLUMNS), SIDE * (number % COLUMNS)) for number in range(COUNT)]
    sketches = [pixels[top : top + SIDE, left : left + SIDE] for top, left in corners]
    return list(zip(sketches, names, strict=True))


def embed_references(model: Extractor, kind: str = SKETCHES) -> Floats:
    """Embed the reference sketches (COUNT, d), their names or guesses of names (COUNT, P), once per model."""
    known = _embedded.setdefault(model.fingerprint, {})
    if kind not in known:
        if kind == WORDS:
            known[WORDS] = np.stack([embed_text(model, name) for _, name in reference_sketches()])
            return known[WORDS]
        sketches = [read_sketches(sketch)[0] for sketch, _ in reference_sketches()]
        if can_guess(model):
            guesser = Guesser(model)
            vectors, guesses = zip(*(guesser.see([sketch]) for sketch in sketches), strict=True)
            known[SKETCHES], known[GUESSED] = np.concatenate(vectors), np.stack([*map(guesser.vector, guesses)])
        else:
            known[SKETCHES] = model.embed(sketches, kind="sketch").numpy()
    return known[kind]


def store_references(store: GalleryStore, model: Extractor) -> None:
    """Store the features of unrelated queries with a gallery that has none; if that fails, searches compute them."""
    kinds = [SKETCHES, WORDS] if store.made_with.joint_dim else [SKETCHES]
    for kind in [*kinds, GUESSED] if can_guess(model) else kinds:
        if _read(store, kind) is None:
            vectors = embed_references(model, kind)
            rows = pa.table({"vector": listed(vectors)}).replace_schema_metadata({"digest": _digest(vectors)})
            with suppress(GalleryError), storage_errors(store.uri):
                connect(store.uri).create_table(_table_name(store, kind), rows, mode="overwrite")


def _read(store: GalleryStore, kind: str) -> Floats | None:
    """Read stored features; None if they are missing, incomplete or damaged."""
    with storage_errors(store.uri):
        try:
            rows = connect(store.uri).open_table(_table_name(store, kind)).to_arrow()
        except ValueError as error:
            if "was not found" not in str(error):
                raise
            return None
    vectors = matrix(rows["vector"])
    digest = _digest(vectors)
    return vectors if (rows.schema.metadata or {}).get(b"digest", digest) == digest else None


def _digest(vectors: Floats) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest().encode()


def _table_name(store: GalleryStore, kind: str) -> str:
    return f"{kind}-{store.made_with.fingerprint[:16]}"
