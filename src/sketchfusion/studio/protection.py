"""Protect the server: host names and tokens, sizes of requests, security headers, and errors in one line.

Requests pass `Protection`, then the routes, whose class is `LimitedRoute`.
"""

import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import ImageError, escaped
from ..gallery import GalleryError
from .drawing import LimitExceeded
from .messages import Limits, Problem
from .queue import Busy, Stopped, Superseded
from .studio import NotFound
from .uploads import TooManyJobs

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
    "Cache-Control": "no-store",
}
COOKIE = "sketchfusion"
COOKIE_SECONDS = 365 * 24 * 3600
SHORTEST_TOKEN = 12
RETRY_SECONDS = 1
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PUBLIC_PATHS = ("/api/v1/health", "/favicon.svg", "/static/icon.png", "/static/theme.css")  # served without a token
LOCKED_PAGE = Path(__file__).parent / "static" / "locked.html"
JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)  # or one that does not end; never looks back

# Errors that are meant for the client, their status, and what it is told if not their own message; all others are
# faults of the studio.
CLIENT_ERRORS: dict[type[Exception], tuple[int, str | None]] = {
    GalleryError: (400, None),
    ImageError: (400, None),
    NotFound: (404, None),
    Superseded: (409, "a newer request of this client came first"),
    LimitExceeded: (413, None),
    Busy: (503, "too many people are drawing at this moment; try again"),
    Stopped: (503, "the studio is being closed"),
    TooManyJobs: (503, "too many uploads wait to be indexed; try again"),
}


@dataclass(frozen=True)
class Access:
    """Where the studio listens and the token it requires; ValueError if other machines could enter without one."""

    host: str = "127.0.0.1"
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ValueError(f"a token of {len(self.token)} characters can be guessed; use {SHORTEST_TOKEN} or more")
        if self.token is None and not is_loopback(self.host):
            raise ValueError(
                f"listening on {self.host} lets other machines in and needs a token: --token, or "
                "SKETCHFUSION_TOKEN in the environment"
            )

    @property
    def cookie(self) -> str | None:
        """Value of the cookie, derived from the token so that it does not reveal it."""
        return hmac.new(self.token.encode(), b"studio cookie", hashlib.sha256).hexdigest() if self.token else None

    @property
    def entrance(self) -> str:
        """The path of the page, with the token."""
        return f"/?token={quote(self.token, safe='')}" if self.token else "/"

    def accepts_host(self, name: str) -> bool:
        """Whether a Host header names this server; a foreign name that resolves to it (DNS rebinding) does not."""
        if is_loopback(name) or name == self.host.lower():
            return True
        if is_loopback(self.host):
            return False
        hostname = socket.gethostname().lower()
        return _address(name) is not None or name in (hostname, hostname.partition(".")[0], f"{hostname}.local")


