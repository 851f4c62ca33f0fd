"""Curves and bars as inline SVG, in colours that the page around them sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 40

Curve = tuple[Sequence[float], Sequence[float]]


def line_chart(curves: Mapping[str, Curve], colours: Mapping[str, str], x: str, y: str, label: str) -> str:
    """Draw curves (xs from 0 to 1, ys) by name, with axes named `x` and `y`; `label` says what it shows."""
    values = [value for _, ys in curves.values() for value in ys]
    low, high = min(values), max(values)
    step = _step(high - low)
    first, last = int(low // step), -int(-high // step)
    low, high = first * step, max(last, first + 1) * step

    def at(across: float, up: float) -> tuple[float, float]:
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            TOP + (high - up) / (high - low) * (HEIGHT - TOP - BOTTOM),
        )

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for number in range(first, max(last, first + 1) + 1):
        _, up = at(0, number * step)
        parts.append(f'<path class="grid" d="M{LEFT} {up:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{up + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        across, _ = at(share, low)
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{share:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x)}</text>')
    down = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="axis" transform="translate(12 {down}) rotate(-90)" text-anchor="middle">{escape(y)}</text>'
    )
    for name, (xs, ys) in curves.items():
        points = " ".join(
            f"{a:.1f},{b:.1f}" for a, b in (at(*pair) for pair in zip(map(float, xs), map(float, ys), strict=True))
        )
        parts.append(
            f'<polyline points="{points}" style="stroke:{colours[name]}"><title>{escape(name)}</title></polyline>'
        )
    return "".join([*parts, "</svg>"])


def bars(shares: Mapping[str, float], colours: Mapping[str, str]) -> str:
    """Draw shares between 0 and 1 as bars with their names and values."""
    rows = [
        f'<div class="bar"><span>{escape(name)}</span><i style="width:{100 * share:.1f}%;'
        f'background:{colours[name]}"></i><b>{share:.2f}</b></div>'
        for name, share in shares.items()
    ]
    return f'<div class="bars">{"".join(rows)}</div>'


def _step(extent: float) -> float:
    """A round distance of grid lines that leaves about four of them."""
    size = 10.0
    while size > max(extent, 1e-6):
        size /= 10
    return next(size * factor for factor in (0.2, 0.5, 1, 2, 5, 10) if extent <= 5 * size * factor)
