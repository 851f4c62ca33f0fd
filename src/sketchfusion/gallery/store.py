"""Where a gallery lives: one LanceDB table in a folder or an object store, every change an atomic commit.

The table is named after the model that made its vectors, so features of two models cannot meet in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from .database import PREFIX, UNFINISHED, connect, table_names
from .faults import GalleryError, explained, retried
from .rows import (
    CAPTURE,
    DETAILS,
    FILE,
    FORMAT,
    FileState,
    ModelTag,
    Photo,
    PhotoInfo,
    broken,
    schema,
    seal,
    to_photo,
    to_rows,
    vectors_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

READABLE = ("1", FORMAT)
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Contents:
    """What searching needs of every row, ordered by path."""

    version: int
    paths: npt.NDArray[np.object_]  # (N,)
    categories: npt.NDArray[np.object_]  # (N,)
    vectors: npt.NDArray[np.float32]  # (N, d)


class GalleryStore:
    """The rows of one gallery."""

    def __init__(self, uri: str, table: Any) -> None:
        """Wrap an open table; use `find` or `create`."""
        self.uri, self._table = uri, table
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        self._first_format = metadata.get("format", "")
        if self.format not in READABLE:
            raise GalleryError(f"{uri} has a format that this version does not know; update sketchfusion")
        self.generation = int(metadata.get("generation", 0))  # of two finished tables the later counts
        dim = table.schema.field("vector").type.list_size
        self.made_with = ModelTag(metadata["model"], metadata["fingerprint"], dim)

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

    @property
    def table(self) -> Any:
        """The LanceDB table itself."""
        return self._table

    @property
    def name(self) -> str:
        """The name of the table."""
        return str(self._table.name)

    @property
    def format(self) -> str:
        """The format of the rows; it is written beside the first column once older rows are brought up to date."""
        marks = self._table.schema.field("path").metadata or {}
        return str(marks.get(b"format", b"").decode() or self._first_format)

    @property
    def version(self) -> int:
        """The number of the newest commit, whoever made it."""
        with explained(self.uri):
            self._table.checkout_latest()
            return int(self._table.version)

    def __len__(self) -> int:
        """Number of photos."""
        with explained(self.uri):
            self._table.checkout_latest()
            return int(self._table.count_rows())

    def put(self, photos: Sequence[Photo]) -> None:
        """Add photos, or replace those with the same path, in one commit."""
        if photos:
            self.merge(to_rows(photos, self._table.schema), insert=True)

    def merge(self, rows: pa.Table, insert: bool = False) -> None:
        """Write columns of the photos with these paths, in one commit; `insert` adds those that are not there."""
        merge = self._table.merge_insert("path").when_matched_update_all()
        merge = merge.when_not_matched_insert_all() if insert else merge
        self.change(partial(merge.execute, rows))

    def forget(self, paths: Iterable[str]) -> int:
        """Take photos out by their paths; gives how many there were. Their bytes stay on disk until a `clean`."""
        conditions = [f"path IN ({_quoted(part)})" for part in _parts(list(paths))]
        return sum(self.change(partial(self._table.delete, one)).num_deleted_rows for one in conditions)

    def forget_sealed(self, values: Iterable[int]) -> None:
        """Take rows out by their seal, for those whose path cannot be trusted."""
        for value in values:
            self.change(partial(self._table.delete, f"seal = {value}"))

    def files(self) -> dict[str, FileState]:
        """The state of every indexed file, by path."""
        rows = self.read(list(FILE)).to_pylist()
        return {row["path"]: FileState(**row) for row in rows}

    def with_digests(self, digests: Iterable[str]) -> dict[str, Photo]:
        """One photo for each content that is known."""
        return {
            photo.file.digest: photo
            for part in _parts(list(digests))
            for photo in map(to_photo, self.read(None, f"digest IN ({_quoted(part)}) AND mtime_ns > 0").to_pylist())
        }

    def rows_of(self, paths: Sequence[str]) -> pa.Table:
        """The rows of a few photos by their paths."""
        return self.read(None, f"path IN ({_quoted(paths)})")

    def load(self) -> Contents:
        """Everything that a search needs, in memory; GalleryError if a row is not what was written."""
        version = self.version
        rows = self.sealed()
        order = np.argsort(paths := rows["path"].to_numpy(), kind="stable")
        return Contents(version, paths[order], rows["category"].to_numpy()[order], vectors_of(rows)[order])

    def sealed(self, where: str | None = None) -> pa.Table:
        """Rows without their thumbnails, each compared with its seal."""
        if self.format == "1":
            return self.read([name for name in DETAILS if name not in CAPTURE] + ["vector"], where)
        rows = self.read([*DETAILS, "vector", "seal"], where)
        if len(places := broken(rows)):
            first = rows["path"][int(places[0])].as_py()
            raise GalleryError(
                f"gallery {self.uri}: {len(places)} of {len(rows)} photos read are damaged on disk ({first!r}); "
                f"`sketchfusion doctor --gallery {self.uri}` says more, `--repair` embeds them again"
            )
        return rows

    def infos(self, where: str) -> list[PhotoInfo]:
        """What is known of photos, ordered by path."""
        names = [field.name for field in fields(PhotoInfo)]
        rows = sorted(self.sealed(where).drop_columns("vector").to_pylist(), key=lambda row: str(row["path"]))
        return [PhotoInfo(**{name: row.get(name) for name in names}) for row in rows]

    def page(self, offset: int, limit: int, category: str | None) -> list[PhotoInfo]:
        """What is known of some photos, counted in the order of their paths."""
        where = None if category is None else f"category = {_quoted([category])}"
        paths = sorted(self.read(["path"], where)["path"].to_pylist())[offset : offset + limit]
        return self.infos(f"path IN ({_quoted(paths)})") if paths else []

    def with_path(self, path: str) -> PhotoInfo | None:
        """What is known of one photo, or None if it is not there."""
        return next(iter(self.infos(f"path = {_quoted([path])}")), None)

    def digest_of(self, path: str) -> str | None:
        """The digest of a photo's bytes, or None if it is not there."""
        found = self.sealed(f"path = {_quoted([path])}")["digest"].to_pylist()
        return str(found[0]) if found else None

    def matching(self, where: str) -> set[str]:
        """The paths of the rows that an SQL condition over the columns holds for."""
        try:
            return set(self.read(["path"], where)["path"].to_pylist())
        except GalleryError as error:
            columns = ", ".join(name for name in self._table.schema.names if name in DETAILS)
            raise GalleryError(f"cannot filter by {where!r}; it must be an SQL condition on {columns}") from error

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The small pictures (JPEG) of photos, by path; GalleryError if one is not what was written."""
        sealed = self.format != "1"
        columns = ["path", "thumbnail", *(["thumbnail_seal"] if sealed else [])]
        found = {}
        for part in _parts(list(paths)):
            for row in self.read(columns, f"path IN ({_quoted(part)})").to_pylist():
                if sealed and seal(row["thumbnail"]) != row["thumbnail_seal"]:
                    raise GalleryError(
                        f"gallery {self.uri}: the thumbnail of {row['path']} is damaged on disk; "
                        f"`sketchfusion doctor --gallery {self.uri} --repair` makes it again"
                    )
                found[row["path"]] = row["thumbnail"]
        return found

    def read(self, columns: list[str] | None, where: str | None = None, limit: int | None = None) -> pa.Table:
        """Rows of the newest version."""

        def query() -> pa.Table:
            self._table.checkout_latest()
            asked = self._table.search().limit(limit)
            asked = asked.where(where) if where else asked
            return (asked.select(columns) if columns else asked).to_arrow()

        with explained(self.uri):
            return retried(query)

    def batches(self, size: int) -> Iterator[pa.Table]:
        """All rows with all columns, some at a time."""
        import pyarrow as pa

        with explained(self.uri):
            self._table.checkout_latest()
            for batch in self._table.search().limit(None).to_batches(batch_size=size):
                yield pa.Table.from_batches([batch])

    def change(self, change: Callable[[], Result]) -> Result:
        """Make a commit, again from the newest version where another writer's came first."""

        def attempt() -> Result:
            self._table.checkout_latest()  # a retry from the version that lost would lose again
            return change()

        with explained(self.uri):
            return retried(attempt)


def _parts(values: list[str], size: int = 500) -> Iterator[list[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _quoted(values: Iterable[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
