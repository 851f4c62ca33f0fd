"""The columns of vectors of a gallery's table: read, sampled, and searched by an approximate index or one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .faults import GalleryError, explained, retried

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float32]

VECTORS = ("vector", "joint")
# The approximate index: this many partitions are looked into, `EF` neighbours are followed, and `REFINE` times as many
# rows as were asked for are compared again with their unrounded vectors.
METRIC, PROBES, EF, REFINE = "cosine", 64, 256, 4


class Vectors:
    """All vectors of one table; each method sees the newest version."""

    def __init__(self, uri: str, table: Any) -> None:
        self._uri, self._table = uri, table

    def read(self, column: str, where: str | None = None) -> tuple[list[str], Floats]:
        """Paths and one column of vectors (N, d), ordered by path; of all rows or those that a condition holds for."""
        rows = self._rows(["path", column], where)
        order = np.argsort(paths := rows["path"].to_numpy(), kind="stable")
        return list(paths[order]), matrix(rows[column])[order]

    def one(self, path: str) -> Floats | None:
        """One photo's feature (d,), or None if it is not there."""
        found = self.read("vector", "path = '" + path.replace("'", "''") + "'")[1]
        return found[0] if len(found) else None

    def sample(self, size: int) -> tuple[int, dict[str, Floats]]:
        """The number of photos, and all vectors of about `size` of them: those whose digest is among the smallest."""
        with explained(self._uri):
            self._table.checkout_latest()
            count = int(self._table.count_rows())
        share = min(1.0, size / max(count, 1))
        where = None if share == 1 else f"digest < '{round(share * 16**8):08x}'"
        columns = vector_columns(self._table.schema)
        rows = self._rows(columns, where)
        return count, {name: matrix(rows[name]) for name in columns}

    def count(self, where: str) -> int:
        """The number of photos that an SQL condition holds for."""
        with filtering(self._uri, where, self._table.schema):
            return int(self._table.count_rows(where))

    def nearest(self, column: str, query: Floats, k: int, where: str | None = None, exactly: bool = False) -> pa.Table:
        """Path, category and vectors of the k photos nearest to a unit vector, by the index or by reading them all.

        Photos that came after the index was built are compared one by one.
        """
        columns = ["path", "category", *vector_columns(self._table.schema), "_distance"]
        with explained(self._uri):
            self._table.checkout_latest()
            asked = self._table.search(query, vector_column_name=column).distance_type(METRIC).limit(k)
            asked = asked.where(where, prefilter=True) if where else asked
            return (asked.bypass_vector_index() if exactly else _thoroughly(asked, k)).select(columns).to_arrow()

    def index(self) -> None:
        """Build the approximate index of every column of vectors that has none; `compact` keeps it up to date."""
        from lancedb.index import IvfHnswSq

        with explained(self._uri):
            self._table.checkout_latest()
            done = {column for index in self._table.list_indices() for column in index.columns}
            for column in set(vector_columns(self._table.schema)) - done:
                retried(partial(self._table.create_index, column, config=IvfHnswSq(distance_type=METRIC)))

    def _rows(self, columns: list[str], where: str | None = None) -> pa.Table:
        with explained(self._uri):
            self._table.checkout_latest()
            query = self._table.search().limit(None)
            return (query.where(where) if where else query).select(columns).to_arrow()


@contextmanager
def filtering(uri: str, where: str, schema: pa.Schema) -> Iterator[None]:
    """Say of a condition that cannot be read which columns there are."""
    try:
        with explained(uri):
            yield
    except GalleryError as error:
        columns = ", ".join(name for name in schema.names if name not in ("thumbnail", *VECTORS))
        raise GalleryError(f"cannot filter by {where!r}; it must be an SQL condition on {columns}") from error


def listed(vectors: Sequence[Floats]) -> pa.Array:
    import pyarrow as pa

    values = np.concatenate(vectors).astype(np.float32, copy=False)
    return pa.FixedSizeListArray.from_arrays(pa.array(values), len(values) // len(vectors))


def vector_columns(schema: pa.Schema) -> list[str]:
    """The columns of vectors that a table has."""
    return [name for name in VECTORS if name in schema.names]


def matrix(column: pa.ChunkedArray) -> Floats:
    """A column of vectors as (N, d)."""
    flat: Floats = column.combine_chunks().flatten().to_numpy()
    return flat.reshape(-1, column.type.list_size)


def _thoroughly(asked: Any, k: int) -> Any:
    """How thoroughly the index is walked: recall 0.99 and more at 100,000 photos."""
    return asked.nprobes(PROBES).ef(max(EF, REFINE * k)).refine_factor(REFINE)
