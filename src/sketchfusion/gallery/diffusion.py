"""Photos vouch for one another: scores spread along the graph of which photos are alike.

A sketch is far from all photos, photos of one thing are near each other: what is like several good answers is likely
one, too (Zhou et al., Ranking on Data Manifolds, 2003; Iscen et al., Efficient Diffusion on Region Manifolds, 2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .nearest import Found
    from .rows import Floats


CANDIDATES = 1000  # the best photos, among which scores spread
# Chosen on Sketch World's unseen categories and Sketchy's validation classes (docs/results/mini.md, twelfth round).
NEIGHBOURS = 10  # of each photo
SPREAD = 0.8  # of a photo's standing that comes from its neighbours
SHARPNESS = 0.3  # standard deviations of the gallery's scores over which a photo's own claim falls to a third


def diffused(found: Found, deviation: float) -> Found:
    """Order the first `CANDIDATES` anew by their scores and by those of the photos that are like them.

    The others stay behind them, and scores stay what they were. `deviation` is that of scores over the gallery.
    """
    first = found.take(np.arange(min(CANDIDATES, len(found.scores))))
    if len(first.scores) < 3:
        return found
    claims = np.exp((first.scores - first.scores.max()) / (SHARPNESS * max(deviation, 1e-6)))
    standing = np.linalg.solve(np.eye(len(claims)) - SPREAD * _graph(first.rows.columns["vector"]), claims)
    order = np.argsort(-standing, kind="stable")
    return found.take(np.concatenate([order, np.arange(len(order), len(found.scores))]))


def _graph(vectors: Floats) -> Floats:
    """Links (N, N) between unit vectors (N, d) that are among each other's nearest, symmetrically normalised."""
    cosines = np.maximum(vectors @ vectors.T, 0)
    np.fill_diagonal(cosines, 0)
    count = min(NEIGHBOURS, len(cosines) - 1)
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    links = np.zeros_like(cosines)
    np.put_along_axis(links, nearest, np.take_along_axis(cosines, nearest, axis=1), axis=1)
    links = (links + links.T) / 2
    scale = 1 / np.sqrt(np.maximum(links.sum(axis=1), 1e-9))
    graph: Floats = scale[:, None] * links * scale
    return graph
