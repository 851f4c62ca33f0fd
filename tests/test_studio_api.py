"""Every route of the studio, on a real server with the mini model."""

from __future__ import annotations

import base64
import errno
import io
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests
import torch
from PIL import Image

from fixtures.photos import photo
from fixtures.pixels import PixelExtractor
from fixtures.studio import CATEGORIES, INSTANCES, Server, drawn, open_studio
from sketchfusion.gallery import Gallery, Report
from sketchfusion.studio.studio import Searcher
from sketchfusion.studio.uploads import Job, Jobs, TooManyJobs, original_name, save_uploads, upload_folder

PHOTOS = len(CATEGORIES) * INSTANCES


def picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def from_url(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    return picture(base64.b64decode(data))


def folder(studio: Server, name: str) -> str:
    """The identifier of the folder of this name."""
    return next(str(one["id"]) for one in studio.get("v1/info").json()["gallery"]["folders"] if one["name"] == name)


def first_photo(studio: Server, category: str = "cup") -> dict[str, Any]:
    photos = studio.get("v1/photos", params={"folder": folder(studio, category)}).json()["photos"]
    return dict(photos[0])


def closeup(studio: Server, path: str, **more: Any) -> Any:
    body = {"client": "one", "sequence": 0, "drawing": drawn("cup"), "photo": first_photo(studio)["id"]}
    answer = studio.post(f"v1/{path}", body | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def finished(studio: Server, job: str) -> dict[str, Any]:
    for _ in range(600):
        state: dict[str, Any] = studio.get(f"v1/jobs/{job}").json()
        if state["state"] not in ("waiting", "running"):
            return state
        time.sleep(0.1)
    raise AssertionError("the job does not end")


def upload(studio: Server, *files: tuple[str, bytes]) -> requests.Response:
    return studio.post("v1/photos", files=[("files", file) for file in files])


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=95, **options)
    return buffer.getvalue()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Server]:
    """A studio without photos, and with a model that takes no time."""
    with open_studio(str(tmp_path / "new"), PixelExtractor(), upload_files=3, jobs_waiting=2) as server:
        yield server


def test_info_says_what_is_loaded(studio: Server, mini: Any) -> None:
    info = studio.get("v1/info").json()
    assert info["model"]["name"] == "mini" and info["model"]["fingerprint"] == mini.fingerprint
    assert info["model"]["labels"] == len(mini.labels) and "retrieval" in info["model"]["tasks"]
    gallery = info["gallery"]
    assert (gallery["name"], gallery["photos"], gallery["demo"]) == ("gallery", PHOTOS, False)
    folders = [(one["name"], one["parent"], one["photos"]) for one in gallery["folders"]]
    assert folders == [(name, "", INSTANCES) for name in sorted(CATEGORIES)]
    assert sum(one["photos"] for one in gallery["months"]) == gallery["undated"] == PHOTOS
    assert info["limits"]["upload_bytes"] > 1e6


def test_a_search_gives_what_the_gallery_gives(studio: Server, world_gallery: str, mini: Any) -> None:
    from sketchfusion import Gallery
    from sketchfusion.gallery import Query
    from sketchfusion.studio.drawing import read_sketch
    from sketchfusion.studio.messages import Limits, StrokesDrawing

    drawing = drawn("sailboat")
    answer = studio.search(drawing, sequence=7, k=5).json()
    used = {label["label"]: label["score"] for label in answer["labels"] if label["used"]}  # none until names are read
    sketch = read_sketch(StrokesDrawing.model_validate(drawing), Limits()).picture
    expected = Gallery.open(world_gallery, mini).answer(Query([sketch], k=5, also=used))
    assert answer["sequence"] == 7 and answer["milliseconds"] > 0
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4, 5]
    for hit, right in zip(answer["hits"], expected, strict=True):
        assert hit["path"] == "/".join(Path(right.path).parts[-2:]) and hit["category"] == right.category
        assert hit["score"] == pytest.approx(right.score, abs=2e-3)
        assert hit["confidence"] == pytest.approx(right.confidence, abs=0.02) and 0 <= hit["confidence"] <= 1
        assert (hit["width"], hit["height"]) == (128, 128)


def test_right_finds_come_first_and_wrong_ones_not_at_all(studio: Server) -> None:
    first, second, *_, last = studio.search(drawn("sailboat"), k=PHOTOS).json()["hits"]
    told = studio.search(drawn("sailboat"), k=PHOTOS, right=[last["id"]], wrong=[first["id"]]).json()["hits"]
    assert told[0]["id"] == last["id"] and len(told) == PHOTOS - 1
    assert first["id"] not in [hit["id"] for hit in told] and second["id"] in [hit["id"] for hit in told]
    gone = studio.search(drawn("sailboat"), k=PHOTOS, right=["gone"], wrong=["gone"]).json()["hits"]
    assert [hit["id"] for hit in gone[:2]] == [first["id"], second["id"]]


