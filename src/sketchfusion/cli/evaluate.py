"""Measure models and costs: the commands of `sketchfusion evaluate` and `sketchfusion bench`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import terminal
from .terminal import Data, Json, Model, app

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..io.images import Kind
    from ..lab.datasets import Dataset
    from ..lab.evaluation.result import Result
    from ..lab.evaluation.retrieval import Progress
    from ..lab.evaluation.speed import Cost

    Measure = Callable[["Case", Progress], tuple[str, Result]]  # also gives the name of what was measured on

evaluating = typer.Typer(help="Measure a model under every named metric; write OUT/<task>-<data>-<model>.json and .md.")
app.add_typer(evaluating, name="evaluate")

Out = Annotated[Path, typer.Option(help="Folder for the report.")]
Baseline = Annotated[str | None, typer.Option(help="Measure a baseline on the model's frozen parts (B-CLIP ..).")]
Split = Annotated[str | None, typer.Option(help="Published split of the classes (sketchy-25-sake ..).")]
SketchFolders = Annotated[list[str] | None, typer.Option("--sketches", help="Folders of sketches, for data without.")]


@dataclass(frozen=True)
class Case:
    """What to measure: a model on a data set, with further sketches where that has none."""

    model: "Extractor"
    data: "Dataset"
    sketches: "Sequence[Dataset]"


@evaluating.command()
def retrieval(
    data: Data,
    out: Out,
    model: Model = "mini",
    baseline: Baseline = None,
    split: Split = None,
    sketches: SketchFolders = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Rank Sketchy-extended's photos as SAKE does: Sketchy's own twice.")
    ] = False,
    against: Annotated[list[str] | None, typer.Option(help="Models to compare with, query by query.")] = None,
    as_json: Json = False,
) -> None:
    """Measure category-level retrieval: how high sketches rank the photos of their class."""
    from ..lab.evaluation.retrieval import benchmark_retrieval, retrieval_data
    from ..models import load

    if sketches and (split or duplicates):
        raise ValueError("with --sketches every photo is ranked, once; leave --split and --duplicates out")
    _refuse_for_world(data, {"--split": split, "--sketches": sketches, "--duplicates": duplicates})

    def measure(case: Case, progress: "Progress") -> "tuple[str, Result]":
        rivals = {name: load(name) for name in against or ()}
        source = retrieval_data(case.data, split, case.sketches, duplicates)
        result = benchmark_retrieval(case.model, source, progress)
        for name, rival in rivals.items():
            result = result.more_than(benchmark_retrieval(rival, source, progress), name)
        others = [folder.name for folder in case.sketches] if case.data.splits else []
        return "-".join(filter(None, [case.data.name, split, "duplicates" * duplicates, *others])), result

    _evaluate("retrieval", "embedding {}", measure, data, out, model, baseline, as_json, sketches)


@evaluating.command()
def instances(
    data: Data, out: Out, model: Model = "mini", baseline: Baseline = None, split: Split = None, as_json: Json = False
) -> None:
    """Measure instance-level retrieval: how often a sketch finds the very photo that it was drawn of."""
    from ..lab.evaluation.retrieval import benchmark_instances, instance_data

    _refuse_for_world(data, {"--split": split})

    def measure(case: Case, progress: "Progress") -> "tuple[str, Result]":
        name = f"{case.data.name}-{split}" if split else case.data.name
        return name, benchmark_instances(case.model, instance_data(case.data, split), progress)

    _evaluate("instance-retrieval", "embedding {}", measure, data, out, model, baseline, as_json)


@evaluating.command()
def recognition(
    data: Data,
    out: Out,
    model: Model = "mini",
    baseline: Baseline = None,
    kind: Annotated[str | None, typer.Option(help="Pictures to name: sketch or photo.", show_default="sketch")] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Learn classes from sketches, not names.")] = False,
    as_json: Json = False,
) -> None:
    """Measure recognition: how often pictures get their right name."""
    from ..lab.evaluation.recognition import benchmark_examples, benchmark_naming, labelled_pictures

    if examples and kind:
        raise ValueError("--examples learns from sketches and names sketches; leave --kind out")
    if kind not in (None, "sketch", "photo"):
        raise ValueError(f"{kind!r} is no kind of picture; choose sketch or photo")
    shown: Kind = "photo" if kind == "photo" else "sketch"

    def measure(case: Case, progress: "Progress") -> "tuple[str, Result]":
        pictures = labelled_pictures(case.data.named(shown))
        if examples:
            learned = labelled_pictures(case.data.named(shown, examples=True))
            return f"{case.data.name}-examples", benchmark_examples(case.model, learned, pictures, progress)
        found = benchmark_naming(case.model, pictures, case.data.names, shown, progress)
        return f"{case.data.name}-{shown}", found

    what = "learning {}" if examples else "naming {}"
    _evaluate("recognition", what, measure, data, out, model, baseline, as_json)


@evaluating.command()
def correspondence(
    data: Data,
    out: Out,
    model: Model = "mini",
    baseline: Baseline = None,
    sketches: Annotated[list[str] | None, typer.Option(help="For PSC6K: the root of Sketchy.")] = None,
    as_json: Json = False,
) -> None:
    """Measure correspondence: how many keypoints of a sketch are found in its photo, and the other way round."""
    from ..lab.evaluation.correspondence import benchmark_correspondence, point_pairs

    if sketches and len(sketches) > 1:
        raise ValueError("the pictures of PSC6K lie in one root of Sketchy; name that alone with --sketches")
    _refuse_for_world(data, {"--sketches": sketches})

    def measure(case: Case, progress: "Progress") -> "tuple[str, Result]":
        pairs = [*point_pairs(case.data, *case.sketches)]
        return case.data.name, benchmark_correspondence(case.model, pairs, progress)

    _evaluate("correspondence", "matching {}", measure, data, out, model, baseline, as_json, sketches)


@evaluating.command()
def segmentation(
    data: Data,
    out: Out,
    model: Model = "mini",
    baseline: Baseline = None,
    sketches: SketchFolders = None,
    kept_out: Annotated[bool, typer.Option("--held-out", help="Leave out the photos that training uses.")] = False,
    as_json: Json = False,
) -> None:
    """Measure segmentation: how well the masks of what is sketched fit."""
    from ..lab.evaluation.segmentation import TRAINED_ON, benchmark_segmentation

    _refuse_for_world(data, {"--sketches": sketches, "--held-out": kept_out})

    def measure(case: Case, progress: "Progress") -> "tuple[str, Result]":
        scenes = [*case.data.scenes(case.sketches, "measured" if kept_out else "all")]
        about = "" if kept_out or case.data.layout != "segmentation folder" else TRAINED_ON
        name = case.data.name + "-held-out" * kept_out
        return name, benchmark_segmentation(case.model, scenes, progress, about=about)

    _evaluate("segmentation", "cutting out of {}", measure, data, out, model, baseline, as_json, sketches)


@evaluating.command()
def search(data: Data, out: Out, model: Model = "mini", baseline: Baseline = None, as_json: Json = False) -> None:
    """Measure search: how reliable its confidence is, and how much words and diffusion add."""
    from ..lab.evaluation.retrieval import retrieval_data
    from ..lab.evaluation.search import benchmark_search

    def measure(case: Case, progress: "Progress") -> "tuple[str, Result]":
        source = retrieval_data(case.data)
        photos = [(image, label) for image, label in source.photos() if isinstance(label, str)]
        return case.data.name, benchmark_search(case.model, source.sketches(), photos, progress)

    _evaluate("search", "embedding {}", measure, data, out, model, baseline, as_json)


@evaluating.command()
def probe(data: Data, out: Out, model: Model = "mini", baseline: Baseline = None, as_json: Json = False) -> None:
    """Measure by linear probes how well the features of each part of the frozen models separate classes."""
    from ..lab.evaluation.recognition import benchmark_probe

    def measure(case: Case, progress: "Progress") -> "tuple[str, Result]":
        return case.data.name, benchmark_probe(case.model, case.data, progress)

    _evaluate("probe", "looking inside", measure, data, out, model, baseline, as_json)


def _evaluate(
    task: str,
    what: str,
    measure: "Measure",
    data: Sequence[str],
    out: Path,
    model: str,
    baseline: str | None,
    as_json: bool,
    sketches: Sequence[str] | None = None,
) -> None:
    """Measure on each of `data`, then write and print the reports."""
    from ..lab.datasets import open
    from ..lab.evaluation.result import make_folder, write_report
    from ..models import load

    names = [Path(root).resolve().name for root in data]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two of --data are called {twice}, as their reports would be; measure them one by one")
    datasets, others = [open(root) for root in data], [open(root) for root in sketches or ()]
    make_folder(out)
    for root in dict.fromkeys(each.root for each in (*datasets, *others) if each.layout != "Sketch World"):
        _list_broken(root)
    answers: list[dict[str, Any]] = []
    extractor = load(f"{model}:{baseline}" if baseline else model)
    extractor = extractor.for_task(task) if extractor.serves(task) else extractor
    for given, dataset in zip(data, datasets, strict=True):
        with terminal.progress_bar(what.format(dataset.name)) as progress:
            name, result = measure(Case(extractor, dataset, others), progress)
        # folders as they were given: reports are shared, and full paths are private
        write_report(result, task, name, out, {"root": given, **({"sketches": sketches} if sketches else {})})
        answers.append(result.to_json())
        if not as_json:
            typer.echo(result.to_markdown(task, name))
    if as_json:
        terminal.print_json(answers[0] if len(answers) == 1 else answers)


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


def _refuse_for_world(data: Sequence[str], given: Mapping[str, object]) -> None:
    if "world" in data and (option := next((name for name, value in given.items() if value), None)):
        raise ValueError(f"Sketch World has a split and sketches of its own; leave {option} out")


benching = typer.Typer(help="Measure costs next to those of a reference way, in one run.")
app.add_typer(benching, name="bench")
Draws = Annotated[int, typer.Option(min=1, help="Noise samples of the authors' way; their code has 32.")]


@benching.command()
def extract(
    model: Model = "mini",
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
    model: Model = "mini",
    rows: Annotated[int, typer.Option(min=1000, help="Photos in the gallery.")] = 100_000,
    folder: Annotated[
        Path | None, typer.Option(help="Folder to make the gallery in and leave it; by default a temporary one.")
    ] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure the cost of searching a large gallery."""
    from contextlib import nullcontext
    from tempfile import TemporaryDirectory

    from ..lab.evaluation.search_speed import bench_search
    from ..models import load

    place = TemporaryDirectory() if folder is None else nullcontext(str(folder))
    with place as used, terminal.progress_bar("measuring search") as progress:
        costs = bench_search(load(model), rows, Path(used), seed, progress)
    _say(costs, as_json)


@benching.command()
def train(
    model: Model = "mini",
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


def _say(costs: "Sequence[Cost]", as_json: bool) -> None:
    if as_json:
        terminal.print_json([asdict(cost) for cost in costs])
        return
    rows = []
    for cost in costs:
        more = ", ".join(f"{name} {value:.6g}" for name, value in cost.more.items())
        measured = f"{cost.images_per_second:.1f}", f"{cost.milliseconds:.2f}", f"{cost.peak_bytes / 1e6:.0f}"
        rows.append([cost.name, *measured, f"{cost.flop / 1e6:.0f}", f"{cost.ratio:.2f}", more])
    terminal.print_table(["", "images/s", "ms", "peak MB", "MFLOP", "ratio", "more"], rows)
