"""What every route can ask for: the studio it serves, and how photos of it are shown."""

from __future__ import annotations

import hashlib
import io
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, File, Header, Query, Request, UploadFile
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from .. import __version__
from ..errors import ImageError
from ..gallery import Gallery, GalleryError, Hit, PhotoInfo
from ..gallery.sheet import SheetRow, contact_sheet
from ..io.images import to_uint8
from . import closeup
from .closeup import CloseupPhoto, look_inside
from .drawing import Sketch, TooMuch, examples
from .messages import (
    DenseAnswer,
    Example,
    ExportRequest,
    FailedFile,
    FoundPhoto,
    GalleryInfo,
    Health,
    Info,
    InspectAnswer,
    InspectRequest,
    JobStarted,
    JobState,
    Label,
    LimitsInfo,
    MatchAnswer,
    MatchRequest,
    ModelInfo,
    PhotoCard,
    PhotoFacts,
    PhotoList,
    PhotoRequest,
    Removed,
    SearchAnswer,
    SearchRequest,
    SegmentAnswer,
    Turn,
)
from .queue import single
from .studio import Missing, QueuedSearch, SearchHits, Studio
from .uploads import Job, keep, original_name


def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


Served = Annotated[Studio, Depends(_studio)]


def card(studio: Studio, path: str, facts: Mapping[str, PhotoInfo]) -> PhotoCard:
    """A photo as the page sees it."""
    known = facts.get(path)
    file = Path(path)
    name = original_name(file) if file.is_relative_to(studio.uploads) else file.name
    opaque = studio.shelf.name(path)
    return PhotoCard(
        id=opaque,
        name=name,
        path=f"{file.parent.name}/{name}",
        category=known.category if known else file.parent.name,
        width=known.width if known else 0,
        height=known.height if known else 0,
        thumbnail=f"/api/v1/photos/{opaque}/thumbnail",
    )


def cards(studio: Studio, paths: Sequence[str]) -> list[PhotoCard]:
    """Photos as the page sees them, their thumbnails at hand."""
    if not paths:
        return []
    facts = studio.gallery.infos(paths)
    studio.shelf.thumbnails(paths)
    return [card(studio, path, facts) for path in paths]


# What was found, to be kept: a contact sheet.


ROW = 8  # photos in a row


def contact_sheet_png(
    gallery: Gallery, sketch: Sketch | None, paths: Sequence[str], scores: Mapping[str, Hit]
) -> bytes:
    """The drawing and the photos, in the order given, as a PNG."""
    known = gallery.infos(paths)
    hits = [
        Hit(path, scores[path].score if path in scores else float("nan"), rank, known[path].category)
        for rank, path in enumerate(paths, start=1)
        if path in known
    ]
    rows = [SheetRow(_picture(sketch), "", hits[start : start + ROW]) for start in range(0, len(hits), ROW)]
    buffer = io.BytesIO()
    contact_sheet(gallery, rows).save(buffer, format="PNG")
    return buffer.getvalue()


def _picture(sketch: Sketch | None) -> Image.Image:
    if sketch is None:
        return Image.new("RGB", (64, 64), "white")
    return Image.fromarray(to_uint8(sketch.picture))


# Finding photos by drawing, by a photo, by words; and keeping what was found.


search_router = APIRouter(tags=["search"])


@search_router.post("/search")
async def search(asked: SearchRequest, studio: Served) -> SearchAnswer:
    """Find photos; of one client only the newest search waits, the others answer 409."""
    begun = time.monotonic()
    text = (asked.text or "").strip() or None
    if asked.drawing is None and asked.like is None and text is None:
        raise GalleryError("nothing to look for; draw, name a photo or write some words")
    if asked.text and len(asked.text) > studio.limits.text:
        raise TooMuch(f"a text of {len(asked.text)} characters; at most {studio.limits.text} are read")
    if asked.k > studio.limits.results:
        raise TooMuch(f"k={asked.k}; at most {studio.limits.results} photos are given at once")
    like = studio.shelf.path(asked.like) if asked.like else None
    sketch: Sketch | None = await studio.sketch(asked.drawing) if asked.drawing else None
    question = QueuedSearch(
        sketch.picture if sketch else None, like, text, asked.k, asked.category, asked.min_score, asked.group
    )
    found = await studio.queue.ask(studio.searching, asked.client, asked.sequence, question)
    hits = await studio.reading(lambda: _shown(studio, found.hits))
    labels = [Label(label=guess.label, score=guess.score) for guess in found.guesses]
    spent = 1000 * (time.monotonic() - begun)
    return SearchAnswer(sequence=asked.sequence, hits=hits, labels=labels, milliseconds=round(spent, 1))


