"""Draw files of drawing programs: SVG, packed or not, Excalidraw, tldraw, InkML, and Quick, Draw! records."""

import base64
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
from defusedxml import ElementTree as SafeET

from ..errors import ImageError, first_line
from .strokes import MAX_POINTS, Drawing, frame_strokes, parse_ndjson, parse_record, rasterize
from .svg import as_utf8, rasterize_svg

_SVG = re.compile(rb"<(\w+:)?svg[\s>]")
Points = npt.NDArray[np.float64]

VECTOR_SIDE = 512  # pixels of the raster of a vector drawing
MAX_UNPACKED = 16_000_000  # bytes of a packed drawing, and of a JSON document
MAX_NESTING = 50  # groups of shapes in groups
_TURN = np.linspace(0, 2 * math.pi, 49)
_ELLIPSE = np.stack([0.5 + 0.5 * np.cos(_TURN), 0.5 + 0.5 * np.sin(_TURN)], axis=1)
_RECTANGLE = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0.0]])
_DIAMOND = np.array([[0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5], [0.5, 0]])
_TRIANGLE = np.array([[0.5, 0], [1, 1], [0, 1], [0.5, 0.0]])
_OUTLINES = {"ellipse": _ELLIPSE, "oval": _ELLIPSE, "diamond": _DIAMOND, "triangle": _TRIANGLE}  # in the unit square


