"""Labelled pictures for the dense tasks: photos with masks, and sketches and photos with matching points.

Masks and points come from Sketch World, which knows them; masks also from segmentation folders and from the filled
outlines of Sketchy's sketches; points also from outlines of real photos under known warps.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from ...errors import ImageError
from ...io.cleanup import connected
from ...io.files import Arrays, cached_arrays
from ...io.images import Kind, letterbox, read_image
from ...tasks.pictures import dilated
from ...world import World
from ..datasets.base import Datasets, held_out, readable_name
from ..datasets.segmentation import MaskedPhoto, MaskFolder
from ..datasets.sketchy import FEWEST_SKETCHES, has_ink, mean_alignment, photo_id_of
from . import augment
from .bank import (
    ABOUT,
    BANK_HANDS,
    Picture,
    PictureArray,
    cached_rows,
    decode,
    described,
    file_state,
    kept_rows,
    world_banks,
)
from .sources import KINDS, collect

POINTS = 16  # of a pair; no category has more that are worth matching
VERSION = 2  # of what is computed here; part of the names of files in the cache
Ink = Callable[[Tensor], Tensor]  # pictures (B, C, S, S) -> where they have strokes (B, 1, S, S), 0 to 1
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
    sketch_points: Tensor = field(repr=False)  # (N, POINTS, 2)
    photo_points: Tensor = field(repr=False)  # (N, POINTS, 2)
    visible: Tensor = field(repr=False)  # (N, POINTS) bool, visible in both


@dataclass(frozen=True, eq=False)
class MaskedPhotos:
    photos: PictureArray  # its names are everything that is known to be visible
    masks: np.ndarray = field(repr=False)  # (N, S, S) uint8: BACKGROUND, THING or OUTSIDE
    names: list[str] = field(repr=False)  # N, of what is masked


def world_points(things: int, side: int, cache: Path, seed: int = 0) -> PointPairs:
    """Return photos and sketches of Sketch World's seen categories, `things` of each, with common keypoints."""
    photos, sketches = world_banks(things, side, cache, seed)
    labels = _labels(things, side, cache, seed)
    points, visible = torch.from_numpy(labels["points"]), torch.from_numpy(labels["visible"])
    return PointPairs(sketches, photos, points[:, 1], points[:, 0], visible)


def world_masks(things: int, side: int, cache: Path, seed: int = 0) -> MaskedPhotos:
    """Return photos of Sketch World's seen categories, `things` of each, with the masks of their objects."""
    photos, _ = world_banks(things, side, cache, seed)
    return MaskedPhotos(photos, _labels(things, side, cache, seed)["masks"], [names[0] for names in photos.names])


