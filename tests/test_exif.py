"""When and where a photo was taken: read from what cameras write, unknown where it is broken, never an error."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from PIL import Image

from fixtures.photos import camera, photo
from sketchfusion.io.exif import Camera, Capture, read_camera, read_capture


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.heic"])
def test_time_and_place_are_read_from_every_format(tmp_path: Path, name: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    found = read_capture(photo(tmp_path / name, 1, exif=camera()).read_bytes())
    assert found.taken == "2024-05-01T13:30:00"
    assert (found.latitude, found.longitude) == (pytest.approx(47.5, abs=1e-4), pytest.approx(-8.25, abs=1e-4))


def test_a_file_without_exif_says_nothing(tmp_path: Path) -> None:
    assert read_capture(photo(tmp_path / "a.jpg", 1).read_bytes()) == Capture()
    assert read_capture(b"") == read_capture(b"hello") == Capture()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-05-01 13:30:00", "2024-05-01T13:30:00"),
        ("2024:05:01T13:30:00+02:00", "2024-05-01T13:30:00"),
        ("2024/05/01 13:30", "2024-05-01T13:30:00"),
        ("2024:05:01 24:04:20", "2024-05-01T00:04:20"),
    ],
)
def test_times_that_programs_write_in_their_own_way_are_read(written: str, meant: str, tmp_path: Path) -> None:
    assert read_capture(photo(tmp_path / "a.jpg", 1, exif=camera(written)).read_bytes()).taken == meant


@pytest.mark.parametrize("never", ["0000:00:00 00:00:00", "0001:01:01 00:00:00", "9999:12:31 23:59:59"])
def test_what_makes_no_sense_is_unknown(never: str, tmp_path: Path) -> None:
    wrong = camera(never)
    wrong.get_ifd(0x8825)[2] = (200.0, 0.0, 0.0)  # no such latitude
    found = read_capture(photo(tmp_path / "a.jpg", 1, exif=wrong).read_bytes())
    assert found == Capture("2031-01-01T00:00:00")
    half = camera()
    del half.get_ifd(0x8825)[1]  # north or south?
    found = read_capture(photo(tmp_path / "b.jpg", 1, exif=half).read_bytes())
    assert (found.latitude, found.longitude) == (None, None)


def test_broken_exif_never_raises(tmp_path: Path) -> None:
    taken = camera()
    taken[0x010F], taken[0x0110] = "Maker", "One"
    taken.get_ifd(0x8769).update({0x829A: 0.5, 0x829D: float("inf"), 0x8827: (200, 100), 0x920A: 50.0})
    whole = bytearray(photo(tmp_path / "a.jpg", 1, exif=taken).read_bytes())
    assert read_camera(bytes(whole)) == Camera("Maker One", None, "0.5 s, ISO 200, 50 mm")
    rng, times, makers = random.Random(0), set(), set()
    end = whole.index(b"\xff\xdb")  # up to here there is only EXIF
    for _ in range(400):
        broken = whole.copy()
        for _ in range(4):
            broken[rng.randrange(20, end)] = rng.randrange(256)
        times.add(read_capture(bytes(broken)).taken)
        makers.add(read_camera(bytes(broken)).camera)
    assert len(times) > 1 and len(makers) > 1
    Image.open(io.BytesIO(whole)).load()
