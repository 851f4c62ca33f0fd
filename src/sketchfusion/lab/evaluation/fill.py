"""A table filled row by row: trained where that is needed, measured, and what is done is never done again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...baselines.frozen import SdClipBaseline
from ...io.files import atomic_write, every_file
from ...io.weights import WeightsError
from ...models import frozen_part
from .metrics import Values, bootstrap
from .table import TableColumn, TableLayout, TableRow, in_paper

if TYPE_CHECKING:
    from ...extractor import Extractor
    from .metrics import Estimate


NOTE = "made-with.json"

Load = Callable[[str], "Extractor"]
Train = Callable[[str, Path, Mapping[str, str], str], None]  # for a task, into a folder, with settings, by a method
Measure = Callable[[str, "Extractor"], "Mapping[str, Estimate]"]


@dataclass(frozen=True)
class Cell:
    """One figure of one row."""

    name: str  # of the row
    task: str
    metric: str
    values: list[float]  # one a seed
    interval: tuple[float, float] | None  # 95 %, over the queries of the first seed
    paper: float | None
    weights: list[str] = field(default_factory=list)  # fingerprint of each seed's model
    absent: str = ""  # why there is no value
    same_as: str = ""  # an earlier row of which the frozen baseline is the very same model
    lead: tuple[float, float, float] | None = None  # how much more the fused row has, query by query: mean, low, high


def keep_to(folder: Path, made: Mapping[str, str]) -> None:
    """Write down what `folder` is made with; ValueError if what is kept in it already was made with something else.

    What no earlier table said is added.
    """
    note = folder / NOTE
    kept = folder.is_dir() and any(path != note for path in folder.iterdir())
    before: dict[str, str] = json.loads(note.read_text()) if kept and note.is_file() else {}
    if other := next((key for key, value in made.items() if before.get(key, value) != value), None):
        raise ValueError(f"{folder.parent} was made with {before[other]}, not {made[other]}; choose another --out")
    with atomic_write(note) as draft:
        draft.write_text(json.dumps({**before, **made}, indent=2) + "\n")


def listing(roots: Sequence[str], own: Sequence[Path], out: Path) -> str:
    """How many files lie in some folders, and a digest of their names, sizes and times.

    What this table keeps is left out where it lies among them: the folders `own` and its files in `out`.
    """
    files = sorted(path for root in roots for path in every_file(Path(root).resolve()))
    kept, beside = {folder.resolve() for folder in own}, out.resolve()
    files = [
        path
        for path in files
        if not kept & set(path.parents) and not (path.parent == beside and path.name.startswith("table-"))
    ]
    state = "".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n" for path in files)
    return f"{len(files)} files ({hashlib.sha256(state.encode()).hexdigest()[:12]} of names, sizes and times)"


def fill(
    number: str, table: TableLayout, pair: str, out: Path, load: Load, train: Train | None, measure: Measure
) -> list[Cell]:
    """Fill a table on the frozen parts of `pair`; without `train`, with the weights that the pair comes with.

    `out` is for one pair and one benchmark: weights lie in `out/weights/<row>/<task>/<seed>`, what each query was worth
    in `out/queries`, and a table that was stopped goes on where it was.
    """
    found: dict[str, dict[str, list[Run]]] = {}  # row, task -> runs
    absent: dict[str, str] = {}
    for row in table.rows:
        absent[row.name] = row.absent or ("needs training" if row.differs and not train else "")
        tasks = [] if absent[row.name] else table.tasks
        try:
            found[row.name] = {task: _measured(row, task, pair, out, load, train, measure) for task in tasks}
        except WeightsError as error:
            if not row.baseline:
                raise
            absent[row.name] = str(error)  # a frozen model that is not there leaves its row empty, not the table
    fused = next((found[row.name] for row in table.rows if row.fused), {})
    first: dict[tuple[str, ...], str] = {}  # the row that a model, by its fingerprint, was measured for first
    cells: list[Cell] = []
    for row in table.rows:
        for column in table.columns:
            runs = found.get(row.name, {}).get(column.task, [])
            weights = [fingerprint for fingerprint, _ in runs]
            same = first.setdefault((column.task, *weights), row.name) if row.baseline else row.name
            estimates = [bootstrap(values[column.metric]) for _, values in runs]
            ours = [] if row.fused else fused.get(column.task, [])
            cells.append(
                Cell(
                    row.name,
                    column.task,
                    column.metric,
                    [estimate.mean for estimate in estimates],
                    (estimates[0].low, estimates[0].high) if runs else None,
                    in_paper(number, row.name, column.metric),
                    weights,
                    absent[row.name],
                    same if same != row.name else "",
                    _lead(column, ours, runs) if ours and runs else None,
                )
            )
    return cells


Run = tuple[str, dict[str, Values]]  # fingerprint; metric -> of each query


def _lead(column: TableColumn, ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[float, float, float]:
    """How much more `ours` have on the same queries, each the mean over the seeds."""
    mine, other = (np.mean([values[column.metric] for _, values in runs], axis=0) for runs in (ours, theirs))
    more = bootstrap(mine - other)
    return more.mean, more.low, more.high


def _measured(
    row: TableRow, task: str, pair: str, out: Path, load: Load, train: Train | None, measure: Measure
) -> list[Run]:
    if row.baseline or not train:
        model = load(_frozen(row, pair))
        # Nothing of a frozen model is left to chance but the noise that Stable Diffusion sees.
        drawn = [model.with_noise(n) for n in range(row.seeds)] if isinstance(model, SdClipBaseline) else [model]
        return [_once(row, task, one, out, measure) for one in drawn]
    runs = []
    for seed in range(row.seeds):
        folder = _trained(row, task, out, seed)
        if not (folder / "config.json").is_file():
            encoder = {"clip": frozen_part(pair, row.encoder)} if row.encoder else {}
            train(row.task or task, folder, {**row.settings, **encoder, "seed": str(seed)}, row.method)
        runs.append(_once(row, task, load(str(folder)), out, measure))
    return runs


def models_of(
    table: TableLayout, cells: Sequence[Cell], task: str, pair: str, out: Path, load: Load, trained: bool
) -> dict[str, Extractor]:
    """Load the models of the rows that were filled for a task, by name: the first seed's, and each model once."""
    filled = {cell.name for cell in cells if cell.task == task and cell.values and not cell.same_as}
    return {
        row.name: load(_frozen(row, pair) if row.baseline or not trained else str(_trained(row, task, out)))
        for row in table.rows
        if row.name in filled
    }


