"""Folders and months that photos are narrowed by."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import ExifTags, Image

from fixtures.pixels import PixelExtractor
from sketchfusion import Gallery
from sketchfusion.gallery import Query, nearest
from sketchfusion.gallery.facets import Folder, count_facets, count_places, dated, in_folder
from sketchfusion.gallery.store import GalleryStore

PHOTOS = {  # the date of the camera, else that of the file
    "2024/Italy/Rome/a.jpg": ("2024:05:01 13:30:00", "2025-01-01"),
    "2024/Italy/Rome/b.jpg": (None, "2024-05-31T23:59:59"),
    "2024/Italy/c.jpg": (None, "2024-06-01T00:00:00"),
    "2024/Italy_2/d.jpg": ("2023:12:31 23:59:59", "2024-06-01"),
    "o'dog 100%/e.jpg": (None, "2022-02-03"),
}


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    for number, (name, (taken, changed)) in enumerate(PHOTOS.items()):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if taken:
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
        Image.effect_noise((40, 40), 30 + 20 * number).convert("RGB").save(path, exif=exif)
        os.utime(path, (datetime.fromisoformat(changed).timestamp(),) * 2)
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(tmp_path / "photos")
    return gallery


def test_folders_are_a_tree_with_all_below_counted_and_nothing_above(gallery: Gallery, tmp_path: Path) -> None:
    top = tmp_path / "photos"
    expected = [("2024", "", 4), ("2024/Italy", "2024", 3), ("2024/Italy/Rome", "2024/Italy", 2)]
    expected += [("2024/Italy_2", "2024", 1), ("o'dog 100%", "", 1)]
    assert gallery.facets().folders == [
        Folder(str(top / path), parent and str(top / parent), photos) for path, parent, photos in expected
    ]


def test_months_are_the_cameras_or_else_the_files(gallery: Gallery) -> None:
    facets = gallery.facets()
    assert list(facets.months.items()) == [("2024-06", 1), ("2024-05", 2), ("2023-12", 1), ("2022-02", 1)]
    assert facets.undated == 3


@pytest.mark.parametrize("rows", [100_000, 1], ids=["in memory", "by the index of a large gallery"])
def test_what_is_counted_is_what_is_found(gallery: Gallery, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(nearest, "EXACT_ROWS", rows)
    like, facets = gallery.paths()[0], gallery.facets()
    for folder in facets.folders:
        for month, photos in gallery.facets(folder.path).months.items():
            both = f"{in_folder(folder.path)} AND {dated(month)}"
            assert len(gallery.paths(where=both)) == photos
            assert Folder(folder.path, folder.parent, photos) in gallery.facets(date=month).folders
    counted = {in_folder(folder.path): folder.photos for folder in facets.folders}
    counted |= {dated(month): photos for month, photos in facets.months.items()}
    counted[dated("2024")] = 3
    for condition, photos in counted.items():
        paths = gallery.paths(where=condition)
        assert len(paths) == photos
        found = gallery.answer(Query(like=like, k=9, where=condition))
        assert sorted(hit.path for hit in found) == [path for path in paths if path != like]
    assert gallery.facets(facets.folders[3].path).undated == 0 and gallery.facets(facets.folders[1].path).undated == 2


@pytest.mark.parametrize("period", ["1000", "1677", "2262", "2262-04", "2999-12"])
def test_no_photo_is_of_a_time_that_no_file_has(gallery: Gallery, period: str) -> None:
    assert gallery.paths(where=dated(period)) == []


def test_facets_follow_the_gallery(gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facets = gallery.facets()
    with monkeypatch.context() as patch:
        patch.delattr(GalleryStore, "dates")  # which reads the whole gallery
        assert gallery.facets() == facets
    gallery.remove([tmp_path / "photos" / "o'dog 100%" / "e.jpg"])
    assert [Path(folder.path).name for folder in gallery.facets().folders] == ["Italy", "Rome", "Italy_2"]


def test_photos_in_one_folder_or_on_two_disks() -> None:
    def folders(*paths: str) -> list[tuple[str, str, int]]:
        count = len(paths)
        rows = pa.table({"path": paths, "taken": pa.nulls(count, pa.string()), "mtime_ns": [0] * count})
        facets = count_facets(count_places(rows))
        assert facets.months == {} and facets.undated == count
        return [(folder.path, folder.parent, folder.photos) for folder in facets.folders]

    assert folders("/home/me/Pictures/a.jpg", "/home/me/Pictures/b.jpg") == []
    assert folders("/home/me/Pictures/a.jpg", "/home/me/Pictures/x/b.jpg") == [("/home/me/Pictures/x", "", 1)]
    assert folders("/home/me/Pictures/x/a.jpg", "/home/me/Pictures/y/a.jpg", "/mnt/disk/DCIM/a.jpg") == [
        *(("/home/me/Pictures", "", 2), ("/home/me/Pictures/x", "/home/me/Pictures", 1)),
        *(("/home/me/Pictures/y", "/home/me/Pictures", 1), ("/mnt/disk/DCIM", "", 1)),
    ]
