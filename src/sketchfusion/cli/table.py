"""The command that reproduces the tables of the paper."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import terminal
from .terminal import app
from .train import Checkpointing, Keep, parse_setting

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..lab.datasets import Dataset
    from ..lab.evaluation.metrics import Estimate
    from ..lab.evaluation.table import TableLayout


@app.command()
def table(
    number: Annotated[str, typer.Argument(metavar="N", help="1 to 6, timestep or universal.")],
    out: Annotated[Path, typer.Option(help="Folder for table-N-<data>.json and .md, weights and measured values.")],
    data: Annotated[str, typer.Option(help='"world", or a folder of data to train and measure on.')] = "world",
    sketches: Annotated[
        list[str] | None, typer.Option(help="Folders of sketches, for data without; for PSC6K, the root of Sketchy.")
    ] = None,
    model: Annotated[str, typer.Option(help="The pair of frozen models.")] = "mini",
    as_it_is: Annotated[
        bool, typer.Option("--as-it-is", help="Train nothing: measure the pair's own light weights, without ablations.")
    ] = False,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task's columns; a later run into OUT reuses them.")
    ] = None,
    recipe: Annotated[str, typer.Option(help=terminal.RECIPE)] = "mini",
    keep: Keep = None,
    checkpointing: Checkpointing = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value for training every row; NAME=DIR: where sd14, clip-b16, dino-s8 .. are."),
    ] = None,
) -> None:
    """Make a table of the paper: train and measure every row alike, next to the paper's figures."""
    from ..lab import datasets
    from ..lab.evaluation.figures import draw_figures
    from ..lab.evaluation.fill import TableFiller, write
    from ..lab.evaluation.result import make_folder
    from ..lab.evaluation.table import CHECKPOINTS, TABLES, measured_on
    from ..models import load

    if number not in TABLES:
        raise ValueError(f"no table {number!r}; choose one of {', '.join(TABLES)}")
    chosen = dict(parse_setting(setting) for setting in settings or [])
    if (chosen or recipe != "mini") and as_it_is:
        raise ValueError("--set and --recipe are for training, and --as-it-is trains nothing; leave one out")
    dataset, others = datasets.open(data), [datasets.open(root) for root in sketches or ()]
    if not as_it_is and dataset.layout == "PSC6K":
        raise dataset.error("put these files into the root of Sketchy and give that: training leaves some photos out")
    layout = TABLES[number].of(tasks) if tasks else TABLES[number]
    checkpoints = {name: chosen.pop(name) for name in CHECKPOINTS if name in chosen}
    model = settle(number, layout, model, chosen)
    how = {"recipe": recipe, "keep": keep, "checkpointing": checkpointing}
    run = TableRun(dataset, others, model, out, None if as_it_is else chosen, checkpoints, how)
    categories = {task: measured_on(task, dataset, others) for task in layout.tasks}
    make_folder(out)
    run.check_folders(layout.tasks)
    filler = TableFiller(model, run.folder, load, None if as_it_is else run.train, run.measure, checkpoints)
    cells = filler.fill(number, layout)
    notes = run.notes(categories)
    written = write("-".join([number, *(tasks or [])]), layout, cells, notes, out, dataset.name)
    typer.echo(written.read_text(encoding="utf-8"))
    for task in layout.tasks:
        models = filler.models(layout, cells, task)
        for path in draw_figures(task, models, dataset, others, written.with_suffix("")):
            typer.echo(path)


def settle(number: str, layout: "TableLayout", model: str, settings: dict[str, str]) -> str:
    """Complete the settings and give the pair that they name; ValueError for some that would not hold for all rows."""
    if model == "full" and {"diffusion", "clip"} <= set(settings):  # the baselines' models too
        model = f"{settings.pop('diffusion')}+{settings.pop('clip')}"
    # Tables 3 and 5 measure what training validates on: it must not choose the weights there, of any row.
    settings.setdefault("validation_batches", "0")
    differing = {"seed"}.union(*(row.settings for row in layout.rows))
    if clash := sorted(differing & set(settings)):
        raise ValueError(f"'{clash[0]}' is what the rows and seeds of table {number} differ by; leave it out")
    if alone := sorted({"diffusion", "clip"} & set(settings)):
        raise ValueError(f"'{alone[0]}' would not be the frozen rows' too; name both models by --model SD+CLIP")
    return model


