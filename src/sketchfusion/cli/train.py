"""Commands for training: world, pretrain, train, convert."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from . import terminal
from .terminal import Data, app

Keep = Annotated[
    Literal["all", "latents", "nothing"] | None,
    typer.Option(help="Frozen features kept on disk; others are computed for every batch. By default as many as fit."),
]
Checkpointing = Annotated[bool, typer.Option("--checkpointing", help="Less memory, more time: compute features twice.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value: override a setting of the recipe.")]
Where = Annotated[str | None, typer.Option("--device", help="Such as cuda:1, by default the best; not with torchrun.")]
Precision = Annotated[
    Literal["bfloat16", "float32"] | None,
    typer.Option("--dtype", help="Of the frozen models; by default bfloat16 on a GPU, float32 on a CPU."),
]
TRAINED = "retrieval, instance-retrieval, recognition, correspondence, segmentation, universal or distill"


@app.command()
def world(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    seed: int = 0,
    categories: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    split: Annotated[str, typer.Option(help="seen, unseen or all.")] = "all",
    instances: Annotated[int, typer.Option(min=1, help="Instances of each category.")] = 10,
    size: Annotated[int, typer.Option(help="Pixels of a side.")] = 128,
    of_photo: Annotated[
        bool, typer.Option("--of-photo", help="Sketches have the photo's pose and roughly its view, as Sketchy's do.")
    ] = False,
) -> None:
    """Write Sketch World in Sketchy's layout, with masks, keypoints and strokes."""
    from ..world import export

    named = [name for item in categories for name in item.split(",")] if categories else None
    with terminal.progress_bar("drawing") as progress:
        card = export(out, seed, named, split, instances, size, of_photo=of_photo, progress=progress)
    typer.echo(
        f"{out}: {card['photos']} photos and {card['sketches']} sketches of {len(card['categories'])} categories"
    )


@app.command()
def pretrain(
    stage: Annotated[Literal["vae", "clip", "diffusion", "dino"], typer.Argument(metavar="STAGE")],
    photos: Annotated[list[Path], typer.Option(help="Folders of photos.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    sketches: Annotated[list[Path] | None, typer.Option(help="Folders of sketches; not for dino.")] = None,
    budget: Annotated[Literal["cpu", "gpu"], typer.Option(help="The recipe for a CPU or a GPU.")] = "cpu",
    start: Annotated[
        Path | None, typer.Option(help="Initial weights, a folder; for clip a file too, or efficientnet-lite0, 1 or 2.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps, instead of the recipe's.")] = None,
    text_steps: Annotated[int | None, typer.Option(min=1, help="Number of steps of CLIP's text tower.")] = None,
    sentences: Annotated[
        str, typer.Option(help="Sentence encoder that teaches CLIP words: a package, or a folder.")
    ] = "all-minilm-l6-v2",
    texts: Annotated[list[Path] | None, typer.Option(help="Files of more texts for it, one per line.")] = None,
) -> None:
    """Pretrain one part of the mini model."""
    from ..lab import datasets
    from ..lab.training.pretrain.run import run

    photo_sets, sketch_sets = ([datasets.open(root) for root in roots] for roots in (photos, sketches or []))
    with terminal.loss_bar(f"pretraining {stage}") as report:
        options = (start, resume, steps, text_steps, report, sentences, texts)
        figures = run(stage, budget, photo_sets, sketch_sets, out, *options)
    terminal.print_json(figures)


@app.command()
def train(
    task: Annotated[str, typer.Argument(metavar="TASK", help=TRAINED)],
    data: Data,
    out: Annotated[Path | None, typer.Option(help="The folder to write; not needed with --plan.")] = None,
    model: Annotated[str, typer.Option(help="Frozen models: a name, SD+CLIP, a folder, or scratch.")] = "mini",
    method: Annotated[str, typer.Option(help="SketchFusion, SD-PL or B-Finetuning.")] = "SketchFusion",
    recipe: Annotated[str, typer.Option(help=terminal.RECIPE)] = "mini",
    start: Annotated[Path | None, typer.Option(help="Folder with initial light weights.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for the frozen features; tasks may share it.")] = None,
    keep: Keep = None,
    checkpointing: Checkpointing = False,
    device: Where = None,
    dtype: Precision = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = False,
    settings: Settings = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what it would take on a GPU.")] = False,
    tflops: Annotated[float, typer.Option(min=0.1, help="Speed of the GPU for --plan, TFLOP/s.")] = 100.0,
) -> None:
    """Train a method for a task; with retrieval --model scratch, the baseline CNN from random weights.

    distill trains a student: a small network that gives the features of --model without a diffusion model.
    """
    import torch

    from ..lab import datasets
    from ..lab.training.recipes import with_settings

    chosen = dict(parse_setting(setting) for setting in settings or [])
    baseline = model == "scratch" and task == "retrieval"
    if baseline or task == "distill":
        given: dict[str, object] = {"--start": start, "--keep": keep, "--checkpointing": checkpointing}
        given |= {"--recipe": recipe != "mini", "--method": method != "SketchFusion"}
        refuse_unused(task, given)
    if baseline:
        refuse_unused("the baseline CNN", {"--cache": cache, "--device": device, "--dtype": dtype})
    place = device, getattr(torch, dtype) if dtype else None
    opened = [datasets.open(root) for root in data]
    if plan:
        from ..lab.training.plan import describe

        return typer.echo("\n".join(describe(task, opened, model, chosen, method, tflops, recipe)))
    if out is None:
        raise ValueError("say with --out which folder to write")
    with terminal.loss_bar(f"training {task}") as report:
        if baseline:
            from ..lab.training.cnn import ScratchRecipe, train_scratch

            train_scratch(opened, out, with_settings(ScratchRecipe(), chosen), resume, report)
        elif task == "distill":
            from ..lab.training.distill import DistillRecipe, train_student
            from ..models import load

            taught = load(model, *place), with_settings(DistillRecipe(), chosen)
            train_student(opened, out, *taught, resume, report, cache)
        else:
            from ..lab.training.train import train_task

            of_model = (start, cache, method, checkpointing, recipe)
            train_task(task, opened, out, model, resume, chosen, report, *of_model, keep, *place)
    typer.echo(f"{out}: trained; use it with --model {out}")


def refuse_unused(name: str, given: Mapping[str, object]) -> None:
    """Raise ValueError for options that were given but mean nothing."""
    if unused := [option for option, value in given.items() if value]:
        raise ValueError(f"{name} has no use for {', '.join(unused)}: leave that out")


def parse_setting(setting: str) -> tuple[str, str]:
    """Split `key=value`; ValueError for anything else."""
    key, equals, value = setting.partition("=")
    if not equals:
        raise ValueError(f"--set {setting}: expected key=value")
    return key, value


@app.command()
def convert(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER|FILE", help="A model folder with .bin files, or one .safetensors file.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="For a FILE: folder of a CLIP, or of a Stable Diffusion, whose tokenizer to copy."),
    ] = None,
) -> None:
    """Make a model folder in the hub's layout with safetensors.

    Of a folder, pickled weights are converted without running code in them; of a Stable Diffusion 1.x or 2.x in one
    file, its parts are written apart.
    """
    from ..io.weights import convert as to_safetensors

    if folder.is_file():
        from ..backbones.folders import convert_single_file

        convert_single_file(folder, out, tokenizer)
        if not tokenizer:
            typer.echo("words need a tokenizer: give --tokenizer CLIP; features, which take the empty prompt, do not")
        typer.echo(out)
        return
    for path in to_safetensors(folder, out):
        typer.echo(path)
