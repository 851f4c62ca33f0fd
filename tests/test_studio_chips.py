"""Chips that narrow the photos by folder and date, on a fake server."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, painted, until
from fixtures.fake_studio import FakeStudio
from test_studio_page import LINE, last_search, searched


def rows(page: Any, menu: str) -> list[str]:
    """What a menu offers, as a screen reader says it."""
    return list(page.locator(f"{menu} ul button").all_text_contents())


def test_a_folder_and_a_month_narrow_the_gallery_and_the_search(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.click("#folder")
    assert rows(page, "#folder-menu") == ["animals 6 photos", "things 24 photos"]
    page.click("#folder-menu >> text=animals")
    expect(page.locator("#count")).to_have_text("All 6 photos")
    assert rows(page, "#folder-menu") == ["cat 3 photos", "fish 3 photos"]
    page.click("#folder-menu >> text=fish")
    expect(page.locator("#folder-menu")).to_be_hidden()
    expect(page.locator("#count")).to_have_text("All 3 photos")
    expect(page.locator("#folder")).to_have_attribute("title", "animals › fish")
    draw(page, [LINE])
    assert searched(page, fake, 1)["folder"] == "animals/fish"
    page.click("#date")
    expect(page.locator("#date-menu")).to_contain_text("Of 3 photos without one: the date of the file.")
    assert rows(page, "#date-menu") == ["2024 2 photos", "2023 1 photo"]  # of this folder
    page.click("#date-menu >> text=2024")
    until(page, lambda: last_search(fake)["date"] == "2024")
    page.click("#date-menu >> text=May")
    expect(page.locator("#date")).to_have_text("Date: May 2024")
    until(page, lambda: last_search(fake)["date"] == "2024-05")
    expect(page.locator("#results .tile")).to_have_count(1)
    address = page.url
    page.reload()
    expect(page.locator("#folder")).to_have_text("Folder: fish")
    expect(page.locator("#date")).to_have_text("Date: May 2024")
    page.click("#folder")
    page.click("#folder-menu >> text=animals")
    expect(page.locator("#folder-menu ul")).to_have_text("cat 1 photofish 1 photo")  # of this month
    page.click("#date")
    expect(page.locator("#date-menu ul")).to_have_text("June 2 photosMay 2 photos")  # beside it
    page.click("#date-menu >> text=All dates")
    page.keyboard.press("Escape")
    until(page, lambda: last_search(fake)["date"] is None)
    assert page.url != address and "folder=" in page.url


def test_what_is_gone_is_given_up_and_an_empty_choice_is_said(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(f"{fake.url}/#q=&folder=gone&date=2023-12")
    expect(page.locator("#folder")).to_have_text("Folder: All folders")
    expect(page.locator("#count")).to_have_text("All 10 photos")
    fake.photos = fake.photos[:2]  # none of December
    page.reload()
    page.wait_for_selector("#empty >> text=There is no photo of this folder and date.")


def test_a_menu_keeps_the_keyboard_when_photos_arrive_while_it_is_open(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    held: list[Any] = []
    page.route("**/api/v1/health", lambda route: held.append(route))
    page.reload()
    page.click("#folder")
    current = page.locator("#folder-menu [aria-current]")
    expect(current).to_be_focused()
    current.evaluate("button => { button.dataset.before = 'yes'; }")
    until(page, lambda: bool(held))
    fake.photos = fake.photos[:20]  # other numbers stand in the menu
    held.pop().fulfill(json={"indexing": {"done": 30, "total": 30, "photos": 30, "error": None}})
    expect(page.locator("#folder-menu [data-before]")).to_have_count(0)
    expect(current).to_be_focused()


def test_chips_are_used_by_keyboard(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    expect(page.locator("#folder")).to_be_visible()
    page.locator("#folder").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#folder-menu [aria-current]")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#folder")).to_have_text("Folder: animals")
    assert page.evaluate("document.activeElement.textContent") == "animals"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#folder")).to_have_text("Folder: cat")
    assert page.evaluate("document.activeElement.id") == "folder"
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#folder-menu")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "folder"


def test_menus_lie_within_the_window_at_their_chip(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    for width in (1920, 1280, 1024, 390):
        page.set_viewport_size({"width": width, "height": 844})
        if width == 390:
            page.click("#filter-toggle")
        for name in ("folder", "date"):
            page.click(f"#{name}")
            painted(page)
            chip, menu = page.locator(f"#{name}").bounding_box(), page.locator(f"#{name}-menu").bounding_box()
            assert menu["x"] >= 0 and menu["x"] + menu["width"] <= width
            below, above = menu["y"] - chip["y"] - chip["height"], chip["y"] - menu["y"] - menu["height"]
            assert 0 < max(below, above) < 12
            page.keyboard.press("Escape")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_followed_folders_are_listed_paused_and_looked_through(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.click("#add-photos")
    expect(page.locator("#followed li")).to_have_text(
        ["/home/me/Pictures1,234 photos", "/media/sticknot there now, 1 photo kept"]
    )
    expect(page.locator("#unindexed summary")).to_have_text("1 file could not be read")
    page.click("#unindexed summary")
    expect(page.locator("#unindexed li")).to_have_text("/home/me/Pictures/torn.jpgcut short; copy it again")
    page.click("#rescan")
    expect(page.locator("#notice")).to_contain_text("looked through")
    page.click("#pause")
    expect(page.locator("#pause")).to_have_text("Go on")
    expect(page.locator("#rescan")).to_be_hidden()
    page.click("#pause")
    expect(page.locator("#pause")).to_have_text("Pause")
    assert [body for body in fake.asked("/following") if body] == [{"paused": on} for on in (False, True, False)]


def test_photos_are_as_large_as_one_likes_and_stay_so(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)

    def width() -> float:
        return float(page.locator("#results li").first.bounding_box()["width"])

    before = width()
    page.click("#theme-button")
    page.locator("#tile-size").fill("340")
    until(page, lambda: width() > 1.5 * before)
    page.reload()
    until(page, lambda: width() > 1.5 * before)
    page.set_viewport_size({"width": 390, "height": 844})
    until(page, lambda: width() > 300)
    page.click("#theme-button")
    page.locator("#tile-size").fill("100")
    until(page, lambda: 100 < width() < before)
