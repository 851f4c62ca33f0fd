"""Limits on requests, uploads, queues and memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Every limit of the studio; names with `bytes` are in bytes, names with `side` in pixels."""

    upload_bytes: int = 100_000_000  # of all files in one request
    upload_files: int = 500  # in one request
    json_bytes: int = 16_000_000
    json_depth: int = 12  # levels of nesting
    json_lists: int = 60_000  # lists and objects in one request; every point of a stroke is a list
    pixels: int = 50_000_000  # of one picture
    strokes: int = 2_000
    points: int = 50_000  # of all strokes together
    text: int = 200  # characters of a text query
    results: int = 200  # photos returned by one search
    waiting: int = 256  # requests in the queue
    batch: int = 16  # searches that one run of the model answers together
    background_batch: int = 4  # photos per run of the model while indexing; waiting searches go between runs
    decoders: int = 2  # pictures decoded at the same time
    photo_side: int = 1_600  # longer side of a photo as the page shows it
    task_side: int = 640  # longer side of a photo that is segmented, matched or inspected
    drawing_side: int = 2_048  # longer side of a drawing sent as a picture; up to here it is read as a file is
    thumbnail_bytes: int = 64_000_000  # of thumbnails in memory
    jobs: int = 64  # indexing jobs that are remembered, finished ones included
    jobs_waiting: int = 8  # indexing jobs that wait for their turn
