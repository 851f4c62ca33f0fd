"""Host names, tokens, limits on requests, security headers and internal errors."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from PIL import ExifTags, Image

from fixtures.photos import camera
from fixtures.studio import Server, drawn, open_studio
from sketchfusion.studio.messages import Indexing

TOKEN = "correct horse battery"


@pytest.fixture(scope="module")
def locked(world_gallery: str, mini: Any) -> Iterator[Server]:
    with open_studio(world_gallery, mini, token=TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def narrow(world_gallery: str, mini: Any) -> Iterator[Server]:
    limits = {
        "json_bytes": 20_000,
        "json_depth": 8,
        "json_lists": 2_000,
        "upload_bytes": 50_000,
        "strokes": 5,
        "points": 50,
        "text": 20,
    }
    with open_studio(world_gallery, mini, results=10, **limits) as server:
        yield server


def one_line(answer: requests.Response) -> str:
    body = answer.json()
    assert set(body) <= {"error", "superseded"} and "\n" not in body["error"]
    return str(body["error"])


def test_every_answer_is_protected(studio: Server) -> None:
    for answer in (studio.get("/"), studio.get("v1/info"), studio.get("/nothing"), studio.post("v1/search", {})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers and "server" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::bad"])
def test_a_foreign_host_name_is_refused(studio: Server, host: str) -> None:
    """A name of somebody's that was made to point at this machine."""
    assert studio.get("/", headers={"Host": host}).status_code == 421
    assert studio.post("v1/search", {}, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST:1234", "[::1]:80"])
def test_names_of_this_machine_are_accepted(studio: Server, host: str) -> None:
    assert studio.get("v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_pages_of_other_sites_may_change_nothing(studio: Server, headers: dict[str, str]) -> None:
    photo = studio.get("v1/photos").json()["photos"][0]["id"]
    assert studio.delete(f"v1/photos/{photo}", headers=headers).status_code == 403
    assert studio.post("v1/search", {}, headers=headers).status_code == 403
    assert studio.get(f"v1/photos/{photo}/info").status_code == 200


def test_the_studios_own_page_may_make_changes(studio: Server) -> None:
    for headers in ({"Origin": studio.address}, {"Sec-Fetch-Site": "same-origin", "Origin": studio.address}):
        assert studio.post("v1/search", {}, headers=headers).status_code == 422


def test_every_path_needs_the_token(locked: Server) -> None:
    paths = ["/", "/static/index.html", "v1/info", "v1/photos", "v1/photos/x", "v1/metrics", "v1/openapi.json"]
    for path in paths:
        assert locked.get(path).status_code == 401, path
        assert locked.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert locked.get(path, cookies={f"sketchfusion-{locked.address[-5:]}": "wrong"}).status_code == 401
    assert locked.get("v1/photos", params={"token": TOKEN}).status_code == 401
    assert locked.search(drawn("cup")).status_code == 401
    assert locked.get("v1/health").status_code == 200


def test_the_token_opens_the_page_once_and_the_cookie_from_then_on(locked: Server) -> None:
    assert locked.get("v1/photos", headers={"Authorization": f"Bearer {TOKEN}"}).json()["total"] > 0
    entered = locked.get("/", params={"token": TOKEN}, allow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "./")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and TOKEN not in cookie
    with requests.Session() as browser:
        assert browser.get(locked.url("/"), params={"token": TOKEN}, timeout=10).url == locked.url("/")
        assert browser.get(locked.url("v1/photos"), timeout=10).status_code == 200
    assert locked.get("/", params={"token": "wrong"}, allow_redirects=False).status_code == 401


def test_one_browser_keeps_the_tokens_of_two_studios_on_one_machine(
    locked: Server, world_gallery: str, mini: Any
) -> None:
    with open_studio(world_gallery, mini, token="another battery") as other, requests.Session() as browser:
        for server, token in ((locked, TOKEN), (other, "another battery")):
            browser.get(server.url("/"), params={"token": token}, timeout=10)
        for server in (locked, other):
            assert browser.get(server.url("v1/photos"), timeout=10).status_code == 200


def test_a_browser_without_the_token_gets_a_page_that_says_what_to_do(locked: Server) -> None:
    page = locked.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status_code == 401 and page.headers["content-type"].startswith("text/html")
    assert "?token=" in page.text and "<script" not in page.text and TOKEN not in page.text
    for address in (page.url, locked.url("/static/x"), locked.url("v1/photos/x")):
        page = locked.get(address.removeprefix(locked.address), headers={"Accept": "text/html,*/*"})
        for needed in re.findall(r'href="([^"]+)"', page.text):
            assert requests.get(urljoin(address, needed), timeout=10).status_code == 200, needed
    assert "token" in one_line(locked.get("v1/photos", headers={"Accept": "application/json"}))


def test_an_app_on_the_home_screen_enters_by_its_manifest(locked: Server, studio: Server) -> None:
    assert locked.get("/manifest.webmanifest").status_code == 401
    answer = locked.get("/manifest.webmanifest", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.headers["content-type"] == "application/manifest+json"
    manifest = answer.json()
    assert (
        requests.get(urljoin(answer.url, manifest["start_url"]), allow_redirects=False, timeout=10).status_code == 303
    )
    for icon in manifest["icons"]:
        assert requests.get(urljoin(answer.url, icon["src"]), timeout=10).headers["content-type"] == icon["type"]
    below = "https://host/sketch/manifest.webmanifest"  # as a proxy may have it
    start = studio.get("/manifest.webmanifest").json()["start_url"]
    assert urljoin(below, start) == urljoin(below, manifest["scope"]) == "https://host/sketch/"


@pytest.mark.parametrize(
    ("host", "here", "there"),
    [("127.0.0.1", "127.0.0.1", None), ("0.0.0.0", "127.0.0.1", "192.168.1.5"), ("::", "[::1]", "192.168.1.5")],
)
def test_the_page_has_an_address_here_and_one_for_other_devices(
    host: str, here: str, there: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sketchfusion.studio import server
    from sketchfusion.studio.protection import Access

    monkeypatch.setattr(server, "network_address", lambda: "192.168.1.5")
    listener: Any = SimpleNamespace(getsockname=lambda: (host, 8000))
    ends = ":8000/?token=correct%20horse%20battery"
    assert server.addresses(listener, Access(host, TOKEN)) == (
        f"http://{here}{ends}",
        there and f"http://{there}{ends}",
    )


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-name.invalid"])
def test_an_address_that_this_machine_has_not_is_no_matter_of_the_port(host: str) -> None:
    from sketchfusion.studio import server

    with pytest.raises(OSError, match="no such address; choose another one: --host"):
        server.listen(host, 0)


def test_an_ipv6_address_may_have_brackets() -> None:
    from sketchfusion.studio import server

    with server.listen("[::1]", 0) as listener:
        assert listener.getsockname()[0] == "::1"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_listening_to_other_machines_needs_a_token(host: str) -> None:
    from sketchfusion.studio.protection import Access

    with pytest.raises(ValueError, match="token"):
        Access(host)
    with pytest.raises(ValueError, match="guessed"):
        Access(host, "short")
    assert Access(host, TOKEN).accepts_host("192.168.1.5") and not Access(host, TOKEN).accepts_host("evil.test")


def test_bodies_are_bounded_whatever_their_headers_say(narrow: Server) -> None:
    large = {"client": "a" * 30_000, "sequence": 1}
    assert "20000" in one_line(answer := narrow.post("v1/search", large)) and answer.status_code == 413
    streamed = narrow.post(
        "v1/search", data=iter([b"[" + b"1," * 6_000] * 3), headers={"Content-Type": "application/json"}
    )
    assert streamed.status_code == 413
    deep = narrow.post("v1/search", data=b'{"a":' * 30 + b"1" + b"}" * 30, headers={"Content-Type": "application/json"})
    assert deep.status_code == 413 and "deeper than 8" in one_line(deep)
    wide = {"client": "a", "sequence": 1, "drawing": [[]] * 3_000}
    assert "lists" in one_line(answer := narrow.post("v1/search", wide)) and answer.status_code == 413
    file = ("files", ("a.png", os.urandom(60_000)))
    assert narrow.post("v1/photos", files=[file]).status_code == 413
    half = ("files", ("a.png", os.urandom(30_000)))  # what an upload may have is still too much for JSON
    assert narrow.post("v1/search", files=[half]).status_code == 413
    assert not narrow.studio.uploads.exists() or not list(narrow.studio.uploads.rglob("*.png"))


@pytest.mark.parametrize("end", [b"", b"\\", b'"', b"["])
def test_a_body_of_quotes_takes_no_time(studio: Server, end: bytes) -> None:
    """A string that never ends, looked for again from each of its quotes, would keep everybody waiting for hours."""
    body = b'{"text": "' + b'\\"' * 2_000_000 + end
    answer = requests.post(studio.url("v1/search"), body, headers={"Content-Type": "application/json"}, timeout=60)
    assert answer.status_code == 422


def test_brackets_in_text_are_not_depth(narrow: Server) -> None:
    answer = narrow.post("v1/search", {"client": "[" * 40 + '\\"{', "sequence": 1, "text": "cup", "k": 2})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"drawing": {"kind": "strokes", "width": 9, "height": 9, "strokes": [{"points": [[1, 1]]}] * 6}}, "6 strokes"),
        (
            {"drawing": {"kind": "strokes", "width": 9, "height": 9, "strokes": [{"points": [[1, 1]] * 51}]}},
            "51 points",
        ),
        ({"text": "x" * 21}, "21 characters"),
        ({"text": "cup", "k": 11}, "k=11"),
    ],
)
def test_each_limit_is_refused_with_a_reason(narrow: Server, body: dict[str, Any], reason: str) -> None:
    answer = narrow.post("v1/search", {"client": "a", "sequence": 1, "k": 2} | body)
    assert answer.status_code == 413 and reason in one_line(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"client": "a", "sequence": 1, "text": "cup", "surprise": 1}',
        b'{"client": "a", "sequence": -1, "text": "cup"}',
        b'{"client": "a", "sequence": 1, "text": "cup", "k": 0}',
        b'{"client": "a", "sequence": 1, "text": "cup", "min_score": NaN}',
        b'{"client": "a", "sequence": 1, "drawing": {"kind": "strokes", "width": Infinity, "height": 1, '
        b'"strokes": []}}',
        b'{"client": "a", "sequence": 1, "drawing": {"kind": "strokes", "width": 9, "height": 9, '
        b'"strokes": [{"points": [[1]]}]}}',
        b'{"client": "a", "sequence": 1, "drawing": {"kind": "other"}}',
        b'{"client": "", "sequence": 1, "text": "cup"}',
    ],
)
def test_a_malformed_request_gets_one_line(studio: Server, body: bytes) -> None:
    answer = studio.post("v1/search", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422) and one_line(answer)


