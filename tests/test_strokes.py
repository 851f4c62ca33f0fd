"""Drawings: ndjson to strokes, strokes to pixels, and SVG that must not reach outside."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from sketchfusion.errors import ImageError
from sketchfusion.io.images import read_image
from sketchfusion.io.strokes import Drawing, parse_ndjson, rasterize, read_drawing
from sketchfusion.io.svg import rasterize_svg


def drawing(*strokes: list[tuple[float, float]], size: float = 64, **more: object) -> Drawing:
    return Drawing(tuple(np.array(s, np.float32) for s in strokes), size, size, **more)  # type: ignore[arg-type]


def line(*strokes: object, word: str = "cat") -> str:
    return json.dumps({"word": word, "recognized": True, "drawing": list(strokes)})


def test_parse_moves_raw_and_simplified_strokes_to_the_origin() -> None:
    raw = parse_ndjson(line([[10.5, 30.5], [20.0, 60.0], [0, 17]], [[40.5], [25.0], [99]]))
    assert [s.tolist() for s in raw.strokes] == [[[0, 0], [20, 40]], [[30, 5]]]
    assert (raw.width, raw.height, raw.label) == (30, 40, "cat")


MALFORMED = ["", "{", "[]", "{}", "[" * 50_000, '{"drawing": [[[1e999], [0]]]}', '{"drawing": [[[NaN], [0]]]}']
MALFORMED += [line(*strokes) for strokes in ([], [5], [[[1, 2], [3]]], [[["a"], [1]]], [[[], []]], [{"x": [1]}])]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_lines_are_one_line_errors_that_name_the_place(text: str) -> None:
    with pytest.raises(ImageError, match=r"^cats:3") as caught:
        parse_ndjson(text, "cats:3")
    assert "\n" not in str(caught.value)


def test_strokes_without_points_are_left_out() -> None:
    assert len(parse_ndjson(line([[], []], [[1, 2], [3, 4]])).strokes) == 1


def test_read_counts_lines_and_names_the_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "cat.ndjson"
    path.write_text(line([[0, 1], [0, 1]], word="a") + "\n\n" + line([[0, 1], [0, 1]], word="b") + "\n{broken\n")
    assert [read_drawing(path).label, read_drawing(path, 3).label] == ["a", "b"]
    with pytest.raises(ImageError, match=r"cat\.ndjson:4"):
        read_drawing(path, 4)
    with pytest.raises(ImageError, match="line 2"):
        read_drawing(path, 2)
    with pytest.raises(ImageError, match="No such file"):
        read_drawing(tmp_path / "dog.ndjson")


def test_raster_puts_a_line_where_its_coordinates_say() -> None:
    image = rasterize(drawing([(16, 32.5), (48, 32.5)], widths=(3.0,)), 64, margin=0)
    ink = 255.0 - image
    rows, columns = np.indices(image.shape) + 0.5
    assert (ink * rows).sum() / ink.sum() == pytest.approx(32.5, abs=0.2)
    assert (ink * columns).sum() / ink.sum() == pytest.approx(32, abs=0.2)
    assert ink.sum() / 255 == pytest.approx(32 * 3 + np.pi * 1.5**2, rel=0.1)


def test_raster_matches_a_render_at_sixteen_times_the_size() -> None:
    points = [(5, 50), (20, 10), (33, 44), (58, 12)]
    fine = Image.new("L", (1024, 1024), 255)
    pen = ImageDraw.Draw(fine)
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        pen.line((x1 * 16, y1 * 16, x2 * 16, y2 * 16), 0, 32)
    for x, y in points:
        pen.ellipse((x * 16 - 16, y * 16 - 16, x * 16 + 16, y * 16 + 16), 0)
    ours = rasterize(drawing(points, widths=(2.0,)), 64, margin=0).astype(float)
    assert np.abs(ours - np.asarray(fine.reduce(16), float)).mean() < 3


def test_raster_keeps_aspect_margin_and_own_widths() -> None:
    wide = Drawing((np.array([[0, 0], [200, 0], [200, 50], [0, 50], [0, 0]], np.float32),), 200, 50, widths=(1.25,))
    rows, columns = np.nonzero(rasterize(wide, 200, margin=0.1) < 128)
    assert (columns.min(), columns.max()) == (pytest.approx(20, abs=1), pytest.approx(180, abs=1))
    assert (rows.min(), rows.max()) == (pytest.approx(80, abs=1), pytest.approx(120, abs=1))
    thick = drawing([(10, 16), (54, 16)], [(10, 48), (54, 48)], widths=(2.0, 8.0))
    column = rasterize(thick, 128, margin=0)[:, 64] < 128
    assert (column[:64].sum(), column[64:].sum()) == (pytest.approx(4, abs=1), pytest.approx(16, abs=1))


def test_a_single_point_and_points_outside_the_frame_are_drawn_without_harm() -> None:
    assert rasterize(parse_ndjson(line([[7], [9]])), 32).min() < 255
    assert rasterize(drawing([(-1e6, -1e6), (1e6, 1e6)]), 32, margin=0).min() < 64


SQUARE = '<rect x="2" y="2" width="6" height="6" fill="black"/>'


def svg(inside: str, attributes: str = 'viewBox="0 0 10 10"', head: str = "") -> bytes:
    return (
        f'{head}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f"{attributes}>{inside}</svg>"
    ).encode()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.png"
    Image.new("RGB", (10, 10), "red").save(path)
    return path


def test_svg_renders_black_on_white_at_the_size_asked() -> None:
    image = rasterize_svg(svg(SQUARE, 'viewBox="0 0 20 10"'), 100)
    assert image.shape == (50, 100, 3)
    assert image[25, 25].tolist() == [0, 0, 0] and image[25, 75].tolist() == [255, 255, 255]
    assert rasterize_svg(svg(SQUARE, 'width="10mm" height="20mm"'), 64).shape == (64, 32, 3)
    assert rasterize_svg(b"<svg viewBox='0 0 10 10'>" + SQUARE.encode() + b"</svg>", 10)[5, 5, 0] == 0


def test_the_renderer_alone_would_show_the_secret(secret: Path) -> None:
    import resvg_py

    raw = svg(f'<image href="{secret}" width="10" height="10"/>', 'viewBox="0 0 10 10" width="10" height="10"')
    (found := secret.with_name("raw.png")).write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=raw.decode())))
    assert Image.open(found).convert("RGB").getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize(
    "inside",
    [
        '<image href="{s}" width="10" height="10"/>',
        '<image xlink:href="file://{s}" width="10" height="10"/>',
        '<g><image href=" {s}" width="10" height="10"/></g>',
        '<filter id="f"><feImage href="{s}"/></filter><rect width="10" height="10" filter="url(#f)"/>',
        '<defs><image id="i" href="{s}" width="10" height="10"/></defs><use href="#i"/>',
        '<pattern id="p" width="10" height="10"><image href="{s}" width="10" height="10"/></pattern>'
        '<rect width="10" height="10" fill="url(#p)"/>',
        '<style>@import "{s}"; rect {{ fill: url({s}) }}</style><rect width="10" height="10" fill="white"/>',
        '<foreignObject width="10" height="10"><img src="{s}"/></foreignObject>',
        '<use href="{s}#x"/><script>document.location = "{s}"</script>',
    ],
)
def test_svg_shows_nothing_of_a_local_file(inside: str, secret: Path) -> None:
    image = rasterize_svg(svg(inside.format(s=secret) + SQUARE), 40).astype(int)
    assert not ((image[..., 0] > 150) & (image[..., 1] < 100)).any()
    assert (image[20, 20] == 0).all()


def test_svg_opens_no_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        calls: list[bool] = []

        def listen() -> None:
            try:
                server.accept()[0].close()
                calls.append(True)
            except TimeoutError:
                pass

        thread = threading.Thread(target=listen)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        doctype = (
            f'<?xml-stylesheet href="{address}.css"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "{address}.dtd">'
        )
        image = f'<image href="{address}.png" width="9" height="9"/><use href="{address}.svg#a"/>'
        assert rasterize_svg(svg(image + SQUARE, head=doctype), 20)[10, 10, 0] == 0
        thread.join()
    assert not calls


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "well-formed"),
        (b"<svg", "well-formed"),
        (b"<html/>", "root is <html>"),
        (svg("&e;", head='<!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/hostname">]>'), "entities"),
        (svg("&b;", head='<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'), "entities"),
        (svg("<g>" * 5000 + "</g>" * 5000), "nested"),
        (svg('<g id="a"><use href="#a"/></g>'), "draws more"),
        (svg("".join(f'<g id="a{i + 1}">' + f'<use href="#a{i}"/>' * 9 + "</g>" for i in range(9))), "draws more"),
        (svg(" " * 5_000_000), "bytes"),
        (svg(f"<style>{'.a{x:y}' * 20_000}</style>" + "<path/>" * 300), "rules of style"),
    ],
)
def test_hostile_svg_is_refused_in_one_line(data: bytes, why: str) -> None:
    with pytest.raises(ImageError, match=why) as caught:
        rasterize_svg(data, 64, "logo.svg")
    assert str(caught.value).startswith("logo.svg: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("size", ['width="1e9" height="1"', 'width="1e300"', 'width="-4"', 'viewBox="a b"', ""])
def test_no_svg_size_makes_more_pixels_than_asked(size: str) -> None:
    assert max(rasterize_svg(svg(SQUARE, size), 64).shape) <= 64


def test_filters_and_dashes_cannot_hide_strokes() -> None:
    inside = "<style>.a { stroke: #000; filter: url(#none) }</style>"
    inside += '<path class="a" d="M0 5H10" style="filter:url(#none)" stroke-dasharray="0.0001"/>'
    assert rasterize_svg(svg(inside), 40)[20, 20, 0] == 0


LINE = '<path class="a" d="M0 5H10" fill="none" stroke-width="2"{}/>'


@pytest.mark.parametrize(
    "inside",
    [
        "<style>@import url('https://example.org/a.css'); .a { stroke: #000 }</style>" + LINE.format(""),
        '<style>@charset "utf-8"; @import "a;b.css"; .a { stroke: #000 }</style>' + LINE.format(""),
        "<style>.a { background: url(http://example.org/b.png); stroke: #000 }</style>" + LINE.format(""),
        "<style>:root { --ink: #000 } @media (prefers-color-scheme: dark) { :root { --ink: #fff } } "
        ".a { stroke: var(--ink) }</style>" + LINE.format(""),
        "<style>@font-face { font-family: x; src: url(data:font/woff;base64,AA;x) } .a { stroke: #000 }</style>"
        + LINE.format(""),
        "<style>.\\31 b { fill: red } .a { stroke: #000; content: '\\201C' }</style>" + LINE.format(""),
        "<style>:root { --ink: #000 } .a { stroke: var(--ink) }</style>" + LINE.format(""),
        LINE.format(' style="stroke: var(--none, rgb(0, 0, 0))"'),
        LINE.format(' style="stroke: light-dark(rgb(0, 0, 0), rgb(255, 255, 255))"'),
        LINE.format(' style="stroke: #000; stroke: new-colour(1 2 3)"'),
        LINE.format(' style="stroke: #000; cursor: url(pen.cur), auto"'),
        LINE.format(' style="--ink: #000; stroke: var(--ink)"'),
        LINE.format(' stroke="rgb(0 0 0 / 100%)"'),
        LINE.format(' stroke="newer-colour(0 0% 100%)"'),
        LINE.format(' stroke="color(display-p3 0 0 0)"'),
        LINE.format(' stroke="oklch(0% 0 0)"'),
        LINE.format(' stroke="color-mix(in srgb, black 60%, white)"'),
    ],
)
def test_colours_of_todays_css_do_not_turn_strokes_off(inside: str) -> None:
    image = rasterize_svg(svg(inside), 40)
    assert image[20, 20, 0] == 0 and image[8, 20, 0] == 255 and image[20, 20, 2] == 0


@pytest.mark.parametrize(
    "css",
    [
        "@media screen { .a { stroke: #000 } }",
        "@media print, only screen and (min-width: 1px) { .a { stroke: #000 } }",
        "@media not print { @supports (color: red) { .a { stroke: #000 } } } .a { fill: none }",
        "@layer base { .a { stroke: #000 } }",
        ".a { stroke: #000 } @media print { .a { stroke: none } }",
        ".a { stroke: #000 } @media (max-width: 400px) { .a { stroke: none } } @media not screen {.a { stroke: none }}",
        "@media (prefers-color-scheme: dark) { :root { --ink: #fff } } :root { --ink: #000 } .a { stroke: var(--ink) }",
        "@keyframes k { from { stroke: none } } .a { font-family: '@Arial'; stroke: #000; animation: k 1s }",
        ":root .a { stroke: #000 }",
        ".g { color: #000 } .a { stroke: currentcolor }",
        ".a { stroke: CanvasText }",
    ],
)
def test_rules_for_a_light_screen_hold_and_no_others(css: str) -> None:
    image = rasterize_svg(svg(f"<style>{css}</style><g class='g'>{LINE.format('')}</g>"), 40)
    assert image[20, 20, 0] == 0 and image[8, 20, 0] == 255


WHITE = 'fill="#fff"'
PLAIN_LINE = LINE.format(' stroke="#000"')


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "shift_jis", "gb2312", "latin-1"])
def test_svg_is_read_in_every_encoding_whatever_it_says(encoding: str, tmp_path: Path) -> None:
    title = {"shift_jis": "\u65e5\u672c", "gb2312": "\u4e2d", "latin-1": "caf\xe9"}.get(encoding, "\u65e5")
    for said in (encoding, "utf-8", "x-unknown"):
        text = svg(f"<title>{title}</title>{PLAIN_LINE}", head=f'<?xml version="1.0" encoding="{said}"?>').decode()
        (tmp_path / "a.svg").write_bytes(text.encode(encoding))
        assert read_image(tmp_path / "a.svg", "sketch")[0, 256, 256] == 0
    (tmp_path / "a.json").write_bytes(json.dumps(EXCALIDRAW).encode("utf-16"))
    assert read_image(tmp_path / "a.json", "sketch").min() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\n " + svg(PLAIN_LINE, head='<?xml version="1.0" encoding="utf-8"?>') + b"\0\0",
        svg(f"<title>a\x0bb</title>{PLAIN_LINE}"),
        svg(f"<!--{'x' * 70_000}-->{PLAIN_LINE}", head=f"<!--{'x' * 70_000}-->"),
        svg(f"<title>a&nbsp;b &amp; c</title>{PLAIN_LINE}"),
        svg(f'<g inkscape:label="a:b" sodipodi:x="1">{PLAIN_LINE}</g>'),
        svg('<path id="p" d="M0 5H10" stroke-width="2"/><use xlink:href="#p" stroke="#000"/>').replace(
            b' xmlns:xlink="http://www.w3.org/1999/xlink"', b""
        ),
    ],
    ids=["blanks", "control character", "long comment", "character of HTML", "lost namespaces", "lost xlink"],
)
def test_svg_that_is_not_quite_xml_is_read(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(data)
    assert read_image(tmp_path / "a.svg", "sketch")[0, 256, 256] == 0


@pytest.mark.parametrize(
    "inside",
    [
        "<style>.b { clip-path: url(#c) }</style><path class='a b' d='M0 0H10V10H0Z'/>",
        "<style>path, .z { mask: url('#m') }</style><path d='M0 0H10V10H0Z'/>",
        "<path style='clip-path:url(#c)' d='M0 0H10V10H0Z'/>",
        "<path style='fill:#000;mask:url(#m)' d='M0 0H10V10H0Z'/>",
        "<path mask='url(#alpha)' d='M0 0H10V10H0Z'/>",
    ],
)
def test_clips_and_masks_of_styles_cut_as_attributes_do(inside: str) -> None:
    shape = '<rect x="2" y="2" width="6" height="3" {}/>'
    defs = f'<clipPath id="c">{shape.format("")}</clipPath><mask id="m">{shape.format(WHITE)}</mask>'
    defs += f'<mask id="alpha" style="mask-type:alpha">{shape.format("")}</mask>'
    image = rasterize_svg(svg(defs + inside), 40)
    assert image[14, 20, 0] == 0 and image[30, 20, 0] == image[4, 20, 0] == 255


def test_a_pattern_that_is_not_drawn_is_a_tone() -> None:
    inside = '<pattern id="p" width="1" height="1"><rect width="1" height="1"/></pattern>'
    for paint in ("fill='url(#p)'", "style='fill:url(\"#p\")'"):
        assert rasterize_svg(svg(f"{inside}<rect width='10' height='5' {paint}/>"), 40)[10, 10, 0] < 128


def test_wide_white_strokes_on_nothing_or_on_black_are_a_sketch(tmp_path: Path) -> None:
    wide = '<path d="M2 2H8V8H2Z" fill="none" stroke="{}"/>'
    expected = read_image(svg(wide.format("#000")), "sketch")
    for inside in (wide.format("#fff"), f"<rect width='10' height='10'/>{wide.format('#fff')}"):
        assert torch.equal(read_image(svg(inside), "sketch"), expected)


def test_short_entities_are_put_in() -> None:
    head = '<!DOCTYPE svg [<!ENTITY ns "http://ns.example.org/"><!ENTITY black "#000">]>'
    image = rasterize_svg(svg('<path d="M0 5H10" stroke="&black;" stroke-width="2" xmlns:i="&ns;"/>', head=head), 40)
    assert image[20, 20, 0] == 0


def test_an_embedded_picture_is_shown_and_another_named() -> None:
    Image.new("RGB", (8, 8), "black").save(buffer := io.BytesIO(), "PNG")
    picture = base64.b64encode(buffer.getvalue()).decode()
    shown = svg(f'<image x="2" y="2" width="6" height="6" xlink:href="data:image/png;base64,{picture}"/>')
    image = rasterize_svg(shown, 40)
    assert image[20, 20, 0] == 0 and image[2, 2, 0] == 255
    for inside, why in [
        ('<image href="other.png" width="6" height="6"/>', "not embedded"),
        ('<rect width="9" height="9" fill="none"/><foreignObject/>', "foreignObject"),
        ('<rect width="9" height="9" fill="none"/>', "no colour"),
        ('<text y="9">a</text>', "<text>"),
    ]:
        with pytest.raises(ImageError, match=why):
            rasterize_svg(svg(inside), 40)


def test_embedded_pictures_are_read_however_their_address_is_written() -> None:
    picture = Image.new("RGB", (8, 8), "black")
    picture.save(buffer := io.BytesIO(), "BMP")
    plain, inner = base64.b64encode(buffer.getvalue()).decode(), svg('<rect width="10" height="10"/>')
    for address in (
        f"DATA:image/bmp;charset=utf-8;base64,{plain[:40]}\n{plain[40:]}",
        f"data:;base64,{quote(plain.rstrip('='))}",
        f"data:image/bmp,{quote(buffer.getvalue())}",
        f"data:image/svg+xml;base64,{base64.b64encode(inner).decode()}",
        f"data:image/svg+xml;utf8,{quote(inner)}",
    ):
        image = f'<image x="{{}}" y="2" width="1" height="6" preserveAspectRatio="none" href="{address}"/>'
        shown = rasterize_svg(svg("".join(map(image.format, range(9)))), 40)
        assert (shown[20, 2:34] < 8).all() and shown[20, 38, 0] == shown[2, 20, 0] == 255
    nested = svg(f'<image width="10" height="10" href="data:image/svg+xml,{quote(inner)}"/>')
    with pytest.raises(ImageError, match="nothing of its shapes"):  # no picture in a picture in a picture
        rasterize_svg(svg(f'<image width="10" height="10" href="data:image/svg+xml,{quote(nested)}"/>'), 40)


@pytest.mark.parametrize(
    ("scale", "size"),
    [
        *((100, ""), (500, ""), (9000, ""), (100, 'width="100%" height="100%"'), (100, 'width="1000"')),
        *(
            (10, 'width="6em"'),
            (8, 'width="5em" height="5em"'),
            (8, 'width="80PX" height="80px"'),
            (8, 'style="width:80px;height:5rem"'),
        ),
    ],
)
def test_a_drawing_that_does_not_say_its_size_is_shown_whole(scale: int, size: str) -> None:
    inside = f'<g transform="scale({scale})"><path d="M2 2H8V8H2Z" fill="none" stroke="#000"/></g>'
    for paper in ("", '<rect width="100%" height="100%" fill="#fff"/>'):
        image = rasterize_svg(svg(paper + inside, size), 500)
        rows, columns = (np.flatnonzero(image[..., 0].min(axis=axis) < 100) for axis in (1, 0))
        assert len(rows) == pytest.approx(len(columns), abs=3) and len(rows) > 60
        assert rows[-1] < len(image) - 1 and columns[-1] < image.shape[1] - 1


def test_styles_place_shapes_as_attributes_do() -> None:
    for inside in (
        "<style>rect { x: 2px; y: 2px; width: 6px; height: 3px }</style><rect/>",
        '<rect width="6" height="3" style="transform: translate(2px, 2px)"/>',
        '<style>.a { transform: translate(2px, 5px) rotate(-90deg) }</style><rect class="a" width="3" height="6"/>',
    ):
        image = rasterize_svg(svg(inside), 40)
        assert image[14, 20, 0] == 0 and image[30, 20, 0] == image[4, 20, 0] == image[14, 36, 0] == 255
    inside = "<style>.a { vector-effect: non-scaling-stroke; stroke-width: 4px }</style><g transform='scale(10)'>"
    inside += '<path class="a" stroke="#000" d="M0 500H1000"/></g>'
    image = rasterize_svg(svg(inside, 'viewBox="0 0 10000 10000" width="100" height="100"'), 100)
    assert (image[:, 50, 0] < 128).sum() == 4


def test_light_strokes_with_a_dark_or_red_spot_are_shown_on_black(tmp_path: Path) -> None:
    """As a drawing program exports a drawing made on its dark page, without the page."""
    for spot in ("#000", "#e03131"):
        inside = '<path d="M2 2H8V8H2Z" fill="none" stroke="#f2f2f2" stroke-width=".2"/>'
        sketch = read_image(svg(f'{inside}<circle cx="5" cy="5" r=".3" fill="{spot}"/>'), "sketch")
        assert sketch[0, 102, 256] < 0.3 and sketch[0, 40, 40] == 1
    inside = '<path d="M2 2H8V8H2Z" fill="#fff" stroke="#000" stroke-width=".2"/>'
    assert rasterize_svg(svg(inside), 40, light_ink=True)[2, 2, 0] == 255


def test_a_stroke_that_does_not_scale_is_as_wide_as_on_the_page() -> None:
    inside = '<g transform="scale(10)"><path vector-effect="non-scaling-stroke" stroke="#000" stroke-width="4" '
    inside += 'd="M0 500H1000"/></g>'
    image = rasterize_svg(svg(inside, 'viewBox="0 0 10000 10000" width="100" height="100"'), 100)
    assert (image[:, 50, 0] < 128).sum() == 4


def test_white_strokes_of_an_svg_are_a_sketch(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(svg('<path d="M0 5H10" stroke="#fff" stroke-width=".3"/>'))
    sketch = read_image(tmp_path / "a.svg", "sketch")
    assert sketch[0, 256, 256] == 0 and sketch[0, 100, 256] == 1


# A square with a diagonal, as each drawing program writes it.
CORNERS = [[0, 0], [100, 0], [100, 100], [0, 100], [0, 0], [100, 100]]
RECORD = {"word": "square", "drawing": [[[x for x, _ in CORNERS], [y for _, y in CORNERS]]]}
EXCALIDRAW = {
    "type": "excalidraw",
    "elements": [
        {"type": "rectangle", "x": 10, "y": 10, "width": 100, "height": 100, "angle": 0},
        {"type": "freedraw", "x": 10, "y": 10, "points": [[0, 0, 0.5], [100, 100, 0.5]]},
        {"type": "line", "x": -900, "y": 0, "points": [[0, 0], [9, 9]], "isDeleted": True},
        {"type": "text", "x": 500, "y": 500, "width": 10, "height": 10, "text": "no stroke"},
    ],
}
TLDRAW = {
    "tldrawFileFormatVersion": 1,
    "records": [
        {"typeName": "page", "id": "page:a"},
        {"typeName": "shape", "id": "shape:g", "type": "group", "x": 50, "y": 0, "rotation": 0, "props": {}},
        {"typeName": "shape", "id": "shape:r", "type": "geo", "x": -50, "y": 0, "rotation": 0, "parentId": "shape:g"}
        | {"props": {"geo": "rectangle", "w": 100, "h": 100}},
        {"typeName": "shape", "id": "shape:d", "type": "draw", "x": 0, "y": 0, "rotation": 0}
        | {"props": {"segments": [{"type": "free", "points": [{"x": 0, "y": 0}, {"x": 100, "y": 100}]}]}},
    ],
}
PATH = b"".join(  # of one point in 32 bits, then steps in 16 bits
    base64.b64encode(np.array(values, kind).tobytes())
    for values, kind in (([0, 0, 0.5], "<f4"), ([100, 100, 0], "<f2"))
).decode()
PACKED = {"props": {"segments": [{"type": "free", "path": PATH}]}}
INKML = '<ink xmlns="http://www.w3.org/2003/InkML"><trace>{}</trace></ink>'
PROGRAMS = {
    "ndjson over many lines": json.dumps(RECORD, indent=2),
    "list of records": json.dumps([RECORD]),
    "excalidraw": json.dumps(EXCALIDRAW, indent=2),
    "tldraw": json.dumps(TLDRAW),
    "tldraw 4.3": json.dumps({"records": [*TLDRAW["records"][:3], TLDRAW["records"][3] | PACKED]}),  # type: ignore[index]
    "inkml": INKML.format(", ".join(f"{x} {y} 0.5" for x, y in CORNERS)),
}


FLAT = [number for corner in CORNERS for number in corner]
XY = [{"x": x, "y": y, "time": 1} for x, y in CORNERS]
COMMANDS = [["M", 0, 0], *(["Q", 0, 0, x, y] for x, y in CORNERS[1:]), ["z"]]
PROGRAMS |= {
    name: json.dumps(document)
    for name, document in {
        "strokes of Quick, Draw! alone": RECORD["drawing"],
        "signature pad": [{"penColor": "black", "points": XY}],
        "signature pad, old": [XY],
        "canvas of React": {"lines": [{"points": XY, "brushColor": "#444"}], "width": 400},
        "canvas of React, paths": [{"drawMode": True, "strokeWidth": 4, "paths": XY}],
        "Konva": {"className": "Stage", "children": [{"attrs": {"x": 5, "y": 5, "points": FLAT}, "className": "Line"}]},
        "Fabric": {"version": "5.3.0", "objects": [{"type": "path", "left": 0, "path": COMMANDS}]},
        "Paper": [["Layer", {"children": [["Path", {"segments": [[xy, [0, 0], [0, 0]] for xy in CORNERS]}]]}]],
        "lists of points": {"strokes": [[[*xy, 0.5] for xy in CORNERS]]},
        "lists of axes": {"strokes": [{"X": [x for x, _ in CORNERS], "Y": [y for _, y in CORNERS]}]},
        "ink": {"requests": [{"ink": [[*RECORD["drawing"][0], []]]}]},
        "elements of Excalidraw alone": [{"type": "line", "x": 9, "y": 9, "points": CORNERS}],
        "library of Excalidraw": {"libraryItems": [{"elements": EXCALIDRAW["elements"]}]},
        "clipboard of tldraw": {"data": {"shapes": TLDRAW["records"][1:]}},  # type: ignore[index]
    }.items()
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_files_of_drawing_programs_are_strokes(program: str, tmp_path: Path) -> None:
    path = tmp_path / "drawing"
    path.write_text(PROGRAMS[program])
    expected = read_image(json.dumps(RECORD), "sketch")
    assert (read_image(path, "sketch") - expected).abs().mean() < 0.002
    path.write_bytes(gzip.compress(PROGRAMS[program].encode()))
    assert (read_image(path, "sketch") - expected).abs().mean() < 0.002


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (json.dumps({"type": "excalidraw", "elements": []}).encode(), "no strokes"),
        (json.dumps({"type": "excalidraw", "elements": [{"type": "line", "points": 3}]}).encode(), "understood"),
        (INKML.format("1 2, a b").encode(), "understood"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"\x1f\x8b\x08\x00broken", "broken"),
        (gzip.compress(bytes(20_000_000)), "unpacks"),
        (b'{"drawing": [[[1, 2], [3]]]}', "as many x as y"),
    ],
)
def test_a_drawing_that_cannot_be_read_is_one_line(data: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin2").write_bytes(data)
    with pytest.raises(ImageError, match=why) as caught:
        read_image(tmp_path / "a.bin2", "sketch")
    assert str(caught.value).startswith(f"{tmp_path}") and "\n" not in str(caught.value)


def test_real_drawings_rasterize_to_thin_strokes(shared_data: Path) -> None:
    path = shared_data / "quickdraw-mini" / "simplified" / "cat.ndjson"
    for record in path.read_text().splitlines():
        cat = parse_ndjson(record)
        image = rasterize(cat, 128)
        assert cat.label == "cat" and 0.01 < (image < 128).mean() < 0.3
        assert (image[:5] == 255).all() and (image[:, -5:] == 255).all()


def test_an_svg_that_would_take_minutes_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines across all others take a time that grows with the square of their number; short ones do not."""

    def crossing(lines: int) -> bytes:
        points = " ".join(f"{x:.0f} {y:.0f}" for x, y in np.random.default_rng(0).uniform(0, 99, (lines, 2)))
        return f'<svg viewBox="0 0 100 100"><path stroke="red" d="M{points}"/></svg>'.encode()

    monkeypatch.setattr("sketchfusion.io.svg.MAX_SECONDS", 1)
    with pytest.raises(ImageError, match=r"^SVG: SVG takes more than 1 s to draw; simplify it first$"):
        rasterize_svg(crossing(200_000), 256)
    traced = "".join(f"M{5 + x % 90} {5 + x // 90}h.3v.3h-.3z" for x in range(8_000))
    drawn = rasterize_svg(f'<svg viewBox="0 0 100 100"><path d="{traced}"/></svg>'.encode(), 256)
    assert drawn.min() < 250
    small = crossing(300)
    with monkeypatch.context() as patch:
        patch.setattr("sketchfusion.io.svg.MUCH", 0)
        apart = rasterize_svg(small, 256)
    assert np.array_equal(apart, rasterize_svg(small, 256))
