"""Where a gallery lives: found, made and written, every change an atomic commit.

The table is named after the model that made its vectors, so features of two models cannot meet in one table.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Self

from .faults import GalleryError, explained, is_conflict, retried
from .reading import METRIC, Reading
from .rows import ModelTag, Photo, schema, to_photo, to_rows, vectors_in
from .table import connect, parts, quoted, table_names

PREFIX, UNFINISHED = "photos-", "unfinished-"
# Readers of an older version keep its files for this long after a compaction.
KEEP_OLD_VERSIONS = timedelta(minutes=10)
CLEANING_ROUNDS = 4


class GalleryStore(Reading):
    """The rows of one gallery, read and written."""

    @classmethod
    def find(cls, uri: str) -> Self | None:
        """Open the gallery at `uri`, or give None if there is none."""
        if "://" not in uri and not Path(uri).is_dir():
            if Path(uri).exists():
                raise GalleryError(f"{uri} is a file; a gallery is a folder")
            return None
        with explained(uri):
            database = connect(uri)
            names = table_names(database)
            hidden = {name.removeprefix(UNFINISHED) for name in names if name.startswith(UNFINISHED)}
            found = []
            for name in names:
                if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in hidden:
                    try:
                        found.append(cls(uri, database.open_table(name)))
                    except ValueError as error:
                        if "was not found" not in str(error):
                            raise  # else it is only a folder yet: its maker was killed, or is about to write the rest
            return max(found, key=lambda store: store.generation, default=None)

    @classmethod
    def create(cls, uri: str, model: ModelTag, generation: int = 0) -> Self:
        """Make an empty gallery for a model's vectors; a second caller at the same moment opens the first's."""
        columns = schema(model)
        columns = columns.with_metadata({**columns.metadata, b"generation": str(generation).encode()})
        with explained(uri):
            name = PREFIX + model.fingerprint[:16]
            return cls(uri, connect(uri).create_table(name, schema=columns, exist_ok=True))

    def put(self, photos: Sequence[Photo]) -> None:
        """Add photos, or replace those with the same path, in one commit."""
        if photos:
            merge = self._table.merge_insert("path").when_matched_update_all().when_not_matched_insert_all()
            self.change(partial(merge.execute, to_rows(photos, self._table.schema)))

    def forget(self, paths: Iterable[str]) -> int:
        """Take photos out by their paths; gives how many there were. Their bytes stay on disk until a `clean`."""
        conditions = [f"path IN ({quoted(part)})" for part in parts(list(paths))]
        forgotten: int = sum(self.change(partial(self._table.delete, one)).num_deleted_rows for one in conditions)
        self.account()
        return forgotten

    def forget_sealed(self, values: Iterable[int]) -> None:
        """Take rows out by their seal, for those whose path cannot be trusted."""
        for value in values:
            self.change(partial(self._table.delete, f"seal = {value}"))
        self.account()

    def compact(self) -> None:
        """Join the many small files that commits leave behind, and drop old versions.

        Nothing is lost when another writer, who does the same at that moment, gets ahead: its work stands.
        """
        self._optimize(KEEP_OLD_VERSIONS)

    def clean(self) -> None:
        """Wipe the bytes of forgotten photos from disk, older versions and all."""
        for _ in range(CLEANING_ROUNDS):
            self._optimize(timedelta(0))
            if not self._deleted_rows():
                return
            # A file of which little was deleted is left alone, unless there is another one to be joined with it.
            self.put([to_photo(row) for row in self.read(None, limit=1).to_pylist()])

    def index(self) -> None:
        """Build the approximate index of every column of vectors that has none; `compact` keeps it up to date."""
        from lancedb.index import IvfHnswSq

        with explained(self.uri):
            self._table.checkout_latest()
            done = {column for index in self._table.list_indices() for column in index.columns}
            for column in set(vectors_in(self._table.schema)) - done:
                retried(partial(self._table.create_index, column, config=IvfHnswSq(distance_type=METRIC)))

    def _optimize(self, keep: timedelta) -> None:
        with explained(self.uri), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # readers of a version that is cleaned away read again
            try:
                retried(lambda: (self._table.checkout_latest(), self._table.optimize(cleanup_older_than=keep)))
            except (OSError, ValueError, RuntimeError) as error:
                if not is_conflict(error):
                    raise
        self.account()

    def _deleted_rows(self) -> int:
        self._table.checkout_latest()
        newest = max(self._table.list_versions(), key=lambda one: int(one["version"]))
        return int(newest["metadata"]["total_deletion_file_rows"])
