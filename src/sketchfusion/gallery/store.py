"""Where a gallery lives: found, made and written, every change an atomic commit.

The table is named after the model that made its vectors, so features of two models cannot meet in one table.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from ..featuremap import Floats
from .errors import GalleryError, explained, is_conflict, retried
from .rows import (
    DETAILS,
    FILE,
    FORMAT,
    VECTORS,
    FileState,
    ModelTag,
    Photo,
    PhotoInfo,
    broken,
    matrix,
    schema,
    seal,
    to_photo,
    to_rows,
    vectors_in,
)
from .sidecar import agrees, note

if TYPE_CHECKING:
    import pyarrow as pa


# One LanceDB table in a folder or an object store: opened, read, and changed by atomic commits.


Result = TypeVar("Result")


class LanceTable:
    """The rows of one gallery, of one model."""

    def __init__(self, uri: str, table: Any) -> None:
        """Wrap an open table; GalleryError for another format."""
        self.uri, self._table = uri, table
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if (found := metadata.get("format")) != FORMAT:
            raise GalleryError(
                f"gallery {uri} has format {found}, and this version reads format {FORMAT}; index the photos into a "
                "new gallery"
            )
        self.generation = int(metadata.get("generation", 0))  # of two finished tables the later counts
        dim, joint_dim = (_length(table.schema, column) for column in ("vector", "joint"))
        self.made_with = ModelTag(metadata["model"], metadata["fingerprint"], dim, joint_dim)

    @property
    def name(self) -> str:
        """The name of the table."""
        return str(self._table.name)

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


def connect(uri: str) -> Any:
    """Open the database at a URI."""
    os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of every table that it makes
    import lancedb  # late: it takes more than a second to import

    return lancedb.connect(uri)


def table_names(database: Any) -> list[str]:
    """The names of all tables, sorted."""
    return sorted(database.list_tables().tables)


def absolute(path: str | Path) -> str:
    """The name that a file has in the store: links are kept, because a link's folder may be its category."""
    return os.path.abspath(path)  # noqa: PTH100


def parts(values: list[str], size: int = 500) -> Iterator[list[str]]:
    """Values, so many at a time as fit into one condition."""
    return (values[start : start + size] for start in range(0, len(values), size))


