"""Labelled pictures for the dense tasks: photos with masks, and sketches and photos with matching points.

Masks and points come from Sketch World, which knows them; masks also from segmentation folders and from the filled
outlines of Sketchy's sketches; points also from outlines of real photos under known warps.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from ...errors import ImageError
from ...featuremap import Frame
from ...io.cleanup import connected
from ...io.files import Arrays, cached_arrays
from ...io.images import Kind, letterbox, quantise, read_image
from ...tasks.pictures import dilated
from ..datasets.base import Dataset, held_out, readable_name
from ..datasets.segmentation import MaskedPhoto, MaskFolder
from ..datasets.sketchy import FEWEST_SKETCHES, has_ink, mean_alignment, photo_id_of
from . import augment
from .bank import Box, Picture, PictureArray, box_of, file_state, world_banks
from .sources import collect

POINTS = 16  # of a pair; no category has more that are worth matching
HANDS = 4  # that `world_banks` draws with in turn
BACKGROUND, THING, OUTSIDE = 0, 1, 2  # OUTSIDE: padding or unknown; no loss is taken there

# Of warps
BATCH = 64
DEGREES, ZOOM, SHIFT, BEND = 20.0, 0.25, 0.12, 0.035  # largest changes; lengths in half sides of the square

# Of silhouettes
INSIDE, BACKDROP = 0.5, 0.15  # share of the sketches that cover a pixel: at least for the thing, at most for background
SKETCH_SIDE = 128  # pixels at which sketches are aligned
GRID = 64  # pixels at which they are filled; hand-drawn outlines are no more exact
FAINT = 0.9  # brightness of a pixel with a thin stroke
GAPS = (1, 2, 3, 4, 6)  # half the widths of the gaps to close before filling an outline, in pixels of the grid
GAIN = 1.3  # factor by which a wider closing must enlarge the filled area


@dataclass(frozen=True, eq=False)
class PointPairs:
    """N pairs of a sketch and a photo with matching points; x and y as shares of the square's side."""

    sketches: PictureArray
    photos: PictureArray
    sketch_points: Tensor  # (N, POINTS, 2)
    photo_points: Tensor  # (N, POINTS, 2)
    visible: Tensor  # (N, POINTS) bool, visible in both


@dataclass(frozen=True, eq=False)
class MaskedPhotos:
    """N photos with the mask of the named thing."""

    photos: PictureArray  # its names are everything that is known to be visible
    masks: np.ndarray  # (N, S, S) uint8: BACKGROUND, THING or OUTSIDE
    names: list[str]  # N, of what is masked


def world_points(things: int, side: int, cache: Path, seed: int = 0) -> PointPairs:
    """Return photos and sketches of Sketch World's seen categories, `things` of each, with common keypoints."""
    photos, sketches = world_banks(things, side, cache, seed)
    labels = _labels(things, side, cache, seed)
    points, visible = torch.from_numpy(labels["points"]), torch.from_numpy(labels["visible"])
    return PointPairs(sketches, photos, points[:, 1], points[:, 0], visible)


def world_masks(things: int, side: int, cache: Path, seed: int = 0) -> MaskedPhotos:
    """Return the same photos with their masks."""
    photos, _ = world_banks(things, side, cache, seed)
    return MaskedPhotos(photos, _labels(things, side, cache, seed)["masks"], [names[0] for names in photos.names])


