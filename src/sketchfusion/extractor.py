"""The interface that SketchFusion and every baseline share: pictures in, feature maps and embeddings out."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, get_args

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .backbones.encoders import FrozenClip, FrozenEncoder
from .featuremap import FeatureMap, Frame
from .io.images import ImageInput, Images, Kind, as_list, letterbox, read_image, to_uint8
from .io.weights import WeightsError
from .saved import Heads

Device: TypeAlias = str | torch.device | None  # None: the best that there is
Precision: TypeAlias = torch.dtype | None  # None: what is best on the device


@dataclass(frozen=True)
class ModelInput:
    """One picture as the backbones get it, both squares (3, S, S) in [0, 1], and its place in the first."""

    square: Tensor  # for the VAE, and for DINO
    clip: Tensor  # for CLIP: the same tensor unless the picture is prepared as in the released code
    frame: Frame
    kind: Kind = "photo"


@dataclass(frozen=True)
class ModelOutput:
    """The features of a batch of B pictures."""

    maps: Tensor  # (B, C, h, w)
    vectors: Tensor  # (B, dim), not normalised
    joint: Tensor | None = None  # (B, joint_dim) in the space shared with text, not normalised; None without a CLIP


@dataclass(frozen=True)
class Look:
    """What one pass over N pictures tells: unit vectors (N, d) and (N, P) as `embed` and `encode_image` give them."""

    vectors: Tensor
    joint: Tensor | None  # None without a CLIP
    logits: Tensor  # (N, classes) of the classifier


class Extractor(ABC):
    """Reads, letterboxes and batches pictures; a subclass only computes the features of one batch."""

    name: str
    side: int
    device: torch.device
    clip: FrozenEncoder | None = None  # a CLIP also places pictures and prompts in the space of its towers
    heads = Heads()  # classifier and threshold of its task, where it is trained

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}: {self.side} px -> vectors ({self.dim},), on {self.device})"

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of everything that shapes the features; features with different fingerprints never mix."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """The length of an embedding."""

    @abstractmethod
    def forward(self, inputs: Sequence[ModelInput]) -> ModelOutput:
        """Compute maps, embeddings and joint-space vectors of a batch of prepared pictures in one pass."""

    def serves(self, task: str) -> bool:
        """Tell whether there are weights for a task; a frozen baseline serves every task."""
        return True

    def for_task(self, task: str | None) -> "Extractor":
        """Give the model with the weights of a task, WeightsError if there are none; a frozen baseline is its own."""
        return self

    def heads_for(self, task: str) -> Heads:
        """Give the classifier and threshold that training for a task found; empty if it was not trained for it."""
        return self.for_task(task).heads if self.serves(task) else Heads()

    def prepare(self, image: ImageInput, kind: Kind) -> ModelInput:
        """Read and letterbox one picture; ImageError when it cannot be read."""
        return prepare_letterboxed(image, kind, self.side)

    def extract(
        self, images: Images, kind: Kind = "photo", batch_size: int = 8, task: str | None = None
    ) -> list[FeatureMap]:
        """Give each picture's map (C, h, w), float32 on the CPU; ImageError if unreadable, ValueError if not finite."""
        model, features = self.for_task(task), list[FeatureMap]()
        for inputs, output in model._run(images, kind, batch_size):
            joints = [None] * len(inputs) if output.joint is None else output.joint.float().cpu()
            maps = check_finite(output.maps.float().cpu(), model.name)
            rows = zip(maps, inputs, joints, strict=True)
            features += [FeatureMap(data, one.frame, joint) for data, one, joint in rows]
        return features

    def embed(self, images: Images, kind: Kind = "photo", task: str | None = None, batch_size: int = 8) -> Tensor:
        """Give unit vectors (N, dim), float32 on the CPU; ImageError if unreadable, ValueError if not finite."""
        model = self.for_task(task)
        rows = [torch.empty(0, model.dim)]
        rows += [F.normalize(output.vectors.float(), dim=1).cpu() for _, output in model._run(images, kind, batch_size)]
        return check_finite(torch.cat(rows), model.name)

    @property
    def joint_dim(self) -> int:
        """The length of a vector in the space shared with text; 0 without a CLIP."""
        return self.clip.dim if isinstance(self.clip, FrozenClip) else 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The names that its CLIP was trained on, where they are on record; else empty."""
        return self.clip.labels if isinstance(self.clip, FrozenClip) else ()

    @property
    def text_digest(self) -> Sequence[str]:
        """What `encode_text` depends on besides the prompts; empty if that may change, or without a CLIP."""
        return self.clip.text_digest if isinstance(self.clip, FrozenClip) else ()

    @property
    def logit_scale(self) -> float:
        """The factor that turns cosines of pictures and prompts into the logits of a softmax."""
        return self._require_clip().logit_scale

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Give prompts as unit vectors (N, P) of the joint space, float32 on the CPU; ValueError without a CLIP."""
        with torch.no_grad():
            return F.normalize(self._require_clip().text(prompts).float(), dim=1).cpu()

    def encode_image(self, images: Images, kind: Kind = "photo", batch_size: int = 8) -> Tensor:
        """Give pictures as unit vectors (N, P) of the joint space, float32 on the CPU; ValueError without a CLIP."""
        clip = self._require_clip()
        rows = [torch.empty(0, clip.dim)]
        for inputs in self._batches(images, kind, batch_size):
            with torch.no_grad():
                vectors = clip(stack([one.clip for one in inputs], self.device)).joint
            assert vectors is not None
            rows.append(F.normalize(vectors.float(), dim=1).cpu())
        return check_finite(torch.cat(rows), self.name)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that its classifier tells apart; empty without one."""
        classifier = self._recogniser().heads.classifier
        return classifier.labels if classifier else ()

    @property
    def recognises_as_it_is(self) -> bool:
        """Whether the classifier stands on these weights, so that `look` gives the vectors of `embed`."""
        return self._recogniser() is self and self.heads.classifier is not None

    def classify(self, images: Images, kind: Kind = "sketch", batch_size: int = 8) -> Tensor:
        """Give the logits (N, len(classes)) of pictures, float32 on the CPU; ValueError without a classifier."""
        return self.look(images, kind, batch_size).logits

    def look(self, images: Images, kind: Kind = "sketch", batch_size: int = 8) -> Look:
        """Classify and embed pictures in one pass by the weights for recognition; ValueError without a classifier."""
        model = self._recogniser()
        if model.heads.classifier is None:
            raise ValueError(f"{self.name} has no classifier; `sketchfusion train recognition` makes one")
        logits, vectors = [torch.empty(0, len(model.heads.classifier.labels))], [torch.empty(0, model.dim)]
        joint = list[Tensor]()
        for inputs, output in model._run(images, kind, batch_size):
            logits.append(model.heads.classifier(max_pool(output.maps, inputs)).cpu())
            vectors.append(F.normalize(output.vectors.float(), dim=1).cpu())
            joint += [] if output.joint is None else [F.normalize(output.joint.float(), dim=1).cpu()]
        return Look(
            check_finite(torch.cat(vectors), model.name),
            check_finite(torch.cat(joint), model.name) if joint else None,
            check_finite(torch.cat(logits), model.name),
        )

    def _run(self, images: Images, kind: Kind, batch_size: int) -> Iterator[tuple[list[ModelInput], ModelOutput]]:
        for inputs in self._batches(images, kind, batch_size):
            with torch.no_grad():
                output = self.forward(inputs)
            yield inputs, output

    def _batches(self, images: Images, kind: Kind, batch_size: int) -> Iterator[list[ModelInput]]:
        if kind not in get_args(Kind):
            raise ValueError(f"kind={kind!r}: choose {' or '.join(map(repr, get_args(Kind)))}")
        sources = as_list(images)
        for start in batch_starts(len(sources), batch_size):
            yield [self.prepare(source, kind) for source in sources[start : start + batch_size]]

    def _require_clip(self) -> FrozenClip:
        if not isinstance(self.clip, FrozenClip):
            raise ValueError(f"{self.name} cannot read words; choose a model with a CLIP in it")
        return self.clip

    def _recogniser(self) -> "Extractor":
        """Give the model trained for recognition, or this one if it has no weights for that."""
        try:
            return self.for_task("recognition")
        except WeightsError:
            return self


class TrainedExtractor(Extractor):
    """An extractor with trained weights."""

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder from which the model can be loaded."""


