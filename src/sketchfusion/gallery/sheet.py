"""Contact sheets: each row a query sketch and the photos found for it, right ones framed in green."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from ..io.images import to_uint8
from .gallery import Gallery
from .nearest import Hit

CELL = 144
FRAME = 4
GAP = 12
CAPTION = 34
PAPER, INK, FAINT = "#ffffff", "#1f2328", "#6e7781"
RIGHT, WRONG, LINE = "#1a7f37", "#d0d7de", "#d0d7de"


@dataclass(frozen=True, eq=False)
class SheetRow:
    query: Image.Image
    caption: str
    hits: Sequence[Hit]
    category: str | None = None  # what the sketch shows, if known


def query_row(source: str, shown: Tensor | None, gallery: Gallery, hits: Sequence[Hit]) -> SheetRow:
    """Make the row of a picture (3, H, W) in [0, 1] from `source`, whose folder may name its category, or of words."""
    if shown is None:
        return SheetRow(Image.new("RGB", (CELL, CELL), PAPER), source, hits)
    folder = Path(source).absolute().parent.name
    category = folder if folder in gallery.categories else None
    caption = Path(source).name if len(source) < 200 else ""
    return SheetRow(Image.fromarray(to_uint8(shown)), category or caption, hits, category)


def contact_sheet(gallery: Gallery, rows: Sequence[SheetRow]) -> Image.Image:
    """Draw one line for each query: the sketch at the left, then its photos with rank, name and confidence.

    A photo's name is its category where the query's is known, else its file's; a confidence that is NaN is not shown.
    """
    longest = max(1, *(len(row.hits) for row in rows))
    width = GAP * 3 + CELL + longest * (CELL + GAP)
    sheet = Image.new("RGB", (width, GAP + len(rows) * (CELL + CAPTION + GAP)), PAPER)
    thumbnails = gallery.thumbnails({hit.path for row in rows for hit in row.hits})
    for number, row in enumerate(rows):
        top = GAP + number * (CELL + CAPTION + GAP)
        _cell(sheet, GAP, top, row.query, INK, row.caption, "query")
        x = GAP * 2 + CELL
        ImageDraw.Draw(sheet).line((x, top, x, top + CELL), fill=LINE, width=1)
        for place, hit in enumerate(row.hits):
            right = row.category is not None and hit.category == row.category
            if hit.path not in thumbnails:  # removed since it was found
                continue
            picture = Image.open(io.BytesIO(thumbnails[hit.path]))
            caption = f"{hit.rank}. {hit.category if row.category else Path(hit.path).name}"
            left = GAP * 3 + CELL + place * (CELL + GAP)
            note = "" if math.isnan(hit.confidence) else f"{hit.confidence:.0%} sure"
            _cell(sheet, left, top, picture, RIGHT if right else WRONG, caption, note)
    return sheet


def _cell(sheet: Image.Image, x: int, y: int, picture: Image.Image, frame: str, caption: str, note: str) -> None:
    draw = ImageDraw.Draw(sheet)
    inner = CELL - 2 * FRAME
    fitted = ImageOps.pad(picture.convert("RGB"), (inner, inner), Image.Resampling.LANCZOS, PAPER)
    draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline=frame, width=FRAME if frame == RIGHT else 1)
    sheet.paste(fitted, (x + FRAME, y + FRAME))
    font = ImageFont.load_default(size=12)
    while caption and draw.textlength(caption, font=font) > CELL - 4:
        caption = caption[:-2].rstrip(".") + "…" if len(caption) > 2 else ""
    draw.text((x + 2, y + CELL + 3), caption, fill=INK, font=font)
    draw.text((x + 2, y + CELL + 18), note, fill=FAINT, font=ImageFont.load_default(size=11))
