"""Data sets of sketches and photos: `open` gives one from any folder whose layout is known, or Sketch World."""

from .base import Dataset, DatasetError
from .layouts import open

__all__ = ["Dataset", "DatasetError", "open"]
