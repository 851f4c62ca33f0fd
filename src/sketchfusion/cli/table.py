"""The command that makes the paper's tables."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import terminal
from .terminal import app

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..lab.evaluation.metrics import Estimate


@app.command()
def table(
    number: Annotated[str, typer.Argument(metavar="N", help="1 to 6, timestep or universal.")],
    out: Annotated[Path, typer.Option(help="Folder for table-N-<data>.json and .md, weights and what was measured.")],
    data: Annotated[str, typer.Option(help='"world", or a root to train and measure on.')] = "world",
    sketches: Annotated[
        list[str] | None, typer.Option(help="Folders of sketches for photos without; for PSC6K, the root of Sketchy.")
    ] = None,
    model: Annotated[str, typer.Option(help="The pair of frozen models.")] = "mini",
    as_it_is: Annotated[
        bool, typer.Option("--as-it-is", help="Train nothing: the pair's own light weights, and no ablations.")
    ] = False,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task's columns; a later run into OUT has them too.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value of every row's training.")] = None,
) -> None:
    """Make a table of the paper: every row trained and measured alike, the paper's figures beside."""
    from ..lab.datasets.layouts import recognise
    from ..lab.evaluation.figures import draw_figures
    from ..lab.evaluation.fill import fill, keep_to, models_of, write
    from ..lab.evaluation.result import make_folder
    from ..lab.evaluation.table import SEEDS, TABLES, measure_task, measured_on
    from ..models import load
    from ..tasks.segmentation import can_refine
    from .train import pair_of

    if number not in TABLES:
        raise ValueError(f"no table {number!r}; choose one of {', '.join(TABLES)}")
    chosen = dict(pair_of(setting) for setting in settings or [])
    if chosen and as_it_is:
        raise ValueError("--set is for training, and --as-it-is trains nothing; leave one out")
    if not as_it_is and data != "world" and recognise(data).name == "PSC6K":
        raise ValueError(
            f"{data}: put these files into the root of Sketchy and give that: training leaves some photos out"
        )
    name = data if data == "world" else Path(data).resolve().name
    kept, chosen_table = out / f"{name}-{Path(model).name}", TABLES[number].of(tasks) if tasks else TABLES[number]
    about = {task: measured_on(task, data, sketches or ()) for task in chosen_table.tasks}
    made = _made_of(data, sketches or (), (kept, out / "cache"), out)
    make_folder(out)
    if not as_it_is:
        frozen = str(Path(model).resolve()) if Path(model).is_dir() else model
        asked = " ".join(f"{key}={value}" for key, value in sorted(chosen.items())) or "the recipe's settings"
        keep_to(kept / "weights", {**made, "model": frozen, "settings": asked})
    masks = {"masks": "masks refined by a CRF" if can_refine() else "masks without CRF"}
    keep_to(kept / "queries", made | masks if "segmentation" in about else made)

    def train(task: str, folder: Path, own: Mapping[str, str], method: str) -> None:
        from ..lab.training.train import settings_for, train_task

        with terminal.loss_bar(f"training {folder.relative_to(out)}") as report:
            roots = [data, *(sketches or [])]
            fitting = {**settings_for(method, chosen), **own}
            train_task(task, roots, folder, model, True, fitting, report, None, out / "cache", method)

    def measure(task: str, of: Extractor) -> Mapping[str, Estimate]:
        with terminal.progress_bar(f"{task} of {of.name}") as progress:
            return measure_task(task, of, data, sketches or (), progress)

    cells = fill(number, chosen_table, model, kept, load, None if as_it_is else train, measure)
    command = shlex.join(["sketchfusion", *sys.argv[1:]])
    notes = {
        "command": f"`{command}`",
        "weights": "the pair's own" if as_it_is else "trained for this table",
        "seeds": f"0 to {SEEDS - 1} where there is a spread, 0 elsewhere",
    }
    if data != "world" and any(about.values()):
        notes["measured on"] = "; ".join(f"{said} ({task})" for task, said in about.items() if said)
    if "segmentation" in about:
        notes["masks"] = "refined by a CRF" if can_refine() else 'without CRF: `pip install "sketchfusion[crf]"`'
    written = write("-".join([number, *(tasks or [])]), chosen_table, cells, notes, out, name)
    typer.echo(written.read_text())
    for task in chosen_table.tasks:
        models = models_of(chosen_table, cells, task, model, kept, load, not as_it_is)
        for path in draw_figures(task, models, data, sketches or (), written.with_suffix("")):
            typer.echo(path)


def _made_of(data: str, sketches: Sequence[str], own: Sequence[Path], out: Path) -> dict[str, str]:
    """Say what a table is made of; `own` are the folders that it keeps."""
    from ..lab.evaluation.fill import listing

    made = {
        # earlier versions named the data alone, and showed World's things from other views, or what training had drawn
        "data": "world, instances sketched of their photos"
        if data == "world"
        else f"{Path(data).resolve()}, where training leaves it out",
        "sketches": " ".join(str(Path(root).resolve()) for root in sketches) or "the data's own sketches",
    }
    if roots := [root for root in (data, *sketches) if root != "world"]:
        made["files"] = listing(roots, own, out)
    return made
