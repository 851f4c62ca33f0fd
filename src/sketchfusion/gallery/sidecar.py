"""Files beside the table of a gallery, in its folder or object store: each appears whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from .errors import explained

if TYPE_CHECKING:
    from pyarrow import fs


class Beside:
    """One folder of files, named from there; it is made when a file is first written."""

    def __init__(self, uri: str, folder: str) -> None:
        """Name the place."""
        self.uri, self._folder = uri, folder

    def write(self, name: str, data: bytes) -> None:
        """Write a file, or replace it."""
        with explained(self.uri):
            system, root = self._place()
            path = f"{root}/{name}"
            if system.type_name != "local":  # an object appears whole, and needs no folder
                return _write(system, path, data)
            system.create_dir(path.rpartition("/")[0], recursive=True)
            part = f"{path}.{uuid4().hex}"
            _write(system, part, data)
            system.move(part, path)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, or None if there is none."""
        with explained(self.uri):
            system, root = self._place()
            try:
                with system.open_input_file(f"{root}/{name}") as file:
                    data: bytes = file.read()
                    return data
            except FileNotFoundError:
                return None

    def _place(self) -> tuple[fs.FileSystem, str]:
        from pyarrow import fs

        uri = self.uri if "://" in self.uri else str(Path(self.uri).resolve())
        if uri.startswith("s3://") and (endpoint := os.environ.get("AWS_ENDPOINT")):
            scheme, _, host = endpoint.partition("://")  # Arrow reads only AWS_ENDPOINT_URL, Lance both
            uri += "?" + urlencode({"scheme": scheme, "endpoint_override": host})
        system, root = fs.FileSystem.from_uri(uri)
        return system, f"{root.rstrip('/')}/{self._folder}"


def _write(system: fs.FileSystem, path: str, data: bytes) -> None:
    with system.open_output_stream(path, compression=None) as file:
        file.write(data)


# Which rows there are: one digest over all of them, because no row's own seal can say that another is missing.
#
# What is deleted is a list of row numbers without a checksum: one flipped bit, and another photo is gone.


FOLDER, FILE = "ledger", "rows.json"
Account = dict[str, int]


def account(seals: npt.NDArray[np.int64]) -> Account:
    """The number of rows and the exclusive or of their seals (N,)."""
    return {"count": len(seals), "roll": int(np.bitwise_xor.reduce(seals)) if len(seals) else 0}


def note(uri: str, table: str, version: int, seals: npt.NDArray[np.int64]) -> None:
    """Write down which rows a version of a table has, in place of what was noted before."""
    written = {"table": table, "version": version, **account(seals)}
    Beside(uri, FOLDER).write(FILE, json.dumps(written).encode())


def agrees(uri: str, table: str, version: int, seals: npt.NDArray[np.int64]) -> bool:
    """Whether these are the rows that were noted; True where nothing is known of that version.

    That is so while commits are made, and after a kill until the next one.
    """
    data = Beside(uri, FOLDER).read(FILE)
    try:
        noted = json.loads(data) if data else {}
    except ValueError:
        return False
    if not isinstance(noted, dict) or (noted.get("table"), noted.get("version")) != (table, version):
        return True
    return {name: noted.get(name) for name in ("count", "roll")} == account(seals)