def prepare_letterboxed(source: ImageInput, kind: Kind, side: int, whole_page: bool = False) -> ModelInput:
    """Fit a picture into a square, of a sketch the window around its strokes unless `whole_page`; ImageError."""
    square, frame = letterbox(read_image(source, kind), side, kind, whole_page)
    return ModelInput(square, square, frame, kind)


def prepare_as_released(source: ImageInput, side: int, clip_side: int) -> ModelInput:
    """Prepare a picture as the authors' code does, sketch and photo alike.

    The VAE's square is resized by Lanczos and padded with black. CLIP's has its short side resized bicubically and
    its middle cut out, so for a picture that is not square the two show different parts.
    """
    image = Image.fromarray(to_uint8(read_image(source, "photo")))
    width, height = (max(1, round(side * length / max(image.size))) for length in image.size)
    left, top = (side - width) // 2, (side - height) // 2
    square = Image.new("RGB", (side, side))
    square.paste(image.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    frame = Frame(*image.size, side, width / image.width, height / image.height, left, top)
    width, height = (int(clip_side * length / min(image.size)) for length in image.size)  # as CLIP's own preprocessing
    left, top = round((width - clip_side) / 2), round((height - clip_side) / 2)
    middle = image.resize((width, height), Image.Resampling.BICUBIC)
    middle = middle.crop((left, top, left + clip_side, top + clip_side))
    return ModelInput(read_image(square), read_image(middle), frame)


def batch_starts(count: int, batch_size: int) -> range:
    """Give where the batches of so many pictures begin; ValueError if a batch has none."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    return range(0, count, batch_size)


def stack(squares: Sequence[Tensor], device: torch.device) -> Tensor:
    """Stack prepared squares (3, S, S) into one batch (B, 3, S, S) on a device."""
    return torch.stack(list(squares)).to(device)


def max_pool(maps: Tensor, inputs: Sequence[ModelInput]) -> Tensor:
    """Take the maximum of maps (B, C, h, w), padding left out: (B, C)."""
    return torch.stack([FeatureMap(data, one.frame).pooled() for data, one in zip(maps.float(), inputs, strict=True)])


def concatenate_weighted(vectors: Tensor, others: Tensor, weight: float) -> Tensor:
    """Join (B, d) and (B, p), normalised, to (B, d + p), whose cosine is both cosines' mean, the second by `weight`."""
    if not weight:
        return vectors
    return torch.cat([F.normalize(vectors.float(), dim=1), weight**0.5 * F.normalize(others.float(), dim=1)], dim=1)


def check_finite(features: Tensor, model: str) -> Tensor:
    """Return features unchanged; ValueError if some are NaN or infinite, which would corrupt every ranking."""
    if not features.isfinite().all():
        raise ValueError(f"{model} gives features that are not finite; its weights, or their precision, are no good")
    return features


def hash_settings(settings: Mapping[str, object]) -> str:
    """Give the SHA-256 of everything that shapes features, by name."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def pick_device(device: Device = None) -> torch.device:
    """Give the device, ValueError if it cannot be used; without one the best: CUDA, then Apple's MPS, then the CPU."""
    if device is not None:
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {str(device)!r} cannot be used here: {str(error).splitlines()[0]}") from None
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_dtype(device: torch.device, dtype: torch.dtype | None = None) -> torch.dtype:
    """Choose a type: the given one, else bfloat16 on CUDA (SD 2.1 overflows in float16) and float32 elsewhere."""
    if dtype is not None:
        return dtype
    return torch.bfloat16 if device.type == "cuda" else torch.float32
