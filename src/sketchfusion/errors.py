"""The error for unreadable pictures and drawings, and what shortens messages and file names to one line."""

from __future__ import annotations


class ImageError(ValueError):
    """A picture or drawing cannot be read; the message is one line that names it and says what to do."""


class ImageWarning(UserWarning):
    """A picture was read though something is wrong with its file."""


def escaped(name: object) -> str:
    """Give a file's name in one printable line: line breaks and bytes that are not UTF-8 are escaped."""
    text = str(name)
    return text if text.isprintable() else repr(text)[1:-1]


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
