"""What the studio is and how it does: facts, examples, health."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter

from ... import __version__
from ..examples import examples
from ..replies import Example, GalleryInfo, Health, Info, LimitsInfo, ModelInfo
from ..studio import Studio
from .needs import Served

TASKS = ("retrieval", "instance-retrieval", "recognition", "correspondence", "segmentation")

router = APIRouter(tags=["service"])


@router.get("/info")
async def info(studio: Served) -> Info:
    """Say which weights are loaded, what is searched and how much may be asked for."""
    await studio.loaded()
    return await studio.reading(lambda: _info(studio))


@router.get("/examples")
async def drawings(studio: Served) -> list[Example]:
    """Give drawings to start from."""
    return await studio.reading(examples)


@router.get("/health")
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
