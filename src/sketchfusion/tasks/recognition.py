"""Recognition: zero-shot with CLIP, a trained classifier of sketches or both, or few-shot from examples of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..featuremap import Floats
from ..io.images import ImageInput, Images, Kind
from ..io.weights import cached
from .inputs import read_sketches

if TYPE_CHECKING:
    from ..extractor import Extractor, Look

Examples = Mapping[str, Sequence[ImageInput]]  # a few pictures by label
Logits = Callable[[Images], Floats]  # N pictures to (N, labels)

TASK = "recognition"
SKETCH_PROMPTS = ("a sketch of a {}", "a drawing of a {}", "a picture of a {}", "a {}", "{}")
PHOTO_PROMPTS = ("a photo of a {}", "a picture of a {}", "a {}", "{}")
CHUNK = 32  # labels encoded at a time
CACHED = 100  # labels that are worth a file in the cache
LEARNED_PENALTY = 0.1  # of a cosine: new names among the best five 23 to 54 %, Quick, Draw! 44 to 42 % right
EXAMPLES_SCALE = 12.0  # inverse temperature of cosines with examples; calibrated on mini, 1 to 10 examples a label


@dataclass(frozen=True)
class Guess:
    """A label and its probability among the labels offered."""

    label: str
    score: float


def recognize(
    model: Extractor,
    images: Images,
    labels: Sequence[str] | None = None,
    k: int = 5,
    kind: Kind = "sketch",
    examples: Examples | None = None,
) -> list[list[Guess]]:
    """Name what each picture shows: the `k` likeliest of `labels`, best first.

    Labels are free text, compared with sketches or photos in CLIP's space (Radford et al., 2021, section 3.1). Among
    labels that are classes of the model's sketch classifier (SketchFusion, section 6.2), probabilities are proportional
    to the geometric mean of CLIP's and the classifier's. Labels default to those classes, or else to `model.labels`.

    With `examples`, a few pictures of the same kind for each label, recognition is few-shot: the label whose examples
    have the nearest mean feature wins (Snell et al., 2017, section 2.2), and the model need not know the labels.
    Raises ImageError for an unreadable or blank picture and ValueError if there are no labels, if one of them lacks an
    example, or if the model has neither a classifier nor a text encoder.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return Namer(model, labels, kind, examples).name(images, k)


class Namer:
    """A recogniser for fixed labels, which are encoded once and then used for any number of pictures."""

    def __init__(
        self,
        model: Extractor,
        labels: Sequence[str] | None = None,
        kind: Kind = "sketch",
        examples: Examples | None = None,
        classify: bool = True,
    ) -> None:
        """Encode the examples, or the labels' prompts; with `classify=False` the classifier is never run."""
        classes = model.classes if classify and kind == "sketch" else ()
        if labels is None:
            labels = tuple(examples) if examples is not None else classes or joint_space(model).labels
        self.labels = list(dict.fromkeys(filter(None, map(str.strip, labels))))
        if not self.labels:
            raise ValueError(f'{model.name} comes with no list of names; give some: --labels "cat,dog"')
        self._kind = kind
        self.classifies = examples is None and len(set(self.labels) & set(classes)) > 1
        if examples is not None:
            self._logits = _by_examples(model, self.labels, kind, examples)
        elif set(self.labels) <= set(classes) and not model.joint_dim:
            columns = [classes.index(label) for label in self.labels]
            self._logits = lambda pictures: model.classify(pictures, kind=kind).numpy()[:, columns]
        elif self.classifies:
            self._judge = judge = _by_both(model, self.labels, kind)
            self._logits = lambda pictures: judge(model.look(pictures, kind=kind))
        else:
            score = _text_scores(joint_space(model), self.labels, kind)
            self._logits = lambda pictures: score(model.encode_image(pictures, kind=kind))

    def name(self, images: Images, k: int = 5) -> list[list[Guess]]:
        """Give the `k` likeliest labels of each picture, best first."""
        return self.best(self.log_probabilities(_read(images, self._kind)), k)

    def log_probabilities(self, pictures: Images) -> Floats:
        """Compute log probabilities of the labels (N, labels); unlike `name`, it accepts blank pictures."""
        return _log_softmax(self._logits(pictures))

    def seen(self, look: Look) -> Floats:
        """Compute `log_probabilities` of what a pass over N pictures told; only for a namer that `classifies`."""
        return _log_softmax(self._judge(look))

    def best(self, log_probabilities: Floats, k: int) -> list[list[Guess]]:
        """Give the `k` likeliest labels of each row (N, labels), best first."""
        best = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :k]
        return [
            [Guess(self.labels[index], float(row[index])) for index in top]
            for row, top in zip(np.exp(log_probabilities), best, strict=True)
        ]


