"""Pictures of a table: what its models find, match and segment, side by side, and their features."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from ...analysis.page import Inspected, comparison
from ...extractor import Extractor
from ...featuremap import FeatureMap
from ...io.images import ImageInput, Kind, read_image, to_uint8
from ...tasks.correspondence import PointMatch, match_maps
from ...tasks.inputs import extract_map, read_sketch
from ...tasks.pictures import mask_picture, match_picture
from ...tasks.segmentation import segment_from_maps
from ..datasets.base import Dataset, Datasets
from .correspondence import point_pairs
from .retrieval import embed_labelled, instance_data, retrieval_data
from .table import fitting_level

Models = Mapping[str, Extractor]  # by the names of their rows
Item = TypeVar("Item")
Labelled = tuple[ImageInput, Any]

CELL, CAPTION, GAP = 128, 32, 8  # pixels; a caption has two lines
PAPER, INK, GREEN = "#ffffff", "#1f2328", "#1a7f37"
QUERIES, RANKED, GALLERY = 3, 8, 240  # sketches, photos shown for each, photos to rank
EXAMPLES = 3  # pairs of a sketch and a photo
POINTS = 6  # of a pair at most


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture with its caption; a relevant photo has a green frame."""

    picture: Image.Image
    caption: str = ""
    relevant: bool = False


Figure = tuple[list[list[Tile]], list[tuple[Tensor, Tensor]]]  # rows, and the pairs of a sketch and a photo in them


def draw_figures(task: str, models: Models, data: Dataset, sketches: Datasets, stem: Path) -> list[Path]:
    """Write `stem`-TASK.png of answers and `stem`-TASK.html of maps and spectra; no paths for recognition."""
    drawers: dict[str, Callable[[Models, Dataset, Datasets], Figure]] = {
        "retrieval": _retrieval_figure,
        "instance-retrieval": _instance_figure,
        "correspondence": _match_figure,
        "segmentation": _mask_figure,
    }
    if task not in drawers or not models:
        return []
    rows, pairs = drawers[task](models, data, sketches)
    sheet, page = (stem.with_name(f"{stem.name}-{task}{end}") for end in (".png", ".html"))
    _sheet(rows, 2 * CELL if task == "correspondence" else CELL).save(sheet, optimize=True)
    kinds: tuple[Kind, Kind] = ("sketch", "photo")
    inspected = [
        Inspected(f"{number}", kind, _to_pil(image), {n: extract_map(m, image, kind, task) for n, m in models.items()})
        for number, pair in enumerate(pairs, start=1)
        for kind, image in zip(kinds, pair, strict=True)
    ]
    page.write_text(comparison(inspected, f"What the models see: {task}"), encoding="utf-8")
    return [sheet, page]


def _retrieval_figure(models: Models, data: Dataset, sketches: Datasets) -> Figure:
    source = retrieval_data(data, None, sketches, untrained=True)
    drawn = _one_per_label(source.sketches(), lambda pair: pair[1])
    return _ranked_figure(models, "retrieval", drawn, _spaced(source.photos(), GALLERY))


def _instance_figure(models: Models, data: Dataset, sketches: Datasets) -> Figure:
    source = instance_data(data, untrained=True)
    drawn = _one_per_label(source.sketches(), lambda pair: pair[1].category)
    photos = [photo for photo in source.photos() if photo[1].category in {target.category for _, target in drawn}]
    return _ranked_figure(models, "instance-retrieval", drawn, photos)


def _ranked_figure(models: Models, task: str, queries: Sequence[Labelled], photos: Sequence[Labelled]) -> Figure:
    """A block for each sketch, with a row for each model: the photos that it ranks first."""

    def relevant(query: object, shown: object) -> bool:
        return query in shown if isinstance(shown, frozenset) else query == shown  # of several labels or one

    orders = {}
    for name, model in models.items():
        vectors = embed_labelled(model, queries, "sketch", task=task)[0]
        orders[name] = (-vectors @ embed_labelled(model, photos, "photo", task=task)[0].T).argsort(axis=1)[:, :RANKED]
    rows, pairs = [], []
    for number, (source, label) in enumerate(queries):
        sketch = read_sketch(source)
        for name, order in orders.items():
            answers = [photos[place] for place in order[number]]
            tiles = [Tile(_to_pil(read_image(photo)), "", relevant(label, shown)) for photo, shown in answers]
            rows.append([Tile(_to_pil(sketch), name), *tiles])
        first = next((photo for photo, shown in photos if relevant(label, shown)), photos[0][0])
        pairs.append((sketch, read_image(first)))
    return rows, pairs


