"""One photo of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nearest import Found


@dataclass(frozen=True)
class Hit:
    """A photo that was found."""

    path: str
    score: float  # cosine of the features asked for; with words beside a sketch, their weighted standard scores
    rank: int  # from 1
    category: str  # the name of its folder
    confidence: float = 0.0  # 0 to 1: how surely it shows what was looked for, the same in every gallery
    similar: tuple[str, ...] = ()  # paths of near-duplicates that were folded into this hit


def to_hits(found: Found, confidences: Sequence[float]) -> list[Hit]:
    """Number what was found, best first."""
    each = zip(found.rows.paths, found.scores, found.rows.categories, confidences, strict=True)
    return [
        Hit(str(path), float(score), rank, str(category), confidence)
        for rank, (path, score, category, confidence) in enumerate(each, start=1)
    ]
