"""Sketch World with what dense tasks need: masks of the photos, and the keypoints of photo and sketch."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Generator, Tensor
from torch.nn import functional as F

from ...errors import ImageError
from ...io.files import Arrays, cached_arrays
from ...io.images import Kind, letterbox, quantise, read_image
from ..datasets.base import clean, held_out
from ..datasets.segmentation import MaskedPhoto, MaskFolder
from ..datasets.sketchy import FEWEST, inked, laid, photo_of
from . import augment
from .bank import PictureArray, file_state, world_banks
from .collect import Picture, collect_held_out, collect_photos, collect_sketches

POINTS = 16  # of a pair at most; no category has more that are worth matching
HANDS = 4  # of `world_banks`, one thing after the other


@dataclass(frozen=True, eq=False)
class PointPairs:
    """Sketches and photos, place by place, with points that mean the same, x and y in sides of the square."""

    sketches: PictureArray
    photos: PictureArray
    sketch_points: Tensor  # (N, POINTS, 2)
    photo_points: Tensor  # (N, POINTS, 2)
    visible: Tensor  # (N, POINTS) bool, in both


@dataclass(frozen=True, eq=False)
class Masked:
    """Photos and where in them the thing is that they are named after."""

    photos: PictureArray  # whose names are all that is known to be there
    masks: np.ndarray  # (N, S, S) uint8: BACKGROUND, THING or OUTSIDE
    names: list[str]  # N


BACKGROUND, THING, OUTSIDE = 0, 1, 2  # outside the photo is padding, which counts as neither


def world_points(things: int, side: int, cache: Path, seed: int = 0) -> PointPairs:
    """Photos and sketches of the seen categories, `things` of each, with the keypoints that both show."""
    photos, sketches = world_banks(things, side, cache, seed)
    labels = _labels(things, side, cache, seed)
    points, visible = torch.from_numpy(labels["points"]), torch.from_numpy(labels["visible"])
    return PointPairs(sketches, photos, points[:, 1], points[:, 0], visible)


def world_masks(things: int, side: int, cache: Path, seed: int = 0) -> Masked:
    """The same photos with their masks."""
    photos, _ = world_banks(things, side, cache, seed)
    return Masked(photos, _labels(things, side, cache, seed)["masks"], [names[0] for names in photos.names])


def _labels(things: int, side: int, cache: Path, seed: int) -> Arrays:
    """Masks (N, side, side), points (N, photo and sketch, POINTS, 2) and visible (N, POINTS) of `world_banks`."""
    path = cache / f"world-labels-{side}-{seed}-{things}.npz"
    return cached_arrays(path, lambda: _labelled(things, side, seed))


def _labelled(things: int, side: int, seed: int) -> Arrays:
    from ...world import World

    world = World(seed=seed, split="seen", size=side)
    count = len(world.categories) * things
    masks = np.zeros((count, side, side), np.uint8)
    points, visible = np.zeros((count, 2, POINTS, 2), np.float32), np.zeros((count, POINTS), bool)
    for place in range(count):
        category, thing = world.categories[place // things], place % things
        shot = world.photo(category, thing)
        _, _, of_sketch = world.sketch(category, thing, thing % HANDS)
        masks[place] = np.where(shot.mask, THING, BACKGROUND)
        for number, (name, here) in enumerate(list(shot.keypoints.items())[:POINTS]):
            there = of_sketch[name]
            points[place, :, number] = np.array([[here.x, here.y], [there.x, there.y]]) / side
            visible[place, number] = here.visible and there.visible
    return {"masks": masks, "points": points, "visible": visible}


# Masks of real photos: segmentation folders as photos in the square, each beside where its thing is.


def folder_masks(root: Path, side: int, kept_out: bool = False) -> Masked:
    """The pairs of a segmentation folder at `side` pixels: about four in five, or the others if `kept_out`.

    DatasetError and ImageError for a folder or a file that cannot be read.
    """
    pairs = [pair for pair in MaskFolder(root).pairs() if held_out(pair.photo.photo_id) == kept_out]
    pixels, masks = np.empty((len(pairs), 3, side, side), np.uint8), np.empty((len(pairs), side, side), np.uint8)
    for place, pair in enumerate(pairs):
        pixels[place], masks[place] = _squares(pair, side)
    names = [clean(pair.photo.label) for pair in pairs]
    shown: dict[str, list[str]] = {}
    for pair, name in zip(pairs, names, strict=True):
        shown.setdefault(pair.photo.source, []).append(name)
    every = [tuple(dict.fromkeys((name, *shown[pair.photo.source]))) for pair, name in zip(pairs, names, strict=True)]
    return Masked(PictureArray("photo", pixels, every), masks, names)


def _squares(pair: MaskedPhoto, side: int) -> tuple[np.ndarray, np.ndarray]:
    square, frame = letterbox(read_image(pair.photo.source), side, "photo")
    thing = torch.from_numpy(pair.read_mask())[None, None].float()
    left, top = round(frame.offset_x), round(frame.offset_y)
    width, height = (
        round(length * scale) for length, scale in ((frame.width, frame.scale_x), (frame.height, frame.scale_y))
    )
    size = (max(1, min(height, side - top)), max(1, min(width, side - left)))
    small = F.interpolate(thing, size, mode="area")[0, 0] >= 0.5
    mask = np.full((side, side), OUTSIDE, np.uint8)
    mask[top : top + size[0], left : left + size[1]] = np.where(small.numpy(), THING, BACKGROUND)
    return quantise(square), mask


# Known warps: the outline of a real photo, bent and turned, is a sketch whose every point is known in the photo.
#
# A sketch position p shows what lies at W(p) in the photo, and W, which the outline was sampled through, is kept: so
# the
# correspondence is exact, with no one's annotation. Points are drawn where the warped outline has ink. Only photos of
# none of the unseen classes are turned into sketches.


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


def warped_outlines(photos: PictureArray, count: int, side: int, seed: int = 0) -> PointPairs:
    """The first `count` photos that may be sketched, at `side` pixels, with a warped outline of each."""
    chosen, generator = photos.seen[:count], torch.Generator().manual_seed(seed)
    return warped(photos, chosen, photos.at(chosen), side, generator, lambda seen: 1 - augment.outline(seen, generator))


def warped(
    drawn: PictureArray,
    chosen: list[int],
    photos: PictureArray,
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
    bank = PictureArray("sketch", sketches.numpy(), photos.names)
    return PointPairs(bank, photos, sketch_xy, photo_xy.clamp(0, 1), visible)


# Masks of real photos that no one painted: where the sketches drawn of a photo, laid over it and filled, agree.
#
# Sketchy's sketches lie over their photos, each roughly: they are laid where they all lie on average. What most of
# them
# cover then is the thing, what hardly any covers is background, and what lies between teaches nothing.


INSIDE, BESIDE = 0.5, 0.15  # share of the sketches that cover the thing at least, the background at most
DRAWN = 128  # pixels of the square in which sketches are laid over one another
GRID = 64  # pixels of the one in which they are filled; they are not exacter than that
FAINT = 0.9  # brightness of a pixel that a thin stroke runs through
GAPS = (1, 2, 3, 4, 6)  # of these pixels, half as wide as the gaps that are closed before an outline is filled
GAIN = 1.3  # times as much must a wider closing fill


def silhouettes(roots: list[Path], side: int, cache: Path, kept_out: bool = False) -> Masked:
    """The photos of Sketchy roots that were sketched often enough, at `side` pixels, and where their things are.

    Only seen classes; photos that training never draws if `kept_out`, else the others. What was filled lies in `cache`.
    """
    photos, sketches = (
        (collect_held_out(roots, "photo"), collect_held_out(roots, "sketch"))
        if kept_out
        else (collect_photos(roots), collect_sketches(roots))
    )
    drawn: dict[tuple[str, str], list[Picture]] = {}
    for sketch in sketches:
        drawn.setdefault((sketch.names[0], photo_of(Path(sketch.path).stem)), []).append(sketch)
    pairs = [(photo, drawn.get((photo.names[0], Path(photo.path).stem), [])) for photo in photos]
    pairs = [(photo, of) for photo, of in pairs if len(of) >= FEWEST]
    files = "\n".join(file_state(picture.path) for photo, of in pairs for picture in (photo, *of))
    settings = ("laid, those that show a thing", FEWEST, INSIDE, BESIDE, GRID, FAINT, GAPS, GAIN)
    key = hashlib.sha256(f"{settings} {files}".encode()).hexdigest()[:16]
    path = cache / f"silhouettes-{side}-{len(pairs)}-{key}.npz"
    kept = cached_arrays(path, lambda: _filled(pairs, side))
    names = [pairs[place][0].names[0] for place in kept["places"]]
    return Masked(PictureArray("photo", kept["pixels"], [(name,) for name in names]), kept["masks"], names)


def _filled(pairs: list[tuple[Picture, list[Picture]]], side: int) -> Arrays:
    """The photos in which sketches agree on a thing, their masks, and their places among the pairs."""
    pixels, masks = np.empty((len(pairs), 3, side, side), np.uint8), np.empty((len(pairs), side, side), np.uint8)
    places: list[int] = []
    for place, (photo, of) in enumerate(pairs):
        shown, sheets = _square(photo, "photo", side), [_square(sketch, "sketch", DRAWN) for sketch in of]
        agreed = _agreed([sheet for sheet in sheets if sheet is not None], side)
        if shown is not None and (agreed == THING).any():
            pixels[len(places)] = quantise(shown)
            masks[len(places)] = agreed
            places.append(place)
    return {"pixels": pixels[: len(places)], "masks": masks[: len(places)], "places": np.array(places, np.int64)}


def _agreed(sketches: list[Tensor], side: int) -> np.ndarray:
    sheets = [sheet for sketch in sketches if inked((sheet := sketch.mean(0)).numpy())]
    if not sheets:
        return np.full((side, side), OUTSIDE, np.uint8)
    frames = laid(sheet.numpy() for sheet in sheets)
    covered = np.mean([filled(_moved(sheet, *frame)) for sheet, frame in zip(sheets, frames, strict=True)], axis=0)
    covered = np.asarray(Image.fromarray(covered.astype(np.float32)).resize((side, side)))
    return np.select([covered >= INSIDE, covered <= BESIDE], [THING, BACKGROUND], OUTSIDE).astype(np.uint8)


def _moved(sheet: Tensor, zoom: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Where there is ink (GRID, GRID) bool when x and y of a sheet (S, S) are taken times and plus these."""
    theta = torch.tensor([[[1 / zoom[0], 0, -shift[0] / zoom[0]], [0, 1 / zoom[1], -shift[1] / zoom[1]]]])
    grid = F.affine_grid(theta.float(), [1, 1, *sheet.shape], align_corners=False)
    ink = F.grid_sample(1 - sheet[None, None], grid, padding_mode="zeros", align_corners=False)
    small = F.interpolate(ink, (GRID, GRID), mode="bilinear", antialias=True)
    return (1 - small[0, 0] < FAINT).numpy()


