"""What was found, to be kept: a contact sheet."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from ..gallery import Gallery, Hit
from ..gallery.sheet import SheetRow, contact_sheet
from .drawing import Sketch

ROW = 8  # photos in a row


def contact_sheet_png(
    gallery: Gallery, sketch: Sketch | None, paths: Sequence[str], scores: Mapping[str, Hit]
) -> bytes:
    """The drawing and the photos, in the order given, as a PNG."""
    known = gallery.infos(paths)
    hits = [
        Hit(path, scores[path].score if path in scores else float("nan"), rank, known[path].category)
        for rank, path in enumerate(paths, start=1)
        if path in known
    ]
    rows = [SheetRow(_picture(sketch), "", hits[start : start + ROW]) for start in range(0, len(hits), ROW)]
    buffer = io.BytesIO()
    contact_sheet(gallery, rows).save(buffer, format="PNG")
    return buffer.getvalue()


def _picture(sketch: Sketch | None) -> Image.Image:
    if sketch is None:
        return Image.new("RGB", (64, 64), "white")
    pixels = (sketch.picture * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(np.asarray(pixels))
