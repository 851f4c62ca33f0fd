"""Light parts for sketch-photo correspondence (paper section 6.3): contrast of paired points, and end-point error.

Pairs come from Sketch World, whose keypoints are known in photo and sketch, from freehand sketches laid over their
photos, from the outlines of real photos under known warps, and from real photos that a hand of Sketch World has drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Generator, Tensor

from ...fusion import PHOTO, SKETCH
from ..datasets.sketchy import FEWEST, inked, laid
from .bank import FeatureCache, choose
from .labelled import PointPairs, warped, warped_outlines, world_points
from .loop import Losses
from .losses import end_point_error, point_contrast, sample, soft_argmax
from .methods import Encoder
from .objective import Objective, Phases, See, Training
from .pseudo import pseudo_points
from .recipes import CorrespondenceRecipe
from .retrieval import HELD_OUT_SEED, fewer, held_out_instances, instances
from .sources import Roots

# Freehand sketches beside their photos, with points that no one annotated: Sketchy's, laid over their photos.
#
# Each is bent by a known warp, and half of the time mirrored, so that where a point lies does not tell where it
# belongs.


MIRRORED = 0.5  # share


def aligned_points(roots: Roots, most: int, side: int, kept_out: bool = False, seed: int = 0) -> PointPairs | None:
    """Draw `most` sketches of Sketchy roots at `side` pixels, with points of their strokes, beside their photos.

    Only seen classes; those that training never draws if `kept_out`, else the others. None if there are none.
    """
    found = (held_out_instances if kept_out else instances)(replace(roots, paired=roots.aligned, world=False), 0)
    if not found.sketches:
        return None
    [photos], [sketches] = found.photos, found.sketches
    place = {thing: number for number, (_, thing) in enumerate(photos.names)}
    things = sorted(set(place) & set(sketches.by_name))
    generator = torch.Generator().manual_seed(seed)
    frames: dict[int, torch.Tensor] = {}
    for number in torch.randperm(len(things), generator=generator).tolist():
        if len(frames) >= most:
            break
        sheets = {of: sketches.pixels[of][0] / np.float32(255) for of in sketches.by_name[things[number]]}
        sheets = {of: sheet for of, sheet in sheets.items() if inked(sheet)}
        if len(sheets) >= FEWEST:
            frames |= dict(zip(sheets, torch.from_numpy(laid(sheets.values())), strict=True))
    chosen = sorted(frames)[:most]
    if not chosen:
        return None
    own = photos.at([place[sketches.names[number][1]] for number in chosen])
    moved = torch.stack([frames[number] for number in chosen]).float()
    return warped(sketches, chosen, own, side, generator, lambda drawings: 1 - drawings, moved, MIRRORED)


NEAR = 0.1  # of the picture's side, within which a point counts as found in the log


@dataclass(frozen=True)
class CorrespondencePairs:
    """What the frozen models say of both pictures of each pair, and its points as in `PointPairs`."""

    photos: FeatureCache
    sketches: FeatureCache
    photo_points: Tensor
    sketch_points: Tensor
    visible: Tensor

    @cached_property
    def usable(self) -> list[int]:
        """The pairs with two points or more to be told apart."""
        return (self.visible.sum(1) > 1).nonzero().flatten().tolist()


class CorrespondenceObjective(Objective[CorrespondencePairs]):
    """Cells are compared, so it is they that are standardised."""

    photos, sketches = "cells", "cells"

    def __init__(self, recipe: CorrespondenceRecipe) -> None:
        """Nothing is trained beside the light parts."""
        super().__init__()
        self._recipe = recipe

    def losses(self, see: See, data: CorrespondencePairs, generator: Generator) -> Losses:
        """Draw pairs; both directions count alike."""
        recipe = self._recipe
        index = [choose(data.usable, generator) for _ in range(recipe.batch)]
        sketches, photos = see(data.sketches.take(index), SKETCH), see(data.photos.take(index), PHOTO)
        at_sketch, at_photo = (of[index].to(photos.device) for of in (data.sketch_points, data.photo_points))
        visible = data.visible[index].to(photos.device)
        drawn, shown = sample(sketches, at_sketch), sample(photos, at_photo)
        alike = point_contrast(drawn, shown, visible, recipe.temperature)
        found = soft_argmax(drawn, photos, recipe.temperature)
        back = soft_argmax(shown, sketches, recipe.temperature)
        error = (end_point_error(found, at_photo, visible) + end_point_error(back, at_sketch, visible)) / 2
        near = ((found - at_photo).norm(dim=-1) <= NEAR)[visible].float().mean()
        return {"loss": alike + recipe.flow * error, "contrast": alike, "end point": error, "near": near}


def prepare(recipe: CorrespondenceRecipe, roots: Roots, encode: Encoder) -> Training:
    """Make the pairs, and ask the frozen models about them."""
    side, trained, others = encode.side, list[PointPairs](), list[PointPairs]()
    if roots.world:
        trained.append(world_points(recipe.things, min(side, 256), roots.cache))
        others.append(world_points(fewer(recipe.things), min(side, 256), roots.cache, HELD_OUT_SEED))
    for pairs, photos, count, drawn in (
        (trained, roots.sources.sharp_photos(), recipe.warps, recipe.drawn),
        (others, roots.sources.held_out_photos(), recipe.warps // 10, 1),
    ):
        if photos.seen and count:
            pairs.append(warped_outlines(photos, count, side))
        if photos.seen and recipe.drawn:
            pairs.append(pseudo_points(photos, roots.cache, drawn))
    for pairs, most, kept_out in ((trained, recipe.aligned, False), (others, recipe.aligned // 10, True)):
        if most and (freehand := aligned_points(roots, most, side, kept_out)):
            pairs.append(freehand)
    if not trained:
        raise ValueError(f"{roots}: no photos of seen classes, whose outlines could be matched with them")
    half, full = (_matched(trained, encode, at) for at in (side // 2, side))
    return Training(
        CorrespondenceObjective(recipe), Phases(half, full, _matched(others, encode, side) if others else None)
    )


def _matched(pairs: list[PointPairs], encode: Encoder, side: int) -> CorrespondencePairs:
    return CorrespondencePairs(
        encode([of.photos for of in pairs], side),
        encode([of.sketches for of in pairs], side),
        torch.cat([of.photo_points for of in pairs]),
        torch.cat([of.sketch_points for of in pairs]),
        torch.cat([of.visible for of in pairs]),
    )
