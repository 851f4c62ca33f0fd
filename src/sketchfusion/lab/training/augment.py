"""Augmentations of batches of images, on their device: geometry, colour, and the variation of freehand strokes."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Random = Generator | Sequence[Generator]  # of a batch, or one of each image, which then does not depend on the others
Zoom = tuple[float, float]  # the smallest and the largest share of the side that is visible; above 1 it shrinks


def _drawn(draw: Callable[..., Tensor], shape: tuple[int, ...], images: Tensor, generator: Random) -> Tensor:
    """Draw numbers (B, *shape) for images; on the CPU, so that a seed gives the same on any device."""
    if isinstance(generator, Generator):
        return draw(len(images), *shape, generator=generator).to(images.device)
    return torch.stack([draw(shape, generator=of) for of in generator]).to(images.device)


def _uniform(low: float, high: float, images: Tensor, generator: Random) -> Tensor:
    return low + (high - low) * _drawn(torch.rand, (), images, generator)


def warp(
    images: Tensor, side: int, generator: Random, zoom: Zoom, degrees: float, stretch: float = 0.1, flip: bool = True
) -> Tensor:
    """Zoom by `zoom` (a share of the side), shift, rotate, stretch and mirror (B, C, H, W) to (B, C, side, side)."""
    while images.shape[-1] >= 2 * side:  # bilinear sampling alone would alias
        images = F.avg_pool2d(images, 2)
    count = len(images)
    visible = torch.exp(_uniform(math.log(zoom[0]), math.log(zoom[1]), images, generator))
    ratio = torch.exp(_uniform(-stretch, stretch, images, generator))
    angle = _uniform(-degrees, degrees, images, generator) * math.pi / 180
    mirror = torch.where(_uniform(0, 1, images, generator) < 0.5, -1.0, 1.0) if flip else torch.ones_like(angle)
    room = (1 - visible).abs()
    shift_x, shift_y = (_uniform(-1, 1, images, generator) * room for _ in range(2))
    cos, sin = torch.cos(angle) * visible, torch.sin(angle) * visible
    rows = [cos * ratio * mirror, -sin / ratio, shift_x, sin * ratio * mirror, cos / ratio, shift_y]
    theta = torch.stack(rows, -1).view(count, 2, 3)
    grid = F.affine_grid(theta, [count, images.shape[1], side, side], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def photos(images: Tensor, side: int, generator: Random, zoom: Zoom = (0.55, 1.0)) -> Tensor:
    """Crop, mirror and recolour photos. (B, 3, H, W) -> (B, 3, side, side); further channels are not recoloured."""
    images = warp(images, side, generator, zoom, degrees=8)
    images, more = images[:, :3], images[:, 3:]
    brightness = _uniform(0.75, 1.25, images, generator).view(-1, 1, 1, 1)
    contrast = _uniform(0.75, 1.25, images, generator).view(-1, 1, 1, 1)
    saturation = _uniform(0.5, 1.4, images, generator)
    saturation = torch.where(_uniform(0, 1, images, generator) < 0.15, 0.0, saturation).view(-1, 1, 1, 1)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * saturation
    middle = images.mean((1, 2, 3), keepdim=True)
    return torch.cat([((images - middle) * contrast + middle * brightness).clamp(0, 1), more], 1)


def disguise(images: Tensor, generator: Generator) -> Tensor:
    """Tint, grey, blur or solarise photos (B, 3, H, W) at random, so that colours alone do not match two crops."""
    tint = torch.stack([_uniform(0.5, 1.5, images, generator) for _ in range(3)], 1).view(-1, 3, 1, 1)
    images = (images * tint).clamp(0, 1)

    def some(share: float, changed: Tensor) -> Tensor:
        return torch.where(_uniform(0, 1, images, generator).view(-1, 1, 1, 1) < share, changed, images)

    images = some(0.3, images.mean(1, keepdim=True).expand_as(images))
    sigma = float(_uniform(0.4, 1.2, images[:1], generator))
    images = some(0.4, _blur(images.flatten(0, 1).unsqueeze(1), sigma).view_as(images))
    return some(0.1, torch.where(images > 0.5, 1 - images, images))


def sketches(images: Tensor, side: int, generator: Random) -> Tensor:
    """Bend, turn, thicken and erase strokes. (B, 1, H, W) -> (B, 3, side, side); other channels only bend and turn."""
    ink = warp(bend(1 - images, generator), side, generator, zoom=(0.8, 1.35), degrees=18, stretch=0.2)
    ink, more = ink[:, :1], ink[:, 1:]
    chosen = _uniform(0, 1, ink, generator).view(-1, 1, 1, 1)
    thick = F.max_pool2d(ink, 3, 1, 1)
    soft = F.avg_pool2d(ink, 3, 1, 1) * 1.5
    ink = torch.where(chosen < 0.3, thick, torch.where(chosen < 0.45, soft, ink))
    ink = erase(ink, generator) * _uniform(0.7, 1.3, ink, generator).view(-1, 1, 1, 1)
    return torch.cat([(1 - ink.clamp(0, 1)).expand(-1, 3, -1, -1), 1 - more], 1)


def bend(ink: Tensor, generator: Random, strength: float = 0.05) -> Tensor:
    """Displace ink (B, 1, H, W) smoothly; the standard deviation is `strength` half sides."""
    count, _, height, width = ink.shape
    coarse = _drawn(torch.randn, (2, 5, 5), ink, generator) * strength
    field = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    same = torch.eye(2, 3).to(ink).expand(count, 2, 3)
    grid = F.affine_grid(same, [count, 1, height, width], align_corners=False) + field
    return F.grid_sample(ink, grid, padding_mode="zeros", align_corners=False)


def erase(ink: Tensor, generator: Random, share: float = 0.3) -> Tensor:
    """Erase one round hole in a `share` of the pictures (B, 1, H, W)."""
    count, _, height, width = ink.shape
    lines = (torch.linspace(-1, 1, size).to(ink.device) for size in (height, width))
    y, x = torch.meshgrid(*lines, indexing="ij")
    centre_x, centre_y = (_uniform(-0.8, 0.8, ink, generator).view(count, 1, 1) for _ in range(2))
    radius = _uniform(0.1, 0.35, ink, generator).view(count, 1, 1)
    hit = (_uniform(0, 1, ink, generator) < share).view(count, 1, 1)
    hole = (((x - centre_x) ** 2 + (y - centre_y) ** 2).sqrt() < radius) & hit
    return ink * (~hole).unsqueeze(1)


def outline(images: Tensor, generator: Generator) -> Tensor:
    """Draw edges of photos (B, 3, H, W) in [0, 1] as dark lines on white (B, 1, H, W): few, as in a sketch, or many."""
    grey = images.mean(1, keepdim=True)
    sigma = float(_uniform(0.8, 1.8, grey[:1], generator))
    response = (_blur(grey, sigma * 1.6) - _blur(grey, sigma)).clamp(min=0)
    share = _uniform(0.88, 0.96, images, generator)
    flat = response.flatten(1)
    ranks = (share * (flat.shape[1] - 1)).long().unsqueeze(1)
    threshold = flat.sort(1).values.gather(1, ranks).view(-1, 1, 1, 1).clamp(min=0.004)
    return 1 - torch.sigmoid((response / threshold - 1) * 6)


def _blur(images: Tensor, sigma: float) -> Tensor:
    reach = math.ceil(2.5 * sigma)
    line = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    line = (line / line.sum()).to(images.device)
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))
