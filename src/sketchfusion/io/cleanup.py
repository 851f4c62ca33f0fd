"""Clean up sketches: photographed, coloured or inverted drawings become dark strokes on white."""

import math
from typing import NamedTuple

import numpy as np
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
SAMPLE, BAND = 500_000, 32  # values of a sample, and rows that are worked on at a time
LEAST_CONTRAST = 0.12  # of ink with its paper, as a share of the paper's brightness
LIGHTEST_GROUND = 0.87  # median brightness up to which strokes may be lighter than their ground
# A speck is less than SPECK squared of ink with nothing else within SPECK_DISTANCE; a frame is ink that runs along the
# border for more than FRAME_LENGTH and does not reach farther than FRAME_DEPTH. All are shares of the longer edge.
SPECK, SPECK_DISTANCE = 0.006, 0.05
FRAME_LENGTH, FRAME_DEPTH = 0.03, 0.14
# Ruled and squared paper has at least RULINGS lines across most of it, at the same distances, tilted by at most TILT.
# They are looked for on a copy with the longer edge RULING_SIDE, in pieces of RULING_PIECE of an edge.
RULINGS, TILT, RULING_SIDE, RULING_PIECE = 6, 0.1, 512, 1 / 6
THROUGH = 0.6  # share of a line through the picture, such as a margin, that is found where rulings are
STROKE_MARGIN = 0.15  # around the strokes of a sketch, as a share of their longer extent
SPECKS = 0.001  # share of the ink at each end that may lie outside the window
FAINTEST_INK = 0.2  # darkness from which a pixel counts as a stroke
SMALLEST_WINDOW = 0.08  # side of the window around a dot, as a share of the page's longer side


def is_blank(image: Tensor) -> bool:
    """Tell whether (3, H, W) has no strokes: fewer than 1 in 20,000 pixels differ clearly from the median grey."""
    grey = image.mean(dim=0)
    outstanding = (grey - grey.median()).abs() > 0.25
    return bool(outstanding.sum() * 20_000 < grey.numel())


def is_drawing(image: Tensor) -> bool:
    """Tell whether (3, H, W) is a digital drawing, not a photo of one: mostly white, few dark pixels, no colour."""
    dark = image.amin(dim=0) < 0.5
    grey = (image.amax(dim=0) - image.amin(dim=0)).mean() < 0.02
    return _is_clean(image.amin(dim=0)) and bool(grey) and bool(dark.float().mean() < 0.3)


def normalise_sketch(image: Tensor) -> Tensor:
    """Turn a picture of a drawing (3, H, W) in [0, 1] into dark strokes on white, same size.

    Strokes that are lighter than their ground are inverted. In a photographed drawing the shading of the paper is
    divided out, and shadows, specks, rulings and what lies around the paper become white, as does everything if no
    strokes are found. In a digital drawing on white only coloured or faint strokes are darkened, and rulings and a
    frame along the border taken away; without any of these it is returned unchanged.
    """
    small = _shrunk(image, SHADING_SIDE)
    light = _is_light_on_dark(small)
    low = 1 - image.amax(dim=0) if light else image.amin(dim=0)
    if _is_clean(low):
        dark = low < 1 - LEAST_CONTRAST
        unwanted = _rulings(dark, low)
        unwanted = unwanted | _frame(dark & ~unwanted)
        seen = 1 - image if light else image
        return _darken_strokes(seen.where(~unwanted, 1.0) if unwanted.any() else seen)
    paper, desk = _paper(1 - small if light else small)
    if light and (around := _paper(small)[1]).float().mean() < 0.4:
        desk = desk | around
    ratio, paper_only, desk_only = _ratio(image, paper, light), not desk.any(), desk.all()
    rows, columns = ((torch.arange(of) * (short / of)).long() for of, short in zip(low.shape, desk.shape, strict=True))
    desk = desk if paper_only else desk[:, columns][rows]
    sample = _subsampled(ratio if paper_only or desk_only else _taken(ratio, ~desk))
    middle = sample.median().clamp(min=1e-3)
    noise = float((sample / middle - 1).abs().median()) * 1.4826
    dark = ratio.div_(middle) < 1 - max(LEAST_CONTRAST, 7 * noise)
    dark = dark if paper_only else dark & ~desk
    strokes = dark & ~_rulings(dark, ratio)
    strokes &= ~_frame(strokes)
    strokes &= ~specks(strokes)
    found = _taken(ratio, strokes)
    if not len(found):
        return torch.ones_like(image)
    ink = _ink_level(_subsampled(found), min(0.1, ratio.numel() / 1000 / len(found)))
    white = 1 - max(0.25 * (1 - ink), 4 * noise)
    ratio.sub_(ink).div_(white - ink).clamp_(0, 1).masked_fill_(dark ^ strokes, 1.0)
    return (ratio if paper_only else ratio.masked_fill_(desk, 1.0)).expand_as(image).contiguous()


