"""Limits on requests, uploads, queues and memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Every limit of the studio; sizes in bytes."""

    upload_bytes: int = 100_000_000  # of all files in one request
    upload_files: int = 500
    json_bytes: int = 16_000_000
    json_depth: int = 12
    json_lists: int = 60_000  # points of strokes are lists
    pixels: int = 50_000_000  # of one picture
    strokes: int = 2_000
    points: int = 50_000  # of all strokes together
    text: int = 200  # characters
    results: int = 200
    waiting: int = 256  # requests in the queue
    batch: int = 16  # drawings in one run of the model
    background_batch: int = 4  # photos in one run of indexing, between which searches run
    decoders: int = 2  # pictures decoded at the same time
    photo_side: int = 1_600  # longer side of a photo as the page shows it
    task_side: int = 640  # longer side of a photo that is segmented, matched or inspected
    drawing_side: int = 1_024  # longer side of a drawing sent as a picture
    thumbnail_bytes: int = 64_000_000  # of thumbnails in memory
    jobs: int = 64  # remembered, finished ones included
    jobs_waiting: int = 8
