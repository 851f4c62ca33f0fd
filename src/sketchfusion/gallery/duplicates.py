"""Near-duplicates: copies of one photo, resized, recompressed, brightened or slightly cropped, become one hit.

Two photos are held to be copies when their features agree and their thumbnails, reduced to 8x8, do: the first keeps
apart what only has the same colours in the same places (sky above sea), the second what only shows the same thing.
The slow tests make such copies and count which are found.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from .hits import Hit

Floats = npt.NDArray[np.float32]

SAME_FEATURES = 0.7  # cosine
SAME_COLOURS = 0.92  # correlation of the reduced thumbnails
REDUCED = 8  # cells of a side
FLAT = 2.0  # grey levels: what varies less is a plain picture


def fold(hits: Sequence[Hit], vectors: Floats, thumbnails: Callable[[Iterable[str]], dict[str, bytes]]) -> list[Hit]:
    """Fold each hit into the best one that it is a near-duplicate of; `vectors` (N, d) are the features of `hits`."""
    alike = vectors @ vectors.T >= SAME_FEATURES
    np.fill_diagonal(alike, False)
    doubtful = np.flatnonzero(alike.any(axis=1)).tolist()
    pictures = thumbnails(hits[place].path for place in doubtful)
    reduced = {place: _reduced(pictures[hits[place].path]) for place in doubtful}
    leaders: dict[int, list[str]] = {}
    for place, hit in enumerate(hits):
        leader = next((one for one in leaders if alike[one, place] and _agree(reduced[one], reduced[place])), None)
        if leader is None:
            leaders[place] = []
        else:
            leaders[leader].append(hit.path)
    return [
        replace(hits[place], rank=rank, similar=tuple(similar))
        for rank, (place, similar) in enumerate(leaders.items(), start=1)
    ]


def _agree(one: Floats, other: Floats) -> bool:
    return float((one * other).mean()) >= SAME_COLOURS


def _reduced(thumbnail: bytes) -> Floats:
    """A picture as 8x8 colours with mean 0 and deviation 1."""
    with Image.open(io.BytesIO(thumbnail)) as picture:
        small = picture.convert("RGB").resize((REDUCED, REDUCED), Image.Resampling.BOX)
    colours = np.asarray(small, np.float32)
    centred: Floats = colours - colours.mean()
    return centred / np.float32(max(float(colours.std()), FLAT))
