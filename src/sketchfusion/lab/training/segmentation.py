"""Light parts and a threshold for sketch-based segmentation (paper section 6.4).

Two things are learned of the same maps, each as `tasks.segmentation` asks for it. Whether the photo shows it at all:
the cosine of the pooled sketch with every cell, upsampled to the mask, through a sigmoid whose threshold and
temperature are learned (as in Chen et al., Localizing Visual Sounds the Hard Way, 2021), by binary cross-entropy.
And which pixels do, where it is there: the heat that masks are cut from, by binary cross-entropy and by its overlap
with the mask. What likeness says that it is there is chosen last, with the model as it is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ...extractor import Extractor
from ...featuremap import FeatureMap, Frame
from ...fusion import PHOTO, SKETCH
from ...saved import Heads, Threshold
from ...tasks.inputs import extract_maps
from ...tasks.segmentation import (
    HEAT_TEMPERATURE,
    fit_threshold,
    heat_logits,
    similarity,
    sketch_cosine,
    stroke_cells,
    with_closeup,
)
from .bank import FeatureCache, PictureArray, choose, world_banks
from .labelled import OUTSIDE, THING, Masked, folder_masks, silhouettes, world_masks
from .loop import Losses
from .methods import Encoder
from .objective import Objective, Phases, See, Training
from .recipes import SegmentationRecipe
from .retrieval import HELD_OUT_SEED, fewer, named
from .sources import Roots

CHOSEN_FROM = 96  # photos


@dataclass(frozen=True)
class Scenes:
    """What the frozen models say of photos and of sketches of the same names, and the photos' masks."""

    photos: FeatureCache
    sketches: FeatureCache
    masks: Sequence[np.ndarray]  # N of (S, S), as in `Masked`
    names: list[str]  # N, of what is masked; `photos.names` has what else they are known to show
    pictures: Sequence[np.ndarray]  # the photos themselves, each (3, P, P) uint8, of any P
    drawings: Sequence[np.ndarray]  # and the sketches, each (1, P, P)

    @cached_property
    def choices(self) -> list[str]:
        """The names that a sketch may be drawn for."""
        return sorted(set(self.names) & set(self.sketches.by_name))

    @cached_property
    def usable(self) -> list[int]:
        """The photos whose thing has been sketched."""
        return [place for place, name in enumerate(self.names) if name in self.sketches.by_name]

    def others(self, place: int) -> list[str]:
        """The names that a sketch may be drawn for of something that a photo is not known to show."""
        return [name for name in self.choices if name not in self.photos.names[place]]

    def frame(self, place: int) -> Frame:
        """Where in the square (S, S) of its mask a photo lies."""
        rows, columns = (self.masks[place] != OUTSIDE).nonzero()
        top, left = int(rows.min()), int(columns.min())
        height, width = int(rows.max()) + 1 - top, int(columns.max()) + 1 - left
        return Frame(width, height, self.masks[place].shape[-1], 1.0, 1.0, left, top)

    def picture(self, place: int) -> Tensor:
        """Give a photo (3, H, W) in [0, 1], without what lies around it in the square."""
        frame, picture = self.frame(place), self.pictures[place]
        corners = torch.tensor([[0.0, 0.0], [frame.width, frame.height]])
        (left, top), (right, bottom) = (
            (frame.to_square(corners) * picture.shape[-1] / frame.side).round().int().tolist()
        )
        return torch.tensor(picture[:, top:bottom, left:right]).float() / 255

    def drawing(self, name: str, generator: Generator) -> Tensor:
        """Give a random sketch (3, S, S) of a name, in [0, 1]."""
        square = self.drawings[choose(self.sketches.by_name[name], generator)]
        return torch.tensor(square).float().expand(3, -1, -1) / 255


@dataclass(frozen=True)
class Compared:
    """A batch of photos, each with what a sketch makes of it, all (B, S, S) but `there`."""

    cosines: Tensor  # of the pooled sketch with every cell
    heat: Tensor  # the odds that masks are cut from
    truth: Tensor  # where the sketched thing is
    inside: Tensor  # where the truth is known
    there: Tensor  # (B,) whether the photo shows it


