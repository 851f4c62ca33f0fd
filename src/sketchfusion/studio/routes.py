"""The routes of the HTTP interface, version 1."""

import hashlib
import io
import math
import mimetypes
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

import segno
from fastapi import APIRouter, Depends, File, Header, Request, UploadFile
from fastapi import Query as Parameter
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from .. import __version__
from ..errors import ImageError
from ..extractor import Extractor
from ..gallery import Gallery, GalleryError, Hit, PhotoInfo, Query
from ..gallery.nearest import Hits
from ..gallery.sheet import SheetRow, contact_sheet
from ..io.files import free_room
from ..io.images import to_uint8
from . import closeup, messages
from .drawing import EXAMPLES, LimitExceeded, Picture, as_read, category_of, clean_drawing
from .protection import LimitedRoute, is_local
from .queue import single
from .studio import NotFound, Studio, reveal
from .uploads import original_name, save_uploads

Answer = TypeVar("Answer")
Pictured = messages.PhotoRequest | messages.InspectRequest

TASKS = ("retrieval", "instance-retrieval", "recognition", "correspondence", "segmentation")
SHEET_COLUMNS = 8  # photos in a row of a contact sheet
CACHE_CONTROL = "private, max-age=600"
JPEG_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "The picture"},
    304: {"description": "Not changed"},
}
EXPORT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}, "application/json": {}}, "description": "A contact sheet or a list"}
}

service_router = APIRouter(tags=["service"], route_class=LimitedRoute)
search_router = APIRouter(tags=["search"], route_class=LimitedRoute)
photos_router = APIRouter(prefix="/photos", tags=["photos"], route_class=LimitedRoute)
uploads_router = APIRouter(tags=["uploads"], route_class=LimitedRoute)
closeup_router = APIRouter(tags=["one photo"], route_class=LimitedRoute)
ROUTERS = (service_router, search_router, photos_router, uploads_router, closeup_router)


def _studio(request: Request) -> Any:
    return request.app.state.studio


CurrentStudio = Annotated[Studio, Depends(_studio)]


@service_router.get("/info")
async def get_info(studio: CurrentStudio, request: Request, folder: str = "", date: str = "") -> messages.Info:
    """Describe model, gallery and limits; photos are counted by folder for the `date`, by month for the `folder`."""
    await studio.loaded()
    model, local = studio.gallery.model, is_local(request)
    address = studio.network_address() if local else None
    return messages.Info(
        version=__version__,
        model=messages.ModelInfo(
            name=model.name,
            fingerprint=model.fingerprint,
            tasks=[task for task in TASKS if model.serves(task)],
            labels=len(model.labels),
        ),
        gallery=await run_in_threadpool(studio.gallery_info, folder, date),
        limits=studio.limits,
        local=local,
        phone=messages.Phone(address=address, code=segno.make_qr(address).svg_data_uri(light="white", omitsize=True))
        if address
        else None,
    )


@service_router.get("/examples")
def list_examples() -> list[messages.Example]:
    """List example drawings to start from."""
    return [clean_drawing(name) for name in EXAMPLES]


@service_router.get("/examples/{label}")
def get_example(label: str) -> messages.Example:
    """Return a clean drawing of a label of which a search says that it is `drawable`."""
    if category := category_of(label):
        return clean_drawing(category.name)
    raise NotFound(f"there is no drawing of {label}")


@service_router.get("/health")
async def get_health(studio: CurrentStudio, request: Request) -> messages.Health:
    """Say whether requests are answered; how far indexing is, which tells of the photos, only with the token."""
    status: Literal["starting", "ok", "stopping"] = "ok" if studio.queue.ready.is_set() else "starting"
    return messages.Health(
        status="stopping" if studio.stopping.is_set() else status,
        version=__version__,
        waiting=studio.queue.waiting,
        uptime_seconds=round(time.monotonic() - studio.started, 1),
        indexing=studio.following if request.state.admitted else None,
    )


@service_router.get("/following")
def get_following(studio: CurrentStudio, request: Request) -> messages.Following:
    """Tell which folders are followed, how many photos they have, and what could not be indexed."""
    if not studio.follower:
        return messages.Following(paused=False, folders=[], failed=[])
    return studio.follower.describe(studio.gallery, whole=is_local(request))


@service_router.post("/following")
def set_following(body: messages.FollowRequest, studio: CurrentStudio, request: Request) -> messages.Following:
    """Pause following folders, or go on and look through them at once."""
    if studio.follower:
        studio.follower.set_paused(body.paused)
    return get_following(studio, request)