def specks(ink: Tensor) -> Tensor:
    """Find the specks of a mask of ink (H, W), such as dust: small spots that lie alone."""
    cell = max(1, round(max(ink.shape) / SHADING_SIDE))
    area = _counts(ink, cell)[None, None]
    reach = max(1, round(SPECK_DISTANCE * max(area.shape)))
    rows = F.avg_pool2d(area, (1, 2 * reach + 1), 1, (0, reach), divisor_override=1)
    around = F.avg_pool2d(rows, (2 * reach + 1, 1), 1, (reach, 0), divisor_override=1)[0, 0]
    return ink & _enlarged(around < max(2.0, SPECK * max(ink.shape)) ** 2, cell, ink)


class Window(NamedTuple):
    """A square of the plane that a page lies in; it may reach beyond the page."""

    left: int  # pixels of the page
    top: int
    side: int


def stroke_window(sketch: Tensor) -> Window | None:
    """Find the square around the strokes of a sketch (C, H, W), dark on white, with a margin; None if it has none.

    Small spots that lie alone do not count, nor do others that hold less than `SPECKS` of the ink. The window of a
    dot is larger than the dot.
    """
    height, width = sketch.shape[1:]
    ink = 1 - sketch.mean(0)
    strokes = ink > FAINTEST_INK
    ink = torch.where(strokes & ~spots if not torch.equal(spots := specks(strokes), strokes) else strokes, ink, 0.0)
    spans = []
    for along in (ink.sum(0), ink.sum(1)):
        share = along.double().cumsum(0) / along.double().sum()
        within = ((share > SPECKS) & (share - along / along.double().sum() < 1 - SPECKS)).nonzero()
        if not len(within):
            return None
        spans.append((int(within[0]), int(within[-1]) + 1))
    longest = max(end - start for start, end in spans)
    side = math.ceil(max(longest * (1 + 2 * STROKE_MARGIN), SMALLEST_WINDOW * max(height, width)))
    left, top = (math.floor((start + end - side) / 2) for start, end in spans)
    return Window(left, top, side)


def _is_light_on_dark(small: Tensor) -> bool:
    """Tell if strokes are lighter than the ground, by the third moment of local contrast: strokes are the few."""
    high = small.amax(dim=0)
    if _is_clean(small.amin(dim=0)) or high.median() > LIGHTEST_GROUND:
        return False
    edge = high[_border(torch.ones_like(high, dtype=torch.bool))]
    if _is_clean(1 - high) and edge.median() < 0.5:
        return True  # drawn in a program, whatever the width of its lines
    window = 2 * STROKE_WINDOW + 1
    rows = F.avg_pool2d(small[None], (1, window), 1, (0, STROKE_WINDOW), count_include_pad=False)
    around = F.avg_pool2d(rows, (window, 1), 1, (STROKE_WINDOW, 0), count_include_pad=False)[0]
    return bool((small - around).pow(3).sum() > 0)


def _is_clean(low: Tensor) -> bool:
    """Tell by its smallest channel (H, W) if a picture is digital: mostly pure white, with few light greys."""
    step = max(1, max(low.shape) // 1024)
    low = low[::step, ::step]
    white = (low >= 254 / 255).float().mean()
    between = ((low > 0.5) & (low < 0.97)).float().mean()
    return bool(white > 0.5 and between < 0.15)


def _darken_strokes(image: Tensor) -> Tensor:
    """Darken coloured strokes (by the smallest channel) and faint ones (by contrast) on white; others are unchanged."""
    dark = image.amin(dim=0)
    coloured = (image.amax(dim=0) - dark > 0.1).float().mean() > 2e-4
    ink = _ink_level(_subsampled(dark), 0.001)
    faint = 0.4 < ink < 0.95
    if not coloured and not faint:
        return image
    if faint:
        dark = ((dark - ink) / (1 - ink)).clamp(0, 1)
    return dark.expand_as(image).contiguous()


def _ink_level(values: Tensor, middle: float) -> float:
    """Estimate the brightness of strokes, paper being 1; the darkest values, a share of `middle`, surely are ink."""
    darkest = values.kthvalue(max(1, int(len(values) * middle))).values
    return float(values[values <= (1 + darkest) / 2].median())


def _frame(ink: Tensor) -> Tensor:
    """Find what runs along the border in a mask of ink (H, W), as a desk's edge does, if there is other ink."""
    if sum(edge.sum() for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1])) <= FRAME_LENGTH * max(ink.shape):
        return torch.zeros_like(ink)
    cell = max(1, round(max(ink.shape) / SHADING_SIDE))
    small = _counts(ink, cell) > 0
    depth = max(1, round(FRAME_DEPTH * max(small.shape)))
    inner = small.clone()
    inner[:depth] = inner[-depth:] = False
    inner[:, :depth] = inner[:, -depth:] = False
    frame = connected(_border(small), small & ~connected(inner, small))
    if _border(frame).sum() <= FRAME_LENGTH * max(small.shape) or torch.equal(frame, small):
        return torch.zeros_like(ink)
    return ink & _enlarged(frame, cell, ink)


