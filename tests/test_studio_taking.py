"""What one can do with photos that were found: see one at full size, keep it, copy it, take many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, until
from fixtures.fake_studio import FakeStudio
from test_studio_page import LINE, opened_photo, searched


def test_a_photo_is_seen_at_full_size_and_zoomed(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    opened_photo(page, fake)
    page.click("#large")
    expect(page.locator("#viewer")).to_be_visible()
    image = page.locator("#viewer-image")
    until(page, lambda: image.evaluate("i => i.naturalWidth") == 1280)  # all its pixels, not the reduced one
    fitted = image.bounding_box()
    assert fitted["height"] == pytest.approx(800, abs=1) and fitted["width"] <= 1280
    name = image.get_attribute("alt")
    page.keyboard.press("ArrowRight")
    assert image.get_attribute("alt") != name
    page.keyboard.press("ArrowLeft")
    expect(image).to_have_attribute("alt", str(name))
    point = (fitted["x"] + fitted["width"] / 4, 200)
    page.mouse.move(*point)
    page.mouse.wheel(0, -400)
    until(page, lambda: image.bounding_box()["width"] > 2 * fitted["width"])
    large = image.bounding_box()
    assert (point[0] - large["x"]) / large["width"] == pytest.approx(0.25, abs=0.02)
    assert (point[1] - large["y"]) / large["height"] == pytest.approx(0.25, abs=0.02)
    page.mouse.down()
    page.mouse.move(point[0] - 90, point[1] - 40, steps=3)
    page.mouse.up()
    assert image.bounding_box()["x"] == pytest.approx(large["x"] - 90, abs=2)
    page.keyboard.press("1")
    assert image.bounding_box()["width"] == 320 and page.locator("#zoom-share").inner_text() == "100 %"
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#photo")).to_be_visible()


def test_a_photo_tells_what_it_was_taken_with_and_links_its_place(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    opened_photo(page, fake)
    expect(page.locator("#below")).to_contain_text("1/250 s, f/2.8, ISO 400, 35 mm")
    expect(page.locator("#below")).to_contain_text("Canon EOS R5")
    link = page.get_by_role("link", name="47.3700, 8.5400")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    assert "mlat=47.37" in str(link.get_attribute("href"))


def test_a_photo_is_downloaded_copied_and_shown_in_its_folder(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url, permissions=["clipboard-read", "clipboard-write"])
    opened_photo(page, fake)
    name = page.locator("#large").get_attribute("alt").split(": ")[1]
    with page.expect_download() as kept:
        page.get_by_role("link", name="Download").click()
    assert kept.value.suggested_filename == name and Path(kept.value.path()).read_bytes()[:2] == b"\xff\xd8"
    page.click("text=Copy path")
    expect(page.locator("#notice")).to_have_text("The path is copied.")
    assert page.evaluate("navigator.clipboard.readText()").startswith("/home/me/p")
    page.click("text=Copy picture")
    expect(page.locator("#notice")).to_have_text("The picture is copied.")
    types = page.evaluate("navigator.clipboard.read().then((items) => items.flatMap((item) => item.types))")
    assert "image/png" in types
    page.click("text=Show in folder")
    until(page, lambda: any(path.endswith("/reveal") for _, path, _ in fake.requests))


def test_another_machine_has_no_folder_to_show(
    open_page: OpenPage, fake: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "local", False)
    page = open_page(fake.url)
    opened_photo(page, fake)
    expect(page.locator(".taking")).to_be_visible()
    expect(page.get_by_text("Show in folder")).to_have_count(0)


DRAG = """([from, to]) => {
  const transfer = new DataTransfer();
  const send = (kind, target) =>
    document.querySelector(target).dispatchEvent(
      new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  send("dragstart", from);
  transfer.items.add(new File(["x"], "x.jpg", { type: "image/jpeg" }));
  for (const kind of ["dragover", "drop"]) send(kind, to);
  send("dragend", from);
  return transfer.getData("DownloadURL");
}"""


def test_photos_are_dragged_out_and_not_added_again(
    open_page: OpenPage, fake: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for photo in fake.photos:
        monkeypatch.setitem(photo, "name", "at 12:30.jpg")
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    out = page.evaluate(DRAG, ["#results .tile img", "#results"])
    assert out.startswith(f"application/octet-stream:at 12-30.jpg:{fake.url}") and out.endswith("/file")
    page.wait_for_timeout(300)
    assert not fake.uploaded


def selected(page: Any) -> list[int]:
    """The places of the photos that are chosen."""
    found = "[...document.querySelectorAll('#results input')].flatMap((box, n) => (box.checked ? [n] : []))"
    return list(page.evaluate(found))


def test_what_an_export_leaves_out_is_said(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    said = """async (count) => {
      const { connectExport } = await import("/static/export.js");
      connectExport(null, () => null, () => [], () => new Array(count));
      document.getElementById("export-menu").showPopover();
      await new Promise(requestAnimationFrame);
      return document.getElementById("export-of").textContent;
    }"""
    assert page.evaluate(said, 250) == "The first 200 selected, as"


def test_several_photos_are_selected_and_exported_together(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    tiles = page.locator("#results .tile")
    tiles.nth(1).click(modifiers=["Control"])
    assert selected(page) == [1] and page.locator("#photo").is_hidden()
    expect(page.locator("#select")).to_have_text("1 selected")
    tiles.nth(4).click(modifiers=["Shift"])
    assert selected(page) == [1, 2, 3, 4]
    tiles.nth(2).click()
    assert selected(page) == [1, 3, 4]
    tiles.nth(2).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    assert selected(page) == [1, 4]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert selected(page) == [1, 3, 4]
    for choice, name in (("zip", "found.zip"), ("sheet", "found.png"), ("paths", "found.txt"), ("json", "found.json")):
        page.click("#export")
        expect(page.locator("#export-of")).to_have_text("The 3 selected, as")
        with page.expect_download() as kept:
            page.click(f"#export-{choice}")
        assert kept.value.suggested_filename == f"sketchfusion-{name}"
        asked = fake.asked("/export")[-1]
        assert asked["format"] == choice and sorted(asked["ids"]) == ["p1", "p3", "p4"]
    draw(page, [LINE])
    searched(page, fake, 1)
    expect(page.locator("#select")).to_have_text("3 selected")  # not all of them need be among the new finds
    page.click("#export")
    with page.expect_download():
        page.click("#export-paths")
    assert sorted(fake.asked("/export")[-1]["ids"]) == ["p1", "p3", "p4"]
    page.keyboard.press("Escape")
    expect(page.locator("#select")).to_have_text("Select")
    assert not selected(page)
    tiles.first.click()
    expect(page.locator("#photo")).to_be_visible()
