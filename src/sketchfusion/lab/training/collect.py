"""Labelled pictures for pretraining: finds them in the folders people have, and keeps the unseen rule.

None of the 21 unseen classes of Sketchy is ever returned as a sketch of any kind; photos of them may be returned, but
never those of a data set that has sketches too, which validation searches. Of such a data set nothing is returned of
the classes that its usual split keeps for testing either (30 of TU-Berlin's, 30 of QuickDraw-extended's), nor of the
photos that are measured on of PSC6K, where its files lie in the root of Sketchy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...io.files import find_images
from ...io.images import Kind
from ..datasets.base import Dataset, DatasetError, Sample, clean, held_out, is_unseen
from ..datasets.folders import PhotoFolder, TinyImageNet
from ..datasets.layouts import recognise
from ..datasets.psc6k import PSC6K, released_split
from ..datasets.quickdraw import QuickDraw, QuickDrawExtended
from ..datasets.sketchy import Sketchy, SketchyExtended
from ..datasets.tuberlin import SKETCHES, TUBerlin

PAIRED: dict[str, type[Dataset]] = {
    "Sketchy": Sketchy,
    "Sketchy-extended": SketchyExtended,
    "TU-Berlin": TUBerlin,
    "QuickDraw-extended": QuickDrawExtended,
}
# Folders of sketches in data sets of which only a part is given: they are not taken for classes of photos.
NUMBERED = re.compile(r"(n\d{8})_(.+)")  # a photo of ImageNet with its class: n01440764_tench.JPEG
DRAWN = re.compile(r"tx_\d{12}\w*|sketch(es)?|QuickDraw_sketches_final", re.IGNORECASE)


@dataclass(frozen=True)
class Picture:
    """One training picture: where it is and what it shows."""

    path: str  # a file, or "file.ndjson:7" for one drawing of a file
    names: tuple[str, ...]  # what it shows, the usual name first, then synonyms


def collect_photos(roots: list[Path]) -> list[Picture]:
    """Photos under each root: tiny-imagenet, photos beside sketches (training side), or one sub-folder a class.

    ValueError for a root that training cannot use.
    """
    return [picture for root in roots for picture in _photos(root)]


def collect_sketches(roots: list[Path]) -> list[Picture]:
    """Sketches under each root, those of the training side: Quick, Draw! files, or sketches beside photos."""
    return [_picture(s) for root in roots for s in _samples(root, "sketch") if not held_out(s.origin)]


def collect_held_out(roots: list[Path], kind: Kind) -> list[Picture]:
    """Photos or sketches of seen classes that training never draws (one in five), where a root may have both."""
    paired = [root for root in roots if layout_of(root) in PAIRED]
    return [_picture(s) for root in paired for s in _samples(root, kind) if held_out(s.origin)]


def layout_of(root: Path) -> str:
    """The layout of a folder of training pictures, as `recognise` calls it; ValueError for one that has none.

    An empty folder is one of no photos: what is lacking, the tasks know.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder of training pictures")
    return recognise(root).layout if any(root.iterdir()) else PhotoFolder.layout


def _photos(root: Path) -> Iterator[Picture]:
    layout = layout_of(root)
    if layout == "tiny-imagenet":
        tiny, names = TinyImageNet(root), dict[str, tuple[str, ...]]()
        for wnid, of in tiny.synonyms.items():
            synonyms = [clean(name) for name in of]
            # "tabby cat" is also a "cat": what photos of breeds and drawings of kinds have in common
            names[wnid] = tuple(dict.fromkeys(synonyms + [name.split()[-1] for name in synonyms if " " in name]))
        yield from (Picture(str(path), names[wnid]) for path, wnid in tiny.train())
    elif layout == PhotoFolder.layout:
        for path in find_images(root):
            inner = path.relative_to(root).parts[:-1]
            numbered = None if inner else NUMBERED.fullmatch(path.stem)
            name = inner[0] if inner else numbered[2] if numbered else root.resolve().name
            # the number says more than the name, by which alone a photo is told from unseen ones later
            if "BACKGROUND" not in name and not (numbered and is_unseen(numbered[1])):
                _refuse_sketches(root, path)
                yield Picture(str(path), (clean(name.removesuffix("_easy")),))
    else:
        yield from (_picture(s) for s in _samples(root, "photo") if not held_out(s.origin))


def _samples(root: Path, kind: Kind) -> list[Sample]:
    """All that a data set has of a kind, by path, but what is kept for testing."""
    layout = layout_of(root)
    found, tested, measured = list[Sample](), set[str](), set[str]()
    if layout in PAIRED:
        data = PAIRED[layout](root)
        tested.update(data.kept_out)
        if PSC6K.present(root):
            measured.update(pair.source.photo_id for pair in released_split(PSC6K(root).test_pairs())[1])
        found = data.sketches() if kind == "sketch" else _shown(data)
    elif layout == "Quick, Draw!":
        drawings = QuickDraw(root)
        if drawings.form not in ("simplified", "raw"):
            raise DatasetError(f"{root}: training takes Quick, Draw! as .ndjson files; give those")
        found = drawings.sketches() if kind == "sketch" else []
    elif layout not in ("tiny-imagenet", PhotoFolder.layout):
        raise DatasetError(f"{root}: a {layout} is no data set of named pictures to train on; leave it out")
    kept = (s for s in found if s.label not in tested and not is_unseen(s.label) and s.photo_id not in measured)
    return sorted(kept, key=lambda sample: sample.path)


def _shown(data: Dataset) -> list[Sample]:
    """The photos of a data set, Sketchy's own rather than the extension's copies of them."""
    if isinstance(data, SketchyExtended):
        return data.originals() + [photo for photo in data.photos() if not photo.photo_id]
    return [] if isinstance(data, TUBerlin) and not data.extended else data.photos()


def _picture(sample: Sample) -> Picture:
    return Picture(sample.source, (clean(sample.label),))


def _refuse_sketches(root: Path, picture: Path) -> None:
    """DatasetError if a picture of what looks like a folder of photos lies where data sets have their sketches."""
    whole = root.resolve()
    drawn = next((name for name in (whole.name, *picture.relative_to(root).parts[:-1]) if DRAWN.fullmatch(name)), None)
    if whole.name in SKETCHES and TUBerlin.present(whole.parent):
        drawn = whole.name
    if drawn:
        raise DatasetError(f"{root}: {drawn} is a part of a data set and may hold sketches; give the root of all of it")
