"""Which of the known layouts a root has, so that every command takes any of them as `--data ROOT`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ...io.files import find_images
from .base import DatasetError, folder_of, unseen_of
from .folders import is_tiny_imagenet
from .psc6k import is_psc6k
from .quickdraw import is_quickdraw, is_quickdraw_extended
from .segmentation import is_segmentation
from .sketchy import extended_folder, is_sketchy
from .tuberlin import is_tuberlin


@dataclass(frozen=True)
class Layout:
    """A layout by name: how it is told, and the published splits of its classes, the usual one first."""

    name: str
    present: Callable[[Path], bool]
    splits: tuple[str, ...] = ()

    def kept_out(self, categories: Iterable[str]) -> list[str]:
        """Those of a root's categories that its usual split keeps for testing, which training leaves out."""
        return unseen_of(categories, self.splits[0]) if self.splits else []


SKETCHY_SPLITS = ("sketchy-21", "sketchy-25-sake", "sketchy-25-sempcyc")
LAYOUTS = (
    Layout("Sketchy-extended", lambda root: is_sketchy(root) and extended_folder(root) is not None, SKETCHY_SPLITS),
    Layout("Sketchy", lambda root: is_sketchy(root) and extended_folder(root) is None, SKETCHY_SPLITS),
    Layout("TU-Berlin", is_tuberlin, ("tuberlin-30-sake", "tuberlin-30-sempcyc")),
    Layout("QuickDraw-extended", is_quickdraw_extended, ("quickdraw-30",)),
    Layout("Quick, Draw!", is_quickdraw),
    Layout("segmentation folder", is_segmentation),
    Layout("tiny-imagenet", is_tiny_imagenet),
)
FOLDER = Layout("folder of photos", lambda root: bool(find_images(root)))
KEYPOINTS = Layout("PSC6K", is_psc6k)  # lies in a root of Sketchy, so it is no rival of the others


def recognise(root: str | Path) -> Layout:
    """Tell the layout of a root; DatasetError for a root that has none, or several mixed up."""
    path = folder_of(root)
    found = [layout for layout in LAYOUTS if layout.present(path)]
    if len(found) > 1:
        names = " and ".join(layout.name for layout in found)
        raise DatasetError(f"{path}: {names} are mixed up in this folder; give each a folder of its own")
    if found:
        return found[0]
    if KEYPOINTS.present(path):
        return KEYPOINTS
    if inner := _inner(path):
        listed = ", ".join(f"{folder.name} ({layout.name})" for folder, layout in inner[:3])
        raise DatasetError(f"{path}: no data set itself, but it holds {listed}; give one of them")
    if FOLDER.present(path):
        return FOLDER
    known = ", ".join(layout.name for layout in (*LAYOUTS, KEYPOINTS, FOLDER))
    raise DatasetError(f"{path}: no data set that is known here; expected the root of one of {known}")


def _inner(root: Path) -> list[tuple[Path, Layout]]:
    """Data sets in the folders of a root."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [(folder, layout) for folder in folders for layout in LAYOUTS if layout.present(folder)]
