"""The stages of pretraining: VAE, its decoder again, the diffusion model that builds on it; CLIP and DINO."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args

from ....extractor import pick_device
from ...datasets import Dataset
from .. import recipes
from ..log import draw_curves
from ..loop import Report
from ..sources import Sources

Stage = Literal["vae", "vae-decoder", "clip", "convolutional-clip", "diffusion", "dino"]
STAGES: tuple[Stage, ...] = get_args(Stage)


def run(
    stage: Stage,
    budget: recipes.Budget,
    photos: Sequence[Dataset],
    sketches: Sequence[Dataset],
    out: Path,
    start: Path | None = None,
    resume: bool = False,
    steps: int | None = None,
    teacher_steps: int | None = None,
    report: Report | None = None,
    sentences: str = "all-minilm-l6-v2",
    texts: list[Path] | None = None,
) -> dict[str, float]:
    """Train one part of the mini model, write it to `out` in the hub layout and return its figures.

    Training starts from the weights of the model folder `start`, or from random ones.
    `steps` replaces the length of the recipe's schedule, `teacher_steps` that of its teacher; both lift the time limit
    of the recipes for a GPU. Figures and settings are added to `out/card.json`.
    The convolutional CLIP starts from an EfficientNet-Lite, by name or as a .pth file; its text tower learns the names
    of the pictures and the lines of the files `texts` from the sentence encoder `sentences`.
    ValueError if a part that the stage builds on is missing, or folders of sketches, which only DINO does without.
    """
    if not sketches and stage in STAGES and stage != "dino":
        raise ValueError(f"{stage} learns from sketches too: give folders of them")
    sources = Sources(photos, sketches, out / "training" / "cache", device=pick_device())
    if stage == "vae":
        from .vae import pretrain_vae

        vae = _with_steps(recipes.VAE[budget], steps)
        return _noted(out, stage, vae, pretrain_vae(sources, vae, out, start, resume, report))
    if stage == "vae-decoder":
        from .vae import pretrain_decoder

        _needs((start or out) / "sd" / "vae", "vae")
        decoder = _with_steps(recipes.DECODER[budget], steps)
        return _noted(out, stage, decoder, pretrain_decoder(sources, decoder, out, start, resume, report))
    if stage == "clip":
        from .clip import pretrain_clip

        clip = _with_teacher(_with_steps(recipes.CLIP[budget], steps), teacher_steps)
        return _noted(out, stage, clip, pretrain_clip(sources, clip, out, start, resume, report))
    if stage == "convolutional-clip":
        from .tower import START, STORED, pretrain_convolutional_clip

        tower = _with_steps(recipes.TOWER[budget], steps)
        words = _with_steps(recipes.WORDS[budget], teacher_steps)
        lines = [line.strip() for file in texts or [] for line in file.read_text(encoding="utf-8").splitlines()]
        convolutional = pretrain_convolutional_clip(
            dataclasses.replace(sources, stored=STORED),
            tower,
            words,
            out,
            str(start or START),
            sentences,
            [line for line in lines if line],
            resume,
            report,
        )
        return _noted(out, stage, tower, convolutional)
    if stage == "diffusion":
        from .diffusion import draw_samples, pretrain_diffusion

        _needs(out / "sd" / "vae", "vae")
        diffusion = _with_teacher(_with_steps(recipes.DIFFUSION[budget], steps), teacher_steps)
        figures = pretrain_diffusion(sources, diffusion, out, start, resume, report)
        draw_samples(out / "sd", out / "training" / stage / "samples.png")
        return _noted(out, stage, diffusion, figures)
    if stage == "dino":
        from .dino import pretrain_dino

        dino = _with_steps(recipes.DINO[budget], steps)
        return _noted(out, stage, dino, pretrain_dino(sources, dino, out, start, resume, report))
    raise ValueError(f"{stage!r} is not a stage of pretraining; choose one of {', '.join(STAGES)}")


Recipe = TypeVar(
    "Recipe",
    recipes.VaeRecipe,
    recipes.DecoderRecipe,
    recipes.TeacherRecipe,
    recipes.ClipRecipe,
    recipes.TowerRecipe,
    recipes.WordsRecipe,
    recipes.DiffusionRecipe,
    recipes.DinoRecipe,
)
Taught = TypeVar("Taught", recipes.ClipRecipe, recipes.DiffusionRecipe)


def _with_steps(recipe: Recipe, steps: int | None) -> Recipe:
    if steps is None:
        return recipe
    return dataclasses.replace(recipe, schedule=dataclasses.replace(recipe.schedule, steps=steps, seconds=0.0))


def _with_teacher(recipe: Taught, steps: int | None) -> Taught:
    return dataclasses.replace(recipe, teacher=_with_steps(recipe.teacher, steps))


def _needs(folder: Path, stage: str) -> None:
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is missing: run `sketchfusion pretrain {stage}` with the same --out first")


def _noted(out: Path, stage: str, recipe: object, figures: dict[str, float]) -> dict[str, float]:
    draw_curves(out / "training" / stage / "log.csv", out / "training" / stage / "curve.svg")
    path = out / "card.json"
    card = json.loads(path.read_text()) if path.is_file() else {}
    card[stage] = {"recipe": dataclasses.asdict(recipe), "figures": figures}  # type: ignore[call-overload]
    path.write_text(json.dumps(card, indent=2) + "\n")
    return figures
