"""What dense features cost: `sketchfusion bench extract`.

The reference does as the published code: one picture at a time, which the VAE sees anew for each draw of noise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..extractor import stack
from ..features import SketchFusion
from ..fusion import numbered
from ..models import load
from ..world import World
from .cost import Cost, alone, beside_first, cost_of, flop_of

DRAWS = 4  # of noise, whose features are averaged
BATCH = 8
COMPARED = 8  # pictures whose maps are compared with the reference's
PLAIN = "the VAE anew for each draw"
# The way, the pictures of a batch, the draws of noise.
WAYS = (
    (PLAIN, 1, DRAWS),
    ("nothing twice", 1, DRAWS),
    ("in batches", BATCH, DRAWS),
    ("in batches, one draw", BATCH, 1),
)


def bench_extract(model: str, pictures: int, seed: int, progress: Callable[[int, int], None]) -> list[Cost]:
    """Make dense maps of photos of Sketch World in each of several ways, in processes of their own.

    `cosine` is the mean one between cells of a way's maps and the reference's: 1 where it computes the same. ValueError
    for a model that is not fused, or whose noise is fresh at every call.
    """
    costs: list[Cost] = []
    reference: npt.NDArray[np.float32] = np.empty(0, np.float32)
    for number, way in enumerate(WAYS, start=1):
        maps, cost = alone(_extract, way, model, pictures, seed)
        reference = maps if way[0] == PLAIN else reference
        lengths = np.linalg.norm(maps, axis=1) * np.linalg.norm(reference, axis=1)
        alike = (maps * reference).sum(axis=1) / np.maximum(lengths, 1e-12)
        costs.append(replace(cost, more={"cosine": float(alike.mean())}))
        progress(number, len(WAYS))
    return beside_first(costs)


@torch.no_grad()
def plainly(model: SketchFusion, picture: npt.NDArray[np.uint8]) -> Tensor:
    """Give the maps (1, d, grid, grid) of one photo as the published code makes them."""
    fusion, diffusion, config = model.model, model.model.diffusion, model.config
    view, (low, high) = model.view(picture, "photo"), config.vae_range
    square = stack([view.square], model.device) * (high - low) + low
    draws = range(config.fusion.ensemble)
    latents = torch.cat([diffusion.encode(square) for _ in draws])
    tokens = model.clip(stack([view.clip], model.device), config.clip_layer).dense
    size, seed = (latents.shape[-2], latents.shape[-1]), config.fusion.noise_seed or 0
    noise = torch.cat([diffusion.noise(size, seed + draw) for draw in draws])
    stages = fusion.stages(latents, tokens.expand(len(draws), -1, -1, -1), noise[None])
    mean = {name: maps.mean(0, keepdim=True) for name, maps in stages.items()}
    light, kinds = fusion.light, numbered([view.kind]).to(model.device)
    maps: Tensor = light.centring(light.aggregation(mean, None), kinds)
    return maps


def with_draws(model: SketchFusion, draws: int) -> SketchFusion:
    """Set how many draws of noise a model averages over, in place."""
    fusion = replace(model.config.fusion, ensemble=draws)
    model.config, model.model.config = replace(model.config, fusion=fusion), fusion
    return model


def _extract(way: tuple[str, int, int], name: str, pictures: int, seed: int) -> tuple[npt.NDArray[np.float32], Cost]:
    how, batch, draws = way
    loaded = load(name)
    if not isinstance(loaded, SketchFusion) or loaded.config.sample_latents:
        raise ValueError(f"{name} fuses nothing, or sees fresh noise at every call; choose a fused model that repeats")
    model, world = with_draws(loaded, draws), World(seed)
    photos = [world.photo(world.categories[n % len(world.categories)], n).photo for n in range(pictures)]

    def maps(of: list[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.float32]]:
        if how == PLAIN:
            return [plainly(model, photo)[0].float().cpu().numpy() for photo in of]
        return [found.data.numpy() for found in model.extract(of, batch_size=batch)]

    batches = [photos[start : start + batch] for start in range(0, pictures, batch)]
    flop = flop_of(lambda: maps(batches[0])) / len(batches[0])
    found, seconds = list[npt.NDArray[np.float32]](), []
    for of in batches:
        started = time.perf_counter()
        made = maps(of)
        seconds.append((time.perf_counter() - started) / len(of))
        found += made[: COMPARED - len(found)]
    return np.stack(found), cost_of(f"{how}, {draws} draws" if draws > 1 else how, seconds, 1, flop)