@search_router.post("/search")
async def search(body: messages.SearchRequest, studio: CurrentStudio) -> messages.SearchAnswer:
    """Find photos; only the newest search of a client waits, older ones answer 409."""
    started = time.monotonic()
    text = (body.text or "").strip() or None
    if not (body.drawing or body.like or body.photo or text):
        raise GalleryError("nothing to look for; draw, choose a photo or write some words")
    if body.text and len(body.text) > studio.limits.text:
        raise LimitExceeded(f"a text of {len(body.text)} characters; at most {studio.limits.text} are allowed")
    if body.k > studio.limits.results:
        raise LimitExceeded(f"k={body.k}; at most {studio.limits.results} photos are returned at once")
    marked = ([body.like] if body.like else [], body.right, body.wrong)
    liked, right, wrong = await run_in_threadpool(lambda: [studio.photos.present(names) for names in marked])
    if body.like and not liked:
        raise NotFound("no such photo in the gallery any more")
    like = liked[0] if liked else await studio.photo(body.photo) if body.photo else None
    sketch: Picture | None = await studio.sketch(body.drawing) if body.drawing else None
    pictures = [sketch.picture] if sketch else []
    wanted = body.offset + body.k
    narrowed = (None, studio.photos.condition(body.folder, body.date), body.min_score, body.group)
    query = Query(pictures, text, like, wanted, *narrowed, without=body.without, right=right, wrong=wrong, copies=False)
    found, guesses = await studio.queue.ask(studio.searching, body.client, body.sequence, query)
    hits = await run_in_threadpool(_found_photos, studio, found[body.offset :])
    labels = [
        messages.Label(**vars(one), used=one.label in found.guesses, drawable=bool(category_of(one.label)))
        for one in guesses
    ]
    milliseconds = round(1000 * (time.monotonic() - started), 1)
    return messages.SearchAnswer(sequence=body.sequence, hits=hits, labels=labels, milliseconds=milliseconds)


@search_router.post("/export", response_class=Response, responses=EXPORT_RESPONSES)
async def export(body: messages.ExportRequest, studio: CurrentStudio, request: Request) -> Response:
    """Export photos as a contact sheet (PNG), list (JSON), archive of their files (ZIP) or list of paths (text).

    The list of paths has whole ones for the machine of the studio; all else has the last folder and the name.
    """
    if len(body.ids) > studio.limits.results:
        raise LimitExceeded(f"{len(body.ids)} photos; at most {studio.limits.results} fit")
    paths = [studio.photos.path(name) for name in body.ids]
    if body.format == "zip":
        pieces = studio.photos.zipped(await run_in_threadpool(_names, studio, paths))
        return StreamingResponse(pieces, media_type="application/zip", headers=_attachment("found.zip"))
    if body.format == "paths":
        shown = paths if is_local(request) else [card.path for card in await run_in_threadpool(_cards, studio, paths)]
        return PlainTextResponse("".join(f"{path}\n" for path in shown), headers=_attachment("found.txt"))
    sketch = await studio.sketch(body.drawing) if body.drawing else None
    found = Hits()
    if sketch:
        query = Query([sketch.picture], k=studio.limits.results)
        found, _ = await studio.queue.ask(studio.searching, secrets.token_hex(8), 0, query)
    if body.format == "sheet":
        png = await run_in_threadpool(_contact_sheet_png, studio.gallery, sketch, paths, found)
        return Response(png, media_type="image/png", headers=_attachment("found.png"))
    photos, scores = await run_in_threadpool(_cards, studio, paths), {hit.path: hit.score for hit in found}
    rows = [
        {"rank": rank, **photo.model_dump(exclude={"thumbnail"}), "score": scores.get(path)}
        for rank, (path, photo) in enumerate(zip(paths, photos, strict=True), start=1)
    ]
    return JSONResponse({"gallery": studio.name, "photos": rows}, headers=_attachment("found.json"))


