"""The studio as a running server: it listens, says where, and finishes what it is doing before it stops."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from .app import make_app
from .guard import Access
from .studio import Studio

GRACE_SECONDS = 30  # for requests that are being answered when the server is told to stop
IDLE_SECONDS = 30
BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """Take an address; OSError, in words, if that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(BACKLOG)  # who comes before the server is up waits
    except OSError as error:
        taken.close()
        reason = error.strerror or str(error)
        raise OSError(
            error.errno, f"cannot listen on port {port}: {reason}; choose another one: --port", host
        ) from None
    return taken


def serve(studio: Studio, access: Access, taken: socket.socket, started: Callable[[str], None]) -> None:
    """Answer until told to stop by Ctrl-C or SIGTERM; `started` is called with the address.

    Raises what kept the model from loading.
    """
    config = uvicorn.Config(
        make_app(studio, access),
        log_level="warning",
        access_log=False,  # addresses may hold a token
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )
    server = uvicorn.Server(config)
    studio.queue.on_failure(lambda: setattr(server, "should_exit", True))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _nothing)  # uvicorn raises the signal again when it has finished
    host, port = taken.getsockname()[:2]
    started(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
    server.run(sockets=[taken])
    if studio.queue.failure:
        raise studio.queue.failure


def _nothing(number: int, frame: FrameType | None) -> None:
    """The studio has stopped as it was told to."""
