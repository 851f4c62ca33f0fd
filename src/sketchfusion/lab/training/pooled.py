"""Light parts for tasks that compare max-pooled fused maps: retrieval and recognition (paper, sections 6.1 and 6.2).

Retrieval, by class or of the very photo, learns by triplets, recognition by cross-entropy.
"""

import logging
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, nn
from torch.nn import functional as F

from ...fusion import PHOTO, SKETCH
from ...saved import Heads, LinearHead
from .bank import Banks
from .feature_cache import FeatureCache, InputBatch
from .loop import Losses
from .losses import contrast, triplet
from .methods import CachedEncoder
from .objective import Forward, Objective, Training
from .recipes import InstanceRetrievalRecipe, RecognitionRecipe, RetrievalRecipe
from .sources import Sources, held_out_count, instances, names_of

WORLD_INSTANCES, HELD_OUT_INSTANCES = 16, 4  # of each category of Sketch World, for retrieval by category
WORLD_SKETCHES = 60  # of each category of Sketch World where there is no limit


@dataclass(frozen=True)
class SketchesAndPhotos:
    photos: FeatureCache
    sketches: FeatureCache

    @cached_property
    def names(self) -> list[str]:
        return sorted(set(self.photos.by_name) & set(self.sketches.by_name))

    @cached_property
    def by_class(self) -> dict[str, list[str]]:
        """The instances with both a photo and a sketch, by class; only classes of two or more."""
        found: dict[str, list[str]] = {}
        for instance in self.names:
            category, slash, _ = instance.partition("/")
            if slash:
                found.setdefault(category, []).append(instance)
        return {category: instances for category, instances in found.items() if len(instances) > 1}


class RetrievalObjective(Objective[SketchesAndPhotos]):
    """The paper's triplets, a contrastive loss over the whole batch and a classifier; classes are drawn evenly."""

    def __init__(self, names: list[str], width: int, recipe: RetrievalRecipe) -> None:
        super().__init__(recipe)
        self.names = tuple(names)
        self._labels = {name: label for label, name in enumerate(names)}
        self.naming = nn.Linear(width, len(names))
        nn.init.zeros_(self.naming.weight)

    def draw(self, data: SketchesAndPhotos, generator: Generator) -> tuple[list[str], InputBatch, InputBatch]:
        """Draw classes, and one sketch and one photo of each."""
        chosen = torch.randperm(len(data.names), generator=generator)[: self._recipe.classes]
        names = [data.names[place] for place in chosen.tolist()]
        return names, data.sketches.draw_named(names, generator), data.photos.draw_named(names, generator)

    def losses(self, forward: Forward, drawn: tuple[list[str], InputBatch, InputBatch]) -> Losses:
        recipe, names = self._recipe, drawn[0]
        sketches, photos = (forward(of, kind).pooled() for of, kind in zip(drawn[1:], (SKETCH, PHOTO), strict=True))
        labels = torch.tensor([self._labels[name] for name in names], device=photos.device)
        alike = labels[:, None] == labels
        triplets = triplet(sketches, photos, alike, ~alike, recipe.margin)
        both, both_labels = torch.cat([sketches, photos]), labels.repeat(2)
        contrastive = contrast(both, both_labels[:, None] == both_labels[None, :], recipe.temperature)
        naming = F.cross_entropy(self.naming(both), both_labels)
        loss = triplets + recipe.contrast * contrastive + recipe.naming * naming
        return {"loss": loss, "triplet": triplets, "contrast": contrastive, "naming": naming}


