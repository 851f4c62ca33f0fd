"""Files and folders: find pictures, hash contents, and write so that a file is whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError

from ..errors import ImageError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".heic", ".heif", ".avif"})
IMAGE_SUFFIXES |= {".gif", ".bmp", ".tif", ".tiff", ".svg"}

Arrays = dict[str, np.ndarray]


def find_images(roots: str | Path | Iterable[str | Path]) -> list[Path]:
    """List the pictures in folders (searched recursively, hidden ones skipped) and files, sorted, without duplicates.

    A file among the roots is listed with any suffix. Raises ImageError for a root that does not exist.
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
    """Tell whether a path is a file, or a folder with a picture at any depth."""
    return Path(root).is_file() or any(True for _ in _walk(Path(root)))


def other_files(roots: str | Path | Iterable[str | Path]) -> Counter[str]:
    """Count the files in folders that are not pictures by their suffix; hidden ones are left out."""
    folders = [root for root in ([roots] if isinstance(roots, str | Path) else roots) if Path(root).is_dir()]
    names = (path.name for root in folders for path in _walk(Path(root), lambda name: not _is_picture_name(name)))
    return Counter(Path(name).suffix.lower() for name in names if not name.startswith("."))


def every_file(root: str | Path) -> Iterator[Path]:
    """List all files in a folder, links followed, hidden ones left out."""
    return _walk(Path(root), lambda name: not name.startswith("."))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty where the file is missing or holds anything else."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def file_digest(path: str | Path) -> str:
    """Give the SHA-256 of a file's bytes as hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file or a folder in one step: yield a new hidden name beside `path`, which replaces `path` at the end.

    Missing parent folders are made. After an error `path` is as it was and nothing else is left; only a killed process
    leaves the hidden name behind. Several processes may write the same `path`: the last one wins. Raises OSError, which
    names `path`, if it cannot be written.
    """
    draft = path.with_name(f".{path.stem}.{uuid4().hex[:12]}.draft{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        if draft.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        draft.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or f"the disk may be full ({error})"
        raise OSError(f"{path} cannot be written: {reason}") from None
    finally:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def cached_arrays(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """Read the arrays of an .npz archive; where it is missing or damaged, make them and write it."""
    try:
        with np.load(path) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error):
        arrays = make()
    with atomic_write(path) as draft:
        np.savez_compressed(draft, **arrays)  # type: ignore[arg-type]
    return arrays


def _is_picture_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES


def _walk(root: Path, wanted: Callable[[str], bool] = _is_picture_name) -> Iterator[Path]:
    visited: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in visited else [name for name in folders if not name.startswith(".")]
        if real not in visited:
            yield from (Path(folder, name) for name in files if wanted(name))
        visited.add(real)
