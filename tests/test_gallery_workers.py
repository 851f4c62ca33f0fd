"""Several processes embed and one writes: the same rows as alone, and a worker that dies loses nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import psutil
import pytest

from fixtures.photos import photo
from fixtures.pixels import PixelExtractor
from sketchfusion.gallery import Failure, Gallery, GalleryError
from sketchfusion.gallery.embed import local_crew, start_worker


class Deadly(PixelExtractor):
    """Kills whoever shows it a picture 60 pixels wide."""

    def prepare(self, image, kind):  # type: ignore[no-untyped-def]
        if image.shape[2] == 60:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().prepare(image, kind)


class Slow(PixelExtractor):
    def forward(self, views):  # type: ignore[no-untyped-def]
        time.sleep(0.2)
        return super().forward(views)


def running() -> list[psutil.Process]:
    """The workers, which are children of a child of this process."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.ppid() != os.getpid() and "forkserver" in " ".join(one.cmdline()):
                found.append(one)
    return found


def rows(gallery: Gallery) -> list[tuple[object, ...]]:
    store = gallery._existing_store()
    paths = sorted(store.files())
    kept = sorted(store.rows(paths).to_pylist(), key=lambda row: str(row["path"]))
    return [tuple(map(str, row.values())) for row in kept]


def test_two_workers_write_the_rows_of_one(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for number in range(50):
        photo(root / f"c{number % 3}" / f"{number}.png", number)
    (root / "bad.png").write_bytes(b"no picture")
    photo(root / "c0" / "twin.png", 0)
    alone, together = (Gallery.open(tmp_path / name, PixelExtractor()) for name in ("one", "two"))
    alone.add(root, batch_size=4)
    report = together.add(root, batch_size=4, workers=2, load=PixelExtractor)
    assert [Path(failure.path).name for failure in report.failed] == ["bad.png"]
    assert rows(together) == rows(alone)
    assert together.add(root, workers=2, load=PixelExtractor).unchanged == 51


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for number in range(80):
        photo(root / f"{number}.png", number)
    killed = []

    def kill_one(done: int, total: int) -> None:
        if done >= 8 and not killed:
            killed.append(running()[0])
            killed[0].kill()

    gallery = Gallery.open(tmp_path / "g", Slow())
    report = gallery.add(root, kill_one, batch_size=4, workers=2, load=Slow)
    assert killed and (report.embedded, report.failed, len(gallery)) == (80, [], 80)
    assert gallery.verify() == []


def test_a_worker_that_dies_while_it_has_nothing_to_do_is_replaced(tmp_path: Path) -> None:
    path, model = photo(tmp_path / "a.png", 1), PixelExtractor()
    with local_crew(partial(start_worker, PixelExtractor, model.fingerprint, True), 1) as (start, death):
        worker = start(frozenset())
        (before,) = worker([path]).result()
        for process in running():
            process.kill()
        assert death is BrokenProcessPool
        after = None
        while after is None:
            try:
                (after,) = worker([path]).result()
            except death:  # its pool has not noticed yet
                time.sleep(0.05)
        assert (after.file, after.vector.tolist()) == (before.file, before.vector.tolist())


@pytest.mark.slow
def test_a_photo_that_kills_its_worker_is_found_and_left_out(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for number in range(12):
        photo(root / f"{number:02}.png", number, (60 if number == 7 else 48, 32))
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    report = gallery.add(root, batch_size=4, workers=2, load=Deadly)
    assert report.failed == [Failure(str(root / "07.png"), "the worker that read it died")]
    assert len(gallery) == 11


def test_workers_that_cannot_start_are_said_in_one_line(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.png", 1)
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    with pytest.raises(GalleryError, match=r"a worker loaded other weights \(pixels-2"):
        gallery.add(tmp_path / "photos", workers=2, load=partial(PixelExtractor, "other", "2"))
    with pytest.raises(GalleryError, match="no engine is called 'dask'; choose local or ray"):
        gallery.add(tmp_path / "photos", engine="dask", workers=2)
