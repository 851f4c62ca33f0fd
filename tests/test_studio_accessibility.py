"""The page with the keyboard alone, a screen reader, any theme, on a phone, and while the server restarts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import segno
from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, until
from fixtures.fake_studio import FakeStudio
from test_studio_page import searched

LINE = [(100, 100), (200, 150), (300, 120), (400, 260)]
TEXT = ("ink", "soft", "pencil")
GROUND = ("desk", "sheet")
COLOURS = """(names) => names.map((name) => {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color.match(/[0-9.]+/g).slice(0, 3).map(Number);
})"""


def luminance(colour: list[float]) -> float:
    """Relative luminance of sRGB 0..255, as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_stands_out_in_every_theme(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    names = [*TEXT, *GROUND, "paper", "on-ink", "pencil-wash", "edge", "pencil-line"]
    for theme, least in (("light", 4.5), ("dark", 4.5), ("contrast", 7.0)):
        page.click("#theme-button")
        page.check(f"input[name=theme][value={theme}]")
        colour = dict(zip(names, page.evaluate(COLOURS, names), strict=True))
        for ground in (*GROUND, "paper"):
            for text in TEXT:
                assert contrast(colour[text], colour[ground]) >= least, f"{text} on {ground}, {theme}"
            assert contrast(colour["edge"], colour[ground]) >= 3.0, f"edges of controls on {ground}, {theme}"
        assert contrast(colour["on-ink"], colour["ink"]) >= 4.5
        assert contrast(colour["pencil"], colour["pencil-wash"]) >= 4.5
        page.reload()
        page.wait_for_selector("#examples button")
        assert page.evaluate("document.documentElement.dataset.theme") == theme


def test_the_system_theme_is_followed(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url, color_scheme="dark")
    dark = page.evaluate(COLOURS, ["desk", "ink"])
    assert luminance(dark[0]) < luminance(dark[1])
    page.emulate_media(color_scheme="light")
    light = page.evaluate(COLOURS, ["desk", "ink"])
    assert luminance(light[0]) > luminance(light[1])
    page.emulate_media(forced_colors="active")
    draw(page, [LINE])
    page.wait_for_selector("#guesses button")


def test_everything_has_a_name_and_a_role(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    tree = page.locator("body").aria_snapshot()
    for line in (
        '- application "Drawing paper"',
        '- toolbar "Drawing tools"',
        '- button "Pen" [pressed]',
        '- button "Eraser"',
        '- slider "Stroke width"',
        '- button "Undo" [disabled]',
        '- button "Load a drawing from a file"',
        "- search",
        '- searchbox "Add words"',
        'button "Folder: All folders"',
        'button "Date: All dates"',
        '- region "Photos"',
        '- list "Photos found"',
        '- button "Draw example teapot"',
        '- link "Skip to the photos"',
    ):
        assert line in tree, f"{line} is not in\n{tree}"
    draw(page, [LINE])
    page.wait_for_selector("#guesses button")
    page.locator("#results .tile").first.click()
    tree = page.locator("#finds").aria_snapshot()
    for line in (
        '- tablist "What to see of this photo"',
        '- tab "Photo" [selected]',
        '- tabpanel "Photo"',
        'img "Photo of a',
    ):
        assert line in tree, f"{line} is not in\n{tree}"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, dialog')]"
        ".filter((e) => !e.hidden && !(e.ariaLabel || e.textContent.trim() || e.labels?.length"
        " || e.getAttribute('aria-labelledby')))"
        ".map((e) => e.outerHTML)"
    )
    assert unnamed == []


def test_the_first_result_is_announced_once(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    page.wait_for_selector("#guesses button")
    said = re.compile(r"\d+ photos, at least 50 % sure\. The first: \w+, \d+ % sure\.")
    expect(page.locator("#say")).to_have_text(said)
    expect(page.locator("#say")).to_have_attribute("aria-live", "polite")


def test_the_keyboard_alone_draws_searches_and_opens(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    press = page.keyboard.press
    press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    press("d")
    assert page.evaluate("document.activeElement.id") == "canvas"
    press("ArrowLeft")
    press("Space")
    for _ in range(6):
        press("Shift+ArrowUp")
        press("ArrowRight")
    press("Space")
    page.wait_for_selector("#guesses button")

    def ends() -> list[list[float]]:
        points = fake.asked("/search")[-1]["drawing"]["strokes"][0]["points"]
        return [points[0], points[-1]]

    until(page, lambda: ends() == [[248, 256], [296, 16]])  # it searches while the pen goes on, too
    press("Control+z")
    expect(page.locator("#hint")).to_be_visible()
    press("Control+y")
    expect(page.locator("#count")).to_contain_text("sure")  # the answer replaces the gallery, which undoing had shown
    press("e")
    expect(page.locator("#tool-eraser")).to_have_attribute("aria-pressed", "true")
    press("g")
    press("ArrowRight")
    press("ArrowDown")
    press("Enter")
    expect(page.locator("#photo")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "photo-name"
    name = page.locator("#photo-name").inner_text()
    press("ArrowRight")
    assert page.locator("#photo-name").inner_text() != name
    press("ArrowLeft")
    expect(page.locator("#photo-name")).to_have_text(name)
    page.locator("#tab-photo").focus()
    press("ArrowRight")
    page.wait_for_selector("#mask-canvas:not([hidden])")
    press("3")
    press("Tab")
    assert page.evaluate("document.activeElement.id") in ("panel", "stage")
    page.locator("#stage").focus()
    press("ArrowUp")
    press("Space")
    page.wait_for_selector("#sketch-marks circle")
    assert fake.asked("/match")[-1]["source"] == "photo"
    press("Escape")
    expect(page.locator("#results")).to_be_visible()
    press("/")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("p?")
    expect(page.locator("#text")).to_have_value("p?")
    expect(page.locator("#help")).to_be_hidden()
    page.locator("#undo, #tool-pen").first.focus()
    press("?")
    expect(page.locator("#help")).to_be_visible()
    press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_every_stop_of_the_tab_key_shows_where_it_is(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        where = page.evaluate(
            "(() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " return [e.id || e.ariaLabel || e.tagName, s.outlineStyle, parseFloat(s.outlineWidth)]; })()"
        )
        if where[0] == "BODY" or (seen and where[0] == seen[0]):
            break
        assert where[1] != "none" and where[2] >= 2, f"{where[0]} has no visible focus"
        seen.append(where[0])
    for name in ("tool-pen", "canvas", "stroke-width", "load-drawing", "text", "folder", "date", "help-button"):
        assert name in seen


def test_about_says_which_weights_and_gallery(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.click("#about-button")
    words = page.locator("#about").inner_text()
    assert "5f1c0a9d2e7b" in words and "mini" in words and "30" in words and "104" in words


def test_a_studio_that_is_shared_shows_its_address_for_a_phone(
    open_page: OpenPage, fake: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(fake.url)
    expect(page.locator("#results li")).not_to_have_count(0)
    expect(page.locator("#phone-button")).to_be_hidden()
    address = "http://192.168.1.5:8000/?token=correct"
    code = segno.make_qr(address).svg_data_uri(light="white", omitsize=True)
    monkeypatch.setattr(fake, "phone", {"address": address, "code": code})
    page.reload()
    page.click("#phone-button")
    expect(page.locator("#phone .address")).to_have_text(address)
    assert page.locator("#phone img").evaluate("image => image.decode().then(() => image.clientWidth)") == 260
    page.keyboard.press("Escape")
    expect(page.locator("#phone")).to_be_hidden()


def test_a_phone_draws_by_finger_and_nothing_scrolls_or_overflows(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url, phone=True)
    box = page.locator("#canvas").bounding_box()
    touch = page.context.new_cdp_session(page)

    def event(kind: str, *points: tuple[float, float]) -> None:
        where = [{"x": box["x"] + x, "y": box["y"] + y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})

    event("touchStart", (60, 60))
    for step in range(1, 25):
        event("touchMove", (60 + 4 * step, 60 + 8 * step))
    event("touchEnd")
    page.wait_for_selector("#guesses button")
    assert len(fake.asked("/search")[-1]["drawing"]["strokes"]) == 1
    assert page.evaluate("scrollY") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    thumb = page.locator("#results .tile").first.bounding_box()
    assert thumb["y"] + thumb["height"] < 784, "no result is on the first screen"
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, input:not([type=file])')]"
        ".map((e) => [e, e.getBoundingClientRect()])"
        ".filter(([e, r]) => r.width && !e.closest('.switch') && (r.height < 43.5 || r.width < 40))"
        ".map(([e]) => e.id || e.outerHTML)"
    )
    assert small == []
    event("touchStart", (60, 200), (120, 220))
    event("touchMove", (70, 210), (130, 230))
    event("touchEnd")
    until(page, lambda: len(fake.drawn().get("strokes", [])) == 1)
    page.wait_for_timeout(300)
    assert len(fake.drawn()["strokes"]) == 1, "two fingers are no stroke"
    page.locator("#results .tile").first.tap()
    page.locator("#tab-match").tap()
    page.wait_for_timeout(300)
    stage, paper = page.locator("#stage").bounding_box(), page.locator("#canvas").bounding_box()
    assert paper["y"] >= 0 and stage["y"] + stage["height"] < 784, "drawing and photo are not both in view"
    page.touchscreen.tap(paper["x"] + 100, paper["y"] + 100)
    page.wait_for_selector("#photo-marks circle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture
def coming_and_going() -> Iterator[dict[str, Any]]:
    box: dict[str, Any] = {"server": FakeStudio(photos=10)}
    yield box
    box["server"].close()


def test_the_server_stops_and_starts_while_drawing(open_page: OpenPage, coming_and_going: dict[str, Any]) -> None:
    first = coming_and_going["server"]
    page = open_page(first.url, away=True)
    draw(page, [LINE])
    page.wait_for_selector("#guesses button")
    first.close()
    draw(page, [[(80, 400), (420, 420)]])
    page.wait_for_selector("#notice.shown >> text=The server is away; your drawing is kept")
    draw(page, [[(80, 440), (420, 460)]])
    second = FakeStudio(photos=10, port=first.port)
    coming_and_going["server"] = second
    for _ in range(100):
        if second.asked("/search"):
            break
        page.wait_for_timeout(100)
    until(page, lambda: len(second.drawn().get("strokes", [])) == 3)
    expect(page.locator("#notice.shown")).to_be_hidden()
    assert page.locator("#results li").count() > 0


@pytest.mark.parametrize("width", [1024, 1280])
def test_the_words_above_photos_are_not_cut(width: int, open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.set_viewport_size({"width": width, "height": 768})
    draw(page, [LINE])
    searched(page, fake, 1)
    page.evaluate("document.getElementById('count').textContent = 'Nothing is 50 % sure; the closest first'")
    assert page.locator("#count").bounding_box()["height"] < 45  # of two lines
    page.locator("#results .tile").first.click()
    expect(page.locator("#photo-name small")).to_contain_text("% sure")
    assert page.evaluate("(e => e.scrollWidth - e.clientWidth)(document.querySelector('#photo-name small'))") <= 0
