"""Fill a table row by row: train a row's model if needed, measure it, keep all results for reuse; write the table."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ...baselines.frozen import SdClipBaseline
from ...extractor import Extractor
from ...io.files import atomic_write, every_file
from ...io.weights import WeightsError
from ...models import checkpoint, frozen_part
from .metrics import Estimate, Values, bootstrap
from .result import file_name, markdown_table, written
from .table import DINOS, TableLayout, TableRow, in_paper, papers_data

NOTE = "made-with.json"

Load = Callable[[str], Extractor]
Train = Callable[[str, Path, Mapping[str, str], str], None]  # for a task, into a folder, with settings, by a method
Measure = Callable[[str, Extractor], Mapping[str, Estimate]]


@dataclass(frozen=True)
class Cell:
    name: str  # of the row
    task: str
    metric: str
    values: list[float]  # one for each seed
    interval: tuple[float, float] | None  # 95 %, over the queries of the first seed
    paper: float | None
    weights: list[str] = field(default_factory=list)  # fingerprint of each seed's model
    absent: str = ""  # why there is no value
    same_as: str = ""  # an earlier row whose frozen baseline is the same model
    lead: tuple[float, float, float] | None = None  # fused row minus this one, over paired queries: mean, low, high


@dataclass(frozen=True)
class Run:
    """The results of one model of one seed: for each metric the value of every query."""

    fingerprint: str
    values: dict[str, Values]


Runs = dict[str, dict[str, list[Run]]]  # row -> task -> runs


@dataclass(frozen=True)
class TableFiller:
    """Fills tables on the frozen models of `pair`; without `train`, with the light weights shipped with the pair.

    `out` is for one pair and one benchmark: weights lie in `out/weights/<row>/<task>/seed-<n>`, the values of each
    query in `out/queries`, and a table that was interrupted resumes from them. `checkpoints` are folders of other
    models of the catalog, by name; models without a folder are looked up in the hub's cache.
    """

    pair: str
    out: Path
    load: Load
    train: Train | None
    measure: Measure
    checkpoints: Mapping[str, str] = field(default_factory=dict)

    def fill(self, number: str, table: TableLayout) -> list[Cell]:
        """Measure the model of every row, after training it if it does not exist yet."""
        runs: Runs = {}
        absent: dict[str, str] = {}
        for row in table.rows:
            if row.is_variant and not self.train:
                absent[row.name] = "needs training"
                continue
            try:
                parts = self._other_parts(row)
                runs[row.name] = {task: self._runs(row, task, parts) for task in table.tasks}
            except WeightsError as error:
                if not (row.baseline or row.encoder or row.checkpoint):
                    raise
                absent[row.name] = str(error)  # a missing frozen model leaves only its row empty
        return _cells(number, table, runs, absent)

    def models(self, table: TableLayout, cells: Sequence[Cell], task: str) -> dict[str, Extractor]:
        """Load the first seed's model of each row filled for a task, by row name; skip rows that repeat a model."""
        filled = {cell.name for cell in cells if cell.task == task and cell.values and not cell.same_as}
        return {
            row.name: self.load(self._frozen(row) if row.baseline or not self.train else str(self._folder(row, task)))
            for row in table.rows
            if row.name in filled
        }

    def _other_parts(self, row: TableRow) -> dict[str, str]:
        """Give the setting that replaces a frozen model of the pair, if any; WeightsError if the new one is missing."""
        if row.checkpoint:
            part, name = row.checkpoint
            return {part: checkpoint(self.pair, name, self.checkpoints)}
        return {"clip": self._given(row.encoder) or frozen_part(self.pair, row.encoder)} if row.encoder else {}

    def _runs(self, row: TableRow, task: str, parts: Mapping[str, str]) -> list[Run]:
        """Measure a row's model for a task, one run per seed."""
        if row.baseline or not self.train:
            model = self.load(self._frozen(row))
            # A frozen model is deterministic but for the noise added for Stable Diffusion.
            seeds = [model.with_noise(n) for n in range(row.seeds)] if isinstance(model, SdClipBaseline) else [model]
            return [self._run(row, task, one) for one in seeds]
        runs = []
        for seed in range(row.seeds):
            folder = self._folder(row, task, seed)
            if not (folder / "config.json").is_file():
                self.train(row.task or task, folder, {**row.settings, **parts, "seed": str(seed)}, row.method)
            runs.append(self._run(row, task, self.load(str(folder))))
        return runs

    def _run(self, row: TableRow, task: str, model: Extractor) -> Run:
        """Measure a model for a task, or read its stored values."""
        model = model.for_task(task) if model.serves(task) else model
        stored = self.out / "queries" / f"{file_name(row.stored_as)}-{task}-{model.fingerprint[:16]}.json"
        if not stored.is_file():
            values = {name: estimate.each.tolist() for name, estimate in self.measure(task, model).items()}
            _write_json(stored, values)
        return Run(model.fingerprint, {name: np.array(each) for name, each in json.loads(stored.read_text()).items()})

    def _frozen(self, row: TableRow) -> str:
        """Give the name under which `load` finds a row's baseline, or the pair itself."""
        return self._given(row.baseline) or (f"{self.pair}:{row.baseline}" if row.baseline else self.pair)

    def _given(self, baseline: str) -> str | None:
        """Give the folder of a baseline's model, if it is among the checkpoints."""
        return self.checkpoints.get(DINOS.get(baseline, ""))

    def _folder(self, row: TableRow, task: str, seed: int = 0) -> Path:
        return self.out / "weights" / file_name(row.stored_as) / (row.task or task) / f"seed-{seed}"


