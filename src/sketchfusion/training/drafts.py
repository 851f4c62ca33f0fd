"""Files that several runs may be making at once: each appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Give a name of its own, in the same folder, to write to; when all went well, the file takes the place of `path`.

    The folder is made. Nothing is left behind otherwise, unless the process is killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.stem}.{uuid4().hex}.draft{path.suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
