"""What dense features cost: `sketchfusion bench extract`.

The reference does what the published code does: for every draw of noise VAE and CLIP see the picture anew, and the UNet
runs to its end, one picture at a time.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ..features import SketchFusion
from ..models import load
from ..world import World
from .cost import Cost, alone, beside_first, cost_of

DRAWS = 4  # of noise, whose features are averaged
BATCH = 8
PLAIN = "all anew for each draw"
# The way, the pictures of a batch, the draws of noise.
WAYS = (
    (PLAIN, 1, DRAWS),
    ("nothing twice", 1, DRAWS),
    ("in batches", BATCH, DRAWS),
    ("in batches, one draw", BATCH, 1),
)


def bench_extract(model: str, pictures: int, seed: int) -> list[Cost]:
    """Make dense maps of photos of Sketch World in each of several ways, in processes of their own.

    `cosine` is the mean one between cells of a way's maps and the reference's: 1 where it computes the same. ValueError
    for a model that is not fused.
    """
    costs: list[Cost] = []
    reference = torch.empty(0)
    for way in WAYS:
        maps, cost = alone(_extract, way, model, pictures, seed)
        reference = maps if way[0] == PLAIN else reference
        costs.append(replace(cost, more={"cosine": float(F.cosine_similarity(maps, reference).mean())}))
    return beside_first(costs)


@torch.no_grad()
def plainly(model: SketchFusion, picture: np.ndarray) -> Tensor:
    """Give the maps (1, d, grid, grid) of one photo as the published code makes them."""
    fusion, diffusion = model.model, model.model.diffusion
    config, drawn = fusion.config, list[dict[str, Tensor]]()
    for draw in range(config.ensemble):
        seen = model.encode(picture)
        latents = seen.latents if seen.latents.dim() == 4 else seen.latents[:, draw]
        size = (latents.shape[-2], latents.shape[-1])
        noisy = diffusion.add_noise(latents, diffusion.noise(size, (config.noise_seed or 0) + draw), config.timestep)
        add = fusion.light.injection(seen.tokens.float(), diffusion.sizes(size))
        stages = tuple(diffusion.stages)
        drawn.append(diffusion(noisy, config.timestep, stages, add=add, add_to_skips=config.inject_skips))
    mean = {name: torch.stack([maps[name] for maps in drawn]).mean(0) for name in config.aggregate}
    centred: Tensor = fusion.light.centring(fusion.light.aggregation(mean, None), torch.zeros(1, dtype=torch.long))
    return centred


def _extract(way: tuple[str, int, int], name: str, pictures: int, seed: int) -> tuple[Tensor, Cost]:
    how, batch, draws = way
    model = load(name)
    if not isinstance(model, SketchFusion):
        raise ValueError(f"{name} fuses nothing, so there is nothing to do twice; choose a fused model")
    model.model.config = replace(model.model.config, ensemble=draws)
    world = World(seed)
    photos = [world.photo(world.categories[n % len(world.categories)], n).photo for n in range(pictures)]

    def maps(of: list[np.ndarray]) -> Tensor:
        if how == PLAIN:
            return plainly(model, of[0]).float().cpu()
        return torch.stack([found.data for found in model.extract(of, batch_size=batch)])

    batches = [photos[start : start + batch] for start in range(0, pictures, batch)]
    with FlopCounterMode(display=False) as counted:
        maps(batches[0])
    found, seconds = [], []
    for of in batches:
        started = time.perf_counter()
        found.append(maps(of))
        seconds.append((time.perf_counter() - started) / len(of))
    label = f"{how}, {draws} draws" if draws > 1 else how
    return torch.cat(found), cost_of(label, seconds, 1, counted.get_total_flops() / len(batches[0]))
