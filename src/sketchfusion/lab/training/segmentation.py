"""Training for sketch-based segmentation (paper section 6.4).

Two losses use the same feature maps. The presence loss teaches whether the photo shows the sketched object at all: the
cosine similarity of the pooled sketch with every cell is upsampled to the mask, goes through a sigmoid with a learned
threshold and temperature (as in Chen et al., Localizing Visual Sounds the Hard Way, 2021), and binary cross-entropy is
taken. The mask loss teaches which pixels show the object: binary cross-entropy and soft IoU of the heatmap that
`tasks.segmentation` thresholds to masks. After training, the similarity above which a photo counts as showing the
object is calibrated with the model as it runs at inference.
"""

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
from .bank import Banks, Pictures, around_strokes, choose, in_threads
from .feature_cache import FeatureCache, InputBatch
from .labelled import OUTSIDE, THING, MaskedPhotos, folder_masks, silhouettes, world_masks
from .loop import Losses
from .methods import CachedEncoder
from .objective import Forward, Objective, Training
from .recipes import SegmentationRecipe
from .sources import HELD_OUT_SEED, Sources, held_out_count, names_of

CALIBRATION_PHOTOS = 96


@dataclass(frozen=True)
class MaskedFeatures:
    """N photos with masks, and sketches of the same class names: the model's cached inputs and the pictures."""

    photos: FeatureCache
    sketches: FeatureCache
    masks: Sequence[np.ndarray]  # N, as in `MaskedPhotos`
    names: list[str]  # N, the class that is masked; `photos.names` has all classes that each photo is known to show
    pictures: Pictures | Sequence[np.ndarray]  # the photos themselves, each (3, P, P) uint8, of any P
    drawings: Pictures | Sequence[np.ndarray]  # the sketches, each (1, P, P)
    mask_side: int | None = None  # S, pixels at which losses are taken; None: that of the masks

    @cached_property
    def choices(self) -> list[str]:
        """The class names that have both masks and sketches, sorted."""
        return sorted(set(self.names) & set(self.sketches.by_name))

    @cached_property
    def usable(self) -> list[int]:
        """The indices of the photos whose masked class has sketches."""
        return [place for place, name in enumerate(self.names) if name in self.sketches.by_name]

    def others(self, place: int) -> list[str]:
        """The names in `choices` that the photo at index `place` is not known to show."""
        return [name for name in self.choices if name not in self.photos.names[place]]

    def mask(self, place: int) -> np.ndarray:
        mask: np.ndarray = self.masks[place]
        if self.mask_side is not None:
            nearest = ((np.arange(self.mask_side) + 0.5) * len(mask) / self.mask_side).astype(int)
            mask = mask[np.ix_(nearest, nearest)]
        return mask

    def frame(self, place: int) -> Frame:
        """The position of the photo at index `place` in its letterboxed mask (S, S)."""
        mask = self.mask(place)
        rows, columns = (mask != OUTSIDE).nonzero()
        top, left = int(rows.min()), int(columns.min())
        height, width = int(rows.max()) + 1 - top, int(columns.max()) + 1 - left
        return Frame(width, height, mask.shape[-1], 1.0, 1.0, left, top)

    def picture(self, place: int) -> Tensor:
        """Return the photo at index `place`, (3, H, W) in [0, 1], without the letterbox padding."""
        frame, picture = self.frame(place), self.pictures[place]
        ends = torch.tensor([[0.0, 0.0], [frame.width, frame.height]])
        (left, top), (right, bottom) = (frame.to_square(ends) * picture.shape[-1] / frame.side).round().int().tolist()
        return torch.tensor(picture[:, top:bottom, left:right]).float() / 255

    def drawing(self, name: str, generator: Generator) -> Tensor:
        """Return a randomly chosen sketch of a class name, (3, S, S) in [0, 1]."""
        return self.page(choose(self.sketches.by_name[name], generator)).expand(3, -1, -1)

    def window(self, place: int) -> Tensor:
        """Return the sketch at index `place` as models see it, (1, S, S) in [0, 1]."""
        if isinstance(self.drawings, Pictures):
            return self.drawings.window(place)
        return around_strokes(self.page(place))

    def page(self, place: int) -> Tensor:
        """Return the sketch at index `place`, (1, S, S) in [0, 1]."""
        return torch.tensor(self.drawings[place]).float() / 255


