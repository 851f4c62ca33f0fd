"""Drawings of every kind as pictures, and conversion between pixels and drawing units."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from pydantic import TypeAdapter

from sketchfusion.errors import ImageError
from sketchfusion.studio.drawing import LimitExceeded, Picture, read_sketch
from sketchfusion.studio.messages import Drawing, Limits
from sketchfusion.tasks.inputs import read_sketches

LIMITS = Limits()


def read(limits: Limits = LIMITS, **drawing: Any) -> Picture:
    return read_sketch(TypeAdapter(Drawing).validate_python(drawing), limits)


def strokes(*lines: Any, width: float = 400, height: float = 300, pen: float = 4, erase: bool = False) -> Any:
    rows = [{"points": line, "width": pen, "erase": erase} for line in lines]
    return {"kind": "strokes", "width": width, "height": height, "strokes": rows}


def ink(sketch: Picture) -> np.ndarray:
    return (sketch.picture.mean(dim=0) < 0.5).numpy()


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def in_base64(image: Image.Image, kind: str = "PNG", **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def cross(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    pen.line((width * 0.2, height * 0.2, width * 0.8, height * 0.8), "black", 9)
    pen.line((width * 0.8, height * 0.2, width * 0.2, height * 0.8), "black", 9)
    return image


def test_a_drawing_fills_the_picture_wherever_it_lies_on_the_sheet() -> None:
    shape = np.array([[0, 0], [60, 0], [60, 60], [0, 60], [0, 0]])
    for corner in ([10, 20], [310, 215]):
        sketch = read(**strokes((shape + corner).tolist()))
        assert sketch.picture.shape == (3, 512, 512)
        assert np.allclose(box(ink(sketch)), (31, 31, 481, 481), atol=12)


def test_points_move_into_the_picture_and_back() -> None:
    corner = [[30.0, 40.0], [130.0, 40.0], [130.0, 100.0]]
    sketch = read(**strokes(corner))
    inside = sketch.to_picture(corner)
    assert all(ink(sketch)[round(y), round(x)] for x, y in inside)
    assert np.allclose(sketch.to_units(inside.tolist()), corner)


def test_a_dot_stays_a_dot() -> None:
    sketch = read(**strokes([[200, 150]], pen=6))
    left, top, right, bottom = box(ink(sketch))
    assert 4 < right - left < 100 and abs((right - left) - (bottom - top)) <= 1


def test_the_eraser_takes_ink_away_and_what_is_gone_does_not_count() -> None:
    kept, gone = [[50, 50], [100, 100]], [[300, 250], [350, 280]]
    drawing = strokes(kept, gone)
    drawing["strokes"].append({"points": gone, "width": 30, "erase": True})
    assert np.array_equal(read(**drawing).picture, read(**strokes(kept)).picture)


def test_pressure_makes_a_line_wider() -> None:
    def amount(pressure: float) -> int:
        line = [[20, 150, pressure], [380, 150, pressure]]
        return int(ink(read(**strokes(line, [[20, 20, 0.5], [380, 280, 0.5]], pen=6))).sum())

    assert amount(0.0) < amount(0.5) < amount(1.0)
    plain = [[20, 150], [380, 150]]
    assert np.array_equal(read(**strokes(plain)).picture, read(**strokes([[*p, 0.5] for p in plain])).picture)


@pytest.mark.parametrize("lines", [[], [[[500, 500], [600, 600]]]], ids=["nothing", "beside the sheet"])
def test_a_blank_drawing_is_refused(lines: Any) -> None:
    with pytest.raises(ImageError, match="blank"):
        read(**strokes(*lines))


def test_all_erased_is_blank() -> None:
    drawing = strokes([[50, 50], [100, 100]])
    drawing["strokes"].append({"points": [[0, 0], [400, 300]], "width": 900, "erase": True})
    with pytest.raises(ImageError, match="blank"):
        read(**drawing)


def test_too_many_strokes_or_points_are_refused() -> None:
    small = Limits(strokes=3, points=10)
    with pytest.raises(LimitExceeded, match="4 strokes"):
        read(small, **strokes(*[[[1, 1], [2, 2]]] * 4))
    with pytest.raises(LimitExceeded, match="12 points"):
        read(small, **strokes([[n, n] for n in range(12)]))
    read(small, **strokes([[n, n] for n in range(10)]))


def test_absurd_coordinates_are_drawn_within_the_picture() -> None:
    sketch = read(**strokes([[-1e6, -1e6], [1e6, 1e6]], [[50, 250], [350, 50]]))
    assert ink(sketch).any()


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_a_picture_is_read_with_its_units(head: str) -> None:
    sketch = read(kind="image", data=head + in_base64(cross(3000, 2000)))
    assert max(sketch.picture.shape) == LIMITS.drawing_side and sketch.size == (3000, 2000)
    x, y = sketch.to_picture([[1500, 1000]])[0]
    assert ink(sketch)[int(y), int(x)] and not ink(sketch)[int(y), int(x * 1.5)]
    other = read(kind="image", data=in_base64(cross(300, 200)), width=30, height=20)
    assert np.allclose(other.to_picture([[15, 10]]), [[150, 100]])


def test_a_picture_is_the_sketch_that_the_command_reads(tmp_path: Path) -> None:
    image = cross(1500, 1000)
    image.save(tmp_path / "cross.png")
    sketch = read(kind="image", data=in_base64(image), width=512, height=341)
    assert torch.equal(sketch.picture, read_sketches(tmp_path / "cross.png")[0])


def test_a_picture_turned_by_its_exif_lies_upright() -> None:
    image = cross(400, 200)
    exif = image.getexif()
    exif[0x0112] = 6
    sketch = read(kind="image", data=in_base64(image, "JPEG", exif=exif))
    assert sketch.size == (200, 400) and sketch.picture.shape[1:] == (400, 200)


def test_an_svg_is_drawn_without_loading_anything_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (50, 50), "black").save(secret)
    line = '<path d="M10 10L90 90" stroke="black" stroke-width="3"/>'
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" viewBox="0 0 100 100">'
    reaching = f'<image x:href="file://{secret}" width="50" height="50" x="50" y="0"/>'
    plain = read(kind="svg", svg=f"{head}{line}</svg>")
    assert np.array_equal(plain.picture, read(kind="svg", svg=f"{head}{reaching}{line}</svg>").picture)
    assert ink(plain)[256, 256]


@pytest.mark.parametrize(
    ("drawing", "reason"),
    [
        ({"kind": "svg", "svg": "{}"}, "not an SVG"),
        ({"kind": "svg", "svg": "<svg"}, "drawing"),
        ({"kind": "svg", "svg": '<!DOCTYPE a [<!ENTITY b SYSTEM "c">]><svg>&b;</svg>'}, "entities"),
        ({"kind": "image", "data": "?"}, "base64"),
        ({"kind": "image", "data": ""}, "empty"),
        ({"kind": "image", "data": base64.b64encode(b"GIF89a").decode()}, "not a picture"),
        ({"kind": "image", "data": base64.b64encode(b'{"drawing": 1}').decode()}, "no strokes"),
        ({"kind": "image", "data": in_base64(Image.new("RGB", (40, 40), "white"))}, "no lines"),
    ],
)
def test_a_broken_drawing_is_refused_in_one_line(drawing: dict[str, Any], reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        read(**drawing)
    assert "\n" not in str(caught.value)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match="megapixels"):
        read(Limits(pixels=1_000_000), kind="image", data=in_base64(Image.new("1", (2000, 1000))))
