"""Results on disk: one JSON file to compute with and one Markdown file to read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .benchmarks import Result
    from .naming import NamingResult
    from .searching import SearchResult


def write_report(result: Result | NamingResult | SearchResult, task: str, data: str, out: Path) -> tuple[Path, Path]:
    """Write `out/<task>-<data>-<model>.json` and `.md`; give both paths."""
    out.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.+-]+", "-", f"{task}-{data}-{result.model}").strip("-")
    table, text = out / f"{stem}.json", out / f"{stem}.md"
    table.write_text(json.dumps({"task": task, "data": data, **result.summary()}, indent=2) + "\n")
    text.write_text(to_markdown(result, task, data))
    return table, text


def to_markdown(result: Result | NamingResult | SearchResult, task: str, data: str) -> str:
    """Every metric with its interval, then the categories from easy to hard."""
    rows = [f"| {name} | {e.mean:.4f} | {e.low:.4f} to {e.high:.4f} |" for name, e in result.metrics.items()]
    names = list(next(iter(result.per_category.values())))
    figures = sorted(result.per_category.items(), key=lambda item: -item[1][names[0]])
    return "\n".join(
        [
            f"# {task} on {data}: {result.model}",
            "",
            result.described(),
            "",
            "| metric | mean | 95 % bootstrap interval |",
            "|---|---|---|",
            *rows,
            "",
            f"| category | {' | '.join(names)} |",
            "|---" * (1 + len(names)) + "|",
            *(f"| {category} | {' | '.join(f'{f[name]:.3f}' for name in names)} |" for category, f in figures),
            "",
        ]
    )
