"""The one error that reading a picture or a drawing raises."""

from __future__ import annotations


class ImageError(ValueError):
    """A file that cannot be used as a picture: one line that names it and says what to do."""
