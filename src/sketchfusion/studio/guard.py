"""Who may ask: the right host name, pages of this server only, and a token beyond this machine."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import problem

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
