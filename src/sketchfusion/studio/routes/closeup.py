"""A drawing and one photo of the gallery: cut out, matched, looked into."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter

from ...errors import ImageError
from .. import closeup
from ..closeup import Photo
from ..drawing import Sketch
from ..insight import look_inside
from ..queue import single
from ..replies import DenseAnswer, InspectAnswer, MatchAnswer, SegmentAnswer
from ..schemas import InspectRequest, MatchRequest, PhotoRequest, Turn
from ..studio import Studio
from .needs import Served

router = APIRouter(tags=["one photo"])

Answer = TypeVar("Answer")


@router.post("/segment")
async def segment(asked: PhotoRequest, studio: Served) -> SegmentAnswer:
    """Say where the photo shows what was drawn."""
    sketch, photo = await _pair(asked, studio)
    return await _turn(studio, "segment", asked, lambda: closeup.cut_out(studio.gallery.model, sketch, photo))


@router.post("/match")
async def match(asked: MatchRequest, studio: Served) -> MatchAnswer:
    """Find the points of the one picture that mean the same as points of the other."""
    sketch, photo = await _pair(asked, studio)
    return await _turn(
        studio,
        "match",
        asked,
        lambda: closeup.match_points(studio.gallery.model, sketch, photo, asked.points, asked.source),
    )


@router.post("/dense")
async def dense(asked: PhotoRequest, studio: Served) -> DenseAnswer:
    """Give drawing and photo in colours, the same where they match."""
    sketch, photo = await _pair(asked, studio)
    return await _turn(studio, "dense", asked, lambda: closeup.match_densely(studio.gallery.model, sketch, photo))


@router.post("/inspect")
async def inspect(asked: InspectRequest, studio: Served) -> InspectAnswer:
    """Give what CLIP, Stable Diffusion and the two together see."""
    sketch = await studio.sketch(asked.drawing)
    photo = await _photo(asked.photo, studio) if asked.photo else None
    return await _turn(studio, "inspect", asked, lambda: look_inside(studio.gallery.model, sketch, photo))


async def _pair(asked: PhotoRequest, studio: Studio) -> tuple[Sketch, Photo]:
    return await studio.sketch(asked.drawing), await _photo(asked.photo, studio)


async def _photo(name: str, studio: Studio) -> Photo:
    path, side = studio.shelf.path(name), studio.limits.task_side
    return await studio.decoding(lambda: Photo.of(studio.shelf.original(path, side)))


async def _turn(studio: Studio, lane: str, asked: Turn, call: Callable[[], Answer]) -> Answer:
    """Wait for the client's turn with a question that no batch can be made of."""

    def answered() -> Answer:
        try:
            return call()
        except ValueError as error:  # what a task says of its pictures is meant for who sent them
            raise ImageError(str(error)) from error

    return await studio.queue.ask(single(lane), asked.client, asked.sequence, answered)