@dataclass(frozen=True)
class MaskedBatch:
    """Photos, each with a sketch and its mask."""

    sketches: InputBatch
    photos: InputBatch
    masks: Tensor  # (B, S, S) uint8
    present: Tensor  # (B,) bool, whether the photo shows what is sketched
    drawings: list[Tensor]  # B, the sketches as `MaskedFeatures.window` gives them
    frames: list[Frame]  # B, of the photos in their masks


class SegmentationObjective(Objective[MaskedFeatures]):
    """The presence loss compares the pooled sketch with a photo's cells, the mask loss the features of its strokes."""

    photo_statistics, sketch_statistics = "cells", "pooled"

    def __init__(self, recipe: SegmentationRecipe) -> None:
        """Create the learned threshold and temperature of the presence loss, which inference does not use."""
        super().__init__(recipe)
        self.threshold = nn.Parameter(torch.tensor(recipe.threshold))
        self.log_temperature = nn.Parameter(torch.tensor(log(recipe.temperature)))
        self._calibrated: Threshold | None = None

    def draw(self, data: MaskedFeatures, generator: Generator) -> MaskedBatch:
        """Draw photos, each with a sketch of its object or of a class that it does not show."""
        recipe = self._recipe
        index = [choose(data.usable, generator) for _ in range(recipe.batch)]
        absent = torch.rand(recipe.batch, generator=generator) < recipe.absent
        absent &= torch.tensor([bool(data.others(place)) for place in index])
        names = [
            choose(data.others(place), generator) if other else data.names[place]
            for place, other in zip(index, absent.tolist(), strict=True)
        ]
        drawn = [choose(data.sketches.by_name[name], generator) for name in names]
        masks = torch.from_numpy(np.stack([data.mask(place) for place in index]))
        drawings, frames = [*in_threads(data.window, drawn)], [data.frame(place) for place in index]
        return MaskedBatch(data.sketches.take(drawn), data.photos.take(index), masks, ~absent, drawings, frames)

    def losses(self, forward: Forward, drawn: MaskedBatch) -> Losses:
        sketches, photos = forward(drawn.sketches, SKETCH), forward(drawn.photos, PHOTO).data
        masks, present = drawn.masks.to(photos.device), drawn.present.to(photos.device)
        known = masks != OUTSIDE
        thing = (masks == THING) & present[:, None, None]

        cosines = torch.einsum("bd,bdhw->bhw", F.normalize(sketches.pooled(), dim=1), F.normalize(photos, dim=1))
        cosines = F.interpolate(cosines[:, None], masks.shape[1:], mode="bilinear", align_corners=False)[:, 0]
        presence = _cross_entropy((cosines - self.threshold) / self.log_temperature.exp(), thing, known)

        rows = zip(sketches.data, drawn.drawings, photos, drawn.frames, strict=True)
        heat = torch.stack([_heatmap(*row) for row in rows])
        mask = _cross_entropy(heat, thing, known & present[:, None, None])
        soft, hard = (_overlap(of, thing, known)[present].sum() for of in (heat.sigmoid(), (heat > 0).float()))
        count = present.sum().clamp(min=1)
        return {
            "loss": presence + self._recipe.heat * (mask + 1 - soft / count),
            "presence": presence,
            "mask": mask,
            "overlap": hard / count,
        }

    def calibrate(self, model: Extractor, full: MaskedFeatures, held_out: MaskedFeatures | None) -> None:
        """Fit the similarity above which a photo shows the object; there is none if every photo shows all classes.

        Random photos have a sketch of their object each, and one of a class that they do not show.
        """
        data, generator = held_out or full, Generator().manual_seed(0)
        usable = [place for place in data.usable if data.others(place)]
        if not usable:
            self._calibrated = None
            return
        index = [choose(usable, generator) for _ in range(CALIBRATION_PHOTOS)]
        positives = [data.drawing(data.names[place], generator) for place in index]
        negatives = [data.drawing(choose(data.others(place), generator), generator) for place in index]
        pictures = [data.picture(place) for place in index]
        photos = [*extract_maps(model, pictures, "photo", "segmentation")]

        def similarities(drawings: list[Tensor]) -> Tensor:
            sketches = extract_maps(model, drawings, "sketch", "segmentation")
            rows = zip(sketches, photos, drawings, pictures, strict=True)
            close = ((sketch, with_closeup(model, sketch, photo, of, picture)) for sketch, photo, of, picture in rows)
            return torch.tensor([similarity(sketch, photo) for sketch, photo in close])

        self._calibrated = fit_threshold(similarities(positives), similarities(negatives))

    def heads(self) -> Heads:
        return Heads(threshold=self._calibrated)


