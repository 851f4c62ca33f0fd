"""Light parts for sketch-photo correspondence (paper section 6.3): contrast of matched points, and end-point error.

Pairs come from Sketch World, whose keypoints are known in photo and sketch; from PSC6K, whose keypoints people marked;
from freehand sketches aligned with their photos; from outlines of real photos under known warps; and from
pseudo-sketches of real photos.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from ...fusion import PHOTO, SKETCH
from ...io.files import Arrays, cached_arrays
from ..datasets.base import Sample, held_out, is_unseen, readable_name
from ..datasets.psc6k import PSC6K, SIDE, released_split
from ..datasets.sketchy import FEWEST_SKETCHES, has_ink, mean_alignment
from .bank import Picture, PictureArray, choose, decode
from .feature_cache import FeatureCache, InputBatch
from .labelled import POINTS, VERSION, PointPairs, warped, warped_outlines, world_points
from .loop import Losses
from .losses import end_point_error, point_contrast, sample, soft_argmax
from .methods import CachedEncoder
from .objective import Forward, Objective, Training
from .pseudo import pseudo_points
from .recipes import CorrespondenceRecipe
from .sources import HELD_OUT_SEED, Sources, held_out_count, instances

MIRRORED = 0.5  # share of aligned sketches that are mirrored
NEAR = 0.1  # share of the picture's side within which a point counts as found in the log


@dataclass(frozen=True)
class MatchedFeatures:
    """Cached inputs of both pictures of each pair, and its points as in `PointPairs`."""

    photos: FeatureCache
    sketches: FeatureCache
    photo_points: Tensor
    sketch_points: Tensor
    visible: Tensor

    @cached_property
    def usable(self) -> list[int]:
        """The pairs with at least two visible points."""
        return (self.visible.sum(1) > 1).nonzero().flatten().tolist()


class CorrespondenceObjective(Objective[MatchedFeatures]):
    """Cells are compared, so the standardisation is over cells."""

    photo_statistics, sketch_statistics = "cells", "cells"

    def draw(self, data: MatchedFeatures, generator: Generator) -> tuple[InputBatch, InputBatch, tuple[Tensor, ...]]:
        """Draw pairs."""
        index = [choose(data.usable, generator) for _ in range(self._recipe.batch)]
        points = tuple(of[index] for of in (data.sketch_points, data.photo_points, data.visible))
        return data.sketches.take(index), data.photos.take(index), points

    def losses(self, forward: Forward, drawn: tuple[InputBatch, InputBatch, tuple[Tensor, ...]]) -> Losses:
        """Count matching from sketch to photo and back equally."""
        recipe, sketches, photos = self._recipe, forward(drawn[0], SKETCH).data, forward(drawn[1], PHOTO).data
        in_sketch, in_photo, visible = (of.to(photos.device) for of in drawn[2])
        sketch_features, photo_features = sample(sketches, in_sketch), sample(photos, in_photo)
        contrastive = point_contrast(sketch_features, photo_features, visible, recipe.temperature)
        to_photo = soft_argmax(sketch_features, photos, recipe.temperature)
        to_sketch = soft_argmax(photo_features, sketches, recipe.temperature)
        error = (end_point_error(to_photo, in_photo, visible) + end_point_error(to_sketch, in_sketch, visible)) / 2
        near = ((to_photo - in_photo).norm(dim=-1) <= NEAR)[visible].float().mean()
        return {"loss": contrastive + recipe.flow * error, "contrast": contrastive, "end point": error, "near": near}


def prepare_correspondence(recipe: CorrespondenceRecipe, sources: Sources, encode: CachedEncoder) -> Training:
    """Make pairs with matching points and encode them; ValueError if the data have nothing to make them of."""
    side = encode.side
    trained, validated = (_pairs(recipe, sources, side, kept_out) for kept_out in (False, True))
    if not trained:
        raise ValueError(f"{sources}: no photos of seen classes, whose outlines could be matched, and no keypoints")
    half, full = (_encoded(trained, encode, at) for at in (side // 2, side))
    validation = _encoded(validated, encode, side) if validated else None
    return Training(CorrespondenceObjective(recipe), half, full, validation)


def _pairs(recipe: CorrespondenceRecipe, sources: Sources, side: int, kept_out: bool) -> list[PointPairs]:
    """Make the pairs to train on, or the fewer ones to validate on if `kept_out`."""
    things = held_out_count(recipe.things) if kept_out else recipe.things
    warps, aligned = (number // 10 if kept_out else number for number in (recipe.warps, recipe.aligned))
    pairs: list[PointPairs] = []
    if sources.has_world:
        pairs.append(world_points(things, side, sources.cache, HELD_OUT_SEED if kept_out else 0))
    pairs += annotated_points(sources, kept_out, recipe.unseen)
    sources = sources.pictures
    if (warps or recipe.drawn) and (photos := sources.sharp_photos(kept_out)).seen:
        if warps:
            pairs.append(warped_outlines(photos, warps, side, sources.cache))
        if recipe.drawn:
            pairs.append(pseudo_points(photos, sources.cache, 1 if kept_out else recipe.drawn))
    if aligned and (freehand := aligned_points(sources, aligned, side, kept_out)):
        pairs.append(freehand)
    return pairs


def _encoded(pairs: list[PointPairs], encode: CachedEncoder, side: int) -> MatchedFeatures:
    return MatchedFeatures(
        encode([of.photos for of in pairs], side),
        encode([of.sketches for of in pairs], side),
        torch.cat([of.photo_points for of in pairs]),
        torch.cat([in_windows(of) if encode.windowed else of.sketch_points for of in pairs]),
        torch.cat([of.visible for of in pairs]),
    )


def in_windows(pairs: PointPairs) -> Tensor:
    """Give the points of the sketches (N, POINTS, 2) as shares of the windows that models see, not of the pages."""
    points = pairs.sketch_points.clone()
    side = pairs.sketches.side
    for place, (left, top, long) in enumerate(pairs.sketches.known["window"].tolist()):
        if long:
            points[place] = (points[place] * side - torch.tensor([left, top])) / long
    return points


def annotated_points(sources: Sources, kept_out: bool = False, unseen: bool = True) -> list[PointPairs]:
    """Read PSC6K's pairs for training: held-out photos or the others, with the unseen classes if `unseen`."""
    found = []
    for dataset in sources.photo_sets:
        keypoints = dataset.keypoints or dataset  # in a root of Sketchy, or in a folder of its own
        if not isinstance(keypoints, PSC6K):
            continue
        pairs = [
            pair
            for pair in released_split(keypoints.test_pairs())[0]
            if held_out(pair.source.origin) == kept_out and (unseen or not is_unseen(pair.source.label))
        ]
        if not pairs:
            continue
        photos, sketches = (_each_once(of, sources) for of in zip(*((p.source, p.target) for p in pairs), strict=True))
        pairs = [p for p in pairs if p.source.source in photos.by_name and p.target.source in sketches.by_name]
        in_photo, in_sketch = torch.zeros(2, len(pairs), POINTS, 2)
        visible = torch.zeros(len(pairs), POINTS, dtype=torch.bool)
        for place, pair in enumerate(pairs):
            count = len(pair.source_points)
            in_photo[place, :count] = _in_square(pair.source_points / SIDE, pair.source)
            in_sketch[place, :count] = _in_square(pair.target_points / SIDE, pair.target)
            visible[place, :count] = True
        photos = photos.at([photos.by_name[pair.source.source][0] for pair in pairs])
        sketches = sketches.at([sketches.by_name[pair.target.source][0] for pair in pairs])
        found.append(PointPairs(sketches, photos, in_sketch, in_photo, visible))
    return found


