"""The gallery of the studio's demo: photos rendered by Sketch World, and an index of them for each model, cached."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from PIL import Image

from ..extractor import Extractor
from ..gallery import Gallery
from ..gallery.indexing import Progress
from ..io.files import atomic_write
from ..io.weights import cache_folder
from ..world import SEEN, UNSEEN, World
from ..world.world import VERSION

PHOTOS = 3  # of each category
SIDE = 256


def make_demo(model: Extractor, bar: Callable[[str], AbstractContextManager[Progress]]) -> str:
    """Give the URI of a model's gallery of the demo, made the first time; `bar` shows the progress of what it names."""
    folder = cache_folder() / "studio" / f"world-{VERSION}"
    root = folder / model.fingerprint[:16]
    ready = root / "ready"  # there once the index of all photos is complete
    if not ready.is_file():
        with bar("drawing the demo's photos") as progress:
            _make_photos(folder / "photos", progress)
        with bar("indexing the demo") as progress:
            Gallery.open(root / "gallery", model).add(folder / "photos", progress)
        ready.touch()
    return str(root / "gallery")


def _make_photos(folder: Path, progress: Progress) -> None:
    """Render the photos that `folder` does not hold yet."""
    world = World(size=SIDE)
    names = [(category, instance) for category in sorted((*UNSEEN, *SEEN)) for instance in range(PHOTOS)]
    for done, (category, instance) in enumerate(names, start=1):
        path = folder / category.replace("_", " ") / f"{instance + 1}.jpg"
        if not path.exists():
            with atomic_write(path) as draft:
                Image.fromarray(np.asarray(world.photo(category, instance).photo)).save(draft, "JPEG", quality=90)
        progress(done, len(names))
