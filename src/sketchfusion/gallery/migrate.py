"""Galleries of an earlier format become galleries of today's, in place; killed at any moment, the next run goes on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.exif import Capture, read_capture
from .rows import CAPTURE, DETAILS, FORMAT, later_columns, seal, seals, vectors_of

if TYPE_CHECKING:
    from .store import GalleryStore

ROWS = 1000  # at a time


def migrate(store: GalleryStore, location: bool = True) -> None:
    """Add the columns that format 1 lacks, fill them from the files that are still there, and seal every row."""
    if store.format == FORMAT:
        return
    import pyarrow as pa

    add_later_columns(store)
    paths = store.read(["path"], "seal IS NULL")["path"].to_pylist()
    for start in range(0, len(paths), ROWS):
        rows = store.rows_of(paths[start : start + ROWS])
        captures = [_capture(Path(row["path"]), row, location) for row in rows.select(DETAILS).to_pylist()]
        for name in CAPTURE:
            values = pa.array([getattr(capture, name) for capture in captures], rows.schema.field(name).type)
            rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        details = zip(*(rows[name].to_pylist() for name in DETAILS), strict=True)
        sealed = pa.array(seals(details, vectors_of(rows)))
        thumbnails = pa.array([seal(value) for value in rows["thumbnail"].to_pylist()], pa.int64())
        columns = {name: rows[name] for name in ("path", *CAPTURE)}
        store.merge(pa.table({**columns, "seal": sealed, "thumbnail_seal": thumbnails}))
    store.change(partial(store.table.update_field_metadata, {"path": "path", "metadata": {"format": FORMAT}}))
    store.table.checkout_latest()


def add_later_columns(store: GalleryStore) -> None:
    """Give a table of format 1 the columns of today, empty."""
    for field in later_columns():
        if field.name not in store.table.schema.names:
            store.change(partial(store.table.add_columns, [field]))


def _capture(path: Path, row: dict[str, int], location: bool) -> Capture:
    """What the camera wrote into a file, if it is still the one that was indexed."""
    try:
        state = path.stat()
        data = path.read_bytes() if (state.st_size, state.st_mtime_ns) == (row["size"], row["mtime_ns"]) else b""
    except OSError:
        return Capture()
    capture = read_capture(data)
    return capture if location else Capture(capture.taken)
