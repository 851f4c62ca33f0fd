"""Answers that come late, early or not at all: the page shows what holds now, not what was asked for before."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, until
from fixtures.fake_studio import FakeStudio
from test_studio_page import LINE, searched


class Held:
    """Requests of a page to an address, held back until they are let go."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.routes = page, list[Any]()
        page.route(address, lambda route: self.routes.append(route))

    def take(self) -> Any:
        """The oldest request that is held, once there is one."""
        until(self.page, lambda: bool(self.routes))
        return self.routes.pop(0)


def test_names_are_asked_for_again_also_before_the_server_tells_of_itself(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    fake.photos = fake.photos[:20]  # all in one answer
    page = open_page(fake.url)
    draw(page, [LINE])
    drawing = searched(page, fake, 1)["drawing"]
    info, search = Held(page, "**/api/v1/info?*"), Held(page, "**/api/v1/search")
    page.reload()
    nameless = search.take()
    nameless.fulfill(json={"hits": fake.hits(nameless.request.post_data_json), "labels": [], "milliseconds": 3})
    again = search.take()
    assert again.request.post_data_json["drawing"] == drawing
    again.continue_()
    expect(page.locator("#guesses .name")).to_have_count(5)
    info.take().continue_()


def test_cancel_is_one_button_and_stops_also_the_parcel_that_is_still_sent(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    page = open_page(fake.url)
    posted, jobs = Held(page, "**/api/v1/photos"), Held(page, "**/api/v1/jobs/*")
    photos = [{"name": f"{n}.jpg", "mimeType": "image/jpeg", "buffer": b"jpeg"} for n in range(25)]
    page.set_input_files("#photo-files", photos)
    posted.take().fulfill(json={"job": "first"})
    running = {"state": "running", "done": 1, "total": 20, "failed": []}
    jobs.take().fulfill(json=running)
    page.locator("#job >> text=Cancel").evaluate("button => { button.dataset.before = 'yes'; }")
    jobs.take().fulfill(json={**running, "done": 2})
    expect(page.locator("#job")).to_contain_text("Adding photos: 2 of 25")
    expect(page.locator("#job [data-before]")).to_have_text("Cancel")
    jobs.take().fulfill(json={**running, "state": "done", "done": 20})
    second = posted.take()
    page.click("#job >> text=Cancel")
    page.unroute("**/api/v1/jobs/*")
    fake.refuse["/jobs/second"] = (200, {**running, "state": "cancelled"})
    second.fulfill(json={"job": "second"})
    expect(page.locator("#job")).to_contain_text("then cancelled")
    assert ("DELETE", "/jobs/second") in [(method, path) for method, path, _ in fake.requests]
