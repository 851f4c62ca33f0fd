"""The face that SketchFusion and every baseline share: pictures in, feature maps and embeddings out."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .backbones.encoders import FrozenClip, FrozenDino
from .featuremap import FeatureMap, Frame
from .io.images import ImageInput, Kind, letterbox, read_image
from .io.weights import WeightsError
from .saved import Heads

# What the backbones see of a picture: one letterboxed square for both, or the two crops of the released code.


@dataclass(frozen=True)
class ModelInput:
    """One picture as the VAE and CLIP get it, both (3, S, S) in [0, 1], and where its pixels lie in the former."""

    square: Tensor
    clip: Tensor
    frame: Frame
    kind: Kind = "photo"


def prepare_letterboxed(source: ImageInput, kind: Kind, side: int) -> ModelInput:
    """Fit the whole picture into a square that both backbones share; ImageError when it cannot be read."""
    square, frame = letterbox(read_image(source, kind), side, kind)
    return ModelInput(square, square, frame, kind)


def prepare_as_released(source: ImageInput, side: int, clip_side: int) -> ModelInput:
    """Prepare a picture as the authors' code does, sketch and photo alike.

    The VAE's square is resized by Lanczos and padded with black; CLIP's has its short side resized bicubically and
    its middle cut out, so the two do not show the same part of a picture that is not square.
    """
    image = _to_pil(read_image(source, "photo"))
    square, frame = _pad_black(image, side)
    return ModelInput(_to_tensor(square), _to_tensor(_crop_middle(image, clip_side)), frame)


def _pad_black(image: Image.Image, side: int) -> tuple[Image.Image, Frame]:
    width, height = (max(1, round(side * length / max(image.size))) for length in image.size)
    left, top = (side - width) // 2, (side - height) // 2
    square = Image.new("RGB", (side, side))
    square.paste(image.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    return square, Frame(*image.size, side, width / image.width, height / image.height, left, top)


def _crop_middle(image: Image.Image, side: int) -> Image.Image:
    """Resize the short side to `side` and cut out the middle square, as CLIP's own preprocessing does."""
    short = min(image.size)
    width, height = (int(side * length / short) for length in image.size)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return resized.crop((left, top, left + side, top + side))


def _to_pil(image: Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy())


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255


Images = ImageInput | Sequence[ImageInput]


class Extractor(Protocol):
    """Anything that turns pictures into features; what the gallery, the tasks and the evaluation ask for."""

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def fingerprint(self) -> str:
        """A hash of everything that shapes the features; features of different fingerprints never mix."""

    @property
    def dim(self) -> int:
        """The length of an embedding."""

    def serves(self, task: str) -> bool:
        """Tell whether `task` may be asked for."""

    def heads_for(self, task: str) -> Heads:
        """Give what training for a task has left beside its weights."""

    def extract(
        self, images: Images, kind: Kind = "photo", batch_size: int = 8, task: str | None = None
    ) -> list[FeatureMap]:
        """Give one dense map for each picture."""

    def embed(self, images: Images, kind: Kind = "photo", task: str | None = None, batch_size: int = 8) -> Tensor:
        """Give one L2-normalised vector (N, dim) for each picture."""


@dataclass(frozen=True)
class ModelOutput:
    """What a model makes of a batch of B prepared pictures."""

    maps: Tensor  # (B, C, h, w)
    vectors: Tensor  # (B, dim), not normalised
    joint: Tensor | None = None  # (B, joint_dim), not normalised; of a model that reads text