def prepare_retrieval(recipe: RetrievalRecipe, sources: Sources, encode: CachedEncoder) -> Training:
    """Collect the classes that have photos and sketches and encode them; ValueError for fewer than two."""
    side = encode.side
    world, other_world = sources.of_world(WORLD_INSTANCES, side), sources.of_world(HELD_OUT_INSTANCES, side, True)
    photos = [sources.sharp_photos(), sources.small_photos(), *world[0]]
    sketches = [sources.sketches(), *world[1]]
    held_out = [[sources.sharp_photos(True), *other_world[0]], [sources.sketches(True), *other_world[1]]]
    shared = names_of(photos) & names_of(sketches)
    if len(shared) < 2:
        raise ValueError(f"{sources}: fewer than two classes have both photos and sketches to train on")
    undecoded = sources.listed_names["sketch"] - sources.listed_names["photo"]
    if lone := sorted((names_of(sketches) | undecoded) - shared):
        some = ", ".join(lone[:5]) + ", ..." * (len(lone) > 5)
        logging.getLogger(__name__).warning("left out, with sketches but no photos: %d names (%s)", len(lone), some)

    def encoded(banks: list[Banks], at: int, views: int, most: int) -> SketchesAndPhotos:
        return SketchesAndPhotos(*(encode([bank.named(shared, most) for bank in of], at, views) for of in banks))

    validates = len(names_of(held_out[0]) & names_of(held_out[1]) & shared) > 1
    return Training(
        RetrievalObjective(sorted(shared), encode.method.width, recipe),
        encoded([photos, sketches], side // 2, recipe.views, recipe.per_class),
        encoded([photos, sketches], side, 1, recipe.full_per_class),
        encoded(held_out, side, 1, recipe.full_per_class) if validates else None,
    )


class InstanceRetrievalObjective(Objective[SketchesAndPhotos]):
    """Hard triplets within a class, and a contrastive loss of sketches with photos over the whole batch."""

    def draw(self, data: SketchesAndPhotos, generator: Generator) -> tuple[list[int], InputBatch, InputBatch]:
        """Draw classes, instances of each, and a sketch and the photo of each instance."""
        recipe, categories = self._recipe, list(data.by_class)
        names, labels = list[str](), list[int]()
        for place in torch.randperm(len(categories), generator=generator)[: recipe.classes].tolist():
            instances = data.by_class[categories[place]]
            chosen = torch.randperm(len(instances), generator=generator)[: recipe.things].tolist()
            names += [instances[number] for number in chosen]
            labels += [place] * len(chosen)
        return labels, data.sketches.draw_named(names, generator), data.photos.draw_named(names, generator)

    def losses(self, forward: Forward, drawn: tuple[list[int], InputBatch, InputBatch]) -> Losses:
        recipe, labels = self._recipe, drawn[0]
        sketches, photos = (forward(of, kind).pooled() for of, kind in zip(drawn[1:], (SKETCH, PHOTO), strict=True))
        classes = torch.tensor(labels, device=photos.device)
        own, alike = torch.eye(len(labels), dtype=torch.bool, device=photos.device), classes[:, None] == classes
        triplets = triplet(sketches, photos, own, alike & ~own, recipe.margin)
        cosines = F.normalize(sketches, dim=1) @ F.normalize(photos, dim=1).T
        matching = torch.arange(len(labels), device=cosines.device)
        logits = cosines / recipe.temperature
        contrastive = (F.cross_entropy(logits, matching) + F.cross_entropy(logits.T, matching)) / 2
        found = cosines.masked_fill(~alike, -2.0).argmax(1) == matching
        loss = triplets + recipe.contrast * contrastive
        return {"loss": loss, "triplet": triplets, "contrast": contrastive, "found": found.float().mean()}


def prepare_instance_retrieval(recipe: InstanceRetrievalRecipe, sources: Sources, encode: CachedEncoder) -> Training:
    """Collect the photos that have sketches of their own and encode them; ValueError if no class has two."""
    trained = instances(sources, recipe.per_class)
    held_out = instances(sources, held_out_count(recipe.per_class), kept_out=True)

    def encoded(sides: tuple[Banks, Banks], at: int, views: int = 1) -> SketchesAndPhotos:
        return SketchesAndPhotos(*(encode(banks, at, views) for banks in sides))

    full = encoded(trained, encode.side) if trained[0] else None
    if full is None or not full.by_class:
        raise ValueError(f"{sources}: no class has two photos with sketches of their own; Sketchy's layout names them")
    validation = encoded(held_out, encode.side) if held_out[0] else None
    return Training(
        InstanceRetrievalObjective(recipe),
        encoded(trained, encode.side // 2, recipe.views),
        full,
        validation if validation and validation.by_class else None,
    )


class RecognitionObjective(Objective[FeatureCache]):
    """Cross-entropy of a linear classifier on the max-pooled feature, saved with the light weights."""

    def __init__(self, names: list[str], width: int, recipe: RecognitionRecipe) -> None:
        """Make a classifier of `names` on features of `width` channels; its weights start at zero."""
        super().__init__(recipe)
        self.names = tuple(names)
        self._labels = {name: label for label, name in enumerate(names)}
        self.classify = nn.Linear(width, len(names))
        nn.init.zeros_(self.classify.weight)

    def draw(self, data: FeatureCache, generator: Generator) -> tuple[list[str], InputBatch]:
        """Draw a class-balanced batch."""
        known = sorted(data.by_name)
        chosen = torch.randint(len(known), (self._recipe.batch,), generator=generator).tolist()
        names = [known[place] for place in chosen]
        return names, data.draw_named(names, generator)

    def losses(self, forward: Forward, drawn: tuple[list[str], InputBatch]) -> Losses:
        """Return the cross-entropy as `loss` and the accuracy as `right`."""
        names, sketches = drawn
        logits = self.classify(forward(sketches, SKETCH).pooled())
        labels = torch.tensor([self._labels[name] for name in names], device=logits.device)
        loss = F.cross_entropy(logits, labels, label_smoothing=self._recipe.smoothing if self.training else 0.0)
        return {"loss": loss, "right": (logits.argmax(1) == labels).float().mean()}

    def heads(self) -> Heads:
        return Heads(LinearHead(self.names, self.classify.weight.detach(), self.classify.bias.detach()))


def prepare_recognition(recipe: RecognitionRecipe, sources: Sources, encode: CachedEncoder) -> Training:
    """Collect sketches and encode them; ValueError for fewer than two classes."""
    side, things = encode.side, recipe.per_class or WORLD_SKETCHES
    banks = [sources.sketches(), *sources.of_world(things, side)[1]]
    held_out = [sources.sketches(True), *sources.of_world(held_out_count(things), side, kept_out=True)[1]]
    names = names_of(banks)
    if len(names) < 2:
        raise ValueError(f"{sources}: fewer than two classes have sketches to train on")
    banks, held_out = ([bank.named(names, recipe.per_class) for bank in of] for of in (banks, held_out))
    return Training(
        RecognitionObjective(sorted(names), encode.method.width, recipe),
        encode(banks, side // 2, recipe.views),
        encode(banks, side),
        encode(held_out, side) if names_of(held_out) else None,
    )
