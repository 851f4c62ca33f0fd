"""Measure models: the commands of `sketchfusion evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import terminal
from .terminal import Data, Json, ModelOption, app

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..lab.evaluation.result import Measured, Reported
    from ..lab.evaluation.speed import Cost


Measure = Callable[["Extractor", str], "tuple[str, Reported]"]


evaluating = typer.Typer(help="Measure a model under every named metric; write OUT/<task>-<data>-<model>.json and .md.")
app.add_typer(evaluating, name="evaluate")

Out = Annotated[Path, typer.Option(help="Folder for the report.")]
Baseline = Annotated[
    str | None, typer.Option(help="Measure a baseline on the model's frozen parts instead (B-CLIP ..).")
]
Split = Annotated[str | None, typer.Option(help="Published split of the classes (sketchy-25-sake ..).")]
SketchFolders = Annotated[list[str] | None, typer.Option("--sketches", help="Folders of sketches for photos without.")]


@evaluating.command()
def retrieval(
    data: Data,
    out: Out,
    model: ModelOption = "mini",
    baseline: Baseline = None,
    split: Split = None,
    sketches: SketchFolders = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Rank Sketchy-extended's photos as SAKE does: Sketchy's own twice.")
    ] = False,
    against: Annotated[list[str] | None, typer.Option(help="Models to compare with, query by query.")] = None,
    as_json: Json = False,
) -> None:
    """Measure how well sketches of a class rank the photos of that class."""
    from ..lab.evaluation.data import retrieval_data
    from ..lab.evaluation.retrieval import benchmark_retrieval
    from ..models import load

    if sketches and (split or duplicates):
        raise ValueError("with --sketches every photo is ranked, once; leave --split and --duplicates out")
    _refuse_for_world(data, {"--split": split, "--sketches": sketches, "--duplicates": duplicates})

    def measure(extractor: Extractor, root: str) -> tuple[str, Reported]:
        others = {name: load(name) for name in against or ()}
        source = retrieval_data(root, split, sketches or (), duplicates)
        with terminal.progress_bar(f"embedding {source.name}") as progress:
            drawn, shown = [*source.sketches()], [*source.photos()]
            result = benchmark_retrieval(extractor, drawn, shown, progress=progress, about=source.about)
            for name, other in others.items():
                result = result.more_than(benchmark_retrieval(other, drawn, shown, progress=progress), name)
        return _report_name(source.name, root, split, sketches or (), duplicates), result

    _evaluate("retrieval", measure, data, out, model, baseline, as_json, sketches)


@evaluating.command()
def instances(
    data: Data,
    out: Out,
    model: ModelOption = "mini",
    baseline: Baseline = None,
    split: Split = None,
    as_json: Json = False,
) -> None:
    """Measure how often a sketch finds the very photo that it was drawn of."""
    from ..lab.evaluation.data import instance_data
    from ..lab.evaluation.retrieval import benchmark_instances

    _refuse_for_world(data, {"--split": split})

    def measure(extractor: Extractor, root: str) -> tuple[str, Measured]:
        source = instance_data(root, split)
        with terminal.progress_bar(f"embedding {source.name}") as progress:
            drawn, shown = [*source.sketches()], [*source.photos()]
            name = _report_name(source.name, root, split)
            return name, benchmark_instances(extractor, drawn, shown, progress, source.about)

    _evaluate("instance-retrieval", measure, data, out, model, baseline, as_json)


@evaluating.command()
def recognition(
    data: Data,
    out: Out,
    model: ModelOption = "mini",
    baseline: Baseline = None,
    kind: Annotated[str | None, typer.Option(help="Pictures to name: sketch or photo.", show_default="sketch")] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="Learn from example sketches instead of reading names.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure how often pictures are given their own name."""
    if examples and kind:
        raise ValueError("--examples are sketches, and so is what is asked; leave --kind out")
    if kind not in (None, "sketch", "photo"):
        raise ValueError(f"{kind!r} is no kind of picture; choose sketch or photo")
    measure = _from_examples if examples else _naming(kind == "photo")
    _evaluate("recognition", measure, data, out, model, baseline, as_json)


def _naming(photos: bool) -> Measure:
    from ..lab.evaluation.data import naming_data
    from ..lab.evaluation.recognition import benchmark_naming
    from ..tasks.recognition import joint_space

    def measure(extractor: Extractor, root: str) -> tuple[str, Reported]:
        source = naming_data(root, "photo" if photos else "sketch")
        with terminal.progress_bar(f"naming {source.name}") as progress:
            result = benchmark_naming(
                joint_space(extractor), extractor.fingerprint, source.pictures, source.labels, source.kind, progress
            )
        return f"{source.name}-{source.kind}", result

    return measure


