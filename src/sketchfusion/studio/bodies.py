"""How large a request may be: counted as it comes in, whatever its headers promise."""

from __future__ import annotations

import contextlib
import re

import numpy as np
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import problem
from .limits import Limits

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class _TooLarge(Exception):
    """The body is more than may be read."""


class BodyLimit:
    """Reads JSON whole, to measure its size and depth; lets uploads stream, up to their limit."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        """Stand before an application."""
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif Headers(scope=scope).get("content-type", "").startswith("multipart/"):
            await self._stream(scope, receive, send)
        else:
            await self._measure(scope, receive, send)

    async def _measure(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _whole(_Counted(receive, self._limits.json_bytes))
            _check_nesting(body, self._limits)
        except _TooLarge as error:
            await problem(413, str(error))(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        counted = _Counted(receive, self._limits.upload_bytes)

        async def unless_too_large(message: Message) -> None:
            if not counted.exceeded:  # else whoever read the body makes something else of the error
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, counted, unless_too_large)
        if counted.exceeded:
            await problem(413, str(counted.error))(scope, receive, send)


class _Counted:
    """Hands on what is received until it is too much."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most, self._seen = receive, most, 0
        self.error = _TooLarge(f"more than {most} bytes in one request")

    @property
    def exceeded(self) -> bool:
        return self._seen > self._most

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self.exceeded:
            raise self.error
        return message


async def _whole(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _check_nesting(body: bytes, limits: Limits) -> None:
    """Look at the brackets of a JSON document before anything is made of it that takes memory."""
    signs = np.frombuffer(_TEXT.sub(b"", body), np.uint8)
    opening = (signs == ord("[")) | (signs == ord("{"))
    closing = (signs == ord("]")) | (signs == ord("}"))
    if int((opening.astype(np.int64) - closing).cumsum().max(initial=0)) > limits.json_depth:
        raise _TooLarge(f"nested deeper than {limits.json_depth} levels")
    if int(opening.sum()) > limits.json_lists:
        raise _TooLarge(f"more than {limits.json_lists} lists in one request; at most {limits.points} points are read")