class SegmentationObjective(Objective[Scenes]):
    """A pooled sketch, and what is drawn in it, are compared with the cells of a photo."""

    photos, sketches = "cells", "pooled"

    def __init__(self, recipe: SegmentationRecipe) -> None:
        """Make the threshold and the temperature of the cosine's sigmoid, which only the loss needs."""
        super().__init__()
        self._recipe = recipe
        self.threshold = nn.Parameter(torch.tensor(recipe.threshold))
        self.log_temperature = nn.Parameter(torch.tensor(log(recipe.temperature)))
        self._chosen: Threshold | None = None

    def losses(self, see: See, data: Scenes, generator: Generator) -> Losses:
        """Draw photos, and a sketch for each: of what is there, or of something else."""
        batch = self._compared(see, data, generator)
        presence = _cross_entropy(self._odds(batch.cosines), batch.truth, batch.inside)
        mask = _cross_entropy(batch.heat, batch.truth, batch.inside & batch.there[:, None, None])
        overlap = _mean(_overlap(batch.heat.sigmoid(), batch), batch.there)
        return {
            "loss": presence + mask + 1 - overlap,
            "presence": presence,
            "mask": mask,
            "overlap": _mean(_overlap((batch.heat > 0).float(), batch), batch.there),
        }

    def choose(self, model: Extractor, data: Phases[Scenes]) -> None:
        """Choose how alike a photo must be that shows what was drawn, unless there is one name alone."""
        asked = data.full if data.held_out is None else data.held_out
        self._chosen = _calibrated(model, asked) if any(map(asked.others, asked.usable)) else None

    def heads(self) -> Heads:
        """Give the threshold that was chosen."""
        return Heads(threshold=self._chosen)

    def _odds(self, cosines: Tensor) -> Tensor:
        return (cosines - self.threshold) / self.log_temperature.exp()

    def _compared(self, see: See, data: Scenes, generator: Generator) -> Compared:
        recipe = self._recipe
        index = [choose(data.usable, generator) for _ in range(recipe.batch)]
        absent = torch.rand(recipe.batch, generator=generator) < recipe.absent
        absent &= torch.tensor([bool(data.others(place)) for place in index])
        wanted = [
            choose(data.others(place), generator) if other else data.names[place]
            for place, other in zip(index, absent.tolist(), strict=True)
        ]
        asked = [choose(data.sketches.by_name[name], generator) for name in wanted]
        sketches, photos = see(data.sketches.take(asked), SKETCH), see(data.photos.take(index), PHOTO)
        masks = torch.from_numpy(np.stack([data.masks[place] for place in index])).to(photos.device)
        inside, there = masks != OUTSIDE, ~absent.to(photos.device)
        cosines = torch.einsum("bd,bdhw->bhw", F.normalize(sketches.amax((2, 3)), dim=1), F.normalize(photos, dim=1))
        heats = [
            _heat(sketch, torch.tensor(data.drawings[drawing]).float(), photo, data.frame(place))
            for sketch, drawing, photo, place in zip(sketches, asked, photos, index, strict=True)
        ]
        return Compared(
            F.interpolate(cosines[:, None], masks.shape[1:], mode="bilinear", align_corners=False)[:, 0],
            torch.stack(heats),
            (masks == THING) & there[:, None, None],
            inside,
            there,
        )


def _heat(sketch: Tensor, drawing: Tensor, photo: Tensor, frame: Frame) -> Tensor:
    """Give the odds (S, S) of the heat of a photo as it is served; what lies around it in the square has none."""
    side = drawing.shape[-1]
    drawn = FeatureMap(sketch, Frame(side, side, side, 1.0, 1.0, 0.0, 0.0))
    heat = heat_logits(sketch_cosine(drawn, FeatureMap(photo, frame), stroke_cells(drawing, drawn)))
    left, top = int(frame.offset_x), int(frame.offset_y)
    right, bottom = frame.side - left - frame.width, frame.side - top - frame.height
    return F.pad(heat, (left, right, top, bottom), value=-1 / HEAT_TEMPERATURE)


