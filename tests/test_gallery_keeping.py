"""Keeping photos: what is stored of them, plans, following folders, moving to other weights, wiping."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lancedb
import pytest
from PIL import Image

from fixtures.photos import camera, on_disk, photo
from fixtures.pixels import PixelExtractor
from fixtures.writers import command, line, reindex, start
from sketchfusion.errors import ImageError
from sketchfusion.gallery import Gallery, GalleryError, PhotoInfo, Report, indexing, storage
from sketchfusion.gallery.embed import Unread
from sketchfusion.gallery.indexing import Watcher
from sketchfusion.gallery.store import GalleryStore
from sketchfusion.studio.queue import Stopped
from test_cli import sketchfusion


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for number in range(10):
        photo(root / ("cat" if number % 3 else "dog") / f"{number:02}.jpg", number)
    photo(root / "cat" / "taken.jpg", 90, (60, 40), camera())
    return root


@pytest.fixture
def gallery(tmp_path: Path, photos: Path) -> Gallery:
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    assert gallery.add(photos) == Report(embedded=11)
    return gallery


def found(gallery: Gallery) -> dict[str, float]:
    return {hit.path: hit.score for hit in gallery.search(Image.open(next(iter(shown(gallery)))), k=1000)}


def shown(gallery: Gallery) -> list[str]:
    return [info.path for info in gallery]


def test_what_is_known_of_a_photo(gallery: Gallery, photos: Path) -> None:
    path = photos / "cat" / "taken.jpg"
    info = gallery.info(path)
    size, digest = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
    assert info == PhotoInfo(
        str(path), 60, 40, "cat", size, digest, "2024-05-01T13:30:00", info.latitude, info.longitude
    )
    assert (info.latitude, info.longitude) == (pytest.approx(47.5, abs=1e-4), pytest.approx(-8.25, abs=1e-4))
    assert gallery.info(photos / "dog" / "00.jpg").taken is None
    with pytest.raises(GalleryError, match=r"nowhere\.jpg is not in gallery"):
        gallery.info("nowhere.jpg")


def test_photos_come_ordered_by_path(gallery: Gallery, photos: Path) -> None:
    assert shown(gallery) == sorted(map(str, photos.rglob("*.jpg")))


def test_search_narrows_by_time_and_place(gallery: Gallery, photos: Path) -> None:
    sketch = Image.open(photos / "dog" / "00.jpg")
    taken = [str(photos / "cat" / "taken.jpg")]
    for where in ("taken > '2024-01-01'", "taken LIKE '2024-05%'", "latitude BETWEEN 47 AND 48"):
        assert [hit.path for hit in gallery.search(sketch, where=where)] == taken
    assert gallery.search(sketch, where="taken > '2025-01-01'") == []


def test_location_can_be_left_out(tmp_path: Path, photos: Path) -> None:
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(photos, location=False)
    info = gallery.info(photos / "cat" / "taken.jpg")
    assert (info.taken, info.latitude, info.longitude) == ("2024-05-01T13:30:00", None, None)


@pytest.mark.parametrize(
    ("its", "advice"), [("1", "index the photos into a new gallery"), ("3", "update sketchfusion")]
)
def test_a_gallery_of_another_format_is_refused(its: str, advice: str, gallery: Gallery) -> None:
    import lancedb

    store = gallery._existing_store()
    database = lancedb.connect(gallery.uri)
    rows = store._table.to_arrow()
    other = rows.replace_schema_metadata({**rows.schema.metadata, b"format": its.encode()})
    database.drop_table(store.name)
    database.create_table(store.name, other)
    with pytest.raises(GalleryError, match=f"has format {its}, and this version reads format 2; {advice}"):
        Gallery.open(gallery.uri, PixelExtractor())


def test_a_plan_says_what_indexing_then_does(gallery: Gallery, photos: Path) -> None:
    photo(photos / "cat" / "new.png", 50)
    photo(photos / "cat" / "01.jpg", 51)
    (photos / "dog" / "03.jpg").rename(photos / "cat" / "03.jpg")
    shutil.copy(photos / "dog" / "00.jpg", photos / "cat" / "twin.jpg")
    (photos / "dog" / "06.jpg").unlink()
    (photos / "film.MOV").write_bytes(b"")
    plan, version = gallery.plan(photos, prune=True), gallery._existing_store().version
    names = {key: [Path(path).name for path in value] for key, value in vars(plan).items() if isinstance(value, list)}
    assert names == {
        "to_add": ["new.png"],
        "changed": ["01.jpg"],
        "moved": ["03.jpg"],
        "copied": ["twin.jpg"],
        "to_remove": ["06.jpg"],
        "unreadable": [],
        "left_out": ["1 not read: videos; save stills of them"],
    }
    assert (plan.unchanged, plan.ignored) == (8, {".mov": 1}) and plan.seconds > 0
    assert gallery._existing_store().version == version
    report = gallery.add(photos)
    assert (report.embedded, report.reused, report.moved, report.unchanged) == (2, 2, 1, 8)
    assert gallery.prune(photos) == 1
    nothing = gallery.plan(photos, prune=True)
    assert (nothing.unchanged, nothing.to_embed, nothing.to_remove, nothing.seconds) == (12, [], [], 0)


def test_what_is_left_out_of_folders_is_said(tmp_path: Path, gallery: Gallery, photos: Path) -> None:
    thumbnails = ("@eaDir/00.jpg/THUMB.jpg", "catalogue.lrdata/x.jpg", "Mine.photoslibrary/resources/x.jpg")
    for name in (*thumbnails, "drafts/x.jpg", "RAW/a.CR2", "b.jxl"):
        photo(photos / "cat" / "y.jpg", 77)
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / "cat" / "y.jpg").rename(photos / name)
    os.mkfifo(photos / "pipe.jpg")
    (photos / "Mine.photoslibrary" / "originals").mkdir()
    shutil.copy(photos / "dog" / "00.jpg", photos / "Mine.photoslibrary" / "originals" / "no suffix")
    report = gallery.add(photos, exclude=["draft*"])
    assert (report.reused, report.embedded, report.failed) == (1, 0, [])
    assert report.left_out == [
        "1 not read: RAW photos; save them as JPEG",
        "1 not read: JPEG XL; save them as JPEG or PNG",
        "4 left out: @eaDir, catalogue.lrdata, drafts, resources",
        f"{photos}/pipe.jpg: a named pipe, socket or device and no file; left out",
    ]
    assert gallery.plan(photos, exclude=["draft*"]).left_out == report.left_out
    assert gallery.add(photos, exclude=["draft*"]).unchanged == 12
    shutil.rmtree(photos / "cat")
    (photos / "RAW" / "a.txt").write_text("x")
    with pytest.raises(ImageError, match=r"no photos in .*1 not read: RAW photos"):
        Gallery.open(tmp_path / "raw", PixelExtractor()).add(photos / "RAW")


def test_photos_in_a_folder_that_one_may_not_read_are_not_gone(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, scan, state = str(photos / "dog"), os.scandir, os.stat

    def denied(path: object) -> None:
        if str(path).startswith(closed):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def scandir(path: str) -> object:
        denied(path)
        return scan(path)

    def stat(path: object, **more: Any) -> object:
        denied(f"{path}" if str(path) != closed else "")
        return state(path, **more)  # type: ignore[call-overload]

    shutil.copy(photos / "dog" / "00.jpg", photos / "cat" / "twin.jpg")
    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "stat", stat)
    report = gallery.add(photos)
    assert report.left_out == [f"{closed}: Permission denied"] and (report.reused, report.moved) == (1, 0)
    assert gallery.prune(photos) == 0 and len(gallery) == 12


def test_pictures_without_content_and_cut_short_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    photo(folder / "good.jpg", 1, (256, 256))
    data = (folder / "good.jpg").read_bytes()
    (folder / "most.jpg").write_bytes(data[: len(data) * 9 // 10])
    (folder / "little.jpg").write_bytes(data[: len(data) // 4])
    Image.new("RGB", (1, 1), "red").save(folder / "dot.png")
    Image.new("P", (1, 1), 0).save(folder / "spacer.gif", transparency=0)
    photo(folder / "thin.png", 2, (200, 2))
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    report = gallery.add(folder)
    assert report.embedded == 2
    assert [(Path(one.path).name, one.reason.partition(",")[0]) for one in report.failed] == [
        ("dot.png", "shows nothing"),
        ("little.jpg", "broken or cut short"),
        ("spacer.gif", "shows nothing"),
        ("thin.png", "shows nothing"),
    ]
    assert [(Path(one.path).name, one.reason.partition(",")[0]) for one in report.damaged] == [
        ("most.jpg", "cut short")
    ]
    assert gallery.info(folder / "most.jpg").width == 256


def test_a_plan_makes_no_gallery(tmp_path: Path, photos: Path) -> None:
    assert len(Gallery.open(tmp_path / "new", PixelExtractor()).plan(photos).to_add) == 11
    assert not (tmp_path / "new").exists()


def test_prune_forgets_only_what_is_gone_under_the_folders_given(gallery: Gallery, photos: Path) -> None:
    (photos / "dog" / "00.jpg").unlink()
    (photos / "cat" / "01.jpg").unlink()
    assert gallery.prune([photos / "dog"]) == 1
    assert str(photos / "cat" / "01.jpg") in shown(gallery) and len(gallery) == 10


def test_an_unplugged_disk_empties_no_gallery(gallery: Gallery, photos: Path) -> None:
    photos.rename(photos.with_name("away"))
    with pytest.raises(GalleryError, match="photos is missing; is its disk plugged in"):
        gallery.prune(photos)
    photos.mkdir()  # as a mount point is without its disk
    with pytest.raises(GalleryError, match="holds no photos, but the gallery has 11 from it"):
        gallery.prune(photos)
    assert len(gallery) == 11


@pytest.mark.parametrize("commit_rows", [1, 1000])
def test_a_removed_photo_leaves_no_bytes_behind(tmp_path: Path, commit_rows: int) -> None:
    """In a store of many photos, where a file of which little is deleted would be left as it is."""
    root, secret = tmp_path / "photos", tmp_path / "photos" / "secret-rendezvous.jpg"
    for number in range(40):
        photo(root / f"{number}.jpg", number)
    photo(secret, 77, exif=camera())
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(root, commit_rows=commit_rows)
    thumbnail = gallery.thumbnails([str(secret)])[str(secret)]
    digest = gallery.info(secret).digest
    assert digest and on_disk(tmp_path / "g", thumbnail)
    assert gallery.remove([secret]) == 1
    traces = (thumbnail, thumbnail[-60:-20], b"secret-rendezvous", digest.encode())
    assert [on_disk(tmp_path / "g", trace) for trace in traces] == [[], [], [], []]
    assert len(gallery) == 40 and len(found(gallery)) == 40 and gallery.verify() == []


def test_reindex_moves_to_other_weights(gallery: Gallery, photos: Path) -> None:
    gone = photos / "cat" / "taken.jpg"
    gone.unlink()
    with pytest.raises(GalleryError, match=r"is made with pixels \(.*\) already"):
        gallery.reindex(PixelExtractor())
    other = PixelExtractor("other", "2")
    report = gallery.reindex(other)
    assert (report.embedded, report.from_thumbnail, report.failed) == (10, 1, [])
    again = Gallery.open(gallery.uri, other)
    for one in (gallery, again):
        assert len(found(one)) == 11
        assert one.info(gone).taken == "2024-05-01T13:30:00"
    with pytest.raises(GalleryError, match="was made with other"):
        Gallery.open(gallery.uri, PixelExtractor()).search(Image.open(photos / "dog" / "00.jpg"))
    assert {path.stem.split("-", 1)[1] for path in Path(gallery.uri).glob("photos-*")} == {other.fingerprint[:16]}
    photo(gone, 90, (60, 40), camera())
    assert again.add(photos).embedded == 1  # the file is back, so its own feature takes the place
    assert len(again) == 11


def test_reindex_survives_kills_and_the_old_one_answers_meanwhile(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for number in range(40):
        photo(root / f"{number:02}.png", number)
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(root)
    before = found(gallery)
    data = tmp_path / "g" / f"photos-{PixelExtractor('other', '2').fingerprint[:16]}.lance" / "data"
    for commits in (1, 3):
        process = start(reindex, gallery.uri, 14)
        while len(list(data.glob("*"))) < commits:
            assert process.is_alive()
            time.sleep(0.01)
        process.kill()
        process.join()
        assert found(Gallery.open(gallery.uri, PixelExtractor())) == before
    assert gallery.add(root) == Report(unchanged=40)  # which also leaves the unfinished table alone
    other = PixelExtractor("other", "2")
    report = gallery.reindex(other)
    assert report.unchanged > 0 and report.unchanged + report.embedded == 40
    assert found(Gallery.open(gallery.uri, other)).keys() == before.keys()
    assert {path.stem.split("-", 1)[1] for path in (tmp_path / "g").glob("photos-*")} == {other.fingerprint[:16]}


def test_watching_takes_up_what_settles_and_gives_up_what_goes(gallery: Gallery, photos: Path) -> None:
    store = gallery._existing_store()
    watcher = Watcher([str(photos)], store.files, gallery.add, gallery.remove, 0)
    assert [watcher.scan() for _ in range(3)] == [None, None, None]
    new = photos / "cat" / "new.png"
    whole = photo(photos.parent / "source.png", 60).read_bytes()
    new.write_bytes(whole[:50])  # still being written
    assert watcher.scan() is None
    new.write_bytes(whole)
    assert watcher.scan() is None
    assert watcher.scan() == Report(embedded=1)
    (photos / "cat" / "01.jpg").rename(photos / "dog" / "01.jpg")
    (photos / "cat" / "02.jpg").unlink()
    (photos / "cat" / "bad.jpg").write_bytes(b"no picture")
    assert watcher.scan() is None
    report = watcher.scan()
    assert report is not None and (report.reused, report.moved, report.removed, len(report.failed)) == (1, 1, 1, 1)
    assert watcher.scan() is None  # a bad file is tried again only when it changes
    photo(photos / "cat" / "bad.jpg", 61)
    assert (watcher.scan(), watcher.scan()) == (None, Report(embedded=1))
    assert shown(gallery) == sorted(str(path) for path in photos.rglob("*.*"))


def test_a_photo_removed_from_the_gallery_stays_away_until_its_file_changes(gallery: Gallery, photos: Path) -> None:
    first, second, third = (photos / "cat" / f"0{number}.jpg" for number in (1, 2, 4))

    def add(paths: Sequence[Path]) -> Report:
        gallery.remove([third])  # while others are embedded
        return gallery.add(paths)

    watcher = Watcher([str(photos)], gallery._existing_store().files, add, gallery.remove, 0)
    gallery.remove([first])
    assert [watcher.scan() for _ in range(3)] == [None, None, None]
    first = first.rename(photos / "dog" / "renamed.jpg")
    assert [watcher.scan() for _ in range(3)] == [None, None, None]
    gallery.remove([second])
    assert [watcher.scan() for _ in range(3)] == [None, None, None] and len(gallery) == 9
    photo(first, 70)
    assert [watcher.scan() for _ in range(4)] == [None, Report(embedded=1), None, None] and len(gallery) == 9
    assert gallery.add(photos).embedded == 2  # asked for anew


def test_a_photo_removed_while_others_are_added_stays_away(gallery: Gallery, photos: Path) -> None:
    new, settle = photo(photos / "cat" / "new.jpg", 70), photo(photos / "cat" / "newer.jpg", 71)
    page = Gallery.open(gallery.uri, PixelExtractor())

    def progress(done: int, total: int) -> None:
        if done == total == 2:
            assert page.remove(new) == 1

    changes = gallery.watch(photos, 0, batch_size=1, progress=progress, commit_seconds=0, at_once=True)
    assert isinstance(changes, Watcher)
    assert next(changes).embedded == 2
    assert [changes.scan() for _ in range(3)] == [None, None, None]
    assert not {str(new)} & {*gallery.paths()} and str(settle) in gallery.paths()


def test_watching_goes_on_after_what_passes(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A network that is away while folders are looked through, while a file is read, and a gallery that is full."""
    monkeypatch.setattr(indexing, "RETRY_SECONDS", 0.05)
    stop, stat, read, put = threading.Event(), os.stat, Path.read_bytes, GalleryStore.put
    changes = gallery.watch(photos, 0, stop=stop, at_once=True)
    assert isinstance(changes, Watcher) and changes.scan() is None

    def away(path: Any, **more: Any) -> Any:
        if str(path).startswith(str(photos)):
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected", str(path))
        return stat(path, **more)

    def broken(path: Path) -> bytes:
        if path.is_relative_to(photos):
            raise OSError(errno.EHOSTDOWN, "Host is down", str(path))
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", away)
        threading.Timer(0.2, stop.set).start()
        assert [*changes] == []
    stop.clear()
    assert len(gallery) == 11 and changes.scan() is None
    new = photo(photos / "cat" / "new.jpg", 70)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", broken)
        assert changes.scan() is None
        assert next(changes).failed == [Unread(str(new), "Host is down")]
        time.sleep(0.1)
        assert changes.scan() is None  # it is said once
    time.sleep(0.1)
    assert next(changes).embedded == 1
    photo(photos / "cat" / "newer.jpg", 71)

    def full(store: GalleryStore, rows: Any) -> None:
        raise GalleryError("there is no room left")

    monkeypatch.setattr(GalleryStore, "put", full)
    with pytest.raises(GalleryError, match="no room"):
        next(changes)
    monkeypatch.setattr(GalleryStore, "put", put)
    assert next(changes).embedded == 1