class Protection:
    """Add security headers to every answer, answer unexpected errors without a stack trace, and refuse some requests.

    Refused are those with a foreign host name, changes from other sites' pages, and those without the token.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; an unexpected error is logged under a number, and the client is told only the number."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, started = scope["method"], False

        async def send_protected(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if method == "HEAD":  # answered as GET, whose body the server leaves out
            scope = {**scope, "method": "GET"}
        try:
            await (self._check(Request(scope)) or self._app)(scope, receive, send_protected)
        except Exception:
            number = secrets.token_hex(4)
            LOG.exception("error %s while answering %s %s", number, method, escaped(scope["path"]))
            if not started:
                answer = problem(500, f"internal error {number}; the server's log says more")
                await answer(scope, receive, send_protected)

    def _check(self, request: Request) -> Response | None:
        headers = request.headers
        if not self._access.accepts_host(_host_name(headers.get("host", ""))):
            return problem(421, "this server does not have that name; open it by its address")
        if request.method not in SAFE_METHODS and not _same_origin(headers):
            return problem(403, "only the studio's own page may change anything")
        if self._access.token is None or request.url.path in PUBLIC_PATHS:
            return None
        return self._check_token(request)

    def _check_token(self, request: Request) -> Response | None:
        token, cookie = self._access.token or "", self._access.cookie or ""
        in_query = parse_qs(request.url.query).get("token", [""])[-1]
        if request.url.path == "/" and in_query and _equal(in_query, token):
            answer = RedirectResponse("/", 303)
            secure = request.url.scheme == "https"
            # not "strict", which would lock out who follows the address from a mail or chat in the browser
            answer.set_cookie(
                _cookie_name(request), cookie, COOKIE_SECONDS, path="/", secure=secure, httponly=True, samesite="lax"
            )
            return answer
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(bearer.strip(), token):
            return None
        if _equal(request.cookies.get(_cookie_name(request), ""), cookie):
            return None
        unauthorised: Response = problem(401, "this studio needs a token; open the address that ends in ?token=..")
        if "text/html" in request.headers.get("accept", ""):
            unauthorised = FileResponse(LOCKED_PAGE, 401)
        unauthorised.headers["WWW-Authenticate"] = "Bearer"
        return unauthorised


class LimitedRequest(Request):
    """A request whose body is limited: its bytes, counted as they come, and JSON by its nesting before it is parsed."""

    _whole = False  # whether the body is read in one piece, as JSON is

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Give the pieces of the body; HTTPException when they are more than may be sent."""
        limits: Limits = self.app.state.studio.limits
        upload = not self._whole and self.headers.get("content-type", "").startswith("multipart/")
        most, received = limits.upload_bytes if upload else limits.json_bytes, 0
        async for piece in super().stream():
            received += len(piece)
            if received > most:
                raise HTTPException(413, f"more than {most} bytes in one request")
            yield piece

    async def body(self) -> bytes:
        """Give the whole body; HTTPException if it is too large or nested too deep, before parsing takes memory."""
        if self._whole:
            return await super().body()
        self._whole, limits = True, self.app.state.studio.limits
        body = await super().body()
        characters = np.frombuffer(JSON_STRING.sub(b"", body), np.uint8)
        opening = (characters == ord("[")) | (characters == ord("{"))
        closing = (characters == ord("]")) | (characters == ord("}"))
        if int((opening.astype(np.int64) - closing).cumsum().max(initial=0)) > limits.json_depth:
            raise HTTPException(413, f"nested deeper than {limits.json_depth} levels")
        if int(opening.sum()) > limits.json_lists:
            most = f"more than {limits.json_lists} lists in one request"
            raise HTTPException(413, f"{most}; at most {limits.points} points are read")
        return body


class LimitedRoute(APIRoute):
    """A route that reads the bodies of requests within the studio's limits."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the route's function for requests whose bodies are limited."""
        handler = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await handler(LimitedRequest(request.scope, request.receive))

        return limited


def problem(status: int, error: str, superseded: bool | None = None) -> JSONResponse:
    """Answer with a status and an error in one line, and say when to try again where that may help."""
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None
    content = Problem(error=error, superseded=superseded).model_dump(exclude_none=True)
    return JSONResponse(content, status, headers)


def is_local(request: Request) -> bool:
    """Whether a request comes from a browser on this machine, and not through a proxy.

    nginx adds no header that tells of it, but it asks by HTTP/1.0, or keeps back the header that every browser sends.
    """
    headers, kept = request.headers, "keep-alive" in request.headers.get("connection", "").lower()
    forwarded = any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))
    direct = kept and not forwarded and request.scope.get("http_version") != "1.0"
    sender = request.client.host if request.client else ""
    return direct and is_loopback(sender) and is_loopback(_host_name(headers.get("host", "")))


def is_loopback(host: str) -> bool:
    """Whether a name or address reaches this machine only."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


def _cookie_name(request: Request) -> str:
    """Name the cookie by the port: a browser sends the cookies of a machine's studios to all of them."""
    return f"{COOKIE}-{(request.scope.get('server') or ('', ''))[1]}"


def _host_name(host: str) -> str:
    """Return the name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _same_origin(headers: Headers) -> bool:
    """Whether a request comes from the studio's own page or from no browser: browsers send these headers."""
    if site := headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return not origin or origin.lower().partition("://")[2] == headers.get("host", "").lower()


def _equal(received: str, expected: str) -> bool:
    return hmac.compare_digest(received.encode(), expected.encode())
