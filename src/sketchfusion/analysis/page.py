"""Write the report of `inspect`: one self-contained HTML page of PCA images, Fourier spectra and branch weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle

from PIL import Image

from ..featuremap import FeatureMap
from ..io.images import Kind, data_url
from .inside import Spectrum, crop_padding, mean_spectrum, pca_pictures, spectrum

Colours = Mapping[str, str]  # by the name of the feature or model
Curve = tuple[Sequence[float], Sequence[float]]
Averages = Mapping[Kind, Mapping[str, Spectrum]]

WIDTH, HEIGHT = 460, 270  # of a chart
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 40  # its margins
TILE = 176  # pixels of a picture's longer side on the page; stored at twice that
PLURALS: dict[Kind, str] = {"photo": "photos", "sketch": "sketches"}
SHADES = {"CLIP": "#d9730d", "fused": "#178a4c"}
BLUES = ("#7fb2e5", "#3b82c4", "#1b4f8a", "#0d2b52")
SEVERAL = ("#d9730d", "#8a6d3b", "#b4548f", "#3b82c4", "#7a5cc7", "#2a9d9d", "#6b7280", "#178a4c", "#c0392b", "#1b4f8a")

PCA_NOTE = """The three principal components of each feature as red, green and blue, with one basis for each column:
similar colours in a column are similar features."""
PARTS_NOTE = """CLIP and the stages of Stable Diffusion are shown by themselves, the fused map after injection of CLIP's
features into the stages."""
SPECTRUM_NOTE = """Fourier amplitude of the features by frequency, as a share of the highest that each grid can hold,
relative to frequency 0. A curve that falls steeply belongs to a feature of large smooth regions, a flat one to a
feature of edges and texture."""
SUMMARY_NOTE = """Of the energy above frequency 0: its mean frequency in cycles across the picture, and the share of it
in the upper half of the frequencies that the grid can hold."""

STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--faint:#59636e;--paper:#fff;--card:#f6f8fa;--line:#d0d7de}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--faint:#9198a1;--paper:#0d1117;--card:#161b22;--line:#30363d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1240px;padding:28px 20px 60px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 6px}p{margin:4px 0 14px;max-width:76ch}
.faint,figcaption small{color:var(--faint)}
.rows{overflow-x:auto}.row{display:flex;gap:12px;padding:12px 0;border-top:1px solid var(--line)}
figure{margin:0;width:176px;flex:none}
figure img{display:block;width:176px;height:176px;object-fit:contain;background:var(--card);border-radius:6px}
.map img{image-rendering:pixelated}
figcaption{font-size:13px;line-height:1.35;padding-top:5px;overflow-wrap:anywhere}
.charts{display:flex;flex-wrap:wrap;gap:20px}.chart{flex:1 1 380px;max-width:560px;background:var(--card);
border-radius:8px;padding:12px 14px}
.chart h3{font-size:14px;margin:0 0 4px}svg{width:100%;height:auto;display:block}
svg text{font-size:12px;fill:var(--faint)}svg .grid{stroke:var(--line)}
svg polyline{fill:none;stroke-width:2.2;stroke-linejoin:round}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;margin:10px 0 12px}
.legend i{display:inline-block;width:18px;height:4px;border-radius:2px;margin-right:6px;vertical-align:middle}
table{border-collapse:collapse;font-size:14px;margin-top:14px}th,td{padding:4px 16px 4px 0;text-align:left}
th{font-weight:600;border-bottom:1px solid var(--line)}td+td{font-variant-numeric:tabular-nums}
.bars{max-width:520px}.bar{display:grid;grid-template-columns:60px 1fr 44px;gap:10px;align-items:center;margin:5px 0}
.bar i{height:14px;border-radius:3px}.bar b{font-weight:500;font-variant-numeric:tabular-nums}
"""


@dataclass(frozen=True, eq=False)
class Inspected:
    """A picture and its feature maps, by the name of the feature or, in a comparison, of the model."""

    name: str
    kind: Kind
    picture: Image.Image
    maps: Mapping[str, FeatureMap]


def page(inspected: Sequence[Inspected], weights: Mapping[str, float], model: str, fingerprint: str) -> str:
    """Write the report on one model: PCA images of each picture's features, their Fourier spectra, branch weights."""
    colours = _colours(list(inspected[0].maps))
    branches = bars(weights, {name: colours[f"SD {name}"] for name in weights})
    rest = f"<h2>Branch weights</h2>\n<p>The share of each stage in the fused map.</p>\n{branches}\n"
    return _page(inspected, f"Inside {model}", f"weights {fingerprint[:12]}", PARTS_NOTE, colours, rest)


def comparison(inspected: Sequence[Inspected], title: str) -> str:
    """Write the report that compares several models: `Inspected.maps` are keyed by the models' names."""
    colours = dict(zip(inspected[0].maps, cycle(SEVERAL), strict=False))
    return _page(inspected, title, ", ".join(colours), "", colours, "")


def spectra(inspected: Sequence[Inspected], kind: Kind) -> dict[str, Spectrum]:
    """Average the Fourier spectrum of each feature over the pictures of a kind; empty if there are none."""
    chosen = [one for one in inspected if one.kind == kind]
    names = list(chosen[0].maps) if chosen else []
    return {name: mean_spectrum([spectrum(one.maps[name]) for one in chosen]) for name in names}


