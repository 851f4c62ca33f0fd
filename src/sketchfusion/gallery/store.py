"""Where a gallery lives: one LanceDB table in a folder or an object store, every change an atomic commit.

The table is named after the model that made its vectors, so features of two models cannot meet in one table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from .faults import GalleryError, explained, is_conflict, retried

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "1"
PREFIX = "photos-"
VECTORS = ("vector", "joint")
# The approximate index: this many partitions are looked into, `EF` neighbours are followed, and `REFINE` times as many
# rows as were asked for are compared again with their unrounded vectors.
METRIC, PROBES, EF, REFINE = "cosine", 64, 256, 4
# Readers of an older version keep its files for this long after a compaction.
KEEP_OLD_VERSIONS = timedelta(minutes=10)


@dataclass(frozen=True)
class ModelTag:
    """The model that made a gallery's vectors."""

    name: str
    fingerprint: str
    dim: int
    joint_dim: int = 0  # of the space shared with text; 0 if the model has none


@dataclass(frozen=True)
class FileState:
    """A photo's file as it was when it was indexed."""

    path: str  # absolute
    digest: str  # SHA-256 of its bytes
    size: int  # bytes
    mtime_ns: int


@dataclass(frozen=True, eq=False)
class Photo:
    """One row: the file, what it shows, a small picture of it and its feature."""

    file: FileState
    width: int  # pixels, upright
    height: int
    category: str  # the name of its folder
    thumbnail: bytes  # JPEG
    vector: npt.NDArray[np.float32]  # (d,), unit length
    joint: npt.NDArray[np.float32] | None = None  # (P,), unit length, in the space shared with text


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
        self.uri = uri
        self._table = table
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if metadata.get("format") != FORMAT:
            raise GalleryError(f"{uri} has a format that this version does not know; update sketchfusion")
        dim, joint_dim = (_length(table.schema, column) for column in ("vector", "joint"))
        self.made_with = ModelTag(metadata["model"], metadata["fingerprint"], dim, joint_dim)

    @classmethod
    def find(cls, uri: str) -> Self | None:
        """Open the gallery at `uri`, or give None if there is none."""
        if "://" not in uri and not Path(uri).is_dir():
            if Path(uri).exists():
                raise GalleryError(f"{uri} is a file; a gallery is a folder")
            return None
        with explained(uri):
            database = connect(uri)
            names = sorted(name for name in _names(database) if name.startswith(PREFIX))
            for name in names:
                try:
                    return cls(uri, database.open_table(name))
                except ValueError as error:
                    if "was not found" not in str(error):
                        raise  # else it is only a folder yet: its maker was killed, or is about to write the rest
            return None

    @classmethod
    def create(cls, uri: str, model: ModelTag) -> Self:
        """Make an empty gallery for a model's vectors; a second caller at the same moment opens the first's."""
        with explained(uri):
            name = PREFIX + model.fingerprint[:16]
            return cls(uri, connect(uri).create_table(name, schema=_schema(model), exist_ok=True))

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
            rows = _to_rows(photos, self._table.schema)
            merge = self._table.merge_insert("path").when_matched_update_all().when_not_matched_insert_all()
            with explained(self.uri):
                retried(lambda: merge.execute(rows))

    def remove(self, paths: Iterable[str]) -> int:
        """Forget photos by their paths; gives how many there were."""
        conditions = [f"path IN ({_quoted(part)})" for part in _parts(list(paths))]
        with explained(self.uri):
            return sum(retried(partial(self._table.delete, one)).num_deleted_rows for one in conditions)

    def files(self) -> dict[str, FileState]:
        """The state of every indexed file, by path."""
        rows = self._read(["path", "digest", "size", "mtime_ns"]).to_pylist()
        return {row["path"]: FileState(**row) for row in rows}

    def with_digests(self, digests: Iterable[str]) -> dict[str, Photo]:
        """One photo for each content that is known."""
        return {
            photo.file.digest: photo
            for part in _parts(list(digests))
            for photo in map(_to_photo, self._read(None, f"digest IN ({_quoted(part)})").to_pylist())
        }

    def load(self) -> Contents:
        """Everything that a search needs, in memory."""
        version = self.version
        rows = self._read(["path", "category", "vector"])
        order = np.argsort(paths := rows["path"].to_numpy(), kind="stable")
        vectors = matrix(rows["vector"])[order]
        return Contents(version, paths[order], rows["category"].to_numpy()[order], vectors)

    def matching(self, where: str) -> set[str]:
        """The paths of the rows that an SQL condition over the columns holds for."""
        with self._filtering(where):
            return set(self._read(["path"], where)["path"].to_pylist())

    @contextmanager
    def _filtering(self, where: str) -> Iterator[None]:
        try:
            with explained(self.uri):
                yield
        except GalleryError as error:
            columns = ", ".join(name for name in self._table.schema.names if name not in ("thumbnail", *VECTORS))
            raise GalleryError(f"cannot filter by {where!r}; it must be an SQL condition on {columns}") from error

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The small pictures (JPEG) of photos, by path."""
        return {
            row["path"]: row["thumbnail"]
            for part in _parts(list(paths))
            for row in self._read(["path", "thumbnail"], f"path IN ({_quoted(part)})").to_pylist()
        }

    def compact(self) -> None:
        """Join the many small files that commits leave behind, and drop old versions.

        Nothing is lost when another writer, who does the same at that moment, gets ahead: its work stands.
        """

        def join() -> None:
            self._table.checkout_latest()  # a retry from the version that lost would lose again
            self._table.optimize(cleanup_older_than=KEEP_OLD_VERSIONS)

        with explained(self.uri):
            try:
                retried(join)
            except (OSError, ValueError, RuntimeError) as error:
                if not is_conflict(error):
                    raise

    def categories(self) -> list[str]:
        """The names of the folders that the photos lie in, sorted."""
        return sorted(set(self._read(["category"])["category"].unique().to_pylist()))

    def vectors(self, column: str, where: str | None = None) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Paths and one column of vectors (N, d), ordered by path; of all rows or those that a condition holds for."""
        rows = self._read(["path", column], where)
        order = np.argsort(paths := rows["path"].to_numpy(), kind="stable")
        return list(paths[order]), matrix(rows[column])[order]

    def vector(self, path: str) -> npt.NDArray[np.float32] | None:
        """One photo's feature (d,), or None if it is not there."""
        found = self.vectors("vector", f"path = {_quoted([path])}")[1]
        return found[0] if len(found) else None

    def sample(self, size: int) -> tuple[int, dict[str, npt.NDArray[np.float32]]]:
        """The number of photos, and all vectors of about `size` of them: those whose digest is among the smallest."""
        count = len(self)
        share = min(1.0, size / max(count, 1))
        where = None if share == 1 else f"digest < '{round(share * 16**8):08x}'"
        columns = _vectors(self._table.schema)
        rows = self._read(columns, where)
        return count, {name: matrix(rows[name]) for name in columns}

    def count(self, where: str) -> int:
        """The number of photos that an SQL condition holds for."""
        with self._filtering(where):
            return int(self._table.count_rows(where))

    def nearest(
        self, column: str, query: npt.NDArray[np.float32], k: int, where: str | None = None, exactly: bool = False
    ) -> pa.Table:
        """Path, category and vectors of the k photos nearest to a unit vector, by the index or by reading them all.

        Photos that came after the index was built are compared one by one.
        """
        columns = ["path", "category", *_vectors(self._table.schema), "_distance"]
        with explained(self.uri):
            self._table.checkout_latest()
            asked = self._table.search(query, vector_column_name=column).distance_type(METRIC).limit(k)
            asked = asked.where(where, prefilter=True) if where else asked
            return (asked.bypass_vector_index() if exactly else _thoroughly(asked, k)).select(columns).to_arrow()

    def kept(self, kind: str) -> npt.NDArray[np.float32] | None:
        """Vectors that were kept beside the photos under a name, or None."""
        with explained(self.uri):
            database, name = connect(self.uri), self._beside(kind)
            return matrix(database.open_table(name).to_arrow()["vector"]) if name in _names(database) else None

    def keep(self, kind: str, vectors: npt.NDArray[np.float32]) -> None:
        """Keep vectors (N, d) beside the photos; where nothing can be written, they are not kept."""
        import pyarrow as pa

        with suppress(GalleryError), explained(self.uri):
            rows = pa.table({"vector": _listed(list(vectors))})
            connect(self.uri).create_table(self._beside(kind), rows, mode="overwrite")

    def _beside(self, kind: str) -> str:
        return f"{kind}-{self.made_with.fingerprint[:16]}"

    def index(self) -> None:
        """Build the approximate index of every column of vectors that has none; `compact` keeps it up to date."""
        from lancedb.index import IvfHnswSq

        with explained(self.uri):
            self._table.checkout_latest()
            done = {column for index in self._table.list_indices() for column in index.columns}
            for column in set(_vectors(self._table.schema)) - done:
                retried(partial(self._table.create_index, column, config=IvfHnswSq(distance_type=METRIC)))

    def details(self, names: Sequence[str], column: str, values: Sequence[str] | None) -> list[dict[str, Any]]:
        """The columns named, as far as there are such, of the rows whose `column` has one of `values`; None: all."""
        columns = [name for name in names if name in self._table.schema.names]
        if values is None:
            return list(self._read(columns).to_pylist())
        parts = [f"{column} IN ({_quoted(part)})" for part in _parts(list(values))]
        return [row for where in parts for row in self._read(columns, where).to_pylist()]

    def _read(self, columns: list[str] | None, where: str | None = None) -> pa.Table:
        with explained(self.uri):
            self._table.checkout_latest()
            query = self._table.search().limit(None)
            query = query.where(where) if where else query
            return (query.select(columns) if columns else query).to_arrow()


