"""The studio behind a proxy that serves it below a path, as nginx and Caddy do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw
from fixtures.fake_studio import FakeStudio
from fixtures.studio import drawn, open_studio
from test_studio_page import LINE, LOOP, searched

PATH = "/sketch"
TOKEN = "correct horse battery"
OWN = ("connection", "date", "server", "transfer-encoding", "content-length")  # headers that the proxy writes itself


def _handler(upstream: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{PATH}/"):
                self.send_error(404)
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = HTTPConnection(upstream)
            connection.request(self.command, self.path.removeprefix(PATH), body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in OWN:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_DELETE = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def below_a_path(address: str) -> Iterator[str]:
    """Serve what is at `address` below a path, which the proxy takes away: the new address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(urlsplit(address).netloc))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}{PATH}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(fake: FakeStudio) -> Iterator[str]:
    """Where a proxy serves the fake studio; as it comes before `open_page`, it ends after it."""
    with below_a_path(fake.url) as below:
        yield below


def test_the_page_stays_below_its_path(address: str, fake: FakeStudio, open_page: OpenPage) -> None:
    page, asked = open_page(address), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    draw(page, [LINE, LOOP])
    searched(page, fake, 2)
    page.locator("#results .tile").first.click()
    photo = page.evaluate("new URLSearchParams(location.hash.slice(1)).get('photo')")
    expect(page.locator(".taking a")).to_have_attribute("href", f"{address}api/v1/photos/{photo}/file")
    for view in ("mask", "match", "inside"):
        page.click(f"#tab-{view}")
    page.click("#more-like")
    page.reload()
    for shown in ("#like img", "#results img"):
        expect(page.locator(shown).first).to_have_js_property("naturalWidth", 320)
    assert page.url.startswith(f"{address}#q=")
    assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()


def test_the_token_lets_in_below_the_path_only(world_gallery: str, mini: Any) -> None:
    with (
        open_studio(world_gallery, mini, token=TOKEN) as studio,
        below_a_path(studio.address) as address,
        requests.Session() as browser,
    ):
        assert browser.get(address, params={"token": TOKEN}, timeout=10).url == address
        assert {cookie.path for cookie in browser.cookies} == {PATH}  # other services of the host do not get it
        found = browser.post(f"{address}api/v1/search", json={"client": "a", "sequence": 0, "drawing": drawn("cup")})
        assert found.status_code == 200 and found.json()["hits"]
        assert browser.get(f"{address}api/v1/info", timeout=60).json()["local"] is False
