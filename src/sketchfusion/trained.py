"""A folder that training leaves behind: settings as JSON beside tensors, each file whole or not there at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .io.weights import WeightsError

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
Settings = TypeVar("Settings", bound=Any)


def write_trained(folder: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write `folder`/model.safetensors and config.json, the latter last."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT, **settings}, indent=2)
    # Each file appears whole or not at all, whenever the process is killed.
    with TemporaryDirectory(dir=folder, prefix=".writing-") as draft:
        save_file(kept, Path(draft) / WEIGHTS)
        (Path(draft) / CONFIG).write_text(text + "\n")
        for name in (WEIGHTS, CONFIG):
            (Path(draft) / name).replace(folder / name)


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


def load_into(module: nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
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


def method_of(folder: Path) -> str:
    """Give the method that left a folder, as its configuration names it; empty for any other folder."""
    try:
        return str(json.loads((folder / CONFIG).read_text()).get("method", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def checked(found: str, expected: str, folder: Path) -> str:
    """Give the hash found, if it is the one expected or none was; WeightsError if not."""
    if expected not in ("", found):
        raise WeightsError(
            f"{folder} holds weights {found[:12]}, but the light weights were trained on {expected[:12]}; "
            "name the folder that has those"
        )
    return found