def test_drawings_are_labelled_as_recognize_does(studio: Server, mini: Any) -> None:
    from sketchfusion.studio.drawing import read_sketch
    from sketchfusion.studio.messages import Limits, StrokesDrawing
    from sketchfusion.tasks.recognition import Namer

    drawing = drawn("bicycle")
    labels = studio.search(drawing).json()["labels"]
    sketch = read_sketch(StrokesDrawing.model_validate(drawing), Limits()).picture
    expected = Namer(mini).name([sketch])[0]
    assert [label["label"] for label in labels] == [guess.label for guess in expected]
    assert [label["score"] for label in labels] == pytest.approx([guess.score for guess in expected], abs=0.01)


def test_folder_date_and_k_narrow_the_answer(studio: Server) -> None:
    hits = studio.search(drawn("tree"), k=100, folder=folder(studio, "tree")).json()["hits"]
    assert [hit["category"] for hit in hits] == ["tree"] * INSTANCES
    assert len(studio.search(drawn("tree"), k=3).json()["hits"]) == 3
    month = studio.get("v1/info").json()["gallery"]["months"][0]
    for date, photos in ((month["month"], month["photos"]), (month["month"][:4], month["photos"]), ("1999-12", 0)):
        assert len(studio.search(drawn("tree"), k=100, date=date).json()["hits"]) == photos
        assert studio.get("v1/photos", params={"date": date}).json()["total"] == photos
    gone = studio.search(drawn("tree"), folder="gone")
    assert gone.status_code == 404 and "folder" in gone.json()["error"]
    assert studio.search(drawn("tree"), date="2024-13").status_code == 422


def test_more_like_this_photo(studio: Server) -> None:
    photo = first_photo(studio, "giraffe")
    hits = studio.search(None, like=photo["id"], k=50).json()["hits"]
    assert len(hits) == PHOTOS - 1 and photo["id"] not in [hit["id"] for hit in hits]


def test_a_photo_from_elsewhere_finds_photos_like_it(studio: Server, world_photos: Path) -> None:
    path = world_photos / "giraffe" / "0.png"
    data = {"kind": "image", "data": base64.b64encode(path.read_bytes()).decode()}
    first, *rest = studio.search(None, photo=data, k=50).json()["hits"]
    assert first["path"] == "giraffe/0.png" and first["score"] == pytest.approx(1, abs=1e-3)
    like = studio.search(None, like=first["id"], k=50).json()["hits"]
    assert [hit["id"] for hit in rest] == [hit["id"] for hit in like]
    assert "the photo" in studio.search(None, photo=data | {"data": "aaaa"}).json()["error"]
    plain = {"kind": "image", "data": base64.b64encode(jpeg(Image.new("RGB", (64, 64), "red"))).decode()}
    assert studio.search(plain).json()["error"] == "there are no lines in this drawing"


def test_text_searches_alone_and_together_with_a_drawing(studio: Server) -> None:
    answer = studio.search(None, text="a bicycle", k=50)
    assert answer.status_code == 200, answer.text
    alone = answer.json()["hits"]
    assert len(alone) == PHOTOS and alone == sorted(alone, key=lambda hit: -hit["score"])
    both = studio.search(drawn("cup"), text="a bicycle", k=50).json()["hits"]
    assert {hit["id"] for hit in both} == {hit["id"] for hit in alone}
    assert [hit["id"] for hit in both] != [hit["id"] for hit in studio.search(drawn("cup"), k=50).json()["hits"]]


