"""A gallery of photos on disk or in an object store, searched by sketch."""

from .build import Report
from .embed import Failure
from .faults import GalleryError
from .hits import Hit
from .plan import Plan
from .rows import PhotoInfo
from .search import Gallery

__all__ = ["Failure", "Gallery", "GalleryError", "Hit", "PhotoInfo", "Plan", "Report"]
