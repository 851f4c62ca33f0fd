"""Recognition: by examples of each name, or by text in CLIP's space and a classifier of the names that it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .inputs import read_sketches

if TYPE_CHECKING:
    from torch import Tensor

    from ..io.images import ImageInput, Kind


TASK = "recognition"
SKETCH_PROMPTS = ("a sketch of a {}", "a drawing of a {}", "a picture of a {}", "a {}", "{}")
LABELS = 32  # read at a time
PHOTO_PROMPTS = ("a photo of a {}", "a picture of a {}", "a {}", "{}")
EXAMPLES_SCALE = 12.0  # inverse temperature of cosines with examples: as sure as mini is right, one to ten of a name


@runtime_checkable
class TextImageSpace(Protocol):
    """A model that places pictures and prompts in one space."""

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names that it is known to have learned; may be empty."""

    @property
    def joint_dim(self) -> int:
        """The length of a vector of that space; 0 if it reads no words after all."""

    @property
    def logit_scale(self) -> float:
        """The inverse temperature that its similarities were trained with."""

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Prompts to unit vectors (N, p)."""

    def encode_image(self, images: Sequence[ImageInput], kind: Kind = "photo") -> Tensor:
        """Pictures to unit vectors (N, p)."""


@runtime_checkable
class Classifying(Protocol):
    """A model that was trained to tell some classes of sketches apart."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names; empty if it was not."""

    def classify(self, images: Sequence[ImageInput], kind: Kind = "sketch") -> Tensor:
        """Pictures to logits (N, len(classes))."""


@dataclass(frozen=True)
class Guess:
    """One label and the probability that it is the right one of those that were offered."""

    label: str
    score: float


def recognize(
    model: object,
    images: ImageInput | Sequence[ImageInput],
    labels: Sequence[str] | None = None,
    k: int = 5,
    kind: Kind = "sketch",
    examples: Mapping[str, Sequence[ImageInput]] | None = None,
) -> list[list[Guess]]:
    """Name what each picture shows: the `k` likeliest of `labels`, best first.

    Any labels will do, for sketches and photos: descriptions are compared (CLIP, Radford et al., 2021, section 3.1).
    Between names of sketches that the model was trained to tell apart, its classifier (SketchFusion, section 6.2) has
    its say as well: how likely each of them is among them is the geometric mean of both. By default the labels are
    those classes, or else the names that the model knows.

    With `examples`, a few pictures of the same kind for each name, the names mean what those show: the nearest mean of
    a name's examples is wanted (Snell et al., 2017, section 2.2), and no name needs to be known.

    Raises ImageError for an unreadable or blank picture and ValueError if there are no labels, if one of them lacks an
    example, or if the model has neither classes nor words.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return Namer(model, labels, kind, examples).name(images, k)


Logits = Callable[[Sequence["ImageInput"]], npt.NDArray[np.float32]]  # N pictures to (N, labels)


class Namer:
    """Labels placed in a space once, to name any number of pictures."""

    def __init__(
        self,
        model: object,
        labels: Sequence[str] | None = None,
        kind: Kind = "sketch",
        examples: Mapping[str, Sequence[ImageInput]] | None = None,
        classify: bool = True,
    ) -> None:
        """See the examples, or read the labels' descriptions; without `classify`, CLIP is all that is run."""
        classes = model.classes if classify and kind == "sketch" and isinstance(model, Classifying) else ()
        reads = isinstance(model, TextImageSpace) and model.joint_dim > 0
        if labels is None:
            labels = tuple(examples) if examples is not None else classes or joint_space(model).labels
        self.labels = list(dict.fromkeys(filter(None, map(str.strip, labels))))
        if not self.labels:
            raise ValueError(
                f'{getattr(model, "name", model)} comes with no list of names; give some: --labels "cat,dog"'
            )
        self._kind = kind
        self.classifies = examples is None and len(set(self.labels) & set(classes)) > 1
        if examples is not None:
            self._logits = _by_examples(model, self.labels, kind, examples)
        elif set(self.labels) <= set(classes) and not reads:
            self._logits = _by_classifier(model, self.labels, kind)
        elif self.classifies:
            self._logits = _by_both(model, self.labels, kind)
        else:
            self._logits = _by_text(joint_space(model), self.labels, kind)

    def name(self, images: ImageInput | Sequence[ImageInput], k: int = 5) -> list[list[Guess]]:
        """Give the `k` likeliest labels of each picture, best first."""
        shares = np.exp(self.log_probabilities(_read(images, self._kind)))
        best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
        return [
            [Guess(self.labels[place], float(row[place])) for place in top]
            for row, top in zip(shares, best, strict=True)
        ]

    def log_probabilities(self, pictures: Sequence[ImageInput]) -> npt.NDArray[np.float32]:
        """Give the logarithm of how likely each label is (N, labels); nothing is refused for being blank."""
        return _log_shares(self._logits(pictures))


