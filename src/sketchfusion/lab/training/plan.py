"""Count what a training of light weights takes, without weights, without a GPU and without writing anything.

The models are made of fake tensors, which have shapes but no contents, so a step of full size runs in seconds. Memory
is that of PyTorch's tensors on a GPU: frozen weights in bfloat16, trained ones in float32, convolutions in bfloat16.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import cache
from itertools import compress
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, register_flop_formula, sdpa_backward_flop, sdpa_flop

from ...backbones.folders import blank_diffusion, blank_encoder
from ...features import FeaturesConfig, SketchFusion
from ...fusion import PASS, PHOTO
from ...world import SEEN
from ..datasets.base import Dataset, Datasets
from ..datasets.psc6k import PSC6K, released_split
from .methods import Fused
from .pooled import WORLD_INSTANCES, WORLD_SKETCHES
from .recipes import CorrespondenceRecipe, changed, halved
from .sources import KINDS, Sources, collect, named
from .train import METHODS, choose

GIB, GB, TERA = 2**30, 10**9, 10**12
CARDS = (24, 48, 80)  # GiB
ROOM = 0.92  # share of a card for tensors; the rest is CUDA's context, workspaces of its libraries, and gaps
SIZES = {"half": 0.5, "full": 1.0}  # of the two phases, in sides
# Copies of a map in float32 that standardisation and losses keep for the backward pass.
COPIES = {"retrieval": 3, "instance-retrieval": 3, "recognition": 3, "correspondence": 4, "segmentation": 5}
CHECKPOINT_BYTES = 28  # of a trained weight: itself and its two moments while one file replaces another, and the best
# Attention on a CPU is counted as on a GPU.
aten = torch.ops.aten
register_flop_formula(aten._scaled_dot_product_flash_attention_for_cpu, True)(sdpa_flop)
register_flop_formula(aten._scaled_dot_product_flash_attention_for_cpu_backward, True)(sdpa_backward_flop)


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up FLOP, and the bytes of new tensors that are alive; `peak` is the largest sum of these."""

    def __init__(self, module: nn.Module) -> None:
        """Leave out the weights of a module."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop = self.now = self.peak = 0
        self._known = {of.untyped_storage()._cdata for of in (*module.parameters(), *module.buffers())}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.flop += count(*args, **(kwargs or {}), out_val=result)
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage())._cdata not in self._known:
                self._known.add(storage._cdata)
                weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
        return result

    def _free(self, storage: int, size: int) -> None:
        self._known.discard(storage)
        self.now -= size


def saved_bytes(forward: Callable[[], Tensor], module: nn.Module) -> tuple[Tensor, int]:
    """Return a result, and the bytes of the tensors other than a module's weights that are kept for its gradient."""
    weights = {of.untyped_storage()._cdata for of in module.parameters()}  # a transposed one is no Parameter
    kept = weakref.WeakSet[Callable[[], Tensor]]()  # what the result does not need is gone once it is there

    def keep(tensor: Tensor) -> Callable[[], Tensor]:
        def found() -> Tensor:
            return tensor

        kept.add(found)
        return found

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda found: found()):
        result = forward()
    storages = {(storage := found().untyped_storage())._cdata: storage.nbytes() for found in kept}
    return result, sum(size for storage, size in storages.items() if storage not in weights)


