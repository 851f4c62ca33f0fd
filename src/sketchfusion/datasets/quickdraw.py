"""Quick, Draw! as one ndjson file a category, simplified or raw."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from ..io.strokes import Drawing, parse_ndjson
from .base import DatasetError, Sample, chosen, folder_of

_KEY = re.compile(r'"key_id"\s*:\s*"(\w+)"')
_UNRECOGNISED = re.compile(r'"recognized"\s*:\s*false')


class QuickDraw:
    """`root` holds `<category>.ndjson` files, or a folder `simplified` or `raw` of them.

    Drawings that the game did not recognise are left out unless `unrecognised` is set.
    """

    def __init__(self, root: str | Path, unrecognised: bool = False) -> None:
        self.root = folder_of(root, "simplified", "raw")
        self.unrecognised = unrecognised
        self.categories: tuple[str, ...] = tuple(sorted(path.stem for path in self.root.glob("*.ndjson")))
        if not self.categories:
            raise DatasetError(f"{self.root}: no .ndjson files; give the folder of Quick, Draw! categories")

    def sketches(self, categories: Collection[str] | None = None, limit: int | None = None) -> list[Sample]:
        """The drawings of the categories, in file order, at most `limit` of each."""
        return [sample for sample, _ in self._records(categories, limit)]

    def drawings(
        self, categories: Collection[str] | None = None, limit: int | None = None
    ) -> Iterator[tuple[Sample, Drawing]]:
        """The same with their strokes, in one pass over the files; ImageError names a malformed line."""
        for sample, line in self._records(categories, limit):
            yield sample, parse_ndjson(line, sample.source)

    def _records(self, categories: Collection[str] | None, limit: int | None) -> Iterator[tuple[Sample, str]]:
        for category in chosen(self.categories, categories, self.root):
            yield from islice(self._file(category), limit)

    def _file(self, category: str) -> Iterator[tuple[Sample, str]]:
        path = self.root / f"{category}.ndjson"
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if not line.strip() or (_UNRECOGNISED.search(line) and not self.unrecognised):
                    continue
                key = _KEY.search(line)
                name = f"{category}/{key.group(1) if key else number}"
                yield Sample(path, category, name, "sketch", line=number), line
