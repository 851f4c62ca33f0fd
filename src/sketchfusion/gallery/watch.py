"""A gallery that follows its folders: what appears, changes or disappears there does so in the gallery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..io.files import find_images, holds_images
from .build import Report
from .removal import under
from .rows import FileState

State = tuple[int, int]  # bytes, time of the last change in ns


class Watcher:
    """Compares folders with a gallery again and again; plain polling, so that it works on any file system.

    A file is taken up, or given up, when two looks in a row say the same of it: one that is still being written waits.
    A folder that is away or empty gives nothing up: its disk may be unplugged.
    """

    def __init__(
        self,
        roots: Sequence[str],
        files: Callable[[], dict[str, FileState]],
        add: Callable[[Sequence[Path]], Report],
        remove: Callable[[Sequence[str]], int],
        interval: float,
    ) -> None:
        """Watch absolute `roots`; the functions are the gallery's."""
        self._roots, self._files, self._add, self._remove = roots, files, add, remove
        self._interval = interval
        self._before: dict[str, State] | None = None
        self._refused: dict[str, State] = {}  # unreadable files, until they change

    def changes(self) -> Iterator[Report]:
        """Give a report for each batch of changes, for ever."""
        while True:
            report = self.look()
            if report:
                yield report
            time.sleep(self._interval)

    def look(self) -> Report | None:
        """Look once; do what has settled since the last look."""
        now, files = self._states(), self._files()
        settled = {path for path, state in now.items() if self._before and self._before.get(path) == state}
        new = sorted(path for path in settled if self._is_new(path, now[path], files.get(path)))
        gone = [] if self._before is None else sorted(self._gone(files, {*now, *self._before}))
        self._before = now
        if not new and not gone:
            return None
        report = self._add([Path(path) for path in new]) if new else Report()
        self._refused |= {failure.path: now[failure.path] for failure in report.failed if failure.path in now}
        report.removed = self._remove(gone) if gone else 0
        return report

    def _is_new(self, path: str, state: State, file: FileState | None) -> bool:
        if file is not None and (file.size, file.mtime_ns) == state:
            return False
        return self._refused.get(path) != state

    def _gone(self, files: dict[str, FileState], seen: set[str]) -> list[str]:
        """The photos that neither this look nor the last one saw, in folders that are there."""
        unseen = [path for path in files if path not in seen and under(path, self._roots)]
        if not unseen:
            return []
        there = [root for root in self._roots if Path(root).is_dir() and holds_images(root)]
        return [path for path in unseen if under(path, there) and not Path(path).exists()]

    def _states(self) -> dict[str, State]:
        states = {}
        for path in find_images([root for root in self._roots if Path(root).exists()]):
            try:
                state = path.stat()
            except OSError:
                continue  # it went away meanwhile
            states[str(path)] = (state.st_size, state.st_mtime_ns)
        return states
