"""Benchmarks of extraction, metrics and training, each against a reference measured in the same run."""

import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ...backbones.catalog import CATALOG, FusedCard
from ...backbones.encoders import resize_square
from ...backbones.folders import blank_diffusion, blank_encoder
from ...extractor import Extractor, pick_device, pick_dtype, stack
from ...featuremap import Floats
from ...features import SketchFusion, pair_config
from ...fusion import kind_indices
from ...models import load
from ..datasets.world import SketchWorld
from ..training.bank import Banks, world_banks
from ..training.feature_cache import FrozenInput
from ..training.methods import CachedEncoder, Fused
from ..training.objective import Training
from ..training.pooled import RetrievalObjective, SketchesAndPhotos
from ..training.recipes import RetrievalRecipe
from ..training.train import is_card, train
from .retrieval import Progress, score_retrieval

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """Speed and memory of one way to do something; a unit of work is a picture, a sketch, a row or a search."""

    name: str
    images_per_second: float  # or other units of work per second
    milliseconds: float  # per unit: the median over repetitions, or the mean where all are done at once
    peak_bytes: int  # peak memory of its process: of tensors on the GPU, resident without one
    flop: float  # floating-point operations per unit; 0 if not counted
    ratio: float = 1.0  # its speed divided by the speed of the reference, set by `with_ratios`
    more: dict[str, float] = field(default_factory=dict)  # further figures


def cost_of(name: str, seconds: Sequence[float], units: float, flop: float = 0.0) -> Cost:
    """Return the cost of a unit of work in this process, given the `seconds` of each repetition and its `units`."""
    middle = statistics.median(seconds) / units
    return Cost(name, 1 / middle, 1000 * middle, peak_bytes(), flop)


def with_ratios(costs: Sequence[Cost]) -> list[Cost]:
    """Set each ratio to the speed divided by the speed of the first cost, the reference."""
    return [replace(cost, ratio=costs[0].milliseconds / cost.milliseconds) for cost in costs]


def in_new_process(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of a module's top level in a new process, so that the peak memory measured is only its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(function, *arguments).result()


def flop_of(call: Callable[[], object]) -> float:
    """Count the floating-point operations of a call in torch, a multiplication and an addition as two.

    Attention is computed unfused on a CPU, as its fused kernel would not be counted.
    """
    unfused = nullcontext() if torch.cuda.is_available() else sdpa_kernel(SDPBackend.MATH)
    with FlopCounterMode(display=False) as counted, unfused:
        call()
    return float(counted.get_total_flops())


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the floating-point operations a second of this machine's multiplication of large matrices."""
    side = 8192 if device.type == "cuda" else 1024
    matrix, seconds = torch.randn(side, side, device=device, dtype=dtype), []
    for _ in range(5):
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits until it is computed
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds)


