"""What goes wrong in a store: said in one line, or tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

NO_ROOM = ("os error 28", "os error 27", "os error 122", "No space left", "File too large")  # disk, file size, quota
# What an object store, or the way to it, says, and what to do about it.
ADVICE = {
    "NoSuchBucket": "there is no such bucket; make it first",
    "BadScheme": "its endpoint is plain http; allow that with AWS_ALLOW_HTTP=true",
    "credentials": "no credentials are known; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "status: 403": "these credentials may not do that; check AWS_ACCESS_KEY_ID and the bucket's policy",
    "ACCESS_DENIED": "these credentials may not do that; check AWS_ACCESS_KEY_ID and the bucket's policy",
    "kind: Connect": "the object store does not answer; check the network and AWS_ENDPOINT_URL",
    "NETWORK_CONNECTION": "the object store does not answer; check the network and AWS_ENDPOINT_URL",
    "No object store provider": "no store of this kind is known; use a folder, s3://, gs:// or az://",
    "URL did not match": "name a bucket too, as in s3://bucket/name",
}
RETRIES = 8  # of what another writer's commit got ahead of
Result = TypeVar("Result")


class GalleryError(ValueError):
    """A gallery that is absent, empty, damaged or made with another model; one line that says what to do."""


def is_conflict(error: BaseException) -> bool:
    """Whether a change failed only because another writer's commit came first."""
    return "conflict" in str(error)


def is_outdated(error: BaseException) -> bool:
    """Whether files of a version were cleaned away while it was read."""
    reason = str(error).lower()
    return "not found" in reason and any(file in reason for file in (".lance/", ".manifest", ".txn"))


def retried(change: Callable[[], Result]) -> Result:
    """Do something again when another writer's commit came first, or cleaned away what was being read."""
    for attempt in range(RETRIES):
        try:
            return change()
        except (OSError, ValueError, RuntimeError) as error:
            if not (is_conflict(error) or is_outdated(error)) or attempt == RETRIES - 1:
                raise
            time.sleep(min(0.05 * 2**attempt, 0.5) * random.random())
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn whatever the store raises into one line."""
    try:
        yield
    except (GalleryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of the store is no Exception
        if any(sign in str(error) for sign in NO_ROOM):
            raise GalleryError(
                f"gallery {uri}: there is no room left to write; all that was stored before is kept, so make room and "
                "run the same command again"
            ) from error
        advice = next((advice for sign, advice in ADVICE.items() if sign in str(error)), None)
        reason = advice or (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise GalleryError(f"gallery {uri}: {reason}") from error
