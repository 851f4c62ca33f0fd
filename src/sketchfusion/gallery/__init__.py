"""A gallery of photos on disk or in an object store, searched by sketch."""

from .build import Failure, Report
from .catalogue import PhotoInfo
from .faults import GalleryError
from .hits import Hit
from .search import Gallery

__all__ = ["Failure", "Gallery", "GalleryError", "Hit", "PhotoInfo", "Report"]
