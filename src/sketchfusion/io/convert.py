"""Pickled checkpoints to safetensors, for the few models that were published as `.bin` only."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sketchfusion.io.weights import PICKLES, WeightsError

if TYPE_CHECKING:
    from torch import Tensor


def convert(folder: Path, out: Path) -> list[Path]:
    """Write a copy of a model folder with its pickled weights as safetensors; give the files written.

    Pickles are opened with `weights_only=True`, which runs no code from them. Raises WeightsError for anything
    that is not a plain dictionary of tensors, and when `out` exists; nothing is left behind then.
    """
    from safetensors.torch import save_file

    pickles = sorted(path for path in folder.rglob("*") if path.suffix in PICKLES)
    if not pickles:
        raise WeightsError(f"{folder} holds no pickled weights to convert")
    if out.exists():
        raise WeightsError(f"{out} exists already; name a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        draft = Path(scratch) / out.name
        written = []
        for path in pickles:
            target = path.relative_to(folder).with_name(_new_name(path))
            (draft / target).parent.mkdir(parents=True, exist_ok=True)
            save_file(_read_pickle(path), draft / target, {"format": "pt"})
            written.append(out / target)
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".json", ".txt") and not path.name.endswith(".bin.index.json"):
                copy = draft / path.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
        draft.rename(out)
    return written


def _read_pickle(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a hostile or broken pickle provokes
        raise WeightsError(f"{path} is not a plain file of weights; it was not opened further") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} is not a dictionary of tensors; only checkpoints in the hub layout convert")
    # Tied weights share memory, which safetensors refuses: each name gets its own copy.
    return {name: value.contiguous().clone() for name, value in state.items()}


def _new_name(path: Path) -> str:
    """Name the copy as the library will look for it: transformers drops the "pytorch_", diffusers keeps its stem."""
    stem = path.stem.removeprefix("pytorch_") if path.stem.startswith("pytorch_model") else path.stem
    return f"{stem}.safetensors"
