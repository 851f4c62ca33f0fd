"""The studio as a running server: it listens, says where, and finishes what it is doing before it stops."""

from __future__ import annotations

import contextlib
import mimetypes
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType

import anyio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from .. import __version__
from .messages import Problem
from .protection import MEANT, Access, BodyLimit, Guard, Outside, problem, refusal
from .routes import ROUTERS
from .studio import Studio

# The application: routes inside, limits around them, and the page.


STATIC = Path(__file__).parent / "static"
REVALIDATE = {"Cache-Control": "no-cache"}
PROBLEMS = (400, 401, 403, 404, 409, 413, 415, 421, 422, 500, 503)

for suffix, kind in ((".js", "text/javascript"), (".svg", "image/svg+xml"), (".css", "text/css")):
    mimetypes.add_type(kind, suffix)  # some systems say otherwise


class Page(StaticFiles):
    """The page's files, which a browser asks about again each time it opens the page."""

    def file_response(self, *args: object, **options: object) -> Response:
        """Give a file, or say that the one that the browser has is still right."""
        answer = super().file_response(*args, **options)  # type: ignore[arg-type]
        answer.headers.update(REVALIDATE)
        return answer


def make_app(studio: Studio, access: Access) -> FastAPI:
    """Join everything that answers requests for a studio."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(studio.close)

    app = FastAPI(
        title="SketchFusion studio",
        version=__version__,
        description="Find photos by drawing, cut objects out of photos by a sketch, match points.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={status: {"model": Problem} for status in PROBLEMS},
    )
    app.state.studio = studio
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    _serve_page(app)
    _explain_errors(app, studio)
    app.add_middleware(BodyLimit, limits=studio.limits)
    app.add_middleware(Guard, access=access)
    app.add_middleware(Outside)
    return app


def _serve_page(app: FastAPI) -> None:
    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=REVALIDATE)

    @app.api_route("/favicon.svg", methods=["GET", "HEAD"], include_in_schema=False)
    async def favicon() -> FileResponse:
        return FileResponse(STATIC / "favicon.svg", headers=REVALIDATE)

    app.mount("/static", Page(directory=STATIC))


def _explain_errors(app: FastAPI, studio: Studio) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem(422, f"{where}: {first['msg']}"[:300])

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        answer = problem(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    async def failed(_: Request, error: Exception) -> Response:
        return refusal(error, studio.explain(error))

    for kind in MEANT:
        app.add_exception_handler(kind, failed)


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
