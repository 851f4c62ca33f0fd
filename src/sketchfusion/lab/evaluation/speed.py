"""Benchmarks of extraction, metrics and training, each against a reference measured in the same run."""

from __future__ import annotations

import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ...backbones.encoders import resize_square
from ...extractor import stack
from ...featuremap import Floats
from ...features import SketchFusion
from ...fusion import kind_indices
from ...models import load
from ..datasets.world import SketchWorld
from ..training.bank import FeatureCache, Inputs, PictureArray, around_strokes, world_banks
from ..training.methods import CachedEncoder, Fused, Method
from ..training.objective import Phases, Training
from ..training.recipes import RetrievalRecipe
from ..training.retrieval import RetrievalObjective, SketchesAndPhotos
from ..training.train import train
from .retrieval import Progress, score_retrieval

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """Speed and memory of one way of doing something, compared with those of a reference.

    A unit of work is a picture, a sketch, a row or a search, whichever is measured.
    """

    name: str
    images_per_second: float  # or other units of work per second
    milliseconds: float  # per unit: the median over repetitions, or the mean where all are done at once
    peak_bytes: int  # peak resident memory of its process; GPU memory is not counted
    flop: float  # floating-point operations per unit; 0 if not counted
    ratio: float  # its speed divided by the speed of the reference
    more: dict[str, float] = field(default_factory=dict)  # further figures


def cost_of(name: str, seconds: Sequence[float], each: float, flop: float = 0.0) -> Cost:
    """Compute the cost of work done in this process: repetitions that took `seconds`, of `each` units of work.

    The ratio is 1 until `with_ratios` sets it.
    """
    middle = statistics.median(seconds) / each
    return Cost(name, 1 / middle, 1000 * middle, peak_bytes(), flop, 1.0)


def with_ratios(costs: Sequence[Cost]) -> list[Cost]:
    """Set each ratio to the speed divided by the speed of the first cost, the reference."""
    return [replace(cost, ratio=costs[0].milliseconds / cost.milliseconds) for cost in costs]


