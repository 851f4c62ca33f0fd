"""The studio's default gallery: photos rendered by Sketch World, and an index of them for each model, cached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ..extractor import Extractor
from ..gallery import Gallery
from ..io.files import atomic_write
from ..io.weights import cache_folder
from ..world import SEEN, UNSEEN, World
from ..world.world import VERSION

PHOTOS = 3  # of each category
SIDE = 256
READY = "ready"

Progress = Callable[[int, int], None]  # called with the number done and the total


def demo_folder() -> Path:
    """Return the folder in this machine's cache that holds the demo."""
    return cache_folder() / "studio" / f"world-{VERSION}"


def is_ready(folder: Path, fingerprint: str) -> bool:
    """Whether the index of all photos is complete for the model whose weights have this fingerprint."""
    return (_model_folder(folder, fingerprint) / READY).is_file()


def make_photos(folder: Path, progress: Progress) -> None:
    """Render the photos that `folder` does not hold yet."""
    world = World(size=SIDE)
    names = [(category, instance) for category in sorted((*UNSEEN, *SEEN)) for instance in range(PHOTOS)]
    for done, (category, instance) in enumerate(names, start=1):
        path = folder / "photos" / category.replace("_", " ") / f"{instance + 1}.jpg"
        if not path.exists():
            with atomic_write(path) as draft:
                Image.fromarray(np.asarray(world.photo(category, instance).photo)).save(draft, "JPEG", quality=90)
        progress(done, len(names))


def make_gallery(folder: Path, model: Extractor, progress: Progress) -> str:
    """Return the URI of the model's gallery, after indexing the photos if that was not done before."""
    root = _model_folder(folder, model.fingerprint)
    if not is_ready(folder, model.fingerprint):
        Gallery.open(root / "gallery", model).add(folder / "photos", progress)
        (root / READY).touch()
    return str(root / "gallery")


def _model_folder(folder: Path, fingerprint: str) -> Path:
    return folder / fingerprint[:16]
