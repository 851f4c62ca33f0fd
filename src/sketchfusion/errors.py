"""Errors of pictures and drawings that cannot be read."""

from __future__ import annotations


class ImageError(ValueError):
    """A file that cannot be used as a picture: one line that names it and says what to do."""


def first_line(error: BaseException) -> str:
    """Give the first line of an error's message, or the name of its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
