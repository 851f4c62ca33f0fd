"""Masks of real photos that no one painted: where the sketches drawn of a photo, laid over it and filled, agree.

Sketchy's sketches lie over their photos, each roughly: they are laid where they all lie on average. What most of them
cover then is the thing, what hardly any covers is background, and what lies between teaches nothing.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from ..errors import ImageError
from ..io.files import Arrays, archived
from ..io.images import Kind, letterbox, read_image
from ..lab.datasets.sketchy import FEWEST, inked, laid, photo_of
from .annotated import BACKGROUND, OUTSIDE, THING, Masked
from .bank import Bank, file_state
from .collect import Picture, collect_held_out, collect_photos, collect_sketches

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
    kept = archived(path, lambda: _filled(pairs, side))
    names = [pairs[place][0].names[0] for place in kept["places"]]
    return Masked(Bank("photo", kept["pixels"], [(name,) for name in names]), kept["masks"], names)


def _filled(pairs: list[tuple[Picture, list[Picture]]], side: int) -> Arrays:
    """The photos in which sketches agree on a thing, their masks, and their places among the pairs."""
    pixels, masks = np.empty((len(pairs), 3, side, side), np.uint8), np.empty((len(pairs), side, side), np.uint8)
    places: list[int] = []
    for place, (photo, of) in enumerate(pairs):
        shown, sheets = _square(photo, "photo", side), [_square(sketch, "sketch", DRAWN) for sketch in of]
        agreed = _agreed([sheet for sheet in sheets if sheet is not None], side)
        if shown is not None and (agreed == THING).any():
            pixels[len(places)] = (shown * 255).round().to(torch.uint8).numpy()
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
