"""Clean up sketches: photographed, coloured or inverted drawings become dark strokes on white."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# The shading of the paper is estimated on a copy with this longer edge, after removing strokes that are narrower than
# STROKE_WINDOW pixels in it.
SHADING_SIDE = 256
STROKE_WINDOW = 15
# Shading is assumed to leave at least this fraction of the paper's brightness: what is darker is ink, or the desk
# around the paper if it is connected to the border.
DEEPEST_SHADOW = 0.35


def is_blank(image: Tensor) -> bool:
    """Tell whether (3, H, W) has no strokes: fewer than 1 in 20,000 pixels differ clearly from the median grey."""
    grey = image.mean(dim=0)
    outstanding = (grey - grey.median()).abs() > 0.25
    return bool(outstanding.sum() * 20_000 < grey.numel())


def is_drawing(image: Tensor) -> bool:
    """Tell whether (3, H, W) is a digital drawing: mostly pure white, few dark pixels, hardly any colour.

    A photographed drawing counts as a photo.
    """
    dark = image.amin(dim=0) < 0.5
    grey = (image.amax(dim=0) - image.amin(dim=0)).mean() < 0.02
    return _is_clean(image) and bool(grey) and bool(dark.float().mean() < 0.3)


def normalise_sketch(image: Tensor) -> Tensor:
    """Turn a picture of a drawing (3, H, W) in [0, 1] into dark strokes on white, same size.

    Light strokes on dark are inverted. In a photographed drawing the shading of the paper is divided out, and shadows
    and the desk around the paper become white, as does everything if no strokes are found. In a digital drawing on
    white only coloured or faint strokes are darkened; if there are none, it is returned unchanged.
    """
    if _is_light_on_dark(image):
        image = 1 - image
    if _is_clean(image):
        return _darken_strokes(image)
    paper, desk = _paper(image)
    ratio = (image / paper.clamp(min=1e-3)).amin(dim=0).clamp(max=1.5)
    sample = _subsampled(ratio[~desk] if not desk.all() else ratio)
    middle = sample.median().clamp(min=1e-3)
    ratio, sample = ratio / middle, sample / middle
    noise = float((sample - 1).abs().median()) * 1.4826
    ink = _ink_level(sample)
    if 1 - ink < max(0.12, 7 * noise):
        return torch.ones_like(image)
    white = 1 - max(0.25 * (1 - ink), 4 * noise)
    strokes = ((ratio - ink) / (white - ink)).clamp(0, 1)
    strokes[desk] = 1.0
    return strokes.expand_as(image).contiguous()


def _is_light_on_dark(image: Tensor) -> bool:
    """Tell whether the strokes are lighter than the ground.

    The third moment of each pixel's difference from its local mean decides: strokes are few pixels that differ much,
    so that it has the sign of their difference.
    """
    small = _shrunk(image, SHADING_SIDE)
    if _is_clean(small) or small.amax(dim=0).median() > 0.6:
        return False
    window = 2 * STROKE_WINDOW + 1
    around = F.avg_pool2d(small[None], window, 1, STROKE_WINDOW, count_include_pad=False)[0]
    return bool((small - around).pow(3).sum() > 0)


def _is_clean(image: Tensor) -> bool:
    """Tell whether a picture is digital, not photographed: mostly pure white, with few pixels in light greys."""
    low = image.amin(dim=0)
    white = (low >= 254 / 255).float().mean()
    between = ((low > 0.5) & (low < 0.97)).float().mean()
    return bool(white > 0.5 and between < 0.15)


def _darken_strokes(image: Tensor) -> Tensor:
    """Darken coloured strokes (by the smallest channel) and faint ones (by contrast) on white; others are unchanged."""
    dark = image.amin(dim=0)
    coloured = (image.amax(dim=0) - dark > 0.1).float().mean() > 2e-4
    ink = _ink_level(_subsampled(dark))
    faint = 0.4 < ink < 0.95
    if not coloured and not faint:
        return image
    if faint:
        dark = ((dark - ink) / (1 - ink)).clamp(0, 1)
    return dark.expand_as(image).contiguous()


def _ink_level(values: Tensor) -> float:
    """Estimate the typical brightness of strokes among pixel values that are scaled so that paper is 1."""
    darkest = values.kthvalue(max(1, len(values) // 1000)).values
    return float(values[values <= (1 + darkest) / 2].median())


def _paper(image: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate the colour that bare paper has at each pixel (3, H, W), and the mask (H, W) of what is not paper."""
    size = image.shape[1:]
    small = _closing(_shrunk(image, SHADING_SIDE))
    grey = small.amin(dim=0)
    bright = grey.flatten().kthvalue(max(1, int(grey.numel() * 0.8))).values
    dark = grey < DEEPEST_SHADOW * 1.4 * bright
    desk = _touching_border(dark)
    light = small.flatten(1).kthvalue(max(1, int(grey.numel() * 0.8)), dim=1).values
    small = torch.maximum(_blurred(small), DEEPEST_SHADOW * light[:, None, None])
    desk = F.max_pool2d(desk.float()[None], 7, 1, 3)[0] > 0
    paper = F.interpolate(small[None], size=size, mode="bilinear", align_corners=False)[0]
    return paper, F.interpolate(desk.float()[None, None], size=size)[0, 0] > 0


def _touching_border(mask: Tensor) -> Tensor:
    """Keep the connected regions of a mask (h, w) that touch its border."""
    reached = torch.zeros_like(mask)
    reached[[0, -1]] = mask[[0, -1]]
    reached[:, [0, -1]] = mask[:, [0, -1]]
    while True:
        grown = (F.max_pool2d(reached.float()[None], 3, 1, 1)[0] > 0) & mask
        if torch.equal(grown, reached):
            return reached
        reached = grown


def _closing(image: Tensor) -> Tensor:
    """Apply a greyscale morphological closing to (C, h, w): it removes dark strokes narrower than the window."""
    dilated = F.max_pool2d(image, STROKE_WINDOW, 1, STROKE_WINDOW // 2)
    return -F.max_pool2d(-dilated, STROKE_WINDOW, 1, STROKE_WINDOW // 2)


def _blurred(image: Tensor) -> Tensor:
    """Apply a 5 x 5 box blur."""
    return F.avg_pool2d(F.pad(image[None], [2] * 4, mode="replicate"), 5, 1)[0]


def _shrunk(image: Tensor, side: int) -> Tensor:
    """Downscale so that the longer edge is at most `side` pixels."""
    height, width = image.shape[1:]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return image if scale == 1.0 else F.interpolate(image[None], size=size, mode="area")[0]


def _subsampled(values: Tensor, most: int = 500_000) -> Tensor:
    """Flatten, and take every k-th value so that at most `most` remain: quantiles of all values would be slow."""
    flat = values.flatten()
    return flat[:: -(-len(flat) // most)]