def filled(ink: np.ndarray) -> np.ndarray:
    """What the strokes (S, S) bool of a sketch enclose, themselves included: (S, S) bool.

    People leave gaps in outlines: wider ones are closed as long as that fills much more.
    """
    best = ink
    for reach in GAPS:
        closed = _grown(np.pad(ink, reach + 2), reach)
        page = Image.fromarray(closed.astype(np.uint8)).copy()
        ImageDraw.floodfill(page, (0, 0), 2)
        found = ~_grown(np.asarray(page) == 2, reach)[reach + 2 : -reach - 2, reach + 2 : -reach - 2] | ink
        if found.sum() > GAIN * best.sum():
            best = found
    return best


def _grown(mask: np.ndarray, reach: int) -> np.ndarray:
    """Every pixel within a square of `reach` around those of a mask (S, S) bool."""
    rows = F.max_pool2d(torch.from_numpy(mask)[None].float(), (2 * reach + 1, 1), 1, (reach, 0))
    return (F.max_pool2d(rows, (1, 2 * reach + 1), 1, (0, reach))[0] > 0).numpy()


def _square(picture: Picture, kind: Kind, side: int) -> Tensor | None:
    """The picture in a square; None, and a line in the log, for one that cannot be read."""
    try:
        square, _ = letterbox(read_image(picture.path, kind), side, kind)
    except ImageError as error:
        logging.getLogger(__name__).warning("%s; it is left out", error)
        return None
    return square
