"""Training curves as a small SVG picture, from the CSV that the loop writes."""

from __future__ import annotations

import csv
from pathlib import Path

WIDTH, HEIGHT, EDGE = 480, 240, 40
COLOURS = ("#1f6feb", "#d1495b", "#2a9d8f", "#8338ec", "#b8860b")
POINTS = 240  # of a line at most, more than the picture can show


def draw_curves(log: Path, out: Path, smoothing: int = 25) -> None:
    """Draw every loss of `log` (columns after `rate`) against the step, each a running mean, into `out`."""
    rows = list(csv.DictReader(log.open()))
    losses = [name for name in rows[0] if name not in ("step", "seconds", "rate")] if rows else []
    smooth = {name: _running_mean([float(row[name]) for row in rows], smoothing) for name in losses}
    drawn = {name: values for name, values in smooth.items() if max(values) < 50}
    top = max((max(values) for values in drawn.values()), default=1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{EDGE} {EDGE / 2}V{HEIGHT - EDGE}H{WIDTH - EDGE / 2}" fill="none" stroke="#888"/>',
        f'<text x="{EDGE - 4}" y="{EDGE / 2 + 4}" text-anchor="end">{top:.2g}</text>',
        f'<text x="{EDGE - 4}" y="{HEIGHT - EDGE}" text-anchor="end">0</text>',
        f'<text x="{WIDTH - EDGE / 2}" y="{HEIGHT - EDGE + 16}" text-anchor="end">{len(rows)} steps</text>',
    ]
    for number, (name, values) in enumerate(drawn.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{EDGE + (WIDTH - 1.5 * EDGE) * i / max(1, len(values) - 1):.1f},"
            f"{HEIGHT - EDGE - (HEIGHT - 1.5 * EDGE) * value / top:.1f}"
            for i, value in list(enumerate(values))[:: -(-len(values) // POINTS)]
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{EDGE + 84 * number}" y="{HEIGHT - 8}" fill="{colour}">{name} {values[-1]:.3g}</text>')
    out.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _running_mean(values: list[float], reach: int) -> list[float]:
    return [sum(values[max(0, i - reach + 1) : i + 1]) / min(reach, i + 1) for i in range(len(values))]
