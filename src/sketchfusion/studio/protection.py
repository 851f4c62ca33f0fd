"""Who may ask: the right host name, pages of this server only, and a token beyond this machine."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
import socket
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import numpy as np
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import ImageError
from ..gallery import GalleryError
from .drawing import TooMuch
from .limits import Limits
from .messages import Problem
from .queue import Busy, Stopped, Superseded
from .studio import Missing
from .uploads import TooManyJobs

# Answers that come before any route: one line of JSON and a status.


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


COOKIE = "sketchfusion"
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = ("/api/v1/health", "/favicon.svg")  # say nothing that needs a token
SHORTEST_TOKEN = 12
YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Access:
    """Where the studio listens, and the token that is asked for; ValueError if it would be open to others."""

    host: str = "127.0.0.1"
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ValueError(f"a token of {len(self.token)} characters can be guessed; take {SHORTEST_TOKEN} or more")
        if self.token is None and not is_loopback(self.host):
            raise ValueError(
                f"listening on {self.host} lets other machines in, which needs a token: --token, or "
                "SKETCHFUSION_TOKEN in the environment"
            )

    @property
    def secret(self) -> str | None:
        """What the cookie holds instead of the token itself."""
        return hmac.new(self.token.encode(), b"studio cookie", hashlib.sha256).hexdigest() if self.token else None

    def knows(self, name: str) -> bool:
        """Whether a Host header names this server; a stranger's name that resolves to this machine does not."""
        if is_loopback(name) or name == self.host.lower():
            return True
        if is_loopback(self.host):
            return False
        own = socket.gethostname().lower()
        return _is_address(name) or name in (own, own.partition(".")[0], f"{own}.local")


class Guard:
    """Lets through what is asked by its own page or with the token."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        """Stand before an application."""
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        answer = self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        if not self._access.knows(_host_name(headers.get("host", ""))):
            return problem(421, "this server does not go by that name; open it by its address")
        if request.method not in SAFE and not _same_origin(headers):
            return problem(403, "only the studio's own page may change anything")
        if self._access.token is None or request.url.path in OPEN:
            return None
        return self._check_token(request)

    def _check_token(self, request: Request) -> Response | None:
        token, secret = self._access.token or "", self._access.secret or ""
        given = parse_qs(request.url.query).get("token", [""])[-1]
        if request.url.path == "/" and given and _equal(given, token):
            answer = RedirectResponse("/", 303)
            secure = request.url.scheme == "https"
            answer.set_cookie(COOKIE, secret, YEAR, path="/", secure=secure, httponly=True, samesite="strict")
            return answer
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(bearer.strip(), token):
            return None
        if _equal(request.cookies.get(COOKIE, ""), secret):
            return None
        refused = problem(401, "this studio asks for a token; open the address that ends in ?token=..")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _same_origin(headers: Headers) -> bool:
    """Browsers say where a request comes from; what says nothing is no browser."""
    if site := headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    if origin := headers.get("origin"):
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    return True


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())


# How large a request may be: counted as it comes in, whatever its headers promise.


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


# Protective headers on every answer, and a line without a stack trace where a route fails.


LOG = logging.getLogger("sketchfusion.studio")

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Outside:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; an error of `app` is logged under a number, which is all that the client is told."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_protected(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_protected)
        except Exception:
            number = secrets.token_hex(4)
            LOG.exception("error %s while answering %s %s", number, scope["method"], scope["path"])
            if not started:
                answer = problem(500, f"internal error {number}; the server's log says more")
                await answer(scope, receive, send_protected)
