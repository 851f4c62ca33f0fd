"""Searches saved in the browser, which tell what is new, on a fake server."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, until
from fixtures.fake_studio import FakeStudio
from test_studio_page import LINE, last_search, searched


def saved(open_page: OpenPage, fake: FakeStudio, name: str) -> Any:
    """A page on which a drawing with a word and a folder is saved."""
    page = open_page(f"{fake.url}/#q=&words=at+night&folder=things")
    draw(page, [LINE])
    searched(page, fake, 1)
    page.click("#save")
    expect(page.locator("#save-name")).to_have_value("at night")
    page.fill("#save-name", name)
    page.keyboard.press("Enter")
    expect(page.locator("#save-menu")).to_be_hidden()
    until(page, lambda: last_search(fake)["k"] == 200)
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    return page


def test_a_saved_search_opens_again_and_marks_what_is_new(open_page: OpenPage, fake: FakeStudio) -> None:
    everything = fake.photos
    fake.photos = everything[:-6]
    page = saved(open_page, fake, "Mine")
    drawing = fake.drawn()
    page.click("#clear")
    page.fill("#text", "")
    expect(page.locator("#count")).to_contain_text("All")
    page.reload()
    fake.photos = everything
    fake.requests.clear()
    page.click("#show-saved")
    page.click("#saved >> text=Mine")
    expect(page.locator("#notice")).to_contain_text("new since")
    asked = last_search(fake)
    assert (asked["drawing"], asked["text"], asked["folder"]) == (drawing, "at night", "things")
    new = {photo["id"] for photo in everything[-6:]}
    count = sum(hit["id"] in new and hit["confidence"] >= 0.5 for hit in fake.hits(asked))
    assert count
    expect(page.locator("#notice")).to_contain_text(f"{count} new since")
    expect(page.locator("#results .tile[aria-label$=', new']")).to_have_count(count)
    page.click("#saved >> text=Mine")
    expect(page.locator("#notice")).to_contain_text("Nothing new since")
    expect(page.locator("#results .tile[aria-label$=', new']")).to_have_count(0)


def test_a_saved_search_is_renamed_and_removed(open_page: OpenPage, fake: FakeStudio) -> None:
    page = saved(open_page, fake, "Mine")
    page.click("#show-saved")
    page.click("#save")
    expect(page.locator("#save-name")).to_have_value("Mine")
    page.fill("#save-name", "Ours")
    page.click("#save-form >> text=Save this search")
    expect(page.locator("#saved button")).to_have_text("Ours")
    page.reload()
    page.click("#save")
    page.click("#unsave")
    expect(page.locator("#show-saved")).to_be_hidden()
    page.click("#save")
    expect(page.locator("#unsave")).to_be_hidden()
