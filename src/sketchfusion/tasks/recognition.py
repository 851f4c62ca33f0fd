"""Recognition: by a classifier that knows the labels, else by the description that is nearest in CLIP's joint space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .query import read_sketches

if TYPE_CHECKING:
    from torch import Tensor

    from ..io.images import ImageInput, Kind

SKETCH_PROMPTS = ("a sketch of a {}", "a drawing of a {}", "a picture of a {}", "a {}", "{}")
LABELS = 32  # read at a time
PHOTO_PROMPTS = ("a photo of a {}", "a picture of a {}", "a {}", "{}")


@runtime_checkable
class JointSpace(Protocol):
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
) -> list[list[Guess]]:
    """Name what each picture shows: the `k` likeliest of `labels`, best first.

    Sketches of classes that the model was trained to tell apart are classified (SketchFusion, section 6.2). Any other
    labels will do too, and photos: then descriptions are compared (CLIP, Radford et al., 2021, section 3.1). By default
    the labels are those classes, or else the names that the model knows. Raises ImageError for an unreadable or
    blank picture and ValueError if there are no labels, or if the model has neither classes nor words.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return Namer(model, labels, kind).name(images, k)


class Namer:
    """Labels placed in the joint space once, to name any number of pictures."""

    def __init__(self, model: object, labels: Sequence[str] | None = None, kind: Kind = "sketch") -> None:
        """Read the labels' descriptions, unless the model was trained on them; ValueError if there are none."""
        classes = model.classes if kind == "sketch" and isinstance(model, Classifying) else ()
        known = (classes or joint_space(model).labels) if labels is None else labels
        labels = list(dict.fromkeys(filter(None, map(str.strip, known))))
        if not labels:
            raise ValueError(
                f'{getattr(model, "name", model)} comes with no list of names; give some: --labels "cat,dog"'
            )
        self.labels = labels
        self._model, self._kind = model, kind
        self._trained = [classes.index(label) for label in labels] if set(labels) <= set(classes) else None
        self._prototypes = prototypes(joint_space(model), labels, kind) if self._trained is None else None

    def name(self, images: ImageInput | Sequence[ImageInput], k: int = 5) -> list[list[Guess]]:
        """Give the `k` likeliest labels of each picture, best first."""
        read: Any = read_sketches(images) if self._kind == "sketch" else images
        model: Any = self._model
        if self._prototypes is None:
            logits = model.classify(read, kind=self._kind).numpy()[:, self._trained]
        else:
            pictures = model.encode_image(read, kind=self._kind)
            logits = model.logit_scale * (pictures.numpy() @ self._prototypes.T)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
        return [
            [Guess(self.labels[place], float(row[place])) for place in top]
            for row, top in zip(shares, best, strict=True)
        ]


def joint_space(model: object) -> JointSpace:
    """Give the model if it can read text, or name pictures without; ValueError if not."""
    named = isinstance(model, Classifying) and model.classes
    if not isinstance(model, JointSpace) or not (model.joint_dim or named):
        raise ValueError(f"{getattr(model, 'name', model)} cannot read words; choose a model with a CLIP in it")
    return model


def prototypes(model: JointSpace, labels: Sequence[str], kind: Kind = "sketch") -> npt.NDArray[np.float32]:
    """One unit vector for each label, the mean over its prompts: (N, p)."""
    prompts = SKETCH_PROMPTS if kind == "sketch" else PHOTO_PROMPTS
    means = np.concatenate(
        [_mean_texts(model, labels[start : start + LABELS], prompts) for start in range(0, len(labels), LABELS)]
    )
    unit: npt.NDArray[np.float32] = means / np.linalg.norm(means, axis=1, keepdims=True).clip(1e-12)
    return unit


def _mean_texts(model: JointSpace, labels: Sequence[str], prompts: Sequence[str]) -> npt.NDArray[np.float32]:
    texts = model.encode_text([prompt.format(label) for label in labels for prompt in prompts]).numpy()
    means: npt.NDArray[np.float32] = texts.reshape(len(labels), len(prompts), -1).mean(axis=1)
    return means
