"""The folder or object store of a gallery: its database, small files beside the tables, and what goes wrong there."""

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from pyarrow import fs

from ..io.late import make_late

NO_ROOM = ("os error 28", "os error 27", "os error 122", "No space left", "File too large")  # disk, file size, quota
# Parts of an object store's messages, and what to do about each.
ADVICE = {
    "NoSuchBucket": "there is no such bucket; make it first",
    "BadScheme": "its endpoint is plain http; allow that with AWS_ALLOW_HTTP=true",
    "credentials": "no credentials are known; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "status: 403": "these credentials may not do that; check AWS_ACCESS_KEY_ID and the bucket's policy",
    "ACCESS_DENIED": "these credentials may not do that; check AWS_ACCESS_KEY_ID and the bucket's policy",
    "kind: Connect": "the object store does not answer; check the network and AWS_ENDPOINT_URL",
    "NETWORK_CONNECTION": "the object store does not answer; check the network and AWS_ENDPOINT_URL",
    "No object store provider": "no store of this kind is known; use a folder, s3://, gs:// or az://",
    "/_versions,": "it was deleted, or moved to another model, since it was opened; open it again",
    "URL did not match": "name a bucket too, as in s3://bucket/name",
}
METADATA_BYTES = 32 << 20  # kept by a connection of versions that it saw, 100 kB or more of each; by default 1 GB
RETRIES = 8  # attempts at a commit that other writers' commits get ahead of
LEDGER, MOUNTS = "ledger/rows.json", "ledger/mounts.json"
Result = TypeVar("Result")


class GalleryError(ValueError):
    """A gallery that is absent, empty, damaged or made with another model; one line that says what to do."""


def connect(uri: str) -> Any:
    os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of every table that it makes
    make_late("lance_namespace_urllib3_client")  # which makes a client of a server that is not used
    import lancedb  # here, because it takes most of a second

    return lancedb.connect(uri, session=lancedb.Session(metadata_cache_size_bytes=METADATA_BYTES))


def table_names(database: Any) -> list[str]:
    return sorted(database.list_tables().tables)


def is_conflict(error: BaseException) -> bool:
    """Tell whether a change failed only because another writer's commit came first."""
    return "conflict" in str(error)


def retry(change: Callable[[], Result]) -> Result:
    """Call again when another writer's commit came first, or cleaned away what was being read."""
    for attempt in range(RETRIES):
        try:
            return change()
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).lower()
            cleaned = "not found" in reason and any(file in reason for file in (".lance/", ".manifest", ".txn"))
            if not (cleaned or is_conflict(error)) or attempt == RETRIES - 1:
                raise
            time.sleep(min(0.05 * 2**attempt, 0.5) * random.random())
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Turn whatever the store raises into a GalleryError of one line."""
    try:
        yield
    except (GalleryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of the store is no Exception
        if any(sign in str(error) for sign in NO_ROOM):
            raise GalleryError(
                f"gallery {uri}: there is no room left to write; all that was stored before is kept, so make room and "
                "run the same command again"
            ) from error
        advice = next((advice for sign, advice in ADVICE.items() if sign in str(error)), None)
        reason = advice or (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise GalleryError(f"gallery {uri}: {reason}") from error


# The ledger: which rows the newest version of the table has. A row's own checksum cannot say that another row is
# missing, and what is deleted is a list of row numbers without a checksum: one flipped bit, and another photo is gone.


def write_ledger(uri: str, table: str, version: int, checksums: npt.NDArray[np.int64], digests: dict[str, str]) -> None:
    """Record the rows of a version by checksums (N,), and `digests` of several columns where they were verified."""
    entry = {"table": table, "version": version, **summary(checksums), "digests": digests}
    _write(uri, LEDGER, entry)


def read_ledger(uri: str, table: str, version: int) -> dict[str, Any]:
    """Read what was recorded of a version; empty where it is another one, as after a kill, until the next commit."""
    entry = _read(uri, LEDGER)
    if not isinstance(entry, dict):
        return {"count": None}  # unreadable: it agrees with no rows
    return entry if (entry.get("table"), entry.get("version")) == (table, version) else {}


def summary(checksums: npt.NDArray[np.int64]) -> dict[str, int]:
    """Give the number of rows and the exclusive or of their checksums."""
    return {"count": len(checksums), "roll": int(np.bitwise_xor.reduce(checksums)) if len(checksums) else 0}


def write_mounts(uri: str, mounts: Iterable[str]) -> None:
    """Record the folders that disks with photos are mounted at, also those that are unplugged now."""
    _write(uri, MOUNTS, sorted(mounts))


def read_mounts(uri: str) -> set[str]:
    """Read the folders that disks with photos were mounted at."""
    recorded = _read(uri, MOUNTS)
    return {*map(str, recorded)} if isinstance(recorded, list) else set()


def _write(uri: str, name: str, entry: object) -> None:
    """Write a small file beside the tables, which is whole or not there."""
    with storage_errors(uri):
        system, path = _beside(uri, name)
        local = system.type_name == "local"  # where a file must not appear in part; an object appears whole
        written = f"{path}.{uuid4().hex}" if local else path
        if local:
            system.create_dir(path.rpartition("/")[0], recursive=True)
        with system.open_output_stream(written, compression=None) as file:
            file.write(json.dumps(entry).encode())
        if local:
            system.move(written, path)


def _read(uri: str, name: str) -> Any:
    """Read a small file beside the tables; an empty object where it is missing or empty, None where it is damaged."""
    with storage_errors(uri):
        system, path = _beside(uri, name)
        try:
            with system.open_input_file(path) as file:
                data = file.read()
        except FileNotFoundError:
            return {}
    try:
        return json.loads(data) if data else {}
    except ValueError:
        return None


def _beside(uri: str, name: str) -> tuple[fs.FileSystem, str]:
    """Give the file system of a file beside the tables, and its path there."""
    uri = uri if "://" in uri else str(Path(uri).resolve())
    if uri.startswith("s3://") and (endpoint := os.environ.get("AWS_ENDPOINT")):
        scheme, _, host = endpoint.partition("://")  # Arrow reads only AWS_ENDPOINT_URL, Lance both
        uri += "?" + urlencode({"scheme": scheme, "endpoint_override": host})
    system, root = fs.FileSystem.from_uri(uri)
    return system, f"{root.rstrip('/')}/{name}"
