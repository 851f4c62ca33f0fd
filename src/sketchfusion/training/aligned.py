"""Freehand sketches beside their photos, with points that no one annotated: Sketchy's, laid over their photos.

Each is bent by a known warp, and half of the time mirrored, so that where a point lies does not tell where it belongs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..lab.datasets.sketchy import FEWEST, inked, laid
from .annotated import PointPairs
from .instances import held_out_instances, instances
from .roots import Roots
from .warps import warped

MIRRORED = 0.5  # share


def aligned_points(roots: Roots, most: int, side: int, kept_out: bool = False, seed: int = 0) -> PointPairs | None:
    """Draw `most` sketches of Sketchy roots at `side` pixels, with points of their strokes, beside their photos.

    Only seen classes; those that training never draws if `kept_out`, else the others. None if there are none.
    """
    found = (held_out_instances if kept_out else instances)(replace(roots, paired=roots.aligned, world=False), 0)
    if not found.sketches:
        return None
    [photos], [sketches] = found.photos, found.sketches
    place = {thing: number for number, (_, thing) in enumerate(photos.names)}
    things = sorted(set(place) & set(sketches.by_name))
    generator = torch.Generator().manual_seed(seed)
    frames: dict[int, torch.Tensor] = {}
    for number in torch.randperm(len(things), generator=generator).tolist():
        if len(frames) >= most:
            break
        sheets = {of: sketches.pixels[of][0] / np.float32(255) for of in sketches.by_name[things[number]]}
        sheets = {of: sheet for of, sheet in sheets.items() if inked(sheet)}
        if len(sheets) >= FEWEST:
            frames |= dict(zip(sheets, torch.from_numpy(laid(sheets.values())), strict=True))
    chosen = sorted(frames)[:most]
    if not chosen:
        return None
    own = photos.at([place[sketches.names[number][1]] for number in chosen])
    moved = torch.stack([frames[number] for number in chosen]).float()
    return warped(sketches, chosen, own, side, generator, lambda drawings: 1 - drawings, moved, MIRRORED)
