"""What every route can ask for: the studio it serves, and how photos of it are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from ...gallery import PhotoInfo
from ..replies import PhotoCard
from ..studio import Studio
from ..uploads import original_name


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