def peak_bytes() -> int:
    """Read the peak memory of this process so far: on a GPU that of its tensors, otherwise resident memory."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage counts the parent of a new process too, as it was at the fork
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# The cost of dense features: `sketchfusion bench extract`.
#
# The reference follows the authors' published code: one picture at a time, in float32, and the VAE encodes it again for
# each noise sample.

DRAWS = 4  # noise samples whose features are averaged; 32 in the published code
BATCH = 8
COMPARED = 8  # pictures whose maps are compared with the reference's
RELEASED, SCRIPT, CLEAN = "as released", "a plain script", "one noise-free pass"
FLOAT32 = "in batches, float32"
# Name of the way, batch size, whether all noise samples are drawn; otherwise it is one.
WAYS = (
    (RELEASED, 1, True),
    ("nothing computed twice", 1, True),
    ("one draw", 1, False),
    (FLOAT32, BATCH, False),
    ("in batches", BATCH, False),
    (SCRIPT, BATCH, False),
    (CLEAN, BATCH, False),
)


def bench_extract(model: str, pictures: int, seed: int, progress: Progress, draws: int = DRAWS) -> list[Cost]:
    """Time the extraction of dense maps from photos of Sketch World in each of `WAYS`, each in its own process.

    `cosine` is the mean cosine similarity between cells of a way's maps and of the reference's: 1 if they are equal.
    `pooled cosine` is the same of the maps' maxima, compared with those of `FLOAT32`, where the model computes in
    bfloat16. ValueError for a model that is not fused, or that draws noise or latents anew at every call.
    """
    ways = [way for way in WAYS if way[0] != FLOAT32 or pick_dtype(pick_device()) != torch.float32]
    costs: list[Cost] = []
    found: dict[str, Floats] = {}
    for number, way in enumerate(ways, start=1):
        found[way[0]], cost = in_new_process(_time_extract, way, model, pictures, seed, draws)
        more = {"cosine": _cosine(found[way[0]], found[RELEASED])}
        if FLOAT32 in found:
            more["pooled cosine"] = _cosine(*(found[name].max((2, 3)) for name in (way[0], FLOAT32)))
        costs.append(replace(cost, more=more | cost.more))
        progress(number, len(ways))
    return with_ratios(costs)


def _cosine(features: Floats, others: Floats) -> float:
    """Compute the mean cosine between features (N, d, ...) at the same places."""
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(others, axis=1)
    return float(((features * others).sum(axis=1) / np.maximum(lengths, 1e-12)).mean())


def model_to_time(name: str, dtype: torch.dtype | None = None) -> Extractor:
    """Load a model; a pair of which nobody has published light weights gets random weights of its true sizes."""
    card = CATALOG.get(name)
    if not isinstance(card, FusedCard) or card.heads:
        return load(name, dtype=dtype)
    device, config = pick_device(), pair_config(name)
    diffusion, clip = blank_diffusion(config.diffusion), blank_encoder(config.clip)
    torch.manual_seed(0)  # every process makes the same
    diffusion.null_prompt = torch.randn(diffusion.null_prompt.shape)
    for part in (diffusion.unet, diffusion.vae, clip.model):
        part.to_empty(device=device)
        for weight in part.parameters():  # activations keep their scale
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5) if weight.dim() > 1 else nn.init.ones_(weight)
        for positions in part.buffers():
            positions.copy_(torch.arange(positions.numel()).view_as(positions))
        nn.Module.to(part, pick_dtype(device, dtype))  # diffusers' own method warns of casts
    diffusion.vae.to(memory_format=torch.channels_last)
    return SketchFusion(diffusion, clip, config, name).to(device)


@torch.no_grad()
def reference_maps(model: SketchFusion, picture: npt.NDArray[np.uint8]) -> Tensor:
    """Compute the maps (1, d, grid, grid) of one photo as the authors' published code does."""
    fusion, diffusion, config = model.model, model.model.diffusion, model.config
    view, (low, high) = model.prepare(picture, "photo"), config.vae_range
    square = resize_square(stack([view.square], model.device), config.side) * (high - low) + low
    draws = range(config.fusion.ensemble)
    latents = torch.cat([diffusion.encode(square) for _ in draws])
    tokens = model.clip(stack([view.clip], model.device), config.clip_layer).dense
    size, seed = (latents.shape[-2], latents.shape[-1]), config.fusion.noise_seed or 0
    noise = torch.cat([diffusion.noise(size, seed + draw) for draw in draws])
    stages = fusion.stages(latents, tokens.expand(len(draws), -1, -1, -1), noise[None])
    mean = {name: maps.mean(0, keepdim=True) for name, maps in stages.items()}
    light, kinds = fusion.light, kind_indices([view.kind]).to(model.device)
    maps: Tensor = light.centring(light.aggregation(mean, None), kinds)
    return maps


