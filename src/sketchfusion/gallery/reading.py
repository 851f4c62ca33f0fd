"""What is asked of a gallery's rows; every row and thumbnail is compared with its seal on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .faults import GalleryError, explained
from .ledger import agrees, note
from .rows import (
    DETAILS,
    FILE,
    VECTORS,
    FileState,
    Floats,
    Photo,
    PhotoInfo,
    broken,
    matrix,
    seal,
    to_photo,
    vectors_in,
)
from .table import Table, parts, quoted

if TYPE_CHECKING:
    import pyarrow as pa


# The approximate index: this many partitions are looked into, `EF` neighbours are followed, and `REFINE` times as many
# rows as were asked for are compared again with their unrounded vectors. Sketches lie far from all photos, where a
# narrow walk goes astray: of the ten nearest of 100,000, EF 256 finds 0.85, 1024 0.98, 2048 all, in the same time.
METRIC, PROBES, EF, REFINE = "cosine", 64, 2048, 4


@dataclass(frozen=True, eq=False)
class Contents:
    """What searching needs of every row, ordered by path."""

    version: int
    paths: npt.NDArray[np.object_]  # (N,)
    categories: npt.NDArray[np.object_]  # (N,)
    vectors: Floats  # (N, d)
    joint: Floats | None  # (N, P), of a model that reads text


class Reading(Table):
    """The rows of one gallery, read."""

    def files(self) -> dict[str, FileState]:
        """The state of every indexed file, by path."""
        rows = self.read(list(FILE)).to_pylist()
        return {row["path"]: FileState(**row) for row in rows}

    def with_digests(self, digests: Iterable[str]) -> dict[str, Photo]:
        """One photo for each content that is known."""
        return {
            photo.file.digest: photo
            for part in parts(list(digests))
            for photo in map(to_photo, self.read(None, f"digest IN ({quoted(part)}) AND mtime_ns > 0").to_pylist())
        }

    def rows_of(self, paths: Sequence[str]) -> pa.Table:
        """The rows of a few photos by their paths."""
        return self.read(None, f"path IN ({quoted(paths)})")

    def load(self) -> Contents:
        """Everything that a search needs, in memory; GalleryError if a row is not what was written."""
        version = self.version
        rows = self.sealed()
        self._check_all_there(version, rows)
        order = np.argsort(paths := rows["path"].to_numpy(), kind="stable")
        columns = {name: matrix(rows[name])[order] for name in vectors_in(rows.schema)}
        categories = rows["category"].to_numpy()[order]
        return Contents(version, paths[order], categories, columns["vector"], columns.get("joint"))

    def sealed(self, where: str | None = None) -> pa.Table:
        """Rows without their thumbnails, each compared with its seal."""
        rows = self.read(self._sealed_columns(), where)
        self._check(rows)
        return rows

    def account(self) -> None:
        """Note which rows there are, so that a missing one is seen; nothing is noted while another writer commits."""
        version, rows = self.version, self.read(["seal"])
        if self.version == version:
            note(self.uri, self.name, version, _seals(rows))

    def _sealed_columns(self) -> list[str]:
        return [*DETAILS, *vectors_in(self._table.schema), "seal"]

    def _check(self, rows: pa.Table) -> None:
        if len(places := broken(rows)):
            first = rows["path"][int(places[0])].as_py()
            raise GalleryError(
                f"gallery {self.uri}: {len(places)} of {len(rows)} photos read are damaged on disk ({first!r}); "
                f"`sketchfusion doctor --gallery {self.uri}` says more, `--repair` embeds them again"
            )

    def _check_all_there(self, version: int, rows: pa.Table) -> None:
        if not self.all_there(version, _seals(rows)):
            raise GalleryError(
                f"gallery {self.uri} does not have the photos that it was left with, a file of it is damaged; index "
                "them again with --prune, or bring back a copy"
            )

    def all_there(self, version: int, seals: npt.NDArray[np.int64]) -> bool:
        """Compare all rows of a version with what was noted of it, unless another came while they were read."""
        return self.version != version or agrees(self.uri, self.name, version, seals)

    def infos(self, where: str) -> list[PhotoInfo]:
        """What is known of photos, ordered by path."""
        names = [field.name for field in fields(PhotoInfo)]
        rows = self.sealed(where)
        details = sorted(rows.drop_columns(vectors_in(rows.schema)).to_pylist(), key=lambda row: str(row["path"]))
        return [PhotoInfo(**{name: row[name] for name in names}) for row in details]

    def paths(self, category: str | None) -> list[str]:
        """The paths of all photos, or of those in a category, sorted."""
        where = None if category is None else f"category = {quoted([category])}"
        return sorted(self.read(["path"], where)["path"].to_pylist())

    def vector(self, path: str) -> Floats | None:
        """One photo's feature (d,), or None if it is not there."""
        found = matrix(self.sealed(f"path = {quoted([path])}")["vector"])
        return found[0] if len(found) else None

    def categories(self) -> list[str]:
        """The names of the folders that the photos lie in, sorted."""
        return sorted(set(self.read(["category"])["category"].unique().to_pylist()))

    def matching(self, where: str) -> set[str]:
        """The paths of the rows that an SQL condition over the columns holds for."""
        with self._filtering(where):
            return set(self.read(["path"], where)["path"].to_pylist())

    def count(self, where: str) -> int:
        """The number of photos that an SQL condition holds for."""
        with self._filtering(where):
            return int(self._table.count_rows(where))

    @contextmanager
    def _filtering(self, where: str) -> Iterator[None]:
        try:
            with explained(self.uri):
                yield
        except GalleryError as error:
            columns = ", ".join(name for name in self._table.schema.names if name in DETAILS)
            raise GalleryError(f"cannot filter by {where!r}; it must be an SQL condition on {columns}") from error

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The small pictures (JPEG) of photos, by path; GalleryError if one is not what was written."""
        columns = ["path", "thumbnail", "thumbnail_seal"]
        found = {}
        for part in parts(list(paths)):
            for row in self.read(columns, f"path IN ({quoted(part)})").to_pylist():
                if seal(row["thumbnail"]) != row["thumbnail_seal"]:
                    raise GalleryError(
                        f"gallery {self.uri}: the thumbnail of {row['path']} is damaged on disk; "
                        f"`sketchfusion doctor --gallery {self.uri} --repair` makes it again"
                    )
                found[row["path"]] = row["thumbnail"]
        return found

    def sample(self, size: int) -> tuple[int, dict[str, Floats]]:
        """The number of photos, and all vectors of about `size` of them: those whose digest is among the smallest."""
        count = len(self)
        share = min(1.0, size / max(count, 1))
        rows = self.sealed(None if share == 1 else f"digest < '{round(share * 16**8):08x}'")
        return count, {name: matrix(rows[name]) for name in vectors_in(rows.schema)}

    def nearest(self, column: str, query: Floats, k: int, where: str | None = None, exactly: bool = False) -> pa.Table:
        """The rows of the k photos nearest to a unit vector, by the index or by reading them all.

        Photos that came after the index was built are compared one by one.
        """
        assert column in VECTORS
        with explained(self.uri):
            self._table.checkout_latest()
            asked = self._table.search(query, vector_column_name=column).distance_type(METRIC).limit(k)
            asked = asked.where(where, prefilter=True) if where else asked
            asked = asked.bypass_vector_index() if exactly else _thoroughly(asked, k)
            rows = asked.select([*self._sealed_columns(), "_distance"]).to_arrow()
        self._check(rows)
        return rows


def _seals(rows: pa.Table) -> npt.NDArray[np.int64]:
    return np.asarray(rows["seal"].to_numpy(), np.int64)


def _thoroughly(asked: Any, k: int) -> Any:
    """How thoroughly the index is walked: recall 0.99 and more of sketches at 100,000 photos."""
    return asked.nprobes(PROBES).ef(max(EF, REFINE * k)).refine_factor(REFINE)