def unit_means(groups: Sequence[npt.ArrayLike]) -> Floats:
    """Average each group of vectors (n, d) and scale the means to length 1: (groups, d)."""
    means = np.stack([np.asarray(group, np.float32).mean(axis=0) for group in groups])
    unit: Floats = means / np.linalg.norm(means, axis=1, keepdims=True).clip(1e-12)
    return unit


def joint_space(model: Extractor) -> Extractor:
    """Return the model if it has a text encoder or trained classes; else ValueError."""
    if not (model.joint_dim or model.classes):
        raise ValueError(f"{model.name} cannot read words; choose a model with a CLIP in it")
    return model


def prototypes(model: Extractor, labels: Sequence[str], kind: Kind = "sketch") -> Floats:
    """Encode each label as the normalised mean of its prompts' embeddings (N, p); many labels are cached."""
    prompts = SKETCH_PROMPTS if kind == "sketch" else PHOTO_PROMPTS
    digest = model.text_digest if len(labels) >= CACHED else ()
    if not digest:
        return _encode_labels(model, labels, prompts)
    made_of = [*digest, model.device.type, *prompts, *labels]
    return cached(made_of, lambda: torch.from_numpy(_encode_labels(model, labels, prompts))).numpy()


def _encode_labels(model: Extractor, labels: Sequence[str], prompts: Sequence[str]) -> Floats:
    encoded: list[Floats] = []
    for start in range(0, len(labels), CHUNK):
        chunk = labels[start : start + CHUNK]
        texts = model.encode_text([prompt.format(label) for label in chunk for prompt in prompts])
        encoded.extend(texts.numpy().reshape(len(chunk), len(prompts), -1))
    return unit_means(encoded)


def _text_scores(model: Extractor, labels: Sequence[str], kind: Kind) -> Callable[[Tensor], Floats]:
    """Give a function that compares joint vectors of pictures (N, P) with labels: logits (N, labels).

    Labels that the model has learned give way to others by `LEARNED_PENALTY`: a model takes pictures of new things for
    those it has learned, so cosines of these are too high (calibrated stacking: Chao et al., 2016).
    """
    texts = prototypes(model, labels, kind)
    penalty = np.array([LEARNED_PENALTY * (label in model.labels) for label in labels], np.float32)
    return lambda joint: np.asarray(model.logit_scale * (joint.numpy() @ texts.T - penalty), np.float32)


def _by_both(model: Extractor, labels: Sequence[str], kind: Kind) -> Callable[[Look], Floats]:
    """Combine text and classifier, where some or all labels are classes of the classifier.

    These labels keep the sum of their text probabilities, but share it in proportion to the geometric mean of text and
    classifier probabilities; other labels keep their own. A product of the two would be overconfident, as both see the
    same picture.
    """
    classes = {label: column for column, label in enumerate(model.classes)}
    known = [index for index, label in enumerate(labels) if label in classes]
    columns = [classes[labels[index]] for index in known]
    by_text = _text_scores(model, labels, kind)

    def logits(look: Look) -> Floats:
        assert look.joint is not None
        log_probabilities = _log_softmax(by_text(look.joint))
        among_known = log_probabilities[:, known]
        total = np.logaddexp.reduce(among_known, axis=1, keepdims=True)
        mean = np.float32(0.5) * (among_known + look.logits.numpy()[:, columns])
        log_probabilities[:, known] = total + _log_softmax(mean)
        return log_probabilities

    return logits


def _by_examples(model: Extractor, labels: Sequence[str], kind: Kind, examples: Examples) -> Logits:
    if lacking := [label for label in labels if not examples.get(label)]:
        raise ValueError(f"{lacking[0]!r} has no example; give at least one picture of it")
    task = TASK if model.serves(TASK) else None
    means = unit_means([model.embed(_read(examples[label], kind), kind, task).numpy() for label in labels])
    return lambda pictures: EXAMPLES_SCALE * (model.embed(pictures, kind, task).numpy() @ means.T)


def _log_softmax(logits: Floats) -> Floats:
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def _read(images: Images, kind: Kind) -> Images:
    return read_sketches(images) if kind == "sketch" else images