class Counted:
    """The models of a configuration as fake tensors: on a GPU, or in float32 throughout."""

    def __init__(self, config: FeaturesConfig, bf16: bool = True) -> None:
        """Make them; WeightsError for models that are neither known by size nor in a folder."""
        self.bf16, self._fake = bf16, FakeTensorMode(allow_non_fake_inputs=True)
        frozen = blank_diffusion(config.diffusion), blank_encoder(config.clip)
        dtype = torch.bfloat16 if bf16 else torch.float32
        with self._fake:
            for part in (part for of in frozen for part in of.modules()):
                for name, of in part.named_parameters(recurse=False):
                    setattr(part, name, nn.Parameter(torch.empty(of.shape, dtype=dtype), requires_grad=False))
                for name, buffer in part.named_buffers(recurse=False):
                    kept = dtype if buffer.is_floating_point() else buffer.dtype
                    part._buffers[name] = torch.empty(buffer.shape, dtype=kept)
            self.method = Fused(SketchFusion(*frozen, config))
        self.weights = sum(of.numel() for part in frozen for of in part.parameters())
        self.trained = sum(of.numel() for of in self.method.trained.parameters())
        for part in self.method.trained.modules():
            if isinstance(part, nn.GroupNorm):  # in float32 under autocast on a GPU, but not on a CPU
                part.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))

    def keeping(self, share: float) -> tuple[list[tuple[int, ...]], list[float]]:
        """Return the shape of each thing kept of a view for a share of the full side, and the FLOP of making it."""
        side, shapes, flop = self.method.model.side, list[tuple[int, ...]](), list[float]()
        for of in self.method.cached_inputs(share):
            with self._fake, torch.no_grad(), Live(self.method.model.model) as live:
                shapes.append(tuple(map(int, of.encode(torch.zeros(1, 3, side, side)).shape[1:])))
            flop.append(live.flop)
        return shapes, flop

    def step(self, shapes: Sequence[tuple[int, ...]]) -> tuple[float, float, float]:
        """Return a picture's bytes saved for the backward pass, its further bytes at the peak, and its FLOP."""
        fusion, count = self.method.model.model.train(), max(1, PASS // self.method.model.config.fusion.ensemble)

        def forward() -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                return self.method.maps(inputs, PHOTO)

        with self._fake:
            inputs = tuple(torch.zeros(count, *shape) for shape in shapes)
            with Live(fusion) as live:
                maps, saved = saved_bytes(forward, fusion)
                torch.autograd.backward(maps, torch.empty_like(maps))
                fusion.zero_grad(set_to_none=True)
        return saved / count, max(0, live.peak - 4 * self.trained - saved) / count, live.flop / count


def parts_of(task: str, recipe: Any) -> dict[str, Any]:
    """Return the recipe of each task that a step is made of."""
    return {of: getattr(recipe, of.replace("-", "_")) for of in COPIES} if task == "universal" else {task: recipe}


def batch_bytes(parts: Mapping[str, Any], saved: float, more: float, numbers: float) -> tuple[int, float, float]:
    """Return how many pictures a batch has, the bytes that it saves for the backward pass, and those at its peak.

    `saved` and `more` are one picture's, as `step` returns them; `numbers` is how many numbers a map has.
    """
    each = {of: getattr(its, "batch", 0) or its.classes * getattr(its, "things", 1) for of, its in parts.items()}
    both = {task: count if task == "recognition" else 2 * count for task, count in each.items()}
    kept = sum(count * (saved + 4 * COPIES[task] * numbers) for task, count in both.items())
    return sum(both.values()), kept, kept + more * max(each.values())


def kept_views(task: str, recipe: Any, sources: Sources, by_name: Sequence[Counter[str]]) -> tuple[int, int]:
    """Return at most how many views are kept at half and at full size, given how many pictures each name has."""
    (photos, sketches), world = by_name, 2 * len(SEEN) * world_things(task, recipe) if sources.has_world else 0
    paired = [of.total() for of in listed(sources.with_instances)]

    def most(of: Counter[str], count: int, names: Container[str]) -> int:
        return sum(min(count or found, found) for name, found in of.items() if name in names)

    if task == "retrieval":
        sizes = recipe.per_class, recipe.full_per_class
        half, full = (most(photos, of, sketches) + most(sketches, of, photos) + world for of in sizes)
        return recipe.views * half, full
    if task == "instance-retrieval":
        full = sum(paired) + world
    elif task == "recognition":
        full = most(sketches, recipe.per_class, sketches) + world // 2
    elif task == "correspondence":
        annotated = (of.keypoints or of for of in sources.photo_sets)
        marked = sum(len(released_split(of.test_pairs())[0]) for of in annotated if isinstance(of, PSC6K))
        full = 2 * (made_sketches(recipe, photos, paired[1]) + marked) + world
    else:
        full = paired[0] + sum(len(of.pairs()) for of in sources.masked) + world
        full += most(sketches, recipe.per_class, sketches)
    return getattr(recipe, "views", 1) * full, full


def made_sketches(recipe: CorrespondenceRecipe, photos: Counter[str], aligned: int) -> int:
    """Return at most how many sketches are warped, and drawn of photos; `aligned` are the freehand ones there are."""
    traced = sum(min(recipe.drawn, found) for found in photos.values())
    return min(photos.total(), recipe.warps) + traced + min(aligned, recipe.aligned)


def world_things(task: str, recipe: Any) -> int:
    """Return how many things of each category of Sketch World a task takes."""
    if task in ("retrieval", "recognition"):
        return WORLD_INSTANCES if task == "retrieval" else recipe.per_class or WORLD_SKETCHES
    return int(recipe.per_class if task == "instance-retrieval" else recipe.things)


def decoded_bytes(parts: Mapping[str, Any], sources: Sources, by_name: Sequence[Counter[str]], side: int) -> int:
    """Return at most what all tasks' pictures and masks take, given how many pictures each name has.

    Pairs are decoded once more, by the names of their photos, and photos with masks too. What is made of pictures, or
    drawn by Sketch World, comes in smaller numbers to validate on.
    """
    photos, sketches = (of.total() for of in by_name)
    paired = [of.total() for of in listed(sources.with_instances)]
    matched = parts.get("correspondence")
    channels = (3 * photos + sketches) * bool({*parts} - {"instance-retrieval"})
    if "instance-retrieval" in parts or (matched and matched.aligned):
        channels += 3 * paired[0] + paired[1]
    if matched:
        channels += made_sketches(matched, by_name[0], paired[1]) * 11 // 10
    if "segmentation" in parts:
        channels += 4 * (paired[0] + sum(len(of.pairs()) for of in sources.masked))
    if sources.has_world:
        channels += 5 * len(SEEN) * sum(world_things(*part) for part in parts.items())
    return side**2 * channels


def listed(datasets: Datasets) -> list[Counter[str]]:
    """Count photos, and sketches, by name, held-out ones too; files are listed, not read."""
    kinds = zip((Counter[str](), Counter[str]()), *map(_listed, datasets), strict=True)
    return [sum(kind, Counter()) for kind in kinds]


@cache  # a listing of Sketchy-extended takes seconds
def _listed(dataset: Dataset) -> list[Counter[str]]:
    parts = {kind: (collect([dataset], kind), collect([dataset], kind, kept_out=True)) for kind in KINDS}
    return [Counter(picture.names[0] for of in kept for picture in of) for kept in parts.values()]


def describe(
    task: str, data: Datasets, model: str, settings: Mapping[str, str], method: str, tflops: float, recipe_name: str
) -> Iterator[str]:
    """Yield, line by line, what `train_task` would take on a GPU; ValueError for what cannot be trained, or counted."""
    recipe, of_method = choose(task, method, settings, recipe_name)
    if METHODS[method] is not Fused:
        raise ValueError(f"--plan counts SketchFusion, not {method}")
    config, parts, sources = Fused.configure(model, task, of_method), parts_of(task, recipe), Sources.of(data, Path())
    pictures = listed(named(sources.pictures.photo_sets))
    views = [sum(of) for of in zip(*(kept_views(*part, sources, pictures) for part in parts.items()), strict=True)]
    views[0] *= recipe.full_size_after > 0  # else no step is at half size
    models = Counted(config)
    keeping = [models.keeping(share) for share in SIZES.values()]
    ways = {"": [models.step(shapes) for shapes, _ in keeping]}
    models.method.checkpoint()
    ways[" --checkpointing"] = [models.step(shapes) for shapes, _ in keeping]
    cells = [config.fusion.width * models.method.grid(share) ** 2 for share in SIZES.values()]
    fixed, side = 2 * models.weights + 16 * models.trained, models.method.model.side
    batch = batch_bytes(parts, 0, 0, 0)[0]
    yield f"{task} with {config.diffusion} and {config.clip} at {config.side} px; a batch has {batch} pictures"
    yield f"weights: {models.weights:,} frozen in bfloat16, {models.trained:,} trained without classifier and threshold"
    yield f"weights, gradients and AdamW's moments: {fixed / GIB:.2f} GiB"
    for way, place, size in ((way, *size) for way in ways for size in enumerate(SIZES)):
        saved, more, flop = ways[way][place]
        _, saved, peak = (of / batch / GIB for of in batch_bytes(parts, saved, more, cells[place]))
        yield f"a picture at {size} size{way}: {saved:.3f} GiB saved, {peak:.3f} at the peak, {flop / TERA:.3f} TFLOP"
    for card, way, (saved, more, _) in ((card, way, full) for card in CARDS for way, (_, full) in ways.items()):
        tried, room = recipe, ROOM * card * GIB - fixed
        while (peak := batch_bytes(parts_of(task, tried), saved, more, cells[1])[2]) > room and (less := halved(tried)):
            tried = less
        fits = " ".join(changed(recipe, tried)) or "the batch as it is"
        yield f"{card} GiB{way}: {fits if peak <= room else 'not even the smallest'}, {(fixed + peak) / GIB:.1f} GiB"
    small = [of.small for of in models.method.cached_inputs()]
    kept = [
        sum(2 * count * sum(map(prod, compress(of, which))) for count, (of, _) in zip(views, keeping, strict=True)) / GB
        for which in ([True] * len(small), small)
    ]
    decoded = decoded_bytes(parts, sources, pictures, side) / GB
    yield f"disk: at most {kept[0]:.1f} GB with --keep all, {kept[1]:.1f} with latents, 0 with nothing,"
    yield f"  for {views[0]:,} views at half and {views[1]:,} at full size;"
    yield f"  {decoded:.1f} GB for pictures as arrays, {CHECKPOINT_BYTES * models.trained / GB:.2f} GB for checkpoints"
    making = [flop for _, flop in keeping]
    made = sum(count * sum(flop) for count, flop in zip(views, making, strict=True)) / TERA
    once = sum(count * sum(compress(flop, small)) for count, flop in zip(views, making, strict=True)) / TERA
    half_anew, full_anew = (sum(of for of, kept in zip(flop, small, strict=True) if not kept) for flop in making)
    validated = recipe.steps // (recipe.validate_every or recipe.steps + 1) * recipe.validation_batches
    for way, ((*_, half), (*_, full)) in ways.items():
        taken, share = recipe.accumulate * batch, recipe.full_size_after
        step = taken * (share * half + (1 - share) * full) / TERA
        flop = recipe.steps * step + validated * batch * full / TERA / 2  # forward alone: half of a step
        anew = recipe.steps * taken * (share * half_anew + (1 - share) * full_anew) + validated * batch * full_anew
        hours = [of / tflops / 3600 for of in (made + flop, once + flop + anew / TERA)]
        yield f"time{way}: {hours[0]:.2f} h at {tflops:g} TFLOP/s with --keep all, {hours[1]:.2f} with latents,"
        yield f"  {recipe.steps} steps of {step:.1f} TFLOP, and {made:.0f} TFLOP for all that is kept"
