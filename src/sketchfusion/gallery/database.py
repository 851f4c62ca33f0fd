"""The database that a gallery's tables lie in, and what their names say."""

from __future__ import annotations

from typing import Any

PREFIX = "photos-"  # and the start of the fingerprint of the model that made the features
UNFINISHED = "unfinished-"  # and the same: marks a table that is still being filled in the place of another


def connect(uri: str) -> Any:
    """Open the database at a URI."""
    import lancedb  # late: it takes more than a second to import

    return lancedb.connect(uri)


def table_names(database: Any) -> list[str]:
    """The names of all tables, sorted."""
    return sorted(database.list_tables().tables)
