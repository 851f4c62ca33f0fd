"""A table filled row by row: trained where that is needed, measured, and what is done is never done again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...baselines.sd_clip import SdClipBaseline
from ...io.weights import WeightsError
from ...models import frozen_part
from .paper import in_paper
from .rows import Row, Table

if TYPE_CHECKING:
    from ...extractor import BatchExtractor
    from ..metrics import Estimate

Load = Callable[[str], "BatchExtractor"]
Train = Callable[[str, Path, Mapping[str, str], str], None]  # for a task, into a folder, with settings, by a method
Measure = Callable[[str, "BatchExtractor"], "Mapping[str, Estimate]"]


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


def fill(
    number: str, table: Table, pair: str, out: Path, load: Load, train: Train | None, measure: Measure
) -> list[Cell]:
    """Fill a table on the frozen parts of `pair`; without `train`, with the weights that the pair comes with.

    `out` is for one pair and one benchmark: weights lie in `out/weights/<row>/<task>/<seed>`, what was measured in
    `out/measured`, and a table that was stopped goes on where it was.
    """
    cells: list[Cell] = []
    first: dict[tuple[str, ...], str] = {}  # the row that a model, by its fingerprint, was measured for first
    for row in table.rows:
        absent = row.absent or ("needs training" if row.differs and not train else "")
        tasks = dict.fromkeys(column.task for column in table.columns)
        found: dict[str, list[Run]] = {}
        if not absent:
            try:
                found = {task: _measured(row, task, pair, out, load, train, measure) for task in tasks}
            except WeightsError as error:
                if not row.baseline:
                    raise
                absent = str(error)  # a frozen model that is not there leaves its row empty, not the table
        for column in table.columns:
            runs = found.get(column.task, [])
            weights = [fingerprint for fingerprint, _ in runs]
            same = first.setdefault((column.task, *weights), row.name) if row.baseline else row.name
            cells.append(
                Cell(
                    row.name,
                    column.task,
                    column.metric,
                    [metrics[column.metric][0] for _, metrics in runs],
                    (runs[0][1][column.metric][1], runs[0][1][column.metric][2]) if runs else None,
                    in_paper(number, row.name, column.metric),
                    weights,
                    absent,
                    same if same != row.name else "",
                )
            )
    return cells


Run = tuple[str, dict[str, tuple[float, float, float]]]  # fingerprint; metric -> mean, low, high


def _measured(
    row: Row, task: str, pair: str, out: Path, load: Load, train: Train | None, measure: Measure
) -> list[Run]:
    if row.baseline or not train:
        model = load(_frozen(row, pair))
        # Nothing of a frozen model is left to chance but the noise that Stable Diffusion sees.
        drawn = [model.under_noise(n) for n in range(row.seeds)] if isinstance(model, SdClipBaseline) else [model]
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
    table: Table, cells: Sequence[Cell], task: str, pair: str, out: Path, load: Load, trained: bool
) -> dict[str, BatchExtractor]:
    """Load the models of the rows that were filled for a task, by name: the first seed's, and each model once."""
    filled = {cell.name for cell in cells if cell.task == task and cell.values and not cell.same_as}
    return {
        row.name: load(_frozen(row, pair) if row.baseline or not trained else str(_trained(row, task, out)))
        for row in table.rows
        if row.name in filled
    }


def _frozen(row: Row, pair: str) -> str:
    return f"{pair}:{row.baseline}" if row.baseline else pair


def _trained(row: Row, task: str, out: Path, seed: int = 0) -> Path:
    return out / "weights" / _slug(row.kept_as) / (row.task or task) / f"seed-{seed}"


def _once(row: Row, task: str, model: BatchExtractor, out: Path, measure: Measure) -> Run:
    model = model.for_task(task) if model.serves(task) else model
    kept = out / "measured" / f"{_slug(row.kept_as)}-{task}-{model.fingerprint[:16]}.json"
    if not kept.is_file():
        metrics = {name: (e.mean, e.low, e.high) for name, e in measure(task, model).items()}
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".draft")
        draft.write_text(json.dumps(metrics))
        draft.replace(kept)
    return model.fingerprint, {name: tuple(values) for name, values in json.loads(kept.read_text()).items()}


def _slug(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-")


def write(number: str, table: Table, cells: Sequence[Cell], notes: Mapping[str, object], out: Path, data: str) -> Path:
    """Write `out/table-N-<data>.json` and `.md`; give the path of the latter."""
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"table-{number}-{_slug(data)}"
    record = {"table": number, "title": table.title, "data": data, **notes, "rows": [asdict(cell) for cell in cells]}
    stem.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    text = stem.with_suffix(".md")
    text.write_text(to_markdown(number, table, cells, notes, data))
    return text


def to_markdown(number: str, table: Table, cells: Sequence[Cell], notes: Mapping[str, object], data: str) -> str:
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
        f"| | {' | '.join(heads)} |",
        "|---" * (1 + len(heads)) + "|",
        *(f"| {_named(name, row)} | {' | '.join(map(_shown, row))} |" for name, row in by_row.items()),
        "",
    ]
    return "\n".join(lines)


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
