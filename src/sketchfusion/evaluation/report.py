"""Results on disk: one JSON file to compute with and one Markdown file to read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .benchmarks import Result


def write_report(result: Result, task: str, data: str, out: Path) -> tuple[Path, Path]:
    """Write `out/<task>-<data>-<model>.json` and `.md`; give both paths."""
    out.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.+-]+", "-", f"{task}-{data}-{result.model}").strip("-")
    table, text = out / f"{stem}.json", out / f"{stem}.md"
    table.write_text(json.dumps({"task": task, "data": data, **result.summary()}, indent=2) + "\n")
    text.write_text(to_markdown(result, task, data))
    return table, text


def to_markdown(result: Result, task: str, data: str) -> str:
    """Every metric with its interval, then the categories from easy to hard."""
    rows = [f"| {name} | {e.mean:.4f} | {e.low:.4f} to {e.high:.4f} |" for name, e in result.metrics.items()]
    figures = sorted(result.per_category.items(), key=lambda item: -item[1]["mAP@all"])
    categories = [f"| {name} | {f['mAP@all']:.3f} | {f['P@10']:.3f} |" for name, f in figures]
    return "\n".join(
        [
            f"# {task} on {data}: {result.model}",
            "",
            f"{result.queries} sketches, {result.gallery} photos, {len(figures)} categories; "
            f"{result.unanswerable} sketches left out because no photo has their category. "
            f"Weights {result.fingerprint[:16]}. Chance: mAP@all {result.chance['mAP@all']:.4f}, "
            f"P@k {result.chance['P@k']:.4f}.",
            "",
            "| metric | mean over sketches | 95 % bootstrap interval |",
            "|---|---|---|",
            *rows,
            "",
            "| category | mAP@all | P@10 |",
            "|---|---|---|",
            *categories,
            "",
        ]
    )
