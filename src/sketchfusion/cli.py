"""The command line: one function for each command. Models are imported only by the commands that run them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from . import terminal

app = typer.Typer(
    help="Find photos by drawing.", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)
SEVERAL = ("--photos", "--sketches", "--data", "--categories", "--set")

GalleryOption = Annotated[str, typer.Option("--gallery", "-g", help="Folder or URI (s3://..) of the gallery.")]
ModelOption = Annotated[str, typer.Option("--model", help="Name, hub id or folder of a model.")]
AskedModel = Annotated[str | None, typer.Option("--model", help="Model; by default the one that made the gallery.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Sketches = Annotated[list[str], typer.Argument(metavar="SKETCH...", help="Picture, SVG, .ndjson[:line], or - .")]
Data = Annotated[list[str], typer.Option("--data", help='"world", or folders of data.')]


@app.command()
def index(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTOS...", help="Folders and files.")],
    gallery: GalleryOption,
    model: AskedModel = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Photos at a time.")] = 16,
    as_json: Json = False,
) -> None:
    """Put photos into a gallery; those that are in it already are not embedded again."""
    from .gallery import Gallery

    with terminal.bar("indexing") as progress:
        kept = Gallery.open(gallery, model)
        report = kept.add(photos, progress, batch_size)
    if as_json:
        terminal.say({**vars(report), "failed": [vars(failure) for failure in report.failed], "photos": len(kept)})
        return
    typer.echo(
        f"{len(kept)} photos in {gallery}: {report.embedded} embedded, {report.reused} known by content, "
        f"{report.unchanged} unchanged, {report.moved} moved, {len(report.failed)} failed"
    )
    for failure in report.failed:
        typer.echo(f"  {failure.path}: {failure.reason}", err=True)


@app.command()
def search(
    sketches: Sketches,
    gallery: GalleryOption,
    k: Annotated[int, typer.Option("-k", min=1, help="How many photos.")] = 10,
    category: Annotated[str | None, typer.Option(help="Only photos in a folder of this name.")] = None,
    where: Annotated[str | None, typer.Option(help='SQL condition, as "width > 640".')] = None,
    model: AskedModel = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet (PNG) here.")] = None,
    as_json: Json = False,
) -> None:
    """Find the photos that show what a sketch shows; several sketches are one question."""
    from .gallery import Gallery

    opened = Gallery.open(gallery, model)
    hits = opened.search(list(sketches), k, category, where)
    if sheet:
        from .gallery.sheet import sketch_row, write_sheet

        write_sheet(opened, [sketch_row(sketches[0], opened, hits)], sheet)
    if as_json:
        terminal.say([vars(hit) for hit in hits])
    else:
        terminal.table(
            ["", "score", "category", "photo"],
            [[str(hit.rank), f"{hit.score:.4f}", hit.category, hit.path] for hit in hits],
        )


@app.command()
def recognize(
    sketches: Sketches,
    k: Annotated[int, typer.Option("-k", min=1, help="How many guesses.")] = 5,
    labels: Annotated[str | None, typer.Option(help='Names to choose from, as "cat,dog"; by default all known.')] = None,
    photo: Annotated[bool, typer.Option("--photo", help="The pictures are photos.")] = False,
    model: ModelOption = "mini",
    as_json: Json = False,
) -> None:
    """Say what a sketch shows, without training; any labels will do."""
    from .models import load
    from .tasks.recognition import joint_space
    from .tasks.recognition import recognize as guess

    space = joint_space(load(model))
    answers = guess(space, list(sketches), labels.split(",") if labels else None, k, "photo" if photo else "sketch")
    rows = [
        {"label": guess.label, "score": guess.score, "rank": rank, "sketch": sketch}
        for sketch, guesses in zip(sketches, answers, strict=True)
        for rank, guess in enumerate(guesses, start=1)
    ]
    if as_json:
        terminal.say(rows)
    else:
        terminal.table(
            ["", "score", "label", "sketch"],
            [[f"{row['rank']}", f"{row['score']:.3f}", f"{row['label']}", f"{row['sketch']}"] for row in rows],
        )


@app.command()
def features(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures.")],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    task: Annotated[str, typer.Option(help="Which light weights.")] = "retrieval",
    sketch: Annotated[bool, typer.Option("--sketch", help="The pictures are sketches.")] = False,
    model: ModelOption = "mini",
) -> None:
    """Write dense maps (N, C, h, w) and pooled features (N, d) of pictures."""
    from .models import load, write_features

    write_features(load(model, task=task), images, "sketch" if sketch else "photo", out)
    typer.echo(f"{out}: features of {len(images)} pictures")


@app.command()
def world(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    seed: int = 0,
    categories: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    split: Annotated[str, typer.Option(help="seen, unseen or all.")] = "all",
    instances: Annotated[int, typer.Option(min=1, help="Objects of each category.")] = 10,
    size: Annotated[int, typer.Option(help="Pixels of a side.")] = 128,
) -> None:
    """Write Sketch World in Sketchy's layout, with masks, keypoints and strokes."""
    from .world import export

    named = [name for item in categories for name in item.split(",")] if categories else None
    with terminal.bar("drawing") as progress:
        card = export(out, seed, named, split, instances, size, progress=progress)
    typer.echo(f"{out}: {card['photos']} photos and {card['sketches']} sketches of {len(card['categories'])} categories")


