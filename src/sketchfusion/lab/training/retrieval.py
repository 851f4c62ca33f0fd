"""Light parts for category-level retrieval (paper section 6.1): triplets on globally max-pooled fused maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Generator, nn
from torch.nn import functional as F

from ...fusion import PHOTO, SKETCH
from ...io.images import Kind
from ..datasets.sketchy import is_added, photo_of
from .bank import FeatureCache, PictureArray, world_banks
from .collect import Picture, collect_held_out, collect_photos, collect_sketches
from .loop import Losses
from .losses import contrast, hard_triplet, triplet
from .methods import Encoder
from .objective import Objective, Phases, See, Training
from .recipes import InstanceRetrievalRecipe, RetrievalRecipe
from .sources import STORED, Roots, decoded

# Photos and the sketches of the very same things: Sketchy's file names say which, Sketch World knows.


HELD_OUT_SEED = 1  # of the Sketch World that no training draws


def fewer(things: int) -> int:
    """How many are enough to validate on, where `things` are trained on."""
    return max(2, things // 15)


@dataclass(frozen=True)
class InstancePairs:
    """Banks whose pictures carry two names: the category, and the thing itself, as "category/thing"."""

    photos: list[PictureArray]
    sketches: list[PictureArray]


def instances(roots: Roots, per_class: int) -> InstancePairs:
    """Those to train on; at most `per_class` of a category from Sketch World."""
    photos, sketches = collect_photos(roots.paired), collect_sketches(roots.paired)
    return _instances(roots, photos, sketches, per_class, seed=0)


def held_out_instances(roots: Roots, per_class: int) -> InstancePairs:
    """Those of the same categories that no training draws."""
    photos, sketches = (collect_held_out(roots.paired, kind) for kind in ("photo", "sketch"))
    return _instances(roots, photos, sketches, per_class, HELD_OUT_SEED)


def _instances(
    roots: Roots, photos: list[Picture], sketches: list[Picture], per_class: int, seed: int
) -> InstancePairs:
    found = InstancePairs([], [])
    photos = [photo for photo in photos if not is_added(Path(photo.path))]
    if photos and sketches:
        found.photos.append(_bank(photos, "photo", roots.cache))
        found.sketches.append(_bank(sketches, "sketch", roots.cache))
    if roots.world:
        photo, sketch = world_banks(per_class, side=128, cache=roots.cache, seed=seed, of_photo=True)
        found.photos.append(_individual(photo))
        found.sketches.append(_individual(sketch))
    return found


def _bank(pictures: list[Picture], kind: Kind, cache: Path) -> PictureArray:
    return decoded([_identified(picture, kind) for picture in pictures], kind, STORED, cache)


def _identified(picture: Picture, kind: Kind) -> Picture:
    category, stem = picture.names[0], Path(picture.path).stem
    return Picture(picture.path, (category, f"{category}/{stem if kind == 'photo' else photo_of(stem)}"))


def _individual(bank: PictureArray) -> PictureArray:
    """World banks hold photo and sketch of one thing at the same place."""
    names: list[tuple[str, ...]] = [
        (category, f"{category}/world {place}") for place, (category, *_) in enumerate(bank.names)
    ]
    return replace(bank, names=names)


WORLD_THINGS = 16  # of each category


@dataclass(frozen=True)
class Pairs:
    """What the frozen models say of photos and of sketches at one size."""

    photos: FeatureCache
    sketches: FeatureCache

    @cached_property
    def names(self) -> list[str]:
        """The names that both carry."""
        return sorted(set(self.photos.by_name) & set(self.sketches.by_name))


class RetrievalObjective(Objective[Pairs]):
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

    def pairs(sides: list[list[PictureArray]], side: int, views: int, most: int) -> Pairs:
        of = [[bank.named(shared, most) for bank in banks] for banks in sides]
        return Pairs(*(encode(banks, side, views) for banks in of))

    phases = Phases(
        pairs([photos, sketches], encode.side // 2, recipe.views, recipe.per_class),
        pairs([photos, sketches], encode.side, 1, recipe.full_per_class),
        pairs(others, encode.side, 1, recipe.full_per_class)
        if len(named(others[0]) & named(others[1]) & shared) > 1
        else None,
    )
    return Training(RetrievalObjective(sorted(shared), encode.width, recipe), phases)


def named(banks: list[PictureArray]) -> set[str]:
    """All names that the pictures of the banks carry."""
    return {name for bank in banks for name in bank.by_name}


def _add_world(sides: list[list[PictureArray]], roots: Roots, seed: int, things: int) -> None:
    for banks, bank in zip(sides, world_banks(things, side=128, cache=roots.cache, seed=seed), strict=True):
        banks.append(bank)


# Light parts for retrieval of the very photo that was sketched (paper section 6.1): hard triplets within a class.


@dataclass(frozen=True)
class Things:
    """What the frozen models say of photos and of the sketches of those very photos, at one size."""

    photos: FeatureCache
    sketches: FeatureCache

    @cached_property
    def by_class(self) -> dict[str, list[str]]:
        """The things of each class that have both a photo and a sketch; only classes of two things or more."""
        found: dict[str, list[str]] = {}
        for thing in sorted(set(self.photos.by_name) & set(self.sketches.by_name)):
            category, slash, _ = thing.partition("/")
            if slash:
                found.setdefault(category, []).append(thing)
        return {category: things for category, things in found.items() if len(things) > 1}


class InstanceRetrievalObjective(Objective[Things]):
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


def prepare_instances(recipe: InstanceRetrievalRecipe, roots: Roots, encode: Encoder) -> Training:
    """Find the photos that have sketches of their own, and ask the frozen models about them."""
    trained, others = instances(roots, recipe.per_class), held_out_instances(roots, fewer(recipe.per_class))

    def things(of: InstancePairs, side: int, views: int) -> Things:
        return Things(encode(of.photos, side, views), encode(of.sketches, side, views))

    full = things(trained, encode.side, 1) if trained.photos else None
    if full is None or not full.by_class:
        raise ValueError(f"{roots}: no class has two photos with sketches of their own; Sketchy's layout names them")
    held_out = things(others, encode.side, 1) if others.photos else None
    phases = Phases(
        things(trained, encode.side // 2, recipe.views), full, held_out if held_out and held_out.by_class else None
    )
    return Training(InstanceRetrievalObjective(recipe), phases)
