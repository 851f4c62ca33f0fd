"""The photos of the gallery: lists, pictures, facts, and forgetting them."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from ..photos import Missing
from ..replies import PhotoFacts, PhotoList, Removed
from ..studio import Studio
from .needs import Served, card, cards

router = APIRouter(prefix="/photos", tags=["photos"])

JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "The picture"},
    304: {"description": "Not changed"},
}
KEEP = "private, max-age=600"


@router.get("")
async def photos(
    studio: Served,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
    category: str | None = None,
) -> PhotoList:
    """Give a page of the gallery, ordered by path."""
    return await studio.reading(lambda: _page(studio, offset, limit, category))


@router.get("/{photo}", response_class=Response, responses=JPEG)
async def picture(photo: str, studio: Served) -> Response:
    """Give the photo as JPEG, at most 1600 pixels on an edge, without what its file says of place and time."""
    path = studio.shelf.path(photo)
    side = studio.limits.photo_side
    data = await studio.decoding(lambda: studio.shelf.original(path, side).jpeg())
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": KEEP})


@router.get("/{photo}/thumbnail", response_class=Response, responses=JPEG)
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


@router.get("/{photo}/info")
async def info(photo: str, studio: Served) -> PhotoFacts:
    """Give what the gallery knows of a photo."""
    path = studio.shelf.path(photo)
    return await studio.reading(lambda: _facts(studio, path))


@router.delete("/{photo}")
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
