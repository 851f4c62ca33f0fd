"""Light parts and a threshold for sketch-based segmentation (paper section 6.4).

The cosine of the pooled sketch with every cell of the photo, upsampled to the mask, through a sigmoid whose threshold
and temperature are learned (as in Chen et al., Localizing Visual Sounds the Hard Way, 2021), by binary cross-entropy.
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

from sketchfusion.fusion.centring import PHOTO, SKETCH
from sketchfusion.heads import Heads, Threshold
from sketchfusion.training.annotated import OUTSIDE, THING, Masked, world_masks
from sketchfusion.training.bank import Bank, choose, world_banks
from sketchfusion.training.cache import Cache
from sketchfusion.training.encode import Encoder
from sketchfusion.training.instances import HELD_OUT_SEED, fewer
from sketchfusion.training.light_recipes import SegmentationRecipe
from sketchfusion.training.loop import Losses
from sketchfusion.training.masks import folder_masks
from sketchfusion.training.objective import Objective, Phases, See, Training
from sketchfusion.training.retrieval import named
from sketchfusion.training.roots import Roots
from sketchfusion.training.silhouettes import silhouettes

BATCHES = 8  # to choose from
KEPT = 0.8  # of what is there must be found to be there


@dataclass(frozen=True)
class Scenes:
    """What the frozen models say of photos and of sketches of the same names, and the photos' masks."""

    photos: Cache
    sketches: Cache
    masks: Sequence[np.ndarray]  # N of (S, S), as in `Masked`
    names: list[str]  # N

    @cached_property
    def choices(self) -> list[str]:
        """The names that a sketch may be drawn for."""
        return sorted(set(self.names) & set(self.sketches.by_name))

    @cached_property
    def usable(self) -> list[int]:
        """The photos whose thing has been sketched."""
        return [place for place, name in enumerate(self.names) if name in self.sketches.by_name]


class Segmentation(Objective[Scenes]):
    """A pooled sketch is compared with the cells of a photo."""

    photos, sketches = "cells", "pooled"

    def __init__(self, recipe: SegmentationRecipe) -> None:
        """Make the threshold; it is kept beside the light weights."""
        super().__init__()
        self._recipe = recipe
        self.threshold = nn.Parameter(torch.tensor(recipe.threshold))
        self.log_temperature = nn.Parameter(torch.tensor(log(recipe.temperature)))
        self._least = Threshold.least

    def losses(self, see: See, data: Scenes, generator: Generator) -> Losses:
        """Draw photos, and a sketch for each: of what is there, or of something else."""
        cosines, truth, inside, asked = self._compared(see, data, generator)
        logits = self._odds(cosines)
        loss = F.binary_cross_entropy_with_logits(logits[inside], truth[inside].float())
        return {"loss": loss, "overlap": _overlap(logits > 0, truth, inside)[asked].sum() / asked.sum().clamp(min=1)}

    def choose(self, see: See, data: Scenes) -> None:
        """Choose how likely the likeliest cell of what is there mostly is."""
        peaks = []
        for number in range(BATCHES):
            cosines, _, inside, asked = self._compared(see, data, Generator().manual_seed(number))
            peaks.append(cosines.masked_fill(~inside, -1).amax((1, 2))[asked])
        self._least = self._odds(torch.cat(peaks)).sigmoid().quantile(1 - KEPT).item()

    def heads(self) -> Heads:
        """Give the threshold."""
        return Heads(threshold=Threshold(self.threshold.item(), self.log_temperature.exp().item(), self._least))

    def _odds(self, cosines: Tensor) -> Tensor:
        return (cosines - self.threshold) / self.log_temperature.exp()

    def _compared(self, see: See, data: Scenes, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cosines, where the thing is and where the photo is, all (B, S, S), and whether it is what was sketched."""
        recipe = self._recipe
        index = [choose(data.usable, generator) for _ in range(recipe.batch)]
        absent = torch.rand(recipe.batch, generator=generator) < recipe.absent
        absent &= len(data.choices) > 1
        wanted = [
            self._other(data, data.names[place], generator) if other else data.names[place]
            for place, other in zip(index, absent.tolist(), strict=True)
        ]
        asked = see(data.sketches.draw_named(wanted, generator), SKETCH).amax((2, 3))
        photos = see(data.photos.take(index), PHOTO)
        masks = torch.from_numpy(np.stack([data.masks[place] for place in index])).to(photos.device)
        there = ~absent.to(photos.device)
        cosines = torch.einsum("bd,bdhw->bhw", F.normalize(asked, dim=1), F.normalize(photos, dim=1))
        cosines = F.interpolate(cosines[:, None], masks.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
        return cosines, (masks == THING) & there[:, None, None], masks != OUTSIDE, there

    def _other(self, data: Scenes, name: str, generator: Generator) -> str:
        others = [choice for choice in data.choices if choice != name]
        return others[int(torch.randint(len(others), (1,), generator=generator))]


def _overlap(found: Tensor, truth: Tensor, inside: Tensor) -> Tensor:
    """Intersection over union (B,) of masks (B, S, S)."""
    both = (found & truth & inside).sum((1, 2)).float()
    either = ((found | truth) & inside).sum((1, 2)).clamp(min=1)
    return both / either


def prepare(recipe: SegmentationRecipe, roots: Roots, encode: Encoder) -> Training:
    """Find photos with masks and sketches of the same names, and ask the frozen models about them."""
    side, masked, others = encode.side, list[Masked](), list[Masked]()
    sketches, other_sketches = [roots.sources.sketches()], [roots.sources.held_out_sketches()]
    if roots.world:
        seen_at = min(side, 256)
        for photos, drawn, seed, things in (
            (masked, sketches, 0, recipe.things),
            (others, other_sketches, HELD_OUT_SEED, fewer(recipe.things)),
        ):
            photos.append(world_masks(things, seen_at, roots.cache, seed))
            drawn.append(world_banks(things, seen_at, roots.cache, seed)[1])
    for root in roots.masked:
        masked.append(folder_masks(root, side))
        others.append(folder_masks(root, side, kept_out=True))
    if roots.paired:
        masked.append(silhouettes(roots.paired, side, roots.cache))
        others.append(silhouettes(roots.paired, side, roots.cache, kept_out=True))
    shown = {name for of in masked for name in of.names}
    if not shown & named(sketches):
        raise ValueError(f"{roots}: no sketches of what the masks show; give a segmentation folder and sketches")

    def scenes(photos: list[Masked], drawn: list[Bank], at: int) -> Scenes:
        drawn = [bank.named(shown, recipe.per_class) for bank in drawn]
        masks = [mask for of in photos for mask in of.masks]
        names = [name for of in photos for name in of.names]
        return Scenes(encode([of.photos for of in photos], at), encode(drawn, at), masks, names)

    testable = {name for of in others for name in of.names} & named(other_sketches)
    phases = Phases(
        scenes(masked, sketches, side // 2),
        scenes(masked, sketches, side),
        scenes(others, other_sketches, side) if testable else None,
    )
    return Training(Segmentation(recipe), phases)