class BatchExtractor(ABC):
    """Reads, letterboxes and batches pictures; a model only says what it makes of a batch."""

    name: str
    side: int
    device: torch.device

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of everything that shapes the features."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """The length of an embedding."""

    @property
    def joint_dim(self) -> int:
        """The length of a vector of the space shared with text; 0 for a model without one."""
        return 0

    @abstractmethod
    def maps(self, views: Sequence[ModelInput]) -> Tensor:
        """Give the dense features (B, C, h, w) of a batch of prepared pictures."""

    def serves(self, task: str) -> bool:
        """Tell whether there are weights for a task; a frozen baseline serves them all alike."""
        return True

    def for_task(self, task: str | None) -> BatchExtractor:
        """Give the model that serves a task; a frozen baseline serves them all alike."""
        return self

    def heads_for(self, task: str) -> Heads:
        """Give what training for a task has left beside its weights; a frozen baseline has nothing."""
        return Heads()

    def prepare(self, image: ImageInput, kind: Kind) -> ModelInput:
        """Prepare one picture."""
        return prepare_letterboxed(image, kind, self.side)

    def vectors(self, views: Sequence[ModelInput]) -> Tensor:
        """Give the vectors (B, dim) of a batch of prepared pictures: the maps' maximum over all but padding."""
        return self.forward(views).vectors

    def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
        """Give everything that the model makes of a batch of prepared pictures, in one pass."""
        maps = self.maps(views)
        return ModelOutput(maps, max_pool(maps, views))

    def extract(
        self, images: Images, kind: Kind = "photo", batch_size: int = 8, task: str | None = None
    ) -> list[FeatureMap]:
        """Give the dense map (C, h, w) of each picture, float32 on the CPU, in the order given.

        Raises ImageError for a picture that cannot be read, ValueError if what the model makes is not finite.
        """
        model, features = self.for_task(task), list[FeatureMap]()
        for views in model._batches(images, kind, batch_size):
            with torch.no_grad():
                seen = model.forward(views)
            joints = [None] * len(views) if seen.joint is None else seen.joint.float().cpu()
            rows = zip(check_finite(seen.maps.float().cpu(), model.name), views, joints, strict=True)
            features += [FeatureMap(data, view.frame, joint) for data, view, joint in rows]
        return features

    def embed(self, images: Images, kind: Kind = "photo", task: str | None = None, batch_size: int = 8) -> Tensor:
        """Give one vector of length 1 for each picture, (N, dim), float32 on the CPU, in the order given.

        Raises ImageError for a picture that cannot be read, ValueError if what the model makes is not finite.
        """
        model = self.for_task(task)
        rows = [torch.empty(0, model.dim)]
        for views in model._batches(images, kind, batch_size):
            with torch.no_grad():
                rows.append(F.normalize(model.vectors(views).float(), dim=1).cpu())
        return check_finite(torch.cat(rows), model.name)

    def _batches(self, images: Images, kind: Kind, batch_size: int) -> Iterator[list[ModelInput]]:
        sources = as_list(images)
        for start in range(0, len(sources), batch_size):
            yield [self.prepare(source, kind) for source in sources[start : start + batch_size]]


class JointSpace(BatchExtractor):
    """An extractor with a CLIP inside, which can also place pictures and prompts in the space they share.

    With a DINO in CLIP's place, as one ablation has it, there is no such space: ValueError for whatever needs it.
    """

    clip: FrozenClip | FrozenDino

    @property
    def joint_dim(self) -> int:
        """The length of a vector of the space shared with text; 0 without a CLIP."""
        return self.clip.dim if isinstance(self.clip, FrozenClip) else 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The names that its CLIP is known to have learned; empty where nobody wrote them down."""
        return self.clip.labels if isinstance(self.clip, FrozenClip) else ()

    @property
    def logit_scale(self) -> float:
        """What cosines of pictures and prompts are multiplied by before a softmax makes probabilities of them."""
        return self.clip.logit_scale if isinstance(self.clip, FrozenClip) else 1.0

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Give prompts as vectors (N, P) of the joint space, L2-normalised, float32 on the CPU."""
        with torch.no_grad():
            return F.normalize(self._both_towers().text(prompts).float(), dim=1).cpu()

    def _both_towers(self) -> FrozenClip:
        if not isinstance(self.clip, FrozenClip):
            raise ValueError(f"{self.name} cannot read words: it has a DINO in place of CLIP")
        return self.clip

    def encode_image(self, images: Images, kind: Kind = "photo", batch_size: int = 8) -> Tensor:
        """Give pictures as vectors (N, P) of the joint space, L2-normalised, float32 on the CPU."""
        clip = self._both_towers()
        rows = [torch.empty(0, clip.dim)]
        for views in self._batches(images, kind, batch_size):
            with torch.no_grad():
                pooled = clip(stack([view.clip for view in views], self.device)).pooled
            rows.append(F.normalize(pooled.float(), dim=1).cpu())
        return check_finite(torch.cat(rows), self.name)


