"""A gallery of photos on disk or in an object store, searched by sketch."""

from .embed import Failure
from .errors import GalleryError
from .gallery import Gallery
from .indexing import Plan, Report
from .nearest import Hit
from .rows import PhotoInfo

__all__ = ["Failure", "Gallery", "GalleryError", "Hit", "PhotoInfo", "Plan", "Report"]
