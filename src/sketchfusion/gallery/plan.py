"""What indexing would do, without doing it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..io.files import file_digest
from .build import unchanged
from .embed import Embedder
from .removal import missing
from .store import GalleryStore

SAMPLE = 16  # photos that the model is timed on


@dataclass
class Plan:
    """What a run of indexing would find to do."""

    to_add: list[str] = field(default_factory=list)  # never seen
    changed: list[str] = field(default_factory=list)  # the file has other bytes now
    moved: list[str] = field(default_factory=list)  # known by content, and the file it was known from is gone
    copied: list[str] = field(default_factory=list)  # known by content: a copy, or only touched
    unchanged: int = 0
    to_remove: list[str] = field(default_factory=list)  # only with prune
    unreadable: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)  # files that are no pictures, by suffix
    seconds: float = 0.0  # an estimate, from a small sample

    @property
    def to_embed(self) -> list[str]:
        """The files that the model has to see."""
        return [*self.to_add, *self.changed]


def compare(store: GalleryStore | None, found: Sequence[Path], roots: Sequence[str], prune: bool) -> Plan:
    """Compare files with a gallery's rows; the estimate of the time is left at zero."""
    files = store.files() if store else {}
    by_digest = {file.digest: path for path, file in files.items() if file.mtime_ns}
    plan = Plan()
    for path in found:
        known = files.get(str(path))
        if unchanged(path, known):
            plan.unchanged += 1
            continue
        try:
            digest = file_digest(path)
        except OSError:
            plan.unreadable.append(str(path))
            continue
        source = by_digest.get(digest)
        if source is None:
            (plan.to_add if known is None else plan.changed).append(str(path))
            by_digest[digest] = str(path)
        else:
            (plan.copied if Path(source).exists() else plan.moved).append(str(path))
    if prune and store:
        here = {str(path) for path in plan.moved}
        plan.to_remove = [path for path in missing(store, roots) if path not in here]
    return plan


def seconds_for(embedder: Embedder, paths: Sequence[str], batch_size: int) -> float:
    """Estimate how long the model takes for files, from a few of them spread over all."""
    step = max(1, len(paths) // SAMPLE)
    sample = [Path(path) for path in paths[::step][:SAMPLE]]
    list(embedder.stream(sample[:1], set(), batch_size))  # the first picture also pays for waking the model
    started = time.perf_counter()
    list(embedder.stream(sample, set(), batch_size))
    return (time.perf_counter() - started) / max(len(sample), 1) * len(paths)
