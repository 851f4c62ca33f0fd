"""What lies in the folders that training is given: photos, sketches, the two paired, masks; or Sketch World."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from ...io.images import Kind
from ..datasets.folders import TinyImageNet
from ..datasets.sketchy import Sketchy
from .bank import PictureArray, decode, world_banks
from .collect import Picture, collect_held_out, collect_photos, collect_sketches, layout_of
from .labelled import PointPairs
from .pseudo import pseudo_points

# What the mini models are pretrained on: banks made on first use from the folders given, and Sketch World.


SMALL = 64  # pixels of a tiny-imagenet photo
STORED = 144  # pixels at which larger pictures are kept, so that crops stay sharp
DRAWN = 40  # photos of each name and size that a hand draws


@dataclass(frozen=True)
class Sources:
    """Folders of photos and of sketches; `cache` keeps the decoded banks."""

    photo_roots: list[Path]
    sketch_roots: list[Path]
    cache: Path
    world_instances: int = 100  # of each seen category
    device: str | torch.device = "cpu"  # where the pictures go
    stored: int = STORED  # pixels of the photos and sketches that are not small

    def small_photos(self) -> PictureArray:
        """Labelled photos of 64 px (the tiny-imagenet roots)."""
        return self._bank(collect_photos([r for r in self.photo_roots if TinyImageNet.present(r)]), "photo", SMALL)

    def sharp_photos(self) -> PictureArray:
        """Labelled photos of the other roots."""
        return self._bank(
            collect_photos([r for r in self.photo_roots if not TinyImageNet.present(r)]), "photo", self.stored
        )

    def sketches(self) -> PictureArray:
        """Labelled freehand sketches of seen classes."""
        return self._bank(collect_sketches(self.sketch_roots), "sketch", self.stored)

    def held_out_photos(self) -> PictureArray:
        """Photos of seen classes that no training draws, at the size the models see."""
        return self._bank(collect_held_out(self.photo_roots, "photo"), "photo", 128)

    def held_out_sketches(self) -> PictureArray:
        """Sketches of those photos."""
        return self._bank(collect_held_out(self.sketch_roots, "sketch"), "sketch", 128)

    def drawn(self) -> list[PointPairs]:
        """Photos, small ones and others, beside pseudo-sketches of them."""
        pairs = [pseudo_points(bank, self.cache, DRAWN) for bank in (self.sharp_photos(), self.small_photos())]
        return [of for of in pairs if len(of.photos)]

    def world(self) -> tuple[PictureArray, PictureArray]:
        """Photos and sketches of the seen categories of Sketch World."""
        photos, sketches = world_banks(self.world_instances, 128, self.cache)
        return photos.on(self.device), sketches.on(self.device)

    def _bank(self, pictures: list[Picture], kind: Kind, side: int) -> PictureArray:
        return decoded(pictures, kind, side, self.cache).on(self.device)


def decoded(pictures: list[Picture], kind: Kind, side: int, cache: Path) -> PictureArray:
    """A bank of pictures (`decode`); says how many cannot be read and are left out. ValueError if none can be read."""
    try:
        bank = decode(pictures, kind, side, cache)
    except ValueError as error:  # nothing to stack
        first = pictures[0].path
        raise ValueError(f"none of {len(pictures)} pictures can be read, {first} the first; save them again") from error
    if lost := len(pictures) - len(bank):
        gone = sorted({name for picture in pictures for name in picture.names} - set(bank.by_name))
        without = f"; nothing is left of {', '.join(gone)}" if gone else ""
        _warn_once(f"{lost} of {len(pictures)} pictures ({kind}) cannot be read and are left out{without}")
    return bank


@functools.cache
def _warn_once(line: str) -> None:
    logging.getLogger(__name__).warning(line)


WORLD = "world"


@dataclass(frozen=True)
class Roots:
    """The folders by what they hold; `cache` keeps what is decoded and drawn."""

    data: tuple[str, ...]
    sources: Sources
    paired: list[Path]  # Sketchy's layouts: every sketch names its photo
    masked: list[Path]  # segmentation folders
    world: bool
    cache: Path

    @property
    def aligned(self) -> list[Path]:
        """The paired ones whose sketches lie over their photos."""
        return [root for root in self.paired if Sketchy(root).aligned]

    @classmethod
    def of(cls, data: list[str], cache: Path) -> Roots:
        """Sort the folders by their layouts; ValueError for one that does not exist or has none that is known."""
        given = [Path(root) for root in data if root != WORLD]
        layouts = [layout_of(root) for root in given]
        masked = [root for root, layout in zip(given, layouts, strict=True) if layout == "segmentation folder"]
        paired = [root for root, layout in zip(given, layouts, strict=True) if layout.startswith("Sketchy")]
        roots = [root for root in given if root not in masked]
        return cls(tuple(data), Sources(roots, roots, cache), paired, masked, WORLD in data, cache)

    def __str__(self) -> str:
        return ", ".join(self.data)
