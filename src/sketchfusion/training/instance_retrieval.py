"""Light parts for retrieval of the very photo that was sketched (paper section 6.1): hard triplets within a class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator
from torch.nn import functional as F

from ..fusion import PHOTO, SKETCH
from .cache import Cache
from .encode import Encoder
from .instances import Instances, fewer, held_out_instances, instances
from .light_recipes import InstanceRetrievalRecipe
from .loop import Losses
from .losses import hard_triplet
from .objective import Objective, Phases, See, Training
from .roots import Roots


@dataclass(frozen=True)
class Things:
    """What the frozen models say of photos and of the sketches of those very photos, at one size."""

    photos: Cache
    sketches: Cache

    @cached_property
    def by_class(self) -> dict[str, list[str]]:
        """The things of each class that have both a photo and a sketch; only classes of two things or more."""
        found: dict[str, list[str]] = {}
        for thing in sorted(set(self.photos.by_name) & set(self.sketches.by_name)):
            category, slash, _ = thing.partition("/")
            if slash:
                found.setdefault(category, []).append(thing)
        return {category: things for category, things in found.items() if len(things) > 1}


class InstanceRetrieval(Objective[Things]):
    """A few classes, and a few things of each: a sketch has its own photo to find among others of its class."""

    def __init__(self, recipe: InstanceRetrievalRecipe) -> None:
        """Nothing is trained beside the light parts."""
        super().__init__()
        self._recipe = recipe

    def losses(self, see: See, data: Things, generator: Generator) -> Losses:
        """Draw classes, things of each, and a sketch and the photo of each thing."""
        recipe, categories = self._recipe, list(data.by_class)
        wanted, labels = list[str](), list[int]()
        for place in torch.randperm(len(categories), generator=generator)[: recipe.classes].tolist():
            things = data.by_class[categories[place]]
            drawn = torch.randperm(len(things), generator=generator)[: recipe.things].tolist()
            wanted += [things[number] for number in drawn]
            labels += [place] * len(drawn)
        of_sketches = see(data.sketches.draw_named(wanted, generator), SKETCH).amax((2, 3))
        of_photos = see(data.photos.draw_named(wanted, generator), PHOTO).amax((2, 3))
        classes = torch.tensor(labels, device=of_photos.device)
        triplets = hard_triplet(of_sketches, of_photos, classes, recipe.margin)
        cosines = F.normalize(of_sketches, dim=1) @ F.normalize(of_photos, dim=1).T
        own = torch.arange(len(wanted), device=cosines.device)
        ways = cosines / recipe.temperature
        apart = (F.cross_entropy(ways, own) + F.cross_entropy(ways.T, own)) / 2
        found = cosines.masked_fill(classes[:, None] != classes, -2.0).argmax(1) == own
        loss = triplets + recipe.contrast * apart
        return {"loss": loss, "triplet": triplets, "contrast": apart, "found": found.float().mean()}


def prepare(recipe: InstanceRetrievalRecipe, roots: Roots, encode: Encoder) -> Training:
    """Find the photos that have sketches of their own, and ask the frozen models about them."""
    trained, others = instances(roots, recipe.per_class), held_out_instances(roots, fewer(recipe.per_class))

    def things(of: Instances, side: int, views: int) -> Things:
        return Things(encode(of.photos, side, views), encode(of.sketches, side, views))

    full = things(trained, encode.side, 1) if trained.photos else None
    if full is None or not full.by_class:
        raise ValueError(f"{roots}: no class has two photos with sketches of their own; Sketchy's layout names them")
    held_out = things(others, encode.side, 1) if others.photos else None
    phases = Phases(
        things(trained, encode.side // 2, recipe.views), full, held_out if held_out and held_out.by_class else None
    )
    return Training(InstanceRetrieval(recipe), phases)
