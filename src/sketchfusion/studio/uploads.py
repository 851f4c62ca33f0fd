"""Uploaded photos become files of the gallery's own, named by their content."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ..io.weights import cache_folder

CHUNK = 1 << 20
LONGEST = 60  # characters of a name that are kept
FOLDER = "uploads"


def folder_for(uri: str) -> Path:
    """Where a gallery's uploads are kept: in its own folder, or for an object store in the cache of this machine."""
    if "://" not in uri:
        return Path(os.path.abspath(uri)) / FOLDER  # noqa: PTH100
    return cache_folder() / FOLDER / hashlib.sha256(uri.encode()).hexdigest()[:16]


def keep(folder: Path, files: Iterable[tuple[str, BinaryIO]]) -> list[Path]:
    """Write files, given by the names they had, into `folder`; the same content under the same name is one file."""
    return [_keep(folder, name, stream) for name, stream in files]


def original_name(path: Path) -> str:
    """The name that an upload had, as far as it was kept."""
    stem, _, digest = path.stem.rpartition("-")
    return f"{stem}{path.suffix}" if len(digest) == 12 and stem else path.name


def _keep(folder: Path, name: str, stream: BinaryIO) -> Path:
    parts = PurePosixPath(name.replace("\\", "/"))
    category = _plain(parts.parent.name) or FOLDER
    suffix = re.sub(r"[^.a-z0-9]", "", parts.suffix.lower())[:8]
    place = folder / category
    place.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=place, prefix=".", delete=False) as file:
        try:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
            path = place / f"{_plain(parts.stem) or 'photo'}-{digest.hexdigest()[:12]}{suffix}"
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path


def _plain(text: str) -> str:
    """Letters, digits, spaces and a few signs; nothing that means something to a file system."""
    return re.sub(r"[^\w \-().]", "_", text).strip(" .")[:LONGEST].strip(" .")
