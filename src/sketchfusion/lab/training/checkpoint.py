"""Training checkpoints: model, optimiser, any moving average and step in one safetensors file, replaced atomically."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...io.files import atomic_write

BATCH = ("batch", "classes", "accumulate")  # settings that a resumed training may change, which is said


@dataclass
class Checkpoint:
    """Everything that a run needs to resume exactly; batches depend only on seed and step."""

    step: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)  # "model.", "average." and "optimiser.", then the name
    notes: dict[str, str] = field(default_factory=dict)  # such as settings, frozen weights and best validation loss

    def write(self, path: Path) -> None:
        """Replace the file at `path` atomically; if the disk is full, it stays and OSError has a one-line message."""
        with atomic_write(path) as draft:
            tensors = {name: tensor.detach().contiguous().clone() for name, tensor in self.tensors.items()}
            save_file(tensors, draft, metadata={"step": str(self.step), **self.notes})

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; ValueError with a one-line message if the file is not one."""
        try:
            with safe_open(path, framework="pt") as file:
                notes = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is not a readable checkpoint: {error}") from None
        return cls(int(notes.pop("step", "0")), tensors, notes)

    def expect(self, frozen: str, settings: Mapping[str, str], path: Path) -> None:
        """Raise ValueError if the checkpoint was made with other frozen weights or settings.

        Settings that the checkpoint does not record are not compared; another batch is accepted with a warning.
        """
        made_for = self.notes.get("frozen", "") or frozen
        if made_for != frozen:
            raise ValueError(
                f"{path} was made for the frozen weights {made_for}, not for {frozen}: "
                "give those with --model, or start anew without --resume"
            )
        trained_with = json.loads(self.notes.get("settings", "{}"))
        changed = {name: value for name, value in settings.items() if trained_with.get(name, value) != value}
        for name, value in changed.items():
            if name.rpartition(".")[2] not in BATCH:
                raise ValueError(
                    f"{path} was trained with {name}={trained_with[name]}, not {value}; "
                    "leave --resume out or ask for the same"
                )
        if changed:
            differences = (f"{name}={value} in place of {trained_with[name]}" for name, value in changed.items())
            logging.getLogger(__name__).warning("%s goes on with %s", path, ", ".join(differences))

    def add(self, group: str, tensors: Mapping[str, Tensor]) -> None:
        """Add tensors under the names `group.name`."""
        self.tensors |= {f"{group}.{name}": tensor for name, tensor in tensors.items()}

    def group(self, group: str) -> dict[str, Tensor]:
        """Return the tensors that were added as `group`, by their own names."""
        prefix = f"{group}."
        return {name.removeprefix(prefix): of for name, of in self.tensors.items() if name.startswith(prefix)}

    def load_model(self, module: nn.Module, path: Path) -> None:
        """Load the weights into `module`; ValueError if they do not fit it."""
        try:
            module.load_state_dict(self.group("model"))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{path} is of another training; start anew without --resume ({reason})") from None

    def add_optimiser(self, optimiser: torch.optim.Optimizer) -> None:
        """Add an optimiser's state, such as AdamW's moments, as "optimiser.INDEX.KEY"."""
        for index, state in optimiser.state_dict()["state"].items():
            self.add(f"optimiser.{index}", {key: torch.as_tensor(value) for key, value in state.items()})

    def load_optimiser(self, optimiser: torch.optim.Optimizer) -> None:
        """Load the state that `add_optimiser` added."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self.group("optimiser").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
