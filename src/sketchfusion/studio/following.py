"""The folders that the studio follows: indexed in the background, then watched; their files are only read."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ..gallery import Gallery
from ..gallery.facets import in_folder
from ..gallery.indexing import Watcher
from ..gallery.store import absolute
from ..io.files import is_gone
from .messages import FailedFile, FollowedFolder, Following, Indexing
from .queue import Stopped
from .uploads import Cancelled

COMMIT_SECONDS = 5.0  # so that the first photos can be found soon
TROUBLE_SECONDS = 30.0  # after which following goes on, whatever kept it from that
CLOSING_SECONDS = 10.0  # most that closing waits for the thread


class Follower:
    """Indexes folders and watches them, in a thread, until it is closed; it can be paused."""

    def __init__(
        self,
        folders: Sequence[str],
        opened: Callable[[], Gallery],
        explain: Callable[[Exception], str],
        left_out: list[str],
        batch: int,
    ) -> None:
        """Start; `opened` opens the gallery once its model is loaded, `left_out` gets a line for each file or kind."""
        self.folders, self.left_out = folders, left_out
        self.state = Indexing(done=0, total=0, photos=0, changes=0, error=None)
        self._opened, self._explain, self._batch = opened, explain, batch
        self._failed: dict[str, str] = {}  # reasons by path
        self._changes: Watcher | None = None
        self._again = False  # whether to try what could not be read
        self._closing, self._interrupted = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)
        self._thread.start()

    def set_paused(self, paused: bool) -> None:
        """Stop at the next batch and wait; or go on, look through the folders at once and try again what failed."""
        self.state.paused, self._again = paused, not paused
        self._interrupted.set()

    def close(self) -> None:
        """Stop; photos indexed so far are kept."""
        self._closing.set()
        self._interrupted.set()
        self._thread.join(CLOSING_SECONDS)  # it must not run on while the interpreter ends

    def describe(self, gallery: Gallery, whole: bool) -> Following:
        """Tell how the folders are; by their `whole` paths, or by their last names."""
        photos = len(gallery)
        name = str if whole else lambda path: Path(path).name
        folders = [
            FollowedFolder(
                name=name(folder),
                photos=len(gallery.paths(where=in_folder(absolute(folder)))) if photos else 0,
                there=not is_gone(folder),
            )
            for folder in self.folders
        ]
        failed = {path: reason for path, reason in [*self._failed.items()] if Path(path).exists()}
        added = gallery.infos(failed) if photos and failed else {}
        listed = [FailedFile(name=name(path), reason=why) for path, why in failed.items() if path not in added]
        return Following(paused=self.state.paused, folders=folders, failed=listed)

    def _run(self) -> None:
        try:
            gallery = self._opened()
            while not self._closing.is_set():
                self._watch(gallery)
        except Stopped:
            return  # the studio closes; what was indexed is kept

    def _watch(self, gallery: Gallery) -> None:
        """Follow the folders until somebody interrupts."""
        self._interrupted.clear()
        if self._closing.is_set():  # since before that
            return
        if self.state.paused:
            self._interrupted.wait()
            return
        try:
            self.state.photos = len(gallery)
            self._changes = self._changes or gallery.watch(
                self.folders,
                batch_size=self._batch,
                stop=self._interrupted,
                progress=lambda done, total: self._progress(gallery, done, total),
                commit_seconds=COMMIT_SECONDS,
                at_once=True,
            )
            if self._again:
                self._again = False
                self._changes.try_again()
            for report in self._changes:
                failed = {one.path: one.reason for one in report.failed}
                new = [f"{path}: {why}" for path, why in failed.items() if self._failed.get(path) != why]
                self.left_out += [*new, *report.left_out]
                self._failed |= failed
                self.state.photos, self.state.changes = len(gallery), self.state.changes + 1
        except Cancelled:
            return
        except Stopped:
            raise
        except Exception as error:  # a full disk, a network that is away: what passes is no reason to give up
            self.state.error = self._explain(error)
            self._interrupted.wait(TROUBLE_SECONDS)
            self.state.error = None

    def _progress(self, gallery: Gallery, done: int, total: int) -> None:
        if self._interrupted.is_set():
            raise Cancelled
        self.state.done, self.state.total, self.state.photos = done, total, len(gallery)