def _match_figure(models: Models, data: Dataset, sketches: Datasets) -> Figure:
    """A row for each pair, with a column for each model: the points found in the photo."""
    rows, pairs = [], []
    for pair in _spaced([*point_pairs(data, *sketches[:1])], EXAMPLES):
        sketch, photo = read_sketch(pair.sketch), read_image(pair.photo)
        points, tiles = torch.from_numpy(pair.sketch_points[:POINTS]), []
        for name, model in models.items():
            there = match_maps(*_maps(model, sketch, photo, "correspondence"), points)
            found = zip(points.tolist(), *(part.tolist() for part in there), strict=True)
            matches = [PointMatch((a[0], a[1]), (b[0], b[1]), score, mutual) for a, b, score, mutual in found]
            tiles.append(Tile(match_picture(sketch, photo, matches), name))
        rows.append(tiles)
        pairs.append((sketch, photo))
    return rows, pairs


def _mask_figure(models: Models, data: Dataset, sketches: Datasets) -> Figure:
    """A row for each photo: the sketch, the true mask, and each model's at the threshold that fits it best."""
    levels = {name: fitting_level(model, data, sketches) for name, model in models.items()}
    rows, pairs = [], []
    for scene in _spaced([*data.scenes(sketches, "measured")], EXAMPLES):
        sketch, photo = read_sketch(scene.sketch), read_image(scene.photo)
        tiles = [Tile(_to_pil(sketch), scene.category), Tile(mask_picture(photo, scene.mask()), "the thing")]
        for name, model in models.items():
            maps = _maps(model, sketch, photo, "segmentation")
            tiles.append(Tile(mask_picture(photo, segment_from_maps(*maps, sketch, photo, levels[name]).mask), name))
        rows.append(tiles)
        pairs.append((sketch, photo))
    return rows, pairs


def _maps(model: Extractor, sketch: Tensor, photo: Tensor, task: str) -> tuple[FeatureMap, FeatureMap]:
    return extract_map(model, sketch, "sketch", task), extract_map(model, photo, "photo", task)


def _one_per_label(labelled: Iterable[Labelled], key: Callable[[Labelled], str]) -> list[Labelled]:
    """Take the first picture of each of a few labels from all over the data."""
    first: dict[str, Labelled] = {}
    for pair in labelled:
        first.setdefault(key(pair), pair)
    return _spaced([*first.values()], QUERIES)


def _spaced(items: Sequence[Item], most: int) -> list[Item]:
    return [items[place * len(items) // most] for place in range(most)] if len(items) > most else [*items]


def _to_pil(picture: Tensor) -> Image.Image:
    return Image.fromarray(to_uint8(picture))


def _sheet(rows: list[list[Tile]], width: int) -> Image.Image:
    wide, high = width + GAP, CELL + CAPTION + GAP
    columns = max(len(row) for row in rows)
    sheet = Image.new("RGB", (GAP + columns * wide, GAP + len(rows) * high), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            left, top = GAP + x * wide, GAP + y * high
            fitted = ImageOps.pad(tile.picture, (width, CELL), Image.Resampling.LANCZOS, PAPER)
            sheet.paste(fitted, (left, top))
            if tile.relevant:
                draw.rectangle((left, top, left + width - 1, top + CELL - 1), outline=GREEN, width=4)
            draw.text((left, top + CELL + 3), _two_lines(tile.caption, width, font), fill=INK, font=font)
    return sheet


def _two_lines(caption: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Break a caption into two lines, the first at most `width` pixels wide."""
    words = caption.replace("→", "->").split()  # Pillow's font has no arrow
    fitting = [end for end in range(1, len(words) + 1) if font.getlength(" ".join(words[:end])) <= width] or [1]
    return " ".join(words[: fitting[-1]]) + "\n" + " ".join(words[fitting[-1] :])
