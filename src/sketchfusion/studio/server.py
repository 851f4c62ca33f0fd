"""Run the studio as a web server: the page, the HTTP interface and the protection around them."""

import contextlib
import errno
import ipaddress
import mimetypes
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from .. import __version__
from .messages import Problem
from .protection import CLIENT_ERRORS, Access, Protection, is_loopback, problem
from .queue import Superseded
from .routes import ROUTERS
from .studio import Studio

STATIC = Path(__file__).parent / "static"
REVALIDATE = {"Cache-Control": "no-cache"}
PROBLEMS = (400, 401, 403, 404, 409, 413, 415, 421, 422, 500, 503)
GRACE_SECONDS = 30  # for requests in progress when the server is told to stop
KEEP_ALIVE_SECONDS = 30
BACKLOG = 1024
UNUSED_ADDRESS = ("192.0.2.1", 9)  # reserved for documentation
MANIFEST = {  # by which a phone puts the page on its home screen
    "name": "SketchFusion: find photos by drawing",
    "short_name": "SketchFusion",
    "display": "standalone",
    "scope": "/",
    "background_color": "#eceef0",
    "icons": [
        {"src": "/static/icon.png", "sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
        {"src": "/favicon.svg", "sizes": "any", "type": "image/svg+xml"},
    ],
}

for suffix, kind in ((".js", "text/javascript"), (".svg", "image/svg+xml"), (".css", "text/css")):
    mimetypes.add_type(kind, suffix)  # some systems define other types


def make_app(studio: Studio, access: Access) -> FastAPI:
    """Assemble the application: routes, page, error handlers and middleware."""

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
    _serve_page(app, access)
    _handle_errors(app, studio)
    app.add_middleware(Protection, access=access)
    return app


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; OSError with advice if the port is not available."""
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # connections made before the server runs wait
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            said = "this machine has no such address; choose another one: --host"
        else:
            said = f"cannot listen on port {port}: {error.strerror or error}; choose another one: --port"
        raise OSError(error.errno, said, host) from None
    return listener


def addresses(listener: socket.socket, access: Access) -> tuple[str, str | None]:
    """Give the address of the page on this machine, and for others in its network; None if they cannot reach it."""
    host, port = listener.getsockname()[:2]
    here, there = host, None if is_loopback(host) else host
    if ipaddress.ip_address(host).is_unspecified:
        here, there = "::1" if ":" in host else "127.0.0.1", network_address()

    def link(name: str) -> str:
        return f"http://{f'[{name}]' if ':' in name else name}:{port}{access.entrance}"

    return link(here), there and link(there)


def network_address() -> str | None:
    """Give this machine's address in its network, or None if it is in none; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chooser, contextlib.suppress(OSError):
        chooser.connect(UNUSED_ADDRESS)  # without a connection to make, this only chooses the address to send from
        return str(chooser.getsockname()[0])
    return None


def serve(studio: Studio, access: Access, listener: socket.socket, started: Callable[[str], None]) -> None:
    """Serve until stopped; `started` gets the page's local address. Raises what kept the model from loading."""
    config = uvicorn.Config(
        make_app(studio, access),
        log_level="warning",
        access_log=False,  # addresses may hold a token
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )
    server = uvicorn.Server(config)
    studio.queue.on_failure(lambda: setattr(server, "should_exit", True))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again after its shutdown
    studio.network_address = lambda: addresses(listener, access)[1]
    started(addresses(listener, access)[0])
    server.run(sockets=[listener])
    if studio.queue.failure:
        raise studio.queue.failure


class PageFiles(StaticFiles):
    """Static files that a browser must revalidate each time."""

    def file_response(self, *args: object, **options: object) -> Response:
        """Answer with a file, or with 304 if the browser's copy is current."""
        answer = super().file_response(*args, **options)  # type: ignore[arg-type]
        answer.headers.update(REVALIDATE)
        return answer


def _serve_page(app: FastAPI, access: Access) -> None:
    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=REVALIDATE)

    @app.get("/favicon.svg", include_in_schema=False)
    async def favicon() -> FileResponse:
        return FileResponse(STATIC / "favicon.svg", headers=REVALIDATE)

    @app.get("/manifest.webmanifest", include_in_schema=False)
    async def manifest() -> JSONResponse:
        # with the token, as an app on the home screen may not have the browser's cookie
        return JSONResponse({**MANIFEST, "start_url": access.entrance}, media_type="application/manifest+json")

    app.mount("/static", PageFiles(directory=STATIC))


def _handle_errors(app: FastAPI, studio: Studio) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem(422, f"{where}: {first['msg']}"[:300])

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        answer = problem(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    async def meant_for_client(_: Request, error: Exception) -> Response:
        status, told = next(answer for kind, answer in CLIENT_ERRORS.items() if isinstance(error, kind))
        return problem(status, told or studio.explain(error), isinstance(error, Superseded) or None)

    for kind in CLIENT_ERRORS:
        app.add_exception_handler(kind, meant_for_client)
