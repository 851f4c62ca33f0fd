"""A fingerprint of weights: SHA-256 over sorted tensor names, shapes and bytes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sketchfusion.io.weights import WeightsError, weight_files

if TYPE_CHECKING:
    from torch import Tensor, nn

PARTS = ("unet", "vae", "text_encoder")  # the subfolders of a Stable Diffusion whose weights are used
BLOCK = 1 << 24


def weights_hash(weights: nn.Module | Mapping[str, Tensor]) -> str:
    """Give the SHA-256 over sorted tensor names, shapes and bytes of a module or a state dict."""
    import torch

    tensors = weights if isinstance(weights, Mapping) else weights.state_dict()
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(_label(name, list(tensor.shape)))
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def folder_hash(folder: Path) -> str:
    """Give the same hash over the weights stored in a model folder, names prefixed by their subfolder.

    It is kept beside the files' sizes and times of change, so that an unchanged folder is read only once.
    """
    parts = [part for part in PARTS if (folder / part).is_dir()] or [""]
    files = [(part, path) for part in parts for path in weight_files(folder / part)]
    stamp = [[str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns] for _, path in files]
    cache, key = _read_cache(), str(folder.resolve())
    known = cache.get(key)
    if known and known["files"] == stamp:
        return str(known["sha256"])
    tensors = {
        f"{part}/{name}" if part else name: (path, *entry)
        for part, path in files
        for name, entry in _read_header(path).items()
    }
    digest = hashlib.sha256()
    for name in sorted(tensors):
        path, shape, start, end = tensors[name]
        digest.update(_label(name, shape))
        with path.open("rb") as file:
            file.seek(start)
            while start < end and (block := file.read(min(BLOCK, end - start))):
                digest.update(block)
                start += len(block)
    _write_cache(cache | {key: {"files": stamp, "sha256": digest.hexdigest()}})
    return digest.hexdigest()


def _read_header(path: Path) -> dict[str, tuple[list[int], int, int]]:
    """Give shape, begin and end in the file of every tensor of a safetensors file."""
    complaint = f"{path} is not a whole safetensors file: cut short, or something else under that name"
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 0 < length < size else {}
        entries = {
            name: (entry["shape"], 8 + length + entry["data_offsets"][0], 8 + length + entry["data_offsets"][1])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(complaint) from error
    if not entries or max(end for _, _, end in entries.values()) != size:
        raise WeightsError(complaint)
    return entries


def _label(name: str, shape: Sequence[int]) -> bytes:
    return f"{name}\0{list(shape)}\0".encode()


def cache_folder() -> Path:
    """The folder of this machine's user for what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sketchfusion"


def _cache_file() -> Path:
    return cache_folder() / "hashes.json"


def _read_cache() -> dict[str, Any]:
    try:
        return dict(json.loads(_cache_file().read_text()))
    except (OSError, ValueError, TypeError, RuntimeError):
        return {}


def _write_cache(cache: Mapping[str, Any]) -> None:
    """Replace the cache in one step; where nothing can be written, the next run reads the weights again."""
    path = _cache_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".json", delete=False) as file:
            json.dump(cache, file)
        Path(file.name).replace(path)
    except OSError:
        return
