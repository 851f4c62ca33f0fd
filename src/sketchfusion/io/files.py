"""Folders to lists of pictures, files to digests."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np

from ..errors import ImageError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".heic", ".heif", ".avif"})
IMAGE_SUFFIXES |= {".gif", ".bmp", ".tif", ".tiff", ".svg"}


def find_images(roots: str | Path | Iterable[str | Path]) -> list[Path]:
    """List the pictures in folders (walked, hidden ones skipped) and files, sorted, each once.

    Files named outright are kept whatever their suffix. Raises ImageError for a root that does not exist.
    """
    found: dict[str, Path] = {}
    for root in [roots] if isinstance(roots, str | Path) else roots:
        path = Path(root)
        if not path.exists():
            raise ImageError(f"{path}: no such file or folder; check the path")
        for item in _walk(path) if path.is_dir() else [path]:
            real = os.path.realpath(item)
            found[real] = min(item, found.get(real, item), key=lambda path: (len(path.parts), path))
    return sorted(found.values())


def holds_images(root: str | Path) -> bool:
    """Whether a folder holds a picture at any depth, or is one itself."""
    return Path(root).is_file() or any(True for _ in _walk(Path(root)))


def other_files(roots: str | Path | Iterable[str | Path]) -> Counter[str]:
    """Count the files in folders that no picture's suffix marks, by their suffix, hidden ones left out."""
    folders = [root for root in ([roots] if isinstance(roots, str | Path) else roots) if Path(root).is_dir()]
    names = (path.name for root in folders for path in _walk(Path(root), lambda name: not _is_picture_name(name)))
    return Counter(Path(name).suffix.lower() for name in names if not name.startswith("."))


def every_file(root: str | Path) -> Iterator[Path]:
    """List all files in a folder, links followed, hidden ones left out."""
    return _walk(Path(root), lambda name: not name.startswith("."))


def _is_picture_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES


def _walk(root: Path, wanted: Callable[[str], bool] = _is_picture_name) -> Iterator[Path]:
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        if real not in seen:
            yield from (Path(folder, name) for name in files if wanted(name))
        seen.add(real)


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes as hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Files that several runs may be making at once: each appears whole or not at all.


Arrays = dict[str, np.ndarray]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
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


def cached_arrays(path: Path, made: Callable[[], Arrays]) -> Arrays:
    """Give the arrays of an archive; where there is none, or a damaged one, they are made and written to it."""
    try:
        with np.load(path) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error):
        arrays = made()
    with atomic_write(path) as draft:
        np.savez_compressed(draft, **arrays)  # type: ignore[arg-type]
    return arrays
