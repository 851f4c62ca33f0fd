"""The gallery: incremental, resumable after a kill, tolerant of bad files, exact, and never mixing two models."""

from __future__ import annotations

import math
import os
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.photos import photo
from fixtures.pixels import PixelExtractor
from fixtures.writers import start
from sketchfusion.errors import ImageError
from sketchfusion.extractor import ModelOutput
from sketchfusion.gallery import Gallery, GalleryError, Query, Report
from sketchfusion.gallery.embed import Failure
from sketchfusion.gallery.sheet import SheetRow, contact_sheet


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for number in range(12):
        photo(root / ("cat" if number % 3 else "o'dog") / f"{number:02}.png", number)
    return root


@pytest.fixture
def gallery(tmp_path: Path, photos: Path) -> Gallery:
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    assert gallery.add(photos) == Report(embedded=12)
    return gallery


def counted(gallery: Gallery) -> PixelExtractor:
    assert isinstance(gallery.model, PixelExtractor)
    gallery.model.embedded = 0
    return gallery.model


def sketch_of(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def test_search_ranks_as_plain_cosine_does(gallery: Gallery, photos: Path) -> None:
    model, paths = PixelExtractor(), sorted(photos.rglob("*.png"))
    query = sketch_of(paths[5])
    cosine = (model.embed([query], kind="sketch") @ model.embed(paths).T)[0].numpy()
    hits = gallery.search(query, k=5)
    expected = np.argsort(-cosine)[:5]
    assert [hit.path for hit in hits] == [str(paths[place]) for place in expected]
    assert [hit.score for hit in hits] == pytest.approx(cosine[expected].tolist(), abs=1e-5)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    assert hits[0].category == Path(hits[0].path).parent.name


def test_search_gives_as_many_rows_as_there_are(gallery: Gallery, photos: Path) -> None:
    query = sketch_of(photos / "cat" / "01.png")
    assert len(gallery.search(query, k=100)) == len(gallery) == 12
    assert {hit.category for hit in gallery.search(query, k=100, category="o'dog")} == {"o'dog"}
    assert len(gallery.search(query, k=3, where="width > 40 AND category = 'cat'")) == 3
    assert gallery.search(query, where="width > 4000") == []


def test_several_sketches_are_one_question(gallery: Gallery, photos: Path) -> None:
    first, second = (sketch_of(photos / "cat" / f"{n}.png") for n in ("01", "02"))
    vectors = PixelExtractor().embed([first, second], kind="sketch").mean(0)
    scores = PixelExtractor().embed(sorted(photos.rglob("*.png"))) @ vectors / vectors.norm()
    assert gallery.search([first, second], k=1)[0].score == pytest.approx(float(scores.max()), abs=1e-5)


def test_a_gallery_opens_again_and_adds_only_what_is_new(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    photo(photos / "cat" / "new.jpg", 99)
    os.utime(photos / "cat" / "01.png")  # touched, not changed
    photo(photos / "cat" / "02.png", 98)  # changed
    again = Gallery.open(tmp_path / "g", PixelExtractor())
    model = counted(again)
    report = again.add(photos)
    assert (report.embedded, report.reused, report.unchanged, report.failed) == (2, 1, 10, [])
    assert model.embedded == 2
    assert len(again) == 13
    assert again.add(photos) == Report(unchanged=13)
    top = again.search(sketch_of(photos / "cat" / "02.png"), k=1)[0]
    assert top.path.endswith("02.png")


def test_an_open_gallery_sees_what_another_one_adds(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    query = sketch_of(photos / "cat" / "01.png")
    assert len(gallery.search(query, k=50)) == 12
    Gallery.open(tmp_path / "g", PixelExtractor()).add(photo(photos / "cat" / "new.png", 77))
    assert len(gallery.search(query, k=50)) == 13


def test_moved_files_keep_their_features(gallery: Gallery, photos: Path) -> None:
    before = {hit.path: hit.score for hit in gallery.search(sketch_of(photos / "cat" / "01.png"), k=50)}
    (photos / "cat").rename(photos / "lion")
    model = counted(gallery)
    report = gallery.add(photos)
    assert (report.embedded, report.reused, report.moved, model.embedded) == (0, 8, 8, 0)
    after = {hit.path: hit.score for hit in gallery.search(sketch_of(photos / "lion" / "01.png"), k=50)}
    assert after == {path.replace("/cat/", "/lion/"): score for path, score in before.items()}
    assert gallery.categories == ["lion", "o'dog"]


def test_files_that_swap_names_are_right_afterwards(tmp_path: Path, photos: Path) -> None:
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(photos)
    names = sorted((photos / "cat").glob("*.png"))
    held = [path.read_bytes() for path in names]
    for path, data in zip(names, held[1:] + held[:1], strict=True):
        path.write_bytes(data)
    gallery.add(photos, commit_rows=1)  # a commit after each row: sources are replaced before they are needed
    for path in names:
        assert gallery.search(sketch_of(path), k=1)[0].path == str(path)
    assert len(gallery) == 12


def test_duplicates_are_embedded_once_and_both_found(tmp_path: Path, photos: Path) -> None:
    shutil.copy(photos / "cat" / "01.png", photos / "cat" / "twin.png")
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    report = gallery.add(photos)
    assert (report.embedded, report.reused, len(gallery)) == (12, 1, 13)
    first, second = gallery.search(sketch_of(photos / "cat" / "twin.png"), k=2)
    assert [Path(hit.path).name for hit in (first, second)] == ["01.png", "twin.png"]
    assert first.score == second.score


def test_a_file_that_two_paths_lead_to_is_one_photo(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    report = gallery.add(tmp_path / "link")
    assert (report.embedded, report.reused, report.moved, len(gallery)) == (0, 12, 12, 12)
    assert all(path.startswith(f"{tmp_path}/link/") for path in gallery.paths())


def test_files_without_a_time_are_embedded_once(gallery: Gallery, photos: Path) -> None:
    """As on phones and network drives that tell none, before 1970, and too late for 64 bits, as a damaged disk says."""
    for time, path in zip((0, -1, 13_569_465_600 * 10**9), (photos / "cat").iterdir(), strict=False):
        os.utime(path, ns=(time, time))
    assert gallery.add(photos).reused == 3
    again = gallery.add(photos)
    assert (again.embedded, again.reused, again.unchanged) == (0, 0, 12)


def test_bad_files_are_listed_and_the_rest_goes_on(tmp_path: Path, photos: Path) -> None:
    whole = (photos / "cat" / "01.png").read_bytes()
    bad = {"empty.png": b"", "text.png": b"hello, I am not a picture", "cut.png": whole[: len(whole) // 2]}
    for name, data in bad.items():
        (photos / "cat" / name).write_bytes(data)
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    report = gallery.add(photos)
    assert sorted(Path(failure.path).name for failure in report.failed) == sorted(bad)
    assert all(failure.reason and "\n" not in failure.reason for failure in report.failed)
    assert (report.embedded, len(gallery)) == (12, 12)
    assert len(gallery.add(photos).failed) == 3


def test_a_photo_without_a_finite_feature_is_refused(tmp_path: Path, photos: Path) -> None:
    class Broken(PixelExtractor):
        def forward(self, views):  # type: ignore[no-untyped-def]
            seen = super().forward(views)
            return ModelOutput(seen.maps, seen.vectors * float("nan"))

    report = Gallery.open(tmp_path / "g", Broken()).add(photos)
    assert (report.embedded, len(report.failed)) == (0, 12)


def test_another_models_gallery_is_refused_in_one_line(gallery: Gallery, photos: Path) -> None:
    other = Gallery.open(gallery.uri, PixelExtractor("other", "2"))
    for act in (lambda: other.add(photos), lambda: other.search(sketch_of(photos / "cat" / "01.png"))):
        with pytest.raises(GalleryError, match=r"made with pixels .* not with other .*; use that model") as caught:
            act()
        assert "\n" not in str(caught.value)
    assert len(gallery) == 12


def test_a_gallery_that_another_model_has_made_meanwhile_is_left_alone(photos: Path, tmp_path: Path) -> None:
    early, other = Gallery.open(tmp_path / "new", PixelExtractor()), PixelExtractor("other", "2")
    Gallery.open(tmp_path / "new", other).add(photos)
    with pytest.raises(GalleryError, match="was made with other"):
        early.add(photos)
    later = Gallery.open(tmp_path / "new", other)
    assert later.remove(later.paths()) == len(list(photos.rglob("*.*")))
    with pytest.raises(GalleryError, match="was made with other"):  # also when it has no photos
        Gallery.open(tmp_path / "new", PixelExtractor()).add(photos)
    Gallery.open(tmp_path / "new", other).reindex(PixelExtractor())
    for ask in (later.paths, lambda: later.add(photos), lambda: len(later)):
        with pytest.raises(GalleryError, match="moved to another model, since it was opened; open it again"):
            ask()


def test_one_path_will_do_where_several_may_be_given(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    path = gallery.paths()[0]
    name = str(Path(path).relative_to(photos))
    assert [*gallery.infos(name)] == [*gallery.thumbnails(Path(name))] == [path]
    assert (gallery.remove(name), gallery.remove(Path(name)), path in gallery.paths()) == (1, 0, False)


def test_what_is_missing_is_said_in_one_line(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(
        GalleryError, match="batch_size must be at least 1, not -1"
    ):  # by which reindex would lose photos
        gallery.reindex(PixelExtractor("other", "2"), batch_size=-1)
    query = sketch_of(photos / "cat" / "01.png")
    with pytest.raises(GalleryError, match=r"no gallery at .*absent; make one: sketchfusion index"):
        Gallery.open(tmp_path / "absent", PixelExtractor()).search(query)
    assert not (tmp_path / "absent").exists()
    (photos / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(GalleryError, match="no gallery at"):
        Gallery.open(photos, PixelExtractor()).search(query)
    with pytest.raises(GalleryError, match="is a file; a gallery is a folder"):
        Gallery.open(photos / "cat" / "01.png", PixelExtractor())
    with pytest.raises(GalleryError, match="no photo is in category 'cats'; categories include cat"):
        gallery.search(query, category="cats")
    with pytest.raises(GalleryError, match="must be an SQL condition on path, digest"):
        gallery.search(query, where="colour = 'red'")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ImageError, match=r"no photos in .*nothing"):
        Gallery.open(tmp_path / "new", PixelExtractor()).add(tmp_path / "nothing")
    gallery.remove(photos.rglob("*.png"))
    with pytest.raises(GalleryError, match="is empty"):
        gallery.search(query)


def test_a_damaged_store_is_said_so(gallery: Gallery, photos: Path) -> None:
    for file in Path(gallery.uri).rglob("*.lance"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(GalleryError, match="gallery ") as caught:
        Gallery.open(gallery.uri, PixelExtractor()).search(sketch_of(photos / "cat" / "01.png"))
    assert "\n" not in str(caught.value)


def test_commits_leave_few_files_behind(tmp_path: Path, photos: Path) -> None:
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(photos, batch_size=1, commit_rows=1)
    store = gallery._store
    assert store is not None
    assert store._table.stats()["fragment_stats"]["num_fragments"] == 1
    assert len(gallery) == 12


def test_contact_sheet_frames_the_right_photos(gallery: Gallery, photos: Path) -> None:
    query = sketch_of(photos / "cat" / "01.png")
    hits = gallery.search(query, k=4)
    sheet = contact_sheet(gallery, [SheetRow(query, "cat", hits, "cat"), SheetRow(query, "?", hits[:2])])
    green = (np.asarray(sheet) == (0x1A, 0x7F, 0x37)).all(axis=2)
    upper, lower = green[: len(green) // 2], green[len(green) // 2 :]
    frames = sum(hit.category == "cat" for hit in hits)
    assert upper.sum() == frames * (144 * 144 - 136 * 136)
    assert not lower.any()


def test_contact_sheet_says_how_sure_each_photo_is(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = list[tuple[str, str]]()
    monkeypatch.setattr("sketchfusion.gallery.sheet._cell", lambda *of: said.append(of[-2:]))
    query = sketch_of(photos / "cat" / "01.png")
    hits = gallery.search(query, k=2)
    unknown = replace(hits[1], confidence=math.nan)
    contact_sheet(gallery, [SheetRow(query, "drawn", [hits[0], unknown]), SheetRow(query, "cat", hits[:1], "cat")])
    assert said == [
        ("drawn", "query"),
        (f"1. {Path(hits[0].path).name}", f"{hits[0].confidence:.0%} sure"),
        (f"2. {Path(hits[1].path).name}", ""),
        ("cat", "query"),
        (f"1. {hits[0].category}", f"{hits[0].confidence:.0%} sure"),
    ]
    said.clear()
    gallery.remove([hits[0].path])
    contact_sheet(gallery, [SheetRow(query, "cat", hits, "cat")])
    assert [caption for caption, _ in said] == ["cat", f"2. {hits[1].category}"], "one was removed since it was found"


def fill(uri: str, root: Path) -> None:
    """Index photos where no file may grow beyond 4 kB."""
    gallery = Gallery.open(uri, PixelExtractor())
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
    with pytest.raises(
        GalleryError, match="there is no room left to write; all that was stored before is kept"
    ) as full:
        gallery.add(root)
    assert "\n" not in str(full.value)


def test_a_full_disk_is_said_and_what_was_stored_stays(gallery: Gallery, tmp_path: Path) -> None:
    for number in range(100, 140):
        photo(tmp_path / "more" / f"{number}.png", number)
    process = start(fill, gallery.uri, tmp_path / "more")
    process.join()
    assert process.exitcode == 0
    survived = Gallery.open(tmp_path / "g", PixelExtractor())
    assert len(survived) == 12
    assert len(survived.search(sketch_of(tmp_path / "photos" / "cat" / "01.png"), 99)) == 12
    assert survived.add(tmp_path / "more") == Report(embedded=40)


def test_real_photos_and_drawings(shared_data: Path, tmp_path: Path) -> None:
    sketchy = shared_data / "sketchy-mini" / "256x256"
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    roots = [sketchy / "photo" / "tx_000000000000" / category for category in ("bat", "door")]
    assert gallery.add(roots) == Report(embedded=50)
    assert gallery.categories == ["bat", "door"]
    sketch = sorted((sketchy / "sketch" / "tx_000000000000" / "bat").iterdir())[0]
    drawing = f"{sorted((shared_data / 'quickdraw-mini' / 'simplified').glob('*.ndjson'))[0]}:3"
    for query in (sketch, drawing):
        assert [hit.rank for hit in gallery.search(query, k=60)] == list(range(1, 51))


def test_a_gallery_says_what_it_is_and_gives_its_photos_one_by_one(gallery: Gallery, tmp_path: Path) -> None:
    assert repr(gallery) == f"Gallery({gallery.uri!r}: {len(gallery)} photos by {gallery.model.name})"
    assert [photo.path for photo in gallery] == gallery.paths()
    empty = Gallery.open(tmp_path / "none", PixelExtractor())
    assert [*empty] == [] and "0 photos" in repr(empty)


def test_a_notebook_shows_the_photos_of_an_answer(gallery: Gallery, photos: Path) -> None:
    hits = gallery.search(sketch_of(sorted(photos.rglob("*.png"))[5]), k=2)
    page = hits._repr_html_()
    assert page.count("data:image/jpeg;base64,") == 2 and Path(hits[0].path).name in page
    Path(hits[0].path).unlink()
    assert "<img" not in hits[0]._repr_html_()


def test_queries_and_answers_are_printed_in_one_line(gallery: Gallery, photos: Path) -> None:
    photo = sorted(photos.rglob("*.png"))[5]
    assert repr(Query([torch.ones(3, 8, 8)], "red", k=5)) == "Query(sketches=1, text='red', k=5)"
    assert repr(Query(like=photo.read_bytes())) == "Query(like=<class 'bytes'>)"
    assert repr(Report(embedded=12, failed=[Failure("a.jpg", "torn")])) == "Report(embedded=12, failed=1)"
    hits = gallery.search(sketch_of(photo), k=5)
    assert repr(hits).startswith("Hits(5 photos; 1. ") and hits[2].path in repr(hits) and hits[3].path not in repr(hits)


def test_the_bytes_of_a_photo_are_searched_by_as_its_file_is(gallery: Gallery, photos: Path) -> None:
    photo = sorted(photos.rglob("*.png"))[5]
    named, given = gallery.search(like=photo, k=3), gallery.search(like=photo.read_bytes(), k=4)
    assert [hit.path for hit in given] == [str(photo), *(hit.path for hit in named)]
    assert gallery.search(photo.read_bytes(), k=3) == gallery.search(photo, k=3)
