"""Write dense maps and embeddings of pictures into one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..featuremap import FeatureMap
from .files import atomic_write


def write_maps(
    path: Path, maps: Sequence[FeatureMap], vectors: Tensor, names: Sequence[str], notes: Mapping[str, str]
) -> None:
    """Write `maps` (N, C, h, w) and `vectors` (N, d); names, frames and `notes` go into the metadata as JSON."""
    metadata = {
        **notes,
        "images": json.dumps(list(names)),
        "frames": json.dumps([asdict(one.frame) for one in maps]),
    }
    tensors = {"maps": torch.stack([one.data for one in maps]), "vectors": vectors.contiguous()}
    with atomic_write(path) as draft:
        save_file(tensors, draft, metadata)