def _rulings(ink: Tensor, brightness: Tensor) -> Tensor:
    """Find the lines of ruled or squared paper in a mask of ink (H, W), except where strokes cross them."""
    thinned = (across[:, :: max(1, across.shape[1] // RULING_SIDE)] for across in (ink, ink.T))
    entered = ((across[1:] & ~across[:-1]).sum(dim=0) for across in thinned)
    if not any(times.median() >= RULINGS for times in entered):  # in a typical column, or row
        return torch.zeros_like(ink)
    cell = max(1, round(max(ink.shape) / RULING_SIDE))
    small = (_counts(ink, cell) > 0).float()
    (level, across), (upright, down) = _level_rulings(small), (lines.T for lines in _level_rulings(small.T))
    margins = torch.maximum(across * upright.any(), down * level.any())
    strokes = small * (1 - torch.maximum(torch.maximum(level, upright), margins))
    level, upright = level * (1 - _closed(strokes, 7)), upright * (1 - _closed(strokes.T, 7).T)
    found = torch.zeros_like(ink)
    for printed in (torch.maximum(level, upright), margins):
        lines = ink & _enlarged(printed > 0, cell, ink)
        found |= lines & (brightness > 0.75 * brightness[lines].median()) if lines.any() else lines
    return found


def _level_rulings(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Find the rulings along the rows of a mask (h, w) of 0 and 1, as such a mask; none if they are not regular.

    The second mask has the lines through all of the picture, however few.
    """
    height, width = ink.shape
    piece = round(width * RULING_PIECE) // 2 * 2 + 1
    thick = 2 * max(1, round(0.006 * max(height, width))) + 1
    near = _dilated(ink - _dilated(1 - _dilated(1 - ink, thick), thick), 3)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    lines, through = torch.zeros_like(ink), torch.zeros_like(ink)
    for step in range(-round(TILT * piece / 2), round(TILT * piece / 2) + 1):
        drift = (columns - width // 2) * 2 * step // piece
        level = near[(rows + drift) % height, columns]
        run = _run_sums(_run_sums(level, piece) > 0.7 * piece, piece) > 0
        lines = torch.maximum(lines, run[(rows - drift) % height, columns].float())
        whole = (level.mean(dim=1, keepdim=True) > THROUGH) * level
        through = torch.maximum(through, whole[(rows - drift) % height, columns])
    lines, through = lines * ink, through * ink
    regular = [_is_regular(lines[:, column]) for column in range(width // 10, width, max(1, width // 10))]
    return lines if sum(regular) > len(regular) / 2 else torch.zeros_like(ink), through


def _run_sums(mask: Tensor, length: int) -> Tensor:
    """Sum a mask (h, w) over the `length` pixels, an odd number, around each pixel of a row."""
    sums = F.pad(mask.float().cumsum(dim=1), (length // 2 + 1, 0))
    sums = torch.cat([sums, sums[:, -1:].expand(-1, length // 2)], dim=1)
    return sums[:, length:] - sums[:, :-length]


def _is_regular(column: Tensor) -> bool:
    """Tell whether lines cross a column of a mask (h) at about the same distances."""
    gaps = (column[1:] > column[:-1]).nonzero()[:, 0].diff().float()
    return len(gaps) >= RULINGS - 1 and bool(((gaps / gaps.median() - 1).abs() < 0.25).float().mean() > 0.6)


def _dilated(mask: Tensor, height: int) -> Tensor:
    """Dilate a mask (h, w) along its columns by a window of odd height."""
    return F.max_pool2d(mask[None], (height, 1), 1, (height // 2, 0))[0]


def _closed(mask: Tensor, height: int) -> Tensor:
    """Fill gaps of a mask (h, w) of 0 and 1 along its columns that are less high than a window of odd height."""
    return 1 - _dilated(1 - _dilated(mask, height), height)


def _paper(small: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate on a reduced picture (3, h, w) the colour of bare paper, and the mask (h, w) of what is not paper."""
    for sign in (1, -1):  # dilated, then eroded: without strokes narrower than the window
        rows = F.max_pool2d(sign * small, (1, STROKE_WINDOW), 1, (0, STROKE_WINDOW // 2))
        small = sign * F.max_pool2d(rows, (STROKE_WINDOW, 1), 1, (STROKE_WINDOW // 2, 0))
    grey = small.amin(dim=0)
    bright = grey.flatten().kthvalue(max(1, int(grey.numel() * 0.8))).values
    dark = grey < DEEPEST_SHADOW * 1.4 * bright
    desk = connected(_border(dark), dark)
    light = small.flatten(1).kthvalue(max(1, int(grey.numel() * 0.8)), dim=1).values
    blurred = F.avg_pool2d(F.pad(small[None], [2] * 4, mode="replicate"), 5, 1)[0]
    small = torch.maximum(blurred, DEEPEST_SHADOW * light[:, None, None])
    return small, F.max_pool2d(desk.float()[None], 7, 1, 3)[0] > 0


def _ratio(image: Tensor, paper: Tensor, inverted: bool) -> Tensor:
    """Divide a picture (3, H, W) by its paper (3, h, w), interpolated: the smallest channel, at most 1.5, as (H, W).

    It is done in bands of rows, so that what a large picture takes stays in the processor's cache.
    """
    height, width = image.shape[1:]
    wide = F.interpolate(paper[None], size=(paper.shape[1], width), mode="bilinear", align_corners=False)[0]
    rows = ((torch.arange(height) + 0.5) * (paper.shape[1] / height) - 0.5).clamp_(0, paper.shape[1] - 1)
    above = rows.long()
    below = (above + 1).clamp_(max=paper.shape[1] - 1)
    ratio = torch.empty(height, width)
    for band in torch.split(torch.arange(height), BAND):
        share = (rows[band] - above[band])[:, None]
        bare = torch.lerp(wide[:, above[band]], wide[:, below[band]], share).clamp_(min=1e-3)
        seen = image[:, band[0] : band[-1] + 1]
        torch.amin((1 - seen if inverted else seen) / bare, dim=0, out=ratio[band[0] : band[-1] + 1])
    return ratio.clamp_(max=1.5)


def _border(mask: Tensor) -> Tensor:
    outer = mask.clone()
    outer[1:-1, 1:-1] = False
    return outer


def connected(seeds: Tensor, mask: Tensor) -> Tensor:
    """Keep the regions of a mask (h, w) that hold a seed; pixels are connected by their edges, not by corners."""
    reached = seeds & mask
    while True:
        grown = _runs(_runs(reached, mask, 1), mask, 0)
        if torch.equal(grown, reached):
            return reached
        reached = grown


def _runs(seeds: Tensor, mask: Tensor, along: int) -> Tensor:
    """Keep the runs of a mask (h, w) along its rows or columns that hold a seed."""
    number = (~mask).cumsum(along)
    held = torch.zeros(mask.shape[0] + 1, mask.shape[1] + 1, dtype=torch.int64)
    held.scatter_add_(along, number, seeds.long())
    return (held.gather(along, number) > 0) & mask


def _counts(mask: Tensor, cell: int) -> Tensor:
    """Count what is in each cell of a mask (H, W): (h, w), as floats; those at the right and the bottom may be cut."""
    height, width = mask.shape
    padded = F.pad(mask.view(torch.uint8), (0, -width % cell, 0, -height % cell)).numpy()
    columns = padded.reshape(-1, cell, padded.shape[1]).sum(axis=1, dtype=np.uint16)
    return torch.from_numpy(columns.reshape(len(columns), -1, cell).sum(axis=2, dtype=np.float32))


def _enlarged(small: Tensor, cell: int, like: Tensor) -> Tensor:
    """Repeat each value of a grid (h, w) over its cell, to the size of `like` (H, W)."""
    large = small.repeat_interleave(cell, dim=0).repeat_interleave(cell, dim=1)
    return large[: like.shape[0], : like.shape[1]]


def _shrunk(image: Tensor, side: int) -> Tensor:
    height, width = image.shape[1:]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return image if scale == 1.0 else F.interpolate(image[None], size=size, mode="area")[0]


def _taken(values: Tensor, mask: Tensor) -> Tensor:
    """Give the values in a mask, as `values[mask]` does but five times faster."""
    return torch.from_numpy(values.numpy()[mask.numpy()])


def _subsampled(values: Tensor) -> Tensor:
    """Flatten, and take every k-th value so that at most `SAMPLE` remain: quantiles of all values would be slow."""
    return values.flatten()[:: -(-values.numel() // SAMPLE)]
