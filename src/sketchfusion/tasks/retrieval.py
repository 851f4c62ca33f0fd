"""Retrieval: rank photos by the cosine of their pooled feature with that of a sketch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..featuremap import Floats
from ..io.images import Images
from .inputs import read_sketches

if TYPE_CHECKING:
    from ..extractor import Extractor

Ints = npt.NDArray[np.int64]

CHUNK = 256  # queries at a time: with 10,000 photos the scores and keys of a chunk take 30 MB


@dataclass(frozen=True)
class Match:
    """A ranked photo: its index in the list of photos and its cosine with the query."""

    index: int
    score: float


def retrieve(model: "Extractor", sketches: Images, photos: Images, k: int = 10) -> list[list[Match]]:
    """Rank the `k` most similar photos for each sketch (SketchFusion, section 4.1).

    Raises ImageError for an unreadable file or a blank sketch. For more than a handful of photos use a Gallery,
    which embeds each only once.
    """
    queries = model.embed(read_sketches(sketches), kind="sketch")
    chunks = rank_chunks(queries.numpy(), model.embed(photos, kind="photo").numpy(), k)
    return [
        [Match(index, float(scores[index])) for index in row.tolist()]
        for similarity, indices in chunks
        for scores, row in zip(similarity, indices, strict=True)
    ]


def rank_chunks(queries: npt.ArrayLike, gallery: npt.ArrayLike, k: int | None = None) -> Iterator[tuple[Floats, Ints]]:
    """Rank (Q, d) by (N, d), ties in order; yield similarities (q, N) and the best (q, min(k, N)) of each chunk."""
    queries, gallery = np.asarray(queries, np.float32), np.asarray(gallery, np.float32)
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(f"cannot compare features of shapes {queries.shape} and {gallery.shape}")
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    count = len(gallery) if k is None else min(k, len(gallery))
    for start in range(0, max(len(queries), 1), CHUNK):
        similarity = queries[start : start + CHUNK] @ gallery.T
        yield similarity, best_first(similarity, count)


def best_first(similarity: Floats, count: int) -> Ints:
    """Find the indices (Q, count) of each row's largest values (Q, N), largest first, equal ones in their order.

    Descending score, then ascending index are packed into one integer each (Q, N): sorting them is fast and stable.
    """
    bits = (np.float32(0) - similarity).view(np.int32)  # 0 - x, not -x, whose minus zero would not tie with zero
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    keys = (bits.view(np.uint32) ^ np.uint32(0x80000000)).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(similarity.shape[1], dtype=np.uint64)
    if count < similarity.shape[1]:
        keys = np.partition(keys, count, axis=1)[:, :count]
    keys.sort(axis=1)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
