"""Where in its photo a stroke of a Sketchy sketch belongs, roughly: what no one annotated, the other sketches tell.

The sketches lie over their photos, each roughly: where one lies and how large it is differs by about a twentieth of the
picture. The mean of all sketches of a photo does not, so each is laid where they all lie on average; then a stroke lies
about where what it shows does. What is out of proportion within a sketch stays so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

FEWEST = 3  # sketches of a photo
FAINT = 0.85  # brightness of a pixel that a stroke runs through
STRAY = 0.01  # share of the ink at either end that is no part of the box around it

Points = npt.NDArray[np.float64]


def lies_over(root: Path) -> bool:
    """Whether the sketches of a root in Sketchy's layout lie over their photos: an exported Sketch World's do not."""
    return not any((folder / "world.json").is_file() for folder in (root, root.parent))


def inked(sheet: npt.NDArray[np.floating]) -> bool:
    """Whether a sheet (H, W) in [0, 1] has ink enough to be laid anywhere."""
    return bool((sheet < FAINT).any())


def laid(sheets: Iterable[npt.NDArray[np.floating]]) -> Points:
    """How each sketch of one photo moves to where they all lie on average: (N, 2, 2), what x and y are times and plus.

    Sheets are (H, W) in [0, 1], dark on white, and `inked`; x and y are in [-1, 1]. Boxes around the ink are averaged,
    sizes by their logarithms. ValueError for a blank sheet.
    """
    middle, half = np.stack([_box(sheet) for sheet in sheets]).swapaxes(0, 1)
    zoom = np.exp(np.log(half).mean(axis=0)) / half
    moved: Points = np.stack([zoom, middle.mean(axis=0) - zoom * middle], axis=1)
    return moved


def _box(sheet: npt.NDArray[np.floating]) -> Points:
    """Middle and half size (2, 2) of what is drawn."""
    if not inked(sheet):
        raise ValueError("a blank sheet lies nowhere; leave it out")
    size = np.array(sheet.shape[::-1])
    low, high = np.quantile(2 * (np.argwhere(sheet < FAINT)[:, ::-1] + 0.5) / size - 1, [STRAY, 1 - STRAY], axis=0)
    return np.stack([(low + high) / 2, (high - low) / 2 + 1 / size])
