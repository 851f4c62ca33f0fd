"""The gallery that the studio opens on when none is named: photos of Sketch World, made once."""

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

Progress = Callable[[int, int], None]


def demo_folder() -> Path:
    """Where the demo is kept on this machine."""
    return cache_folder() / "studio" / f"world-{VERSION}"


def is_ready(folder: Path, fingerprint: str) -> bool:
    """Whether the demo was made completely, with these weights."""
    return (_home(folder, fingerprint) / READY).is_file()


def make_photos(folder: Path, progress: Progress) -> None:
    """Draw the photos that are not there yet."""
    world = World(size=SIDE)
    names = [(category, instance) for category in sorted((*UNSEEN, *SEEN)) for instance in range(PHOTOS)]
    for done, (category, instance) in enumerate(names, start=1):
        path = folder / "photos" / category.replace("_", " ") / f"{instance + 1}.jpg"
        if not path.exists():
            with atomic_write(path) as draft:
                Image.fromarray(np.asarray(world.photo(category, instance).photo)).save(draft, "JPEG", quality=90)
        progress(done, len(names))


def make_gallery(folder: Path, model: Extractor, progress: Progress) -> str:
    """Index the photos with a model; gives the gallery's URI. What is there already is not done again."""
    home = _home(folder, model.fingerprint)
    if not is_ready(folder, model.fingerprint):
        Gallery.open(home / "gallery", model).add(folder / "photos", progress)
        (home / READY).touch()
    return str(home / "gallery")


def _home(folder: Path, fingerprint: str) -> Path:
    return folder / fingerprint[:16]
