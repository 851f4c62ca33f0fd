"""Rasterise untrusted SVG: it can neither read files or the network nor exhaust memory and time."""

import base64
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from html.entities import name2codepoint
from urllib.parse import unquote_to_bytes
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
MUCH, MAX_SECONDS = 200, 10  # cost above which an SVG is drawn in another process, and its seconds of CPU
MAX_MATCHES = 4_000_000  # rules of style sheets times elements
MAX_DEPTH = 200
NAMESPACE, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"

# Elements that no sketch needs: through them an SVG can read files, run scripts or take very long to render.
DROPPED = {"feImage", "script", "foreignObject", "filter", "marker", "pattern", "iframe", "audio", "video"}
DROPPED |= {"animate", "animateMotion", "animateTransform", "set", "metadata", "namedview"}
DROPPED_ATTRIBUTES = {"filter", "base", "src", "stroke-dasharray"}
SHAPES = {"path", "line", "polyline", "polygon", "rect", "circle", "ellipse", "text", "image"}
PAINTS = {"fill", "stroke", "color", "stop-color"}
MAX_ENTITIES, MAX_USES = 50, 1_000  # in a document, and of them
MAX_IMAGES, MAX_IMAGE_PIXELS, IMAGE_SIDE = 64, 32_000_000, 1024  # of embedded pictures; the pixels, of all together
MAX_NESTED, NESTED_SIDE = 100_000, 256  # bytes of an SVG in an SVG, and pixels that it is drawn with
_RENDERER = """
import sys, resvg_py
if sys.platform != "win32":
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]),) * 2)
svg = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)))
"""
_DATA = "data:image/png;base64,"
_ENTITY = re.compile(rb"""<!ENTITY\s+([A-Za-z_][\w.-]*)\s+("[^"&%<]{0,200}"|'[^'&%<]{0,200}')\s*>""")
_EXTERNAL = re.compile(r"@import|url\s*\((?!\s*(?:['\"]\s*)?#)|\\|expression\s*\(", re.IGNORECASE)
_UNWANTED = re.compile(r"\s*(--|filter|mask(?!-type)|clip-path|transform(?!-)|marker|stroke-dasharray)[\w-]*\s*:", re.I)
_UNKNOWN_PAINT = re.compile(
    r"\s*(fill|stroke|color|stop-color)\s*:.*?(?<![\w-])(?!rgba?\(|hsla?\(|url\()[a-z][\w-]*\(", re.I | re.S
)
_SYSTEM = {"canvas": "#fff", "window": "#fff", "currentcolor": "currentColor", "rebeccapurple": "#639"}
_SYSTEM |= dict.fromkeys(("canvastext", "windowtext", "buttontext", "fieldtext"), "#000")
_KEYWORD = re.compile(rf"(:\s*)({'|'.join(_SYSTEM)})(?=\s*(?:[!;}}]|$))", re.IGNORECASE)
_BLOCKS = re.compile(r"((?:(?<=[;{}])|^)\s*@[\w-]+[^{};]*[{;]|[{}])")
_ELSEWHERE = re.compile(r"\b(print|speech|dark)\b|max-(?:device-)?width:\s*\d{1,3}(?:px)?\s*\)")
_INLINED = re.compile(
    r"(?:^|;)\s*(clip-path|mask|vector-effect|stroke-width|transform|x|y|c[xy]|r[xy]?|width|height)\s*:\s*([^;!]+)"
)
_FUNCTION = re.compile(r"(?<![\w-])([a-z][\w-]*)\(([^()]*)\)", re.IGNORECASE)
_STRING = re.compile(r"""url\(("[^"]*"|'[^']*'|[^()]*)\)|"[^"]*"|'[^']*'""", re.IGNORECASE)
_NUMBER = r"-?\d*\.?\d+(?:[eE][+-]?\d+)?"
_UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 960 / 25.4, "mm": 96 / 25.4, "q": 24 / 25.4}
_UNITS |= {"em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0}
_LENGTH = re.compile(rf"\s*([0-9.+-]+(?:e[+-]?\d+)?)\s*({'|'.join(_UNITS)})\s*$", re.IGNORECASE)


def rasterize_svg(data: bytes, side: int, source: str = "SVG", light_ink: bool = False) -> npt.NDArray[np.uint8]:
    """Render SVG on the paper of `over_paper`, the longer edge `side` pixels long: (H, W, 3) uint8.

    First `DROPPED` elements, external references and CSS declarations that contain any are removed, and CSS colours
    that the renderer does not know are replaced. Raises ImageError, whose message begins with `source`, for SVG that is
    broken, too large or too costly, has XML entities that are not short plain text, or shows none of its shapes.
    """
    if len(data) > MAX_BYTES:
        raise ImageError(f"{source}: SVG of more than {MAX_BYTES} bytes; simplify it first")
    root = _parse(_expand_entities(as_utf8(data)), source)
    tags = {_local(element.tag) for element in root.iter()}
    drawn = _render(root, side, source)
    if not drawn.getchannel("A").getbbox() and SHAPES & tags:
        left = {_local(element.tag) for element in root.iter()}
        missing = sorted(((DROPPED | {"image"}) & tags) - left) + sorted({"text"} & tags)
        lost = ["a picture that is not embedded" if name == "image" else f"<{name}>" for name in missing]
        reason = f"{' and '.join(lost)} cannot be drawn" if lost else "no colour is understood, or all is off the page"
        raise ImageError(f"{source}: nothing of its shapes can be seen, as {reason}; save it as plain SVG or PNG")
    return over_paper(drawn, light_ink)


def _render(root: ET.Element, side: int, source: str, pictures: int = MAX_IMAGES) -> Image.Image:
    """Clean a document, in place, and draw it, the longer edge `side` pixels long."""
    _clean(root, source, pictures)
    try:
        _scale_strokes(root, side)
        _fit(root, side)
        return _drawn(root)
    except TimeoutError:
        raise ImageError(f"{source}: SVG takes more than {MAX_SECONDS} s to draw; simplify it first") from None
    except BaseException as error:  # a panic of the renderer is not an Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise ImageError(f"{source}: SVG cannot be drawn ({first_line(error)}); save it as PNG") from None


def _drawn(root: ET.Element) -> Image.Image:
    text = ET.tostring(root, encoding="unicode")
    apart = _cost(root) > MUCH and sys.executable
    png = _draw_apart(text) if apart else bytes(resvg_py.svg_to_bytes(svg_string=text, skip_system_fonts=True))
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGBA")


def _draw_apart(text: str) -> bytes:
    """Draw what may take minutes, as long lines across each other do, in a process that is stopped: TimeoutError."""
    command = [sys.executable, "-P", "-c", _RENDERER, str(MAX_SECONDS)]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=6 * MAX_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    if done.returncode < 0:  # stopped by the system, at its limit
        raise TimeoutError
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    return done.stdout


def as_utf8(data: bytes) -> bytes:
    """Give XML or JSON in UTF-8, without what no parser takes; of other encodings only ASCII is kept as it was.

    XML says what it is encoded in, often wrongly; in a drawing, only ASCII matters.
    """
    encoding = json.detect_encoding(data)
    try:
        text = data.decode("utf-8-sig") if encoding.startswith("utf-8") else data.decode(encoding, "replace")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = re.sub(r"[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", text.lstrip())
    return re.sub(r"^(<\?xml[^>]*?)\s+encoding\s*=\s*[\"'][^\"'>]*[\"']", r"\1", text).encode("utf-8", "replace")


def over_paper(image: Image.Image, light_ink: bool) -> npt.NDArray[np.uint8]:
    """Lay a transparent picture over white; with `light_ink`, over black if it hardly shows on white: (H, W, 3)."""

    def on(colour: str) -> npt.NDArray[np.uint8]:
        paper = Image.new("RGBA", image.size, colour)
        paper.alpha_composite(image)
        return np.asarray(paper.convert("RGB"), dtype=np.uint8)

    def edges(layer: npt.NDArray[np.uint8]) -> int:
        step = max(1, max(layer.shape) // 512)
        thinned = layer[::step, ::step].astype(np.int16)
        return sum(int(np.abs(np.diff(thinned, axis=axis)).sum()) for axis in (0, 1))

    white = on("white")
    if not light_ink:
        return white
    black, few = on("black"), np.asarray(image.getchannel("A"))[::4, ::4].mean() < 0.4 * 255
    hardly, better = np.ptp(white) <= 64 < np.ptp(black), few and edges(black) > 2 * edges(white)
    return black if hardly or better else white


def _expand_entities(data: bytes) -> bytes:
    """Replace XML entities by their text if they are few, short and plain; else leave them for `_parse` to refuse."""
    start = data.find(b"<!DOCTYPE")
    end = data.find(b"]", start)
    head, body = data[:end], data[end:]
    if start < 0 or end < 0 or b"<!ENTITY" in _ENTITY.sub(b"", head):
        return data
    values = {name: value[1:-1] for name, value in _ENTITY.findall(head)}
    if len(values) > MAX_ENTITIES or sum(body.count(b"&" + name + b";") for name in values) > MAX_USES:
        return data
    for name, value in values.items():
        body = body.replace(b"&" + name + b";", value)
    return _ENTITY.sub(b"", head) + body


def _completed(data: bytes) -> bytes:
    """Add what SVG cut out of a web page lacks: namespaces of prefixes, and HTML's names of characters."""
    text = data.decode()
    used = set(re.findall(r"[\s<]([A-Za-z_][\w.-]*):[A-Za-z_][\w.-]*(?=[\s=/>])", text)) - {"xml", "xmlns"}
    missing = used - set(re.findall(r"xmlns:([\w.-]+)\s*=", text))
    added = "".join(f' xmlns:{name}="{XLINK if name == "xlink" else name}"' for name in sorted(missing)[:MAX_ENTITIES])
    text = re.sub(r"<((?:\w+:)?svg)(?=[\s>])", rf"<\1{added}", text, count=1)

    def numbered(match: re.Match[str]) -> str:
        code = name2codepoint.get(match[1])
        return match[0] if code is None or match[1] in ("amp", "lt", "gt", "quot") else f"&#{code};"

    return re.sub(r"&([A-Za-z]\w{1,30});", numbered, text).encode()


def _variables(root: ET.Element) -> dict[str, str]:
    """Collect the CSS custom properties of all styles; the first value wins, as later ones are for dark pages."""
    styles = [element.text or "" for element in root.iter() if _local(element.tag) == "style"]
    styles += [element.get("style", "") for element in root.iter()]
    found = re.findall(r"(?<![\w-])(--[\w-]{1,100})\s*:\s*([^;{}]{1,200})", ";".join(styles))
    return dict(reversed(found))


def _resolved(css: str, variables: dict[str, str]) -> str:
    """Replace CSS functions by plain colours, innermost first; color-mix() gives its first, lab() and others a grey."""

    def simpler(match: re.Match[str]) -> str:
        name, inside = match.group(1).lower(), match.group(2)
        first, _, rest = inside.partition(",")
        if name == "var":
            return variables.get(first.strip(), rest).strip()
        if name in ("light-dark", "color-mix"):
            chosen = first if name == "light-dark" else rest.partition(",")[0]
            return " ".join(word for word in chosen.split() if not word.endswith("%"))
        parts = re.findall(r"(?<![\w.])(-?\d*\.?\d+)(%?)", inside)
        numbers = [float(part) / (100 if percent else 1) for part, percent in parts]
        if name == "color" and len(numbers) >= 3:
            return "#" + "".join(f"{round(255 * min(1, max(0, part))):02x}" for part in numbers[:3])
        if name in ("oklch", "oklab", "lch", "lab") and numbers:  # the lightness is what counts for a drawing
            light = numbers[0] if name.startswith("ok") or parts[0][1] else numbers[0] / 100
            return "#" + f"{round(255 * min(1, max(0, light))):02x}" * 3
        if name in ("rgb", "rgba", "hsl", "hsla"):  # the opacity as a number, and no spaces between
            inside = ",".join([*re.findall(r"[^\s/,]+", inside.replace("deg", ""))[:3], *map(str, numbers[3:4])])
        return f"{match.group(1)}\1{inside.replace(',', chr(3))}\2"  # its brackets hidden until the rest is resolved

    most = 2 * len(css) + 10_000  # variables in variables would grow without end
    for _ in range(20):
        css, count = _FUNCTION.subn(simpler, css)
        if not count or len(css) > most:
            break
    return css.replace("\1", "(").replace("\2", ")").replace("\3", ",")


def _plain_css(css: str, patterns: Iterable[str] = ()) -> str:
    """Remove comments and strings that would mislead; mark external references, and paint `patterns` in grey."""

    def plain(match: re.Match[str]) -> str:
        if match[1] is None:
            return '""' if re.search(r"[;{}\\(]", match[0]) else match[0]
        target = match[1].strip(" \t\r\n\"'")
        if target[1:] in patterns:
            return "#555"
        return match[0] if target.startswith("#") and not re.search(r"[;{}\\]", match[1]) else "\\"

    return _STRING.sub(plain, re.sub(r"/\*.*?(?:\*/|$)|<!--|-->", "", css, flags=re.DOTALL))


def _on_screen(css: str, media: str = "") -> str:
    """Resolve the at-rules of a style sheet, which the renderer does not know, for a light screen."""

    def holds(query: str) -> bool:
        return any(bool(_ELSEWHERE.search(one)) == one.strip().startswith("not") for one in query.lower().split(","))

    kept, opened = list[str](), list[bool | None]()  # of each open block: None for a plain rule, or whether it holds
    for token in _BLOCKS.split(css) if holds(media) else ():
        name, _, query = token.strip().lstrip("@").rstrip("{;").partition(" ")
        if token.strip().startswith("@") and token[-1] in "{;":
            if token[-1] == "{":
                opened.append(name.split("(")[0] in ("media", "supports", "layer", "container") and holds(query))
            continue
        if token == "}" and (not opened or opened.pop() is not None):
            continue
        if False not in opened:
            kept.append(token)
        if token == "{":
            opened.append(None)
    return re.sub(r":root\b", "svg", "".join(kept))


def _safe_css(css: str, variables: dict[str, str], patterns: Iterable[str] = ()) -> str:
    """Remove each declaration that is external, slow to render or unknown to the renderer; keep the others."""
    css = _KEYWORD.sub(lambda match: match[1] + _SYSTEM[match[2].lower()], _plain_css(css, patterns))
    parts = [*re.split(r"([;{}])", _resolved(css, variables)), ""]
    for place in range(0, len(parts), 2):
        part, end = parts[place : place + 2]
        if _UNWANTED.match(part) or _UNKNOWN_PAINT.match(part) or _EXTERNAL.search(part):
            parts[place : place + 2] = ["nothing" if end == "{" else "", end.strip(";")]
    return "".join(parts)


def _inline(root: ET.Element, css: str) -> None:
    """Make attributes of the declarations `_INLINED` of simple selectors, which are counted and changed later on."""
    found: dict[str, dict[str, str]] = {}
    for selectors, body in re.findall(r"([^{};]+)\{([^{}]*)\}", css):
        if declared := dict(_INLINED.findall(body)):
            for selector in selectors.split(","):
                found.setdefault(selector.strip(), {}).update(declared)
    for element in root.iter():
        classes = (f".{name}" for name in element.get("class", "").split())
        names = [_local(element.tag), *classes, f"#{element.get('id')}"]
        own = dict(_INLINED.findall(element.get("style", "")))
        for name, value in [item for one in (*(found.get(name, {}) for name in names), own) for item in one.items()]:
            element.set(name, re.sub(r"(?<=\d)(px|deg)\b", "", value).strip())


def _parse(data: bytes, source: str) -> ET.Element:
    """Parse the document; ImageError for broken XML, XML entities, or a root other than <svg>."""
    try:
        root: ET.Element = _tree(data)
    except DefusedXmlException:
        raise ImageError(f"{source}: SVG declares XML entities; save it as plain SVG") from None
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise ImageError(f"{source}: not well-formed XML ({first_line(error)}); save the SVG again") from None
    if _local(root.tag) != "svg":
        raise ImageError(f"{source}: XML, but its root is <{_local(root.tag)}> and not <svg>")
    return root


def _tree(data: bytes) -> ET.Element:
    """Parse XML that declares no entities, which are all refused; one cut out of a web page is completed first."""
    try:
        root: ET.Element = SafeET.fromstring(data)
    except ET.ParseError:
        root = SafeET.fromstring(_completed(data))
    return root


def _local(name: object) -> str:
    """Strip the namespace from a tag or attribute name; "" for the tag of a comment, which is no string."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _clean(root: ET.Element, source: str, pictures: int) -> None:
    """Remove, in place, what is external, scripted or slow to render; ImageError if the rest still costs too much."""
    patterns = {element.get("id", "") for element in root.iter() if _local(element.tag) == "pattern"}
    sheets = [element for element in root.iter() if _local(element.tag) == "style"]
    for sheet in sheets:
        sheet.text = _on_screen(_plain_css(sheet.text or "", patterns), sheet.get("media", ""))
    rules = "".join(sheet.text or "" for sheet in sheets)
    if rules.count("{") * sum(1 for _ in root.iter()) > MAX_MATCHES:
        raise ImageError(f"{source}: SVG has too many rules of style for its elements; simplify it first")
    _inline(root, rules)
    stack, pixels, variables = [(root, 0)], MAX_IMAGE_PIXELS, _variables(root)
    while stack:
        element, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ImageError(f"{source}: SVG nested deeper than {MAX_DEPTH} elements; flatten it first")
        if isinstance(element.tag, str) and not element.tag.startswith("{"):
            element.tag = f"{{{NAMESPACE}}}{element.tag}"
        for name, value in list(element.attrib.items()):
            if name == "style":
                element.set(name, _safe_css(value, variables, patterns))
            elif name in PAINTS and ("(" in value or value.strip().lower() in _SYSTEM):
                element.set(name, _safe_css(f"fill:{value}", variables, patterns).removeprefix("fill:") or "#000")
            if _is_unsafe(_local(name), element.get(name, "")):
                del element.attrib[name]
        if _local(element.tag) == "style":
            element.text = _safe_css(element.text or "", variables, patterns)
        for child in list(element):
            if _local(child.tag) == "image":
                taken = _embed(child, pixels) if pictures > 0 else 0
                pictures, pixels = pictures - 1, pixels - taken
                if not taken:
                    element.remove(child)
            elif _local(child.tag) in DROPPED:
                element.remove(child)
            else:
                stack.append((child, depth + 1))
    if _cost(root) > MAX_COST:
        raise ImageError(f"{source}: SVG draws more than {MAX_COST} elements; simplify it first")


def _embed(element: ET.Element, most: int) -> int:
    """Re-encode the picture in an <image>'s data URL as a reduced PNG; give its pixels, 0 if it cannot be read."""
    links = [name for name in element.attrib if _local(name) == "href"]
    head, _, encoded = element.attrib[links[0]].partition(",") if links else ("", "", "")
    if not re.match(r"\s*data:", head, re.IGNORECASE):
        return 0
    try:
        data = unquote_to_bytes(encoded)
        if head.rstrip().lower().endswith(";base64"):
            data = base64.b64decode(data.rstrip(b" =\r\n\t") + b"===")
        if "svg" in head and len(data) <= MAX_NESTED:
            picture = _render(_parse(_expand_entities(as_utf8(data)), "SVG"), NESTED_SIDE, "SVG", pictures=0)
        else:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")) as image:
                if image.width * image.height > most:
                    return 0
                picture = image.convert("RGBA")
        pixels = picture.width * picture.height
        picture.thumbnail((IMAGE_SIDE, IMAGE_SIDE))
        picture.save(buffer := io.BytesIO(), "PNG", compress_level=1)
    except Exception:  # decoders raise anything on hostile bytes
        return 0
    for name in links:
        del element.attrib[name]
    element.set("href", _DATA + base64.b64encode(buffer.getvalue()).decode())
    return pixels


def _is_unsafe(name: str, value: str) -> bool:
    """Whether to drop an attribute: an external reference, an event handler, or one of `DROPPED_ATTRIBUTES`."""
    if name == "href" and not value.startswith(_DATA):
        return not value.strip().startswith("#")
    return name in DROPPED_ATTRIBUTES or name.startswith("on") or bool(_EXTERNAL.search(value))


def _cost(root: ET.Element) -> int:
    """Count the elements to render, again at each reference; above `MAX_COST` for a cycle of references."""
    by_id = {element.get("id"): element for element in root.iter() if element.get("id")}
    named = {element: [by_id[name] for name in _references(element) if name in by_id] for element in root.iter()}
    parts = {element: [*element, *others] for element, others in named.items()}
    counts: dict[ET.Element, int] = {}
    try:
        for element in TopologicalSorter(parts).static_order():
            long = sum(20_000 if value.startswith(_DATA) else len(value) for value in element.attrib.values()) // 200
            counts[element] = 1 + long + sum(counts[part] for part in parts[element])
            if counts[element] > MAX_COST:
                break
    except CycleError:
        return MAX_COST + 1
    return max(counts.values())


def _references(element: ET.Element) -> list[str]:
    """The ids that an element refers to with href="#id" or url(#id)."""
    found = [value.strip()[1:101] for name, value in element.attrib.items() if _local(name) == "href"]
    return found + re.findall(r"url\(\s*['\"]?#([^'\")]+)", ")".join(element.attrib.values()))


def _fit(root: ET.Element, side: int) -> None:
    """Set the root's size so that the longer edge is `side` px, and add a viewBox if it has no valid one."""
    try:
        box = [float(part) for part in re.split(r"[\s,]+", root.get("viewBox", "").strip())]
    except ValueError:
        box = []
    width, height = _length(root.get("width")), _length(root.get("height"))
    if len(box) != 4 or not (0 < box[2] < 1e9 and 0 < box[3] < 1e9):
        if not (width and height):
            reach = _reach(root)
            width, height = width or max(300.0, reach[0]), height or max(150.0, reach[1])
        root.set("viewBox", f"0 0 {width} {height}")
    elif not (width and height):
        width, height = box[2], box[3]
    scale = side / max(width, height)
    root.set("width", str(max(1, round(width * scale))))
    root.set("height", str(max(1, round(height * scale))))


def _reach(root: ET.Element) -> tuple[float, float]:
    """Measure how far a drawing that does not say its size reaches to the right and down from (0, 0)."""
    asked, cells = dict(root.attrib), 512
    root.attrib.update(width=str(cells), height=str(cells))
    for reach in (8192, 131_072):
        root.set("viewBox", f"0 0 {reach} {reach}")
        pixels = np.asarray(_drawn(root)).astype(np.int16)
        rows, columns = np.nonzero((pixels != pixels[-1, -1]).any(axis=2))  # what is not the background
        if len(rows) and max(rows.max(), columns.max()) < cells - 1:
            break
    root.attrib.clear()
    root.attrib.update(asked)
    if not len(rows):
        return 0.0, 0.0
    return (columns.max() + 2.0) * reach / cells, (rows.max() + 2.0) * reach / cells


def _scale_strokes(root: ET.Element, side: int) -> None:
    """Give non-scaling strokes (`vector-effect`) the width, in drawing units, that they have at the SVG's own size."""
    box = [float(part) for part in re.findall(_NUMBER, root.get("viewBox", ""))]
    shown = max(_length(root.get("width")), _length(root.get("height"))) or side
    unit = max(box[2:4]) / shown if len(box) == 4 else 1.0
    stack = [(root, unit, "1")]
    while stack:
        element, unit, width = stack.pop()
        style = element.get("style", "")
        named = re.search(rf"(?<![\w-])stroke-width\s*:\s*({_NUMBER})", style)
        width = named[1] if named else element.get("stroke-width", width)
        for name, inside in re.findall(r"(scale|matrix)\s*\(([^()]*)\)", element.get("transform", "")):
            a, *more = (float(part) for part in re.findall(_NUMBER, inside) or "1")
            area = a * more[2] - more[0] * more[1] if name == "matrix" and len(more) > 2 else a * (more or [a])[-1]
            unit /= abs(area) ** 0.5 or 1.0
        if "non-scaling-stroke" in element.get("vector-effect", "") + style and _length(width):
            element.set("style", f"{style};stroke-width:{_length(width) * unit}".lstrip(";"))
        stack.extend((child, unit, width) for child in element)


def _length(text: str | None) -> float:
    """Convert an SVG length to px; 0 if it is missing, relative to the page, invalid or not positive."""
    match = _LENGTH.match(text or "")
    try:
        value = float(match[1]) * _UNITS[match[2].lower()] if match else 0.0
    except ValueError:
        return 0.0
    return value if 0 < value < 1e9 else 0.0
