"""Rasterise untrusted SVG: it can neither read files or the network nor exhaust memory and time."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import resvg_py
from defusedxml import ElementTree as SafeET
from defusedxml.common import DefusedXmlException
from PIL import Image

from ..errors import ImageError, first_line

MAX_BYTES = 4_000_000
MAX_COST = 20_000
MAX_DEPTH = 200
MAX_SIDE = 4096
NAMESPACE = "http://www.w3.org/2000/svg"

# Elements that no sketch needs: through them an SVG can read files, run scripts or take very long to render.
DROPPED = {
    "image",
    "feImage",
    "script",
    "foreignObject",
    "filter",
    "marker",
    "pattern",
    "iframe",
    "audio",
    "video",
}
DROPPED |= {"animate", "animateMotion", "animateTransform", "set", "metadata", "namedview"}
DROPPED_ATTRIBUTES = {"filter", "base", "src", "stroke-dasharray"}
_EXTERNAL = re.compile(r"@import|url\s*\(\s*['\"]?\s*(?!['\"#\s])|\\|expression\s*\(", re.IGNORECASE)
_COSTLY = re.compile(r"(?<![\w-])(filter|mask|clip-path|marker|stroke-dasharray)[\w-]*\s*:[^;}]*;?", re.IGNORECASE)
_LENGTH = re.compile(r"\s*([0-9.eE+-]+)\s*(px|pt|mm|cm|in|pc)?\s*$")


def rasterize_svg(data: bytes, side: int, source: str = "SVG") -> npt.NDArray[np.uint8]:
    """Render SVG on white, the longer edge `side` pixels long: (H, W, 3) uint8.

    External references and elements in `DROPPED` are removed before rendering; XML entities are refused. Raises
    ImageError, whose message begins with `source`.
    """
    if not 0 < side <= MAX_SIDE:
        raise ValueError(f"side={side}: choose 1 to {MAX_SIDE}")
    if len(data) > MAX_BYTES:
        raise ImageError(f"{source}: SVG of more than {MAX_BYTES} bytes; simplify it first")
    root = _parse(data, source)
    _clean(root, source)
    _fit(root, side)
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=ET.tostring(root, encoding="unicode"), background="#ffffff", skip_system_fonts=True
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the renderer is not an Exception
        raise ImageError(f"{source}: SVG cannot be drawn ({first_line(error)}); save it as PNG") from None
    with Image.open(io.BytesIO(bytes(png))) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _parse(data: bytes, source: str) -> ET.Element:
    """Parse the document; ImageError for broken XML, XML entities, or a root other than <svg>."""
    try:
        root: ET.Element = SafeET.fromstring(data, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        raise ImageError(f"{source}: SVG declares XML entities; save it as plain SVG") from None
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise ImageError(f"{source}: not well-formed XML ({first_line(error)}); save the SVG again") from None
    if _local(root.tag) != "svg":
        raise ImageError(f"{source}: XML, but its root is <{_local(root.tag)}> and not <svg>")
    return root


def _local(name: object) -> str:
    """Strip the namespace from a tag or attribute name; "" for the tag of a comment, which is no string."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _clean(root: ET.Element, source: str) -> None:
    """Remove, in place, what is external, scripted or slow to render; ImageError if the rest still costs too much."""
    stack = [(root, 0)]
    while stack:
        element, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ImageError(f"{source}: SVG nested deeper than {MAX_DEPTH} elements; flatten it first")
        if isinstance(element.tag, str) and not element.tag.startswith("{"):
            element.tag = f"{{{NAMESPACE}}}{element.tag}"
        for name, value in list(element.attrib.items()):
            if _is_unsafe(_local(name), value):
                del element.attrib[name]
            elif name == "style":
                element.set(name, _COSTLY.sub("", value))
        for child in list(element):
            style = _local(child.tag) == "style" and _EXTERNAL.search(child.text or "")
            if _local(child.tag) in DROPPED or style:
                element.remove(child)
            else:
                stack.append((child, depth + 1))
        if _local(element.tag) == "style":
            element.text = _COSTLY.sub("", element.text or "")
    if _cost(root) > MAX_COST:
        raise ImageError(f"{source}: SVG draws more than {MAX_COST} elements; simplify it first")


def _is_unsafe(name: str, value: str) -> bool:
    """Whether to drop an attribute: an external reference, an event handler, or one of `DROPPED_ATTRIBUTES`."""
    if name == "href":
        return not value.strip().startswith("#")
    return name in DROPPED_ATTRIBUTES or name.startswith("on") or bool(_EXTERNAL.search(value))


def _cost(root: ET.Element) -> int:
    """Count the elements to render; one that is referenced (as by <use>) counts again at each reference.

    An element with long attributes counts as several. A cycle of references gives more than `MAX_COST`.
    """
    by_id = {element.get("id"): element for element in root.iter() if element.get("id")}
    counts: dict[ET.Element, int] = {}
    stack: list[tuple[ET.Element, bool]] = [(root, False)]
    open_now: set[ET.Element] = set()
    while stack:
        element, done = stack.pop()
        parts = [*element, *(by_id[name] for name in _references(element) if name in by_id)]
        if done:
            open_now.discard(element)
            counts[element] = 1 + sum(map(len, element.attrib.values())) // 200 + sum(counts[part] for part in parts)
            if counts[element] > MAX_COST:
                break
        elif element not in counts:
            open_now.add(element)
            stack.append((element, True))
            pending = [part for part in parts if part not in counts]
            if any(part in open_now for part in pending):
                return MAX_COST + 1
            stack.extend((part, False) for part in pending)
    return max(counts.values())


def _references(element: ET.Element) -> list[str]:
    """The ids that an element refers to with href="#id" or url(#id)."""
    found = []
    for name, value in element.attrib.items():
        if _local(name) == "href":
            found.append(value.strip()[1:])
        found += re.findall(r"url\(\s*['\"]?#([^'\")]+)", value)
    return found


def _fit(root: ET.Element, side: int) -> None:
    """Set the root's size so that the longer edge is `side` px, and add a viewBox if it has no valid one."""
    try:
        box = [float(part) for part in re.split(r"[\s,]+", root.get("viewBox", "").strip())]
    except ValueError:
        box = []
    width, height = _length(root.get("width")), _length(root.get("height"))
    if len(box) != 4 or not (0 < box[2] < 1e9 and 0 < box[3] < 1e9):
        width, height = width or 300.0, height or 150.0
        root.set("viewBox", f"0 0 {width} {height}")
    elif not (width and height):
        width, height = box[2], box[3]
    scale = side / max(width, height)
    root.set("width", str(max(1, round(width * scale))))
    root.set("height", str(max(1, round(height * scale))))


def _length(text: str | None) -> float:
    """Convert an SVG length to px; 0 if it is missing, invalid or not positive."""
    match = _LENGTH.match(text or "")
    try:
        value = float(match.group(1)) if match else 0.0
    except ValueError:
        return 0.0
    units = {"pt": 4 / 3, "mm": 96 / 25.4, "cm": 960 / 25.4, "in": 96.0, "pc": 16.0}
    value *= units.get(match.group(2) or "", 1.0) if match else 1.0
    return value if 0 < value < 1e9 else 0.0
