"""The command of someone who wants to know what something costs: bench."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import terminal
from .idle import refuse_bench
from .options import Json, app

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..speed.cost import Cost


@app.command()
def bench(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="extract, search, train or metrics")],
    model: Annotated[str | None, typer.Option(help="Name, hub id or folder of a model.", show_default="mini")] = None,
    rows: Annotated[
        int | None, typer.Option(min=1000, help="Photos in the gallery of search.", show_default="100000")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where that gallery is made; kept. By default in a temporary folder.")
    ] = None,
    pictures: Annotated[int | None, typer.Option(min=1, help="Pictures of extract.", show_default="32")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of train.", show_default="10")] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Measure what something costs, beside the plain way of doing it, in one run."""
    from dataclasses import asdict

    given = {"--model": model, "--rows": rows, "--folder": folder, "--pictures": pictures, "--steps": steps}
    refuse_bench(what, given)
    name = "mini" if model is None else model
    with terminal.bar(f"measuring {what}") as progress:
        if what == "extract":
            from ..speed.extract import bench_extract

            costs = bench_extract(name, pictures or 32, seed, progress)
        elif what == "search":
            costs = _search(name, rows or 100_000, folder, seed, progress)
        elif what == "train":
            from ..speed.train import bench_train

            costs = bench_train(name, steps or 10, seed, progress)
        else:
            from ..speed.metrics import bench_metrics

            costs = bench_metrics(seed)
    if as_json:
        terminal.say([asdict(cost) for cost in costs])
        return
    names = ["", "images/s", "ms", "peak MB", "MFLOP", "ratio", "more"]
    terminal.table(names, [_cells(cost) for cost in costs])


def _search(model: str, rows: int, folder: Path | None, seed: int, progress: Callable[[int, int], None]) -> list[Cost]:
    from contextlib import nullcontext
    from tempfile import TemporaryDirectory

    from ..models import load
    from ..speed.search import bench_search

    place = TemporaryDirectory() if folder is None else nullcontext(str(folder))
    with place as used:
        return bench_search(load(model), rows, Path(used), seed, progress)


def _cells(cost: Cost) -> list[str]:
    more = ", ".join(f"{name} {value:.6g}" for name, value in cost.more.items())
    measured = f"{cost.images_per_second:.1f}", f"{cost.milliseconds:.2f}", f"{cost.peak_bytes / 1e6:.0f}"
    return [cost.name, *measured, f"{cost.flop / 1e6:.0f}", f"{cost.ratio:.2f}", more]
