"""Finding photos by drawing, by a photo, by words; and keeping what was found."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from ...gallery import GalleryError, Hit
from ..drawing import Sketch, TooMuch
from ..export import contact_sheet_png
from ..replies import FoundPhoto, Label, SearchAnswer
from ..schemas import ExportRequest, SearchRequest
from ..search import Found, Question
from ..studio import Studio
from .needs import Served, cards

router = APIRouter(tags=["search"])


@router.post("/search")
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
    question = Question(
        sketch.picture if sketch else None, like, text, asked.k, asked.category, asked.min_score, asked.group
    )
    found = await studio.queue.ask(studio.searching, asked.client, asked.sequence, question)
    hits = await studio.reading(lambda: _shown(studio, found.hits))
    labels = [Label(label=guess.label, score=guess.score) for guess in found.guesses]
    spent = 1000 * (time.monotonic() - begun)
    return SearchAnswer(sequence=asked.sequence, hits=hits, labels=labels, milliseconds=round(spent, 1))


@router.post(
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
        question = Question(sketch.picture, None, None, studio.limits.results, None, None, False)
        found: Found = await studio.queue.ask(studio.searching, secrets.token_hex(8), 0, question)
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