@pytest.mark.parametrize(
    "name", ["..", "../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/etc/passwd", "a" * 3000, "%00", "0" * 30]
)
def test_a_photo_cannot_be_named_by_its_path(studio: Server, name: str) -> None:
    for tail in ("", "/thumbnail", "/info"):
        request = requests.Request("GET", studio.address).prepare()
        request.url = f"{studio.address}/api/v1/photos/{name}{tail}"
        with requests.Session() as session:
            answer = session.send(request, timeout=10)
        assert answer.status_code == 404 and one_line(answer)


def test_only_the_photo_that_was_indexed_is_ever_served(tmp_path: Path, mini: Any) -> None:
    """Not what a link or another picture in its place leads to."""
    from sketchfusion import Gallery

    photos, outside, exif = tmp_path / "photos", tmp_path / "outside.png", camera()
    exif[ExifTags.Base.Model] = "Box"
    photos.mkdir()
    for path, colour in ((photos / "a.png", "red"), (photos / "b.png", "blue"), (outside, "green")):
        image = Image.new("RGB", (64, 64), colour)
        image.paste("white", (8, 8, 24, 24))
        image.save(path, exif=exif)
    Gallery.open(tmp_path / "g", mini).add(photos)
    with open_studio(str(tmp_path / "g"), mini) as server:
        first, second = server.get("v1/photos").json()["photos"]
        assert server.get(f"v1/photos/{first['id']}").status_code == 200
        assert server.get(f"v1/photos/{first['id']}/info").json()["camera"] == "Box"
        (photos / "a.png").unlink()
        (photos / "a.png").symlink_to(outside)
        (photos / "b.png").unlink()
        for photo, reason in ((first, "changed"), (second, "gone")):
            answer = server.get(f"v1/photos/{photo['id']}")
            assert answer.status_code == 404 and reason in one_line(answer)
            assert server.get(photo["thumbnail"]).status_code == 200
            assert server.get(f"v1/photos/{photo['id']}/info").json()["camera"] is None


