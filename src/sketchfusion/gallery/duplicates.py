"""Near-duplicates: copies of one photo, resized, recompressed, brightened or slightly cropped, become one hit."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from .hits import Hit

Floats = npt.NDArray[np.float32]


def fold(hits: Sequence[Hit], vectors: Floats, thumbnails: Callable[[Iterable[str]], dict[str, bytes]]) -> list[Hit]:
    return list(hits)
