"""Ray embeds: the same rows as alone, and an actor that is killed loses nothing."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from fixtures.photos import environment, photo
from fixtures.pixels import PixelExtractor
from sketchfusion.gallery import Failure, Gallery, GalleryError
from sketchfusion.gallery.embed import gpu_share
from test_gallery_workers import Deadly, Slow, rows

with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray, the extra, is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One cluster of this machine for all tests, because it takes seconds to start."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
        patch.setenv("RAY_worker_niceness", "0")  # else actors wait long on a busy machine
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(40):
        photo(tmp_path / "photos" / f"c{number % 3}" / f"{number:02}.png", number)
    return tmp_path / "photos"


@with_ray
def test_two_actors_write_the_rows_of_one_process(cluster: None, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(b"no picture")
    alone, together = (Gallery.open(tmp_path / name, PixelExtractor()) for name in ("one", "two"))
    alone.add(photos, batch_size=4)
    report = together.add(photos, batch_size=4, engine="ray", workers=2, load=PixelExtractor)
    assert (report.embedded, [Path(failure.path).name for failure in report.failed]) == (40, ["bad.png"])
    assert rows(together) == rows(alone)
    assert together.verify() == []
    assert together.add(photos, engine="ray", workers=2, load=PixelExtractor).unchanged == 40


@with_ray
def test_a_killed_actor_loses_nothing(cluster: None, photos: Path, tmp_path: Path) -> None:
    killed = []

    def kill_one(done: int, total: int) -> None:
        if done >= 8 and not killed:
            mine = psutil.Process().children(recursive=True)
            killed.append(next(one for one in mine if "ray::Actor" in " ".join(one.cmdline())).pid)
            os.kill(killed[0], 9)

    gallery = Gallery.open(tmp_path / "g", Slow())
    report = gallery.add(photos, kill_one, batch_size=4, engine="ray", workers=2, load=Slow)
    assert killed and (report.embedded, report.failed, len(gallery)) == (40, [], 40)
    assert gallery.verify() == []


@with_ray
@pytest.mark.slow
def test_a_photo_that_kills_its_actor_is_found_and_left_out(cluster: None, photos: Path, tmp_path: Path) -> None:
    photo(photos / "c1" / "killer.png", 99, (60, 32))
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    report = gallery.add(photos, batch_size=4, engine="ray", workers=2, load=Deadly)
    assert report.failed == [Failure(str(photos / "c1" / "killer.png"), "the worker that read it died")]
    assert len(gallery) == 40


@with_ray
def test_what_ray_cannot_do_is_said_in_one_line(cluster: None, photos: Path, tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    with pytest.raises(GalleryError, match=r"^a worker loaded other weights \(pixels-2"):
        gallery.add(photos, engine="ray", workers=2, load=partial(PixelExtractor, "other", "2"))
    with pytest.raises(GalleryError, match=r"^Ray has 2 CPUs; ask for that many --workers at most$"):
        gallery.add(photos, engine="ray", workers=3, load=PixelExtractor)


@pytest.mark.parametrize(("gpus", "count"), [(1, 1), (2, 3), (2, 2), (4, 2), (1, 6), (3, 7), (8, 60)])
def test_every_actor_finds_a_place_on_a_gpu(gpus: int, count: int) -> None:
    share = gpu_share(gpus, count)
    assert 0 < share <= 1 and gpus * (1 // share) >= count
    assert gpu_share(0, count) == 0


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_is_said_how_to_get_it(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match=r"--engine ray needs Ray: pip install 'sketchfusion\[ray\]'"):
        Gallery.open(tmp_path / "g", PixelExtractor()).add(photos, engine="ray", load=PixelExtractor)