def quoted(values: Iterable[str]) -> str:
    """Values as a list in SQL."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _length(schema: pa.Schema, column: str) -> int:
    return int(schema.field(column).type.list_size) if column in schema.names else 0


# What is asked of a gallery's rows; every row and thumbnail is compared with its seal on the way.


# The approximate index: this many partitions are looked into, `EF` neighbours are followed, and `REFINE` times as many
# rows as were asked for are compared again with their unrounded vectors. Sketches lie far from all photos, where a
# narrow walk goes astray: of the ten nearest of 100,000, EF 256 finds 0.85, 1024 0.98, 2048 all, in the same time.
METRIC, PROBES, EF, REFINE = "cosine", 64, 2048, 4


@dataclass(frozen=True, eq=False)
class Contents:
    """What searching needs of every row, ordered by path."""

    version: int
    paths: npt.NDArray[np.object_]  # (N,)
    categories: npt.NDArray[np.object_]  # (N,)
    vectors: Floats  # (N, d)
    joint: Floats | None  # (N, P), of a model that reads text


class Reading(LanceTable):
    """The rows of one gallery, read."""

    def files(self) -> dict[str, FileState]:
        """The state of every indexed file, by path."""
        rows = self.read(list(FILE)).to_pylist()
        return {row["path"]: FileState(**row) for row in rows}

    def with_digests(self, digests: Iterable[str]) -> dict[str, Photo]:
        """One photo for each content that is known."""
        return {
            photo.file.digest: photo
            for part in parts(list(digests))
            for photo in map(to_photo, self.read(None, f"digest IN ({quoted(part)}) AND mtime_ns > 0").to_pylist())
        }

    def rows_of(self, paths: Sequence[str]) -> pa.Table:
        """The rows of a few photos by their paths."""
        return self.read(None, f"path IN ({quoted(paths)})")

    def load(self) -> Contents:
        """Everything that a search needs, in memory; GalleryError if a row is not what was written."""
        version = self.version
        rows = self.sealed()
        self._check_all_there(version, rows)
        order = np.argsort(paths := rows["path"].to_numpy(), kind="stable")
        columns = {name: matrix(rows[name])[order] for name in vectors_in(rows.schema)}
        categories = rows["category"].to_numpy()[order]
        return Contents(version, paths[order], categories, columns["vector"], columns.get("joint"))

    def sealed(self, where: str | None = None) -> pa.Table:
        """Rows without their thumbnails, each compared with its seal."""
        rows = self.read(self._sealed_columns(), where)
        self._check(rows)
        return rows

    def account(self) -> None:
        """Note which rows there are, so that a missing one is seen; nothing is noted while another writer commits."""
        version, rows = self.version, self.read(["seal"])
        if self.version == version:
            note(self.uri, self.name, version, _seals(rows))

    def _sealed_columns(self) -> list[str]:
        return [*DETAILS, *vectors_in(self._table.schema), "seal"]

    def _check(self, rows: pa.Table) -> None:
        if len(places := broken(rows)):
            first = rows["path"][int(places[0])].as_py()
            raise GalleryError(
                f"gallery {self.uri}: {len(places)} of {len(rows)} photos read are damaged on disk ({first!r}); "
                f"`sketchfusion doctor --gallery {self.uri}` says more, `--repair` embeds them again"
            )

    def _check_all_there(self, version: int, rows: pa.Table) -> None:
        if not self.all_there(version, _seals(rows)):
            raise GalleryError(
                f"gallery {self.uri} does not have the photos that it was left with, a file of it is damaged; index "
                "them again with --prune, or bring back a copy"
            )

    def all_there(self, version: int, seals: npt.NDArray[np.int64]) -> bool:
        """Compare all rows of a version with what was noted of it, unless another came while they were read."""
        return self.version != version or agrees(self.uri, self.name, version, seals)

    def infos(self, where: str) -> list[PhotoInfo]:
        """What is known of photos, ordered by path."""
        names = [field.name for field in fields(PhotoInfo)]
        rows = self.sealed(where)
        details = sorted(rows.drop_columns(vectors_in(rows.schema)).to_pylist(), key=lambda row: str(row["path"]))
        return [PhotoInfo(**{name: row[name] for name in names}) for row in details]

    def paths(self, category: str | None) -> list[str]:
        """The paths of all photos, or of those in a category, sorted."""
        where = None if category is None else f"category = {quoted([category])}"
        return sorted(self.read(["path"], where)["path"].to_pylist())

    def vector(self, path: str) -> Floats | None:
        """One photo's feature (d,), or None if it is not there."""
        found = matrix(self.sealed(f"path = {quoted([path])}")["vector"])
        return found[0] if len(found) else None

    def categories(self) -> list[str]:
        """The names of the folders that the photos lie in, sorted."""
        return sorted(set(self.read(["category"])["category"].unique().to_pylist()))

    def matching(self, where: str) -> set[str]:
        """The paths of the rows that an SQL condition over the columns holds for."""
        with self._filtering(where):
            return set(self.read(["path"], where)["path"].to_pylist())

    def count(self, where: str) -> int:
        """The number of photos that an SQL condition holds for."""
        with self._filtering(where):
            return int(self._table.count_rows(where))

    @contextmanager
    def _filtering(self, where: str) -> Iterator[None]:
        try:
            with explained(self.uri):
                yield
        except GalleryError as error:
            columns = ", ".join(name for name in self._table.schema.names if name in DETAILS)
            raise GalleryError(f"cannot filter by {where!r}; it must be an SQL condition on {columns}") from error

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The small pictures (JPEG) of photos, by path; GalleryError if one is not what was written."""
        columns = ["path", "thumbnail", "thumbnail_seal"]
        found = {}
        for part in parts(list(paths)):
            for row in self.read(columns, f"path IN ({quoted(part)})").to_pylist():
                if seal(row["thumbnail"]) != row["thumbnail_seal"]:
                    raise GalleryError(
                        f"gallery {self.uri}: the thumbnail of {row['path']} is damaged on disk; "
                        f"`sketchfusion doctor --gallery {self.uri} --repair` makes it again"
                    )
                found[row["path"]] = row["thumbnail"]
        return found

    def sample(self, size: int) -> tuple[int, dict[str, Floats]]:
        """The number of photos, and all vectors of about `size` of them: those whose digest is among the smallest."""
        count = len(self)
        share = min(1.0, size / max(count, 1))
        rows = self.sealed(None if share == 1 else f"digest < '{round(share * 16**8):08x}'")
        return count, {name: matrix(rows[name]) for name in vectors_in(rows.schema)}

    def nearest(self, column: str, query: Floats, k: int, where: str | None = None, exactly: bool = False) -> pa.Table:
        """The rows of the k photos nearest to a unit vector, by the index or by reading them all.

        Photos that came after the index was built are compared one by one.
        """
        assert column in VECTORS
        with explained(self.uri):
            self._table.checkout_latest()
            asked = self._table.search(query, vector_column_name=column).distance_type(METRIC).limit(k)
            asked = asked.where(where, prefilter=True) if where else asked
            asked = asked.bypass_vector_index() if exactly else _thoroughly(asked, k)
            rows = asked.select([*self._sealed_columns(), "_distance"]).to_arrow()
        self._check(rows)
        return rows


def _seals(rows: pa.Table) -> npt.NDArray[np.int64]:
    return np.asarray(rows["seal"].to_numpy(), np.int64)


def _thoroughly(asked: Any, k: int) -> Any:
    """How thoroughly the index is walked: recall 0.99 and more of sketches at 100,000 photos."""
    return asked.nprobes(PROBES).ef(max(EF, REFINE * k)).refine_factor(REFINE)


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