def _by_classifier(model: Any, labels: Sequence[str], kind: Kind) -> Logits:
    columns = [model.classes.index(label) for label in labels]
    return lambda pictures: model.classify(pictures, kind=kind).numpy()[:, columns]


def _by_text(model: TextImageSpace, labels: Sequence[str], kind: Kind) -> Logits:
    texts = prototypes(model, labels, kind)
    return lambda pictures: model.logit_scale * (model.encode_image(pictures, kind=kind).numpy() @ texts.T)


def _by_both(model: Any, labels: Sequence[str], kind: Kind) -> Logits:
    """By text, but names that the classifier knows share what the text gives them all together anew, by both.

    By the geometric mean of what both say: they see the same picture, so their product would be too sure.
    """
    known = [place for place, label in enumerate(labels) if label in model.classes]
    text = _by_text(model, labels, kind)
    classified = _by_classifier(model, [labels[place] for place in known], kind)

    def logits(pictures: Sequence[ImageInput]) -> npt.NDArray[np.float32]:
        said = _log_shares(text(pictures))
        among = said[:, known]
        together = np.logaddexp.reduce(among, axis=1, keepdims=True)
        said[:, known] = together + _log_shares(np.float32(0.5) * (among + classified(pictures)))
        return said

    return logits


def _log_shares(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shares: npt.NDArray[np.float32] = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return shares


def _by_examples(model: Any, labels: Sequence[str], kind: Kind, examples: Mapping[str, Sequence[ImageInput]]) -> Logits:
    if lacking := [label for label in labels if not examples.get(label)]:
        raise ValueError(f"{lacking[0]!r} has no example; give one picture of it at least")
    task = TASK if model.serves(TASK) else None

    def embedded(pictures: Sequence[ImageInput]) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = model.embed(pictures, kind=kind, task=task).numpy()
        return vectors

    means = unit_means([embedded(_read(examples[label], kind)) for label in labels])
    return lambda pictures: EXAMPLES_SCALE * (embedded(pictures) @ means.T)


def unit_means(groups: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float32]:
    """The mean of each group of vectors (n, d), of length 1: (groups, d)."""
    means = np.stack([np.asarray(group, np.float32).mean(axis=0) for group in groups])
    unit: npt.NDArray[np.float32] = means / np.linalg.norm(means, axis=1, keepdims=True).clip(1e-12)
    return unit


def _read(images: ImageInput | Sequence[ImageInput], kind: Kind) -> Any:
    return read_sketches(images) if kind == "sketch" else images


def joint_space(model: object) -> TextImageSpace:
    """Give the model if it can read text, or name pictures without; ValueError if not."""
    named = isinstance(model, Classifying) and model.classes
    if not isinstance(model, TextImageSpace) or not (model.joint_dim or named):
        raise ValueError(f"{getattr(model, 'name', model)} cannot read words; choose a model with a CLIP in it")
    return model


def prototypes(model: TextImageSpace, labels: Sequence[str], kind: Kind = "sketch") -> npt.NDArray[np.float32]:
    """One unit vector for each label, the mean over its prompts: (N, p)."""
    prompts = SKETCH_PROMPTS if kind == "sketch" else PHOTO_PROMPTS
    read = [_texts(model, labels[start : start + LABELS], prompts) for start in range(0, len(labels), LABELS)]
    return unit_means([texts for some in read for texts in some])


def _texts(model: TextImageSpace, labels: Sequence[str], prompts: Sequence[str]) -> npt.NDArray[np.float32]:
    texts: npt.NDArray[np.float32] = model.encode_text(
        [prompt.format(label) for label in labels for prompt in prompts]
    ).numpy()
    return texts.reshape(len(labels), len(prompts), -1)
