"""Answers that come late, early or not at all: the page shows what holds now, not what was asked for before."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, until
from fixtures.fake_studio import FakeStudio
from test_studio_address import crowd
from test_studio_page import DROP, LINE, drawing_png, ink, searched


class Held:
    """Requests of a page to an address, held back until they are let go."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address, self.routes = page, address, list[Any]()
        page.route(address, lambda route: self.routes.append(route))

    def take(self) -> Any:
        """The oldest request that is held, once there is one."""
        until(self.page, lambda: bool(self.routes))
        return self.routes.pop(0)

    def free(self) -> None:
        """Hold nothing back from now on."""
        self.page.unroute(self.address)
        while self.routes:
            self.routes.pop().continue_()

    def late(self, change: Callable[[], Any]) -> None:
        """Let the oldest request go after a change, and wait until its answer could be on the page."""
        route = self.take()
        change()
        with self.page.expect_event("requestfinished", lambda request: request == route.request):
            route.continue_()
        self.page.wait_for_timeout(200)


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
    expect(page.locator("#job")).to_contain_text("21 photos added, then cancelled.")  # one of them by the second job
    assert ("DELETE", "/jobs/second") in [(method, path) for method, path, _ in fake.requests]


def drawn(open_page: OpenPage, fake: FakeStudio) -> Any:
    """A page with one stroke on the paper and what was found in a small gallery."""
    fake.photos = fake.photos[:12]
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    return page


