"""The stages of pretraining: VAE, CLIP, the diffusion model that builds on both, and DINO."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ....extractor import pick_device
from ...datasets.base import Datasets
from .. import recipes
from ..log import draw_curves
from ..loop import Report
from ..recipes import Budget
from ..sources import Sources
from .diffusion import draw_samples, pretrain_diffusion, pretrain_vae
from .dino import pretrain_dino
from .tower import START, STORED, pretrain_convolutional_clip

# The recipes of each stage, and the function that trains it.
STAGES: dict[str, tuple[Mapping[Budget, Any], Callable[..., dict[str, float]]]] = {
    "vae": (recipes.VAE, pretrain_vae),
    "clip": (recipes.TOWER, pretrain_convolutional_clip),
    "diffusion": (recipes.DIFFUSION, pretrain_diffusion),
    "dino": (recipes.DINO, pretrain_dino),
}


def run(
    stage: str,
    budget: Budget,
    photos: Datasets,
    sketches: Datasets,
    out: Path,
    start: Path | None = None,
    resume: bool = False,
    steps: int | None = None,
    text_steps: int | None = None,
    report: Report = None,
    sentences: str = "all-minilm-l6-v2",
    texts: list[Path] | None = None,
) -> dict[str, float]:
    """Train one part of the mini model, write it to `out` in the hub layout and return its figures.

    Training starts from the weights of the model folder `start`, or from random ones.
    CLIP starts from an EfficientNet-Lite instead, by name, as a .pth file or as the tower.safetensors of another run.
    Its text tower learns the names of the pictures and the lines of the files `texts` from the encoder `sentences`.
    `steps` replaces the length of the recipe's schedule, `text_steps` that of CLIP's text tower; both lift the time
    limit of the recipes for a GPU. Figures and settings are added to `out/card.json`.
    ValueError if a part that the stage builds on is missing, or folders of sketches, which only DINO does without.
    """
    if stage not in STAGES:
        raise ValueError(f"{stage!r} is not a stage of pretraining; choose one of {', '.join(STAGES)}")
    if not sketches and stage != "dino":
        raise ValueError(f"{stage} learns from sketches too: give folders of them")
    for part in ("sd/vae", "clip") if stage == "diffusion" else ():
        if not (out / part / "config.json").is_file():
            needed = part.rpartition("/")[2]
            raise ValueError(f"{out / part} is missing: run `sketchfusion pretrain {needed}` with the same --out first")
    of_budget, train = STAGES[stage]
    recipe = _with_steps(of_budget[budget], steps)
    sources = Sources(photos, sketches, out / "training" / "cache", device=pick_device())
    if stage == "clip":
        sources, words = replace(sources, stored=STORED), _with_steps(recipes.WORDS[budget], text_steps)
        read = (line.strip() for file in texts or [] for line in file.read_text(encoding="utf-8").splitlines())
        lines = [line for line in read if line]
        figures = train(sources, recipe, words, out, str(start or START), sentences, lines, resume, report)
    else:
        figures = train(sources, recipe, out, start, resume, report)
    folder = out / "training" / stage
    if stage == "diffusion":
        draw_samples(out / "sd", folder / "samples.png")
    draw_curves(folder / "log.csv", folder / "curve.svg")
    path = out / "card.json"
    card = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**card, stage: {"recipe": asdict(recipe), "figures": figures}}, indent=2) + "\n")
    return figures


def _with_steps(recipe: Any, steps: int | None) -> Any:
    """Return a recipe with another number of steps and without a time limit, unless `steps` is None."""
    return recipe if steps is None else replace(recipe, schedule=replace(recipe.schedule, steps=steps, seconds=0.0))
