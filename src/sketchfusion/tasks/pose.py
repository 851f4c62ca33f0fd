"""Where in a photo a sketch lies as a whole: what is near in the one is near in the other, whatever each point says.

A step past the paper, which matches every point by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from ..featuremap import FeatureMap, Frame


STROKES = 32  # points of a sketch that it is laid by
# Chosen on Sketch World's seen categories and Sketchy's seen classes, at a plateau; lengths are in half sides.
WIDTHS = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3)  # how far from the pose so far counterparts are looked for, one after another
FAR = 0.15  # from here on a point is thought to have its own way
LITTLE = 0.1  # nats that all points together have to know before the pose is theirs
BARRED = -1e4  # log-likelihood of padding, finite so that differences are
PULL = 0.01  # towards the sheet laid over the whole photo


@dataclass(frozen=True)
class Pose:
    """An affine map of the places of a sketch to those of a photo, both from -1 to 1 over their files."""

    matrix: Tensor  # (3, 2)
    sketch: Frame
    photo: Frame

    def of_sketch(self, points: Tensor) -> Tensor:
        """Give the places in the photo of (N, 2) x, y, pixels of the sketch's file."""
        return _with_one(_places(self.sketch, points)) @ self.matrix

    def of_photo(self, points: Tensor) -> Tensor:
        """Give the places in the photo of (N, 2) x, y, pixels of its own file."""
        return _places(self.photo, points)


def pose(sketch: FeatureMap, photo: FeatureMap, strokes: Tensor, temperature: float) -> Pose:
    """Lay a sketch over a photo by points (N, 2) of its strokes, pixels of its file.

    Expectation and maximisation: every point looks for its counterpart near to where the pose has it, by a softmax over
    the cosines at that `temperature`; then the pose is the affine map that fits the counterparts best. A point counts
    by how much its cosines say beyond being near (Kullback-Leibler), and less if its counterpart is far off (Cauchy).
    Nearer and nearer, from the sheet laid over the whole photo on.
    """
    features = F.normalize(sketch.sample(strokes).float(), dim=1)
    cells = F.normalize(photo.data.float().flatten(1), dim=0)
    logits = (features @ cells / temperature).cpu()
    padding = torch.zeros(len(cells.T)).masked_fill(~photo.valid().flatten().cpu(), BARRED)
    places, there = _with_one(_places(sketch.frame, strokes)), _places(photo.frame, photo.centres())
    start = matrix = torch.eye(3, 2)
    pull = PULL * torch.diag(torch.tensor([1.0, 1.0, 0.5]))
    for width in WIDTHS:
        near = padding - torch.cdist(places @ matrix, there) ** 2 / (2 * width**2)
        shares, guessed = (logits + near).log_softmax(dim=1), near.log_softmax(dim=1)
        found = shares.exp() @ there
        gain = (shares.exp() * (shares - guessed)).sum(dim=1)
        weights = gain / (1 + ((found - places @ matrix).norm(dim=1) / FAR) ** 2)
        weighted = places.T * (weights / (weights.sum() + LITTLE))
        matrix = torch.linalg.solve(weighted @ places + pull, weighted @ found + pull @ start)
    return Pose(matrix, sketch.frame, photo.frame)


def strangeness(expected: Tensor, places: Tensor) -> Tensor:
    """What is taken off log-likelihoods of places (M, 2) where (N, 2) are expected: (N, M), little added far away."""
    return 2 * torch.log1p((torch.cdist(expected, places) / FAR) ** 2)


def _places(frame: Frame, points: Tensor) -> Tensor:
    points = points.float().cpu()
    return 2 * points / points.new_tensor(frame.size) - 1


def _with_one(places: Tensor) -> Tensor:
    return torch.cat([places, torch.ones(len(places), 1)], dim=1)
