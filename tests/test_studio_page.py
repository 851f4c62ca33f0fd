"""The page in a browser, on a fake server that needs no model."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw, painted, until
from fixtures.fake_studio import FakeStudio

NOTE: Any = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"no photo"}
LINE = [(100, 100), (200, 150), (300, 120), (400, 260)]
LOOP = [(120, 300), (200, 380), (300, 380), (380, 300), (250, 240), (120, 300)]
DARK = "[...c.getContext('2d').getImageData(0,0,c.width,c.height).data].filter((v,i)=>i%4===3&&v>0).length"


def ink(page: Any) -> int:
    """How many pixels of the paper are inked."""
    painted(page)
    return int(page.locator("#canvas").evaluate(f"c => {DARK}"))


def last_search(fake: FakeStudio) -> Any:
    return fake.asked("/search")[-1]


def searched(page: Any, fake: FakeStudio, strokes: int) -> Any:
    """The newest search, once it is one with so many strokes and its answer is on the page."""
    until(page, lambda: fake.drawn() and len(fake.drawn().get("strokes", [])) == strokes)
    seen = [-1]

    def settled() -> bool:
        seen.append(len(fake.asked("/search")))  # the pen's last points are asked for, too
        page.wait_for_timeout(250)
        return seen[-1] == seen[-2] and page.locator("#results").get_attribute("aria-busy") == "false"

    until(page, settled)
    return last_search(fake)


def test_the_empty_paper_shows_the_gallery_and_examples(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    expect(page.locator("#results li")).to_have_count(len(fake.photos))
    expect(page.locator("#count")).to_have_text(f"All {len(fake.photos)} photos")
    expect(page.locator("#hint")).to_be_visible()
    page.locator("#examples button").first.click()
    page.wait_for_selector("#guesses button")
    expect(page.locator("#hint")).to_be_hidden()
    assert ink(page) > 500


def test_results_change_while_a_stroke_goes_on(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    seen = [page.locator("#results").inner_html()]
    for step in range(1, 5):
        for part in range(12):  # so many change the order
            page.mouse.move(box["x"] + 50 + 6 * (12 * step + part), box["y"] + 60 + 4 * part)
        until(page, lambda: page.locator("#results").inner_html() not in seen)
        seen.append(page.locator("#results").inner_html())
    assert len(fake.asked("/search")) >= 4, "nothing was asked before the pen was lifted"
    page.mouse.up()
    sequences = [body["sequence"] for body in fake.asked("/search")]
    assert sequences == sorted(set(sequences))
    assert len({body["client"] for body in fake.asked("/search")}) == 1


def test_photos_that_stay_keep_their_nodes(open_page: OpenPage, fake: FakeStudio) -> None:
    fake.photos = fake.photos[:20]  # all in one answer
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    page.evaluate("for (const b of document.querySelectorAll('#results .tile')) b.marked = b.title.split(',')[0]")
    before = set(page.eval_on_selector_all("#results .tile", "all => all.map(b => b.marked)"))
    draw(page, [LOOP])
    searched(page, fake, 2)
    kept = page.eval_on_selector_all("#results .tile", "all => all.map(b => [b.title.split(',')[0], b.marked])")
    again = [(title, marked) for title, marked in kept if title in before]
    assert again and all(title == marked for title, marked in again)


def test_undo_redo_clear_eraser_and_width(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    thin = ink(page)
    page.keyboard.press("Control+z")
    assert ink(page) == 0 and page.locator("#undo").is_disabled()
    page.keyboard.press("Control+Shift+z")
    assert ink(page) == thin
    page.click("#tool-eraser")
    draw(page, [LINE[1:3]])
    assert 0 < ink(page) < thin
    assert searched(page, fake, 2)["drawing"]["strokes"][1]["erase"] is True
    page.click("#clear")
    assert ink(page) == 0
    expect(page.locator("#hint")).to_be_visible()
    page.click("#undo")
    assert 0 < ink(page) < thin
    page.click("#clear")
    page.keyboard.press("p")
    for _ in range(4):
        page.keyboard.press("]")
    draw(page, [LINE])
    assert ink(page) > 1.8 * thin
    assert searched(page, fake, 1)["drawing"]["strokes"][0]["width"] == 14


def test_pen_pressure_is_drawn_and_sent(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    box = page.locator("#canvas").bounding_box()
    pen = page.context.new_cdp_session(page)

    def event(kind: str, x: float, force: float) -> None:
        at = {"x": box["x"] + x, "y": box["y"] + 100, "force": force, "pointerType": "pen"}
        pen.send("Input.dispatchMouseEvent", {"type": kind, "button": "left", "buttons": 1, "clickCount": 1, **at})

    event("mousePressed", 50, 0.2)
    for step in range(1, 20):
        event("mouseMoved", 50 + 15 * step, 0.2 + 0.04 * step)
    event("mouseReleased", 335, 0.9)
    points = searched(page, fake, 1)["drawing"]["strokes"][0]["points"]
    assert all(len(point) == 3 for point in points)
    assert points[0][2] < points[-2][2]


def test_the_drawing_survives_a_reload(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE, LOOP])
    drawing = searched(page, fake, 2)["drawing"]
    before = ink(page)
    fake.requests.clear()
    page.reload()
    page.wait_for_selector("#guesses button")
    assert searched(page, fake, 2)["drawing"] == drawing
    assert ink(page) == before


def sent_picture(fake: FakeStudio) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(fake.drawn()["data"])))


def drawing_png() -> bytes:
    picture = Image.new("RGB", (600, 300), "white")
    ImageDraw.Draw(picture).ellipse((100, 50, 500, 250), outline="black", width=9)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_or_svg_becomes_the_drawing(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    load = page.locator("#drawing-file")
    load.set_input_files({"name": "oval.png", "mimeType": "image/png", "buffer": drawing_png()})
    page.wait_for_selector("#underlay:not([hidden])")
    page.wait_for_selector("#guesses button")
    sent = last_search(fake)["drawing"]
    assert (sent["kind"], sent["width"], sent["height"]) == ("image", 512, 256)
    with Image.open(io.BytesIO(base64.b64decode(sent["data"]))) as picture:
        assert picture.size == (600, 300)
    draw(page, [[(30, 30), (300, 200)]])
    until(page, lambda: sent_picture(fake).size == (1024, 512))
    until(page, lambda: sent_picture(fake).convert("L").getpixel((330, 230)) < 90)  # the stroke is in the picture
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80"><circle cx="40" cy="40" r="30"/></svg>'
    load.set_input_files({"name": "disc.svg", "mimeType": "image/svg+xml", "buffer": svg.encode()})
    until(page, lambda: fake.drawn() == {"kind": "svg", "svg": svg, "width": 512, "height": 512})
    load.set_input_files({"name": "phone.heic", "mimeType": "image/heic", "buffer": b"\0\0\0\x18ftypheic"})
    until(page, lambda: base64.b64decode(fake.drawn().get("data", "")) == b"\0\0\0\x18ftypheic")
    load.set_input_files({"name": "torn.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.wait_for_selector("#notice.shown")
    assert "torn.png is not a picture" in page.locator("#notice").inner_text()


DROP = """([target, name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const where = document.querySelector(target);
  for (const kind of ["dragover", "drop"]) {
    where.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


def test_drop_on_the_paper_draws_and_elsewhere_adds_photos(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    data = base64.b64encode(drawing_png()).decode()
    page.evaluate(DROP, ["#canvas", "oval.png", "image/png", data])
    page.wait_for_selector("#guesses button")
    assert last_search(fake)["drawing"]["kind"] == "image"
    assert not fake.uploaded
    page.evaluate(DROP, ["#results", "holiday.png", "image/png", data])
    page.wait_for_selector("#job summary")
    assert fake.uploaded == 1
    page.click("#job summary")
    assert "torn.jpg: cut short; copy it again" in page.locator("#job").inner_text()
    page.click("#job >> text=Close")
    expect(page.locator("#job")).to_be_hidden()


def test_a_loaded_photo_finds_photos_like_it_and_is_added(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    picture = {"name": "holiday.png", "mimeType": "image/png", "buffer": drawing_png()}
    page.locator("#drawing-file").set_input_files(picture)
    page.click("#loaded >> text=Add to the gallery")
    page.wait_for_selector("#job summary")
    assert fake.uploaded == 1
    until(page, lambda: "data" in fake.drawn())
    data = fake.drawn()["data"]
    page.click("#loaded >> text=Find photos like this")
    liked = (None, {"kind": "image", "data": data})
    until(page, lambda: (last_search(fake)["drawing"], last_search(fake)["photo"]) == liked)
    expect(page.locator("#loaded")).to_be_hidden()
    expect(page.locator("#like img")).to_be_visible()
    fake.requests.clear()
    page.reload()
    until(page, lambda: bool(fake.asked("/search")) and last_search(fake)["photo"] == liked[1])
    page.click("#like button")
    until(page, lambda: fake.drawn().get("data") == data and last_search(fake)["photo"] is None)
    expect(page.locator("#loaded-like")).to_be_visible()
    expect(page.locator("#loaded-add")).to_be_hidden()  # the file is not kept
    page.click("#loaded-like")
    page.click("#clear")
    expect(page.locator("#like")).to_be_hidden()
    expect(page.locator("#loaded")).to_be_hidden()


PASTE = """(svg) => {
  const clipboard = new DataTransfer();
  clipboard.setData("text/plain", svg);
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: clipboard, bubbles: true }));
}"""


def test_paste_becomes_the_drawing(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.evaluate(PASTE, '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M1 1h7"/></svg>')
    page.wait_for_selector("#guesses button")
    assert last_search(fake)["drawing"]["kind"] == "svg"


def test_folders_go_up_in_parcels_with_progress_and_cancel(
    open_page: OpenPage, fake: FakeStudio, tmp_path: Path
) -> None:
    folder = tmp_path / "holiday" / "beach"
    folder.mkdir(parents=True)
    for number in range(45):
        (folder / f"{number}.jpg").write_bytes(b"jpeg")
    (folder / "notes.txt").write_text("no photo")
    page = open_page(fake.url)
    page.locator("#photo-folder").set_input_files(tmp_path / "holiday")
    page.wait_for_selector("#job >> text=photos added")
    parcels = [body for method, path, body in fake.requests if (method, path) == ("POST", "/photos")]
    assert [len(re.findall(rb'name="files"', parcel)) for parcel in parcels] == [20, 20, 5]
    assert b'filename="holiday/beach/0.jpg"' in b"".join(parcels)
    assert b"notes.txt" not in b"".join(parcels)
    running = {"job": "j1", "state": "running", "done": 3, "total": 20, "failed": []}
    fake.refuse["/jobs/j1"] = (200, running)
    page.locator("#photo-folder").set_input_files(tmp_path / "holiday")
    page.wait_for_selector("#job >> text=Adding photos: 3 of 45")
    page.click("#job >> text=Cancel")
    until(page, lambda: ("DELETE", "/jobs/j1") in [(method, path) for method, path, _ in fake.requests])
    fake.refuse["/jobs/j1"] = (200, {**running, "state": "cancelled"})
    page.wait_for_selector("#job >> text=then cancelled")


def test_what_was_added_is_shown_in_its_folder(open_page: OpenPage, fake: FakeStudio, tmp_path: Path) -> None:
    photo = tmp_path / "castle" / "new.jpg"
    photo.parent.mkdir()
    photo.write_bytes(b"jpeg")
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    state = {"state": "done", "done": 1, "total": 1, "failed": [], "folder": "things/castle"}
    fake.refuse["/jobs/j1"] = (200, {"job": "j1", **state})
    page.locator("#photo-folder").set_input_files(photo.parent)
    page.click("#job >> text=Show them")
    expect(page.locator("#count")).to_have_text("All 3 photos")
    expect(page.locator("#folder")).to_have_text("Folder: castle")
    expect(page.locator("#hint")).to_be_visible()


def place_of_rule(page: Any) -> int:
    """How many photos stand above the hairline."""
    return int(page.evaluate("[...document.querySelector('#results').children].findIndex((e) => e.matches('.rule'))"))


def test_words_confidence_and_grouping_refine(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    first = searched(page, fake, 1)
    assert first["min_score"] is None and first["group"] is False and first["text"] is None
    expect(page.locator("#count")).to_have_text("8 photos, at least 50 % sure")
    expect(page.locator("#results .tile")).to_have_count(len(fake.photos))
    expect(page.locator("#results li.rule")).to_have_text("Less than 50 % sure")
    assert place_of_rule(page) == 8
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    page.locator("#min-score").fill("0.7")
    assert place_of_rule(page) == 4
    page.locator("#min-score").fill("0.95")
    expect(page.locator("#count")).to_have_text("Nothing is 95 % sure; the closest first")
    expect(page.locator("#results li.rule")).to_have_count(0)
    expect(page.locator("#results .tile")).to_have_count(len(fake.photos))
    assert len(fake.asked("/search")) == len({body["sequence"] for body in fake.asked("/search")})
    page.locator("#guesses .name").nth(1).click()
    expect(page.locator("#text")).to_have_value("cat")
    page.locator("label.switch:has(#group)").click()
    until(page, lambda: [last_search(fake)[field] for field in ("text", "group")] == ["cat", True])


def test_a_wrong_guess_is_left_out_of_the_search_and_taken_back(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    page.wait_for_selector("#guesses .drop")
    names = page.locator("#guesses .name").all_inner_texts()
    assert len(names) == 5 and last_search(fake)["without"] == []
    page.locator("#guesses .drop").nth(1).click()
    until(page, lambda: last_search(fake)["without"] == [names[1]])
    expect(page.locator("#guesses .guess.out .name")).to_have_text(names[1])
    page.locator("#guesses .guess.out .drop").click()
    until(page, lambda: last_search(fake)["without"] == [])
    expect(page.locator("#guesses .guess.out")).to_have_count(0)


def test_the_clean_drawing_of_a_guess_takes_the_place_of_ones_own_until_it_is_undone(
    open_page: OpenPage, fake: FakeStudio
) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    own = searched(page, fake, 1)["drawing"]
    label = "Draw this cat in place of yours"
    page.locator(f"#guesses [aria-label='{label}'] path").wait_for()
    page.locator(f"#guesses [aria-label='{label}']").press("Enter")
    searched(page, fake, len(fake.examples[1]["strokes"]))
    assert page.evaluate("document.activeElement.ariaLabel") == label
    page.keyboard.press("Control+z")
    until(page, lambda: fake.drawn() == own)
    assert len(fake.asked("/examples/cat")) == 1


def test_more_like_this_replaces_the_drawing_until_one_draws(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    page.locator("#results .tile").first.click()
    page.click("#more-like")
    until(page, lambda: (last_search(fake)["like"] or "").startswith("p") and last_search(fake)["drawing"] is None)
    expect(page.locator("#like")).to_be_visible()
    draw(page, [LOOP])
    assert searched(page, fake, 2)["like"] is None
    expect(page.locator("#like")).to_be_hidden()


def opened_photo(page: Any, fake: FakeStudio) -> None:
    draw(page, [LINE, LOOP])
    searched(page, fake, 2)
    page.locator("#results .tile").first.click()
    until(page, lambda: page.locator("#large").evaluate("image => image.naturalWidth"))


def test_the_photo_view_opens_steps_and_closes(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    opened_photo(page, fake)
    first = page.locator("#photo-name").inner_text()
    expect(page.locator("#below")).to_contain_text("48 kB")
    page.keyboard.press("PageDown")
    assert page.locator("#photo-name").inner_text() != first
    page.keyboard.press("PageUp")
    expect(page.locator("#photo-name")).to_have_text(first)
    page.go_back()
    expect(page.locator("#results")).to_be_visible()
    expect(page.locator("#photo")).to_be_hidden()
    page.locator("#results .tile").nth(2).click()
    page.keyboard.press("Escape")
    assert page.evaluate("[...document.querySelectorAll('#results .tile')].indexOf(document.activeElement)") == 2


def test_the_mask_follows_its_threshold_and_can_be_saved(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    opened_photo(page, fake)
    page.click("#tab-mask")
    page.wait_for_selector("#mask-canvas:not([hidden])")
    shares = []
    for threshold in ("0.1", "0.5", "0.9"):
        page.get_by_label("Threshold").fill(threshold)
        shares.append(int(re.findall(r"\d+", page.locator("#mask-canvas").get_attribute("aria-label"))[0]))
    assert shares[0] > shares[1] > shares[2] >= 0
    page.get_by_label("Threshold").fill("0.5")
    with page.expect_download() as mask:
        page.click("text=Save mask")
    with Image.open(mask.value.path()) as picture:
        assert picture.size == (320, 320)
        shown = picture.convert("L").histogram()
    inside = fake.shots[int(fake.asked("/segment")[-1]["photo"][1:])].mask.mean()
    assert abs(sum(shown[128:]) / 320**2 - inside) < 0.05
    with page.expect_download() as cut:
        page.click("text=Save cut-out")
    with Image.open(cut.value.path()) as picture:
        assert picture.mode == "RGBA" and picture.getextrema()[3] == (0, 255)
    assert cut.value.suggested_filename.endswith("-cut-out.png")


def test_nothing_is_cut_out_where_it_is_not_unless_the_threshold_is_lowered(
    open_page: OpenPage, fake: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "shows", False)
    page = open_page(fake.url)
    opened_photo(page, fake)
    page.click("#tab-mask")
    expect(page.locator("#below")).to_contain_text("Perhaps it is not in this photo (35 % sure that it is there)")
    expect(page.locator("#mask-canvas")).to_have_attribute("aria-label", "Mask over 0 % of the photo")
    expect(page.get_by_text("Save mask")).to_be_disabled()
    page.get_by_label("Threshold").fill("0.5")
    expect(page.get_by_text("Save mask")).to_be_enabled()


def test_points_match_in_both_directions(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    opened_photo(page, fake)
    page.click("#tab-match")
    paper = page.locator("#canvas").bounding_box()
    page.mouse.click(paper["x"] + paper["width"] / 4, paper["y"] + paper["height"] / 2)
    page.wait_for_selector("#photo-marks circle")
    asked = fake.asked("/match")[-1]
    assert asked["source"] == "sketch" and asked["points"][0] == pytest.approx([128, 256], abs=2)
    stage = page.locator("#stage").bounding_box()
    middle = pytest.approx((stage["x"] + stage["width"] / 4, stage["y"] + stage["height"] / 2), abs=3)

    def centre() -> tuple[float, float]:
        dot = page.locator("#photo-marks circle").first.bounding_box()
        return dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2

    until(page, lambda: centre() == middle)
    page.mouse.click(stage["x"] + stage["width"] * 0.75, stage["y"] + stage["height"] / 2)
    page.wait_for_selector("#sketch-marks g:nth-child(2) circle")
    until(page, lambda: fake.asked("/match")[-1]["source"] == "photo")
    assert fake.asked("/match")[-1]["points"][0] == pytest.approx([240, 160], abs=2)
    numbers = page.eval_on_selector_all("#sketch-marks text", "all => all.map(t => t.textContent)")
    assert numbers == ["1", "2"]
    expect(page.locator("#threads path")).to_have_count(2)
    assert ink(page) > 0 and len(fake.asked("/search")[-1]["drawing"]["strokes"]) == 2, "a click drew on the paper"
    page.click("text=Match all over")
    page.wait_for_selector("#photo-marks circle.mutual")
    until(page, lambda: fake.asked("/match")[-1]["points"] is None)
    page.locator("label.switch:has-text('Colour by match')").click()
    page.wait_for_selector("#photo-dense:not([hidden])")
    page.click("#tab-photo")
    expect(page.locator("#threads path")).to_have_count(0)
    expect(page.locator("#photo-dense")).to_be_hidden()
    expect(page.locator("#tool-pen")).to_have_attribute("aria-pressed", "true")


def test_inside_shows_maps_spectra_and_weights(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    opened_photo(page, fake)
    page.click("#tab-inside")
    page.wait_for_selector(".chart")
    expect(page.locator(".maps img")).to_have_count(10)
    expect(page.locator(".chart .curve.sketch")).to_have_count(5)
    expect(page.locator(".chart .curve.photo")).to_have_count(5)
    assert "fused of the photo ends at -4.5" in page.locator(".chart").get_attribute("aria-label")
    assert page.locator(".bars dd").all_inner_texts() == ["0.21", "0.46", "0.33"]


def test_a_removal_can_be_undone_and_is_done_when_the_page_goes(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    opened_photo(page, fake)
    gone = last_hits(page)[0]
    page.click("#forget")
    assert gone not in last_hits(page)
    page.click("#notice >> text=Undo")
    assert gone in last_hits(page)
    page.wait_for_timeout(300)
    assert not [path for method, path, _ in fake.requests if method == "DELETE"]
    page.locator("#results .tile").first.click()
    page.click("#forget")
    page.reload()
    until(page, lambda: any(method == "DELETE" for method, _, _ in fake.requests))


def last_hits(page: Any) -> list[str]:
    return list(page.eval_on_selector_all("#results .tile", "all => all.map(b => b.title)"))


def test_results_are_exported(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    draw(page, [LINE])
    searched(page, fake, 1)
    expect(page.locator("#results .tile")).to_have_count(len(fake.photos))
    page.click("#export")
    with page.expect_download() as sheet:
        page.click("#export-sheet")
    assert sheet.value.suggested_filename == "sketchfusion-found.png"
    page.click("#export")
    with page.expect_download() as listed:
        page.click("#export-json")
    ids = json.loads(Path(listed.value.path()).read_text())["photos"]
    assert len(ids) == page.locator("#results .tile").count()


def test_refusals_are_one_quiet_line_and_later_means_later(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url, away=True)
    fake.refuse["/search"] = (400, {"error": "the sketch is blank; draw something first"})
    draw(page, [LINE])
    page.wait_for_selector("#empty >> text=the sketch is blank")
    fake.refuse["/search"] = (409, {"error": "superseded", "superseded": True})
    draw(page, [LOOP])
    page.wait_for_timeout(400)
    fake.refuse["/search"] = (503, {"error": "too many people are drawing"})
    draw(page, [LINE])
    page.wait_for_timeout(500)
    fake.refuse.clear()
    page.wait_for_selector("#guesses button")
    assert len(last_search(fake)["drawing"]["strokes"]) == 3
    fake.refuse["/search"] = (500, {"error": "internal error 4f2a"})
    draw(page, [LOOP])
    page.wait_for_selector("#empty >> text=internal error 4f2a")
    assert ink(page) > 0


def test_what_was_refused_shows_no_photos_and_no_guesses(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url, away=True)
    draw(page, [LINE])
    page.wait_for_selector("#guesses button")
    fake.refuse["/search"] = (400, {"error": "the sketch is blank; draw something first"})
    draw(page, [LOOP])
    page.wait_for_selector("#empty >> text=the sketch is blank")
    assert page.locator("#results li").count() == page.locator("#guesses button").count() == 0
    expect(page.locator("#export")).to_be_disabled()
    fake.refuse.clear()
    draw(page, [LINE])
    page.wait_for_selector("#guesses button")
    assert page.locator("#results li").count() > 0


def test_the_header_counts_anew_after_a_removal(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    opened_photo(page, fake)
    before = sum(path == "/info" for _, path, _ in fake.requests)
    page.click("#forget")
    page.wait_for_timeout(200)
    assert sum(path == "/info" for _, path, _ in fake.requests) == before
    with page.expect_response(lambda answer: "/v1/info" in answer.url):
        page.set_input_files("#photo-files", NOTE)  # whose line takes the place of the one that can undo
    assert sum(path == "/info" for _, path, _ in fake.requests) > before


def test_help_begins_at_its_beginning_and_speaks_of_touch_on_a_phone(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url, phone=True)
    page.click("#help-button")
    assert page.locator("#help").evaluate("box => box.scrollTop") == 0
    assert "By touch" in page.locator("#help").inner_text()


def test_the_export_menu_opens_at_its_button(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.set_viewport_size({"width": 1024, "height": 720})
    draw(page, [LINE])
    searched(page, fake, 1)
    page.click("#export")
    painted(page)
    button, menu = page.locator("#export").bounding_box(), page.locator("#export-menu").bounding_box()
    assert abs(menu["y"] - button["y"] - button["height"]) < 12
    assert abs(menu["x"] + menu["width"] - button["x"] - button["width"]) < 12


def test_an_upload_without_photos_is_a_line_that_goes(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url)
    page.set_input_files("#photo-files", NOTE)
    page.wait_for_selector("#notice.shown >> text=There are no photos among these files.")
    expect(page.locator("#job")).to_be_hidden()


def test_a_photo_that_is_too_large_does_not_stop_the_others(
    open_page: OpenPage, fake: FakeStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "upload_bytes", 1_000_000)
    page = open_page(fake.url)
    sizes = {"small.jpg": 10, "large.tif": 960_000, "last.jpg": 10}
    page.set_input_files(
        "#photo-files",
        [{"name": name, "mimeType": "image/x", "buffer": bytes(size)} for name, size in sizes.items()],
    )
    page.click("#job summary")
    assert "large.tif: larger than 1 MB" in page.locator("#job").inner_text()
    assert fake.uploaded == 2


def test_a_file_that_is_gone_is_said(open_page: OpenPage, fake: FakeStudio) -> None:
    page = open_page(fake.url, away=True)
    fake.refuse["/photos/p0"] = (404, {"error": "the file is gone"})
    page.locator("#results .tile").first.click()
    page.wait_for_selector("#stage.lost")