@torch.no_grad()
def script_maps(model: SketchFusion, pictures: Sequence[npt.NDArray[np.uint8]], clean: bool = False) -> Tensor:
    """Compute the maps (B, d, grid, grid) of photos as a script does: one pass of the whole UNet, read by hooks.

    `clean` is CleanDIFT's way: latents without noise and without CLIP; the UNet stops after the last stage read.
    """
    diffusion, light, config = model.model.diffusion, model.model.light, model.config
    unet, vae, (low, high) = diffusion.unet, diffusion.vae, config.vae_range
    views = [model.prepare(picture, "photo") for picture in pictures]
    squares = resize_square(stack([view.square for view in views], model.device), config.side) * (high - low) + low
    latents = vae.encode(squares.to(vae.dtype)).latent_dist.mode() * vae.config.scaling_factor
    size = (latents.shape[-2], latents.shape[-1])
    if clean:
        stages = diffusion(latents, config.fusion.timestep, config.fusion.aggregate)
    else:
        tokens = model.clip(stack([view.clip for view in views], model.device), config.clip_layer).dense
        added = light.injection(tokens.float(), diffusion.sizes(size))
        stages = {}

        def read(name: str, block: nn.Module, inputs: object, output: Any) -> Any:
            hidden = (output[0] if isinstance(output, tuple) else output) + added[name].to(unet.dtype)
            stages[name] = hidden
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        blocks = {f"down{n}": of for n, of in enumerate(unet.down_blocks)}
        blocks |= {f"up{n}": of for n, of in enumerate(unet.up_blocks)}
        handles = [blocks[name].register_forward_hook(partial(read, name)) for name in config.fusion.inject_at]
        noise = diffusion.noise(size, config.fusion.noise_seed or 0)
        noisy = diffusion.add_noise(latents, noise.expand_as(latents), config.fusion.timestep).to(unet.dtype)
        unet(noisy, config.fusion.timestep, diffusion.null_prompt.to(unet.dtype).expand(len(noisy), -1, -1))
        for handle in handles:
            handle.remove()
    aggregated = light.aggregation({name: stages[name] for name in config.fusion.aggregate}, None)
    maps: Tensor = light.centring(aggregated, kind_indices([view.kind for view in views]).to(model.device))
    return maps


def with_draws(model: SketchFusion, draws: int) -> SketchFusion:
    """Set the number of noise samples that a model averages over, in place."""
    fusion = replace(model.config.fusion, ensemble=draws)
    model.config, model.model.config = replace(model.config, fusion=fusion), fusion
    return model


def _time_extract(way: tuple[str, int, bool], name: str, pictures: int, seed: int, draws: int) -> tuple[Floats, Cost]:
    how, batch, all_draws = way
    loaded = model_to_time(name, torch.float32 if how in (RELEASED, FLOAT32) else None)
    if not isinstance(loaded, SketchFusion) or loaded.config.sample_latents or loaded.config.fusion.noise_seed is None:
        raise ValueError(f"{name} fuses nothing, or draws noise anew at every call; choose a fused model that repeats")
    model, world = with_draws(loaded, draws if all_draws else 1), SketchWorld(seed).world
    photos = [world.photo(world.categories[n % len(world.categories)], n).photo for n in range(pictures)]

    def maps(of: list[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.float32]]:
        if how == RELEASED:
            return [reference_maps(model, photo)[0].float().cpu().numpy() for photo in of]
        if how in (SCRIPT, CLEAN):
            return [*script_maps(model, of, clean=how == CLEAN).float().cpu().numpy()]
        return [found.data.numpy() for found in model.extract(of, batch_size=batch)]

    batches = [photos[start : start + batch] for start in range(0, pictures, batch)]
    flop = flop_of(lambda: maps(batches[0])) / len(batches[0])
    found, seconds = list[npt.NDArray[np.float32]](), []
    for of in batches:
        started = time.perf_counter()
        made = maps(of)
        seconds.append((time.perf_counter() - started) / len(of))
        found += made[: COMPARED - len(found)]
    cost = cost_of(f"{how}, {draws} draws" if all_draws else how, seconds, 1, flop)
    rate = matrix_rate(model.device, model.model.diffusion.dtype)
    return np.stack(found), replace(cost, more={"share of matrix rate": flop * cost.images_per_second / rate})


# The cost of scoring a retrieval benchmark: `sketchfusion bench metrics`.
#
# Random vectors, as many as there are sketches and photos in the 21 unseen classes of Sketchy-extended. The reference
# scores one sketch at a time and computes each metric from the ranking by its definition.