def _page(inspected: Sequence[Inspected], title: str, subtitle: str, note: str, colours: Colours, rest: str) -> str:
    names = list(inspected[0].maps)
    numbers = {kind: sum(one.kind == kind for one in inspected) for kind in PLURALS}
    counts = [f"{n} {kind if n == 1 else PLURALS[kind]}" for kind, n in numbers.items() if n]
    averaged = {kind: found for kind in PLURALS if (found := spectra(inspected, kind))}
    legend = "".join(f'<span><i style="background:{colours[name]}"></i>{escape(name)}</span>' for name in names)
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style>
<h1>{escape(title)}</h1>
<p class="faint">{" and ".join(counts)} · {escape(subtitle)}</p>
<h2>Principal components</h2>
<p>{PCA_NOTE} {note}</p>
<div class="rows">{_rows(inspected, names)}</div>
<h2>Spectra</h2>
<p>{SPECTRUM_NOTE}</p>
<div class="legend">{legend}</div><div class="charts">{_charts(averaged, colours)}</div>
{_table(averaged, names)}
{rest}</html>
"""


def _rows(inspected: Sequence[Inspected], names: Sequence[str]) -> str:
    columns = {name: pca_pictures([one.maps[name] for one in inspected]) for name in names}
    rows = []
    for place, one in enumerate(inspected):
        tiles = [_figure(one.picture, one.name, one.kind)]
        for name in names:
            height, width = one.maps[name].grid
            cells = Image.fromarray(crop_padding(columns[name][place], one.maps[name]))
            cells = cells.resize((cells.width * max(1, 128 // width), cells.height * max(1, 128 // height)), 0)
            tiles.append(_figure(cells, name, f"{height} x {width} cells", "map"))
        rows.append(f'<div class="row">{"".join(tiles)}</div>')
    return "\n".join(rows)


def _figure(picture: Image.Image, name: str, note: str, kind: str = "") -> str:
    small = picture.copy()
    small.thumbnail((2 * TILE, 2 * TILE), Image.Resampling.LANCZOS)
    return (
        f'<figure class="{kind}"><img src="{data_url(small)}" alt="{escape(name)}">'
        f"<figcaption>{escape(name)}<br><small>{escape(note)}</small></figcaption></figure>"
    )


def _charts(averaged: Averages, colours: Colours) -> str:
    charts = []
    for kind, by_name in averaged.items():
        curves = {name: (one.frequency.tolist(), one.amplitude.tolist()) for name, one in by_name.items()}
        chart = line_chart(curves, colours, "frequency", "log amplitude", f"Spectra of {PLURALS[kind]}")
        charts.append(f'<div class="chart"><h3>{PLURALS[kind].capitalize()}</h3>{chart}</div>')
    return "".join(charts)


def _table(averaged: Averages, names: Sequence[str]) -> str:
    head = "".join(f"<th>{kind}: mean frequency</th><th>fine share</th>" for kind in averaged)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{of[name].cycles:.1f}</td><td>{of[name].fine:.1%}</td>" for of in averaged.values())
        + "</tr>"
        for name in names
    )
    return f"<table><tr><th>feature</th>{head}</tr>{rows}</table><p class=faint>{SUMMARY_NOTE}</p>"


def _colours(names: Sequence[str]) -> dict[str, str]:
    stages = [name for name in names if name not in SHADES]
    return SHADES | {name: BLUES[min(place, len(BLUES) - 1)] for place, name in enumerate(stages)}


def line_chart(curves: Mapping[str, Curve], colours: Colours, x: str, y: str, label: str) -> str:
    """Draw curves (xs from 0 to 1, ys) as an SVG, with axes named `x` and `y` and a `label` for screen readers."""
    values = [value for _, ys in curves.values() for value in ys]
    low, high = min(values), max(values)
    step = _step(high - low)
    first, last = int(low // step), -int(-high // step)
    low, high = first * step, max(last, first + 1) * step

    def at(across: float, up: float) -> tuple[float, float]:
        return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + (high - up) / (high - low) * (HEIGHT - TOP - BOTTOM)

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
        points = " ".join("{:.1f},{:.1f}".format(*at(*pair)) for pair in zip(xs, ys, strict=True))
        style = f"stroke:{colours[name]}"
        parts.append(f'<polyline points="{points}" style="{style}"><title>{escape(name)}</title></polyline>')
    return "".join([*parts, "</svg>"])


def bars(shares: Mapping[str, float], colours: Colours) -> str:
    """Draw shares between 0 and 1 as horizontal bars with their names and values."""
    rows = [
        f'<div class="bar"><span>{escape(name)}</span><i style="width:{100 * share:.1f}%;'
        f'background:{colours[name]}"></i><b>{share:.2f}</b></div>'
        for name, share in shares.items()
    ]
    return f'<div class="bars">{"".join(rows)}</div>'


def _step(extent: float) -> float:
    """Choose a round distance between grid lines that divides `extent` into about two to five intervals."""
    size = 10.0
    while size > max(extent, 1e-6):
        size /= 10
    return next(size * factor for factor in (0.2, 0.5, 1, 2, 5, 10) if extent <= 5 * size * factor)
