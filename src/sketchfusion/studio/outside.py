"""What surrounds every answer: protective headers, its place in the metrics, and no stack trace."""

from __future__ import annotations

import logging
import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import problem
from .metrics import Metrics

LOG = logging.getLogger("sketchfusion.studio")

PREFIX = "/api/v1"
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
    """The outermost layer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Stand before an application."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        except Exception:
            number = secrets.token_hex(4)
            LOG.exception("error %s while answering %s %s", number, scope["method"], scope["path"])
            if not status:
                await problem(500, f"internal error {number}; the server's log says more")(scope, receive, dressed)
        route = _route(scope)
        self._metrics.count("studio_requests_total", route=route, status=str(status))
        self._metrics.observe("studio_request_seconds", time.monotonic() - begun, route=route)


def _route(scope: Scope) -> str:
    """The pattern that the path fitted, so that there are only so many of them."""
    pattern: str | None = getattr(scope.get("route"), "path", None)
    if pattern is None:
        return "other"
    return pattern if pattern.startswith(PREFIX) or not scope["path"].startswith(PREFIX) else PREFIX + pattern
