"""Feature maps as pictures: their three principal components as red, green and blue (the paper's pilot study)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from ..featuremap import FeatureMap


Picture = npt.NDArray[np.uint8]

COLOURS = 3
OUTLIERS = 0.01  # of the cells at either end take the colour of the limit


def pca_pictures(maps: Sequence[FeatureMap]) -> list[Picture]:
    """Colour maps of one kind of feature, one basis over all of them: (h, w, 3) each, white where there is padding.

    The first component points the way in which its values are skewed to the positive, so that the same maps always
    give the same colours. ValueError if the maps have different numbers of channels.
    """
    if len({len(one.data) for one in maps}) > 1:
        raise ValueError("maps of one basis need the same number of channels")
    if not maps:
        return []
    cells = [one.data.float()[:, one.valid()].T for one in maps]
    everything = torch.cat(cells)
    mean = everything.mean(dim=0)
    basis = _principal(everything - mean)
    spread = torch.quantile((everything - mean) @ basis, torch.tensor([OUTLIERS, 1 - OUTLIERS]), dim=0)
    pictures = []
    for one, features in zip(maps, cells, strict=True):
        share = ((features - mean) @ basis - spread[0]) / (spread[1] - spread[0]).clamp(min=1e-6)
        picture = np.full((*one.grid, COLOURS), 255, np.uint8)
        picture[one.valid().numpy()] = (share.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        pictures.append(picture)
    return pictures


def _principal(centred: torch.Tensor) -> torch.Tensor:
    """The three directions (C, 3) in which (N, C) varies most; zero where there are fewer."""
    values, vectors = torch.linalg.eigh(centred.T.double() @ centred.double())
    basis = vectors.flip(1)[:, :COLOURS].float()
    skew = ((centred @ basis) ** 3).sum(dim=0)
    basis = basis * torch.where(skew < 0, -1.0, 1.0)
    kept = values.flip(0)[:COLOURS] > 1e-9 * values.amax().clamp(min=1e-12)
    basis = basis * kept
    return torch.nn.functional.pad(basis, (0, COLOURS - basis.shape[1]))
