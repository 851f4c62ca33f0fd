"""What goes wrong in a store: said in one line, or tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NO_ROOM = ("os error 28", "os error 27", "os error 122")  # full disk, largest file size, quota
RETRIES = 8  # of a commit that another writer's got ahead of


class GalleryError(ValueError):
    """A gallery that is absent, empty, damaged or made with another model; one line that says what to do."""


def is_conflict(error: Exception) -> bool:
    """Whether a change failed only because another writer's commit came first."""
    return "conflict" in str(error)


def retried(change: Callable[[], Any]) -> Any:
    """Make a change again when another writer's commit came first."""
    for attempt in range(RETRIES):
        try:
            return change()
        except (OSError, ValueError, RuntimeError) as error:
            if not is_conflict(error) or attempt == RETRIES - 1:
                raise
            time.sleep(0.05 * 2**attempt * random.random())
    return None


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn whatever the store raises into one line."""
    try:
        yield
    except GalleryError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        if any(sign in str(error) for sign in NO_ROOM):
            raise GalleryError(
                f"gallery {uri}: there is no room left to write; all that was stored before is kept, so make room and "
                "run the same command again"
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise GalleryError(f"gallery {uri}: {reason}") from error
