"""Files that several runs may be making at once: each appears whole or not at all."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np

Arrays = dict[str, np.ndarray]


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Give a name of its own, in the same folder, to write to; when all went well, the file takes the place of `path`.

    The folder is made. Nothing is left behind otherwise, unless the process is killed. OSError says which file cannot
    be written.
    """
    draft = path.with_name(f"{path.stem}.{uuid4().hex}.draft{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.replace(path)
    except OSError as error:
        reason = error.strerror or f"the disk may be full ({error})"
        raise OSError(f"{path} cannot be written: {reason}") from None
    finally:
        draft.unlink(missing_ok=True)


def archived(path: Path, made: Callable[[], Arrays]) -> Arrays:
    """Give the arrays of an archive; where there is none, or a damaged one, they are made and written to it."""
    try:
        with np.load(path) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error):
        arrays = made()
    with drafted(path) as draft:
        np.savez_compressed(draft, **arrays)  # type: ignore[arg-type]
    return arrays
