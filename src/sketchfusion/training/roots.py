"""What lies in the folders that training is given: photos, sketches, the two paired, masks; or Sketch World."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sketchfusion.datasets.laid import lies_over
from sketchfusion.training.collect import sketchy_side
from sketchfusion.training.pretrain.sources import Sources

WORLD = "world"


@dataclass(frozen=True)
class Roots:
    """The folders by what they hold; `cache` keeps what is decoded and drawn."""

    data: tuple[str, ...]
    sources: Sources
    paired: list[Path]  # Sketchy's layout: every sketch names its photo
    masked: list[Path]  # segmentation folders
    world: bool
    cache: Path

    @property
    def aligned(self) -> list[Path]:
        """The paired ones whose sketches lie over their photos."""
        return [root for root in self.paired if lies_over(root)]

    @classmethod
    def of(cls, data: list[str], cache: Path) -> Roots:
        """Sort the folders; ValueError for one that does not exist."""
        given = [Path(root) for root in data if root != WORLD]
        if missing := [root for root in given if not root.is_dir()]:
            raise ValueError(f"{missing[0]} is not a folder of training pictures")
        masked = [root for root in given if (root / "index.csv").is_file()]
        roots = [root for root in given if root not in masked]
        photos = [root for root in roots if not any(root.glob("*.ndjson"))]
        paired = [root for root in roots if sketchy_side(root, "photo") and sketchy_side(root, "sketch")]
        return cls(tuple(data), Sources(photos, roots, cache), paired, masked, WORLD in data, cache)

    def __str__(self) -> str:
        return ", ".join(self.data)
