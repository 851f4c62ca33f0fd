"""Dense maps and pooled features of pictures in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import save_file

if TYPE_CHECKING:
    from torch import Tensor

    from ..featuremap import FeatureMap


def write_maps(
    path: Path, maps: Sequence[FeatureMap], vectors: Tensor, names: Sequence[str], notes: Mapping[str, str]
) -> None:
    """Write `maps` (N, C, h, w) and `vectors` (N, d); names, frames and `notes` go into the metadata as JSON."""
    import torch

    metadata = {
        **notes,
        "images": json.dumps(list(names)),
        "frames": json.dumps([asdict(one.frame) for one in maps]),
    }
    tensors = {"maps": torch.stack([one.data for one in maps]), "vectors": vectors.contiguous()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)
