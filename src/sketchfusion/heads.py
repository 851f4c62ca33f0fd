"""What training leaves beside light weights for the tasks that end in more than a cosine: a classifier, a threshold."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .io.weights import WeightsError

FILE = "heads.safetensors"


@dataclass(frozen=True, eq=False)
class Classifier:
    """A linear classifier of pooled features (B, d)."""

    labels: tuple[str, ...]  # n
    weight: Tensor  # (n, d)
    bias: Tensor  # (n,)

    def __call__(self, pooled: Tensor) -> Tensor:
        """Give the logits (B, n)."""
        weight, bias = (part.to(pooled.device, torch.float32) for part in (self.weight, self.bias))
        return pooled.float() @ weight.T + bias


@dataclass(frozen=True)
class Threshold:
    """How likely a photo shows what was drawn, sigmoid((likeness - at) / temperature)."""

    at: float
    temperature: float
    least: float = 0.5  # below, nothing is said to be there


@dataclass(frozen=True)
class Heads:
    """The heads of one set of light weights; most sets have none."""

    classifier: Classifier | None = None
    threshold: Threshold | None = None

    def write(self, folder: Path) -> None:
        """Write them beside the light weights; a set without heads loses the file that an earlier one had."""
        tensors: dict[str, Tensor] = {}
        notes: dict[str, str] = {}
        if self.classifier:
            tensors |= {"classifier.weight": self.classifier.weight, "classifier.bias": self.classifier.bias}
            notes["labels"] = json.dumps(self.classifier.labels)
        if self.threshold:
            tensors["threshold"] = torch.tensor(astuple(self.threshold))
        if not tensors:
            (folder / FILE).unlink(missing_ok=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".writing-") as draft:
            kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(kept, Path(draft) / FILE, metadata=notes)
            (Path(draft) / FILE).replace(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> Heads:
        """Read what `write` wrote, if it wrote anything; WeightsError if the file holds something else."""
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                labels = tuple(json.loads((file.metadata() or {}).get("labels", "[]")))
            classifier, threshold = None, None
            if "classifier.weight" in tensors:
                classifier = Classifier(labels, tensors["classifier.weight"], tensors["classifier.bias"])
                if classifier.weight.shape[0] != len(labels) or classifier.bias.shape != (len(labels),):
                    raise ValueError(f"{len(labels)} labels for {tuple(classifier.weight.shape)} weights")
            if "threshold" in tensors:
                threshold = Threshold(*tensors["threshold"].tolist())
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{path} cannot be read: {error}") from None
        return cls(classifier, threshold)
