"""Measure models and costs: the commands of `sketchfusion evaluate` and `sketchfusion bench`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from inspect import Signature, signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import terminal
from .terminal import Data, Json, ModelOption, app

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..io.images import Kind
    from ..lab.datasets import Dataset
    from ..lab.evaluation.result import Result
    from ..lab.evaluation.retrieval import Progress
    from ..lab.evaluation.speed import Cost

    Measured = tuple[str, Callable[[Progress], Result]]  # what the report is called by, and what measures


evaluating = typer.Typer(help="Measure a model under every named metric; write OUT/<task>-<data>-<model>.json and .md.")
app.add_typer(evaluating, name="evaluate")

Out = Annotated[Path, typer.Option(help="Folder for the report.")]
Baseline = Annotated[
    str | None, typer.Option(help="Measure a baseline on the model's frozen parts instead (B-CLIP ..).")
]
Split = Annotated[str | None, typer.Option(help="Published split of the classes (sketchy-25-sake ..).")]
SketchFolders = Annotated[
    list[str] | None, typer.Option("--sketches", help="Folders of sketches, for data without any.")
]
OWN_OF_WORLD = ("split", "sketches", "duplicates", "held_out")  # options that Sketch World has no use for


# Of a model, a data set, and further sketches where that has none of its own.
Prepare = Callable[["Extractor", "Dataset", "Sequence[Dataset]"], "Measured"]


def _measures(task: str, what: str = "embedding {}") -> Callable[[Callable[..., Prepare]], Callable[..., Prepare]]:
    """Make a command of a function that checks its own options and says how to measure; `_evaluate` does all else.

    The command has the options of both. `what` is the line of the progress bar, with the data set's name.
    """

    def add(command: Callable[..., Prepare]) -> Callable[..., Prepare]:
        run: Any = partial(_evaluate, task, what, command)
        *shared, as_json, _ = signature(run, eval_str=True).parameters.values()
        options = [*shared, *signature(command, eval_str=True).parameters.values(), as_json]
        run.__signature__ = Signature(options)
        run.__annotations__ = {option.name: option.annotation for option in options}
        evaluating.command(command.__name__, help=command.__doc__)(run)
        return command

    return add


def _evaluate(
    task: str,
    what: str,
    command: Callable[..., Prepare],
    data: Data,
    out: Out,
    model: ModelOption = "mini",
    baseline: Baseline = None,
    as_json: Json = False,
    **own: Any,
) -> None:
    """Measure on each of `data` with what a command prepares, then write and print the reports."""
    from ..lab.datasets import open
    from ..lab.evaluation.result import make_folder, write_report
    from ..models import load

    prepare = command(**own)
    if "world" in data and (option := next((name for name in OWN_OF_WORLD if own.get(name)), None)):
        option = option.replace("_", "-")
        raise ValueError(f"Sketch World has a split and sketches of its own; leave --{option} out")
    names = [Path(root).resolve().name for root in data]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two of --data are called {twice}, as their reports would be; measure them one by one")
    sketches = own.get("sketches") or ()
    datasets, others = [open(root) for root in data], [open(root) for root in sketches]
    make_folder(out)
    for root in dict.fromkeys(each.root for each in (*datasets, *others) if each.layout != "Sketch World"):
        _list_broken(root)
    answers: list[dict[str, Any]] = []
    extractor = load(f"{model}:{baseline}" if baseline else model)
    extractor = extractor.for_task(task) if extractor.serves(task) else extractor
    for given, dataset in zip(data, datasets, strict=True):
        name, measure = prepare(extractor, dataset, others)
        with terminal.progress_bar(what.format(dataset.name)) as progress:
            result = measure(progress)
        # folders as they were given: reports are shared, and full paths are private
        write_report(result, task, name, out, {"root": given, **({"sketches": sketches} if sketches else {})})
        answers.append(result.to_json())
        if not as_json:
            typer.echo(result.to_markdown(task, name))
    if as_json:
        terminal.print_json(answers[0] if len(answers) == 1 else answers)


@_measures("retrieval")
def retrieval(
    split: Split = None,
    sketches: SketchFolders = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Rank Sketchy-extended's photos as SAKE does: Sketchy's own twice.")
    ] = False,
    against: Annotated[list[str] | None, typer.Option(help="Models to compare with, query by query.")] = None,
) -> Prepare:
    """Measure category-level retrieval: how high sketches rank the photos of their class."""
    from ..lab.evaluation.retrieval import benchmark_retrieval, retrieval_data
    from ..models import load

    if sketches and (split or duplicates):
        raise ValueError("with --sketches every photo is ranked, once; leave --split and --duplicates out")

    def prepare(model: Extractor, data: Dataset, others: Sequence[Dataset]) -> Measured:
        rivals = {name: load(name) for name in against or ()}
        source = retrieval_data(data, split, others, duplicates)

        def measure(progress: Progress) -> Result:
            result = benchmark_retrieval(model, source, progress)
            for name, rival in rivals.items():
                result = result.more_than(benchmark_retrieval(rival, source, progress), name)
            return result

        drawn = [folder.name for folder in others] if data.splits else []
        return "-".join(filter(None, [data.name, split, "duplicates" * duplicates, *drawn])), measure

    return prepare


@_measures("instance-retrieval")
def instances(split: Split = None) -> Prepare:
    """Measure instance-level retrieval: how often a sketch finds the very photo that it was drawn of."""
    from ..lab.evaluation.retrieval import benchmark_instances, instance_data

    def prepare(model: Extractor, data: Dataset, others: Sequence[Dataset]) -> Measured:
        source = instance_data(data, split)
        return "-".join(filter(None, [data.name, split])), partial(benchmark_instances, model, source)

    return prepare


@_measures("recognition", "naming {}")
def recognition(
    kind: Annotated[str | None, typer.Option(help="Pictures to name: sketch or photo.", show_default="sketch")] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="Learn classes from example sketches instead of their names.")
    ] = False,
) -> Prepare:
    """Measure recognition: how often pictures get their right name."""
    from ..lab.evaluation.recognition import benchmark_examples, benchmark_naming, labelled_pictures

    if examples and kind:
        raise ValueError("--examples learns from sketches and names sketches; leave --kind out")
    if kind not in (None, "sketch", "photo"):
        raise ValueError(f"{kind!r} is no kind of picture; choose sketch or photo")
    shown: Kind = "photo" if kind == "photo" else "sketch"

    def prepare(model: Extractor, data: Dataset, others: Sequence[Dataset]) -> Measured:
        pictures = labelled_pictures(data.named(shown))
        if examples:
            learned = labelled_pictures(data.named(shown, examples=True))
            return f"{data.name}-examples", partial(benchmark_examples, model, learned, pictures)
        return f"{data.name}-{shown}", partial(benchmark_naming, model, pictures, data.names, shown)

    return prepare


@_measures("correspondence", "matching {}")
def correspondence(
    sketches: Annotated[list[str] | None, typer.Option(help="For PSC6K: the root of Sketchy.")] = None,
) -> Prepare:
    """Measure correspondence: how many keypoints of a sketch are found in its photo, and the other way round."""
    from ..lab.evaluation.correspondence import benchmark_correspondence, point_pairs

    if sketches and len(sketches) > 1:
        raise ValueError("the pictures of PSC6K lie in one root of Sketchy; name that alone with --sketches")
    return lambda model, data, others: (
        data.name,
        lambda progress: benchmark_correspondence(model, [*point_pairs(data, *others)], progress),
    )


@_measures("segmentation", "cutting out of {}")
def segmentation(
    sketches: SketchFolders = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Leave out the photos of a folder that training uses.")
    ] = False,
) -> Prepare:
    """Measure segmentation: how well the masks of what is sketched fit."""
    from ..lab.evaluation.segmentation import TRAINED_ON, benchmark_segmentation

    def prepare(model: Extractor, data: Dataset, others: Sequence[Dataset]) -> Measured:
        scenes = [*data.scenes(others, "measured" if held_out else "all")]
        about = "" if held_out or data.layout != "segmentation folder" else TRAINED_ON
        return data.name + "-held-out" * held_out, partial(benchmark_segmentation, model, scenes, about=about)

    return prepare


@_measures("search")
def search() -> Prepare:
    """Measure search: how reliable its confidence is, and how much words and diffusion add."""
    from ..lab.evaluation.retrieval import retrieval_data
    from ..lab.evaluation.search import benchmark_search

    def prepare(model: Extractor, data: Dataset, others: Sequence[Dataset]) -> Measured:
        source = retrieval_data(data)
        photos = [(image, label) for image, label in source.photos() if isinstance(label, str)]
        return data.name, partial(benchmark_search, model, source.sketches(), photos)

    return prepare


@_measures("probe", "looking inside")
def probe() -> Prepare:
    """Measure by linear probes how well the features of each part of the frozen models separate classes."""
    from ..lab.evaluation.probe import benchmark_probe

    return lambda model, data, others: (data.name, partial(benchmark_probe, model, data))


def _list_broken(root: Path) -> None:
    """Name all pictures in a folder that cannot be opened, as measuring may end hours later at the first of them."""
    from ..errors import ImageError, escaped
    from ..io.files import find_images
    from ..io.images import open_image

    for path in find_images(root):
        try:
            if path.suffix.lower() not in (".svg", ".svgz"):
                open_image(path.read_bytes(), str(path)).close()
        except (ImageError, OSError) as error:
            typer.echo(f"  {escaped(str(error))}", err=True)


# The commands of `sketchfusion bench`.


benching = typer.Typer(help="Measure costs next to those of a reference way, in one run.")
app.add_typer(benching, name="bench")
Draws = Annotated[int, typer.Option(min=1, help="Noise samples of the authors' way; their code has 32.")]


@benching.command()
def extract(
    model: ModelOption = "mini",
    pictures: Annotated[int, typer.Option(min=1, help="Pictures to extract features of.")] = 32,
    draws: Draws = 4,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure the cost of dense features; full has random weights, and released, which draws anew, is refused."""
    from ..lab.evaluation.speed import bench_extract

    with terminal.progress_bar("measuring extract") as progress:
        costs = bench_extract(model, pictures, seed, progress, draws)
    _say(costs, as_json)


