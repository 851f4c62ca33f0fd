"""Photos leave a gallery: their rows and every older version of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..io.files import holds_images
from .faults import GalleryError
from .store import GalleryStore


def remove(store: GalleryStore, paths: Iterable[str]) -> int:
    """Forget photos and wipe their bytes from the store; gives how many there were."""
    removed = store.forget(paths)
    if removed:
        store.clean()
    return removed


def missing(store: GalleryStore, roots: Sequence[str]) -> list[str]:
    """The photos under some folders whose file is gone.

    GalleryError if a folder itself is missing, or is empty while the gallery has photos of it: its disk may be away.
    """
    paths = sorted(store.files())
    for root in roots:
        here = [path for path in paths if under(path, [root])]
        if not Path(root).exists():
            raise GalleryError(f"{root} is missing; is its disk plugged in? nothing was removed")
        if here and not holds_images(root):
            raise GalleryError(
                f"{root} holds no photo at all, and the gallery {len(here)} of it; is its disk plugged in? "
                "nothing was removed"
            )
    return [path for path in paths if under(path, roots) and not Path(path).exists()]


def under(path: str, roots: Iterable[str]) -> bool:
    """Whether a file is one of some files, or lies in one of some folders (absolute)."""
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)