def check_finite(features: Tensor, model: str) -> Tensor:
    """Give features back; ValueError if some are not finite, for NaN is nearer to everything than anything is."""
    if not features.isfinite().all():
        raise ValueError(f"{model} gives features that are not finite; its weights, or their precision, are no good")
    return features


def stack(squares: Sequence[Tensor], device: torch.device) -> Tensor:
    """Give prepared squares (3, S, S) as one batch (B, 3, S, S) on a device."""
    return torch.stack(list(squares)).to(device)


def max_pool(maps: Tensor, views: Sequence[ModelInput]) -> Tensor:
    """Give the maximum of maps (B, C, h, w) over all but padding: (B, C)."""
    pairs = zip(maps.float(), views, strict=True)
    return torch.stack([FeatureMap(data, view.frame).pooled() for data, view in pairs])


def max_pool_quarters(maps: Tensor, views: Sequence[ModelInput]) -> Tensor:
    """Give the maxima of maps (B, C, h, w) over each quarter of their pictures: (B, 4 C)."""
    pairs = zip(maps.float(), views, strict=True)
    return torch.stack([FeatureMap(data, view.frame).quartered() for data, view in pairs])


def concatenate_weighted(vectors: Tensor, whole: Tensor, weight: float) -> Tensor:
    """Give vectors (B, d) with others (B, p) at their side: their cosine is the mean of both, the second so weighted.

    With a weight of 0 they stay as they are.
    """
    if not weight:
        return vectors
    return torch.cat([F.normalize(vectors.float(), dim=1), weight**0.5 * F.normalize(whole.float(), dim=1)], dim=1)


def hash_settings(shaping: Mapping[str, object]) -> str:
    """Give the SHA-256 of everything that shapes features, by name."""
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


def as_list(images: Images) -> list[ImageInput]:
    """Give the pictures one by one: a single picture becomes a list of one, a stacked array or tensor is unstacked."""
    if isinstance(images, (str, Path, Image.Image)) or getattr(images, "ndim", None) == 3:
        return [images]  # type: ignore[list-item]
    return list(images)  # type: ignore[arg-type]


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """Give the device asked for, or the best there is: CUDA, then Apple's MPS, then the CPU."""
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_dtype(device: torch.device, dtype: torch.dtype | None = None) -> torch.dtype:
    """Give the type asked for, or bfloat16 on CUDA (SD 2.1 overflows in float16) and float32 elsewhere."""
    if dtype is not None:
        return dtype
    return torch.bfloat16 if device.type == "cuda" else torch.float32


# Recognition by a trained classifier, of a model that may have one, and what else training leaves beside weights.


class TrainedExtractor(BatchExtractor):
    """Names pictures of the classes that training for recognition has taught it, if it was trained so."""

    heads: Heads

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write all that is needed to load it from a folder."""

    def heads_for(self, task: str) -> Heads:
        """Give what training for a task has left beside its light weights; nothing where there are none for it."""
        other = self.for_task(task) if self.serves(task) else None
        return other.heads if isinstance(other, TrainedExtractor) else Heads()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that training for recognition has taught it to tell apart; empty without such a training."""
        classifier = self._recogniser().heads.classifier
        return classifier.labels if classifier else ()

    def classify(self, images: Images, kind: Kind = "sketch", batch_size: int = 8) -> Tensor:
        """Give the logits (N, len(classes)) of pictures, float32 on the CPU; ValueError if there are no classes."""
        model = self._recogniser()
        if model.heads.classifier is None:
            raise ValueError(f"{self.name} has no classifier; `sketchfusion train recognition` makes one")
        rows = [torch.empty(0, len(model.heads.classifier.labels))]
        for views in model._batches(images, kind, batch_size):
            with torch.no_grad():
                rows.append(model.heads.classifier(max_pool(model.maps(views), views)).cpu())
        return check_finite(torch.cat(rows), model.name)

    def _recogniser(self) -> TrainedExtractor:
        try:
            other = self.for_task("recognition")
        except WeightsError:  # it was trained for something else
            return self
        return other if isinstance(other, TrainedExtractor) else self
