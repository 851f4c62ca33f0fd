"""Check every view of the studio by axe-core: `npm pack axe-core@4.14.1`, unpack it, `python tests/axe.py axe.min.js`.

The rules are those of WCAG 2.2 AA. Views are shown by a fake server, on a desktop and a phone, light and dark.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from fixtures.browser import ARGUMENTS, MISSING, chromium, draw
from fixtures.fake_studio import FakeStudio

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LINE = [(100, 100), (200, 150), (300, 120), (400, 260)]
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
PHONE = {
    "address": "http://192.168.1.5:8000/?token=t",
    "code": "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>",
}
MENUS = ("#folder", "#date", "#export", "#save", "#add-photos", "#theme-button", "#help-button", "#about-button")


def shown(page: Page, fake: FakeStudio) -> Iterator[str]:
    """Lead a page from view to view, and name each."""

    def press(selector: str) -> None:
        page.locator(selector).first.click()

    yield "gallery"
    draw(page, [LINE])
    page.wait_for_selector("#guesses .clean path")
    page.wait_for_selector("#results[aria-busy=false]")
    if page.locator("#filter-toggle").is_visible():
        press("#filter-toggle")
    yield "found"
    for button in (*MENUS, *(["#phone-button"] if page.locator("#phone-button").is_visible() else [])):
        press(button)
        yield button
        page.keyboard.press("Escape")
    press("#guesses .drop")
    page.wait_for_selector(".guess.out")
    page.locator("#results .mark").first.evaluate("mark => mark.click()")
    press("#save")
    page.keyboard.type("mine")
    page.keyboard.press("Enter")
    page.evaluate("document.querySelector('#show-saved').click()")
    yield "a guess left out, a find marked, the search saved"
    page.wait_for_timeout(2000)
    page.evaluate("document.querySelector('#show-recents').click()")
    yield "the last drawings"
    press("#select")
    page.locator("#results input").first.check()
    yield "selection"
    page.set_input_files("#photo-files", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"a"})
    page.wait_for_selector("#job:visible >> text=torn.jpg", state="attached")
    yield "upload"
    page.locator("#select").click()
    press("#results .tile")
    page.wait_for_selector("#below a")
    yield "photo"
    press("#stage")
    yield "viewer"
    page.keyboard.press("Escape")
    yield from photo_tabs(page)
    fake.refuse["/search"] = (400, {"error": "the sketch is blank"})
    page.fill("#text", "night")
    page.wait_for_selector("#empty:visible")
    yield "refused"
    fake.refuse.clear()
    page.goto(f"{fake.url}/locked.html")
    yield "locked"


def photo_tabs(page: Page) -> Iterator[str]:
    """Go through the tabs of a photo, and end with photos like it."""
    for pressed, awaited, view in (
        ("#tab-mask", "#mask-canvas:not([hidden])", "mask"),
        ("#tab-match", "text=Match all over", "nothing matched yet"),
        ("text=Match all over", "#photo-marks circle", "match"),
        ("label.switch:has-text('Colour by match')", "#photo-dense:not([hidden])", "colours"),
        ("#tab-inside", ".chart .curve", "inside"),
        ("#more-like", "#like:visible", "more like this"),
    ):
        page.locator(pressed).first.click()
        page.wait_for_selector(awaited)
        yield view


def check(page: Page, view: str, axe: str) -> int:
    """Report what axe finds on a page, and count it."""
    page.wait_for_timeout(300)
    page.evaluate(axe)
    found = page.evaluate("tags => axe.run({runOnly: tags}).then(({violations}) => violations)", TAGS)
    for fault in found:
        for node in fault["nodes"]:
            print(f"{view}: {fault['id']}: {node['html'][:160]}\n    {node['failureSummary']}")
    return len(found)


def main(axe: str, seen: Callable[[Page, str], Any] = lambda page, view: None) -> int:
    path = chromium()
    if path is None:
        sys.exit(MISSING)
    count = 0
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=path, args=ARGUMENTS)
        for device, (width, height) in SIZES.items():
            for theme in ("light", "dark"):
                fake = FakeStudio()
                fake.phone = PHONE
                options = {"color_scheme": theme, "reduced_motion": "reduce", "has_touch": device == "phone"}
                context = browser.new_context(viewport={"width": width, "height": height}, **options)
                page = context.new_page()
                page.goto(fake.url)
                page.wait_for_selector("#results li:visible")
                for view in shown(page, fake):
                    count += check(page, f"{device}, {theme}, {view}", axe)
                    seen(page, f"{device}-{theme}-{view}")
                context.close()
                fake.close()
    return count


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).read_text()) and 1)