def test_min_score_keeps_only_confident_photos(studio: Server) -> None:
    every = studio.search(drawn("windmill"), k=50).json()["hits"]
    cut = sorted(hit["confidence"] for hit in every)[PHOTOS // 2]
    sure = studio.search(drawn("windmill"), k=50, min_score=cut).json()["hits"]
    assert [hit["id"] for hit in sure] == [hit["id"] for hit in every if hit["confidence"] >= cut]


def test_an_empty_search_is_refused_in_one_line(studio: Server) -> None:
    for body in ({}, {"text": "  "}):
        answer = studio.search(None, **body)
        assert answer.status_code == 400 and "nothing to look for" in answer.json()["error"]
    blank = {"kind": "strokes", "width": 100, "height": 100, "strokes": []}
    assert "blank" in studio.search(blank).json()["error"]


def test_photos_are_listed_in_pages(studio: Server, world_photos: Path) -> None:
    pages = [studio.get("v1/photos", params={"offset": n, "limit": 5}).json() for n in range(0, PHOTOS + 5, 5)]
    listed = [photo["path"] for page in pages for photo in page["photos"]]
    assert listed == sorted(str(path.relative_to(world_photos)) for path in world_photos.rglob("*.png"))
    assert {page["total"] for page in pages} == {PHOTOS}
    assert studio.get("v1/photos", params={"folder": folder(studio, "cup")}).json()["total"] == INSTANCES


def test_a_photo_is_served_reduced_and_without_metadata(empty: Server) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "SecretCamera", 6
    noise = np.random.default_rng(0).integers(0, 255, (1200, 2400, 3), np.uint8)
    job = upload(empty, ("trip/a.jpg", jpeg(Image.fromarray(noise), exif=exif))).json()["job"]
    state = finished(empty, job)
    assert state["state"] == "done", state["error"]
    photo = empty.get("v1/photos").json()["photos"][0]
    assert (photo["width"], photo["height"]) == (1200, 2400)
    answer = empty.get(f"v1/photos/{photo['id']}")
    assert answer.headers["content-type"] == "image/jpeg" and b"SecretCamera" not in answer.content
    assert picture(answer.content).size == (800, 1600) and not dict(picture(answer.content).getexif())
    small = empty.get(photo["thumbnail"])
    assert max(picture(small.content).size) == 256 and b"SecretCamera" not in small.content


def test_an_unchanged_thumbnail_answers_304(studio: Server) -> None:
    photo = first_photo(studio)
    sent = studio.get(photo["thumbnail"])
    again = studio.get(photo["thumbnail"], headers={"If-None-Match": sent.headers["etag"]})
    assert sent.status_code == 200 and (again.status_code, again.content) == (304, b"")


def test_photo_info_is_what_the_gallery_stores(studio: Server, world_photos: Path) -> None:
    photo = first_photo(studio, "tree")
    facts = studio.get(f"v1/photos/{photo['id']}/info").json()
    assert facts | photo == facts
    assert facts["bytes"] == (world_photos / photo["path"]).stat().st_size and facts["taken"] is None


def test_no_answer_contains_a_path_of_the_machine(studio: Server, world_photos: Path) -> None:
    answers = [
        studio.get("v1/info"),
        studio.get("v1/photos"),
        studio.get(f"v1/photos/{first_photo(studio)['id']}/info"),
        studio.search(drawn("cup")),
        studio.search(drawn("cup"), folder="nothing like it"),
        studio.post("v1/export", {"ids": [first_photo(studio)["id"]]}),
    ]
    secret = str(world_photos.parent)
    assert not [answer.text for answer in answers if secret in answer.text]


def test_photos_removed_since_are_no_marks_and_nothing_to_look_like(empty: Server, world_photos: Path) -> None:
    files = [(f"{kind}/a.png", (world_photos / kind / "0.png").read_bytes()) for kind in ("cup", "tree")]
    finished(empty, upload(empty, *files).json()["job"])
    kept, gone = (hit["id"] for hit in empty.search(drawn("cup")).json()["hits"])
    assert empty.delete(f"v1/photos/{gone}").status_code == 200
    for marks in ({"right": [gone]}, {"wrong": [gone]}, {"right": [gone, kept], "wrong": [gone]}):
        assert [hit["id"] for hit in empty.search(drawn("cup"), **marks).json()["hits"]] == [kept]
    for path in empty.studio.uploads.rglob("a-*.png"):
        path.unlink()
    answer = empty.search(None, like=gone)
    assert (answer.status_code, str(empty.studio.uploads.parent) in answer.text) == (404, False)
    empty.delete(f"v1/photos/{kept}")
    assert empty.search(drawn("cup"), right=[kept]).json()["hits"] == []


def test_an_explanation_shows_no_path_of_a_gallery_named_relatively(
    empty: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for uri in ("kept/g", "kept/holiday", "h/x", "a"):
        monkeypatch.setattr(empty.studio, "uri", uri)
        assert empty.studio.explain(ValueError(f"{tmp_path / uri} is bad")) == f"{uri.rpartition('/')[2]} is bad"
    damaged = ValueError(
        f"photos read are damaged ({str(tmp_path / 'mine' / 'a.png')!r}); see https://example.org/help/me"
    )
    assert empty.studio.explain(damaged) == "photos read are damaged ('a.png'); see https://example.org/help/me"


def test_a_namer_that_comes_during_a_search_waits_for_the_next() -> None:
    class Late(Searcher):
        reads = 0

        @property
        def namer(self) -> Any:
            self.reads += 1
            return None if self.reads == 1 else "a namer"

        @namer.setter
        def namer(self, value: Any) -> None:
            pass

    gallery: Any = SimpleNamespace(model=PixelExtractor())
    [(vector, names)] = Late(gallery)._see([torch.zeros(3, 64, 64)])
    assert vector.shape == (1, gallery.model.dim) and names == []


def test_a_photo_that_changes_gets_a_new_thumbnail_under_a_new_address(empty: Server, tmp_path: Path) -> None:
    path = photo(tmp_path / "mine" / "a.png", 1)
    Gallery.open(empty.studio.uri, PixelExtractor()).add(path.parent)
    url = empty.get("v1/photos").json()["photos"][0]["thumbnail"]
    before = empty.get(url).content
    photo(path, 2)
    Gallery.open(empty.studio.uri, PixelExtractor()).add(path.parent)  # by another process, of which nothing is told
    assert empty.get(url).content != before
    assert empty.get("v1/photos").json()["photos"][0]["thumbnail"] != url  # the browser keeps the old one, too


def test_uploads_are_indexed_found_and_can_be_removed(empty: Server, world_photos: Path) -> None:
    assert empty.search(drawn("cup")).json().get("hits") == []
    assert empty.get("v1/photos").json() == {"total": 0, "photos": []}
    cup = (world_photos / "cup" / "0.png").read_bytes()
    answer = upload(empty, ("mine/cup/big one.png", cup), ("notes.txt", b"no picture"))
    assert answer.status_code == 202
    state = finished(empty, answer.json()["job"])
    assert (state["state"], state["done"], state["total"]) == ("done", 2, 2)
    assert [(one["name"], bool(one["reason"])) for one in state["failed"]] == [("notes.txt", True)]
    assert empty.get("v1/photos", params={"folder": state["folder"]}).json()["total"] == 1
    hits = empty.search(drawn("cup")).json()["hits"]
    assert [(hit["name"], hit["category"], hit["path"]) for hit in hits] == [("big one.png", "cup", "cup/big one.png")]
    kept = [path for path in empty.studio.uploads.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [cup]
    gone = empty.delete(f"v1/photos/{hits[0]['id']}")
    assert gone.json() == {"removed": 1} and kept[0].exists()
    assert empty.get("v1/photos").json()["total"] == 0
    assert empty.delete(f"v1/photos/{hits[0]['id']}").status_code == 404
    assert empty.get(hits[0]["thumbnail"]).status_code == 404
    again = finished(empty, upload(empty, ("cup/big one.png", cup)).json()["job"])
    assert again["state"] == "done" and len(empty.search(drawn("cup")).json()["hits"]) == 1


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd.png", "..\\..\\evil.png", "/etc/evil.png", "a/../../b.png", "....png", "\0.png", ""]
)
def test_an_upload_never_leaves_its_folder(tmp_path: Path, name: str) -> None:
    (path,) = save_uploads(tmp_path / "in", [(name, io.BytesIO(b"x"))])
    assert path.resolve().is_relative_to((tmp_path / "in").resolve()) and path.read_bytes() == b"x"
    assert [item.name for item in tmp_path.iterdir()] == ["in"]
    before = path.stat()
    assert save_uploads(tmp_path / "in", [(name, io.BytesIO(b"x"))]) == [path] and path.stat() == before


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Cafe\u0301.jpg", "Caf\u00e9.jpg"),  # as macOS writes it
        ("\u0939\u093f\u0928\u094d\u0926\u0940.jpg", "\u0939\u093f\u0928\u094d\u0926\u0940.jpg"),
        ("\U00020000" * 80 + ".jpg", "\U00020000" * 45 + ".jpg"),
        ("a:b*c?.jpg", "a_b_c_.jpg"),
    ],
)
def test_an_upload_keeps_its_name_as_far_as_a_disk_takes_it(tmp_path: Path, name: str, kept: str) -> None:
    (path,) = save_uploads(tmp_path / "in", [(f"{'f' * 300}/{name}", io.BytesIO(b"x"))])
    assert original_name(path) == kept and path.exists()


