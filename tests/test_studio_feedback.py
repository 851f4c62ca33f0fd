"""Finds that are called right or wrong in the page, on a fake server."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, until
from fixtures.fake_studio import FakeStudio
from test_studio_page import LINE, LOOP, last_search, searched


def names(page: Any) -> list[str]:
    """The names of the photos shown, in their order."""
    return [
        title.split(",")[0] for title in page.eval_on_selector_all("#results .tile", "all => all.map(b => b.title)")
    ]


def asked(page: Any, fake: FakeStudio, right: int, wrong: int) -> None:
    """Wait until the newest search has so many marks and the page shows its answer."""
    until(page, lambda: [len(last_search(fake)[mark]) for mark in ("right", "wrong")] == [right, wrong])
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


def marked(open_page: OpenPage, fake: FakeStudio) -> tuple[Any, str, str]:
    """A page with a find that is right and one that is not, and their names."""
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    right, wrong = names(page)[5], names(page)[2]
    page.locator("#results li").nth(5).hover()
    page.locator("#results .right").nth(5).click()
    asked(page, fake, 1, 0)
    page.locator(f"#results [title^='{wrong}']").hover()
    page.get_by_role("button", name=f"Not this: {wrong.split('/')[1]}").click()
    asked(page, fake, 1, 1)
    return page, right, wrong


def test_a_tick_moves_the_order_and_a_cross_leaves_out(open_page: OpenPage, fake: FakeStudio) -> None:
    page, right, wrong = marked(open_page, fake)
    until(page, lambda: names(page)[0] == right and wrong not in names(page))
    expect(page.locator("#results .right").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#marks")).to_have_text("1 right, 1 not")
    page.click("#notice >> text=Undo")
    until(page, lambda: not last_search(fake)["wrong"] and wrong in names(page))
    page.locator("#results .tile").first.focus()
    page.keyboard.press("+")
    asked(page, fake, 0, 0)


def test_a_reload_and_back_keep_marks_until_they_are_taken_away(open_page: OpenPage, fake: FakeStudio) -> None:
    page, right, wrong = marked(open_page, fake)
    page.reload()
    until(page, lambda: names(page)[:1] == [right] and wrong not in names(page))
    page.locator("#results .tile").nth(1).click()
    page.click("#mark-right")
    expect(page.locator("#mark-right")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    asked(page, fake, 2, 1)
    until(page, lambda: "+p" in page.url)
    page.get_by_role("button", name="Take all marks away").click()
    until(page, lambda: wrong in names(page) and "right=" not in page.url)
    asked(page, fake, 0, 0)


def test_marks_belong_to_the_drawing_and_keys_set_them(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.locator("#results .tile").first.hover()
    expect(page.locator("#results .mark").first).to_be_hidden()
    draw(page, [LINE])
    searched(page, fake, 1)
    first, second = names(page)[:2]
    page.keyboard.press("g")
    page.keyboard.press("-")
    asked(page, fake, 0, 1)
    until(page, lambda: first not in names(page))
    assert page.evaluate("document.activeElement.title").startswith(second)
    draw(page, [LOOP])
    assert searched(page, fake, 2)["wrong"], "a stroke more is the same drawing"
    page.fill("#text", "at night")
    asked(page, fake, 0, 0)
    page.locator("#results .tile").first.click()
    page.keyboard.press("-")
    asked(page, fake, 0, 1)
    page.locator("#examples button").first.click()
    asked(page, fake, 0, 0)
    expect(page.locator("#marks")).to_be_hidden()