def prepare_segmentation(recipe: SegmentationRecipe, sources: Sources, encode: CachedEncoder) -> Training:
    """Collect and encode photos with masks and sketches of the same classes; ValueError if no class has both."""
    side = encode.side
    mask_side = max(128, side // 2)
    masked, sketches = _collected(recipe.things, sources, side, kept_out=False)
    held_out, held_out_sketches = _collected(held_out_count(recipe.things), sources, side, kept_out=True)
    shown = {name for of in masked for name in of.names}
    if not shown & names_of(sketches):
        raise ValueError(f"{sources}: no sketches of what the masks show; give a segmentation folder and sketches")

    def encoded(photos: list[MaskedPhotos], drawn: Banks, at: int) -> MaskedFeatures:
        drawn = [bank.named(shown, recipe.per_class) for bank in drawn]
        return MaskedFeatures(
            encode([of.photos for of in photos], at),
            encode(drawn, at),
            [mask for of in photos for mask in of.masks],
            [name for of in photos for name in of.names],
            Pictures([of.photos for of in photos]),
            Pictures(drawn),
            mask_side,
        )

    validates = {name for of in held_out for name in of.names} & names_of(held_out_sketches) & shown
    return Training(
        SegmentationObjective(recipe),
        encoded(masked, sketches, side // 2),
        encoded(masked, sketches, side),
        encoded(held_out, held_out_sketches, side) if validates else None,
    )


def _collected(things: int, sources: Sources, side: int, kept_out: bool) -> tuple[list[MaskedPhotos], Banks]:
    """Collect photos with masks, and sketches, to train on, or the held-out ones if `kept_out`."""
    masked = [folder_masks(folder, side, sources.cache, kept_out) for folder in sources.masked]
    if sources.has_world:
        masked.insert(0, world_masks(things, side, sources.cache, HELD_OUT_SEED if kept_out else 0))
    if sources.aligned:
        masked.append(silhouettes(sources.aligned, side, sources.cache, kept_out))
    return masked, [sources.sketches(kept_out), *sources.of_world(things, side, kept_out)[1]]


def _heatmap(sketch: Tensor, drawing: Tensor, photo: Tensor, frame: Frame) -> Tensor:
    """Return a photo's heatmap as logits (S, S), computed as at inference; the padding gets a constant low value."""
    side = drawing.shape[-1]
    sketch_map = FeatureMap(sketch, Frame(side, side, side, 1.0, 1.0, 0.0, 0.0))
    heat = heat_logits(sketch_cosine(sketch_map, FeatureMap(photo, frame), stroke_cells(drawing, sketch_map)))
    left, top = int(frame.offset_x), int(frame.offset_y)
    right, bottom = frame.side - left - frame.width, frame.side - top - frame.height
    return F.pad(heat, (left, right, top, bottom), value=-1 / HEAT_TEMPERATURE)


def _cross_entropy(logits: Tensor, truth: Tensor, where: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over the pixels in the mask `where` (B, S, S); 0 if it is empty."""
    loss = F.binary_cross_entropy_with_logits(logits[where], truth[where].float(), reduction="sum")
    return loss / where.sum().clamp(min=1)


def _overlap(heat: Tensor, truth: Tensor, where: Tensor) -> Tensor:
    """Return the soft IoU (B,) of a heatmap (B, S, S) in [0, 1] with the truth, over the pixels in the mask `where`."""
    both = (heat * (truth & where)).sum((1, 2))
    either = ((heat + truth - heat * truth) * where).sum((1, 2))
    return both / either.clamp(min=1)
