"""Sketches as questions: read, cleaned, and refused when there is nothing on the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.images import ImageError, is_blank, read_image

if TYPE_CHECKING:
    from torch import Tensor

    from ..io.images import ImageInput


def read_sketches(sketches: ImageInput | Sequence[ImageInput]) -> list[Tensor]:
    """Read one sketch or several into (3, H, W) tensors; ImageError names the one that is unreadable or blank."""
    several = isinstance(sketches, Sequence) and not isinstance(sketches, str)
    listed: Sequence[ImageInput] = sketches if several else [sketches]  # type: ignore[assignment, list-item]
    images = []
    for number, sketch in enumerate(listed, start=1):
        image = read_image(sketch, "sketch")
        if is_blank(image):
            raise ImageError(f"{_name(sketch, number)}: the sketch is blank; draw something first")
        images.append(image)
    return images


def _name(sketch: object, number: int) -> str:
    text = str(sketch) if isinstance(sketch, str | Path) else ""
    return text if text and text != "-" and not text.startswith("{") else f"sketch {number}"