def _from_examples(extractor: Extractor, root: str) -> tuple[str, Measured]:
    from ..lab.evaluation.data import naming_data
    from ..lab.evaluation.recognition import benchmark_examples

    asked, seen = naming_data(root, "sketch"), naming_data(root, "sketch", examples=True)
    with terminal.progress_bar(f"learning {asked.name}") as progress:
        return f"{asked.name}-examples", benchmark_examples(extractor, seen.pictures, asked.pictures, progress)


@evaluating.command()
def correspondence(
    data: Data,
    out: Out,
    model: ModelOption = "mini",
    baseline: Baseline = None,
    sketches: Annotated[list[str] | None, typer.Option(help="For PSC6K: the root of Sketchy.")] = None,
    as_json: Json = False,
) -> None:
    """Measure how many keypoints of a sketch are found in its photo, and the other way round."""
    from ..lab.evaluation.correspondence import benchmark_correspondence
    from ..lab.evaluation.data import keypoint_pairs

    if sketches and len(sketches) > 1:
        raise ValueError("the pictures of PSC6K lie in one root of Sketchy; name that alone with --sketches")
    _refuse_for_world(data, {"--sketches": sketches})

    def measure(extractor: Extractor, root: str) -> tuple[str, Measured]:
        name = _name_of(root)
        with terminal.progress_bar(f"matching {name}") as progress:
            return name, benchmark_correspondence(extractor, [*keypoint_pairs(root, *sketches or ())], progress)

    _evaluate("correspondence", measure, data, out, model, baseline, as_json, sketches)


