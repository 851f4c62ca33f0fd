"""The folders and months that a gallery's photos can be narrowed by, with the number of photos in each."""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from .rows import LATEST
from .store import sql_list


@dataclass(frozen=True)
class Folder:
    path: str  # absolute
    parent: str  # the path of the folder above; empty at the top
    photos: int  # in it and below


@dataclass(frozen=True)
class Facets:
    """Numbers of photos by folder and by month: that of the camera, else of the last change by the local clock."""

    folders: list[Folder] = field(repr=False)  # each before those in it; the folders above them all are left out
    months: dict[str, int] = field(repr=False)  # photos by month, such as 2024-05, newest first
    undated: int  # photos without a date of the camera


Places = Counter[tuple[str, str, bool]]  # photos by folder, month ("" if unknown), and whether the camera wrote it


def count_places(rows: pa.Table) -> Places:
    """Count photos by folder and month, given the columns path, taken and mtime_ns of all."""
    return Counter(
        (os.path.dirname(path), taken[:7] if taken else _month(changed), bool(taken))  # noqa: PTH120
        for path, taken, changed in zip(*rows.select(["path", "taken", "mtime_ns"]).to_pydict().values(), strict=True)
    )


def count_facets(places: Places, folder: str = "", date: str = "") -> Facets:
    """Count the photos of a date (a year or a month) in every folder, and those in a folder for every month."""
    everywhere, folders, months, undated = Counter[str](), Counter[str](), Counter[str](), 0
    for (place, month, taken), count in places.items():
        around = [str(each) for each in (Path(place), *Path(place).parents)]
        for each in around:
            everywhere[each] += count
            folders[each] += count * month.startswith(date)
        inside = count * (not folder or folder in around)
        months[month] += inside
        undated += inside * (not taken)
    del months[""]
    tree = [replace(one, photos=folders[one.path]) for one in _tree(everywhere)]
    return Facets(tree, dict(sorted(months.items(), reverse=True)), undated)


def in_folder(folder: str) -> str:
    """Write the SQL condition for photos in a folder, given by its absolute path, and below it."""
    return f"starts_with(path, {sql_list([os.path.join(folder, '')])})"  # noqa: PTH118


def dated(period: str) -> str:
    """Write the SQL condition for photos of a month, such as 2024-05, or of a year, such as 2024."""
    year, month = (int(part) for part in f"{period}-0".split("-")[:2])
    start = datetime(year, month or 1, 1)
    end = datetime(year + (month in (0, 12)), month % 12 + 1 if month else 1, 1)
    first, after = (int(each.timestamp()) * 10**9 for each in (start, end))
    first, last = (max(-LATEST, min(each, LATEST)) for each in (first, after - 1))  # of others it cannot be asked
    changed = f"taken IS NULL AND mtime_ns <> 0 AND mtime_ns BETWEEN {first} AND {last}"
    return f"(starts_with(taken, '{period}-') OR ({changed}))"


def _tree(counts: Mapping[str, int]) -> Iterator[Folder]:
    """Order folders, from the top of the file system on, as a tree that begins where photos lie or folders part."""
    inner = defaultdict[str, list[str]](list)
    for folder in sorted(counts):
        above = str(Path(folder).parent)
        inner["" if above == folder else above].append(folder)

    def parting(folder: str) -> str:
        while below := next((one for one in inner[folder] if counts[one] == counts[folder]), None):
            folder = below
        return folder

    def tree(folder: str, parent: str) -> Iterator[Folder]:
        yield Folder(folder, parent, counts[folder])
        for one in inner[folder]:
            yield from tree(one, folder)

    for root in inner[""]:
        for one in inner[parting(root)]:
            yield from tree(parting(one), "")


def _month(changed_ns: int) -> str:
    return time.strftime("%Y-%m", time.localtime(changed_ns // 10**9)) if changed_ns else ""
