"""Measure what something costs, beside the plain way of doing it: the commands of `sketchfusion bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import terminal
from .options import Json, ModelOption, app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..lab.evaluation.speed import Cost


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

    with terminal.bar("measuring extract") as progress:
        costs = bench_extract(model, pictures, seed, progress)
    _say(costs, as_json)


@benching.command()
def search(
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

    with terminal.bar("measuring search") as progress:
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

    with terminal.bar("measuring train") as progress:
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
        terminal.say([asdict(cost) for cost in costs])
        return
    names = ["", "images/s", "ms", "peak MB", "MFLOP", "ratio", "more"]
    terminal.table(names, [_cells(cost) for cost in costs])


def _cells(cost: Cost) -> list[str]:
    more = ", ".join(f"{name} {value:.6g}" for name, value in cost.more.items())
    measured = f"{cost.images_per_second:.1f}", f"{cost.milliseconds:.2f}", f"{cost.peak_bytes / 1e6:.0f}"
    return [cost.name, *measured, f"{cost.flop / 1e6:.0f}", f"{cost.ratio:.2f}", more]
