"""Answers that come before any route: one line of JSON and a status."""

from __future__ import annotations

from starlette.responses import JSONResponse

from ..errors import ImageError
from ..gallery import GalleryError
from .drawing import TooMuch
from .jobs import TooManyJobs
from .photos import Missing
from .queue import Busy, Stopped, Superseded
from .replies import Problem

RETRY_SECONDS = 1
# Errors that are written for people; all others are the studio's own fault.
MEANT: tuple[type[Exception], ...] = (
    GalleryError,
    ImageError,
    TooMuch,
    Missing,
    Superseded,
    Busy,
    Stopped,
    TooManyJobs,
)


def problem(status: int, error: str, retry: bool = False, superseded: bool | None = None) -> JSONResponse:
    """Say in one line why a request is not answered; `retry` tells the client when to try again."""
    headers = {"Retry-After": str(RETRY_SECONDS)} if retry else None
    content = Problem(error=error, superseded=superseded).model_dump(exclude_none=True)
    return JSONResponse(content, status, headers)


def refusal(error: Exception, explained: str) -> JSONResponse:
    """What a client hears of an error that is meant for it, which `explained` says in one line."""
    match error:
        case Superseded():
            return problem(409, "a newer question of this client came first", superseded=True)
        case Busy():
            return problem(503, "too many people are drawing at this moment; try again", retry=True)
        case TooManyJobs():
            return problem(503, "too many uploads wait to be indexed; try again", retry=True)
        case Stopped():
            return problem(503, "the studio is being closed", retry=True)
        case Missing():
            return problem(404, explained)
        case TooMuch():
            return problem(413, explained)
    return problem(400, explained)
