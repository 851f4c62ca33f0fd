"""The error for unreadable pictures and drawings, and a helper that shortens error messages."""

from __future__ import annotations


class ImageError(ValueError):
    """A picture or drawing cannot be read; the message is one line that names it and says what to do."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
