"""The error for unreadable pictures and drawings, and what shortens messages and file names to one line."""

import re

# Not all that str.isprintable refuses: macOS puts a narrow space into names of screenshots, emoji have joiners.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class ImageError(ValueError):
    """A picture or drawing cannot be read; the message is one line that names it and says what to do."""


class ImageWarning(UserWarning):
    """A picture was read though something is wrong with its file."""


def escaped(name: object) -> str:
    """Give a file's name in one line: control characters, turns of the writing direction and stray bytes escaped."""
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], str(name))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
