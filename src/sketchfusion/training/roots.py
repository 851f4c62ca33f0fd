"""What lies in the folders that training is given: photos, sketches, the two paired, masks; or Sketch World."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..lab.datasets.sketchy import lies_over
from .collect import layout_of
from .pretrain.sources import Sources

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
        return [root for root in self.paired if lies_over(root)]

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