def connect(uri: str) -> Any:
    import lancedb  # late: it takes more than a second to import

    return lancedb.connect(uri)


def _names(database: Any) -> list[str]:
    return list(database.list_tables().tables)


def _schema(model: ModelTag) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("path", pa.string()),
            ("digest", pa.string()),
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("category", pa.string()),
            ("thumbnail", pa.binary()),
            ("vector", pa.list_(pa.float32(), model.dim)),
            *([("joint", pa.list_(pa.float32(), model.joint_dim))] if model.joint_dim else []),
        ],
        metadata={"format": FORMAT, "model": model.name, "fingerprint": model.fingerprint},
    )


def _to_rows(photos: Sequence[Photo], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, Any] = {
        **{name: [getattr(p.file, name) for p in photos] for name in ("path", "digest", "size", "mtime_ns")},
        **{name: [getattr(p, name) for p in photos] for name in ("width", "height", "category", "thumbnail")},
        **{name: _listed([getattr(photo, name) for photo in photos]) for name in _vectors(schema)},
    }
    return pa.table(columns, schema=schema)


def _to_photo(row: dict[str, Any]) -> Photo:
    file = FileState(row["path"], row["digest"], row["size"], row["mtime_ns"])
    vector = np.asarray(row["vector"], np.float32)
    joint = np.asarray(row["joint"], np.float32) if row.get("joint") else None
    return Photo(file, row["width"], row["height"], row["category"], row["thumbnail"], vector, joint)


def _listed(vectors: Sequence[npt.NDArray[np.float32]]) -> pa.Array:
    import pyarrow as pa

    values = np.concatenate(vectors).astype(np.float32, copy=False)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), len(values) // len(vectors))


def _vectors(schema: pa.Schema) -> list[str]:
    """The columns of vectors that a table has."""
    return [name for name in VECTORS if name in schema.names]


def _length(schema: pa.Schema, column: str) -> int:
    return int(schema.field(column).type.list_size) if column in schema.names else 0


def matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """A column of vectors as (N, d)."""
    flat: npt.NDArray[np.float32] = column.combine_chunks().flatten().to_numpy()
    return flat.reshape(-1, column.type.list_size)


def _thoroughly(asked: Any, k: int) -> Any:
    """How thoroughly the index is walked: recall 0.99 and more at 100,000 photos."""
    return asked.nprobes(PROBES).ef(max(EF, REFINE * k)).refine_factor(REFINE)


def _parts(values: list[str], size: int = 500) -> Iterator[list[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _quoted(values: Iterable[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
