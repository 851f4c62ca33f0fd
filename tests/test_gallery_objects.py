"""A gallery in an object store, against a real S3 server on this machine: all that one in a folder can do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from PIL import Image

from fixtures.photos import child, photo
from fixtures.pixels import PixelExtractor
from fixtures.writers import start, write
from sketchfusion.gallery import Gallery, GalleryError, Report
from test_cli import refused, sketchfusion
from test_gallery_faults import scores

BUCKET = "albums"
SERVER = """
import os, time
from moto.server import ThreadedMotoServer

parent = os.getppid()
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
while os.getppid() == parent:
    time.sleep(1)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server with one empty bucket, in a process of its own: it has much to do."""
    process = child(SERVER)
    assert process.stdout
    address = process.stdout.readline().strip()
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket=BUCKET)  # type: ignore[call-overload]
    yield address
    process.kill()
    process.wait()


@pytest.fixture
def uri(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a gallery of this test's own is to be, with the environment that leads there."""
    settings = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    for name, value in {**settings, "AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": server}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(12):
        photo(tmp_path / "photos" / ("cat" if number % 3 else "dog") / f"{number:02}.png", number)
    return tmp_path / "photos"


def test_a_gallery_is_kept_in_a_bucket_as_in_a_folder(uri: str, photos: Path, tmp_path: Path) -> None:
    far, near = (Gallery.open(place, PixelExtractor()) for place in (uri, tmp_path / "g"))
    first, sketch = photos / "cat" / "01.png", Image.open(photos / "cat" / "01.png")
    for gallery in (far, near):
        assert gallery.add(photos, commit_rows=5) == Report(embedded=12)
        assert gallery.add(photos) == Report(unchanged=12)
    again = Gallery.open(uri, PixelExtractor())
    assert again.search(sketch, k=5) == near.search(sketch, k=5)
    assert again.search(sketch, category="dog", where="width > 4") == near.search(sketch, category="dog")
    assert [*again] == [*near] and again.thumbnails([str(first)]) == near.thumbnails([str(first)])
    assert again.verify() == []
    assert again.remove([first]) == 1 and len(Gallery.open(uri, PixelExtractor())) == 11
    assert far.search(sketch, k=99) == [hit for hit in far.search(sketch, k=99) if hit.path != str(first)]
    assert again.plan(photos).to_add == [str(first)]
    assert again.reindex(PixelExtractor("other", "2")).embedded == 11
    assert Gallery.open(uri, PixelExtractor("other", "2")).verify() == []


def test_the_other_name_of_the_endpoint_will_do(uri: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    Gallery.open(uri, PixelExtractor()).add(photos)
    assert len(Gallery.open(uri, PixelExtractor())) == 12


def test_a_removed_photo_is_in_no_object_of_the_bucket(uri: str, photos: Path) -> None:
    gallery = Gallery.open(uri, PixelExtractor())
    gallery.add(photos)
    gone = photos / "cat" / "01.png"
    held = gallery.thumbnails([str(gone)])[str(gone)]
    assert _objects(uri, held)
    gallery.remove([gone])
    assert not _objects(uri, held) and not _objects(uri, b"cat/01.png")


def test_a_killed_writer_and_two_at_once_lose_nothing_in_a_bucket(uri: str, tmp_path: Path) -> None:
    roots = [tmp_path / "a", tmp_path / "b"]
    for number in range(48):
        photo(roots[number % 6 == 5] / f"{number}.png", number)
    killed = start(write, uri, roots[0], 30)
    while not len(Gallery.open(uri, PixelExtractor())):
        assert killed.is_alive()
        time.sleep(0.1)
    killed.kill()
    killed.join()
    before = scores(Gallery.open(uri, PixelExtractor()), roots[0] / "0.png")
    assert 0 < len(before) < 40
    writers = [start(write, uri, root) for root in roots]
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    gallery = Gallery.open(uri, PixelExtractor())
    assert before.items() <= scores(gallery, roots[0] / "0.png").items() and len(gallery) == 48
    assert gallery.add(roots) == Report(unchanged=48) and gallery.verify() == []


def test_the_commands_take_a_bucket(uri: str, photos: Path, model_folder: Path) -> None:
    assert "12 embedded" in sketchfusion("index", photos, "--gallery", uri, "--model", model_folder).stdout
    (photos / "cat" / "01.png").unlink()
    assert "1 removed" in sketchfusion("index", photos, "--gallery", uri, "--prune").stdout
    assert sketchfusion("search", photos / "cat" / "02.png", "--gallery", uri, "-k", 3).stdout.count("\n") == 3
    assert "all as written" in sketchfusion("doctor", "--gallery", uri).stdout


def test_what_is_wrong_with_a_bucket_is_said_in_one_line(
    uri: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(place: str) -> str:
        with pytest.raises(GalleryError) as caught:
            Gallery.open(place, PixelExtractor()).add(photos)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no gallery at s3://" in refused("search", photos / "cat" / "01.png", "--gallery", uri)
    assert said("s3://nowhere/g") == "gallery s3://nowhere/g: there is no such bucket; make it first"
    assert "s3://bucket/name" in said("s3://") and "use a folder" in said("nowhere://bucket/g")
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    assert "AWS_ALLOW_HTTP=true" in said(uri)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "the object store does not answer; check the network and AWS_ENDPOINT_URL" in said(uri)


def _objects(uri: str, needle: bytes) -> list[str]:
    """The names of the objects of a gallery that hold some bytes."""
    from pyarrow import fs

    address = (os.environ.get("AWS_ENDPOINT") or os.environ["AWS_ENDPOINT_URL"]).removeprefix("http://")
    system = fs.S3FileSystem(endpoint_override=address, scheme="http")
    found = system.get_file_info(fs.FileSelector(uri.removeprefix("s3://"), recursive=True))
    paths = [one.path for one in found if one.is_file]
    return [path for path in paths if needle in system.open_input_file(path).read()]
