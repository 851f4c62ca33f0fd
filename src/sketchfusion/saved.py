"""A folder that training leaves behind: settings as JSON beside tensors, each file whole or not there at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .io.files import atomic_write
from .io.weights import WeightsError

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
Settings = TypeVar("Settings", bound=Any)


def write_trained(folder: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write `folder`/model.safetensors and config.json, the latter last."""
    with atomic_write(folder / CONFIG) as config, atomic_write(folder / WEIGHTS) as weights:
        save_file(_on_cpu(tensors), weights)
        config.write_text(json.dumps({"format": FORMAT, **settings}, indent=2) + "\n")


def read_trained(folder: Path, what: str = "light weights") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what `write_trained` wrote; WeightsError, which says `what` was expected, for anything else."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise WeightsError(f"{folder} has no {name}, so it is not a folder of {what}")
    try:
        settings = dict(json.loads((folder / CONFIG).read_text()))
        if settings.pop("format", None) != FORMAT:
            raise WeightsError(f"{folder / CONFIG} is not a configuration of {what} in format {FORMAT}")
        return settings, load_file(folder / WEIGHTS)
    except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise WeightsError(f"{folder} cannot be read: {error}") from error


def load_weights(module: nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
    """Give a module the weights that were read from a folder; WeightsError in one line if they do not fit it."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"the weights in {folder} do not fit its configuration: {reason}") from error


def build(kind: type[Settings], written: Mapping[str, Any], path: Path) -> Settings:
    """Make settings of what was read from JSON; WeightsError for an unknown key, a missing one is its default."""
    known = {entry.name for entry in fields(kind)}
    try:
        if unknown := [name for name in written if name not in known]:
            raise WeightsError(f"{path} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in written.items()}
        made: Settings = kind(**values)
        return made
    except (TypeError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error


def read_method(folder: Path) -> str:
    """Give the method that left a folder, as its configuration names it; empty for any other folder."""
    try:
        return str(json.loads((folder / CONFIG).read_text()).get("method", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def check_hash(found: str, expected: str, folder: Path) -> str:
    """Give the hash found, if it is the one expected or none was; WeightsError if not."""
    if expected not in ("", found):
        raise WeightsError(
            f"{folder} holds weights {found[:12]}, but the light weights were trained on {expected[:12]}; "
            "name the folder that has those"
        )
    return found


# What training leaves beside light weights for the tasks that end in more than a cosine: a classifier, a threshold.


FILE = "heads.safetensors"


@dataclass(frozen=True, eq=False)
class LinearHead:
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

    classifier: LinearHead | None = None
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
        with atomic_write(folder / FILE) as draft:
            save_file(_on_cpu(tensors), draft, metadata=notes)

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
                classifier = LinearHead(labels, tensors["classifier.weight"], tensors["classifier.bias"])
                if classifier.weight.shape[0] != len(labels) or classifier.bias.shape != (len(labels),):
                    raise ValueError(f"{len(labels)} labels for {tuple(classifier.weight.shape)} weights")
            if "threshold" in tensors:
                threshold = Threshold(*tensors["threshold"].tolist())
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{path} cannot be read: {error}") from None
        return cls(classifier, threshold)


# The folder that training leaves behind: light weights, and a configuration that names the frozen parts by hash.


UNIVERSAL = "universal"  # the task name of light weights that serve every task


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give tensors as safetensors takes them."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
