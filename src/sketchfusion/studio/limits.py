"""How much one request, one client and one upload may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Every bound of the studio; sizes in bytes."""

    upload_bytes: int = 100_000_000  # of one request, several files together
    upload_files: int = 500
    json_bytes: int = 16_000_000
    json_depth: int = 12
    json_lists: int = 60_000  # each point is one
    pixels: int = 50_000_000  # of one picture
    strokes: int = 2_000
    points: int = 50_000  # of all strokes together
    text: int = 200  # characters
    results: int = 200
    waiting: int = 256  # questions in the queue
    batch: int = 16  # drawings in one run of the model
    background_batch: int = 4  # photos in one run, between which drawings have their turn
    decoders: int = 2  # pictures read at the same time
    photo_side: int = 1_600
    task_side: int = 640  # a photo is reduced to this before it is cut out of, or matched
    drawing_side: int = 1_024  # a picture of a drawing is reduced to this
    thumbnail_bytes: int = 64_000_000  # kept in memory
    jobs: int = 64  # remembered, finished ones included
    jobs_waiting: int = 8
