"""What a step of training costs: `sketchfusion bench train`.

The reference asks the frozen VAE and CLIP about the pictures of every batch, as the published code does; a training
here asks them once and keeps what they said.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch import Generator, Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..training.bank import Bank, world_banks
from ..training.cache import Cache
from ..training.encode import Encoder
from ..training.light_recipes import RetrievalRecipe
from ..training.methods.base import Method
from ..training.methods.fused import Fused
from ..training.objective import Phases, Training
from ..training.retrieval import Pairs, Retrieval
from ..training.train import train
from .cost import Cost, alone, beside_first, cost_of

THINGS = 2  # of each category of Sketch World
CLASSES = 8  # of a batch, each with a sketch and a photo
ASKED, KEPT = "frozen models asked in every step", "what they said kept"


@dataclass(frozen=True)
class Live:
    """Answers about the pictures of a bank, given as often as they are asked for; it stands in for a `Cache`."""

    bank: Bank
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


def bench_train(model: str, steps: int, seed: int) -> list[Cost]:
    """Train retrieval's light weights on Sketch World for some steps in both ways, each in a process of its own.

    A step sees pictures of the full side. `seconds before` is what it took to ask once about all pictures there are.
    """
    return beside_first([alone(_train, way, model, steps, seed) for way in (ASKED, KEPT)])


def _train(way: str, model: str, steps: int, seed: int) -> Cost:
    recipe = RetrievalRecipe(steps=steps, classes=CLASSES, seed=seed, warmup=0, full_size_after=1.0)
    with TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        method = Fused.begin(model, "retrieval", {}, None)
        banks = world_banks(THINGS, method.model.side, Path(folder), seed)
        started = time.perf_counter()
        if way == ASKED:
            sides = [cast(Cache, Live(bank.on(method.model.device), method)) for bank in banks]
        else:
            sides = [Encoder(method, Path(folder))([bank], method.model.side) for bank in banks]
        before = time.perf_counter() - started
        pairs = Pairs(*sides)
        training = Training(Retrieval(pairs.names, method.width, recipe), Phases(pairs, pairs, None))

        def run(recipe: RetrievalRecipe, report: Callable[..., None] | None = None) -> None:
            train(method, training, recipe, Path(folder) / f"{recipe.steps}", report=report)

        with FlopCounterMode(display=False) as counted:
            run(replace(recipe, steps=1))
        ends: list[float] = []
        run(replace(recipe, steps=steps + 1), lambda *_: ends.append(time.perf_counter()))
    seconds = [after - earlier for earlier, after in pairwise(ends)]
    cost = cost_of(way, seconds, 2 * CLASSES, counted.get_total_flops() / (2 * CLASSES))
    return replace(cost, more={"seconds a step": sum(seconds) / len(seconds), "seconds before": before})
