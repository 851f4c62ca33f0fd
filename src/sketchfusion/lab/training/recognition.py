"""Train light weights and a sketch classifier (paper section 6.2) by cross-entropy on the max-pooled feature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, nn
from torch.nn import functional as F

from ...fusion import SKETCH
from ...saved import Heads, LinearHead
from .bank import FeatureCache, world_banks
from .loop import Losses
from .methods import CachedEncoder
from .objective import Forward, Objective, Phases, Training
from .recipes import RecognitionRecipe
from .sources import HELD_OUT_SEED, Sources, held_out_count, names_of


@dataclass(frozen=True)
class NamedSketches:
    """Cached frozen features of sketches at one input size, with the sketches' class names."""

    sketches: FeatureCache

    @cached_property
    def names(self) -> list[str]:
        """Class names of the sketches, each once, sorted."""
        return sorted(self.sketches.by_name)


class RecognitionObjective(Objective[NamedSketches]):
    """Cross-entropy of a linear classifier on the max-pooled feature, saved with the light weights."""

    def __init__(self, names: list[str], width: int, recipe: RecognitionRecipe) -> None:
        """Make a classifier of `names` on features of `width` channels; its weights start at zero."""
        super().__init__()
        self.names, self._recipe = tuple(names), recipe
        self._labels = {name: label for label, name in enumerate(names)}
        self.classify = nn.Linear(width, len(names))
        nn.init.zeros_(self.classify.weight)

    def losses(self, forward: Forward, data: NamedSketches, generator: Generator) -> Losses:
        """Sample a class-balanced batch; return its cross-entropy as `loss` and its accuracy as `right`."""
        chosen = torch.randint(len(data.names), (self._recipe.batch,), generator=generator).tolist()
        names = [data.names[place] for place in chosen]
        logits = self.classify(forward(data.sketches.draw_named(names, generator), SKETCH).pooled())
        labels = torch.tensor([self._labels[name] for name in names], device=logits.device)
        loss = F.cross_entropy(logits, labels, label_smoothing=self._recipe.smoothing if self.training else 0.0)
        return {"loss": loss, "right": (logits.argmax(1) == labels).float().mean()}

    def heads(self) -> Heads:
        """Return the classifier with its class names, to be saved."""
        return Heads(LinearHead(self.names, self.classify.weight.detach(), self.classify.bias.detach()))


def prepare_recognition(recipe: RecognitionRecipe, sources: Sources, encode: CachedEncoder) -> Training:
    """Gather training and held-out sketches, cache their frozen features and make the objective.

    ValueError for fewer than two classes.
    """
    banks, held_out = [sources.sketches()], [sources.held_out_sketches()]
    if sources.has_world:
        banks.append(world_banks(recipe.per_class, side=sources.stored, cache=sources.cache)[1])
        count = held_out_count(recipe.per_class)
        held_out.append(world_banks(count, side=sources.stored, cache=sources.cache, seed=HELD_OUT_SEED)[1])
    names = names_of(banks)
    if len(names) < 2:
        raise ValueError(f"{sources}: fewer than two classes have sketches to train on")
    banks, held_out = ([bank.named(names, recipe.per_class) for bank in of] for of in (banks, held_out))
    phases = Phases(
        NamedSketches(encode(banks, encode.side // 2, recipe.views)),
        NamedSketches(encode(banks, encode.side)),
        NamedSketches(encode(held_out, encode.side)) if names_of(held_out) else None,
    )
    return Training(RecognitionObjective(sorted(names), encode.width, recipe), phases)
