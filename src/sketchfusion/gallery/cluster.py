"""Ray embeds, on one machine or on the cluster that RAY_ADDRESS names; the process that asked for it writes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .embed import Item
from .faults import GalleryError
from .workers import Duty


class RayWorkers:
    """An engine of Ray actors, each with a model of its own; Ray starts those that die again.

    Every node must see the photos under the same paths.
    """

    def __init__(self, duty: Duty, count: int) -> None:
        """Ask for `count` actors. GalleryError if Ray is not installed."""
        try:
            import ray.data
        except ImportError:
            raise GalleryError("--engine ray needs Ray: pip install 'sketchfusion[ray]'") from None
        self._ray: Any = ray
        self._duty, self._count = duty, count

    def stream(self, paths: Sequence[Path], known: set[str], batch_size: int) -> Iterator[Item]:
        """Give the rows of files, as they get done."""
        if not paths:
            return
        ray = self._ray
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        ray.data.DataContext.get_current().enable_progress_bars = False
        files = ray.data.from_items([{"path": str(path)} for path in paths])
        done = files.map_batches(
            _Actor,
            fn_constructor_args=(self._duty, frozenset(known)),
            batch_size=batch_size,
            concurrency=self._count,
        )
        for row in done.iter_rows():
            yield pickle.loads(row["item"])


class _Actor:
    """A worker; what it is called with and gives are columns."""

    def __init__(self, duty: Duty, known: frozenset[str]) -> None:
        self._embedder, self._known = duty.embedder(), known

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        paths = [Path(str(path)) for path in batch["path"]]
        items = list(self._embedder.stream(paths, set(self._known), len(paths)))
        return {"item": [pickle.dumps(item) for item in items]}