def _calibrated(model: Extractor, data: Scenes) -> Threshold:
    """Fit the threshold to photos with a sketch of what they show and one of what they do not."""
    generator = Generator().manual_seed(0)
    usable = [place for place in data.usable if data.others(place)]
    index = [choose(usable, generator) for _ in range(CHOSEN_FROM)]
    rights = [data.drawing(data.names[place], generator) for place in index]
    wrongs = [data.drawing(choose(data.others(place), generator), generator) for place in index]
    pictures = [data.picture(place) for place in index]
    shown = [*extract_maps(model, pictures, "photo", "segmentation")]

    def likenesses(drawings: list[Tensor]) -> Tensor:
        sketches = extract_maps(model, drawings, "sketch", "segmentation")
        rows = zip(sketches, shown, drawings, pictures, strict=True)
        close = ((sketch, with_closeup(model, sketch, photo, of, seen)) for sketch, photo, of, seen in rows)
        return torch.tensor([similarity(sketch, photo) for sketch, photo in close])

    return fit_threshold(likenesses(rights), likenesses(wrongs))


def _cross_entropy(odds: Tensor, truth: Tensor, where: Tensor) -> Tensor:
    """Binary cross-entropy of the pixels (B, S, S) that are marked; 0 if none is."""
    loss = F.binary_cross_entropy_with_logits(odds[where], truth[where].float(), reduction="sum")
    return loss / where.sum().clamp(min=1)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return values[where].sum() / where.sum().clamp(min=1)


def _overlap(heat: Tensor, batch: Compared) -> Tensor:
    """Intersection over union (B,) of heat in [0, 1] with the truth."""
    both = (heat * (batch.truth & batch.inside)).sum((1, 2))
    either = ((heat + batch.truth - heat * batch.truth) * batch.inside).sum((1, 2))
    return both / either.clamp(min=1)


def prepare(recipe: SegmentationRecipe, roots: Roots, encode: Encoder) -> Training:
    """Find photos with masks and sketches of the same names, and ask the frozen models about them."""
    side, masked, others = encode.side, list[Masked](), list[Masked]()
    seen_at = min(side, 256)
    sketches, other_sketches = [roots.sources.sketches()], [roots.sources.held_out_sketches()]
    if roots.world:
        for photos, drawn, seed, things in (
            (masked, sketches, 0, recipe.things),
            (others, other_sketches, HELD_OUT_SEED, fewer(recipe.things)),
        ):
            photos.append(world_masks(things, seen_at, roots.cache, seed))
            drawn.append(world_banks(things, seen_at, roots.cache, seed)[1])
    for root in roots.masked:
        masked.append(folder_masks(root, side))
        others.append(folder_masks(root, side, kept_out=True))
    if roots.aligned:
        masked.append(silhouettes(roots.aligned, side, roots.cache))
        others.append(silhouettes(roots.aligned, side, roots.cache, kept_out=True))
    shown = {name for of in masked for name in of.names}
    if not shown & named(sketches):
        raise ValueError(f"{roots}: no sketches of what the masks show; give a segmentation folder and sketches")

    def scenes(photos: list[Masked], drawn: list[PictureArray], at: int) -> Scenes:
        drawn = [bank.named(shown, recipe.per_class) for bank in drawn]
        masks = [_at_side(mask, seen_at) for of in photos for mask in of.masks]
        names = [name for of in photos for name in of.names]
        pictures = [picture for of in photos for picture in of.photos.pixels]
        drawings = [drawing for bank in drawn for drawing in bank.pixels]
        return Scenes(encode([of.photos for of in photos], at), encode(drawn, at), masks, names, pictures, drawings)

    testable = {name for of in others for name in of.names} & named(other_sketches) & shown
    phases = Phases(
        scenes(masked, sketches, side // 2),
        scenes(masked, sketches, side),
        scenes(others, other_sketches, side) if testable else None,
    )
    return Training(SegmentationObjective(recipe), phases)


def _at_side(mask: np.ndarray, side: int) -> np.ndarray:
    """Give a mask (S, S) on a raster of `side`, each pixel as the nearest was."""
    if len(mask) == side:
        return mask
    nearest = ((np.arange(side) + 0.5) * len(mask) / side).astype(int)
    reduced: np.ndarray = mask[np.ix_(nearest, nearest)]
    return reduced