@app.command()
def evaluate(
    task: Annotated[str, typer.Argument(metavar="TASK", help="retrieval")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    model: ModelOption = "mini",
    baseline: Annotated[
        str | None, typer.Option(help="Measure a baseline on the model's frozen parts instead (B-CLIP ..).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a model under every named metric; writes OUT/<task>-<data>-<model>.json and .md."""
    if task != "retrieval":
        raise ValueError(f"no evaluation for {task!r}; choose retrieval")
    from .evaluation.benchmarks import benchmark_retrieval
    from .evaluation.report import to_markdown, write_report
    from .evaluation.sources import retrieval_data
    from .models import load

    answers: list[dict[str, Any]] = []
    extractor = load(f"{model}:{baseline}" if baseline else model)
    for one in data:
        source = retrieval_data(one)
        with terminal.bar(f"embedding {source.name}") as progress:
            result = benchmark_retrieval(extractor, source.sketches(), source.photos(), progress=progress)
        write_report(result, task, source.name, out)
        answers.append(result.summary())
        if not as_json:
            typer.echo(to_markdown(result, task, source.name))
    if as_json:
        terminal.say(answers[0] if len(answers) == 1 else answers)


@app.command()
def pretrain(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="vae, clip or diffusion")],
    photos: Annotated[list[Path], typer.Option(help="Folders of photos.")],
    sketches: Annotated[list[Path], typer.Option(help="Folders of sketches.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    budget: Annotated[str, typer.Option(help="cpu or gpu.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's number.")] = None,
) -> None:
    """Pretrain one part of the mini model."""
    from typing import cast

    from .training.pretrain.run import STAGES, run
    from .training.recipes import Budget

    if stage not in STAGES or budget not in ("cpu", "gpu"):
        raise ValueError(f"no recipe {stage} {budget}; choose a stage of {', '.join(STAGES)} and a budget of cpu, gpu")
    with terminal.losses(f"pretraining {stage}") as report:
        figures = run(stage, cast(Budget, budget), photos, sketches, out, resume, steps, report)
    terminal.say(figures)


@app.command()
def train(
    task: Annotated[str, typer.Argument(metavar="TASK", help="retrieval")],
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    model: Annotated[str, typer.Option(help="Frozen parts to train on, or scratch.")] = "mini",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe.")] = None,
) -> None:
    """Train light weights for a task; --model scratch trains the small CNN that is the floor."""
    chosen = dict(_pair(setting) for setting in settings or [])
    with terminal.losses(f"training {task}") as report:
        if model == "scratch" and task == "retrieval":
            from .training.recipes import with_settings
            from .training.scratch import ScratchRecipe, train_scratch

            train_scratch(data, out, with_settings(ScratchRecipe(), chosen), resume, report)
        else:
            from .training.train import train_task

            train_task(task, data, out, model, resume, chosen, report)
    typer.echo(f"{out}: trained; use it with --model {out}")


def _pair(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals:
        raise ValueError(f"--set {setting}: expected key=value")
    return key, value


@app.command()
def convert(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model folder with .bin files.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
) -> None:
    """Copy a model folder with its pickled weights as safetensors; no code in them is run."""
    from .io.convert import convert as to_safetensors

    for path in to_safetensors(folder, out):
        typer.echo(path)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed, which weights are here, and whether the embedded model works."""
    from .doctor import describe, examine

    found = examine()
    terminal.say(found) if as_json else typer.echo(describe(found))
    if not found["self_test"]["passed"]:
        raise ValueError(f"the self-test failed: {found['self_test']['reason']}")


def main() -> None:
    """Run the command line and exit."""
    sys.exit(terminal.run(app, terminal.spread(sys.argv[1:], SEVERAL)))