def _cells(number: str, table: TableLayout, runs: Runs, absent: Mapping[str, str]) -> list[Cell]:
    """Compute the figures of all rows and columns, and the fused row's lead over the others."""
    fused = next((runs[row.name] for row in table.rows if row.fused), {})
    first: dict[tuple[str, ...], str] = {}  # task and fingerprints of a frozen model -> the row that had it first
    cells: list[Cell] = []
    for row in table.rows:
        for column in table.columns:
            of_row = runs.get(row.name, {}).get(column.task, [])
            weights = [run.fingerprint for run in of_row]
            same = first.setdefault((column.task, *weights), row.name) if row.baseline and weights else row.name
            estimates = [bootstrap(run.values[column.metric]) for run in of_row]
            ours, lead = [] if row.fused else fused.get(column.task, []), None
            if ours and of_row:  # query by query, each averaged over seeds
                ahead, behind = (np.mean([run.values[column.metric] for run in of], axis=0) for of in (ours, of_row))
                more = bootstrap(ahead - behind)
                lead = more.mean, more.low, more.high
            cells.append(
                Cell(
                    row.name,
                    column.task,
                    column.metric,
                    [estimate.mean for estimate in estimates],
                    (estimates[0].low, estimates[0].high) if estimates else None,
                    in_paper(number, row.name, column.metric),
                    weights,
                    absent.get(row.name, ""),
                    same if same != row.name else "",
                    lead,
                )
            )
    return cells


def check_made_with(folder: Path, made_with: Mapping[str, str]) -> None:
    """Record what the content of `folder` is made with, adding to its record; ValueError if they contradict.

    The record of a folder with nothing else in it is replaced.
    """
    note = folder / NOTE
    filled = folder.is_dir() and any(path != note for path in folder.iterdir())
    before: dict[str, str] = json.loads(note.read_text()) if filled and note.is_file() else {}
    if other := next((key for key, value in made_with.items() if before.get(key, value) != value), None):
        raise ValueError(f"{folder.parent} was made with {before[other]}, not {made_with[other]}; choose another --out")
    _write_json(note, {**before, **made_with}, indent=2)


def describe_files(roots: Sequence[str], own: Sequence[Path], out: Path) -> str:
    """Count the files in folders, with a digest of their states; without those in `own` and the tables in `out`."""
    files = sorted(path for root in roots for path in every_file(Path(root).resolve()))
    own_folders, tables = {folder.resolve() for folder in own}, out.resolve()
    files = [of for of in files if not own_folders & set(of.parents)]
    files = [of for of in files if of.parent != tables or not of.name.startswith("table-")]
    state = "".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n" for path in files)
    digest = hashlib.sha256(state.encode(errors="surrogateescape")).hexdigest()
    return f"{len(files)} files ({digest[:12]} of names, sizes and times)"


def _write_json(path: Path, content: object, indent: int | None = None) -> None:
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(content, indent=indent) + "\n")


def write(number: str, table: TableLayout, cells: list[Cell], notes: Mapping[str, str], out: Path, data: str) -> Path:
    """Write `out/table-N-<data>.json` and `.md`; give the path of the latter."""
    stem = out / f"table-{number}-{file_name(data)}"
    record = {"table": number, "title": table.title, "data": data, **notes, "rows": [asdict(cell) for cell in cells]}
    _write_json(stem.with_suffix(".json"), record, indent=2)
    text = stem.with_suffix(".md")
    text.write_text(_markdown(number, table, cells, notes, data), encoding="utf-8")
    return text


def _markdown(number: str, table: TableLayout, cells: list[Cell], notes: Mapping[str, str], data: str) -> str:
    """Format the table with the paper's figures, then the table of the fused row's leads."""
    heads = ["", *(f"{column.metric} ({column.task})" for column in table.columns)]
    by_row: dict[str, list[Cell]] = {}
    for cell in cells:
        by_row.setdefault(cell.name, []).append(cell)
    figures = {_row_title(name, row): [_figure(cell) for cell in row] for name, row in by_row.items()}
    lines = [
        f"# Table {number}: {table.title}, on {written(data)}",
        "",
        *(f"{name}: {written(value)}" + "  " for name, value in notes.items()),
        "",
        "With ± half the range over seeds, the 95 % interval over queries (first seed), the paper's figure in italics"
        f"{f', of {measured}' if (measured := papers_data(number)) else ''}.",
        "",
        *markdown_table(heads, figures),
        "",
        *(f"{name} is empty: {row[0].absent}" + "  " for name, row in by_row.items() if row[0].absent),
        "",
    ]
    leads = {
        name: ["" if cell.lead is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*cell.lead) for cell in row]
        for name, row in by_row.items()
        if any(cell.lead for cell in row)
    }
    if leads:
        fused = next(row.name for row in table.rows if row.fused)
        lines += [
            f"How much more {fused} has on the same queries (means over seeds), with the 95 % interval over them.",
            "",
            *markdown_table(heads, leads),
            "",
        ]
    return "\n".join(lines)


def _row_title(name: str, row: Sequence[Cell]) -> str:
    same = {cell.same_as for cell in row}
    return f"{name} (the same model as {same.pop()})" if len(same) == 1 and "" not in same else name


def _figure(cell: Cell) -> str:
    paper = "" if cell.paper is None else f" *{cell.paper:.3f}*"
    if not cell.values or cell.interval is None:
        return f"-{paper}"
    mean = sum(cell.values) / len(cell.values)
    spread = f" ± {(max(cell.values) - min(cell.values)) / 2:.3f}" if len(cell.values) > 1 else ""
    return f"{mean:.3f}{spread} ({cell.interval[0]:.3f} to {cell.interval[1]:.3f}){paper}"
