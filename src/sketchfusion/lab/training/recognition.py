"""Train light weights and a sketch classifier (paper section 6.2) by cross-entropy on the max-pooled feature."""

import torch
from torch import Generator, nn
from torch.nn import functional as F

from ...fusion import SKETCH
from ...saved import Heads, LinearHead
from .feature_cache import FeatureCache
from .loop import Losses
from .methods import CachedEncoder
from .objective import Forward, Objective, Training
from .recipes import RecognitionRecipe
from .sources import Sources, held_out_count, names_of

WORLD_SKETCHES = 60  # of each category of Sketch World where there is no limit


class RecognitionObjective(Objective[FeatureCache]):
    """Cross-entropy of a linear classifier on the max-pooled feature, saved with the light weights."""

    def __init__(self, names: list[str], width: int, recipe: RecognitionRecipe) -> None:
        """Make a classifier of `names` on features of `width` channels; its weights start at zero."""
        super().__init__(recipe)
        self.names = tuple(names)
        self._labels = {name: label for label, name in enumerate(names)}
        self.classify = nn.Linear(width, len(names))
        nn.init.zeros_(self.classify.weight)

    def losses(self, forward: Forward, data: FeatureCache, generator: Generator) -> Losses:
        """Sample a class-balanced batch; return its cross-entropy as `loss` and its accuracy as `right`."""
        known = sorted(data.by_name)
        chosen = torch.randint(len(known), (self._recipe.batch,), generator=generator).tolist()
        names = [known[place] for place in chosen]
        logits = self.classify(forward(data.draw_named(names, generator), SKETCH).pooled())
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
