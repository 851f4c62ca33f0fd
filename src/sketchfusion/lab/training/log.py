"""The log of a training: `log.csv`, `validation.csv`, TensorBoard files where it is installed, and a curve as SVG."""

import csv
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...io.files import atomic_write

WIDTH, HEIGHT, EDGE = 480, 240, 40  # of the picture of the curves
COLOURS = ("#1f6feb", "#d1495b", "#2a9d8f", "#8338ec", "#b8860b")
POINTS = 240  # most points of a line


class Log:
    """One row per step and one per validation; a resumed run drops the rows after its checkpoint."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._losses, self._validation = folder / "log.csv", folder / "validation.csv"
        _keep_rows(self._losses, keep)
        _keep_rows(self._validation, keep + 1)  # it counts steps done
        self._board: Any = None
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=keep)  # type: ignore[no-untyped-call]
        self._started = time.monotonic()

    def write(self, step: int, rate: float, losses: dict[str, float]) -> None:
        seconds = f"{time.monotonic() - self._started:.1f}"
        _append(self._losses, step, {"seconds": seconds, "rate": f"{rate:.3g}", **_short(losses)})
        self._show("training", {"rate": rate, **losses}, step)

    def validated(self, done: int, metrics: dict[str, float]) -> None:
        _append(self._validation, done, _short(metrics))
        self._show("validation", metrics, done)

    def _show(self, group: str, figures: dict[str, float], step: int) -> None:
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


def _keep_rows(path: Path, below: int) -> None:
    """Keep only the complete rows of an older file for steps below `below`."""
    rows = list(csv.reader(path.open())) if path.is_file() else []
    complete = [row for row in rows[1:] if len(row) == len(rows[0])]  # a full disk cuts the last one short
    kept = [row for row in complete if int(row[0]) < below]
    if not kept:
        return path.unlink(missing_ok=True)
    with atomic_write(path) as draft, draft.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *kept])


def _append(path: Path, step: int, cells: dict[str, str]) -> None:
    new = not path.is_file()
    with path.open("a", newline="") as file:
        if new:
            csv.writer(file).writerow(["step", *cells])
        csv.writer(file).writerow([step, *cells.values()])


def _short(figures: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.5g}" for name, value in figures.items()}


def draw_curves(log: Path, out: Path, smoothing: int = 25) -> None:
    """Draw the running mean of every loss of `log` (columns after `rate`) against the step, as an SVG file `out`."""
    rows = list(csv.DictReader(log.open()))
    losses = [name for name in rows[0] if name not in ("step", "seconds", "rate")] if rows else []
    smooth: dict[str, list[float]] = {}
    for name in losses:
        values = [float(row[name]) for row in rows]
        windows = (values[max(0, end - smoothing) : end] for end in range(1, len(values) + 1))
        smooth[name] = [sum(window) / len(window) for window in windows]
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
