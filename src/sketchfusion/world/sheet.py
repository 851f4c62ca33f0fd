"""A contact sheet of pairs."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .world import Pair


def contact_sheet(pairs: Sequence[Pair], columns: int = 8, labels: bool = False) -> Image.Image:
    """All pairs side by side (photo left, sketch right), numbered, with names if `labels`."""
    if not pairs:
        raise ValueError("no pairs to show; pass at least one")
    side, line = pairs[0].photo.shape[0], 14
    cell = (2 * side + 8, side + line + 4)
    rows = -(-len(pairs) // columns)
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for i, pair in enumerate(pairs):
        x, y = i % columns * cell[0], i // columns * cell[1]
        name = f"{i + 1} {pair.category} #{pair.instance} hand {pair.hand}" if labels else str(i + 1)
        pen.text((x + 2, y + 1), name, fill=(0, 0, 0))
        sheet.paste(Image.fromarray(pair.photo), (x, y + line))
        sketch = np.repeat(pair.sketch[..., None], 3, axis=2)
        sheet.paste(Image.fromarray(sketch), (x + side + 2, y + line))
    return sheet
