"""Light parts and a classifier for recognition of sketches (paper section 6.2): cross-entropy on the pooled feature."""

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
from .methods import Encoder
from .objective import Objective, Phases, See, Training
from .recipes import RecognitionRecipe
from .retrieval import HELD_OUT_SEED, fewer, named
from .sources import Roots


@dataclass(frozen=True)
class Named:
    """What the frozen models say of sketches at one size."""

    sketches: FeatureCache

    @cached_property
    def names(self) -> list[str]:
        """What they show."""
        return sorted(self.sketches.by_name)


class RecognitionObjective(Objective[Named]):
    """A linear classifier of the pooled feature; it is kept beside the light weights."""

    def __init__(self, names: list[str], width: int, recipe: RecognitionRecipe) -> None:
        """Make a classifier of `names` on features of `width` channels."""
        super().__init__()
        self.names, self._recipe = tuple(names), recipe
        self._place = {name: place for place, name in enumerate(names)}
        self.classify = nn.Linear(width, len(names))
        nn.init.zeros_(self.classify.weight)

    def losses(self, see: See, data: Named, generator: Generator) -> Losses:
        """Draw names evenly, and a sketch of each."""
        drawn = torch.randint(len(data.names), (self._recipe.batch,), generator=generator).tolist()
        wanted = [data.names[place] for place in drawn]
        logits = self.classify(see(data.sketches.draw_named(wanted, generator), SKETCH).amax((2, 3)))
        labels = torch.tensor([self._place[name] for name in wanted], device=logits.device)
        loss = F.cross_entropy(logits, labels, label_smoothing=self._recipe.smoothing if self.training else 0.0)
        return {"loss": loss, "right": (logits.argmax(1) == labels).float().mean()}

    def heads(self) -> Heads:
        """Give the classifier with its names."""
        return Heads(LinearHead(self.names, self.classify.weight.detach(), self.classify.bias.detach()))


def prepare(recipe: RecognitionRecipe, roots: Roots, encode: Encoder) -> Training:
    """Find named sketches, and ask the frozen models about them."""
    banks, others = [roots.sources.sketches()], [roots.sources.held_out_sketches()]
    if roots.world:
        banks.append(world_banks(recipe.per_class, side=128, cache=roots.cache)[1])
        others.append(world_banks(fewer(recipe.per_class), side=128, cache=roots.cache, seed=HELD_OUT_SEED)[1])
    names = named(banks)
    if len(names) < 2:
        raise ValueError(f"{roots}: fewer than two classes have sketches to train on")
    banks, others = ([bank.named(names, recipe.per_class) for bank in of] for of in (banks, others))
    phases = Phases(
        Named(encode(banks, encode.side // 2, recipe.views)),
        Named(encode(banks, encode.side)),
        Named(encode(others, encode.side)) if named(others) else None,
    )
    return Training(RecognitionObjective(sorted(names), encode.width, recipe), phases)
