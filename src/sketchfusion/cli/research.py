"""Commands for someone who measures and trains: world, evaluate, pretrain, train, convert."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import terminal
from .options import Data, Json, ModelOption, app

if TYPE_CHECKING:
    from ..evaluation.benchmarks import Result
    from ..evaluation.measured import Measured
    from ..evaluation.naming import NamingResult
    from ..evaluation.report import Reported
    from ..evaluation.speed.cost import Cost
    from ..extractor import BatchExtractor


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
    from ..world import export

    named = [name for item in categories for name in item.split(",")] if categories else None
    with terminal.bar("drawing") as progress:
        card = export(out, seed, named, split, instances, size, progress=progress)
    typer.echo(
        f"{out}: {card['photos']} photos and {card['sketches']} sketches of {len(card['categories'])} categories"
    )


@app.command()
def evaluate(
    task: Annotated[str, typer.Argument(metavar="TASK", help="retrieval, recognition, correspondence or segmentation")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    model: ModelOption = "mini",
    baseline: Annotated[
        str | None, typer.Option(help="Measure a baseline on the model's frozen parts instead (B-CLIP ..).")
    ] = None,
    kind: Annotated[str, typer.Option(help="What recognition is shown: sketch or photo.")] = "sketch",
    sketches: Annotated[list[str] | None, typer.Option(help="Roots of sketches of what is masked in photos.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a model under every named metric; writes OUT/<task>-<data>-<model>.json and .md."""
    from ..evaluation.report import to_markdown, write_report
    from ..models import load

    measures: dict[str, Callable[[BatchExtractor, str], tuple[str, Reported]]] = {
        "retrieval": _retrieval,
        "recognition": partial(_recognition, kind),
        "correspondence": _correspondence,
        "segmentation": partial(_segmentation, sketches or ()),
    }
    if task not in measures:
        raise ValueError(f"no evaluation for {task!r}; choose one of {', '.join(measures)}")
    answers: list[dict[str, Any]] = []
    extractor = load(f"{model}:{baseline}" if baseline else model)
    for one in data:
        name, result = measures[task](extractor, one)
        write_report(result, task, name, out)
        answers.append(result.summary())
        if not as_json:
            typer.echo(to_markdown(result, task, name))
    if as_json:
        terminal.say(answers[0] if len(answers) == 1 else answers)


def _retrieval(extractor: BatchExtractor, data: str) -> tuple[str, Result]:
    from ..evaluation.benchmarks import benchmark_retrieval
    from ..evaluation.sources import retrieval_data

    source = retrieval_data(data)
    with terminal.bar(f"embedding {source.name}") as progress:
        return source.name, benchmark_retrieval(extractor, [*source.sketches()], [*source.photos()], progress=progress)


def _recognition(kind: str, extractor: BatchExtractor, data: str) -> tuple[str, NamingResult]:
    from ..evaluation.naming import benchmark_naming
    from ..evaluation.sources import naming_data
    from ..tasks.recognition import joint_space

    if kind not in ("sketch", "photo"):
        raise ValueError(f"{kind!r} is no kind of picture; choose sketch or photo")
    source = naming_data(data, "photo" if kind == "photo" else "sketch")
    with terminal.bar(f"naming {source.name}") as progress:
        result = benchmark_naming(
            joint_space(extractor), extractor.fingerprint, source.pictures, source.labels, source.kind, progress
        )
    return f"{source.name}-{source.kind}", result


def _correspondence(extractor: BatchExtractor, data: str) -> tuple[str, Measured]:
    from ..evaluation.correspondence import benchmark_correspondence, world_pairs

    if data != "world":
        raise ValueError(f"{data}: correspondence is measured where keypoints are known; use --data world")
    with terminal.bar(f"matching {data}") as progress:
        return data, benchmark_correspondence(extractor, [*world_pairs()], progress)


def _segmentation(sketches: Sequence[str], extractor: BatchExtractor, data: str) -> tuple[str, Measured]:
    from ..evaluation.scenes import scenes
    from ..evaluation.segmentation import benchmark_segmentation

    name = data if data == "world" else Path(data).resolve().name
    with terminal.bar(f"cutting out of {name}") as progress:
        return name, benchmark_segmentation(extractor, [*scenes(data, sketches)], progress)


@app.command()
def pretrain(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="vae, clip or diffusion")],
    photos: Annotated[list[Path], typer.Option(help="Folders of photos.")],
    sketches: Annotated[list[Path], typer.Option(help="Folders of sketches.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    budget: Annotated[str, typer.Option(help="cpu or gpu.")] = "cpu",
    start: Annotated[Path | None, typer.Option(help="A model folder whose weights to start from.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's number.")] = None,
) -> None:
    """Pretrain one part of the mini model."""
    from typing import cast

    from ..training.pretrain.run import STAGES, run
    from ..training.recipes import Budget

    if stage not in STAGES or budget not in ("cpu", "gpu"):
        raise ValueError(f"no recipe {stage} {budget}; choose a stage of {', '.join(STAGES)} and a budget of cpu, gpu")
    with terminal.losses(f"pretraining {stage}") as report:
        figures = run(stage, cast(Budget, budget), photos, sketches, out, start, resume, steps, report)
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
            from ..training.recipes import with_settings
            from ..training.scratch import ScratchRecipe, train_scratch

            train_scratch(data, out, with_settings(ScratchRecipe(), chosen), resume, report)
        else:
            from ..training.train import train_task

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
    from ..io.convert import convert as to_safetensors

    for path in to_safetensors(folder, out):
        typer.echo(path)


@app.command()
def bench(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="search")],
    model: ModelOption = "mini",
    rows: Annotated[int, typer.Option(min=1000, help="Photos in the gallery.")] = 100_000,
    folder: Annotated[
        Path | None, typer.Option(help="Where the gallery is made; kept. By default in a temporary folder.")
    ] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure what something costs, beside the plain way of doing it."""
    from contextlib import nullcontext
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from ..evaluation.speed.search import bench_search
    from ..models import load

    if what != "search":
        raise ValueError(f"no bench for {what!r}; choose search")
    place = TemporaryDirectory() if folder is None else nullcontext(str(folder))
    with place as used, terminal.bar("storing rows") as progress:
        costs = bench_search(load(model), rows, Path(used), seed, progress)
    if as_json:
        terminal.say([asdict(cost) for cost in costs])
        return
    names = ["", "images/s", "ms", "peak MB", "MFLOP", "ratio", "more"]
    terminal.table(names, [_cells(cost) for cost in costs])


def _cells(cost: Cost) -> list[str]:
    more = ", ".join(f"{name} {value:.6g}" for name, value in cost.more.items())
    measured = f"{cost.images_per_second:.1f}", f"{cost.milliseconds:.2f}", f"{cost.peak_bytes / 1e6:.0f}"
    return [cost.name, *measured, f"{cost.flop / 1e6:.0f}", f"{cost.ratio:.2f}", more]
