"""The table of known layouts, and `open`, which gives the data set that lies in a folder."""

from pathlib import Path

from .base import Dataset, DatasetError, folder_of
from .folders import PhotoFolder, TinyImageNet
from .psc6k import PSC6K
from .quickdraw import QuickDraw, QuickDrawExtended
from .segmentation import MaskFolder
from .sketchy import Sketchy, SketchyExtended
from .tuberlin import TUBerlin
from .world import WORLD, SketchWorld

# To add a layout, add its class here.
LAYOUTS: tuple[type[Dataset], ...] = (
    SketchyExtended,
    Sketchy,
    TUBerlin,
    QuickDrawExtended,
    QuickDraw,
    MaskFolder,
    TinyImageNet,
)


def open(root: str | Path) -> Dataset:
    """Open "world" or a folder of any known layout; DatasetError for one that has none, or several mixed up."""
    if str(root) == WORLD:
        return SketchWorld()
    dataset = recognise(root)(root)
    if PSC6K.present(Path(root)) and not isinstance(dataset, PSC6K):
        dataset.keypoints = PSC6K(root)
    return dataset


def recognise(root: str | Path) -> type[Dataset]:
    """Tell the layout of a folder; DatasetError for one that has none, or several mixed up."""
    path = folder_of(root)
    found = [layout for layout in LAYOUTS if layout.present(path)]
    if len(found) > 1:
        names = " and ".join(layout.layout for layout in found)
        raise DatasetError(f"{path}: {names} are mixed up in this folder; give each a folder of its own")
    if found:
        return found[0]
    if PSC6K.present(path):  # no rival of the others: it lies in a root of Sketchy
        return PSC6K
    folders = sorted(inner for inner in path.iterdir() if inner.is_dir() and not inner.name.startswith("."))
    if inner := [(folder, layout) for folder in folders for layout in LAYOUTS if layout.present(folder)]:
        listed = ", ".join(f"{folder.name} ({layout.layout})" for folder, layout in inner[:3])
        raise DatasetError(f"{path}: no data set itself, but it holds {listed}; give one of them")
    if PhotoFolder.present(path):
        return PhotoFolder
    known: tuple[type[Dataset], ...] = (*LAYOUTS, PSC6K, PhotoFolder)
    names = ", ".join(layout.layout for layout in known)
    raise DatasetError(f"{path}: no data set that is known here; expected the root of one of {names}")
