"""How large a request may be: counted as it comes in, whatever its headers promise."""

from __future__ import annotations

import re

import numpy as np
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import problem
from .limits import Limits

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class _TooLarge(Exception):
    pass


class BodyLimit:
    """Reads JSON whole, to measure its size and depth; lets uploads stream, up to their limit."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        """Stand before an application."""
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = Headers(scope=scope).get("content-type", "").startswith("multipart/")
        most = self._limits.upload_bytes if upload else self._limits.json_bytes
        counted = _counted(receive, most)
        started = False

        async def noticed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if not upload:
                body = await _whole(counted)
                if _depth(body) > self._limits.json_depth:
                    raise _TooLarge(f"nested deeper than {self._limits.json_depth} levels")
                counted = _replayed(body, receive)
            await self._app(scope, counted, noticed)
        except _TooLarge as error:
            if not started:
                await problem(413, str(error))(scope, receive, send)


def _counted(receive: Receive, most: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _TooLarge(f"more than {most} bytes in one request")
        return message

    return counted


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


def _depth(body: bytes) -> int:
    """How deep the brackets of a JSON document are nested."""
    signs = np.frombuffer(_TEXT.sub(b"", body), np.uint8)
    opening = (signs == ord("[")) | (signs == ord("{"))
    closing = (signs == ord("]")) | (signs == ord("}"))
    return int((opening.astype(np.int64) - closing).cumsum().max(initial=0))
