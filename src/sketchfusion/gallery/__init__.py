"""A gallery of photos on disk or in an object store, searched by sketch."""

from .embed import Failure
from .gallery import Gallery
from .indexing import Plan, Report
from .nearest import Hit
from .query import Query
from .rows import PhotoInfo
from .storage import GalleryError

__all__ = ["Failure", "Gallery", "GalleryError", "Hit", "PhotoInfo", "Plan", "Query", "Report"]
