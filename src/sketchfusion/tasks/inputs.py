"""Inputs of the tasks: read sketches, refuse blank ones, and extract the feature maps made for a task."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import ImageError
from ..featuremap import FeatureMap
from ..io.cleanup import is_blank
from ..io.images import ImageInput, Images, Kind, NormalisedSketch, as_list, read_image

if TYPE_CHECKING:
    from ..extractor import Extractor

BATCH = 16  # pictures at a time


def read_sketches(sketches: Images) -> list[Tensor]:
    """Read one sketch or several into (3, H, W) tensors; ImageError names the one that is unreadable or blank."""
    images = []
    for number, sketch in enumerate(as_list(sketches), start=1):
        image = read_image(sketch, "sketch")
        if is_blank(image):
            text = str(sketch) if isinstance(sketch, str | Path) else ""
            name = text if text and text != "-" and not text.startswith("{") else f"sketch {number}"
            raise ImageError(f"{name}: the sketch is blank; draw something first (a photo has no strokes)")
        images.append(image)
    return images


def read_sketch(sketch: ImageInput) -> Tensor:
    """Read one sketch into a (3, H, W) tensor; ImageError if it is unreadable or blank."""
    return read_sketches(sketch)[0]


def ink_points(sketch: Tensor) -> Tensor:
    """List the centres of the inked pixels of a sketch (3, H, W): (N, 2) x, y."""
    grey = sketch.mean(dim=0)
    return (grey <= (grey.amin() + grey.amax()) / 2).nonzero().flip(1).float() + 0.5


def extract_map(model: "Extractor", image: Tensor, kind: Kind, task: str) -> FeatureMap:
    """Extract the map of a picture with the weights for a task, or with the default ones if the task has none.

    A sketch is one that `read_sketch` gave.
    """
    return next(extract_maps(model, [image], kind, task))


def extract_maps(model: "Extractor", images: Iterable[ImageInput], kind: Kind, task: str) -> Iterator[FeatureMap]:
    """Yield `extract_map` of any number of pictures, in batches; a picture repeated in a row is run once."""
    pictures = iter(images)
    while batch := list(islice(pictures, BATCH)):
        new = [n for n, image in enumerate(batch) if n == 0 or not _same(image, batch[n - 1])]
        clean = [NormalisedSketch(one) if kind == "sketch" and isinstance(one, Tensor) else one for one in batch]
        maps = model.extract([clean[n] for n in new], kind, task=task if model.serves(task) else None)
        yield from (maps[bisect_right(new, n) - 1] for n in range(len(batch)))


def _same(image: ImageInput, other: ImageInput) -> bool:
    return image is other or (isinstance(image, Path) and image == other)