@photos_router.get("")
def list_photos(
    studio: CurrentStudio,
    offset: Annotated[int, Parameter(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Parameter(ge=1, le=500)] = 60,
    folder: str | None = None,
    date: messages.Period | None = None,
) -> messages.PhotoList:
    """List a page of the gallery's photos, ordered by path."""
    where = studio.photos.condition(folder, date)
    paths = studio.gallery.paths(where=where) if len(studio.gallery) else []
    return messages.PhotoList(total=len(paths), photos=_cards(studio, paths[offset : offset + limit]))


@photos_router.get("/{photo}", response_class=Response, responses=JPEG_RESPONSES)
async def get_picture(photo: str, studio: CurrentStudio, full: bool = False) -> Response:
    """Return the photo as JPEG without its metadata, at most 1600 pixels on an edge unless it is wanted in `full`."""
    path = studio.photos.path(photo)
    side = None if full else studio.limits.photo_side
    data = await studio.decode(lambda: studio.photos.original(path, side).jpeg())
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": CACHE_CONTROL})


@photos_router.get("/{photo}/file", response_class=Response)
def get_file(photo: str, studio: CurrentStudio) -> Response:
    """Return the photo's file as it is, metadata included, to keep."""
    path = studio.photos.path(photo)
    data = studio.photos.file(path)
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    headers = {**_attachment(_card(studio, path, {}).name), "Cache-Control": CACHE_CONTROL}
    return Response(data, media_type=kind, headers=headers)


@photos_router.post("/{photo}/reveal")
def reveal_photo(photo: str, studio: CurrentStudio, request: Request) -> messages.Revealed:
    """Show the photo's file in the file manager; only for a browser on the machine of the studio."""
    if not is_local(request):
        raise HTTPException(403, "the photo lies on another machine")
    reveal(studio.photos.path(photo))
    return messages.Revealed()


@photos_router.get("/{photo}/thumbnail", response_class=Response, responses=JPEG_RESPONSES)
def get_thumbnail(photo: str, studio: CurrentStudio, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Return the gallery's thumbnail of the photo as JPEG."""
    path = studio.photos.path(photo)
    if (data := studio.photos.thumbnails([path]).get(path)) is None:
        raise NotFound("no such photo in the gallery any more")
    headers = {"ETag": f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"', "Cache-Control": CACHE_CONTROL}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/jpeg", headers=headers)


@photos_router.get("/{photo}/info")
def get_photo_info(photo: str, studio: CurrentStudio) -> messages.PhotoFacts:
    """Return what the gallery knows about a photo."""
    path = studio.photos.path(photo)
    infos = studio.gallery.infos([path])
    if path not in infos:
        raise NotFound("no such photo in the gallery any more")
    info = infos[path]
    return messages.PhotoFacts(
        **_card(studio, path, infos).model_dump(),
        bytes=info.size,
        taken=str(info.taken) if info.taken else None,
        latitude=info.latitude,
        longitude=info.longitude,
        **vars(studio.photos.camera(path)),
    )


@photos_router.delete("/{photo}")
def remove_photo(photo: str, studio: CurrentStudio) -> messages.Removed:
    """Remove a photo from the gallery; its file stays."""
    path = studio.photos.path(photo)
    removed = studio.gallery.remove(path)
    if not removed:
        raise NotFound("no such photo in the gallery any more")
    return messages.Removed(removed=removed)


@uploads_router.post("/photos", status_code=202)
async def upload(files: Annotated[list[UploadFile], File()], studio: CurrentStudio) -> messages.JobStarted:
    """Store photos and start a job that indexes them."""
    if len(files) > studio.limits.upload_files:
        raise LimitExceeded(f"{len(files)} files; at most {studio.limits.upload_files} in one request")
    needed = studio.limits.reserve_bytes + sum(file.size or 0 for file in files)
    if await run_in_threadpool(free_room, studio.uploads) < needed:
        raise LimitExceeded("there is no room left for photos on the disk of the gallery")
    uploads = [(file.filename or "photo", file.file) for file in files]
    job = await run_in_threadpool(studio.jobs.submit, partial(save_uploads, studio.uploads, uploads))
    return messages.JobStarted(job=job.name)


@uploads_router.get("/jobs/{job}")
async def get_job(job: str, studio: CurrentStudio) -> messages.JobState:
    """Return the progress of a job."""
    return _job_state(studio, job)


@uploads_router.delete("/jobs/{job}")
async def cancel_job(job: str, studio: CurrentStudio) -> messages.JobState:
    """Cancel a job; photos indexed so far are kept."""
    return _job_state(studio, job, cancel=True)


@closeup_router.post("/segment")
async def segment(body: messages.PhotoRequest, studio: CurrentStudio) -> messages.SegmentAnswer:
    """Compute where the photo shows the drawn object."""
    return await _look_closer(studio, "segment", body, closeup.segment_photo)


@closeup_router.post("/match")
async def match(body: messages.MatchRequest, studio: CurrentStudio) -> messages.MatchAnswer:
    """Match points of one picture to the other."""
    matched = partial(closeup.match_points, points=body.points, source=body.source)
    return await _look_closer(studio, "match", body, matched)


@closeup_router.post("/dense")
async def dense(body: messages.PhotoRequest, studio: CurrentStudio) -> messages.DenseAnswer:
    """Colour drawing and photo alike where they match."""
    return await _look_closer(studio, "dense", body, closeup.match_densely)


@closeup_router.post("/inspect")
async def inspect_features(body: messages.InspectRequest, studio: CurrentStudio) -> messages.InspectAnswer:
    """Show the features of CLIP, of Stable Diffusion and fused."""
    return await _look_closer(studio, "inspect", body, closeup.inspect_features)


def _card(studio: Studio, path: str, infos: Mapping[str, PhotoInfo]) -> messages.PhotoCard:
    """Describe a photo for the page."""
    info = infos.get(path)
    file = Path(path)
    name = original_name(file) if file.is_relative_to(studio.uploads) else file.name
    identifier = studio.photos.identifier(path)
    return messages.PhotoCard(
        id=identifier,
        name=name,
        path=f"{file.parent.name}/{name}",
        category=info.category if info else file.parent.name,
        width=info.width if info else 0,
        height=info.height if info else 0,
        thumbnail=f"/api/v1/photos/{identifier}/thumbnail" + (f"?v={info.digest[:12]}" if info else ""),
    )


def _cards(studio: Studio, paths: Sequence[str]) -> list[messages.PhotoCard]:
    """Describe photos for the page, and load their thumbnails, which it will request next."""
    if not paths:
        return []
    infos = studio.gallery.infos(paths)
    studio.photos.thumbnails(paths)
    return [_card(studio, path, infos) for path in paths]


def _found_photos(studio: Studio, hits: Sequence[Hit]) -> list[messages.FoundPhoto]:
    described = _cards(studio, [hit.path for hit in hits])
    return [
        messages.FoundPhoto(
            **photo.model_dump(),
            score=hit.score,
            confidence=hit.confidence,
            rank=hit.rank,
            similar=[studio.photos.identifier(path) for path in hit.similar],
        )
        for photo, hit in zip(described, hits, strict=True)
    ]


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}


def _names(studio: Studio, paths: Sequence[str]) -> dict[str, str]:
    """Give photos the names of their folder and file, by path, with numbers where two would have the same."""
    names: dict[str, str] = {}
    for path, card in zip(paths, _cards(studio, paths), strict=True):
        whole, number = PurePosixPath(card.path), 2
        while card.path in names.values():
            card.path, number = str(whole.with_stem(f"{whole.stem} ({number})")), number + 1
        names[path] = card.path
    return names


def _contact_sheet_png(gallery: Gallery, sketch: Picture | None, paths: Sequence[str], found: Sequence[Hit]) -> bytes:
    """Draw a contact sheet (PNG) of the drawing and the photos, in the order given."""
    infos = gallery.infos(paths)
    unknown = Hit("", math.nan, 0, "", confidence=math.nan)  # of a photo that the search did not find
    by_path = {hit.path: hit for hit in found}
    hits = [
        replace(by_path.get(path, unknown), path=path, rank=rank, category=infos[path].category)
        for rank, path in enumerate(paths, start=1)
        if path in infos
    ]
    picture = Image.fromarray(to_uint8(sketch.picture)) if sketch else Image.new("RGB", (64, 64), "white")
    rows = [SheetRow(picture, "", hits[start : start + SHEET_COLUMNS]) for start in range(0, len(hits), SHEET_COLUMNS)]
    buffer = io.BytesIO()
    contact_sheet(gallery, rows).save(buffer, format="PNG")
    return buffer.getvalue()


def _job_state(studio: Studio, name: str, cancel: bool = False) -> messages.JobState:
    if (job := studio.jobs.find(name)) is None:
        raise NotFound("no such job, or it ended long ago")
    if cancel:
        studio.jobs.cancel(job)
    failed = [messages.FailedFile(name=original_name(Path(one.path)), reason=one.reason) for one in job.failed]
    folder, total = studio.photos.identifier(str(job.paths[0].parent)), len(job.paths)
    return messages.JobState(
        job=job.name, state=job.state, done=job.done, total=total, failed=failed, error=job.error, folder=folder
    )


async def _look_closer(
    studio: Studio, lane: str, body: Pictured, call: Callable[[Extractor, Picture, Any], Answer]
) -> Answer:
    """Run a function of the model, the drawing and the photo, None without one, on the model's thread in its turn."""
    sketch, photo = await studio.sketch(body.drawing), None
    if body.photo:
        path, side = studio.photos.path(body.photo), studio.limits.task_side
        photo = as_read(await studio.decode(lambda: studio.photos.original(path, side)))

    def answered() -> Answer:
        try:
            return call(studio.gallery.model, sketch, photo)
        except ValueError as error:  # it is meant for the client
            raise ImageError(str(error)) from error

    return await studio.queue.ask(single(lane), body.client, body.sequence, answered)
