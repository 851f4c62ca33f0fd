"""Photos that are dropped on the page: kept, then indexed by a job that can be watched and cancelled."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, UploadFile
from starlette.concurrency import run_in_threadpool

from ..drawing import TooMuch
from ..jobs import Job
from ..photos import Missing
from ..replies import FailedFile, JobStarted, JobState
from ..studio import Studio
from ..uploads import keep, original_name
from .needs import Served

router = APIRouter(tags=["uploads"])


@router.post("/photos", status_code=202)
async def upload(files: Annotated[list[UploadFile], File()], studio: Served) -> JobStarted:
    """Keep photos and index them; the answer names the job that does it."""
    if len(files) > studio.limits.upload_files:
        raise TooMuch(f"{len(files)} files; at most {studio.limits.upload_files} in one request")
    named = [(file.filename or "photo", file.file) for file in files]
    paths = await run_in_threadpool(keep, studio.uploads, named)
    return JobStarted(job=studio.jobs.submit(paths).name)


@router.get("/jobs/{job}")
async def state(job: str, studio: Served) -> JobState:
    """Say how far a job is."""
    return _state(_found(studio, job))


@router.delete("/jobs/{job}")
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