def draw_vectors(data: bytes, side: int, name: str, light_ink: bool = False) -> npt.NDArray[np.uint8] | None:
    """Draw the bytes of an SVG, packed or not, or of a file of strokes, as (H, W, 3); None if they are something else.

    With `light_ink`, an SVG of which nothing can be seen on white is drawn on black. Text and pictures among strokes
    are left out. Raises ImageError.
    """
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data, name)
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff") or (b"\0" in data[:2] and b"<" in data[:4])  # UTF-16 or UTF-32
    if wide and len(data) <= MAX_UNPACKED:
        data = as_utf8(data)
    head = data[:65536].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:64].lower().startswith((b"<!doctype html", b"<html")):
        raise ImageError(f"{name}: a web page, not a picture; get the picture itself")
    if head.startswith(b"<") and _SVG.search(data, 0, MAX_UNPACKED):
        return rasterize_svg(data, side, name, light_ink)
    try:
        if head.startswith(b"<") and b"<ink" in head:
            return draw_strokes(_framed(_traces(SafeET.fromstring(data)), name))
        if not head.startswith((b"{", b"[")):
            return None
        document = _document(data)
        if document is None and head.startswith(b"{"):  # a line for each drawing
            first = next(line for line in data.splitlines() if line.strip())
            return draw_strokes(parse_ndjson(first.decode("utf-8-sig", errors="replace"), name))
        if document is None:
            return None
        if isinstance(document, dict) and "drawing" in document:
            return draw_strokes(parse_record(document, name))
        return draw_strokes(_framed(_shapes(document), name))
    except ImageError:
        raise
    except (ET.ParseError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        raise ImageError(f"{name}: its strokes are not understood; export it as SVG or PNG") from None


def draw_strokes(drawing: Drawing) -> npt.NDArray[np.uint8]:
    """Draw strokes black on white: (S, S, 3) with S = `VECTOR_SIDE`."""
    return np.repeat(rasterize(drawing, VECTOR_SIDE)[:, :, None], 3, axis=2)


def _unpacked(data: bytes, name: str) -> bytes:
    packed = zlib.decompressobj(wbits=31)
    try:
        unpacked = packed.decompress(data, MAX_UNPACKED + 1)
    except zlib.error as error:
        raise ImageError(f"{name}: broken ({first_line(error)}); get or save it again") from None
    if len(unpacked) > MAX_UNPACKED:
        raise ImageError(f"{name}: unpacks to more than {MAX_UNPACKED // 10**6} MB; simplify it first")
    if not packed.eof:
        raise ImageError(f"{name}: broken or cut short; get or save it again")
    return unpacked


def _document(data: bytes) -> Any:
    """Read the one JSON document of a file, of records the first; None if it has lines of them, or none."""
    try:
        document = json.loads(data.decode("utf-8-sig")) if len(data) <= MAX_UNPACKED else None
    except (ValueError, RecursionError):
        return None
    first = document[0] if isinstance(document, list) and document else None
    return first if isinstance(first, dict) and "drawing" in first else document


def _framed(strokes: Iterable[Points], name: str) -> Drawing:
    listed = [stroke for stroke in strokes if len(stroke)]
    if not listed:
        raise ImageError(f"{name}: no strokes in it; draw something first, or export it as SVG or PNG")
    if sum(map(len, listed)) > MAX_POINTS or not all((np.abs(stroke) < 1e7).all() for stroke in listed):
        raise ImageError(f"{name}: more than {MAX_POINTS} points, or coordinates beyond 10,000,000; simplify it")
    return frame_strokes(listed, "")


def _traces(root: ET.Element) -> Iterator[Points]:
    """Give the traces of an InkML document; further channels, such as pressure, are left out."""
    for element in root.iter():
        if isinstance(element.tag, str) and element.tag.rpartition("}")[2] == "trace":
            points = [part.split()[:2] for part in (element.text or "").split(",") if part.strip()]
            yield np.array(points, dtype=np.float64).reshape(-1, 2)


def _shapes(document: Any) -> Iterator[Points]:
    """Give the outlines of a document of Excalidraw or tldraw, and what looks like strokes in any other."""
    named = document if isinstance(document, dict) else {}
    items = named.get("libraryItems") or named.get("library")  # of a library of Excalidraw, the first
    elements = (items[0]["elements"] if isinstance(items[0], dict) else items[0]) if items else named.get("elements")
    if elements is not None:
        return _excalidraw(elements)
    inner = named.get("document") or named.get("data") or named
    inner = inner if isinstance(inner, dict) else {}
    records = list((inner.get("store") or {}).values()) or inner.get("records") or inner.get("shapes")
    return _tldraw(records) if isinstance(records, list) and records else _strokes_in(document)


def _strokes_in(value: Any, key: str = "", depth: int = 0) -> Iterator[Points]:
    """Find strokes as canvases of web pages keep them: lists of points, or lists of x and of y, at any depth."""
    if depth > MAX_NESTING or not isinstance(value, list | dict):
        return
    if isinstance(value, dict):
        axes = {name.lower(): item for name, item in value.items() if name.lower() in ("x", "y")}
        x, y = axes.get("x"), axes.get("y")
        if isinstance(x, list) and isinstance(y, list):
            yield np.array([x, y], dtype=np.float64).T
            return
        corner = value.get("point") if x is None else [x, y]
        for name, item in value.items():
            for points in _strokes_in(item, name, depth + 1):
                yield points + (np.array(corner, dtype=np.float64) if name == "points" and corner else 0.0)
    elif (found := _as_points(value, key)) is not None:
        yield found
    elif _are_axes(value):
        yield from (np.array(axes[:2], dtype=np.float64).T for axes in value)
    else:
        for item in value:
            yield from _strokes_in(item, key, depth + 1)


def _as_points(value: list[Any], key: str) -> Points | None:
    """Read a list as points if it is one: {x, y}, [x, y, pressure], [x, y, x, y], or commands of a path."""

    def numbers(items: Any, least: int = 2) -> bool:
        return isinstance(items, list) and len(items) >= least and all(isinstance(item, int | float) for item in items)

    found: list[Any] = []
    if value and all(isinstance(item, dict) and {"x", "y"} <= set(item) - {"points"} == set(item) for item in value):
        found = [[item["x"], item["y"]] for item in value]
        found = found if all(map(numbers, found)) else []
    elif value and all(numbers(item) and len(item) <= 4 for item in value):
        found = [item[:2] for item in value]
    elif key == "points" and numbers(value, 4):
        found = list(zip(value[::2], value[1::2], strict=False))
    elif key == "segments" and value and all(isinstance(item, list) and item and numbers(item[0]) for item in value):
        found = [item[0][:2] for item in value]
    elif value and all(isinstance(item, list) and item and str(item[0]) in "MLQCTSmlqctszZ" for item in value):
        found = [item[-2:] for item in value if numbers(item[1:])]
    return np.array(found, dtype=np.float64) if found else None


def _are_axes(strokes: list[Any]) -> bool:
    """Tell whether a list holds strokes as Quick, Draw! writes them: all x, then all y."""
    lists = all(
        isinstance(one, list) and 2 <= len(one) <= 4 and all(isinstance(a, list) for a in one) for one in strokes
    )
    return lists and all(len(one[0]) == len(one[1]) for one in strokes) and any(len(one[0]) > 4 for one in strokes)


def _excalidraw(elements: list[dict[str, Any]]) -> Iterator[Points]:
    for element in elements:
        hidden = element.get("isDeleted") or element.get("opacity") == 0 or element.get("strokeColor") == "transparent"
        if hidden or element["type"] in ("text", "image", "frame", "embeddable", "iframe"):
            continue
        if "points" in element:
            points = np.array([point[:2] for point in element["points"]], dtype=np.float64).reshape(-1, 2)
        else:
            points = _OUTLINES.get(element["type"], _RECTANGLE) * [element["width"], element["height"]]
        if len(points):
            middle = (points.min(axis=0) + points.max(axis=0)) / 2
            corner = np.array([element["x"], element["y"]])
            yield _turned(points - middle, element.get("angle")) + middle + corner


def _tldraw(records: Iterable[dict[str, Any]]) -> Iterator[Points]:
    shapes = {record["id"]: record for record in records if record.get("typeName", "shape") == "shape"}
    for shape in shapes.values():
        for points in _outlines_of(shape["type"], shape["props"]):
            here: dict[str, Any] | None = shape
            for _ in range(MAX_NESTING):
                if here:
                    points = _turned(points, here.get("rotation")) + np.array([here["x"], here["y"]])
                    here = shapes.get(here.get("parentId", ""))
            yield points


def _outlines_of(kind: str, props: dict[str, Any]) -> Iterator[Points]:
    """Give the lines of a shape of tldraw, from its own corner."""
    if kind == "geo":
        yield _OUTLINES.get(props["geo"], _RECTANGLE) * [props["w"], props["h"]]
    elif kind in ("draw", "highlight"):
        for segment in props["segments"]:
            yield _packed_path(segment) if "path" in segment else _xy(segment["points"])
    elif kind == "line":
        points = props.get("points") or props["handles"]
        listed = points.values() if isinstance(points, dict) else points
        yield _xy(sorted(listed, key=lambda point: str(point.get("index", ""))))
    elif kind == "arrow":
        yield _xy([props["start"], props["end"]])


def _xy(points: Iterable[dict[str, float]]) -> Points:
    return np.array([[point["x"], point["y"]] for point in points], dtype=np.float64).reshape(-1, 2)


def _packed_path(segment: dict[str, Any]) -> Points:
    """Read a path of tldraw from version 4.3: base64 of a point in 32 bits, then of steps in 16 bits, x, y and z."""
    size = segment.get("dim", 3)
    start = 4 * math.ceil(4 * size / 3)
    first = np.frombuffer(base64.b64decode(segment["path"][:start]), "<f4").reshape(1, size)
    steps = np.frombuffer(base64.b64decode(segment["path"][start:]), "<f2").reshape(-1, size)
    return np.concatenate([first, steps]).astype(np.float64).cumsum(axis=0)[:, :2]


def _turned(points: Points, angle: float | None) -> Points:
    """Turn points (N, 2) about the origin by an angle in radians."""
    cosine, sine = math.cos(angle or 0), math.sin(angle or 0)
    turned: Points = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned
