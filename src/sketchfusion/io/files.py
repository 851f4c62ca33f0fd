"""Files and folders: find pictures, hash contents, and write so that a file is whole or not there at all."""

import fnmatch
import hashlib
import json
import mimetypes
import os
import re
import shutil
import stat
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError

from ..errors import ImageError, escaped

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".heic", ".heif", ".avif"})
IMAGE_SUFFIXES |= {".gif", ".bmp", ".dib", ".tif", ".tiff", ".svg", ".svgz", ".ico", ".apng", ".mpo"}
IMAGE_SUFFIXES |= {".jp2", ".j2k", ".jpx", ".jpf", ".jpc", ".ppm", ".pgm", ".pbm", ".pnm"}
# Files that people take for pictures and that are not read: what to do, and their suffixes.
UNREAD = {
    "RAW photos; save them as JPEG": ".cr2 .cr3 .crw .nef .nrw .arw .sr2 .dng .raf .orf .rw2 .pef .srw .x3f .3fr .iiq",
    "JPEG XL; save them as JPEG or PNG": ".jxl",
    "documents; export them as PNG": ".pdf .ai .eps .psd .psb .xcf .kra .clip .cdr .afphoto .afdesign .procreate",
    "videos; save stills of them": ".mp4 .mov .m4v .avi .mkv .webm .mpg .mts .3gp .wmv",
}
SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "recycler", "system volume information"}
    | {"__macosx", "lost+found"}
)
_SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|....ftyp(hei|hev|mif1|msf1|avi[fs])|BM....\0\0\0\0"
    rb"|II\*\0|MM\0\*|\0\0\0\x0cjP  \r\n",
    re.DOTALL,
)
_TYPES = mimetypes.MimeTypes()  # the table of Python itself, whatever the machine's is

Arrays = dict[str, np.ndarray]


@dataclass
class Survey:
    pictures: list[Path] = field(default_factory=list)  # sorted, without duplicates
    ignored: Counter[str] = field(default_factory=Counter)  # files that are no pictures, by suffix
    skipped: Counter[str] = field(default_factory=Counter)  # the system's folders and what is excluded, by name
    unreadable: list[str] = field(default_factory=list)  # folders one may not read and special files, with the reason

    def advice(self) -> list[str]:
        """Say in a line each what was left out and what to do about it."""
        counts = {meaning: sum(self.ignored[one] for one in suffixes.split()) for meaning, suffixes in UNREAD.items()}
        lines = [f"{count} not read: {meaning}" for meaning, count in counts.items() if count]
        names = ", ".join(escaped(name) for name in sorted(self.skipped))
        return [*lines, *([f"{self.skipped.total()} left out: {names}"] if names else []), *self.unreadable]


def survey(roots: str | Path | Iterable[str | Path], exclude: Sequence[str] = ()) -> Survey:
    """Look through folders, links followed, and files; a file among the roots counts as a picture with any suffix.

    Hidden files and folders and `SYSTEM_FOLDERS` are left out, and what matches a glob of `exclude` by its name or by
    its path in the root. Where the suffix says nothing of a file, its first bytes decide. Raises ImageError for a root
    that does not exist.
    """
    survey, found = Survey(), dict[str, Path]()
    for root in [roots] if isinstance(roots, str | Path) else roots:
        path = Path(root)
        if is_gone(path) or root == "":  # as of a variable of the shell that is not set; Path would take it for here
            raise ImageError(f"{root or repr('')}: no such file or folder; check the path")
        for item in _pictures(path, survey, exclude):
            real = os.path.realpath(item)
            found[real] = min(item, found.get(real, item), key=lambda path: (len(path.parts), path))
    survey.pictures = sorted(found.values())
    return survey


def find_images(roots: str | Path | Iterable[str | Path]) -> list[Path]:
    """List the pictures that `survey` finds."""
    return survey(roots).pictures


def holds_images(root: str | Path) -> bool:
    """Tell whether a path is a file, or a folder with a picture at any depth."""
    return any(True for _ in _pictures(Path(root), Survey(), ()))


def every_file(root: str | Path) -> Iterator[Path]:
    """List all files in a folder, links followed, hidden ones left out."""
    for folder, _, files in _folders(Path(root)):
        yield from (folder / name for name in files)