@evaluating.command()
def segmentation(
    data: Data,
    out: Out,
    model: ModelOption = "mini",
    baseline: Baseline = None,
    sketches: SketchFolders = None,
    kept_out: Annotated[
        bool, typer.Option("--held-out", help="Leave out the photos of a folder that training draws.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure how well the masks that sketches ask for fit."""
    from ..lab.evaluation.data import scenes
    from ..lab.evaluation.segmentation import TRAINED_ON, benchmark_segmentation

    _refuse_for_world(data, {"--sketches": sketches, "--held-out": kept_out})

    def measure(extractor: Extractor, root: str) -> tuple[str, Measured]:
        name = _name_of(root)
        shown = [*scenes(root, sketches or (), "measured" if kept_out else "all")]
        about = "" if kept_out or root == "world" else TRAINED_ON
        with terminal.progress_bar(f"cutting out of {name}") as progress:
            return name + "-held-out" * kept_out, benchmark_segmentation(extractor, shown, progress, about=about)

    _evaluate("segmentation", measure, data, out, model, baseline, as_json, sketches)


@evaluating.command()
def search(data: Data, out: Out, model: ModelOption = "mini", baseline: Baseline = None, as_json: Json = False) -> None:
    """Measure what a search says of its answers, and what words and diffusion add to it."""
    from ..lab.evaluation.data import retrieval_data
    from ..lab.evaluation.search import benchmark_search

    def measure(extractor: Extractor, root: str) -> tuple[str, Reported]:
        source = retrieval_data(root)
        with terminal.progress_bar(f"embedding {source.name}") as progress:
            drawn = [*source.sketches()]
            shown = [(image, label) for image, label in source.photos() if isinstance(label, str)]
            return source.name, benchmark_search(extractor, drawn, shown, progress)

    _evaluate("search", measure, data, out, model, baseline, as_json)


@evaluating.command()
def probe(data: Data, out: Out, model: ModelOption = "mini", baseline: Baseline = None, as_json: Json = False) -> None:
    """Measure by linear probes how well each part of the frozen models tells classes apart."""
    from ..lab.evaluation.probe import benchmark_probe

    def measure(extractor: Extractor, root: str) -> tuple[str, Measured]:
        with terminal.progress_bar("looking inside") as progress:
            return Path(root).resolve().name, benchmark_probe(extractor, root, progress)

    _evaluate("probe", measure, data, out, model, baseline, as_json)


def _evaluate(
    task: str,
    measure: Measure,
    data: Sequence[str],
    out: Path,
    model: str,
    baseline: str | None,
    as_json: bool,
    sketches: Sequence[str] | None = None,
) -> None:
    """Measure a model on each of `data`, then write and print the reports."""
    from ..lab.evaluation.result import make_folder, to_markdown, write_report
    from ..models import load

    names = [Path(root).resolve().name for root in data]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two of --data are called {twice}, as their reports would be; measure them one by one")
    make_folder(out)
    answers: list[dict[str, Any]] = []
    extractor = load(f"{model}:{baseline}" if baseline else model)
    extractor = extractor.for_task(task) if extractor.serves(task) else extractor
    for root in data:
        name, result = measure(extractor, root)
        # as they were given: reports are handed on, and full paths are nobody else's business
        write_report(result, task, name, out, {"root": root, **({"sketches": sketches} if sketches else {})})
        answers.append(result.summary())
        if not as_json:
            typer.echo(to_markdown(result, task, name))
    if as_json:
        terminal.print_json(answers[0] if len(answers) == 1 else answers)


def _refuse_for_world(data: Sequence[str], given: Mapping[str, object]) -> None:
    if "world" in data and (option := next((name for name, value in given.items() if value), None)):
        raise ValueError(f"Sketch World has a split and sketches of its own; leave {option} out")


def _name_of(root: str) -> str:
    return root if root == "world" else Path(root).resolve().name


def _report_name(
    name: str, root: str, split: str | None, sketches: Sequence[str] = (), duplicates: bool = False
) -> str:
    """Add to the name of data the split, the duplicates and the sketches in place of its own, where asked for."""
    from ..lab.datasets.layouts import recognise
    from ..lab.evaluation.data import WORLD

    other = sketches if root != WORLD and recognise(root).splits else ()
    asked = [split, "duplicates" * duplicates, *(Path(folder).resolve().name for folder in other)]
    return "-".join([name, *filter(None, asked)])


# Measure what something costs, beside the plain way of doing it: the commands of `sketchfusion bench`.


benching = typer.Typer(help="Measure what something costs, beside the plain way of doing it, in one run.")
app.add_typer(benching, name="bench")


@benching.command()
def extract(
    model: ModelOption = "mini",
    pictures: Annotated[int, typer.Option(min=1, help="Pictures to extract features of.")] = 32,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure what dense features cost."""
    from ..lab.evaluation.speed import bench_extract

    with terminal.progress_bar("measuring extract") as progress:
        costs = bench_extract(model, pictures, seed, progress)
    _say(costs, as_json)


@benching.command()
def bench_search(
    model: ModelOption = "mini",
    rows: Annotated[int, typer.Option(min=1000, help="Photos in the gallery.")] = 100_000,
    folder: Annotated[
        Path | None, typer.Option(help="Where the gallery is made; kept. By default in a temporary folder.")
    ] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure what searching a large gallery costs."""
    from contextlib import nullcontext
    from tempfile import TemporaryDirectory

    from ..lab.evaluation.speed import bench_search
    from ..models import load

    with terminal.progress_bar("measuring search") as progress:
        place = TemporaryDirectory() if folder is None else nullcontext(str(folder))
        with place as used:
            costs = bench_search(load(model), rows, Path(used), seed, progress)
    _say(costs, as_json)


@benching.command()
def train(
    model: ModelOption = "mini",
    steps: Annotated[int, typer.Option(min=1, help="Steps of training.")] = 10,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure what a step of training costs."""
    from ..lab.evaluation.speed import bench_train

    with terminal.progress_bar("measuring train") as progress:
        costs = bench_train(model, steps, seed, progress)
    _say(costs, as_json)


@benching.command()
def metrics(seed: int = 0, as_json: Json = False) -> None:
    """Measure what scoring a benchmark of retrieval costs."""
    from ..lab.evaluation.speed import bench_metrics

    _say(bench_metrics(seed), as_json)


def _say(costs: Sequence[Cost], as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        terminal.print_json([asdict(cost) for cost in costs])
        return
    names = ["", "images/s", "ms", "peak MB", "MFLOP", "ratio", "more"]
    terminal.print_table(names, [_cells(cost) for cost in costs])


def _cells(cost: Cost) -> list[str]:
    more = ", ".join(f"{name} {value:.6g}" for name, value in cost.more.items())
    measured = f"{cost.images_per_second:.1f}", f"{cost.milliseconds:.2f}", f"{cost.peak_bytes / 1e6:.0f}"
    return [cost.name, *measured, f"{cost.flop / 1e6:.0f}", f"{cost.ratio:.2f}", more]
