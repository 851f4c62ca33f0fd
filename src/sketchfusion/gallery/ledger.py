"""Which rows there are: one digest over all of them, because no row's own seal can say that another is missing.

What is deleted is a list of row numbers without a checksum: one flipped bit, and another photo is gone.
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt

from .beside import Beside

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