@dataclass(frozen=True)
class TableRun:
    """What a table is made with: data, further sketches where it has only photos, frozen models, training settings."""

    dataset: "Dataset"
    sketches: "Sequence[Dataset]"
    model: str
    out: Path
    settings: Mapping[str, str] | None  # None where nothing is trained
    checkpoints: Mapping[str, str]  # folders of other models of the catalog, by name
    how: Mapping[str, Any]  # further arguments of `train_task`, of which only the recipe changes what comes out

    @property
    def folder(self) -> Path:
        """Where weights and measured values for this data set and these frozen models are stored."""
        return self.out / f"{self.dataset.name}-{'+'.join(Path(part).name for part in self.model.split('+'))}"

    @property
    def sketch_world(self) -> bool:
        return self.dataset.layout == "Sketch World"

    def check_folders(self, tasks: Sequence[str]) -> None:
        """Note in the output folders what they are made with; ValueError if that was other data, models or settings."""
        from ..lab.evaluation.fill import check_made_with, describe_files
        from ..tasks.segmentation import can_refine

        made_with = {
            "data": "world, instances sketched of their photos"
            if self.sketch_world
            else f"{self.dataset.root.resolve()}, where training leaves it out",
            "sketches": " ".join(str(other.root.resolve()) for other in self.sketches) or "the data's own sketches",
        }
        data = () if self.sketch_world else (self.dataset,)
        if folders := [str(dataset.root) for dataset in (*data, *self.sketches)]:
            made_with["files"] = describe_files(folders, (self.folder, self.out / "cache"), self.out)
        if self.settings is not None:
            frozen = str(Path(self.model).resolve()) if Path(self.model).is_dir() else self.model
            named = self.settings if self.how["recipe"] == "mini" else {"recipe": self.how["recipe"], **self.settings}
            settings = " ".join(f"{key}={value}" for key, value in sorted(named.items()))
            trained_with = {"model": frozen, "settings": settings}
            others = {name: str(Path(place).resolve()) for name, place in self.checkpoints.items()}
            check_made_with(self.folder / "weights", {**made_with, **trained_with, **others})
        masks = {"masks": "masks refined by a CRF" if can_refine() else "masks without CRF"}
        check_made_with(self.folder / "queries", made_with | masks if "segmentation" in tasks else made_with)

    def train(self, task: str, folder: Path, row_settings: Mapping[str, str], method: str) -> None:
        from ..lab.training.loop import CHECKPOINT
        from ..lab.training.train import settings_for, train_task

        settings = {**settings_for(method, self.settings or {}), **row_settings}
        resume = (folder / "training" / task / CHECKPOINT).is_file()
        with terminal.loss_bar(f"training {folder.relative_to(self.out)}") as report:
            data = (self.dataset, *self.sketches)
            cache = self.out / "cache"
            train_task(task, data, folder, self.model, resume, settings, report, None, cache, method, **self.how)

    def measure(self, task: str, model: "Extractor") -> "Mapping[str, Estimate]":
        from ..lab.evaluation.table import measure_task

        with terminal.progress_bar(f"{task} of {model.name}") as progress:
            return measure_task(task, model, self.dataset, self.sketches, progress)

    def notes(self, categories: Mapping[str, str]) -> dict[str, str]:
        """Return the notes printed above the table: command, weights, seeds, categories of each task, masks."""
        from ..lab.evaluation.table import SEEDS
        from ..tasks.segmentation import can_refine

        notes = {
            "command": f"`{shlex.join(['sketchfusion', *sys.argv[1:]])}`",
            "weights": "the pair's own" if self.settings is None else "trained for this table",
            "seeds": f"0 to {SEEDS - 1} where there is a spread, 0 elsewhere",
        }
        if not self.sketch_world and any(categories.values()):
            notes["measured on"] = "; ".join(f"{about} ({task})" for task, about in categories.items() if about)
        if "segmentation" in categories:
            notes["masks"] = "refined by a CRF" if can_refine() else 'without CRF: `pip install "sketchfusion[crf]"`'
        return notes