def test_uploads_that_find_no_room_are_refused_in_one_line(empty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        if len(written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(1)

    written = list[int]()
    before = sorted(empty.studio.uploads.rglob("*"))
    monkeypatch.setattr("sketchfusion.studio.uploads.shutil.copyfileobj", full)
    answer = upload(empty, ("new/a.png", b"a"), ("new/b.png", b"b"))
    assert answer.status_code == 400 and "cannot be stored: new/new/b-" in answer.json()["error"], answer.text
    assert "No space left" in answer.json()["error"] and not list(empty.studio.uploads.rglob("*.png"))
    monkeypatch.setattr("sketchfusion.studio.routes.free_room", lambda _: 400_000_000)
    answer = upload(empty, ("new/a.png", b"a"))
    assert answer.status_code == 413 and "no room left" in answer.json()["error"] and not before


def test_jobs_can_be_cancelled(empty: Server, world_photos: Path) -> None:
    photos = [path.read_bytes() for path in sorted(world_photos.rglob("*.png"))]
    names = [
        upload(empty, *((f"{n}/{i}.png", data) for i, data in enumerate(photos[3 * n : 3 * n + 3]))) for n in range(3)
    ]
    last = names[-1].json()["job"]
    state = empty.delete(f"v1/jobs/{last}").json()
    assert state["state"] in ("cancelled", "running")
    assert finished(empty, last)["state"] == "cancelled"
    states = [finished(empty, name.json()["job"]) for name in names[:2]]
    assert [state["state"] for state in states] == ["done", "done"]
    deadline = time.monotonic() + 60
    while [
        path for path in (empty.studio.uploads / "2").glob("*.png") if str(path) not in empty.studio.gallery.paths()
    ]:
        assert time.monotonic() < deadline, "files of the cancelled job stay"
        time.sleep(0.1)
    assert empty.get("v1/jobs/unknown").status_code == 404
    assert upload(empty, *((f"{n}.png", b"") for n in range(4))).status_code == 413


def test_too_many_waiting_jobs_are_refused_and_closing_cancels_those_that_wait() -> None:
    gate, begun, saved, discarded = threading.Event(), threading.Event(), list[str](), list[Path]()

    def index(paths: Any, progress: Any) -> Report:
        begun.set()
        gate.wait(5)
        progress(0, 1)
        return Report()

    def submit(name: str) -> Job:
        return jobs.submit(lambda: (saved.append(name), [Path(name)])[1])

    jobs = Jobs(index, str, discarded.extend, remembered=2, waiting=1)
    running = submit("a")
    assert begun.wait(5)
    waiting = submit("b")
    with pytest.raises(TooManyJobs):
        submit("c")
    assert saved == ["a", "b"]  # nothing is stored that will not be indexed
    gate.set()
    while waiting.state != "done":
        time.sleep(0.01)
    with pytest.raises(ZeroDivisionError):
        jobs.submit(lambda: [Path(str(1 // 0))])
    gate.clear()
    begun.clear()
    later = submit("d")
    assert running.state == "done" and jobs.find(running.name) is None and jobs.find(later.name) is later
    assert begun.wait(5)
    last = submit("e")
    closing = threading.Thread(target=jobs.close)
    closing.start()
    while not (later.cancelled and last.cancelled):
        time.sleep(0.01)
    gate.set()
    closing.join()
    assert (later.state, last.state) == ("cancelled", "cancelled")
    assert {*discarded} == {Path("d"), Path("e")}


def test_a_cancelled_job_leaves_what_another_one_is_to_index() -> None:
    gate, begun, discarded = threading.Event(), threading.Event(), list[Path]()

    def index(paths: Any, progress: Any) -> Report:
        begun.set()
        gate.wait(5)
        if paths == [Path("broken")]:
            raise OSError("full")
        return Report()

    jobs = Jobs(index, str, discarded.extend, remembered=9, waiting=9)
    names = [["a"], ["b", "c"], ["c", "d"], ["broken"]]
    made = [jobs.submit(lambda some=some: [Path(name) for name in some]) for some in names]
    assert begun.wait(5)
    jobs.cancel(made[1])
    gate.set()
    while made[-1].state != "failed":
        time.sleep(0.01)
    jobs.close()
    assert [job.state for job in made] == ["done", "cancelled", "done", "failed"]
    assert {*discarded} == {Path("b"), Path("broken"), Path("c")}  # once c is indexed, the gallery knows it


def test_segmentation_is_what_segment_gives(studio: Server, world_photos: Path, mini: Any) -> None:
    from sketchfusion import segment
    from sketchfusion.studio.drawing import read_sketch
    from sketchfusion.studio.messages import Limits, StrokesDrawing

    answer = closeup(studio, "segment")
    sketch = read_sketch(StrokesDrawing.model_validate(drawn("cup")), Limits()).picture
    expected = segment(mini, sketch, world_photos / first_photo(studio)["path"], refine=False)
    heat = from_url(answer["heat"])
    assert (heat.mode, heat.size) == ("L", (answer["width"], answer["height"])) == ("L", (128, 128))
    assert np.allclose(np.asarray(heat) / 255, expected.heat, atol=0.01)
    assert answer["score"] == pytest.approx(expected.score, abs=1e-3) and answer["threshold"] == expected.threshold


def test_an_absent_object_has_a_threshold_above_all_heat(
    studio: Server, mini: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sketchfusion.tasks import segmentation

    monkeypatch.setattr(segmentation, "presence", lambda *maps: 0.0)
    answer = closeup(studio, "segment")
    assert answer["threshold"] == 1 and np.asarray(from_url(answer["heat"])).max() < 255


def test_matched_points_come_in_the_units_of_drawing_and_photo(studio: Server) -> None:
    drawing = drawn("cup")
    asked = [stroke["points"][0] for stroke in drawing["strokes"][:3]]
    matches = closeup(studio, "match", points=asked)["matches"]
    assert np.allclose([match["sketch"] for match in matches], asked, atol=1e-3)
    assert all(0 <= value <= 128 for match in matches for value in match["photo"])
    back = closeup(studio, "match", points=[[64, 64], [30, 90]], source="photo")["matches"]
    assert np.allclose([match["photo"] for match in back], [[64, 64], [30, 90]], atol=1e-3)
    assert all(-1 <= match["score"] <= 1 and isinstance(match["mutual"], bool) for match in matches + back)
    spread = closeup(studio, "match")["matches"]
    assert len(spread) > 3 and all(0 <= value <= 256 for match in spread for value in match["sketch"])


def test_matches_do_not_depend_on_the_units_of_the_drawing(studio: Server) -> None:
    drawing = drawn("cup")
    twice = drawing | {
        "width": 512,
        "height": 512,
        "strokes": [
            {"points": [[2 * x, 2 * y] for x, y in stroke["points"]], "width": 2 * stroke["width"]}
            for stroke in drawing["strokes"]
        ],
    }
    x, y = drawing["strokes"][0]["points"][0]
    once = closeup(studio, "match", points=[[x, y]])["matches"][0]
    again = closeup(studio, "match", drawing=twice, points=[[2 * x, 2 * y]])["matches"][0]
    assert np.allclose(once["photo"], again["photo"], atol=1)


def test_matching_parts_have_the_same_colour(studio: Server) -> None:
    answer = closeup(studio, "dense")
    sketch, photo = from_url(answer["sketch"]), from_url(answer["photo"])
    assert sketch.mode == photo.mode == "RGBA" and sketch.size == (480, 480) and photo.size == (128, 128)
    opacity = np.asarray(sketch)[..., 3]
    assert 0.005 < (opacity > 128).mean() < 0.5
    heat = np.asarray(from_url(closeup(studio, "segment")["heat"]))
    assert abs(np.asarray(photo)[..., 3].astype(int) - heat).mean() < 2  # coloured where the photo shows it


def test_inspection_gives_maps_spectra_and_weights(studio: Server) -> None:
    answer = closeup(studio, "inspect")
    features = [one["feature"] for one in answer["maps"]]
    assert features[0] == "CLIP" and features[-1] == "fused" and len(features) >= 4
    assert all(from_url(one[kind]).size == (256, 256) for one in answer["maps"] for kind in ("sketch", "photo"))
    assert [(one["feature"], one["kind"]) for one in answer["spectra"]] == [
        (feature, kind) for feature in features for kind in ("sketch", "photo")
    ]
    for one in answer["spectra"]:
        assert len(one["frequency"]) == len(one["amplitude"]) > 3
        assert one["frequency"] == sorted(one["frequency"]) and one["amplitude"][0] == 0
    assert sum(answer["branch_weights"].values()) == pytest.approx(1, abs=1e-4)
    alone = closeup(studio, "inspect", photo=None)
    assert [one["photo"] for one in alone["maps"]] == [None] * len(features)


def test_a_model_without_parts_cannot_be_inspected(empty: Server) -> None:
    answer = empty.post("v1/inspect", {"client": "one", "sequence": 0, "drawing": drawn("cup")})
    assert answer.status_code == 400 and "not a fused model" in answer.json()["error"]


def test_export_as_a_list_and_as_a_sheet(studio: Server) -> None:
    hits = studio.search(drawn("cup"), k=10).json()["hits"]
    body = {"drawing": drawn("cup"), "ids": [hit["id"] for hit in hits]}
    rows = studio.post("v1/export", body).json()["photos"]
    assert [(row["id"], row["rank"]) for row in rows] == [(hit["id"], hit["rank"]) for hit in hits]
    assert [row["score"] for row in rows] == pytest.approx([hit["score"] for hit in hits], abs=1e-4)
    sheet = studio.post("v1/export", body | {"format": "sheet"})
    assert sheet.headers["content-type"] == "image/png" and picture(sheet.content).width > 1000
    assert studio.post("v1/export", {"ids": body["ids"], "format": "sheet"}).status_code == 200
    assert studio.post("v1/export", {"ids": ["no"]}).status_code == 404


def test_examples_can_be_searched(studio: Server) -> None:
    examples = studio.get("v1/examples").json()
    assert len(examples) >= 8 and len({example["name"] for example in examples}) == len(examples)
    drawing = {key: examples[0][key] for key in ("width", "height", "strokes")} | {"kind": "strokes"}
    assert studio.search(drawing).status_code == 200
    assert studio.get("v1/examples/Wine-bottle").json()["name"] == "wine bottle"
    assert studio.get("v1/examples/sphinx").status_code == 404


def test_health(studio: Server) -> None:
    studio.search(drawn("cup"))
    health = studio.get("v1/health").json()
    assert health["status"] == "ok" and health["waiting"] == 0


def test_only_the_files_of_the_page_are_served(studio: Server) -> None:
    index = studio.get("/")
    assert index.status_code == 200 and index.headers["content-type"].startswith("text/html")
    again = studio.get(
        "/static/index.html", headers={"If-None-Match": studio.get("/static/index.html").headers["etag"]}
    )
    assert again.status_code == 304
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd", "/app.py"):
        request = requests.Request("GET", studio.address).prepare()
        request.url = studio.address + path
        with requests.Session() as session:
            assert session.send(request, timeout=10).status_code == 404, path


def test_head_answers_as_get_does_without_a_body(studio: Server) -> None:
    photo = first_photo(studio)["id"]
    for path in ("/", "/favicon.svg", "/manifest.webmanifest", "/static/main.js", "v1/info", "v1/health", "v1/photos"):
        assert requests.head(studio.url(path), timeout=10).status_code == 200, path
    for path in (f"v1/photos/{photo}", f"v1/photos/{photo}/file", f"v1/photos/{photo}/thumbnail"):
        whole, head = studio.get(path), requests.head(studio.url(path), timeout=10)
        assert (head.status_code, head.content, head.headers["content-type"]) == (
            200,
            b"",
            whole.headers["content-type"],
        )
        assert int(head.headers["content-length"]) == len(whole.content)
    assert requests.head(studio.url("v1/photos/nowhere"), timeout=10).status_code == 404
    assert requests.head(studio.url("v1/search"), timeout=10).status_code == 405


def test_the_interface_describes_itself(studio: Server) -> None:
    schema = studio.get("v1/openapi.json").json()
    assert {path for path in schema["paths"] if path.startswith("/api/v1/")} == set(schema["paths"])
    assert len(schema["paths"]) >= 14 and studio.get("v1/docs").status_code == 404


def test_folders_are_indexed_and_followed_and_their_files_stay(
    empty: Server, world_photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(world_photos / "cup", folder / "cup")
    (folder / "broken.jpg").write_bytes(b"no picture")
    here = {path.name for path in folder.rglob("*.*")}

    def indexing(photos: int) -> dict[str, Any]:
        for _ in range(600):
            state: dict[str, Any] = empty.get("v1/health").json()["indexing"]
            if (state["photos"] == photos and state["done"] == state["total"]) or state["error"]:
                return state
            time.sleep(0.1)
        raise AssertionError(state)

    assert empty.get("v1/health").json()["indexing"] is None
    before = len(empty.studio.gallery)
    empty.studio.follow([str(folder)])
    state = indexing(before + 2)
    assert (state["done"], state["total"], state["error"]) == (3, 3, None)
    assert {path.name for path in folder.rglob("*.*")} == here
    assert empty.delete(f"v1/photos/{empty.get('v1/photos').json()['photos'][0]['id']}").json() == {"removed": 1}
    shutil.copytree(world_photos / "tree", folder / "tree")
    assert indexing(before + 3)["error"] is None  # what was removed on the page stays away
    assert len(empty.studio.left_out) == 1 and "not a picture" in empty.studio.left_out[0]
    empty.studio.close()
    assert "following" not in {thread.name for thread in threading.enumerate()}


def test_following_can_be_paused_and_what_failed_is_tried_again(
    empty: Server, world_photos: Path, tmp_path: Path
) -> None:
    none = {"paused": False, "folders": [], "failed": []}
    assert empty.get("v1/following").json() == empty.post("v1/following", {"paused": True}).json() == none
    folder, stick = tmp_path / "mine", tmp_path / "stick"
    shutil.copytree(world_photos / "cup", folder)
    shutil.copytree(world_photos / "tree", stick)
    (folder / "broken.jpg").write_bytes(b"no picture")
    empty.studio.follow([str(folder), str(stick)])

    def until(told: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        for _ in range(600):
            state: dict[str, Any] = empty.get("v1/following").json()
            if told(state):
                return state
            time.sleep(0.1)
        raise AssertionError(state)

    def photos(state: dict[str, Any]) -> list[int]:
        return [one["photos"] for one in state["folders"]]

    state = until(lambda state: photos(state) == [2, 2] and state["failed"])
    assert [one["name"] for one in state["folders"]] == [str(folder), str(stick)]
    assert [one["name"] for one in state["failed"]] == [str(folder / "broken.jpg")]
    assert "not a picture" in state["failed"][0]["reason"] and len(empty.studio.left_out) == 1
    assert empty.post("v1/following", {"paused": True}).json()["paused"] is True
    stick.rename(tmp_path / "unplugged")
    shutil.copy(world_photos / "giraffe" / "0.png", folder / "new.png")
    time.sleep(3)  # longer than from one scan to the next
    state = empty.get("v1/following").json()
    assert photos(state) == [2, 2] and [one["there"] for one in state["folders"]] == [True, False]
    assert empty.get("v1/health").json()["indexing"]["paused"] is True
    assert empty.post("v1/following", {"paused": False}).json()["paused"] is False
    until(lambda state: photos(state) == [3, 2])  # the other folder is away, and its photos stay
    (tmp_path / "unplugged").rename(stick)
    gone = next(one for one in empty.get("v1/photos").json()["photos"] if one["name"] == "new.png")
    assert empty.delete(f"v1/photos/{gone['id']}").json() == {"removed": 1}
    shutil.copy(world_photos / "cup" / "1.png", folder / "broken.jpg")
    until(lambda state: photos(state) == [3, 2] and not state["failed"])
    (folder / "cup.jpg").write_bytes(b"no picture either")
    until(lambda state: len(state["failed"]) == 1)
    empty.post("v1/following", {"paused": False})
    time.sleep(3)
    state = empty.get("v1/following").json()  # what was removed on the page stays away
    assert photos(state) == [3, 2] and len(state["failed"]) == 1
    empty.studio.close()
    assert "following" not in {thread.name for thread in threading.enumerate()}


def test_copies_of_a_photo_are_shown_once(empty: Server, world_photos: Path) -> None:
    same = (world_photos / "cup" / "0.png").read_bytes()
    other = (world_photos / "tree" / "0.png").read_bytes()
    job = upload(empty, ("a.png", same), ("b/a.png", same), ("c.png", other)).json()["job"]
    assert finished(empty, job)["state"] == "done"
    hits = empty.search(drawn("cup")).json()["hits"]
    assert sorted(len(hit["similar"]) for hit in hits) == [0, 1]


def test_an_answer_goes_on_from_an_offset(studio: Server) -> None:
    whole = studio.search(drawn("cup"), k=PHOTOS).json()["hits"]
    parts = [studio.search(drawn("cup"), k=5, offset=n).json()["hits"] for n in range(0, PHOTOS + 5, 5)]
    assert [(hit["id"], hit["rank"]) for part in parts for hit in part] == [(hit["id"], hit["rank"]) for hit in whole]
    assert studio.search(drawn("cup"), offset=10_001).status_code == 422


def test_a_photo_is_given_whole_and_its_file_as_it_is(empty: Server) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS R5"
    exif.get_ifd(0x8769).update({0x829A: 0.004, 0x829D: 2.8, 0x8827: 400, 0x920A: 35.0, 0xA434: "RF 35mm"})
    noise = np.random.default_rng(0).integers(0, 255, (900, 1800, 3), np.uint8)
    sent = jpeg(Image.fromarray(noise), exif=exif)
    assert finished(empty, upload(empty, ("trip/sea \u00e9.jpg", sent)).json()["job"])["state"] == "done"
    photo = empty.get("v1/photos").json()["photos"][0]
    whole = empty.get(f"v1/photos/{photo['id']}", params={"full": True})
    assert picture(whole.content).size == (1800, 900) and b"Canon" not in whole.content
    kept = empty.get(f"v1/photos/{photo['id']}/file")
    assert kept.content == sent and kept.headers["content-type"] == "image/jpeg"
    assert kept.headers["content-disposition"] == "attachment; filename*=utf-8''sea%20%C3%A9.jpg"
    facts = empty.get(f"v1/photos/{photo['id']}/info").json()
    taken = (facts["camera"], facts["lens"], facts["exposure"])
    assert taken == ("Canon EOS R5", "RF 35mm", "1/250 s, f/2.8, ISO 400, 35 mm")
    next(path for path in empty.studio.uploads.rglob("*.jpg")).write_bytes(b"other")
    assert empty.get(f"v1/photos/{photo['id']}/file").status_code == 404
    assert empty.get(f"v1/photos/{photo['id']}/info").json()["camera"] is None


def test_many_photos_are_taken_as_an_archive(empty: Server, world_photos: Path) -> None:
    data = [(world_photos / "cup" / f"{number}.png").read_bytes() for number in (0, 1)]
    files = (("cup/a.png", data[0]), ("cup/a.png", data[1]), ("tree/b.png", data[1]))
    assert finished(empty, upload(empty, *files).json()["job"])["state"] == "done"
    photos = empty.get("v1/photos").json()["photos"]
    gone = next(path for path in empty.studio.uploads.rglob("b-*.png"))
    gone.unlink()
    archive = empty.post("v1/export", {"ids": [photo["id"] for photo in photos], "format": "zip"})
    assert archive.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert opened.testzip() is None
        assert sorted(opened.namelist()) == ["cup/a (2).png", "cup/a.png", "missing.txt"]
        assert {opened.read("cup/a.png"), opened.read("cup/a (2).png")} == set(data)
        assert "tree/b.png: " in opened.read("missing.txt").decode()


def test_whole_paths_and_the_file_manager_are_for_this_machine_only(
    studio: Server, world_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = first_photo(studio)
    shown: list[str] = []
    monkeypatch.setattr("sketchfusion.studio.routes.reveal", shown.append)
    body = {"ids": [photo["id"]], "format": "paths"}
    assert studio.get("v1/info").json()["local"] is True
    assert studio.post("v1/export", body).text == f"{world_photos / photo['path']}\n"
    assert studio.post(f"v1/photos/{photo['id']}/reveal").status_code == 200
    assert shown == [str(world_photos / photo["path"])]
    for name in ("X-Forwarded-For", "Forwarded", "Via", "Connection"):  # the last as nginx has it
        away = {"headers": {name: "close" if name == "Connection" else "192.0.2.7"}}
        assert studio.get("v1/info", **away).json()["local"] is False
        assert studio.post("v1/export", body, **away).text == f"{photo['path']}\n"
        assert studio.post(f"v1/photos/{photo['id']}/reveal", **away).status_code == 403
    assert len(shown) == 1


def test_only_this_machine_is_told_how_a_phone_enters(studio: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert studio.get("v1/info").json()["phone"] is None
    monkeypatch.setattr(studio.studio, "network_address", lambda: "http://192.168.1.5:8000/?token=correct")
    phone = studio.get("v1/info").json()["phone"]
    assert phone["address"].endswith("?token=correct") and phone["code"].startswith("data:image/svg+xml")
    assert studio.get("v1/info", headers={"X-Forwarded-For": "192.0.2.7"}).json()["phone"] is None


def test_a_file_is_shown_by_the_file_manager_or_its_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sketchfusion.studio import studio as module

    asked: list[list[str]] = []
    working = {"xdg-open"}

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command)
        if command[0] not in working:
            raise FileNotFoundError(command[0])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("sys.platform", "linux")
    path = str(tmp_path / "a b.jpg")
    module.reveal(path)
    assert [command[0] for command in asked] == ["dbus-send", "xdg-open"]
    assert f"array:string:{Path(path).as_uri()}" in asked[0] and asked[1][1] == str(tmp_path)
    working.add("dbus-send")
    module.reveal(path)
    assert [command[0] for command in asked[2:]] == ["dbus-send"]
    working.clear()
    with pytest.raises(module.NotFound, match="no file manager"):
        module.reveal(path)


def test_uploads_lie_in_the_gallery_or_with_the_data_of_the_user_never_in_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo that was dropped may be the only copy, and a cache may be emptied."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert upload_folder(str(tmp_path / "g")) == tmp_path / "g" / "uploads"
    stored = [upload_folder(uri) for uri in ("s3://bucket/one", "s3://bucket/two")]
    assert len(set(stored)) == 2
    assert {folder.parent for folder in stored} == {tmp_path / "data" / "sketchfusion" / "uploads"}