QUERIES, PHOTOS, CLASSES, WIDTH = 12_694, 10_453, 21, 1280
SCORED_ONE_BY_ONE = 50  # sketches that the reference scores, the first ones
CUTS = (100, 200)
METRICS = ("mAP@all", "mAP@200/min(k,R)", "P@100", "P@200")


def bench_metrics(seed: int, queries: int = QUERIES, photos: int = PHOTOS, width: int = WIDTH) -> list[Cost]:
    """Time scoring one sketch at a time, and `queries` sketches together, against `photos`; each in its own process.

    `largest difference` is the largest between the values that the two ways compute, over all metrics and the first
    `SCORED_ONE_BY_ONE` sketches, the only ones that are also scored one at a time.
    Scoring all together does more: it also computes confidence intervals, chance level and figures per class.
    """
    one_by_one, reference = in_new_process(_score_one_by_one, seed, queries, photos, width)
    scored, cost = in_new_process(_score_together, seed, queries, photos, width)
    apart = max(abs(scored[name][place] - of[name]) for place, of in enumerate(one_by_one) for name in METRICS)
    return with_ratios([reference, replace(cost, more={**cost.more, "largest difference": apart})])


def by_definition(similarity: Floats, relevant: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Compute one query's metrics from similarities (N,) to photos and their relevance (N,); ties keep their order."""
    hits = relevant[np.argsort(-similarity, kind="stable")]
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    found = {"mAP@all": float(precision[hits].sum() / max(hits.sum(), 1))}
    for cut in CUTS:
        found[f"P@{cut}"] = float(hits[:cut].mean())
        limit = max(min(cut, int(hits.sum())), 1)
        found[f"mAP@{cut}/min(k,R)"] = float(precision[:cut][hits[:cut]].sum() / limit)
    return found


def _random_benchmark(seed: int, queries: int, photos: int, width: int) -> tuple[Floats, list[str], Floats, list[str]]:
    """Sample unit vectors around random class centres: vectors and classes of sketches, then those of photos."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((CLASSES, width), np.float32)

    def around(count: int) -> tuple[Floats, list[str]]:
        classes = generator.integers(CLASSES, size=count)
        vectors = centres[classes] + 4 * generator.standard_normal((count, width), np.float32)
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit, [str(number) for number in classes]

    return *around(queries), *around(photos)


def _score_one_by_one(seed: int, queries: int, photos: int, width: int) -> tuple[list[dict[str, float]], Cost]:
    sketches, drawn, gallery, shown = _random_benchmark(seed, queries, photos, width)
    classes, found, seconds = np.array(shown), [], []
    for sketch, label in zip(sketches[:SCORED_ONE_BY_ONE], drawn, strict=False):
        started = time.perf_counter()
        found.append(by_definition(gallery @ sketch, classes == label))
        seconds.append(time.perf_counter() - started)
    return found, cost_of("one sketch after the other", seconds, 1, 2.0 * photos * width)


def _score_together(seed: int, queries: int, photos: int, width: int) -> tuple[Mapping[str, Sequence[float]], Cost]:
    sketches, drawn, gallery, shown = _random_benchmark(seed, queries, photos, width)
    started = time.perf_counter()
    result = score_retrieval(sketches, drawn, gallery, shown, metrics=METRICS)
    seconds = time.perf_counter() - started
    cost = cost_of(f"all {queries}, in chunks", [seconds], queries, 2.0 * photos * width)
    each = {name: estimate.each[:SCORED_ONE_BY_ONE].tolist() for name, estimate in result.metrics.items()}
    return each, replace(cost, more={"seconds": seconds})


# The cost of a training step: `sketchfusion bench train`.
#
# The reference runs the frozen VAE and CLIP on the pictures of every batch; training here runs them once and keeps
# their features. The published code also encodes a picture anew for each noise sample, and stops the gradient before
# the UNet.

THINGS = 2  # instances of each category of Sketch World
TRAIN_CLASSES = 8  # classes in a batch, each with a sketch and a photo
EVERY_STEP, CACHED, LESS_MEMORY = "frozen models run in every step", "their outputs cached", "cached, --checkpointing"


def bench_train(model: str, steps: int, seed: int, progress: Progress, draws: int = DRAWS) -> list[Cost]:
    """Time training steps for retrieval on Sketch World, each way in its own process; pictures are of full size.

    `seconds before` is the time to fill the cache; after `steps until it pays` steps, the cache has saved as much time
    as it took to fill.
    """
    with TemporaryDirectory() as folder:
        asked = in_new_process(_time_train, EVERY_STEP, model, steps, seed, folder, draws)
        progress(1, 5)
        before = in_new_process(_encode_all, model, seed, folder)
        progress(2, 5)
        ways = [CACHED, LESS_MEMORY, RELEASED]
        costs = [asked]
        for number, way in enumerate(ways, start=3):
            count = max(1, steps // 10) if way == RELEASED else steps  # the slowest by far
            costs.append(in_new_process(_time_train, way, model, count, seed, folder, draws))
            progress(number, 5)
    saved = 2 * TRAIN_CLASSES * (asked.milliseconds - costs[1].milliseconds) / 1000  # seconds per step
    more = {"seconds before": before, "steps until it pays": before / saved if saved > 0 else math.inf}
    costs[1] = replace(costs[1], more=costs[1].more | more)
    return with_ratios(costs)


class _ReleasedTraining(Fused):
    """Trains as the published code does: the VAE anew for each noise sample, and no gradient through the UNet."""

    def cached_inputs(self, share: float = 1.0) -> list[FrozenInput]:
        latents, tokens = super().cached_inputs(share)

        def anew(squares: Tensor) -> Tensor:
            return [latents.encode(squares) for _ in range(self.model.config.fusion.ensemble)][-1]

        return [replace(latents, encode=anew), tokens]


def _method_and_pictures(way: str, name: str, seed: int, folder: str, draws: int) -> tuple[Fused, Banks]:
    torch.manual_seed(seed)
    model = model_to_time(name)
    if not isinstance(model, SketchFusion):
        raise ValueError(f"{name} fuses nothing; choose a fused model")
    method = (_ReleasedTraining if way == RELEASED else Fused)(model)
    if way == RELEASED:
        config = with_draws(model, draws).model.config
        model.model.config = replace(config, cut_gradient=True)
    if way == LESS_MEMORY:
        method.checkpoint()
    return method, world_banks(THINGS, model.side, Path(folder), seed)


def _encode_all(model: str, seed: int, folder: str) -> float:
    method, banks = _method_and_pictures(CACHED, model, seed, folder, 1)
    started = time.perf_counter()
    encode = CachedEncoder(method, Path(folder))
    for bank in banks:
        encode([bank], method.model.side)
    encode.keep("all")
    return time.perf_counter() - started


def _time_train(way: str, model: str, steps: int, seed: int, folder: str, draws: int) -> Cost:
    method, banks = _method_and_pictures(way, model, seed, folder, draws)
    encode = CachedEncoder(method, Path(folder))
    sides = [encode([bank], method.model.side) for bank in banks]
    encode.keep("all" if way in (CACHED, LESS_MEMORY) else "nothing")
    pairs, recipe = SketchesAndPhotos(*sides), RetrievalRecipe(classes=TRAIN_CLASSES, seed=seed)
    training = Training(RetrievalObjective(pairs.names, method.width, recipe), pairs, pairs, None)
    ends: list[float] = []

    def run(steps: int) -> None:
        out = Path(folder) / way / f"{steps}"
        train(method, training, replace(recipe, steps=steps), out, report=lambda *_: ends.append(time.perf_counter()))

    trials = 1 + is_card(method.model.device)  # on a GPU `train` tries a batch before the first
    flop = flop_of(lambda: run(1)) / trials
    ends.clear()
    run(steps + 1)  # the first is not timed
    seconds = [after - earlier for earlier, after in pairwise(ends)]
    name, pictures = f"{way}, {draws} draws" if way == RELEASED else way, 2 * TRAIN_CLASSES
    cost = cost_of(name, seconds, pictures, flop / pictures)
    rate = matrix_rate(method.model.device, method.model.model.diffusion.dtype)
    return replace(cost, more={"share of matrix rate": cost.flop * cost.images_per_second / rate})
