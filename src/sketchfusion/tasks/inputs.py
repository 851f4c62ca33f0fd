"""Pictures as questions: sketches are read, cleaned and refused when blank, and the maps that serve a task are made."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ImageError
from ..io.cleanup import is_blank
from ..io.images import read_image

if TYPE_CHECKING:
    from torch import Tensor

    from ..extractor import Extractor
    from ..featuremap import FeatureMap
    from ..io.images import ImageInput, Kind


BATCH = 16  # pictures at a time


def read_sketches(sketches: ImageInput | Sequence[ImageInput]) -> list[Tensor]:
    """Read one sketch or several into (3, H, W) tensors; ImageError names the one that is unreadable or blank."""
    several = isinstance(sketches, Sequence) and not isinstance(sketches, str)
    listed: Sequence[ImageInput] = sketches if several else [sketches]  # type: ignore[assignment, list-item]
    images = []
    for number, sketch in enumerate(listed, start=1):
        image = read_image(sketch, "sketch")
        if is_blank(image):
            raise ImageError(
                f"{_name(sketch, number)}: the sketch is blank; draw something first (a photo has no strokes)"
            )
        images.append(image)
    return images


def read_sketch(sketch: ImageInput) -> Tensor:
    """Read one sketch into a (3, H, W) tensor; ImageError if it is unreadable or blank."""
    return read_sketches(sketch)[0]


def extract_map(model: Extractor, image: Tensor, kind: Kind, task: str) -> FeatureMap:
    """Give the map of a picture made for a task, or the model's usual one where no weights are for that task."""
    return model.extract([image], kind, task=task if model.serves(task) else None)[0]


def extract_maps(model: Extractor, images: Iterable[ImageInput], kind: Kind, task: str) -> Iterator[FeatureMap]:
    """Give the same of any number of pictures, in batches; one that follows itself is seen once."""
    pictures = iter(images)
    while some := list(islice(pictures, BATCH)):
        new = [n for n, image in enumerate(some) if n == 0 or not _same(image, some[n - 1])]
        seen = model.extract([some[n] for n in new], kind, task=task if model.serves(task) else None)
        yield from (seen[bisect_right(new, n) - 1] for n in range(len(some)))


def _same(image: ImageInput, other: ImageInput) -> bool:
    return image is other or (isinstance(image, Path) and image == other)


def _name(sketch: object, number: int) -> str:
    text = str(sketch) if isinstance(sketch, str | Path) else ""
    return text if text and text != "-" and not text.startswith("{") else f"sketch {number}"
