"""Find photos by drawing: one feature space for sketches and photos (SketchFusion).

Importing this loads no model library; each name brings its own on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .featuremap import FeatureMap
    from .features import SketchFusion
    from .gallery import Gallery
    from .models import load
    from .tasks.correspondence import match
    from .tasks.recognition import recognize
    from .tasks.retrieval import retrieve
    from .tasks.segmentation import segment
    from .world import World

__all__ = ["FeatureMap", "Gallery", "SketchFusion", "World", "load", "match", "recognize", "retrieve", "segment"]

_HOMES = {
    "FeatureMap": "featuremap",
    "Gallery": "gallery",
    "SketchFusion": "features",
    "World": "world",
    "load": "models",
    "match": "tasks.correspondence",
    "recognize": "tasks.recognition",
    "retrieve": "tasks.retrieval",
    "segment": "tasks.segmentation",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