def test_watching_says_once_what_it_leaves_out(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    (photos / "a.CR2").write_bytes(b"")
    changes = gallery.watch(photos, 0)
    assert next(changes) == Report(left_out=["1 not read: RAW photos; save them as JPEG"])
    photo(photos / "cat" / "new.jpg", 70)
    assert next(changes) == Report(embedded=1)
    (tmp_path / "empty").mkdir()
    assert next(gallery.watch(tmp_path / "empty", 0)).left_out == [f"no photos in {tmp_path / 'empty'} yet"]


def test_pauses_are_long_where_looking_takes_long(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, pauses, survey = [0.0], list[float | None](), indexing.survey

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return len(pauses) > 3

    def slow(*arguments: Any) -> Any:
        clock[0] += 2.0
        return survey(*arguments)

    monkeypatch.setattr(indexing, "survey", slow)
    monkeypatch.setattr(indexing, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    assert [*gallery.watch(photos, 0.01, stop=Stop())] == []
    assert pauses == [0.0, *[2 * indexing.IDLE] * 3]


def test_a_link_to_a_disk_that_is_unplugged_loses_no_photo(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    photo(tmp_path / "disk" / "2024" / "x.jpg", 70)
    (photos / "link").symlink_to(tmp_path / "disk")
    assert gallery.add(photos).embedded == 1
    watcher = Watcher([str(photos)], gallery._existing_store().files, gallery.add, gallery.remove, 0)
    (tmp_path / "disk").rename(tmp_path / "away")
    assert [watcher.scan() for _ in range(3)] == [None, None, None] and gallery.prune(photos) == 0
    (photos / "link").unlink()
    assert watcher.scan() == Report(removed=1)


def test_watching_goes_on_when_a_file_goes_at_the_wrong_moment(gallery: Gallery, photos: Path) -> None:
    new, calls = photos / "cat" / "new.jpg", []

    def add(paths: Sequence[Path]) -> Report:
        calls.append(paths)
        if len(calls) == 1:
            new.rename(photos / "dog" / "new.jpg")
        return gallery.add(paths)

    watcher = Watcher([str(photos)], gallery._existing_store().files, add, gallery.remove, 0)
    photo(new, 71)
    assert next(watcher) == Report(embedded=1)
    assert str(photos / "dog" / "new.jpg") in shown(gallery) and len(calls) == 2


def test_a_name_that_is_no_text_is_tried_once(gallery: Gallery, photos: Path) -> None:
    photo(photos / "cat" / "new.jpg", 72).rename(os.fsdecode(os.fsencode(photos) + b"/\xff.jpg"))
    watcher = Watcher([str(photos)], gallery._existing_store().files, gallery.add, gallery.remove, 0)
    reports = [watcher.scan() for _ in range(4)]
    assert [report and len(report.failed) for report in reports] == [None, 1, None, None]


@pytest.mark.parametrize("error", [GalleryError("too many workers died"), Stopped()])
def test_what_was_embedded_before_an_error_is_kept(error: Exception, tmp_path: Path, photos: Path) -> None:
    class Failing(PixelExtractor):
        batches = 0

        def forward(self, views):  # type: ignore[no-untyped-def]
            self.batches += 1
            if self.batches == 3:
                raise error
            return super().forward(views)

    with pytest.raises(type(error)):
        Gallery.open(tmp_path / "new", Failing()).add(photos, batch_size=2)
    assert Gallery.open(tmp_path / "new", PixelExtractor()).add(photos).unchanged == 4


def test_watching_an_unplugged_disk_gives_nothing_up(gallery: Gallery, photos: Path) -> None:
    watcher = Watcher([str(photos)], gallery._existing_store().files, gallery.add, gallery.remove, 0)
    watcher.scan()
    photos.rename(photos.with_name("away"))
    assert [watcher.scan() for _ in range(3)] == [None, None, None]
    photos.mkdir()
    assert [watcher.scan() for _ in range(3)] == [None, None, None]
    assert len(gallery) == 11
    with pytest.raises(ImageError, match="no such file or folder"):
        gallery.watch(photos / "nowhere")


@pytest.mark.parametrize("option", [["--prune"], ["--dry-run"], ["--workers", "2"], ["--engine", "ray"]])
def test_what_does_not_go_with_watching_is_refused(option: list[str], photos: Path, tmp_path: Path) -> None:
    done = sketchfusion("index", photos, "-g", tmp_path / "g", "--watch", *option)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and option[0] in done.stderr


def test_the_command_watches_until_it_is_told_to_stop(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(command, PixelExtractor, out, "index", photos, "-g", tmp_path / "g", "--watch", "--json")
    assert json.loads(line(process, out, 0))["embedded"] == 11
    photo(photos / "cat" / "new.png", 60)
    assert json.loads(line(process, out, 1))["photos"] == 12
    process.terminate()
    process.join()
    assert process.exitcode == 0


def test_the_commands_plan_prune_move_and_check(
    photos: Path, clip_folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "g"
    counts = {name: sum(path.parent.name == name for path in photos.rglob("*.jpg")) for name in ("cat", "dog")}
    planned = sketchfusion("index", photos, "-g", folder, "--model", clip_folder, "--dry-run")
    *folders, summary = planned.stdout.splitlines()
    assert [line.split() for line in folders] == [["add", str(n), str(photos / name)] for name, n in counts.items()]
    assert summary.startswith("11 to add, 0 changed") and not folder.exists(), planned.stderr
    assert "11 embedded" in sketchfusion("index", photos, "-g", folder, "--model", clip_folder).stdout
    (photos / "dog" / "00.jpg").unlink()
    pruned = sketchfusion("index", photos, "-g", folder, "--prune", "--json")
    assert json.loads(pruned.stdout)["removed"] == 1, pruned.stderr
    moved = sketchfusion("reindex", "-g", folder, "--model", model_folder)
    assert "10 photos" in moved.stdout and "10 embedded" in moved.stdout, moved.stderr
    whole = sketchfusion("doctor", "--gallery", folder)
    assert (whole.returncode, whole.stdout.strip()) == (0, f"10 photos in {folder}: all as written")
    assert [path.name for path in folder.glob("photos-*")] == [f"{Gallery.open(folder)._existing_store().name}.lance"]


def test_a_disk_mounted_in_a_folder_and_unplugged_loses_no_photo(
    gallery: Gallery, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of it is an empty folder, or none; the next run knows that a disk was there."""
    card, disk, plugged = photos / "card", tmp_path / "disk", set[str]()
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) in plugged)
    for place, number in ((card, 70), (disk, 71)):
        photo(place / "2024" / "x.jpg", number)
    (photos / "link").symlink_to(disk)
    plugged |= {str(card), str(disk)}
    watcher = gallery.watch(photos, 0, at_once=True)
    assert isinstance(watcher, Watcher)
    assert (watcher.scan(), watcher.scan()) == (Report(embedded=2), None)
    for place in (card, disk):
        shutil.rmtree(place)
        place.mkdir()
    plugged.clear()
    later = Gallery.open(gallery.uri, PixelExtractor())
    for changes in (watcher, later.watch(photos, 0, at_once=True)):
        assert isinstance(changes, Watcher) and [changes.scan() for _ in range(3)] == [None, None, None]
    card.rmdir()
    assert later.plan(photos, prune=True).to_remove == [] and later.add(photos).unchanged == 11
    assert later.prune(photos) == 0 and len(later) == 13
    plugged |= {str(card), str(disk)}  # what is gone from a disk that is there is deleted
    assert later.prune(photos) == 2


def test_a_folder_in_the_place_of_a_disk_is_a_folder(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "ismount", lambda path: str(path) == str(photos / "cat"))
        gallery.add(photos)
    gallery.add(photos)
    (photos / "cat" / "01.jpg").unlink()
    assert gallery.prune(photos) == 1


def test_what_is_cached_of_old_versions_is_bounded(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A studio that follows a folder is left on for weeks, and every change is a version."""
    sessions, session, bound = list[Any](), lancedb.Session, 100_000

    def opened(**sizes: int) -> Any:
        sessions.append(session(**sizes))
        return sessions[-1]

    monkeypatch.setattr(lancedb, "Session", opened)
    monkeypatch.setattr(storage, "METADATA_BYTES", bound)
    gallery, sizes = Gallery.open(tmp_path / "g", PixelExtractor()), list[int]()
    for number in range(6):
        gallery.add(photo(photos / f"{number}.jpg", 70 + number))
        gallery.paths()
        sizes.append(max(one.size_bytes for one in sessions))
    assert 0 < max(sizes) < 2 * bound
