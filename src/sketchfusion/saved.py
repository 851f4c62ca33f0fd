"""Folders that training leaves: settings in config.json, weights and heads in safetensors."""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .io.files import atomic_write, read_json
from .io.weights import WeightsError, folder_hash

FORMAT = 1
CONFIG, WEIGHTS, HEADS = "config.json", "model.safetensors", "heads.safetensors"
UNIVERSAL = "universal"  # the task name of weights that serve every task
Settings = TypeVar("Settings", bound=Any)


def write_trained(folder: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor], heads: "Heads") -> None:
    """Write the heads, `folder`/model.safetensors and config.json, the latter last."""
    heads.write(folder)
    with atomic_write(folder / CONFIG) as config, atomic_write(folder / WEIGHTS) as weights:
        save_file(_on_cpu(tensors), weights)
        config.write_text(json.dumps({"format": FORMAT, **settings}, indent=2) + "\n")


def read_trained(folder: Path, what: str = "light weights") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what `write_trained` wrote, frozen parts by full path; WeightsError, naming `what`, for other folders."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise WeightsError(f"{folder} has no {name}, so it is not a folder of {what}")
    try:
        settings = dict(json.loads((folder / CONFIG).read_text()))
        if settings.pop("format", None) != FORMAT:
            raise WeightsError(f"{folder / CONFIG} is not a configuration of {what} in format {FORMAT}")
        for part in ("diffusion", "clip"):  # a relative path is meant from the folder, wherever the program was started
            if isinstance(settings.get(part), str) and settings[part] and (folder / settings[part]).is_dir():
                settings[part] = str((folder / settings[part]).resolve())
        return settings, load_file(folder / WEIGHTS)
    except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise WeightsError(f"{folder} cannot be read: {error}") from error


def read_method(folder: Path) -> str:
    """Give the training method that a folder's configuration names; empty where it names none."""
    return str(read_json(folder / CONFIG).get("method", ""))


def build(kind: type[Settings], values: Mapping[str, Any], path: Path) -> Settings:
    """Make a dataclass of values read from the JSON at `path`; WeightsError for an unknown key."""
    known = {entry.name for entry in fields(kind)}
    try:
        if unknown := [name for name in values if name not in known]:
            raise WeightsError(f"{path} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        read = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        settings: Settings = kind(**read)
        return settings
    except (TypeError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error


def check_hash(folder: Path, expected: str) -> str:
    """Return the hash of a folder's weights if it is the expected one or none is expected; WeightsError if not."""
    actual = folder_hash(folder)
    if expected not in ("", actual):
        raise WeightsError(
            f"{folder} holds weights {actual[:12]}, but the light weights were trained on {expected[:12]}; "
            "name the folder that has those"
        )
    return actual


def load_weights(module: nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
    """Load weights read from a folder into a module; WeightsError in one line if they do not fit it."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"the weights in {folder} do not fit its configuration: {reason}") from error


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear classifier of pooled features (B, d)."""

    labels: tuple[str, ...]  # n
    weight: Tensor  # (n, d)
    bias: Tensor  # (n,)

    def __call__(self, pooled: Tensor) -> Tensor:
        """Compute the logits (B, n)."""
        weight, bias = (part.to(pooled.device, torch.float32) for part in (self.weight, self.bias))
        return pooled.float() @ weight.T + bias


@dataclass(frozen=True)
class Threshold:
    """Calibration of segmentation: how likely a photo shows the sketch is sigmoid((similarity - at) / temperature)."""

    at: float
    temperature: float
    least: float = 0.5  # probability below which the mask is empty


@dataclass(frozen=True)
class Heads:
    """What a task needs in addition to features: a classifier, a threshold; most light weights come with neither."""

    classifier: LinearHead | None = None
    threshold: Threshold | None = None

    def write(self, folder: Path) -> None:
        """Write `folder`/heads.safetensors, or remove it if there are no heads."""
        tensors: dict[str, Tensor] = {}
        metadata: dict[str, str] = {}
        if self.classifier:
            tensors |= {"classifier.weight": self.classifier.weight, "classifier.bias": self.classifier.bias}
            metadata["labels"] = json.dumps(self.classifier.labels)
        if self.threshold:
            tensors["threshold"] = torch.tensor(astuple(self.threshold))
        if not tensors:
            (folder / HEADS).unlink(missing_ok=True)
            return
        with atomic_write(folder / HEADS) as draft:
            save_file(_on_cpu(tensors), draft, metadata=metadata)

    @classmethod
    def read(cls, folder: Path) -> "Heads":
        """Read what `write` wrote, empty without the file; WeightsError if the file holds something else."""
        path = folder / HEADS
        if not path.is_file():
            return cls()
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                labels = tuple(json.loads((file.metadata() or {}).get("labels", "[]")))
            classifier, threshold = None, None
            if "classifier.weight" in tensors:
                classifier = LinearHead(labels, tensors["classifier.weight"], tensors["classifier.bias"])
                if classifier.weight.shape[0] != len(labels) or classifier.bias.shape != (len(labels),):
                    raise ValueError(f"{len(labels)} labels for {tuple(classifier.weight.shape)} weights")
            if "threshold" in tensors:
                threshold = Threshold(*tensors["threshold"].tolist())
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{path} cannot be read: {error}") from None
        return cls(classifier, threshold)


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