@benching.command("search")
def bench_search(
    model: ModelOption = "mini",
    rows: Annotated[int, typer.Option(min=1000, help="Photos in the gallery.")] = 100_000,
    folder: Annotated[
        Path | None, typer.Option(help="Folder to make the gallery in and leave it; by default a temporary one.")
    ] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure the cost of searching a large gallery."""
    from ..lab.evaluation.search_speed import bench_search
    from ..models import load

    place = TemporaryDirectory() if folder is None else nullcontext(str(folder))
    with terminal.progress_bar("measuring search") as progress, place as used:
        costs = bench_search(load(model), rows, Path(used), seed, progress)
    _say(costs, as_json)


@benching.command()
def train(
    model: ModelOption = "mini",
    steps: Annotated[int, typer.Option(min=1, help="Steps of training.")] = 10,
    draws: Draws = 4,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure the cost of a training step; full and released have random weights."""
    from ..lab.evaluation.speed import bench_train

    with terminal.progress_bar("measuring train") as progress:
        costs = bench_train(model, steps, seed, progress, draws)
    _say(costs, as_json)


@benching.command()
def metrics(seed: int = 0, as_json: Json = False) -> None:
    """Measure the cost of scoring a retrieval benchmark."""
    from ..lab.evaluation.speed import bench_metrics

    _say(bench_metrics(seed), as_json)


def _say(costs: Sequence[Cost], as_json: bool) -> None:
    if as_json:
        terminal.print_json([asdict(cost) for cost in costs])
        return
    rows = []
    for cost in costs:
        more = ", ".join(f"{name} {value:.6g}" for name, value in cost.more.items())
        measured = f"{cost.images_per_second:.1f}", f"{cost.milliseconds:.2f}", f"{cost.peak_bytes / 1e6:.0f}"
        rows.append([cost.name, *measured, f"{cost.flop / 1e6:.0f}", f"{cost.ratio:.2f}", more])
    terminal.print_table(["", "images/s", "ms", "peak MB", "MFLOP", "ratio", "more"], rows)
