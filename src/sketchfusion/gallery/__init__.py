"""A gallery of photos on disk or in an object store, searched by sketch."""

from .build import Report
from .embed import Failure
from .faults import GalleryError
from .plan import Plan
from .rows import PhotoInfo
from .search import Gallery, Hit

__all__ = ["Failure", "Gallery", "GalleryError", "Hit", "PhotoInfo", "Plan", "Report"]
