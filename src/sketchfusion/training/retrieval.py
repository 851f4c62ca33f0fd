"""Light parts for category-level retrieval (paper section 6.1): triplets on globally max-pooled fused maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, nn
from torch.nn import functional as F

from ..fusion import PHOTO, SKETCH
from .bank import Bank, world_banks
from .cache import Cache
from .encode import Encoder
from .instances import HELD_OUT_SEED
from .light_recipes import RetrievalRecipe
from .loop import Losses
from .losses import contrast, triplet
from .objective import Objective, Phases, See, Training
from .roots import Roots

WORLD_THINGS = 16  # of each category


@dataclass(frozen=True)
class Pairs:
    """What the frozen models say of photos and of sketches at one size."""

    photos: Cache
    sketches: Cache

    @cached_property
    def names(self) -> list[str]:
        """The names that both carry."""
        return sorted(set(self.photos.by_name) & set(self.sketches.by_name))


class Retrieval(Objective[Pairs]):
    """Every class that has both photos and sketches is drawn evenly.

    Beside the paper's triplets there are a contrast of the batch, which hears every wrong picture at once, and the
    names.
    """

    def __init__(self, names: list[str], width: int, recipe: RetrievalRecipe) -> None:
        """Make a classifier of `names` on features of `width` channels."""
        super().__init__()
        self.names, self._recipe = tuple(names), recipe
        self._place = {name: place for place, name in enumerate(names)}
        self.naming = nn.Linear(width, len(names))
        nn.init.zeros_(self.naming.weight)

    def losses(self, see: See, data: Pairs, generator: Generator) -> Losses:
        """Draw classes, and one sketch and one photo of each."""
        recipe = self._recipe
        chosen = torch.randperm(len(data.names), generator=generator)[: recipe.classes]
        wanted = [data.names[place] for place in chosen.tolist()]
        of_sketches = see(data.sketches.draw_named(wanted, generator), SKETCH).amax((2, 3))
        of_photos = see(data.photos.draw_named(wanted, generator), PHOTO).amax((2, 3))
        each = torch.tensor([self._place[name] for name in wanted], device=of_photos.device)
        triplets = triplet(of_sketches, of_photos, each, each, recipe.margin)
        pooled, labels = torch.cat([of_sketches, of_photos]), each.repeat(2)
        alike = contrast(pooled, labels[:, None] == labels[None, :], recipe.temperature)
        named = F.cross_entropy(self.naming(pooled), labels)
        loss = triplets + recipe.contrast * alike + recipe.naming * named
        return {"loss": loss, "triplet": triplets, "contrast": alike, "naming": named}


def prepare(recipe: RetrievalRecipe, roots: Roots, encode: Encoder) -> Training:
    """Find the classes that have photos and sketches, and ask the frozen models about them."""
    photos = [roots.sources.sharp_photos(), roots.sources.small_photos()]
    sketches = [roots.sources.sketches()]
    others = [[roots.sources.held_out_photos()], [roots.sources.held_out_sketches()]]
    if roots.world:
        _add_world([photos, sketches], roots, seed=0, things=WORLD_THINGS)
        _add_world(others, roots, HELD_OUT_SEED, things=4)
    shared = named(photos) & named(sketches)
    if len(shared) < 2:
        raise ValueError(f"{roots}: fewer than two classes have both photos and sketches to train on")

    def pairs(sides: list[list[Bank]], side: int, views: int, most: int) -> Pairs:
        of = [[bank.named(shared, most) for bank in banks] for banks in sides]
        return Pairs(*(encode(banks, side, views) for banks in of))

    phases = Phases(
        pairs([photos, sketches], encode.side // 2, recipe.views, recipe.per_class),
        pairs([photos, sketches], encode.side, 1, recipe.full_per_class),
        pairs(others, encode.side, 1, recipe.full_per_class)
        if len(named(others[0]) & named(others[1]) & shared) > 1
        else None,
    )
    return Training(Retrieval(sorted(shared), encode.width, recipe), phases)


def named(banks: list[Bank]) -> set[str]:
    """All names that the pictures of the banks carry."""
    return {name for bank in banks for name in bank.by_name}


def _add_world(sides: list[list[Bank]], roots: Roots, seed: int, things: int) -> None:
    for banks, bank in zip(sides, world_banks(things, side=128, cache=roots.cache, seed=seed), strict=True):
        banks.append(bank)
