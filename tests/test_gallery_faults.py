"""What goes wrong while a gallery is kept, with real processes: nothing lost, nothing twice, never a wrong answer."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from fixtures.photos import camera, photo
from fixtures.pixels import PixelExtractor
from fixtures.writers import start, write
from sketchfusion.gallery import Failure, Gallery, GalleryError, Report, rows, store
from sketchfusion.gallery.embed import PROCESSES, Embedder
from sketchfusion.gallery.maintain import check_readable


def scores(gallery: Gallery, sketch: Path) -> dict[str, float]:
    """Every photo's score; an error if a photo comes twice."""
    hits = gallery.search(Image.open(sketch), k=100_000)
    assert len({hit.path for hit in hits}) == len(hits) == len(gallery)
    return {hit.path: round(hit.score, 5) for hit in hits}


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments_loses_nothing_and_repeats_nothing(tmp_path: Path, rounds: int) -> None:
    root, folder, rng = tmp_path / "photos", tmp_path / "g", random.Random(rounds)
    paths = [photo(root / f"c{number % 3}" / f"{number:04}.png", number) for number in range(60 * rounds)]
    before: dict[str, float] = {}
    for _ in range(rounds):
        writer = start(write, folder, root, 50)  # all three are not enough to finish
        while not before and not len(Gallery.open(folder, PixelExtractor())) and writer.is_alive():
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 0.5))
        assert writer.is_alive()
        writer.kill()
        writer.join()
        after = scores(Gallery.open(folder, PixelExtractor()), paths[0])
        assert before.items() <= after.items()
        before = after
    assert before
    gallery = Gallery.open(folder, PixelExtractor())
    report = gallery.add(root)
    assert (report.unchanged, report.embedded) == (len(before), len(paths) - len(before))
    after = scores(gallery, paths[0])
    assert before.items() <= after.items() and sorted(after) == sorted(map(str, paths))
    assert gallery.verify() == []


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    roots = [tmp_path / "a", tmp_path / "b"]
    for number in range(60):
        photo(roots[number % 2] / "c" / f"{number}.png", number)
    writers = [start(write, tmp_path / "g", root) for root in roots]
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    assert len(gallery) == 60
    assert gallery.add(roots) == Report(unchanged=60)


def test_writers_of_the_same_photos_at_once_store_each_once(tmp_path: Path) -> None:
    for number in range(60):
        photo(tmp_path / "a" / "c" / f"{number}.png", number)
    writers = [start(write, tmp_path / "g", tmp_path / "a") for _ in range(3)]
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    paths = gallery.paths()
    assert len(paths) == len(set(paths)) == 60 and gallery.verify() == []


def test_photos_that_a_gallery_has_twice_are_there_once_after_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = rows.schema
    monkeypatch.setattr(store, "schema", lambda model: plain(model).set(0, pa.field("path", pa.string())))
    for number in range(6):
        photo(tmp_path / "a" / f"{number}.png", number)
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())  # as one made before paths were keys
    gallery.add(tmp_path / "a")
    table = gallery._existing_store()._table
    table.add(table.to_arrow().slice(1, 3))
    assert len(gallery) == 9
    assert gallery.add(tmp_path / "a") == Report(unchanged=6)
    assert gallery.paths() == sorted(map(str, (tmp_path / "a").iterdir())) and gallery.verify() == []


