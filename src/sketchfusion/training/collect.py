"""Labelled pictures for pretraining: finds them in the folders people have, and keeps the unseen rule.

None of the 21 unseen classes of Sketchy is ever returned as a sketch of any kind; photos of them may be returned, but
never the photos of a Sketchy root, which validation searches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sketchfusion.datasets.splits import held_out, is_unseen
from sketchfusion.datasets.tinyimagenet import TinyImageNet, is_tiny_imagenet
from sketchfusion.io.images import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Picture:
    """One training picture: where it is and what it shows."""

    path: str  # a file, or "file.ndjson:7" for one drawing of a file
    names: tuple[str, ...]  # what it shows, the usual name first, then synonyms


def clean(name: str) -> str:
    """A class name as people write it: "hot-air_balloon" -> "hot air balloon"."""
    words = "".join(c if c.isalnum() else " " for c in name).split()
    return " ".join(words).lower()


def collect_photos(roots: list[Path]) -> list[Picture]:
    """Photos under each root: tiny-imagenet, a Sketchy root (training side), or one sub-folder a class."""
    return [picture for root in roots for picture in _photos(_present(root))]


def collect_sketches(roots: list[Path]) -> list[Picture]:
    """Sketches under each root: a Sketchy root (training side) or a folder of Quick, Draw! simplified ndjson files."""
    return [picture for root in roots for picture in _sketches(_present(root))]


def collect_held_out(roots: list[Path], kind: str) -> list[Picture]:
    """Photos or sketches of seen classes in Sketchy roots that training never draws (one photo in five)."""
    return [
        Picture(str(path), (clean(path.parent.name),))
        for root in roots
        if (side := sketchy_side(_present(root), kind)) is not None
        for path in sorted(side.glob("*/*"))
        if not is_unseen(path.parent.name) and held_out(path.stem.rsplit("-", 1)[0])
    ]


def _present(root: Path) -> Path:
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder of training pictures")
    return root


def _photos(root: Path) -> Iterator[Picture]:
    if is_tiny_imagenet(root):
        tiny, names = TinyImageNet(root), dict[str, tuple[str, ...]]()
        for wnid, of in tiny.synonyms.items():
            synonyms = [clean(name) for name in of]
            # "tabby cat" is also a "cat": what photos of breeds and drawings of kinds have in common
            names[wnid] = tuple(dict.fromkeys(synonyms + [name.split()[-1] for name in synonyms if " " in name]))
        yield from (Picture(str(path), names[wnid]) for path, wnid in tiny.train())
    elif (side := sketchy_side(root, "photo")) is not None:
        for path in sorted(side.glob("*/*")):
            if _trained_on(path.parent.name, path.stem):
                yield Picture(str(path), (clean(path.parent.name),))
    else:
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES and "BACKGROUND" not in path.parent.name:
                name = clean(path.parent.name.removesuffix("_easy"))
                yield Picture(str(path), (name,))


def _sketches(root: Path) -> Iterator[Picture]:
    if (side := sketchy_side(root, "sketch")) is not None:
        for path in sorted(side.glob("*/*.png")):
            if _trained_on(path.parent.name, path.stem.rsplit("-", 1)[0]):
                yield Picture(str(path), (clean(path.parent.name),))
        return
    for path in sorted(root.rglob("*.ndjson")):
        if is_unseen(path.stem):
            continue
        with path.open() as lines:
            for number, _ in enumerate(lines, start=1):
                drawing = f"{path.stem}:{number}"
                if not held_out(drawing):
                    yield Picture(f"{path}:{number}", (clean(path.stem),))


def _trained_on(category: str, photo: str) -> bool:
    return not is_unseen(category) and not held_out(photo)


def sketchy_side(root: Path, kind: str) -> Path | None:
    """The pixel-aligned photo or sketch folder of a Sketchy root, or None if `root` is none."""
    for base in (root / "256x256", root):
        side = base / kind / "tx_000000000000"
        if side.is_dir():
            return side
    return None
