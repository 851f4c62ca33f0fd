"""Moving a gallery to other weights, and finding and repairing damage."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import ImageError
from ..extractor import Extractor
from ..io.images import read_reduced
from .embed import PROCESSES, Embedder, Failure, Prepared
from .indexing import Builder, Progress, Report, Settings
from .rows import FileState, Photo, broken, checksum, seals, tag_of, to_photo
from .storage import GalleryError, connect, storage_errors, table_names
from .store import PREFIX, UNFINISHED, GalleryStore


def reindex(
    old: GalleryStore, model: Extractor, settings: Settings, progress: Progress | None = None
) -> tuple[GalleryStore, Report]:
    """Embed every photo of a gallery with another model; killed at any moment, the same call goes on.

    The new vectors go into a second table, and the first one answers until the last commit. A photo whose file is gone,
    or cannot be read, is embedded from its thumbnail, so that none is lost: its feature is a little coarser until the
    file is indexed again.
    """
    tag = tag_of(model)
    if old.made_with.fingerprint == tag.fingerprint:
        raise GalleryError(f"gallery {old.uri} is made with {tag.name} ({tag.fingerprint[:12]}) already")
    drop_superseded(old)
    with storage_errors(old.uri):  # the second table is hidden by a mark until it is finished
        mark = UNFINISHED + tag.fingerprint[:16]
        connect(old.uri).create_table(mark, schema=pa.schema([("since", pa.string())]), exist_ok=True)
    new = GalleryStore.create(old.uri, tag, old.generation + 1)
    there = [path for path in map(Path, sorted(old.files())) if path.exists()]
    report = Builder(new, model, settings).run(there, progress)
    report.from_thumbnail = _from_thumbnails(old, new, model, settings)
    new.forget(new.files().keys() - old.files().keys())  # removed meanwhile
    new.record()
    with storage_errors(old.uri):
        database = connect(old.uri)
        for name in table_names(database):  # without marks the new table answers
            if name.startswith(UNFINISHED):
                other = PREFIX + name.removeprefix(UNFINISHED)
                if other != new.name and other in table_names(database):
                    _drop(database, other)  # unfinished, for a third model
                database.drop_table(name)
        _drop(database, old.name)
    return new, report


def drop_superseded(store: GalleryStore) -> None:
    """Drop the table that this one replaced, where a kill came between the last commit and the drop."""
    old = [other.name for other in GalleryStore.find_all(store.uri) if other.generation < store.generation]
    with storage_errors(store.uri):
        for name in old:
            _drop(connect(store.uri), name)


def _from_thumbnails(old: GalleryStore, new: GalleryStore, model: Extractor, settings: Settings) -> int:
    """Embed what has no row yet from its thumbnail; give how many."""
    done = new.files()
    moved = {file.digest for file in done.values()}
    todo = [path for path, file in old.files().items() if path not in done and file.digest not in moved]
    embedder, count = Embedder(model, settings.location), 0
    for start in range(0, len(todo), settings.batch_size):
        rows = old.rows(todo[start : start + settings.batch_size]).to_pylist()
        items = embedder.embed([_prepared(to_photo(row), model) for row in rows])
        bad = [item for item in items if isinstance(item, Failure)]
        if bad:
            raise GalleryError(f"gallery {old.uri}: the thumbnail of {bad[0].path} cannot be read ({bad[0].reason})")
        photos = [item for item in items if isinstance(item, Photo)]
        new.put(photos)
        count += len(photos)
    return count


def _prepared(photo: Photo, model: Extractor) -> Prepared | Failure:
    try:
        view = model.prepare(read_reduced(photo.thumbnail, None, "photo", photo.file.path).tensor("photo"), "photo")
    except ImageError as error:
        return Failure(photo.file.path, str(error))
    file: FileState = replace(photo.file, mtime_ns=0)  # so that the file, once it is back, is embedded itself
    return Prepared(replace(photo, file=file), view)


def _drop(database: Any, name: str) -> None:
    mark = name.removeprefix(PREFIX)
    for other in table_names(database):
        if other.endswith(f"-{mark}") and not other.startswith(UNFINISHED):  # and its reference features
            database.drop_table(other)


ROWS = 1000  # verified at a time


@dataclass
class Damage:
    rows: dict[int, str] = field(default_factory=dict)  # stored checksum to stored path
    thumbnails: list[str] = field(default_factory=list)  # paths
    others: bool = False  # whether rows are missing, or deleted ones came back

    def lines(self) -> list[str]:
        return [
            *(f"{path!r}: its row is damaged" for path in self.rows.values()),
            *(f"{path!r}: its thumbnail is damaged" for path in self.thumbnails),
            *(["the photos are not those that it was left with: index them again with --prune"] if self.others else []),
        ]


def examine(store: GalleryStore) -> Damage:
    """Read everything once and compare it with its checksums; GalleryError if the table cannot be read at all."""
    damage = Damage()
    version, found = store.version, [np.empty(0, np.int64)]
    for rows in store.batches(ROWS):
        found.append(seals(rows))
        places = broken(rows).tolist()
        damage.rows |= {rows["seal"][place].as_py(): rows["path"][place].as_py() for place in places}
        pictures = rows.select(["path", "thumbnail", "thumbnail_seal"]).to_pylist()
        damage.thumbnails += [
            row["path"] for row in pictures if checksum(row["thumbnail"] or b"") != row["thumbnail_seal"]
        ]
    damage.others = not damage.rows and not store.is_complete(version, np.concatenate(found))
    return damage


def check_readable(uri: str, read: Callable[[str], None] | None = None) -> None:
    """Read a gallery in its own process first: GalleryError if damage makes the store's library stop that process."""
    with ProcessPoolExecutor(1, PROCESSES) as pool:
        try:
            pool.submit(read or _read, uri).result()
        except BrokenProcessPool:
            raise GalleryError(
                f"gallery {uri}: a file of it is so damaged that reading it stops the process; bring back a copy of "
                "it, or index the photos into a new one"
            ) from None


def _read(uri: str) -> None:
    with suppress(GalleryError):
        if store := GalleryStore.find(uri):
            examine(store)


def repair(store: GalleryStore, damage: Damage, builder: Builder) -> Report:
    """Drop what is damaged and embed the photos again; those whose file is gone are listed in the report."""
    paths = {*damage.rows.values(), *damage.thumbnails}
    there = {path for path in paths if Path(path).exists()}
    for seal in damage.rows:  # by their checksums as they are stored, as their paths cannot be trusted
        store.delete(f"seal = {seal}")
    store.forget(there)
    store.record()
    report = builder.run([Path(path) for path in sorted(there)])
    report.failed += [Failure(path, "damaged in the gallery, and no such file") for path in sorted(paths - there)]
    return report
