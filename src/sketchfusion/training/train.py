"""`sketchfusion train`: light weights for a task, from folders of photos and sketches or from Sketch World."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sketchfusion.training.bank import Bank, world_banks
from sketchfusion.training.cache import Cache, cached, joined
from sketchfusion.training.loop import Report
from sketchfusion.training.pretrain.sources import Sources
from sketchfusion.training.recipes import RetrievalRecipe, with_settings
from sketchfusion.training.retrieval import Pairs, train_retrieval

if TYPE_CHECKING:
    from torch import Tensor

    from sketchfusion.features import SketchFusion

WORLD = "world"
TASKS = ("retrieval",)


def train_task(
    task: str,
    data: list[str],
    out: Path,
    model: str = "mini",
    resume: bool = False,
    settings: dict[str, str] | None = None,
    report: Report | None = None,
) -> SketchFusion:
    """Train the light weights of `task` on the frozen parts of `model` and write them to `out`.

    `data` are roots with photos and sketches in the Sketchy layout, folders of Quick, Draw! ndjson files, folders with
    one sub-folder of photos a class, or "world" for the seen categories of Sketch World. ValueError in one line for
    anything that cannot be trained on.
    """
    from sketchfusion.features import SketchFusion

    if task not in TASKS:
        raise ValueError(f"training for {task!r} is not available; choose one of {', '.join(TASKS)}")
    recipe = with_settings(RetrievalRecipe(), settings or {})
    fused = SketchFusion.untrained(model, task=task)
    photos, sketches = _banks(data, out / "training" / "cache")
    shared = {n for bank in photos for n in bank.by_name} & {n for bank in sketches for n in bank.by_name}
    if len(shared) < 2:
        raise ValueError(f"{', '.join(data)}: fewer than two classes have both photos and sketches to train on")
    photos, sketches = ([bank.named(shared, recipe.per_class) for bank in of] for of in (photos, sketches))

    def pairs(side: int, views: int) -> Pairs:
        return Pairs(
            *(joined([_cached(b, fused, side, views, out, report) for b in of if len(b)]) for of in (photos, sketches))
        )

    small, full = pairs(fused.config.side // 2, recipe.views), pairs(fused.config.side, 1)
    train_retrieval(fused.model, small, full, recipe, out / "training" / task, resume, report)
    fused.save_pretrained(out)
    return fused


def _banks(data: list[str], cache: Path) -> tuple[list[Bank], list[Bank]]:
    roots = [Path(root) for root in data if root != WORLD]
    sources = Sources([r for r in roots if not _is_drawings(r)], roots, cache)
    photos, sketches = [sources.sharp_photos(), sources.small_photos()], [sources.sketches()]
    if WORLD in data:
        world_photos, world_sketches = world_banks(instances=16, side=128, cache=cache)
        photos.append(world_photos)
        sketches.append(world_sketches)
    return photos, sketches


def _is_drawings(root: Path) -> bool:
    return any(root.glob("*.ndjson"))


def _cached(bank: Bank, fused: SketchFusion, side: int, views: int, out: Path, report: Report | None) -> Cache:
    config = fused.config
    low, high = config.vae_range
    folder = out / "training" / "cache"

    def latents(pictures: Tensor) -> Tensor:
        return fused.model.diffusion.encode(pictures.to(fused.device) * (high - low) + low)

    def tokens(pictures: Tensor) -> Tensor:
        dense: Tensor = fused.clip(pictures.to(fused.device), config.clip_layer).dense
        return dense

    def progress(done: int, total: int) -> None:
        if report:
            report(done, total, {})

    asked_vae = f"latents {config.diffusion_hash} {config.vae_range}"
    asked_clip = f"tokens {config.clip_hash} {config.clip_layer}"
    return Cache(
        cached(bank, latents, asked_vae, side, views, folder, progress),
        cached(bank, tokens, asked_clip, side, views, folder, progress),
        bank.names,
    )