def in_new_process(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of a module's top level in a new process, so that the peak memory measured is only its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(function, *arguments).result()


def flop_of(call: Callable[[], object]) -> float:
    """Count the floating-point operations of a call in torch, a multiplication and an addition as two.

    Attention is computed unfused here, as the fused CPU kernel would not be counted.
    """
    with FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
        call()
    return float(counted.get_total_flops())


def peak_bytes() -> int:
    """Read the peak resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage counts the parent of a new process too, as it was at the fork
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# The cost of dense features: `sketchfusion bench extract`.
#
# The reference follows the authors' published code: one picture at a time, and the VAE encodes it again for each noise
# sample.


DRAWS = 4  # noise samples whose features are averaged
BATCH = 8
COMPARED = 8  # pictures whose maps are compared with the reference's
PLAIN = "the VAE anew for each draw"
# Name of the way, batch size, noise samples.
WAYS = (
    (PLAIN, 1, DRAWS),
    ("nothing twice", 1, DRAWS),
    ("in batches", BATCH, DRAWS),
    ("in batches, one draw", BATCH, 1),
)


def bench_extract(model: str, pictures: int, seed: int, progress: Progress) -> list[Cost]:
    """Time the extraction of dense maps from photos of Sketch World in each of `WAYS`, each in its own process.

    `cosine` is the mean cosine similarity between cells of a way's maps and of the reference's: 1 if they are equal.
    ValueError for a model that is not fused, or that samples latents anew at every call.
    """
    costs: list[Cost] = []
    reference: npt.NDArray[np.float32] = np.empty(0, np.float32)
    for number, way in enumerate(WAYS, start=1):
        maps, cost = in_new_process(_time_extract, way, model, pictures, seed)
        reference = maps if way[0] == PLAIN else reference
        lengths = np.linalg.norm(maps, axis=1) * np.linalg.norm(reference, axis=1)
        alike = (maps * reference).sum(axis=1) / np.maximum(lengths, 1e-12)
        costs.append(replace(cost, more={"cosine": float(alike.mean())}))
        progress(number, len(WAYS))
    return with_ratios(costs)


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


def with_draws(model: SketchFusion, draws: int) -> SketchFusion:
    """Set the number of noise samples that a model averages over, in place."""
    fusion = replace(model.config.fusion, ensemble=draws)
    model.config, model.model.config = replace(model.config, fusion=fusion), fusion
    return model


def _time_extract(way: tuple[str, int, int], name: str, pictures: int, seed: int) -> tuple[Floats, Cost]:
    how, batch, draws = way
    loaded = load(name)
    if not isinstance(loaded, SketchFusion) or loaded.config.sample_latents:
        raise ValueError(f"{name} fuses nothing, or sees fresh noise at every call; choose a fused model that repeats")
    model, world = with_draws(loaded, draws), SketchWorld(seed).world
    photos = [world.photo(world.categories[n % len(world.categories)], n).photo for n in range(pictures)]

    def maps(of: list[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.float32]]:
        if how == PLAIN:
            return [reference_maps(model, photo)[0].float().cpu().numpy() for photo in of]
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


# The cost of scoring a retrieval benchmark: `sketchfusion bench metrics`.
#
# Random vectors, as many as there are sketches and photos in the 21 unseen classes of Sketchy-extended. The reference
# scores one sketch at a time and computes each metric from the ranking by its definition.


QUERIES, PHOTOS, CLASSES, WIDTH = 12_694, 10_453, 21, 1280
METRICS_PLAIN = 50  # sketches that the reference scores, the first ones
CUTS = (100, 200)
METRICS = ("mAP@all", "mAP@200/min(k,R)", "P@100", "P@200")


def bench_metrics(seed: int, queries: int = QUERIES, photos: int = PHOTOS, width: int = WIDTH) -> list[Cost]:
    """Time scoring one sketch at a time, and `queries` sketches together, against `photos`; each in its own process.

    `largest difference` is the largest between the values that the two ways compute, over all metrics and the first
    `METRICS_PLAIN` sketches, the only ones that are also scored one at a time.
    Scoring all together does more: it also computes confidence intervals, chance level and figures per class.
    """
    by_definition, reference = in_new_process(_score_one_by_one, seed, queries, photos, width)
    scored, cost = in_new_process(_score_together, seed, queries, photos, width)
    apart = max(abs(scored[name][place] - of[name]) for place, of in enumerate(by_definition) for name in METRICS)
    return with_ratios([reference, replace(cost, more={**cost.more, "largest difference": apart})])


def by_definition(similarity: Floats, relevant: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Compute the metrics of one query from its similarities (N,) to photos and which are relevant (N,).

    Photos of equal similarity keep their order.
    """
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
    for sketch, label in zip(sketches[:METRICS_PLAIN], drawn, strict=False):
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
    each = {name: estimate.each[:METRICS_PLAIN].tolist() for name, estimate in result.metrics.items()}
    return each, replace(cost, more={"seconds": seconds})


# The cost of a training step: `sketchfusion bench train`.
#
# The reference runs the frozen VAE and CLIP on the pictures of every batch, as the authors' published code does;
# training here runs them once and caches their features.


THINGS = 2  # instances of each category of Sketch World
TRAIN_CLASSES = 8  # classes in a batch, each with a sketch and a photo
EVERY_STEP, CACHED = "frozen models asked in every step", "what they said kept"


@dataclass(frozen=True)
class UncachedFeatures:
    """A stand-in for a `FeatureCache` that runs the frozen models on every batch instead of caching their features."""

    bank: PictureArray
    method: Method[Any]

    @property
    def by_name(self) -> dict[str, list[int]]:
        """Indices of the pictures of each name."""
        return self.bank.by_name

    def draw_named(self, wanted: list[str], generator: Generator) -> Inputs:
        """Compute the features of a random picture for each name of `wanted`."""
        pictures, _ = self.bank.draw_named(wanted, generator)
        if self.bank.kind == "sketch":
            pictures = torch.stack([around_strokes(page) for page in pictures])
        with torch.no_grad():
            return Inputs(tuple(ask(pictures.expand(-1, 3, -1, -1)) for ask in self.method.cached_inputs().values()))


def bench_train(model: str, steps: int, seed: int, progress: Progress) -> list[Cost]:
    """Time training steps for retrieval on Sketch World without and with cached features, each in its own process.

    Pictures are of full size. `seconds before` is the time to fill the cache; after `steps until it pays` steps, the
    cache has saved as much time as it took to fill.
    """
    with TemporaryDirectory() as folder:
        asked = in_new_process(_time_train, EVERY_STEP, model, steps, seed, folder)
        progress(1, 3)
        before = in_new_process(_encode_all, model, seed, folder)
        progress(2, 3)
        kept = in_new_process(_time_train, CACHED, model, steps, seed, folder)
        progress(3, 3)
    saved = 2 * TRAIN_CLASSES * (asked.milliseconds - kept.milliseconds) / 1000  # seconds per step
    more = {"seconds before": before, "steps until it pays": before / saved if saved > 0 else math.inf}
    return with_ratios([asked, replace(kept, more=more)])


def _method_and_pictures(model: str, seed: int, folder: str) -> tuple[Fused, tuple[PictureArray, PictureArray]]:
    torch.manual_seed(seed)
    method = Fused.create(model, "retrieval", {}, None)
    return method, world_banks(THINGS, method.model.side, Path(folder), seed)


def _encode_all(model: str, seed: int, folder: str) -> float:
    method, banks = _method_and_pictures(model, seed, folder)
    started = time.perf_counter()
    for bank in banks:
        CachedEncoder(method, Path(folder))([bank], method.model.side)
    return time.perf_counter() - started


def _time_train(way: str, model: str, steps: int, seed: int, folder: str) -> Cost:
    method, banks = _method_and_pictures(model, seed, folder)
    if way == EVERY_STEP:
        sides = [cast(FeatureCache, UncachedFeatures(bank.on(method.model.device), method)) for bank in banks]
    else:
        sides = [CachedEncoder(method, Path(folder))([bank], method.model.side) for bank in banks]
    pairs, recipe = SketchesAndPhotos(*sides), RetrievalRecipe(classes=TRAIN_CLASSES, seed=seed)
    training = Training(RetrievalObjective(pairs.names, method.width, recipe), Phases(pairs, pairs, None))
    ends: list[float] = []

    def run(steps: int) -> None:
        out = Path(folder) / way / f"{steps}"
        train(method, training, replace(recipe, steps=steps), out, report=lambda *_: ends.append(time.perf_counter()))

    flop = flop_of(lambda: run(1))
    ends.clear()
    run(steps + 1)  # the first is not timed
    seconds = [after - earlier for earlier, after in pairwise(ends)]
    return cost_of(way, seconds, 2 * TRAIN_CLASSES, flop / (2 * TRAIN_CLASSES))