@search_router.post(
    "/export",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "application/json": {}}, "description": "A contact sheet or a list"}},
)
async def export(asked: ExportRequest, studio: Served) -> Response:
    """Give found photos as a contact sheet (PNG) or as a list (JSON)."""
    if len(asked.ids) > studio.limits.results:
        raise TooMuch(f"{len(asked.ids)} photos; at most {studio.limits.results} fit")
    paths = [studio.shelf.path(name) for name in asked.ids]
    sketch = await studio.sketch(asked.drawing) if asked.drawing else None
    scores: dict[str, Hit] = {}
    if sketch:
        question = QueuedSearch(sketch.picture, None, None, studio.limits.results, None, None, False)
        found: SearchHits = await studio.queue.ask(studio.searching, secrets.token_hex(8), 0, question)
        scores = {hit.path: hit for hit in found.hits}
    if asked.format == "sheet":
        png = await studio.reading(lambda: contact_sheet_png(studio.gallery, sketch, paths, scores))
        return Response(png, media_type="image/png", headers=_named("found.png"))
    photos = await studio.reading(lambda: cards(studio, paths))
    rows = [
        {
            "rank": rank,
            **photo.model_dump(exclude={"thumbnail"}),
            "score": scores[path].score if path in scores else None,
        }
        for rank, (path, photo) in enumerate(zip(paths, photos, strict=True), start=1)
    ]
    return JSONResponse({"gallery": studio.name, "photos": rows}, headers=_named("found.json"))


def _shown(studio: Studio, hits: Sequence[Hit]) -> list[FoundPhoto]:
    shown = cards(studio, [hit.path for hit in hits])
    return [
        FoundPhoto(
            **photo.model_dump(),
            score=hit.score,
            confidence=hit.confidence,
            rank=hit.rank,
            similar=[studio.shelf.name(path) for path in hit.similar],
        )
        for photo, hit in zip(shown, hits, strict=True)
    ]


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


# The photos of the gallery: lists, pictures, facts, and forgetting them.


photos_router = APIRouter(prefix="/photos", tags=["photos"])

JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "The picture"},
    304: {"description": "Not changed"},
}
KEEP = "private, max-age=600"


@photos_router.get("")
async def photos(
    studio: Served,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
    category: str | None = None,
) -> PhotoList:
    """Give a page of the gallery, ordered by path."""
    return await studio.reading(lambda: _page(studio, offset, limit, category))


@photos_router.get("/{photo}", response_class=Response, responses=JPEG)
async def picture(photo: str, studio: Served) -> Response:
    """Give the photo as JPEG, at most 1600 pixels on an edge, without what its file says of place and time."""
    path = studio.shelf.path(photo)
    side = studio.limits.photo_side
    data = await studio.decoding(lambda: studio.shelf.original(path, side).jpeg())
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": KEEP})


