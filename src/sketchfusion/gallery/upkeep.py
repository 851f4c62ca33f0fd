"""A store tidied: small files joined, old versions dropped, and what was forgotten wiped from disk."""

from __future__ import annotations

import warnings
from datetime import timedelta

from .faults import explained, is_conflict, retried
from .rows import to_photo
from .store import GalleryStore

# Readers of an older version keep its files for this long after a compaction.
KEEP_OLD_VERSIONS = timedelta(minutes=10)
CLEANING_ROUNDS = 4


def compact(store: GalleryStore, keep: timedelta = KEEP_OLD_VERSIONS) -> None:
    """Join the many small files that commits leave behind, and drop old versions.

    Nothing is lost when another writer, who does the same at that moment, gets ahead: its work stands.
    """

    def join() -> None:
        store.table.checkout_latest()
        store.table.optimize(cleanup_older_than=keep)

    with explained(store.uri), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # readers of a version that is cleaned away read again
        try:
            retried(join)
        except (OSError, ValueError, RuntimeError) as error:
            if not is_conflict(error):
                raise


def clean(store: GalleryStore) -> None:
    """Wipe the bytes of forgotten photos from disk, older versions and all."""
    for _ in range(CLEANING_ROUNDS):
        compact(store, timedelta(0))
        if not _deleted_rows(store):
            return
        # A file of which little was deleted is left alone, unless there is another one to be joined with it.
        store.put([to_photo(row) for row in store.read(None, limit=1).to_pylist()])


def _deleted_rows(store: GalleryStore) -> int:
    with explained(store.uri):
        store.table.checkout_latest()
        newest = max(store.table.list_versions(), key=lambda one: int(one["version"]))
        return int(newest["metadata"]["total_deletion_file_rows"])