def _labels(things: int, side: int, cache: Path, seed: int) -> Arrays:
    """Return masks (N, side, side), points (N, photo or sketch, POINTS, 2) and visible (N, POINTS) of `world_banks`."""
    from ...world import World

    def rendered() -> Arrays:
        world = World(seed=seed, split="seen", size=side)
        count = len(world.categories) * things
        masks = np.zeros((count, side, side), np.uint8)
        points, visible = np.zeros((count, 2, POINTS, 2), np.float32), np.zeros((count, POINTS), bool)
        for place in range(count):
            category, thing = world.categories[place // things], place % things
            shot = world.photo(category, thing)
            _, _, sketch_keypoints = world.sketch(category, thing, thing % HANDS)
            masks[place] = np.where(shot.mask, THING, BACKGROUND)
            for number, (name, in_photo) in enumerate(list(shot.keypoints.items())[:POINTS]):
                in_sketch = sketch_keypoints[name]
                points[place, :, number] = np.array([[in_photo.x, in_photo.y], [in_sketch.x, in_sketch.y]]) / side
                visible[place, number] = in_photo.visible and in_sketch.visible
        return {"masks": masks, "points": points, "visible": visible}

    return cached_arrays(cache / f"world-labels-{side}-{seed}-{things}.npz", rendered)


def folder_masks(folder: MaskFolder, side: int, kept_out: bool = False) -> MaskedPhotos:
    """Read the pairs of a segmentation folder at `side` pixels: four in five, or the held-out ones if `kept_out`.

    DatasetError and ImageError for a folder or a file that cannot be read.
    """
    pairs = [pair for pair in folder.pairs() if held_out(pair.photo.photo_id) == kept_out]
    pixels, masks = np.empty((len(pairs), 3, side, side), np.uint8), np.empty((len(pairs), side, side), np.uint8)
    boxes = np.empty((len(pairs), 4))
    for place, pair in enumerate(pairs):
        pixels[place], masks[place], boxes[place] = _squares(pair, side)
    names = [readable_name(pair.photo.label) for pair in pairs]
    shown: dict[str, list[str]] = {}
    for pair, name in zip(pairs, names, strict=True):
        shown.setdefault(pair.photo.source, []).append(name)
    every = [tuple(dict.fromkeys((name, *shown[pair.photo.source]))) for pair, name in zip(pairs, names, strict=True)]
    return MaskedPhotos(PictureArray("photo", pixels, every, boxes=boxes), masks, names)


def _squares(pair: MaskedPhoto, side: int) -> tuple[np.ndarray, np.ndarray, Box]:
    square, frame = letterbox(read_image(pair.photo.source), side, "photo")
    thing = torch.from_numpy(pair.read_mask())[None, None].float()
    left, top = round(frame.offset_x), round(frame.offset_y)
    width, height = round(frame.width * frame.scale_x), round(frame.height * frame.scale_y)
    size = (max(1, min(height, side - top)), max(1, min(width, side - left)))
    small = F.interpolate(thing, size, mode="area")[0, 0] >= 0.5
    mask = np.full((side, side), OUTSIDE, np.uint8)
    mask[top : top + size[0], left : left + size[1]] = np.where(small.numpy(), THING, BACKGROUND)
    return quantise(square), mask, box_of(frame)


def known_warp(count: int, side: int, generator: Generator) -> Tensor:
    """Draw random warps (count, side, side, 2): where each pixel's centre lies in the photo, x and y in [-1, 1]."""

    def drawn(reach: float) -> Tensor:
        return (2 * torch.rand(count, generator=generator) - 1) * reach

    angle, zoom, stretch = drawn(DEGREES * torch.pi / 180), drawn(ZOOM).exp(), drawn(ZOOM / 2).exp()
    across = [zoom * stretch * angle.cos(), -zoom * angle.sin(), drawn(SHIFT)]
    down = [zoom * stretch * angle.sin(), zoom * angle.cos(), drawn(SHIFT)]
    theta = torch.stack([*across, *down], 1).view(count, 2, 3)
    coarse = torch.randn(count, 2, 4, 4, generator=generator) * BEND
    bent = F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    return F.affine_grid(theta, [count, 1, side, side], align_corners=False) + bent


def warped_outlines(photos: PictureArray, count: int, side: int, seed: int = 0) -> PointPairs:
    """Pair the first `count` photos of seen classes, at `side` pixels, with their outlines under known warps."""
    chosen, generator = photos.seen[:count], torch.Generator().manual_seed(seed)
    return warped(photos, chosen, photos.at(chosen), side, generator, lambda seen: 1 - augment.outline(seen, generator))


def warped(
    drawn: PictureArray,
    chosen: list[int],
    photos: PictureArray,
    side: int,
    generator: Generator,
    ink: Callable[[Tensor], Tensor],
    alignment: Tensor | None = None,
    mirrored: float = 0.0,
) -> PointPairs:
    """Warp the strokes that `ink` (B, C, S, S) -> (B, 1, S, S) finds in the `chosen` pictures of `drawn`.

    `photos` has the photo of each. `alignment` (N, 2, 2), zoom and shift of x and y in [-1, 1], maps the strokes onto
    the photo. A share of the warps is `mirrored`. Points are sampled where the warped strokes have ink.
    """
    sketches, sketch_points, photo_points = torch.empty(len(chosen), 1, side, side, dtype=torch.uint8), [], []
    for start in range(0, len(chosen), BATCH):
        pictures = drawn.take(chosen[start : start + BATCH]).cpu()
        pictures = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
        warp = known_warp(len(pictures), side, generator)
        if mirrored:
            warp[torch.rand(len(pictures), generator=generator) < mirrored] *= torch.tensor([-1.0, 1.0])
        grid = warp
        if alignment is not None:
            zoom, shift = alignment[start : start + len(pictures), :, None, None].unbind(1)
            grid = (warp - shift) / zoom
        strokes = F.grid_sample(ink(pictures), grid, padding_mode="zeros", align_corners=False)
        sketches[start : start + len(pictures)] = ((1 - strokes.clamp(0, 1)) * 255).round().to(torch.uint8)
        # a little everywhere, so that an outline without ink has points too
        places = torch.multinomial(strokes.flatten(1).clamp(min=0) + 1e-4, POINTS, generator=generator)
        sketch_points.append(torch.stack([places % side + 0.5, places // side + 0.5], -1) / side)
        in_photo = warp.flatten(1, 2).gather(1, places[:, :, None].expand(-1, -1, 2))
        photo_points.append((in_photo + 1) / 2)
    photo_xy, sketch_xy = (torch.cat([torch.empty(0, POINTS, 2), *of]) for of in (photo_points, sketch_points))
    visible = ((photo_xy > 0) & (photo_xy < 1)).all(-1)
    bank = PictureArray("sketch", sketches.numpy(), photos.names)
    return PointPairs(bank, photos, sketch_xy, photo_xy.clamp(0, 1), visible)


def silhouettes(datasets: Sequence[Dataset], side: int, cache: Path, kept_out: bool = False) -> MaskedPhotos:
    """Return photos of Sketchy's layouts at `side` pixels with masks made of their sketches.

    The sketches of a photo are aligned with it and with one another, and filled: what most cover is the thing, what
    hardly any covers is background, and the rest is unknown. Photos with too few sketches are left out. Only seen
    classes; held-out photos if `kept_out`, else the others. `cache` keeps the result.
    """
    photos, sketches = collect(datasets, kept_out)
    drawn: dict[tuple[str, str], list[Picture]] = {}
    for sketch in sketches:
        drawn.setdefault((sketch.names[0], photo_id_of(Path(sketch.path).stem)), []).append(sketch)
    pairs = [(photo, drawn.get((photo.names[0], Path(photo.path).stem), [])) for photo in photos]
    pairs = [(photo, of) for photo, of in pairs if len(of) >= FEWEST_SKETCHES]
    files = "\n".join(file_state(picture.path) for photo, of in pairs for picture in (photo, *of))
    settings = ("laid, those that show a thing, in boxes", FEWEST_SKETCHES, INSIDE, BACKDROP, GRID, FAINT, GAPS, GAIN)
    key = hashlib.sha256(f"{settings} {files}".encode()).hexdigest()[:16]
    path = cache / f"silhouettes-{side}-{len(pairs)}-{key}.npz"
    kept = cached_arrays(path, lambda: _fill_sketches(pairs, side))
    names = [pairs[place][0].names[0] for place in kept["places"]]
    photos_kept = PictureArray("photo", kept["pixels"], [(name,) for name in names], boxes=kept["boxes"])
    return MaskedPhotos(photos_kept, kept["masks"], names)


def _fill_sketches(pairs: list[tuple[Picture, list[Picture]]], side: int) -> Arrays:
    """Return the photos whose sketches agree on a thing, their boxes and masks, and their indices among the pairs."""
    rows: list[tuple[int, np.ndarray, np.ndarray, Box]] = []
    for place, (photo, of) in enumerate(pairs):
        shown, sheets = _square(photo, "photo", side), [_square(sketch, "sketch", SKETCH_SIDE) for sketch in of]
        mask = _consensus([sheet[0] for sheet in sheets if sheet], side)
        if shown and (mask == THING).any():
            rows.append((place, quantise(shown[0]), mask, box_of(shown[1])))
    return {
        "places": np.array([place for place, _, _, _ in rows], np.int64),
        "pixels": np.array([pixels for _, pixels, _, _ in rows], np.uint8).reshape(-1, 3, side, side),
        "masks": np.array([mask for _, _, mask, _ in rows], np.uint8).reshape(-1, side, side),
        "boxes": np.array([box for _, _, _, box in rows], np.float64).reshape(-1, 4),
    }


def _consensus(sketches: list[Tensor], side: int) -> np.ndarray:
    sheets = [sheet for sketch in sketches if has_ink((sheet := sketch.mean(0)).numpy())]
    if not sheets:
        return np.full((side, side), OUTSIDE, np.uint8)
    frames = mean_alignment(sheet.numpy() for sheet in sheets)
    inked = [_aligned_ink(sheet, *frame) for sheet, frame in zip(sheets, frames, strict=True)]
    covered = np.mean([filled(ink) for ink in inked], axis=0)
    covered = np.asarray(Image.fromarray(covered.astype(np.float32)).resize((side, side)))
    return np.select([covered >= INSIDE, covered <= BACKDROP], [THING, BACKGROUND], OUTSIDE).astype(np.uint8)


def _aligned_ink(sheet: Tensor, zoom: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return where a sheet (S, S) has ink, (GRID, GRID) bool, after zooming and shifting x and y in [-1, 1]."""
    theta = torch.tensor([[[1 / zoom[0], 0, -shift[0] / zoom[0]], [0, 1 / zoom[1], -shift[1] / zoom[1]]]])
    grid = F.affine_grid(theta.float(), [1, 1, *sheet.shape], align_corners=False)
    ink = F.grid_sample(1 - sheet[None, None], grid, padding_mode="zeros", align_corners=False)
    small = F.interpolate(ink, (GRID, GRID), mode="bilinear", antialias=True)
    return (1 - small[0, 0] < FAINT).numpy()


def filled(ink: np.ndarray) -> np.ndarray:
    """Fill what strokes (S, S) bool enclose, strokes too; gaps are closed, wider ones only if that fills much more."""
    best = ink
    for reach in GAPS:
        closed = dilated(np.pad(ink, reach + 2), reach)
        corner = np.zeros_like(closed)
        corner[0, 0] = True
        outside = connected(torch.from_numpy(corner), torch.from_numpy(~closed)).numpy()
        found = ~dilated(outside, reach)[reach + 2 : -reach - 2, reach + 2 : -reach - 2] | ink
        if found.sum() > GAIN * best.sum():
            best = found
    return best


def _square(picture: Picture, kind: Kind, side: int) -> tuple[Tensor, Frame] | None:
    """Read a picture into a square, with its frame; None, and a warning in the log, if it cannot be read."""
    try:
        return letterbox(read_image(picture.path, kind), side, kind, whole_page=True)
    except ImageError as error:
        logging.getLogger(__name__).warning("%s; it is left out", error)
        return None
