"""The address of the page keeps drawing, words and photo: over a reload, in a second tab, and when one goes back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, until
from fixtures.fake_studio import FakeStudio
from test_studio_page import LINE, LOOP, drawing_png, ink, last_search, searched

ROUND_TRIP = """async (sheet) => {
  const { pack, unpack } = await import("/static/packing.js");
  return [pack(sheet), unpack(pack(sheet)), unpack("A"), unpack("no number: !"), unpack(pack(sheet).slice(0, -1))];
}"""


def test_strokes_are_packed_without_loss(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    pen = {"points": [[0.1, 511.9, 0.25], [-3.4, 0, 1], [250.3, 250.2, 0]], "width": 6, "erase": False}
    rubber = {"points": [[99.9, 1e4]], "width": 13.5, "erase": True}
    sheet = {"strokes": [pen, rubber], "width": 512, "height": 384}
    text, again, *broken = page.evaluate(ROUND_TRIP, sheet)
    assert again == sheet and broken == [None, None, None]
    assert len(text) < 60 and text.replace("-", "").replace("_", "").isalnum()


def test_a_reload_and_a_second_tab_show_drawing_words_and_photo(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE, LOOP])
    page.fill("#text", "at night")
    page.click("#folder")
    page.click("#folder-menu >> text=things")
    page.click("#folder-menu >> text=castle")
    until(page, lambda: last_search(fake)["text"] == "at night")
    asked = searched(page, fake, 2)
    page.locator("#results .tile").first.click()
    page.click("#tab-inside")
    name, before = page.locator("#photo-name").inner_text(), ink(page)
    assert "#q=" in page.url and "words=at+night" in page.url and "folder=things%2Fcastle" in page.url
    fake.requests.clear()
    page.reload()
    address = page.url
    for second in (False, True):  # the second one has none of the first one's storage
        shown = open_page(address) if second else page
        expect(shown.locator("#photo-name")).to_have_text(name)
        expect(shown.locator("#tab-inside")).to_have_attribute("aria-selected", "true")
        expect(shown.locator("#text")).to_have_value("at night")
        expect(shown.locator("#folder")).to_have_text("Folder: castle")
        assert ink(shown) == before
        until(shown, lambda: bool(fake.asked("/search")) and last_search(fake)["folder"] == "things/castle")
        assert last_search(fake)["drawing"] == asked["drawing"] and last_search(fake)["text"] == "at night"
        fake.requests.clear()


def test_back_closes_the_photo_leads_to_the_drawing_and_brings_back_what_was_cleared(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    listed = page.url
    page.locator("#results .tile").nth(1).click()
    name = page.locator("#photo-name").inner_text()
    page.click("#more-like")
    until(page, lambda: last_search(fake)["like"] is not None)
    expect(page.locator("#like")).to_be_visible()
    page.go_back()
    expect(page.locator("#photo-name")).to_have_text(name)
    expect(page.locator("#like")).to_be_hidden()
    page.click("#back")
    expect(page.locator("#photo")).to_be_hidden()
    until(page, lambda: page.url == listed)
    drawn = ink(page)
    page.click("#clear")
    expect(page.locator("#hint")).to_be_visible()
    assert "#" not in page.url
    page.go_back()
    assert page.url == listed
    until(page, lambda: ink(page) == drawn)
    page.go_forward()
    expect(page.locator("#hint")).to_be_visible()


def test_what_is_drawn_beside_an_open_photo_is_kept_when_it_closes(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    page.locator("#results .tile").first.click()
    draw(page, [LOOP])
    searched(page, fake, 2)
    page.click("#back")
    expect(page.locator("#photo")).to_be_hidden()
    assert len(searched(page, fake, 2)["drawing"]["strokes"]) == 2
    both = ink(page)
    page.reload()
    until(page, lambda: ink(page) == both)


KEPT = """
import("/static/pictures.js").then(
    ({ keptPicture }) => keptPicture(new URLSearchParams(location.hash.slice(1)).get("picture"))
).then(Boolean)
"""


def test_a_loaded_picture_is_kept_in_this_browser_and_said_to_be_missing_in_another(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    page = open_page(fake.url)
    page.locator("#drawing-file").set_input_files(
        {"name": "oval.png", "mimeType": "image/png", "buffer": drawing_png()}
    )
    page.wait_for_selector("#guesses button")
    sent = last_search(fake)["drawing"]
    until(page, lambda: "picture=" in page.url and page.evaluate(KEPT))
    fake.requests.clear()
    page.reload()
    page.wait_for_selector("#underlay:not([hidden])")
    until(page, lambda: fake.drawn() == sent)
    other = open_page(page.url)
    expect(other.locator("#notice")).to_contain_text("not kept in this browser")


@pytest.mark.parametrize("hash", ["#q=!!", "#q=", "#q=%00&photo=nothing&view=nothing", "#finds"])
def test_a_broken_address_shows_the_gallery(open_page: OpenPage, fake: FakeStudio, hash: str) -> None:
    if "nothing" in hash:
        fake.refuse["/photos/nothing/info"] = (404, {"error": "no such photo in the gallery"})
    page = open_page(f"{fake.url}/{hash}", away=True)
    expect(page.locator("#results .tile")).to_have_count(len(fake.photos))
    expect(page.locator("#photo")).to_be_hidden()


def crowd(fake: FakeStudio) -> None:
    """Eight times the photos, each under names of its own."""
    copies = [(photo, f"{photo['id']}{letter}") for letter in ("", *"abcdefg") for photo in fake.photos]
    fake.photos = [{**photo, "id": name, "thumbnail": f"/api/v1/photos/{name}/thumbnail"} for photo, name in copies]


LATE = """
window.IntersectionObserver = class extends IntersectionObserver {
    constructor(call, options) { super((entries) => call([{ isIntersecting: false }, ...entries]), options); }
};
"""


def test_results_go_on_as_one_scrolls(open_page: OpenPage, fake: FakeStudio) -> None:
    """Also in a browser so busy that it tells of two changes at once."""
    crowd(fake)
    page = open_page(fake.url)
    page.add_init_script(LATE)
    page.reload()
    draw(page, [LINE])
    searched(page, fake, 1)

    def shown() -> list[str]:
        return list(page.eval_on_selector_all("#results img", "all => all.map((i) => i.src.split('/').at(-2))"))

    def scrolled() -> bool:
        page.mouse.move(1000, 500)
        page.mouse.wheel(0, 3000)
        return len(shown()) == len(fake.photos)

    assert 24 <= len(shown()) < len(fake.photos)
    until(page, scrolled)
    assert len(set(shown())) == len(fake.photos)
    last = last_search(fake)
    assert last["offset"] > 0 and last["drawing"] == fake.asked("/search")[-2]["drawing"]
    places = [-1.0]

    def still() -> bool:
        page.wait_for_timeout(100)
        places.append(page.evaluate("scrollY"))
        return places[-1] == places[-2]

    until(page, still)  # the wheel's last turn may still scroll
    draw(page, [LOOP])
    searched(page, fake, 2)
    until(page, lambda: page.evaluate("scrollY") == 0 and len(shown()) < len(fake.photos))


def test_a_wide_window_is_full(open_page: OpenPage, fake: FakeStudio) -> None:
    crowd(fake)
    page = open_page(fake.url)
    page.set_viewport_size({"width": 1920, "height": 1080})
    draw(page, [LINE])
    searched(page, fake, 1)
    grid = page.locator("#results").bounding_box()
    assert grid["y"] + grid["height"] > 1080


def test_the_last_drawings_are_kept_and_come_back(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    expect(page.locator("#show-recents")).to_be_hidden()
    draw(page, [LINE])
    recents = page.locator("#recents button")
    expect(recents).to_have_count(1)
    draw(page, [LOOP])  # the same drawing goes on
    page.wait_for_timeout(1800)
    expect(recents).to_have_count(1)
    both = ink(page)
    page.click("#clear")
    draw(page, [[(60, 60), (450, 450)]])
    expect(recents).to_have_count(2)
    page.reload()
    page.click("#show-recents")
    expect(page.locator("#examples")).to_be_hidden()
    expect(recents).to_have_count(2)
    recents.nth(1).click()
    until(page, lambda: ink(page) == both)
    page.click("#undo")
    until(page, lambda: ink(page) != both)
