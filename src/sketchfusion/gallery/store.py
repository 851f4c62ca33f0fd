"""The table of a gallery: found, made, read and written, every change an atomic commit.

The table is named after the model that made its vectors, so features of two models cannot meet in one table.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..featuremap import Floats
from . import storage
from .rows import (
    DETAILS,
    FILE,
    FORMAT,
    FileState,
    ModelTag,
    Photo,
    PhotoInfo,
    Rows,
    broken,
    checksum,
    matrix,
    schema,
    seals,
    table_digest,
    to_photo,
    to_rows,
    vectors_in,
)
from .storage import GalleryError, connect, is_conflict, retry, storage_errors, table_names

PREFIX, UNFINISHED = "photos-", "unfinished-"
SEARCHED = ["path", "category", "seal"]  # with the vectors, the columns that exact search needs
KEEP_OLD_VERSIONS = timedelta(minutes=10)  # for readers of an older version, after a compaction
CLEANING_ROUNDS = 4
VERIFIED_ROWS = 100_000  # larger galleries are never loaded whole, so the ledger has no digest of their contents
# The approximate index: partitions searched, neighbours followed, and how many times k rows are compared again with
# their unrounded vectors. Sketches lie far from all photos, where a narrow search fails: of the ten nearest of 100,000,
# EF 256 finds 0.85, 1024 0.98, 2048 all, in the same time.
METRIC, PROBES, EF, REFINE = "cosine", 64, 2048, 4


class GalleryStore:
    """The rows of one gallery, of one model."""

    def __init__(self, uri: str, table: Any) -> None:
        """Wrap an open table; GalleryError for another format."""
        self.uri, self.name, self._table = uri, str(table.name), table
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if (found := metadata.get("format", "0")) != FORMAT:
            newer = found.isdigit() and int(found) > int(FORMAT)
            advice = "update sketchfusion" if newer else "index the photos into a new gallery"
            raise GalleryError(f"gallery {uri} has format {found}, and this version reads format {FORMAT}; {advice}")
        self._verified: int | None = None  # the version whose details are known to be whole
        self.generation = int(metadata.get("generation", 0))  # of two finished tables the later one counts
        lengths = [int(table.schema.field(name).type.list_size) for name in vectors_in(table.schema)]
        self.made_with = ModelTag(metadata["model"], metadata["fingerprint"], *lengths)

    @classmethod
    def find(cls, uri: str) -> Self | None:
        """Open the gallery at `uri`, or give None if there is none."""
        if "://" not in uri and not any(Path(uri).glob(f"{PREFIX}*")):  # a store walks through a whole folder of photos
            if Path(uri).is_file():
                raise GalleryError(f"{uri} is a file; a gallery is a folder")
            return None
        return max(cls.find_all(uri), key=lambda store: store.generation, default=None)

    @classmethod
    def find_all(cls, uri: str) -> list[Self]:
        """Open every finished table at `uri`; there are two when a model has replaced another."""
        found: list[Self] = []
        with storage_errors(uri):
            database = connect(uri)
            names = table_names(database)
            for name in names:
                if not name.startswith(PREFIX) or UNFINISHED + name.removeprefix(PREFIX) in names:
                    continue
                try:
                    found.append(cls(uri, database.open_table(name)))
                except ValueError as error:
                    if "was not found" not in str(error):
                        raise  # else it is only a folder yet: its maker was killed, or is about to write the rest
        return found

    @classmethod
    def create(cls, uri: str, model: ModelTag, generation: int = 0) -> Self:
        """Make an empty gallery for a model's vectors; a second caller at the same moment opens the first's."""
        columns = schema(model)
        columns = columns.with_metadata({**columns.metadata, b"generation": str(generation).encode()})
        with storage_errors(uri):
            name = PREFIX + model.fingerprint[:16]
            return cls(uri, connect(uri).create_table(name, schema=columns, exist_ok=True))

    @property
    def version(self) -> int:
        """The number of the newest commit, whoever made it."""
        with storage_errors(self.uri):
            return int(self._newest.version)

    def __len__(self) -> int:
        with storage_errors(self.uri):
            return int(self._newest.count_rows())

    @property
    def _newest(self) -> Any:
        self._table.checkout_latest()
        return self._table

    def files(self) -> dict[str, FileState]:
        """Give the state of every indexed file, by path."""
        rows = self._read(list(FILE)).to_pylist()
        return {row["path"]: FileState(**row) for row in rows}

    def photos_with_digests(self, digests: Iterable[str]) -> dict[str, Photo]:
        """Give one photo for each content (SHA-256 of a file) that has been embedded."""
        return {
            photo.file.digest: photo
            for condition in is_in("digest", digests)
            for photo in map(to_photo, self._read(None, f"{condition} AND mtime_ns <> 0").to_pylist())
        }

    def rows(self, paths: Sequence[str]) -> pa.Table:
        """Give all columns of a few photos by their paths."""
        return self._read(None, f"path IN ({sql_list(paths)})")

    def batches(self, size: int) -> Iterator[pa.Table]:
        """Give all columns of all rows, `size` at a time."""
        with storage_errors(self.uri):
            for batch in self._newest.search().limit(None).to_batches(batch_size=size):
                yield pa.Table.from_batches([batch])

    def load(self, verify_rows: bool = False) -> tuple[int, Rows]:
        """Read all rows, ordered by path, into memory, and give their version with them.

        GalleryError if a row is missing or is not what was written.

        The contents are compared with the digest in the ledger. Only where that has none, or another one, every row is
        compared with its own checksum, which takes several times as long; `verify_rows` does so in any case.
        """
        version = self.version
        if not verify_rows:
            columns, vectors = _by_path(self._read([*SEARCHED, *vectors_in(self._table.schema)]))
        if verify_rows or not self._has_digest(version, "contents", table_digest(columns, vectors)):
            rows = self._read_verified()
            if not self.is_complete(version, seals(rows)):
                raise GalleryError(
                    f"gallery {self.uri} does not have the photos that it was left with, a file of it is damaged; "
                    "index them again with --prune, or bring back a copy"
                )
            columns, vectors = _by_path(rows)
        return version, Rows(columns["path"].to_numpy(), columns["category"].to_numpy(), vectors)

    def _has_digest(self, version: int, kind: str, digest: str) -> bool:
        recorded: dict[str, str] = storage.read_ledger(self.uri, self.name, version).get("digests") or {}
        return recorded.get(kind) == digest

    def is_complete(self, version: int, checksums: npt.NDArray[np.int64]) -> bool:
        """Compare the checksums (N,) of all rows of a version with the ledger; True if nothing is known of it."""
        entry = {} if self.version != version else storage.read_ledger(self.uri, self.name, version)
        return not entry or {name: entry.get(name) for name in ("count", "roll")} == storage.summary(checksums)

    def infos(self, paths: Iterable[str]) -> dict[str, PhotoInfo]:
        """Describe photos by path; those that are not there are left out."""
        names = [field.name for field in fields(PhotoInfo)]
        tables = (self._read_verified(condition).select(names).sort_by("path") for condition in is_in("path", paths))
        return {row["path"]: PhotoInfo(**row) for rows in tables for row in rows.to_pylist()}

    def paths(self) -> list[str]:
        return sorted(self._read(["path"])["path"].to_pylist())

    def dates(self) -> pa.Table:
        """Give path, date taken and time of the last change of every photo's file."""
        return self._read(["path", "taken", "mtime_ns"])

    def vectors(self, paths: Iterable[str]) -> dict[str, Floats]:
        """Give the features (d,) of photos by path; those that are not there are left out."""
        found: dict[str, Floats] = {}
        for condition in is_in("path", paths):
            rows = self._read_verified(condition)
            found |= zip(rows["path"].to_pylist(), matrix(rows["vector"]), strict=True)
        return found

    def categories(self) -> list[str]:
        """List the names of the folders that the photos lie in, sorted."""
        return sorted(set(self._read(["category"])["category"].unique().to_pylist()))

    def matching(self, where: str) -> set[str]:
        """Give the paths of the rows that an SQL condition over the columns holds for, verified as `load` does."""
        version = self.version
        if self._verified != version:
            details = self._read([*DETAILS, "seal"]).sort_by("path")
            if not self._has_digest(version, "details", table_digest(details, {})):
                self._read_verified()
            self._verified = version
        with self._condition_errors(where):
            return set(self._read(["path"], where)["path"].to_pylist())

    def count(self, where: str) -> int:
        with self._condition_errors(where):
            return int(self._table.count_rows(where))

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Give the small pictures (JPEG) of photos, by path; GalleryError if one is not what was written."""
        columns = ["path", "thumbnail", "thumbnail_seal"]
        found = {}
        for condition in is_in("path", paths):
            for row in self._read(columns, condition).to_pylist():
                if checksum(row["thumbnail"]) != row["thumbnail_seal"]:
                    raise GalleryError(
                        f"gallery {self.uri}: the thumbnail of {row['path']} is damaged on disk; "
                        f"`sketchfusion doctor --gallery {self.uri} --repair` makes it again"
                    )
                found[row["path"]] = row["thumbnail"]
        return found

    def sample(self, size: int) -> tuple[int, dict[str, Floats]]:
        """Give the number of photos, and all vectors of about `size` of them: those with the smallest digests."""
        count = len(self)
        share = min(1.0, size / max(count, 1))
        rows = self._read_verified(None if share == 1 else f"digest < '{round(share * 16**8):08x}'")
        return count, {name: matrix(rows[name]) for name in vectors_in(rows.schema)}

    def nearest(self, column: str, query: Floats, k: int, where: str | None = None, exactly: bool = False) -> pa.Table:
        """Give the rows of the k photos nearest to a unit vector (d,), by the index or, `exactly`, by comparing all."""
        with storage_errors(self.uri):
            search = self._newest.search(query, vector_column_name=column).distance_type(METRIC).limit(k)
            search = search.where(where, prefilter=True) if where else search
            if exactly:
                search = search.bypass_vector_index()
            else:
                search = search.nprobes(PROBES).ef(max(EF, REFINE * k)).refine_factor(REFINE)
            rows = search.select([*self._verified_columns(), "_distance"]).to_arrow()
        self._verify(rows)
        return rows

    def _read(self, columns: list[str] | None, where: str | None = None, limit: int | None = None) -> pa.Table:
        def read() -> pa.Table:
            search = self._newest.search().limit(limit)
            search = search.where(where) if where else search
            return (search.select(columns) if columns else search).to_arrow()

        with storage_errors(self.uri):
            return retry(read)

    def _read_verified(self, where: str | None = None) -> pa.Table:
        """Read rows without their thumbnails, each compared with its checksum."""
        rows = self._read(self._verified_columns(), where)
        self._verify(rows)
        return rows

    def _verified_columns(self) -> list[str]:
        return [*DETAILS, *vectors_in(self._table.schema), "seal"]

    def _verify(self, rows: pa.Table) -> None:
        """Compare rows with their checksums; GalleryError if one is not what was written."""
        if len(places := broken(rows)):
            first = rows["path"][int(places[0])].as_py()
            raise GalleryError(
                f"gallery {self.uri}: {len(places)} of {len(rows)} photos read are damaged on disk ({first!r}); "
                f"`sketchfusion doctor --gallery {self.uri}` says more, `--repair` embeds them again"
            )

    @contextmanager
    def _condition_errors(self, where: str) -> Iterator[None]:
        try:
            with storage_errors(self.uri):
                yield
        except GalleryError as error:
            columns = ", ".join(name for name in self._table.schema.names if name in DETAILS)
            raise GalleryError(f"cannot filter by {where!r}; it must be an SQL condition on {columns}") from error

    def put(self, photos: Sequence[Photo]) -> None:
        """Add photos, or replace those of the same paths, in one commit."""
        if photos:
            rows = to_rows(photos, self._table.schema)
            self._commit(
                lambda t: t.merge_insert("path").when_matched_update_all().when_not_matched_insert_all().execute(rows)
            )

    def forget(self, paths: Iterable[str]) -> int:
        """Delete photos by path, and give how many; `clean` wipes their bytes, and updates the ledger."""
        return sum(self.delete(condition) for condition in is_in("path", paths))

    def delete(self, condition: str) -> int:
        """Delete the rows that an SQL condition holds for, and give how many."""
        return int(self._commit(lambda table: table.delete(condition)).num_deleted_rows)

    def drop_doubles(self) -> None:
        """Keep one row of each path: galleries made before paths were keys got two where writers added one at once."""
        paths = self._read(["path"])["path"]
        if len(paths) == len(paths.unique()):
            return
        with storage_errors(self.uri):
            rows = self._newest.search().with_row_id(True).select(["path"]).limit(None).to_arrow().to_pylist()
        newest = {row["path"]: row["_rowid"] for row in sorted(rows, key=lambda row: int(row["_rowid"]))}
        for row in rows:
            if row["_rowid"] != newest[row["path"]]:  # and its path, as another writer may have moved rows meanwhile
                self.delete(f"_rowid = {row['_rowid']} AND path IN ({sql_list([row['path']])})")

    def compact(self) -> None:
        """Join the many small files that commits leave behind, and drop old versions; another writer's work stands."""
        self._optimize(KEEP_OLD_VERSIONS)
        self.record()

    def clean(self) -> None:
        """Wipe the bytes of deleted photos from disk, older versions and all."""
        for _ in range(CLEANING_ROUNDS):
            self._optimize(timedelta(0))
            newest = max(self._newest.list_versions(), key=lambda one: int(one["version"]))
            if not int(newest["metadata"]["total_deletion_file_rows"]):
                break
            # A file of which little was deleted is left alone, unless there is another one to be joined with it.
            self.put([to_photo(row) for row in self._read(None, limit=1).to_pylist()])
        self.record()

    def index(self) -> None:
        """Build the approximate index of every column of vectors that has none; `compact` keeps it up to date."""
        from lancedb.index import IvfHnswSq

        with storage_errors(self.uri):
            done = {column for index in self._newest.list_indices() for column in index.columns}
            missing = set(vectors_in(self._table.schema)) - done
            for column in missing:
                retry(partial(self._table.create_index, column, config=IvfHnswSq(distance_type=METRIC)))
        if missing:
            self.record()

    def record(self) -> None:
        """Verify every row and record in the ledger which there are; not while another writer commits."""
        version, digests = self.version, dict[str, str]()
        if len(self) > VERIFIED_ROWS:
            rows = self._read(["seal"])
        else:
            rows = self._read(self._verified_columns())
            if not len(broken(rows)):
                details = rows.select([*DETAILS, "seal"]).sort_by("path")
                digests = {"contents": table_digest(*_by_path(rows)), "details": table_digest(details, {})}
        if self.version == version:
            storage.write_ledger(self.uri, self.name, version, seals(rows), digests)

    def _commit(self, change: Callable[[Any], Any]) -> Any:
        """Make a commit to the newest version, again where another writer's came first."""
        with storage_errors(self.uri):
            return retry(lambda: change(self._newest))

    def _optimize(self, keep: timedelta) -> None:
        with storage_errors(self.uri), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # readers of a version that is cleaned away read again
            try:
                retry(lambda: self._newest.optimize(cleanup_older_than=keep))
            except (OSError, ValueError, RuntimeError) as error:
                if not is_conflict(error):
                    raise


def absolute(path: str | Path) -> str:
    """Give the name that a file has in the store: links are kept, because a link's folder may be its category."""
    return os.path.abspath(path)  # noqa: PTH100


def is_in(column: str, values: Iterable[str]) -> list[str]:
    """Write conditions that hold for the rows with some values, so many in each as it may have."""
    every = list(values)
    return [f"{column} IN ({sql_list(every[start : start + 500])})" for start in range(0, len(every), 500)]


def sql_list(values: Iterable[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _by_path(rows: pa.Table) -> tuple[pa.Table, dict[str, Floats]]:
    """Order rows by path: SEARCHED columns, and vectors (N, d) by column."""
    columns, vectors = rows.select(SEARCHED), {name: matrix(rows[name]) for name in vectors_in(rows.schema)}
    order = np.argsort(columns["path"].to_numpy(), kind="stable")
    if (np.diff(order) == 1).all():  # as photos were indexed: hundreds of megabytes need not be moved
        return columns, vectors
    return columns.take(order), {name: np.take(each, order, axis=0) for name, each in vectors.items()}
