"""One LanceDB table in a folder or an object store: opened, read, and changed by atomic commits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .faults import GalleryError, explained, retried
from .rows import FORMAT, ModelTag

if TYPE_CHECKING:
    import pyarrow as pa


Result = TypeVar("Result")


class Table:
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