def _labels(things: int, side: int, cache: Path, seed: int) -> Arrays:
    """Return masks (N, side, side), points (N, photo or sketch, POINTS, 2) and visible (N, POINTS) of `world_banks`."""

    def rendered() -> Arrays:
        world = World(seed=seed, split="seen", size=side)
        count = len(world.categories) * things
        masks = np.zeros((count, side, side), np.uint8)
        points, visible = np.zeros((count, 2, POINTS, 2), np.float32), np.zeros((count, POINTS), bool)
        for place in range(count):
            category, thing = world.categories[place // things], place % things
            shot = world.photo(category, thing)
            _, _, sketch_keypoints = world.sketch(category, thing, thing % BANK_HANDS)
            masks[place] = np.where(shot.mask, THING, BACKGROUND)
            for number, (name, in_photo) in enumerate(list(shot.keypoints.items())[:POINTS]):
                in_sketch = sketch_keypoints[name]
                points[place, :, number] = np.array([[in_photo.x, in_photo.y], [in_sketch.x, in_sketch.y]]) / side
                visible[place, number] = in_photo.visible and in_sketch.visible
        return {"masks": masks, "points": points, "visible": visible}

    return cached_arrays(cache / f"world-labels-{side}-{seed}-{things}.npz", rendered)


def folder_masks(folder: MaskFolder, side: int, cache: Path, kept_out: bool = False) -> MaskedPhotos:
    """Read the training pairs (or the one in five held out) of a segmentation folder at `side` pixels; cached.

    ImageError or DatasetError for a photo or mask that cannot be read.
    """
    pairs = [pair for pair in folder.pairs() if held_out(pair.photo.photo_id) == kept_out]
    files = "\n".join(file_state(path) for pair in pairs for path in (pair.photo.source, str(pair.mask)))
    path = cache / f"masks-{side}-{len(pairs)}-{hashlib.sha256(files.encode()).hexdigest()[:16]}.npy"
    masks = kept_rows(path, lambda: (_mask(pair, side)[None] for pair in pairs)) if pairs else np.empty(0)
    names = [readable_name(pair.photo.label) for pair in pairs]
    shown: dict[str, list[str]] = {}
    for pair, name in zip(pairs, names, strict=True):
        shown.setdefault(pair.photo.source, []).append(name)
    every = [tuple(dict.fromkeys((name, *shown[pair.photo.source]))) for pair, name in zip(pairs, names, strict=True)]
    photos = [Picture(pair.photo.source, of) for pair, of in zip(pairs, every, strict=True)]
    return MaskedPhotos(decode(photos, "photo", side, cache), masks, names)


def _mask(pair: MaskedPhoto, side: int) -> np.ndarray:
    _, frame = letterbox(read_image(pair.photo.source), side, "photo")
    thing = torch.from_numpy(pair.read_mask())[None, None].float()
    left, top = round(frame.offset_x), round(frame.offset_y)
    width, height = round(frame.width * frame.scale_x), round(frame.height * frame.scale_y)
    size = (max(1, min(height, side - top)), max(1, min(width, side - left)))
    small = F.interpolate(thing, size, mode="area")[0, 0] >= 0.5
    mask = np.full((side, side), OUTSIDE, np.uint8)
    mask[top : top + size[0], left : left + size[1]] = np.where(small.numpy(), THING, BACKGROUND)
    return mask


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


def warped_outlines(photos: PictureArray, count: int, side: int, cache: Path) -> PointPairs:
    """Pair the first `count` photos of seen classes, at `side` pixels, with their outlines under known warps."""
    chosen, generator = photos.at(photos.seen[:count]), torch.Generator().manual_seed(0)
    return warped(chosen, chosen, side, cache, generator, lambda seen: 1 - augment.outline(seen, generator))


def warped(
    drawn: PictureArray,
    photos: PictureArray,
    side: int,
    cache: Path,
    generator: Generator,
    ink: Ink,
    alignment: Tensor | None = None,
    mirrored: float = 0.0,
) -> PointPairs:
    """Warp the strokes that `ink` (B, C, S, S) -> (B, 1, S, S) finds in the pictures `drawn`.

    `photos` has the photo of each. `alignment` (N, 2, 2), zoom and shift of x and y in [-1, 1], maps the strokes onto
    the photo. A share of the warps is `mirrored`. Points are sampled where the warped strokes have ink. `cache` keeps
    the result.
    """
    content = hashlib.sha256(drawn.digest().encode())
    content.update(f"{side} {mirrored} {(VERSION, POINTS, BATCH, DEGREES, ZOOM, SHIFT, BEND)}".encode())
    for tensor in (generator.get_state(), *([] if alignment is None else [alignment])):
        content.update(tensor.numpy().tobytes())
    path = cache / f"warped-{drawn.kind}-{side}-{len(drawn)}-{content.hexdigest()[:16]}.npy"
    points: list[Tensor] = [torch.empty(2, 0, POINTS, 2)]
    about = [np.empty(0, ABOUT)]

    def sketches() -> Iterator[np.ndarray]:
        for start in range(0, len(drawn), BATCH):
            some = list(range(start, min(start + BATCH, len(drawn))))
            frames = None if alignment is None else alignment[some]
            sheets, both = _warp(drawn.take(some).cpu(), side, generator, ink, frames, mirrored)
            points.append(both)
            about.append(described(sheets))
            yield sheets

    def known() -> Arrays:
        return {"points": torch.cat(points, 1).numpy(), "about": np.concatenate(about)}

    pixels, found = cached_rows(path, sketches, known)
    sketch_xy, photo_xy = torch.from_numpy(found["points"]).unbind()
    visible = ((photo_xy > 0) & (photo_xy < 1)).all(-1)
    empty = np.empty((0, 1, side, side), np.uint8)
    bank = PictureArray("sketch", empty if pixels is None else pixels, photos.names, about=found["about"])
    return PointPairs(bank, photos, sketch_xy, photo_xy.clamp(0, 1), visible)


def _warp(
    pictures: Tensor, side: int, generator: Generator, ink: Ink, alignment: Tensor | None, mirrored: float
) -> tuple[np.ndarray, Tensor]:
    """Warp B pictures; return sketches (B, 1, side, side) uint8, and points in sketch and photo (2, B, POINTS, 2)."""
    pictures = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
    warp = known_warp(len(pictures), side, generator)
    if mirrored:
        warp[torch.rand(len(pictures), generator=generator) < mirrored] *= torch.tensor([-1.0, 1.0])
    grid = warp
    if alignment is not None:
        zoom, shift = alignment[:, :, None, None].unbind(1)
        grid = (warp - shift) / zoom
    strokes = F.grid_sample(ink(pictures), grid, padding_mode="zeros", align_corners=False)
    # a little everywhere, so that an outline without ink has points too
    places = torch.multinomial(strokes.flatten(1).clamp(min=0) + 1e-4, POINTS, generator=generator)
    in_sketch = torch.stack([places % side + 0.5, places // side + 0.5], -1) / side
    in_photo = (warp.flatten(1, 2).gather(1, places[:, :, None].expand(-1, -1, 2)) + 1) / 2
    return ((1 - strokes.clamp(0, 1)) * 255).round().to(torch.uint8).numpy(), torch.stack([in_sketch, in_photo])


def silhouettes(datasets: Datasets, side: int, cache: Path, kept_out: bool = False) -> MaskedPhotos:
    """Return photos of Sketchy's layouts at `side` pixels with masks made of their sketches.

    The sketches of a photo are aligned with it and with one another, and filled: what most cover is the thing, what
    hardly any covers is background, and the rest is unknown. Photos with too few sketches are left out. Only seen
    classes; held-out photos if `kept_out`, else the others. `cache` keeps the result.
    """
    photos, sketches = (collect(datasets, kind, kept_out) for kind in KINDS)
    drawn: dict[tuple[str, str], list[Picture]] = {}
    for sketch in sketches:
        drawn.setdefault((sketch.names[0], photo_id_of(Path(sketch.path).stem)), []).append(sketch)
    pairs = [(photo, drawn.get((photo.names[0], Path(photo.path).stem), [])) for photo in photos]
    pairs = [(photo, of) for photo, of in pairs if len(of) >= FEWEST_SKETCHES]
    files = "\n".join(file_state(picture.path) for photo, of in pairs for picture in (photo, *of))
    settings = (VERSION, FEWEST_SKETCHES, INSIDE, BACKDROP, SKETCH_SIDE, GRID, FAINT, GAPS, GAIN)
    key = hashlib.sha256(f"{settings} {files}".encode()).hexdigest()[:16]
    path = cache / f"silhouettes-{side}-{len(pairs)}-{key}.npy"
    places: list[int] = []  # of the pairs whose sketches agree on a thing

    def made() -> Iterator[np.ndarray]:
        for place, (photo, of) in enumerate(pairs):
            sheets = [_square(sketch, "sketch", SKETCH_SIDE) for sketch in of]
            mask = _consensus([sheet for sheet in sheets if sheet is not None], side)
            if (mask == THING).any() and _square(photo, "photo", side) is not None:
                places.append(place)
                yield mask[None]

    masks, found = cached_rows(path, made, lambda: {"places": np.array(places, np.int64)})
    photos = [pairs[place][0] for place in found["places"].tolist()]
    names = [photo.names[0] for photo in photos]
    return MaskedPhotos(decode(photos, "photo", side, cache), np.empty(0) if masks is None else masks, names)


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


def _square(picture: Picture, kind: Kind, side: int) -> Tensor | None:
    """Read a picture into a square; None, and a warning in the log, if it cannot be read."""
    try:
        return letterbox(read_image(picture.path, kind), side, kind, whole_page=True)[0]
    except ImageError as error:
        logging.getLogger(__name__).warning("%s; it is left out", error)
        return None