def _frozen(row: TableRow, pair: str) -> str:
    return f"{pair}:{row.baseline}" if row.baseline else pair


def _trained(row: TableRow, task: str, out: Path, seed: int = 0) -> Path:
    return out / "weights" / _slug(row.kept_as) / (row.task or task) / f"seed-{seed}"


def _once(row: TableRow, task: str, model: Extractor, out: Path, measure: Measure) -> Run:
    model = model.for_task(task) if model.serves(task) else model
    kept = out / "queries" / f"{_slug(row.kept_as)}-{task}-{model.fingerprint[:16]}.json"
    if not kept.is_file():
        values = {name: estimate.each.tolist() for name, estimate in measure(task, model).items()}
        with atomic_write(kept) as draft:
            draft.write_text(json.dumps(values))
    return model.fingerprint, {name: np.array(values) for name, values in json.loads(kept.read_text()).items()}


def _slug(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-")


def write(
    number: str, table: TableLayout, cells: Sequence[Cell], notes: Mapping[str, object], out: Path, data: str
) -> Path:
    """Write `out/table-N-<data>.json` and `.md`; give the path of the latter."""
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"table-{number}-{_slug(data)}"
    record = {"table": number, "title": table.title, "data": data, **notes, "rows": [asdict(cell) for cell in cells]}
    stem.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    text = stem.with_suffix(".md")
    text.write_text(to_markdown(number, table, cells, notes, data))
    return text


def to_markdown(number: str, table: TableLayout, cells: Sequence[Cell], notes: Mapping[str, object], data: str) -> str:
    """The table with the paper's figures beside; intervals over queries, spread over seeds where there are several."""
    heads = [f"{column.metric} ({column.task})" for column in table.columns]
    by_row: dict[str, list[Cell]] = {}
    for cell in cells:
        by_row.setdefault(cell.name, []).append(cell)
    lines = [
        f"# Table {number}: {table.title}, on {data}",
        "",
        *(f"{name}: {value}" + "  " for name, value in notes.items()),
        "",
        "With the spread over seeds, the 95 % interval over queries (first seed) and the paper's figure in italics.",
        "",
        *_lines(heads, {_named(name, row): [_shown(cell) for cell in row] for name, row in by_row.items()}),
        "",
    ]
    if leads := {name: [_led(cell) for cell in row] for name, row in by_row.items() if any(c.lead for c in row)}:
        fused = next(row.name for row in table.rows if row.fused)
        lines += [
            f"How much more {fused} has on the same queries (means over seeds), with the 95 % interval over them.",
            "",
            *_lines(heads, leads),
            "",
        ]
    return "\n".join(lines)


def _lines(heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"| | {' | '.join(heads)} |",
        "|---" * (1 + len(heads)) + "|",
        *(f"| {name} | {' | '.join(row)} |" for name, row in rows.items()),
    ]


def _named(name: str, row: Sequence[Cell]) -> str:
    same = {cell.same_as for cell in row}
    return f"{name} (the same model as {same.pop()})" if len(same) == 1 and "" not in same else name


def _shown(cell: Cell) -> str:
    paper = "" if cell.paper is None else f" *{cell.paper:.3f}*"
    if not cell.values or cell.interval is None:
        return f"{cell.absent}{paper}"
    mean = sum(cell.values) / len(cell.values)
    spread = f" ± {(max(cell.values) - min(cell.values)) / 2:.3f}" if len(cell.values) > 1 else ""
    return f"{mean:.3f}{spread} ({cell.interval[0]:.3f} to {cell.interval[1]:.3f}){paper}"


def _led(cell: Cell) -> str:
    return "" if cell.lead is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*cell.lead)
