"""The command of someone who measures: evaluate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import terminal
from .idle import refuse_idle
from .options import Data, Json, ModelOption, app

if TYPE_CHECKING:
    from ..evaluation.benchmarks import Result
    from ..evaluation.measured import Measured
    from ..evaluation.naming import NamingResult
    from ..evaluation.report import Reported
    from ..evaluation.searching import SearchResult
    from ..extractor import BatchExtractor


MEASURED = "retrieval, instance-retrieval, recognition, correspondence, segmentation, search or probe"


@app.command()
def evaluate(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help=MEASURED,
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    model: ModelOption = "mini",
    baseline: Annotated[
        str | None, typer.Option(help="Measure a baseline on the model's frozen parts instead (B-CLIP ..).")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="What recognition is shown: sketch or photo.", show_default="sketch")
    ] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="Recognition learns from examples instead of reading names.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="Published split of the classes (sketchy-25-sake ..).")] = None,
    sketches: Annotated[
        list[str] | None, typer.Option(help="Folders of sketches for photos without; for PSC6K, the root of Sketchy.")
    ] = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Rank Sketchy-extended's photos as SAKE does: Sketchy's own twice.")
    ] = False,
    against: Annotated[
        list[str] | None, typer.Option(help="Models that retrieval is compared with, query by query.")
    ] = None,
    kept_out: Annotated[
        bool, typer.Option("--held-out", help="Segmentation leaves out the photos of a folder that training draws.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure a model under every named metric; writes OUT/<task>-<data>-<model>.json and .md.

    <data> says, too, which --split, --duplicates or --sketches in place of its own were asked for.
    """
    from ..evaluation.report import make_folder, to_markdown, write_report
    from ..models import load

    measures: dict[str, Callable[[BatchExtractor, str], tuple[str, Reported]]] = {
        "retrieval": partial(_retrieval, split, sketches or (), duplicates, against or ()),
        "instance-retrieval": partial(_instances, split),
        "recognition": _examples if examples else partial(_recognition, kind or "sketch"),
        "correspondence": partial(_correspondence, sketches or ()),
        "segmentation": partial(_segmentation, sketches or (), kept_out),
        "probe": _probe,
        "search": _searching,
    }
    if task not in measures:
        raise ValueError(f"no evaluation for {task!r}; choose one of {', '.join(measures)}")
    given = {
        "--kind": kind,
        "--examples": examples,
        "--split": split,
        "--sketches": sketches,
        "--duplicates": duplicates,
        "--against": against,
        "--held-out": kept_out,
    }
    refuse_idle(task, data, given)
    names = [Path(one).resolve().name for one in data]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two of --data are called {twice}, as their reports would be; measure them one by one")
    make_folder(out)
    answers: list[dict[str, Any]] = []
    extractor = load(f"{model}:{baseline}" if baseline else model)
    extractor = extractor.for_task(task) if extractor.serves(task) else extractor
    for one in data:
        name, result = measures[task](extractor, one)
        # as they were given: reports are handed on, and full paths are nobody else's business
        write_report(result, task, name, out, {"root": one, **({"sketches": sketches} if sketches else {})})
        answers.append(result.summary())
        if not as_json:
            typer.echo(to_markdown(result, task, name))
    if as_json:
        terminal.say(answers[0] if len(answers) == 1 else answers)


def _retrieval(
    split: str | None,
    sketches: Sequence[str],
    duplicates: bool,
    against: Sequence[str],
    extractor: BatchExtractor,
    data: str,
) -> tuple[str, Result]:
    from ..evaluation.benchmarks import benchmark_retrieval
    from ..evaluation.galleries import retrieval_data
    from ..models import load

    others = {name: load(name) for name in against}
    source = retrieval_data(data, split, sketches, duplicates)
    with terminal.bar(f"embedding {source.name}") as progress:
        drawn, shown = [*source.sketches()], [*source.photos()]
        result = benchmark_retrieval(extractor, drawn, shown, progress=progress, about=source.about)
        for name, other in others.items():
            result = result.more_than(benchmark_retrieval(other, drawn, shown, progress=progress), name)
        return _called(source.name, data, split, sketches, duplicates), result


def _called(name: str, data: str, split: str | None, sketches: Sequence[str], duplicates: bool) -> str:
    """The name of data in its report: with the split, the duplicates and the sketches in place of its own, if any."""
    from ..datasets.recognise import recognise
    from ..evaluation.galleries import WORLD

    other = sketches if data != WORLD and recognise(data).splits else ()
    asked = [split, "duplicates" * duplicates, *(Path(root).resolve().name for root in other)]
    return "-".join([name, *filter(None, asked)])


def _instances(split: str | None, extractor: BatchExtractor, data: str) -> tuple[str, Measured]:
    from ..evaluation.instances import benchmark_instances, instance_data

    source = instance_data(data, split)
    with terminal.bar(f"embedding {source.name}") as progress:
        drawn, shown = [*source.sketches()], [*source.photos()]
        name = _called(source.name, data, split, (), False)
        return name, benchmark_instances(extractor, drawn, shown, progress, source.about)


def _searching(extractor: BatchExtractor, data: str) -> tuple[str, SearchResult]:
    from ..evaluation.galleries import retrieval_data
    from ..evaluation.searching import benchmark_search

    source = retrieval_data(data)
    with terminal.bar(f"embedding {source.name}") as progress:
        drawn = [*source.sketches()]
        shown = [(image, label) for image, label in source.photos() if isinstance(label, str)]
        return source.name, benchmark_search(extractor, drawn, shown, progress)


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


def _examples(extractor: BatchExtractor, data: str) -> tuple[str, Measured]:
    from ..evaluation.recognition import benchmark_examples
    from ..evaluation.sources import naming_data

    asked, seen = naming_data(data, "sketch"), naming_data(data, "sketch", examples=True)
    with terminal.bar(f"learning {asked.name}") as progress:
        return f"{asked.name}-examples", benchmark_examples(extractor, seen.pictures, asked.pictures, progress)


def _correspondence(sketches: Sequence[str], extractor: BatchExtractor, data: str) -> tuple[str, Measured]:
    from ..evaluation.correspondence import benchmark_correspondence, keypoint_pairs

    if len(sketches) > 1:
        raise ValueError("the pictures of PSC6K lie in one root of Sketchy; name that alone with --sketches")
    name = data if data == "world" else Path(data).resolve().name
    with terminal.bar(f"matching {name}") as progress:
        return name, benchmark_correspondence(extractor, [*keypoint_pairs(data, *sketches)], progress)


def _segmentation(
    sketches: Sequence[str], kept_out: bool, extractor: BatchExtractor, data: str
) -> tuple[str, Measured]:
    from ..evaluation.scenes import scenes
    from ..evaluation.segmentation import TRAINED_ON, benchmark_segmentation

    name = data if data == "world" else Path(data).resolve().name
    shown = [*scenes(data, sketches, "measured" if kept_out else "all")]
    about = "" if kept_out or data == "world" else TRAINED_ON
    with terminal.bar(f"cutting out of {name}") as progress:
        return name + "-held-out" * kept_out, benchmark_segmentation(extractor, shown, progress, about=about)


def _probe(extractor: BatchExtractor, data: str) -> tuple[str, Measured]:
    from ..evaluation.probe import benchmark_probe

    with terminal.bar("looking inside") as progress:
        return Path(data).resolve().name, benchmark_probe(extractor, data, progress)