def _each_once(samples: Sequence[Sample], sources: Sources) -> PictureArray:
    """Decode the pictures of samples of one kind; each has its path as a second name."""
    pictures = {sample.source: (readable_name(sample.label), sample.source) for sample in samples}
    kind = samples[0].kind
    return decode([Picture(*of) for of in pictures.items()], kind, sources.stored, sources.cache)


def _in_square(shares: np.ndarray, sample: Sample) -> Tensor:
    """Turn shares of a picture's width and height (N, 2) into shares of the square that it is letterboxed to."""
    with Image.open(sample.path) as picture:
        size = np.array(picture.size) / max(picture.size)
    return torch.from_numpy(shares * size + (1 - size) / 2).float()


def aligned_points(sources: Sources, most: int, side: int, kept_out: bool = False) -> PointPairs | None:
    """Align up to `most` sketches of Sketchy roots with their photos, at `side` pixels, and sample points on strokes.

    Each is bent by a known warp, and half are mirrored, so that a point's position does not give its match away. Only
    seen classes; held-out photos if `kept_out`, else the others. None if there are none.
    """
    found = instances(replace(sources, photo_sets=sources.aligned), 0, kept_out)
    if not found[0]:
        return None
    [photos], [sketches] = found
    photo_index = {instance: number for number, (_, instance) in enumerate(photos.names)}
    in_both = sorted(set(photo_index) & set(sketches.by_name))
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(in_both), generator=generator).tolist()

    def align() -> Arrays:
        frames: dict[int, np.ndarray] = {}
        for number in order:
            if len(frames) >= most:
                break
            sheets = {of: sketches.stored([of])[0, 0] / np.float32(255) for of in sketches.by_name[in_both[number]]}
            sheets = {of: sheet for of, sheet in sheets.items() if has_ink(sheet)}
            if len(sheets) >= FEWEST_SKETCHES:
                frames |= dict(zip(sheets, mean_alignment(sheets.values()), strict=True))
        chosen = sorted(frames)[:most]
        return {"chosen": np.array(chosen, np.int64), "frames": np.array([frames[of] for of in chosen])}

    settings = (VERSION, FEWEST_SKETCHES, most, in_both, sketches.names)
    key = hashlib.sha256(f"{sketches.digest()} {settings}".encode()).hexdigest()[:16]
    kept = cached_arrays(sources.cache / f"aligned-{len(sketches)}-{key}.npz", align)  # 3 ms a sketch at 480 px
    if not (chosen := kept["chosen"].tolist()):
        return None
    sketched = photos.at([photo_index[sketches.names[number][1]] for number in chosen])
    alignment = torch.from_numpy(kept["frames"]).float()
    where = sketches.at(chosen), sketched, side, sources.cache, generator
    return warped(*where, lambda drawings: 1 - drawings, alignment, MIRRORED)
