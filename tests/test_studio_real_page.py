"""The page in a browser, on the real server with the mini model."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from fixtures.browser import OpenPage, draw
from fixtures.studio import Server, drawn, index, open_studio
from sketchfusion.world import World
from test_studio_page import NOTE

# Drawings that the model knows, by category: instance and hand of a world that no photo here is of.
SHAPES = {
    "apple": (4, 0),
    "ice_cream": (1, 0),
    "penguin": (10, 0),
    "whale": (10, 1),
}
OTHERS = ("church", "windmill")
PHOTOS = 2


def strokes(category: str) -> list[list[tuple[float, float]]]:
    """The hand's strokes on a paper of 512 units, as a mouse reports them: a point every 30 units or so."""
    _, drawing, _ = World(seed=5).sketch(category, *SHAPES[category])
    scale = 512 / drawing.width
    thinned = [(*stroke[:-1:7], stroke[-1]) for stroke in drawing.strokes]
    return [[(float(x) * scale, float(y) * scale) for x, y in stroke] for stroke in thinned]


@pytest.fixture(scope="module")
def drawn_studio(tmp_path_factory: pytest.TempPathFactory, mini: Any) -> Iterator[Server]:
    """A gallery of the four categories and two more."""
    world, root = World(size=128), tmp_path_factory.mktemp("drawn") / "photos"
    for category in (*SHAPES, *OTHERS):
        (root / category).mkdir(parents=True)
        for instance in range(PHOTOS):
            Image.fromarray(world.photo(category, instance).photo).save(root / category / f"{instance}.png")
    uri = str(root.parent / "gallery")
    index(uri, mini, root)
    with open_studio(uri, mini) as server:
        while not server.search(drawn("cup")).json()["labels"]:  # names are read later
            time.sleep(0.05)
        yield server


def settled(page: Any) -> None:
    """Until the answer to the newest drawing is shown; between two questions of the pen it may seem to be."""
    for _ in range(2):
        page.wait_for_timeout(300)
        page.wait_for_selector("#results[aria-busy=false]", timeout=30_000)


def test_three_of_four_drawn_shapes_find_their_category_first(open_page: OpenPage, drawn_studio: Server) -> None:
    page = open_page(drawn_studio.address)
    first: dict[str, str] = {}
    for category in SHAPES:
        page.keyboard.press("Delete")
        page.wait_for_selector("#hint:not([hidden])")
        draw(page, strokes(category))
        settled(page)
        first[category] = page.locator("#results .tile").first.get_attribute("aria-label").split(",")[0]
    assert sum(category == found for category, found in first.items()) >= 3, first


def test_the_sure_stand_above_the_line_and_all_others_follow(open_page: OpenPage, drawn_studio: Server) -> None:
    page = open_page(drawn_studio.address)
    draw(page, strokes("ice_cream"))
    settled(page)
    expect(page.locator("#results .tile")).to_have_count((len(SHAPES) + len(OTHERS)) * PHOTOS, timeout=30_000)
    words = page.locator("#count").inner_text()
    labels = page.eval_on_selector_all("#results .tile", "all => all.map(b => b.getAttribute('aria-label'))")
    shares = [int(re.findall(r"(\d+) % sure", label)[0]) for label in labels]
    above = page.evaluate("[...document.querySelector('#results').children].findIndex((e) => e.matches('.rule'))")
    if above > 0:
        assert words == f"{above} photos, at least 50 % sure".replace("1 photos", "1 photo")
        assert min(shares[:above]) >= 50 >= max(shares[above:])
    else:
        assert words == "Nothing is 50 % sure; the closest first" and max(shares) <= 50


def test_each_view_of_a_photo_is_answered(open_page: OpenPage, drawn_studio: Server) -> None:
    page = open_page(drawn_studio.address)
    draw(page, strokes("whale"))
    settled(page)
    page.locator("#results .tile").first.click()
    page.click("#tab-mask")
    page.wait_for_selector("#mask-canvas[aria-label]:not([hidden])", timeout=60_000)
    page.click("#tab-match")
    page.click("text=Match all over")
    page.wait_for_selector("#photo-marks circle", timeout=60_000)
    page.locator("label.switch:has-text('Colour by match')").click()
    page.wait_for_selector("#photo-dense:not([hidden])", timeout=60_000)
    page.click("#tab-inside")
    page.wait_for_selector(".chart .curve", timeout=60_000)
    assert page.locator(".maps img").count() >= 4
    assert page.locator(".bars dd").count() >= 2


def test_a_photo_is_uploaded_found_and_removed(open_page: OpenPage, drawn_studio: Server) -> None:
    page = open_page(drawn_studio.address)
    total = len(SHAPES) * PHOTOS + len(OTHERS) * PHOTOS
    buffer = io.BytesIO()
    Image.fromarray(World(seed=9, size=200).photo("apple", 1).photo).save(buffer, "JPEG")
    files = [
        {"name": "orchard.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()},
        {"name": "torn.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()[:400]},
    ]
    page.locator("#photo-files").set_input_files(files)
    page.wait_for_selector("#job >> text=1 photo added", timeout=60_000)
    page.click("#job summary")
    assert "torn.jpg" in page.locator("#job").inner_text()
    page.wait_for_selector(f"#count >> text=All {total + 1} photos", timeout=60_000)
    page.locator("#results .tile[title*=orchard]").click()
    page.click("#forget")
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.locator("#photo-files").set_input_files(NOTE)  # whose line takes the place of the one that can undo
    page.reload()
    page.wait_for_selector(f"#count >> text=All {total} photos", timeout=60_000)