def is_gone(path: str | Path) -> bool:
    """Tell whether a file or folder is surely not there; one that may not be looked at may be there."""
    try:
        Path(path).stat()
    except (OSError, ValueError) as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


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
    leaves hidden names behind, for `clear_drafts`. Several processes may write the same `path`: the last one wins. An
    old folder is moved to a hidden name first, as no folder can be replaced. OSError, with `path`, if that fails.
    """
    draft = path.with_name(f".{path.stem}.{uuid4().hex[:12]}.draft{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        _put_in_place(draft, path)
    except (OSError, SafetensorError) as error:
        unsaid = str(error) if isinstance(error, SafetensorError) else f"the disk may be full ({error})"
        reason = getattr(error, "strerror", None) or unsaid
        raise OSError(f"{path} cannot be written: {reason}") from None
    finally:
        _delete(draft)


def _put_in_place(draft: Path, path: Path) -> None:
    aside = draft.with_name(f"{draft.name}.old")
    if both := draft.is_dir() and path.is_dir():
        path.replace(aside)
    try:
        draft.replace(path)
    except OSError:
        if both:
            aside.replace(path)
        raise
    _delete(aside)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def clear_drafts(*folders: Path) -> None:
    """Delete the drafts of `atomic_write` in folders that nothing was written to for an hour: their process is gone."""
    for draft in [draft for folder in folders for draft in folder.rglob(".*.draft*")]:
        with suppress(OSError):
            if time.time() - max(one.stat().st_mtime for one in (draft, *draft.rglob("*"))) > 3600:
                _delete(draft)


def free_room(folder: Path) -> int:
    """Return the free bytes of the disk that a folder is on, or will be."""
    return shutil.disk_usage(next(of for of in (folder.absolute(), *folder.absolute().parents) if of.exists())).free


# Held while a header is read: numpy parses it as Python code, in which Python 3.11 may fail in two threads at once.
ONE_HEADER = threading.Lock()


def map_array(path: str | Path) -> np.memmap:
    """Map an .npy file to memory; OSError, ValueError or EOFError if it is missing or damaged."""
    with ONE_HEADER:
        array: np.memmap = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


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


def _pictures(root: Path, survey: Survey, exclude: Sequence[str]) -> Iterator[Path]:
    """Yield the pictures of a folder, or a file itself, and note in `survey` what else is there."""

    def denied(error: OSError) -> None:
        survey.unreadable.append(f"{escaped(error.filename)}: {error.strerror}")

    def excluded(path: Path) -> bool:
        names = (path.name, path.relative_to(root).as_posix()) if exclude else ()
        return any(fnmatch.fnmatch(name, glob.rstrip("/")) for name in names for glob in exclude)

    if not os.path.isdir(root):  # noqa: PTH112, as Path.is_dir raises where one may not look
        if _is_file(root, survey):
            yield root
        return
    for folder, folders, files in _folders(root, denied):
        for name in list(folders):
            if _of_system(folder, name.casefold()) or excluded(folder / name):
                folders.remove(name)
                survey.skipped[name] += 1
        for path in (folder / name for name in files):
            if excluded(path):
                survey.skipped[path.name] += 1
            elif _is_file(path, survey):
                if _is_picture(path):
                    yield path
                else:
                    survey.ignored[path.suffix.lower()] += 1


def _of_system(folder: Path, name: str) -> bool:
    """Tell whether a folder, by its name in lower case, holds thumbnails, rubbish and the like, but no photos."""
    in_library = folder.suffix.lower() in (".photoslibrary", ".photolibrary")  # Apple's Photos and iPhoto
    return name in SYSTEM_FOLDERS or name.endswith(".lrdata") or (in_library and name not in ("originals", "masters"))


def _folders(
    root: Path, on_error: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk through folders as os.walk does, links followed, each once; hidden files and folders are left out."""
    visited: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=on_error):
        real = os.path.realpath(folder)
        folders[:] = [] if real in visited else [name for name in folders if not name.startswith(".")]
        if real not in visited:
            yield Path(folder), folders, [name for name in files if not name.startswith(".")]
        visited.add(real)


def _is_file(path: Path, survey: Survey) -> bool:
    """Tell whether a path may be opened: pipes, sockets and devices, which might never end, are noted in `survey`."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return True  # reading it says why
    if not regular:
        survey.unreadable.append(f"{escaped(path)}: a named pipe, socket or device and no file; left out")
    return regular


def _is_picture(path: Path) -> bool:
    """Tell whether a file is a picture by its suffix, or by its first bytes if the suffix says nothing."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    if any(suffix in suffixes.split() for suffixes in UNREAD.values()) or _TYPES.guess_type(f"a{suffix}")[0]:
        return False
    try:
        with path.open("rb") as file:
            return _SIGNATURES.match(file.read(32)) is not None
    except (OSError, ValueError):
        return False