def test_a_reader_during_writes_and_deletions_always_gets_an_answer(tmp_path: Path) -> None:
    root, first = tmp_path / "photos", tmp_path / "first"
    for number in range(20):
        photo(first / f"{number}.png", 500 + number)
    for number in range(80):
        photo(root / f"{number}.png", number)
    writer_gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    writer_gallery.add(first)
    removed = sorted(map(str, first.iterdir()))[1:]
    keep = sorted(first.iterdir())[0]
    reader, asked = Gallery.open(tmp_path / "g", PixelExtractor()), 0
    writer = start(write, tmp_path / "g", root, None, 0.1)
    while writer.is_alive():
        hits = reader.search(Image.open(keep), k=1)
        assert hits[0].path == str(keep) and reader.thumbnails([str(keep)])
        asked += 1
        if removed and asked % 5 == 0:
            assert writer_gallery.remove([removed.pop()]) == 1  # which drops every older version
        time.sleep(0.02)
    assert writer.exitcode == 0 and asked
    assert len(scores(reader, keep)) == 80 + 1 + len(removed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system here; the test with a file size limit stands for it")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_keeps_what_was_stored(tmp_path: Path, small_disk: Path) -> None:
    for number in range(160):
        photo(tmp_path / "photos" / f"{number:03}.png", number)
    folder = small_disk / "g"
    with pytest.raises(
        GalleryError, match=r"^[^\n]*there is no room left to write; all that was stored before is kept"
    ):
        Gallery.open(folder, PixelExtractor()).add(tmp_path / "photos", commit_rows=20)
    survived = Gallery.open(folder, PixelExtractor())
    stored = scores(survived, tmp_path / "photos" / "000.png")
    assert 0 < len(stored) < 160
    roomy = tmp_path / "g"
    shutil.copytree(folder, roomy)
    again = Gallery.open(roomy, PixelExtractor())
    assert again.add(tmp_path / "photos") == Report(embedded=160 - len(stored), unchanged=len(stored))


def test_a_photo_that_changes_while_it_is_read_is_left_for_the_next_run(tmp_path: Path) -> None:
    path = photo(tmp_path / "photos" / "a.png", 1)
    photo(tmp_path / "photos" / "b.png", 2)

    class Racing(type(path)):  # type: ignore[misc]
        def read_bytes(self) -> bytes:
            data = super().read_bytes()
            photo(path, 3, (90, 90))
            return bytes(data)

    item = Embedder(PixelExtractor()).read(Racing(path), set())
    assert item == Failure(str(path), "changed while it was read; index it again")
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    assert gallery.add(tmp_path / "photos").embedded == 2


def test_a_file_whose_name_is_no_text_is_listed(tmp_path: Path) -> None:
    whole = photo(tmp_path / "photos" / "a.png", 1).read_bytes()
    try:
        Path(os.fsdecode(os.fsencode(tmp_path / "photos") + b"/\xff.png")).write_bytes(whole)
    except OSError:
        pytest.skip("this file system allows only names that are text")
    report = Gallery.open(tmp_path / "g", PixelExtractor()).add(tmp_path / "photos")
    assert report.embedded == 1
    assert [failure.reason for failure in report.failed] == ["its name is not UTF-8, which a gallery needs; rename it"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery with several commits and a deletion."""
    root = tmp_path_factory.mktemp("sound")
    for number in range(30):
        exif = camera() if number % 3 else None
        photo(root / "photos" / f"c{number % 2}" / f"{number:02}.jpg", number, exif=exif)
    gallery = Gallery.open(root / "g", PixelExtractor())
    gallery.add(root / "photos", commit_rows=10)
    gallery._existing_store().forget([str(root / "photos" / "c1" / "29.jpg")])
    gallery._existing_store().record()
    (root / "photos" / "c1" / "29.jpg").unlink()
    return root


def everything(root: Path, folder: Path) -> list[object]:
    """All that can be asked of the gallery."""
    gallery, sketch = Gallery.open(folder, PixelExtractor()), Image.open(root / "photos" / "c0" / "00.jpg")
    hits = gallery.search(sketch, k=99)
    narrowed = gallery.search(sketch, k=99, where="taken > '2024-01-01' AND width = 48")
    return [hits, narrowed, [*gallery], gallery.thumbnails([hit.path for hit in hits])]


def ask(root: Path, folder: Path, asked: Connection) -> None:
    """Say, each time it is asked, whether a gallery answers as the sound one does."""
    right = everything(root, root / "g")
    while asked.recv():
        try:
            asked.send("same" if everything(root, folder) == right else "WRONG")
        except GalleryError as error:
            asked.send("said" if "\n" not in str(error) else "said too much")


@pytest.mark.parametrize("flips", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_a_flipped_bit_never_gives_a_wrong_answer(sound: Path, tmp_path: Path, flips: int) -> None:
    """It is said, or changes nothing; or the store's own library aborts the process, which must stay rare."""
    rng, outcomes = random.Random(flips), Counter[str]()
    shutil.copytree(sound / "g", tmp_path / "g")
    files = [path for path in (tmp_path / "g").rglob("*") if path.is_file()]
    newest = min(path for path in files if path.suffix == ".manifest")
    data = max(files, key=lambda path: path.stat().st_size)
    process = None
    for path in [data, newest, *(path for path in files if path.parent.name == "_deletions")]:
        whole = path.read_bytes()
        for _ in range(flips):
            if process is None:
                here, there = PROCESSES.Pipe()
                process = start(ask, sound, tmp_path / "g", there)
                there.close()
            broken = bytearray(whole)
            broken[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            path.write_bytes(broken)
            try:
                here.send(True)
                outcomes[here.recv()] += 1
            except (EOFError, ConnectionError):
                outcomes["died"] += 1
                process = None
            path.write_bytes(whole)
    if process:
        here.send(False)
        process.join()
    assert outcomes.keys() <= {"same", "said", "died"} and outcomes["said"] > 0, outcomes
    assert outcomes["died"] <= max(2, 0.05 * outcomes.total()), outcomes  # 1 in 200, by 900 flips


def test_another_photo_deleted_by_a_flipped_bit_is_said(sound: Path, tmp_path: Path) -> None:
    """The list of deleted rows has no checksum, and every row that is left has a good seal."""
    shutil.copytree(sound / "g", tmp_path / "g")
    [deleted] = [path for path in (tmp_path / "g").rglob("*") if path.parent.name == "_deletions"]
    whole, outcomes = deleted.read_bytes(), Counter[str]()
    numbers = [number.to_bytes(4, "little") for number in (9, 29)]  # of the row, in a file of 10 or of all
    for place in [n for n in range(8, len(whole) - 4) if whole[n : n + 4] in numbers]:
        for bit in range(4):
            deleted.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                assert len(Gallery.open(tmp_path / "g", PixelExtractor()).contents().paths) == 29
                outcomes["same"] += 1
            except GalleryError as error:
                outcomes["others" if "does not have the photos" in str(error) else "said"] += 1
                if "does not have" in str(error) and outcomes["others"] == 1:
                    assert Gallery.open(tmp_path / "g", PixelExtractor()).verify() == [
                        "the photos are not those that it was left with: index them again with --prune"
                    ]
                    shutil.copytree(tmp_path / "g", tmp_path / "healed")
    assert outcomes["others"] >= 2, outcomes
    healed = Gallery.open(tmp_path / "healed", PixelExtractor())
    healed.add(sound / "photos")
    healed.prune(sound / "photos")
    assert everything(sound, tmp_path / "healed")[2] == everything(sound, sound / "g")[2]
    assert healed.verify() == []


def test_a_store_cut_short_is_said(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound / "g", tmp_path / "g")
    for path in (tmp_path / "g").rglob("data/*.lance"):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GalleryError, match="gallery ") as caught:
        everything(sound, tmp_path / "g")
    assert "\n" not in str(caught.value)


def test_damage_is_found_and_repaired(sound: Path, tmp_path: Path) -> None:
    right = everything(sound, sound / "g")
    shutil.copytree(sound / "g", tmp_path / "g")
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    assert gallery.verify() == []
    row = gallery._existing_store().rows([str(sound / "photos" / "c0" / "00.jpg")]).to_pylist()[0]
    other = gallery.thumbnails([str(sound / "photos" / "c0" / "02.jpg")])
    for data in (tmp_path / "g").rglob("data/*.lance"):  # older versions too
        whole = bytearray(data.read_bytes())
        for piece in (np.asarray(row["vector"], np.float32).tobytes(), *other.values()):
            if (place := whole.find(piece)) >= 0:
                whole[place + len(piece) // 2] ^= 4
        data.write_bytes(whole)
    broken = Gallery.open(tmp_path / "g", PixelExtractor())
    assert sorted(line.rpartition(" ")[0].rpartition(":")[2] for line in broken.verify()) == [
        " its row is",
        " its thumbnail is",
    ]
    with pytest.raises(GalleryError, match=r"1 of 29 photos read are damaged on disk .*doctor --gallery"):
        broken.search(Image.open(sound / "photos" / "c0" / "00.jpg"))
    with pytest.raises(GalleryError, match=r"thumbnail of .*02\.jpg is damaged"):
        broken.thumbnails(other)
    assert broken.repair().failed == []
    mended = Gallery.open(tmp_path / "g", PixelExtractor())
    assert mended.verify() == []
    assert everything(sound, tmp_path / "g") == right


def stop(uri: str) -> None:
    """What the store's library does to its process over some damaged files."""
    os.abort()


def test_damage_that_stops_whoever_reads_it_is_said_by_doctor(sound: Path) -> None:
    with pytest.raises(GalleryError, match="so damaged that reading it stops the process; bring back a copy"):
        check_readable(str(sound / "g"), stop)
