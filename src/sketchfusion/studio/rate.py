"""How fast one address may ask."""

from __future__ import annotations

import time
from collections import OrderedDict

from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import problem
from .limits import Limits


class RateLimit:
    """A bucket of tokens for each address: `burst` of them at once, refilled at `requests_per_second`."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        """Stand before an application."""
        self._app, self._limits = app, limits
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, and when that was

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on."""
        if scope["type"] == "http" and not self._take((scope.get("client") or ("",))[0]):
            await problem(429, "too many requests from this address; slow down", retry=True)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _take(self, address: str) -> bool:
        limits, now = self._limits, time.monotonic()
        left, before = self._buckets.pop(address, (float(limits.burst), now))
        left = min(float(limits.burst), left + (now - before) * limits.requests_per_second)
        allowed = left >= 1
        self._buckets[address] = (left - 1 if allowed else left, now)
        if len(self._buckets) > limits.addresses:
            self._buckets.popitem(last=False)
        return allowed
