"""What a gallery stores of a photo: one row, with a checksum of its own so that damage is noticed."""

import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..extractor import Extractor
from ..featuremap import Floats

FORMAT = "2"
FILE = ("path", "digest", "size", "mtime_ns")
PICTURE = ("width", "height", "category")
CAPTURE = ("taken", "latitude", "longitude")
DETAILS = (*FILE, *PICTURE, *CAPTURE)
VECTORS = ("vector", "joint")
LATEST = 2**63 - 1  # ns, in the year 2262: file systems know later times, which a damaged clock or disk gives files
KEY = {b"lance-schema:unenforced-primary-key": b"true"}  # of two writers that insert one path at once, one must yield


@dataclass(frozen=True)
class ModelTag:
    """The model that made a gallery's vectors."""

    name: str
    fingerprint: str
    dim: int
    joint_dim: int = 0  # of the space shared with text; 0 if the model has none


def tag_of(model: Extractor) -> ModelTag:
    """Describe a model as a gallery records it."""
    return ModelTag(model.name, model.fingerprint, model.dim, model.joint_dim)


@dataclass(frozen=True)
class FileState:
    """A photo's file as it was when it was indexed."""

    path: str  # absolute
    digest: str  # SHA-256 of its bytes
    size: int  # bytes
    mtime_ns: int  # 0: the file was gone, the feature is its thumbnail's


def changed_ns(state: os.stat_result) -> int:
    """Give the time of a file's last change as it is stored; 0, the time of all files on some drives, becomes 1."""
    return min(state.st_mtime_ns, LATEST) or 1


@dataclass(frozen=True)
class PhotoInfo:
    """A photo as a gallery describes it."""

    path: str
    width: int  # pixels, upright
    height: int
    category: str  # the name of its folder
    size: int  # bytes
    digest: str  # SHA-256 of its bytes
    taken: str | None  # ISO 8601, the camera's own clock
    latitude: float | None  # degrees, north is positive
    longitude: float | None  # degrees, east is positive


@dataclass(frozen=True, eq=False)
class Photo:
    """One row: the file, its folder, a small picture of it and its feature."""

    file: FileState
    width: int  # pixels, upright
    height: int
    category: str  # the name of its folder
    thumbnail: bytes  # JPEG
    vector: Floats  # (d,), unit length
    taken: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    joint: Floats | None = None  # (P,), unit length, in the space shared with text
    damage: str = ""  # what is wrong with the file; it is reported, not stored


@dataclass(frozen=True, eq=False)
class Rows:
    """What a search needs of photos."""

    paths: npt.NDArray[np.object_]  # (N,)
    categories: npt.NDArray[np.object_]  # (N,)
    columns: dict[str, Floats]  # (N, d) each

    def take(self, places: npt.NDArray[np.int64]) -> "Rows":
        columns = {name: vectors[places] for name, vectors in self.columns.items()}
        return Rows(self.paths[places], self.categories[places], columns)


def schema(model: ModelTag) -> pa.Schema:
    """Give the columns of a gallery of a model's vectors."""
    text, whole, degrees = pa.string(), pa.int64(), pa.float64()
    key = pa.field("path", text, nullable=False, metadata=KEY)
    file = [key, ("digest", text), ("size", whole), ("mtime_ns", whole)]
    picture = [("width", pa.int32()), ("height", pa.int32()), ("category", text), ("thumbnail", pa.binary())]
    sizes = zip(VECTORS, (model.dim, model.joint_dim), strict=True)
    vectors = [(name, pa.list_(pa.float32(), dim)) for name, dim in sizes if dim]
    capture = [("taken", text), ("latitude", degrees), ("longitude", degrees)]
    sums = [("seal", whole), ("thumbnail_seal", whole)]  # checksums of all of the row but the thumbnail, and of that
    metadata = {"format": FORMAT, "model": model.name, "fingerprint": model.fingerprint}
    return pa.schema([*file, *picture, *vectors, *capture, *sums], metadata=metadata)


def to_rows(photos: Sequence[Photo], columns: pa.Schema) -> pa.Table:
    """Write photos as rows with checksums."""
    vectors = {name: np.stack([getattr(photo, name) for photo in photos]) for name in vectors_in(columns)}
    content = {
        **{name: [getattr(photo.file, name) for photo in photos] for name in FILE},
        **{name: [getattr(photo, name) for photo in photos] for name in (*PICTURE, *CAPTURE, "thumbnail")},
    }
    sums = {
        "seal": checksums(zip(*(content[name] for name in DETAILS), strict=True), np.hstack(list(vectors.values()))),
        "thumbnail_seal": [checksum(photo.thumbnail) for photo in photos],
    }
    return pa.table({**content, **{name: listed(of) for name, of in vectors.items()}, **sums}, schema=columns)


def to_photo(row: dict[str, Any]) -> Photo:
    file = FileState(*(row[name] for name in FILE))
    rest = {name: row[name] for name in (*PICTURE, *CAPTURE, "thumbnail")}
    vectors = {name: np.asarray(row[name], np.float32) for name in VECTORS if row.get(name)}
    return Photo(file, **vectors, **rest)  # type: ignore[arg-type]


def vectors_in(columns: pa.Schema) -> list[str]:
    """List the columns of vectors."""
    return [name for name in VECTORS if name in columns.names]


def listed(vectors: Floats) -> pa.Array:
    """Write vectors (N, d) as a column."""
    flat = pa.array(vectors.astype(np.float32, copy=False).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def matrix(column: pa.ChunkedArray) -> Floats:
    """Read a column as vectors (N, d), in one piece and read-only."""
    values: Floats = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), column.type.list_size)


def seals(rows: pa.Table) -> npt.NDArray[np.int64]:
    return np.asarray(rows["seal"].to_numpy(), np.int64)


def table_digest(columns: pa.Table, vectors: Mapping[str, Floats]) -> str:
    """Give one digest of rows in order: columns, and vectors (N, d) by CRC-32, which is fast and finds any accident."""
    texts = [columns[name].cast(pa.string()) for name in columns.column_names]
    joined = pc.binary_join_element_wise(*texts, "\x1f", null_handling="replace", null_replacement="\0")
    digest = hashlib.sha256("\x1e".join(joined.to_pylist()).encode())
    for column in vectors.values():
        digest.update(zlib.crc32(column.data).to_bytes(4, "little"))
    return digest.hexdigest()


def broken(rows: pa.Table) -> npt.NDArray[np.int64]:
    """Find the rows (of all columns but the thumbnail) that do not fit their checksums; gives their places."""
    vectors = np.hstack([matrix(rows[name]) for name in vectors_in(rows.schema)])
    found = checksums(zip(*(rows[name].to_pylist() for name in DETAILS), strict=True), vectors)
    return np.flatnonzero(found != seals(rows))


def checksums(details: Iterable[tuple[object, ...]], vectors: Floats) -> npt.NDArray[np.int64]:
    """Give a checksum (N,) of each row's DETAILS, in their order, and its vectors (N, d), side by side."""
    data = vectors.tobytes()
    step = vectors.shape[1] * vectors.itemsize
    values = (checksum(data[n * step : (n + 1) * step], repr(row).encode()) for n, row in enumerate(details))
    return np.fromiter(values, np.int64, len(vectors))


def checksum(data: bytes, details: bytes = b"") -> int:
    """Give a checksum of 64 bits: BLAKE2b."""
    digest = hashlib.blake2b(details, digest_size=8)
    digest.update(data)
    return int.from_bytes(digest.digest(), "little", signed=True)
