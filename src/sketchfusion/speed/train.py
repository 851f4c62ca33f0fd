"""What a step of training costs: `sketchfusion bench train`.

The reference asks the frozen VAE and CLIP about the pictures of every batch, as the published code does; a training
here asks them once and keeps what they said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch import Generator, Tensor

from ..lab.training.bank import FeatureCache, PictureArray, world_banks
from ..lab.training.methods import Encoder, Fused, Method
from ..lab.training.objective import Phases, Training
from ..lab.training.recipes import RetrievalRecipe
from ..lab.training.retrieval import Pairs, RetrievalObjective
from ..lab.training.train import train
from .cost import Cost, alone, beside_first, cost_of, flop_of

THINGS = 2  # of each category of Sketch World
CLASSES = 8  # of a batch, each with a sketch and a photo
ASKED, KEPT = "frozen models asked in every step", "what they said kept"


@dataclass(frozen=True)
class Live:
    """Answers about the pictures of a bank, given as often as they are asked for; it stands in for a `Cache`."""

    bank: PictureArray
    method: Method[Any]

    @property
    def by_name(self) -> dict[str, list[int]]:
        """Where the pictures of each name are."""
        return self.bank.by_name

    def draw_named(self, wanted: list[str], generator: Generator) -> tuple[Tensor, ...]:
        """What the frozen models say of a random picture of each wanted name."""
        pictures, _ = self.bank.draw_named(wanted, generator)
        with torch.no_grad():
            return tuple(ask(pictures.expand(-1, 3, -1, -1)) for ask in self.method.asks().values())


def bench_train(model: str, steps: int, seed: int, progress: Callable[[int, int], None]) -> list[Cost]:
    """Train retrieval's light weights on Sketch World for some steps in both ways, in processes of their own.

    A step sees pictures of the full side. `seconds before` is what it took to ask once about all pictures there are,
    which pays after so many steps.
    """
    with TemporaryDirectory() as folder:
        asked = alone(_train, ASKED, model, steps, seed, folder)
        progress(1, 3)
        before = alone(_ask, model, seed, folder)
        progress(2, 3)
        kept = alone(_train, KEPT, model, steps, seed, folder)
        progress(3, 3)
    saved = 2 * CLASSES * (asked.milliseconds - kept.milliseconds) / 1000  # of a step
    more = {"seconds before": before, "steps until it pays": before / saved if saved > 0 else math.inf}
    return beside_first([asked, replace(kept, more=more)])


def _begun(model: str, seed: int, folder: str) -> tuple[Fused, tuple[PictureArray, PictureArray]]:
    torch.manual_seed(seed)
    method = Fused.begin(model, "retrieval", {}, None)
    return method, world_banks(THINGS, method.model.side, Path(folder), seed)


def _ask(model: str, seed: int, folder: str) -> float:
    method, banks = _begun(model, seed, folder)
    started = time.perf_counter()
    for bank in banks:
        Encoder(method, Path(folder))([bank], method.model.side)
    return time.perf_counter() - started


def _train(way: str, model: str, steps: int, seed: int, folder: str) -> Cost:
    method, banks = _begun(model, seed, folder)
    if way == ASKED:
        sides = [cast(FeatureCache, Live(bank.on(method.model.device), method)) for bank in banks]
    else:
        sides = [Encoder(method, Path(folder))([bank], method.model.side) for bank in banks]
    pairs, recipe = Pairs(*sides), RetrievalRecipe(classes=CLASSES, seed=seed)
    training = Training(RetrievalObjective(pairs.names, method.width, recipe), Phases(pairs, pairs, None))
    ends: list[float] = []

    def run(steps: int) -> None:
        out = Path(folder) / way / f"{steps}"
        train(method, training, replace(recipe, steps=steps), out, report=lambda *_: ends.append(time.perf_counter()))

    flop = flop_of(lambda: run(1))
    ends.clear()
    run(steps + 1)  # the first is not timed
    seconds = [after - earlier for earlier, after in pairwise(ends)]
    return cost_of(way, seconds, 2 * CLASSES, flop / (2 * CLASSES))