def test_an_open_photo_shows_no_answer_to_what_is_cleared_or_switched_off(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    page = drawn(open_page, fake)
    page.locator("#results .tile").first.click()
    mask, inside, colours = (Held(page, f"**/api/v1/{name}") for name in ("segment", "inspect", "dense"))
    page.click("#tab-mask")
    mask.late(lambda: page.click("#clear"))
    expect(page.locator("#mask-canvas")).to_be_hidden()
    page.click("#undo")
    mask.take().continue_()
    expect(page.locator("#mask-canvas")).to_be_visible()
    page.click("#clear")
    expect(page.get_by_text("Save mask")).to_be_disabled()
    page.click("#undo")
    page.click("#tab-inside")
    inside.late(lambda: page.click("#clear"))
    expect(page.locator("#below")).to_have_text("Draw something first, to see what the models see of it.")
    page.click("#undo")
    page.click("#tab-match")
    switch = page.locator("label.switch:has-text('Colour by match')")
    switch.click()
    colours.late(switch.click)
    expect(page.locator("#photo-dense")).to_be_hidden()
    switch.click()
    colours.take().continue_()
    expect(page.locator("#photo-dense")).to_be_visible()
    page.click("#clear")
    expect(page.locator("#photo-dense")).to_be_hidden()
    page.click("#undo")
    mask.free()
    page.click("#tab-mask")
    picture = Held(page, "**/api/v1/photos/*")
    page.click("#next")
    page.click("text=Save cut-out")
    page.wait_for_timeout(200)
    with page.expect_download():  # of this photo, not of the one before
        picture.take().continue_()


def at_once(page: Any, *clicks: tuple[str, int], words: str | None = None) -> None:
    """Click on these, then write words, before the browser does anything else."""
    page.evaluate(
        """([clicks, words]) => {
          for (const [selector, n] of clicks) document.querySelectorAll(selector)[n].click();
          if (words === null) return;
          document.getElementById("text").value = words;
          document.getElementById("text").dispatchEvent(new Event("input"));
        }""",
        [clicks, words],
    )


def test_what_is_done_while_a_photo_closes_is_kept(open_page: OpenPage, fake: FakeStudio) -> None:
    page = drawn(open_page, fake)
    tiles = page.locator("#results .tile")
    listed, fourth = page.url, str(tiles.nth(3).get_attribute("title")).split(",")[0].split("/")[1]
    tiles.first.click()
    at_once(page, ("#back", 0), ("#results .tile", 3))
    page.wait_for_timeout(300)
    expect(page.locator("#photo-name")).to_contain_text(fourth)
    assert "photo=" in page.url
    at_once(page, ("#back", 0), words="at night")
    until(page, lambda: "words=at+night" in page.url)
    expect(page.locator("#text")).to_have_value("at night")
    expect(page.locator("#photo")).to_be_hidden()
    page.fill("#text", "")
    until(page, lambda: page.url == listed)


def test_a_photo_does_not_open_once_one_has_gone_on(open_page: OpenPage, fake: FakeStudio) -> None:
    page = drawn(open_page, fake)
    page.locator("#results .tile").nth(1).click()
    page.click("#more-like")
    until(page, lambda: fake.asked("/search")[-1]["like"] is not None)
    told = Held(page, "**/api/v1/photos/*/info")
    page.go_back()
    told.late(page.go_back)
    expect(page.locator("#photo")).to_be_hidden()
    page.locator("label.switch:has(#group)").click()
    page.wait_for_selector("#results .tile[aria-label$='like it']")
    page.locator("#results .tile").first.click()
    told.take().continue_()
    page.get_by_label("Similar photo 1").click()
    told.late(lambda: page.keyboard.press("Escape"))
    expect(page.locator("#photo")).to_be_hidden()


def test_what_the_server_knows_of_itself_may_come_late(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.locator("#results .tile").first.click()
    until(page, lambda: "photo=" in page.url)
    info = Held(page, "**/api/v1/info?*")
    page.reload()
    expect(page.get_by_text("Copy path")).to_be_visible()
    expect(page.get_by_text("Show in folder")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#save")).to_be_disabled()  # nobody knows of which gallery
    page.go_forward()
    page.click("#about-button")
    expect(page.locator("#about")).to_contain_text("has not answered yet")
    info.take().continue_()
    expect(page.locator("#about")).to_contain_text("mini")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Show in folder")).to_be_visible()
    expect(page.locator("#save")).to_be_enabled()


def test_pictures_that_did_not_come_are_asked_for_again_when_the_server_is_back(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    page = open_page(fake.url, away=True)
    for path in ("/photos/p0/thumbnail", "/photos/p0", "/photos/p0/info", "/health"):
        fake.refuse[path] = (502, {})
    page.reload()
    page.locator("#results .lost .tile").click()
    expect(page.locator("#stage.lost")).to_be_visible()
    fake.refuse.clear()
    until(page, lambda: page.locator("#large").evaluate("image => image.naturalWidth") > 0)
    expect(page.locator("#stage.lost")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#results .lost")).to_have_count(0)
    until(page, lambda: page.locator("#results img").first.evaluate("image => image.naturalWidth") > 0)


def test_a_search_that_fails_is_not_taken_for_photos_that_come_next(open_page: OpenPage, fake: FakeStudio) -> None:
    crowd(fake)
    page = open_page(fake.url, away=True)
    draw(page, [LINE])
    searched(page, fake, 1)
    search = Held(page, "**/api/v1/search")

    def asks_for_more() -> bool:
        page.mouse.move(1000, 500)
        page.mouse.wheel(0, 3000)
        return bool(search.routes)

    until(page, asks_for_more)
    page.fill("#text", "at night")
    page.wait_for_timeout(200)
    more = search.take()
    assert more.request.post_data_json["offset"] > 0
    more.fulfill(status=409, json={"error": "superseded", "superseded": True})
    search.take().fulfill(status=400, json={"error": "the words are too long"})
    expect(page.locator("#empty")).to_have_text("the words are too long")
    page.fill("#text", "by day")
    search.take().fulfill(body="{", content_type="application/json")
    expect(page.locator("#empty")).to_have_text("The server's answer cannot be read")


SLOW = """() => {
  const read = FileReader.prototype.readAsDataURL;
  FileReader.prototype.readAsDataURL = function (file) { setTimeout(() => read.call(this, file), 500); };
}"""


def test_the_newest_drawing_stays(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.emulate_media(reduced_motion="no-preference")
    at_once(page, ("#examples button", 0), ("#clear", 0))
    page.wait_for_timeout(300)
    assert ink(page) == 0
    expect(page.locator("#undo")).to_be_disabled()
    page.evaluate(SLOW)
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80"><circle cx="40" cy="40" r="30"/></svg>'
    load = page.locator("#drawing-file")
    load.set_input_files({"name": "oval.png", "mimeType": "image/png", "buffer": drawing_png()})
    load.set_input_files({"name": "disc.svg", "mimeType": "image/svg+xml", "buffer": svg.encode()})
    until(page, lambda: fake.drawn().get("kind") == "svg")
    page.wait_for_timeout(900)
    assert fake.drawn()["kind"] == "svg"
    # a tile that is taken off the page while it is dragged gets no "dragend"; files are dropped later all the same
    page.evaluate(
        """() => {
          const tile = document.querySelector("#results .tile");
          tile.dispatchEvent(new DragEvent("dragstart", { dataTransfer: new DataTransfer(), bubbles: true }));
          tile.closest("li").remove();
        }"""
    )
    page.evaluate(DROP, ["#finds", "holiday.png", "image/png", base64.b64encode(drawing_png()).decode()])
    page.wait_for_selector("#job summary")
    assert fake.uploaded == 1


def test_what_does_not_change_keeps_its_nodes_and_indexing_comes_to_an_end(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    page = drawn(open_page, fake)
    health = Held(page, "**/api/v1/health")
    page.reload()
    expect(page.locator("#guesses .name")).to_have_count(5)
    page.click("#folder")
    buttons = page.locator("#folder-menu button, #guesses button")
    buttons.evaluate_all("all => all.forEach((button) => { button.dataset.before = 'yes'; })")
    fake.requests.clear()
    state = {"photos": len(fake.photos), "error": None, "total": 50}
    health.take().fulfill(json={"indexing": {**state, "done": 20}})
    expect(page.locator("#where")).to_have_text("Indexing 20 of 50 photos")
    until(page, lambda: bool(fake.asked("/search")) and bool(fake.asked("/info")))
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    assert buttons.evaluate_all("all => all.every((button) => button.dataset.before)")
    health.take().fulfill(json={"indexing": {**state, "done": 50}})
    expect(page.locator("#where")).to_have_text(f"Demo gallery · {len(fake.photos)} photos")


def test_a_file_that_goes_while_others_are_added_is_left_out(
    open_page: OpenPage, fake: FakeStudio, tmp_path: Path
) -> None:
    for number in range(22):
        (tmp_path / f"{number}.jpg").write_bytes(b"jpeg")
    page = open_page(fake.url)
    posted = Held(page, "**/api/v1/photos")
    page.set_input_files("#photo-files", [tmp_path / f"{number}.jpg" for number in range(22)])
    first = posted.take()
    (tmp_path / "21.jpg").unlink()
    first.continue_()
    posted.take().continue_()
    page.click("#job summary")
    expect(page.locator("#job")).to_contain_text("21.jpg: changed or gone since it was chosen")
    assert fake.uploaded == 21


def test_a_photo_that_is_edited_is_shown_anew_and_trouble_with_following_goes_by(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    fake.photos = fake.photos[:3]
    page = open_page(fake.url)
    health = Held(page, "**/api/v1/health")
    page.reload()
    state = {"photos": 3, "changes": 0, "error": None, "done": 0, "total": 0}
    health.take().fulfill(json={"indexing": state})
    shown = page.locator("#results .tile img").first
    assert "?v=" not in str(shown.get_attribute("src"))
    fake.photos[0]["thumbnail"] += "?v=2"
    trouble = "the gallery has no room left"
    health.take().fulfill(json={"indexing": {**state, "changes": 1, "error": trouble}})
    expect(shown).to_have_attribute("src", f"{fake.url}/api/v1/photos/p0/thumbnail?v=2")
    expect(page.locator("#notice")).to_have_text(trouble)
    with page.expect_request("**/api/v1/photos/p0?v=2"):
        page.locator("#results .tile").first.click()
    with page.expect_request("**/api/v1/photos/p0?v=2&full=true"):
        page.locator("#large").click()
    health.take().fulfill(json={"indexing": {**state, "changes": 1}})
    expect(page.locator("#notice.shown")).to_have_count(0)
