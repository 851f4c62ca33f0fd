"""Files that several runs may be making at once: each appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


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