@photos_router.get("/{photo}/thumbnail", response_class=Response, responses=JPEG)
async def thumbnail(photo: str, studio: Served, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Give the small picture (JPEG) that the gallery keeps."""
    path = studio.shelf.path(photo)
    data = (await studio.reading(lambda: studio.shelf.thumbnails([path]))).get(path)
    if data is None:
        raise Missing("no such photo in the gallery any more")
    headers = {"ETag": f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"', "Cache-Control": KEEP}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/jpeg", headers=headers)


@photos_router.get("/{photo}/info")
async def info(photo: str, studio: Served) -> PhotoFacts:
    """Give what the gallery knows of a photo."""
    path = studio.shelf.path(photo)
    return await studio.reading(lambda: _facts(studio, path))


@photos_router.delete("/{photo}")
async def forget(photo: str, studio: Served) -> Removed:
    """Forget a photo in the gallery; its file stays."""
    path = studio.shelf.path(photo)
    removed = await studio.reading(lambda: studio.gallery.remove([path]))
    studio.shelf.forget([path])
    if not removed:
        raise Missing("no such photo in the gallery any more")
    return Removed(removed=removed)


def _page(studio: Studio, offset: int, limit: int, category: str | None) -> PhotoList:
    if not len(studio.gallery):
        return PhotoList(total=0, photos=[])
    paths = studio.gallery.paths(category)
    return PhotoList(total=len(paths), photos=cards(studio, paths[offset : offset + limit]))


def _facts(studio: Studio, path: str) -> PhotoFacts:
    found = studio.gallery.infos([path])
    if path not in found:
        raise Missing("no such photo in the gallery any more")
    known = found[path]
    shown = card(studio, path, found)
    return PhotoFacts(
        **shown.model_dump(),
        bytes=known.size,
        taken=str(known.taken) if known.taken else None,
        latitude=known.latitude,
        longitude=known.longitude,
    )


# A drawing and one photo of the gallery: cut out, matched, looked into.


closeup_router = APIRouter(tags=["one photo"])

Answer = TypeVar("Answer")


@closeup_router.post("/segment")
async def segment(asked: PhotoRequest, studio: Served) -> SegmentAnswer:
    """Say where the photo shows what was drawn."""
    sketch, photo = await _pair(asked, studio)
    return await _turn(studio, "segment", asked, lambda: closeup.cut_out(studio.gallery.model, sketch, photo))


@closeup_router.post("/match")
async def match(asked: MatchRequest, studio: Served) -> MatchAnswer:
    """Find the points of the one picture that mean the same as points of the other."""
    sketch, photo = await _pair(asked, studio)
    return await _turn(
        studio,
        "match",
        asked,
        lambda: closeup.match_points(studio.gallery.model, sketch, photo, asked.points, asked.source),
    )


@closeup_router.post("/dense")
async def dense(asked: PhotoRequest, studio: Served) -> DenseAnswer:
    """Give drawing and photo in colours, the same where they match."""
    sketch, photo = await _pair(asked, studio)
    return await _turn(studio, "dense", asked, lambda: closeup.match_densely(studio.gallery.model, sketch, photo))


@closeup_router.post("/inspect")
async def inspect(asked: InspectRequest, studio: Served) -> InspectAnswer:
    """Give what CLIP, Stable Diffusion and the two together see."""
    sketch = await studio.sketch(asked.drawing)
    photo = await _photo(asked.photo, studio) if asked.photo else None
    return await _turn(studio, "inspect", asked, lambda: look_inside(studio.gallery.model, sketch, photo))


async def _pair(asked: PhotoRequest, studio: Studio) -> tuple[Sketch, CloseupPhoto]:
    return await studio.sketch(asked.drawing), await _photo(asked.photo, studio)


async def _photo(name: str, studio: Studio) -> CloseupPhoto:
    path, side = studio.shelf.path(name), studio.limits.task_side
    return await studio.decoding(lambda: CloseupPhoto.of(studio.shelf.original(path, side)))


async def _turn(studio: Studio, lane: str, asked: Turn, call: Callable[[], Answer]) -> Answer:
    """Wait for the client's turn with a question that no batch can be made of."""

    def answered() -> Answer:
        try:
            return call()
        except ValueError as error:  # what a task says of its pictures is meant for who sent them
            raise ImageError(str(error)) from error

    return await studio.queue.ask(single(lane), asked.client, asked.sequence, answered)


# What the studio is and how it does: facts, examples, health.


TASKS = ("retrieval", "instance-retrieval", "recognition", "correspondence", "segmentation")

service_router = APIRouter(tags=["service"])


@service_router.get("/info")
async def service_info(studio: Served) -> Info:
    """Say which weights are loaded, what is searched and how much may be asked for."""
    await studio.loaded()
    return await studio.reading(lambda: _info(studio))


@service_router.get("/examples")
async def drawings(studio: Served) -> list[Example]:
    """Give drawings to start from."""
    return await studio.reading(examples)


@service_router.get("/health")
async def health(studio: Served) -> Health:
    """Say whether questions are answered."""
    status: Literal["starting", "ok", "stopping"] = "ok" if studio.queue.ready.is_set() else "starting"
    return Health(
        status="stopping" if studio.stopping else status,
        version=__version__,
        waiting=studio.queue.waiting,
        uptime_seconds=round(time.monotonic() - studio.started, 1),
    )


def _info(studio: Studio) -> Info:
    model, gallery = studio.gallery.model, studio.gallery
    photos = len(gallery)
    return Info(
        version=__version__,
        model=ModelInfo(
            name=model.name,
            fingerprint=model.fingerprint,
            tasks=[task for task in TASKS if model.serves(task)],
            labels=len(getattr(model, "labels", ())),
        ),
        gallery=GalleryInfo(
            name=studio.name,
            photos=photos,
            categories=gallery.categories if photos else [],
            demo=studio.demo,
        ),
        limits=LimitsInfo(**{name: value for name, value in asdict(studio.limits).items() if name in _SHOWN}),
    )


_SHOWN = set(LimitsInfo.model_fields)


# Photos that are dropped on the page: kept, then indexed by a job that can be watched and cancelled.


uploads_router = APIRouter(tags=["uploads"])


@uploads_router.post("/photos", status_code=202)
async def upload(files: Annotated[list[UploadFile], File()], studio: Served) -> JobStarted:
    """Keep photos and index them; the answer names the job that does it."""
    if len(files) > studio.limits.upload_files:
        raise TooMuch(f"{len(files)} files; at most {studio.limits.upload_files} in one request")
    named = [(file.filename or "photo", file.file) for file in files]
    paths = await run_in_threadpool(keep, studio.uploads, named)
    return JobStarted(job=studio.jobs.submit(paths).name)


@uploads_router.get("/jobs/{job}")
async def state(job: str, studio: Served) -> JobState:
    """Say how far a job is."""
    return _state(_found(studio, job))


@uploads_router.delete("/jobs/{job}")
async def cancel(job: str, studio: Served) -> JobState:
    """Stop a job; what it has indexed stays."""
    found = _found(studio, job)
    studio.jobs.cancel(found)
    return _state(found)


def _found(studio: Studio, name: str) -> Job:
    job = studio.jobs.find(name)
    if job is None:
        raise Missing("no such job, or it was long ago")
    return job


def _state(job: Job) -> JobState:
    failed = [FailedFile(name=original_name(path), reason=reason) for path, reason in job.failures()]
    return JobState(job=job.name, state=job.state, done=job.done, total=len(job.paths), failed=failed, error=job.error)


ROUTERS = (service_router, search_router, photos_router, uploads_router, closeup_router)