def test_an_unexpected_error_is_logged_under_a_number_and_shows_nothing_else(
    studio: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(studio.studio.photos, "path", broken)
    answer = studio.get("v1/photos/abc/info")
    number = one_line(answer).split()[2].rstrip(";")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert number in caplog.text and "secret detail" in caplog.text


def test_bytes_that_are_not_http_do_no_harm(studio: Server) -> None:
    port = int(studio.address.rpartition(":")[2])
    for noise in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        os.urandom(500),
    ):
        with socket.create_connection(("127.0.0.1", port), 5) as line:
            line.sendall(noise)
    assert studio.get("v1/health").status_code == 200


def test_how_far_indexing_is_tells_of_photos_and_needs_the_token(
    locked: Server, studio: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = Indexing(done=3, total=7, photos=7, changes=1, error=None)
    for server in (locked, studio):
        monkeypatch.setattr(server.studio, "follower", SimpleNamespace(state=state))
    assert locked.get("v1/health").json()["indexing"] is None
    assert locked.get("v1/health", headers={"Authorization": "Bearer wrong"}).json()["indexing"] is None
    admitted = {"Authorization": f"Bearer {TOKEN}"}
    assert locked.get("v1/health", headers=admitted).json()["indexing"] == state.model_dump()
    assert studio.get("v1/health").json()["indexing"] == state.model_dump()
