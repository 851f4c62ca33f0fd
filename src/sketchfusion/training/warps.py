"""Known warps: the outline of a real photo, bent and turned, is a sketch whose every point is known in the photo.

A sketch position p shows what lies at W(p) in the photo, and W, which the outline was sampled through, is kept: so the
correspondence is exact, with no one's annotation. Points are drawn where the warped outline has ink. Only photos of
none of the unseen classes are turned into sketches.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from . import augment
from .annotated import POINTS, PointPairs
from .bank import Bank

BATCH = 64
DEGREES, ZOOM, SHIFT, BEND = 20.0, 0.25, 0.12, 0.035  # how far a warp goes, lengths in half sides of the square


def known_warp(count: int, side: int, generator: Generator) -> Tensor:
    """Random warps W (count, side, side, 2): where each pixel's centre lies in the photo, x and y in [-1, 1]."""

    def drawn(reach: float) -> Tensor:
        return (2 * torch.rand(count, generator=generator) - 1) * reach

    angle, zoom, stretch = drawn(DEGREES * torch.pi / 180), drawn(ZOOM).exp(), drawn(ZOOM / 2).exp()
    rows = [
        [zoom * stretch * angle.cos(), -zoom * angle.sin(), drawn(SHIFT)],
        [zoom * stretch * angle.sin(), zoom * angle.cos(), drawn(SHIFT)],
    ]
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1)
    coarse = torch.randn(count, 2, 4, 4, generator=generator) * BEND
    bent = F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    return F.affine_grid(theta, [count, 1, side, side], align_corners=False) + bent


def warped_outlines(photos: Bank, count: int, side: int, seed: int = 0) -> PointPairs:
    """The first `count` photos that may be sketched, at `side` pixels, with a warped outline of each."""
    chosen, generator = photos.seen[:count], torch.Generator().manual_seed(seed)
    return warped(photos, chosen, photos.at(chosen), side, generator, lambda seen: 1 - augment.outline(seen, generator))


def warped(
    drawn: Bank,
    chosen: list[int],
    photos: Bank,
    side: int,
    generator: Generator,
    ink: Callable[[Tensor], Tensor],
    laid: Tensor | None = None,
    mirrored: float = 0.0,
) -> PointPairs:
    """Warp what `ink` (B, C, S, S) -> (B, 1, S, S) sees in those `chosen` of a bank; `photos` are the photos of each.

    What is seen lies over the photo if its x and y, in [-1, 1], are taken times and plus those of `laid` (N, 2, 2). A
    share of the warps is `mirrored`.
    """
    sketches, sketch_points, photo_points = torch.empty(len(chosen), 1, side, side, dtype=torch.uint8), [], []
    for start in range(0, len(chosen), BATCH):
        pictures = drawn.take(chosen[start : start + BATCH]).cpu()
        pictures = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
        warp = known_warp(len(pictures), side, generator)
        if mirrored:
            warp[torch.rand(len(pictures), generator=generator) < mirrored] *= torch.tensor([-1.0, 1.0])
        seen = warp
        if laid is not None:
            zoom, shift = laid[start : start + len(pictures), :, None, None].unbind(1)
            seen = (warp - shift) / zoom
        strokes = F.grid_sample(ink(pictures), seen, padding_mode="zeros", align_corners=False)
        sketches[start : start + len(pictures)] = ((1 - strokes.clamp(0, 1)) * 255).round().to(torch.uint8)
        # a whisper everywhere, so that an outline without ink has points too
        places = torch.multinomial(strokes.flatten(1).clamp(min=0) + 1e-4, POINTS, generator=generator)
        sketch_points.append(torch.stack([places % side + 0.5, places // side + 0.5], -1) / side)
        there = warp.flatten(1, 2).gather(1, places[:, :, None].expand(-1, -1, 2))
        photo_points.append((there + 1) / 2)
    photo_xy, sketch_xy = (torch.cat([torch.empty(0, POINTS, 2), *of]) for of in (photo_points, sketch_points))
    visible = ((photo_xy > 0) & (photo_xy < 1)).all(-1)
    bank = Bank("sketch", sketches.numpy(), photos.names)
    return PointPairs(bank, photos, sketch_xy, photo_xy.clamp(0, 1), visible)
