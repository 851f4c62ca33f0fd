"""What every data set yields: samples that say where they lie, what they show and what belongs together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class DatasetError(ValueError):
    """A data set that cannot be used: one line that names the place and says what is expected there."""


@dataclass(frozen=True)
class Sample:
    """One picture or drawing; `photo_id` is shared by a photo and the sketches of it."""

    path: Path
    label: str
    id: str
    kind: Literal["sketch", "photo"] = "photo"
    photo_id: str = ""
    line: int = 0

    @property
    def source(self) -> str:
        """What `read_image` takes: the path, with the line of an ndjson file."""
        return f"{self.path}:{self.line}" if self.line else str(self.path)


def folder_of(root: str | Path, *inner: str) -> Path:
    """Return `root` as an existing folder, or the first folder of `inner` names within it that exists."""
    path = Path(root)
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; check the path of the data")
    return next((path / name for name in inner if (path / name).is_dir()), path)


def chosen(available: Collection[str], wanted: Collection[str] | None, where: Path) -> list[str]:
    """Sort the wanted categories (all when None); DatasetError names one that does not exist."""
    if missing := sorted(set(wanted or ()) - set(available)):
        raise DatasetError(f"{where}: no category {missing[0]!r}; there are {', '.join(sorted(available)[:5])}, ...")
    return sorted(available if wanted is None else set(wanted))
