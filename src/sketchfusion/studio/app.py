"""The application: routes inside, limits around them, and the page."""

from __future__ import annotations

import contextlib
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from .. import __version__
from .answers import MEANT, problem, refusal
from .bodies import BodyLimit
from .guard import Access, Guard
from .outside import Outside
from .replies import Problem
from .studio import Studio

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
    for family in (service, search, photos, uploads, closeup):
        app.include_router(family.router, prefix="/api/v1")
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
