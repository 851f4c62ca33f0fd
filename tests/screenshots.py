"""Take pictures of every view of the studio on the real server: `python tests/screenshots.py docs/pictures [PHOTOS]`.

Photos and drawings are Sketch World's. The pictures are WebP, named studio-<view>.webp. Of a folder of real PHOTOS
studio-film.webp, an animation, and demo.webp, a contact sheet, are made.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from fixtures.browser import ARGUMENTS, MISSING, chromium, draw
from fixtures.studio import running
from sketchfusion import Gallery, load
from sketchfusion.gallery import sheet
from sketchfusion.gallery.confidence import reference_sketches
from sketchfusion.studio.protection import Access
from sketchfusion.studio.server import make_app
from sketchfusion.studio.studio import Studio
from sketchfusion.world import World

CATEGORIES = (
    "apple", "camel", "candle", "castle", "drum", "fish", "giraffe", "hamburger", "hat", "hot_air_balloon", "hourglass",
    "ice_cream", "light_bulb", "penguin", "pineapple", "sailboat", "teapot", "tree", "umbrella", "whale",
)  # fmt: skip
PHOTOS = 5
DRAWN = ("penguin", 1, 0)
OTHER = ("whale", 10, 1)
UNSURE = ("ice_cream", 1, 0)  # a drawing that the model has no sure answer to
FILMED = ("airplane", 3, 0)
LOOKED_FOR = ("flower", "cup", "airplane", "chair")  # the rows of the contact sheet
SHEET_COLUMNS = 5
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
FILM = (800, 500)
POINTER = """() => {
  const pointer = document.createElement("div");
  Object.assign(pointer.style, { position: "fixed", zIndex: 99, width: "17px", height: "24px", background: "#0a628f",
    clipPath: "polygon(0 0, 0 76%, 28% 60%, 48% 100%, 66% 92%, 48% 54%, 88% 50%)", pointerEvents: "none" });
  document.body.append(pointer);
  addEventListener("pointermove", ({ clientX, clientY }) =>
    Object.assign(pointer.style, { left: `${clientX}px`, top: `${clientY}px` }), true);
}"""


def make_photos(root: Path) -> None:
    """Photos of every category, in folders named by them."""
    world = World(size=256)
    for category in CATEGORIES:
        folder = root / category.replace("_", " ")
        folder.mkdir(parents=True)
        for instance in range(PHOTOS):
            Image.fromarray(world.photo(category, instance).photo).save(
                folder / f"{category}-{instance}.jpg", quality=92
            )


def strokes(category: str, instance: int, hand: int) -> list[list[tuple[float, float]]]:
    """A hand's strokes on the paper, filling more of it than the hand does."""
    _, drawing, _ = World(seed=5).sketch(category, instance, hand)
    scale = 512 / drawing.width
    return [[(float(x) * scale, float(y) * scale) for x, y in stroke[::3]] for stroke in drawing.strokes]


class Camera:
    """Opens the page at a size and in a theme, and takes its picture."""

    def __init__(self, browser: Any, url: str, out: Path) -> None:
        self.browser, self.url, self.out = browser, url, out

    def open(self, size: dict[str, int], theme: str = "light", drawn: tuple[str, int, int] | None = DRAWN) -> Page:
        scale = 2 if size is PHONE else 1
        context = self.browser.new_context(
            viewport=size,
            color_scheme=theme,
            reduced_motion="reduce",
            device_scale_factor=scale,
            has_touch=size is PHONE,
        )
        context.set_default_timeout(120_000)
        page: Page = context.new_page()
        page.goto(self.url)
        page.wait_for_selector("#examples button")
        page.wait_for_selector("#results li")
        if drawn:
            draw(page, strokes(*drawn))
            page.wait_for_selector("#guesses button")
            page.wait_for_timeout(500)
            page.wait_for_selector("#results[aria-busy=false]")
        return page

    def take(self, page: Page, view: str) -> None:
        page.wait_for_timeout(900)
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            picture.convert("RGB").save(self.out / f"studio-{view}.webp", quality=84, method=6)


def walk(camera: Camera) -> None:
    """Every view but the one without a server."""
    page = camera.open(DESKTOP, drawn=None)
    camera.take(page, "empty")
    page.context.close()
    page = camera.open(DESKTOP, drawn=UNSURE)
    camera.take(page, "unsure")
    page.context.close()
    page = camera.open(DESKTOP)
    camera.take(page, "found")
    page.locator("#results .tile").first.click()
    camera.take(page, "photo")
    page.click("#tab-mask")
    page.wait_for_selector("#mask-canvas:not([hidden])")
    camera.take(page, "mask")
    page.click("#tab-match")
    page.click("text=Match all over")
    page.wait_for_selector("#photo-marks circle")
    page.mouse.move(5, 5)
    camera.take(page, "match")
    page.locator("label.switch:has-text('Colour by match')").click()
    page.wait_for_selector("#photo-dense:not([hidden])")
    camera.take(page, "colours")
    page.click("#tab-inside")
    page.wait_for_selector(".chart .curve")
    camera.take(page, "inside")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    camera.take(page, "help")
    page.context.close()
    page = camera.open(DESKTOP, "dark", OTHER)
    camera.take(page, "dark")
    page.context.close()
    page = camera.open(PHONE)
    camera.take(page, "phone")
    page.locator("#results .tile").first.tap()
    page.locator("#tab-match").tap()
    page.click("text=Match all over")
    page.wait_for_selector("#photo-marks circle")
    page.evaluate("scrollTo(0, 0)")
    camera.take(page, "phone-match")
    page.context.close()


def film(camera: Camera) -> None:
    """Film a person who draws, opens a photo that was found, and cuts the drawn thing out of it."""
    page = camera.open(DESKTOP, drawn=None)
    page.evaluate(POINTER)
    frames: list[Image.Image] = []
    durations: list[int] = []

    def show(milliseconds: int) -> None:
        page.wait_for_timeout(200)
        page.wait_for_selector("#results[aria-busy=false]", state="attached")
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            frames.append(picture.convert("RGB").resize(FILM, Image.Resampling.LANCZOS))
        durations.append(milliseconds)

    def click(selector: str, then: str) -> None:
        box = page.locator(selector).first.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        show(700)
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector(then)
        page.wait_for_timeout(900)

    show(1200)
    paper = page.locator("#canvas").bounding_box()
    for stroke in strokes(*FILMED):
        points = [(paper["x"] + x * paper["width"] / 512, paper["y"] + y * paper["width"] / 512) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for start in range(0, len(points), 6):
            for point in points[start : start + 6]:
                page.mouse.move(*point)
            show(80)
        page.mouse.up()
    page.wait_for_selector("#guesses .clean path")
    page.wait_for_timeout(1500)
    show(2200)
    click("#results .tile", "#photo:not([hidden])")
    show(1800)
    click("#tab-mask", "#mask-canvas:not([hidden])")
    show(3500)
    frames[0].save(
        camera.out / "studio-film.webp",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        quality=60,
        method=6,
        minimize_size=True,
    )
    page.context.close()


def contact_sheet(gallery: Gallery, out: Path) -> None:
    """Show what drawings that come along find, one a row."""
    drawings = {name: sketch for sketch, name in reference_sketches()}
    found = {name: gallery.search(drawings[name], k=SHEET_COLUMNS) for name in LOOKED_FOR}
    rows = [sheet.SheetRow(Image.fromarray(drawings[name]), name, hits) for name, hits in found.items()]
    sheet.contact_sheet(gallery, rows).save(out / "demo.webp", quality=84, method=6)


@contextmanager
def serving(gallery: Gallery) -> Iterator[str]:
    """The studio on a gallery."""
    studio = Studio(gallery.uri, gallery.model)
    with running(make_app(studio, Access("127.0.0.1", None))) as address:
        yield address


def main(out: Path, photos: Path | None) -> None:
    path = chromium()
    if path is None:
        sys.exit(MISSING)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as player:
        browser, model = player.chromium.launch(executable_path=path, args=ARGUMENTS), load("mini")
        gallery = Gallery.open(f"{folder}/My pictures", model)
        if photos:
            gallery.add([photos])
            contact_sheet(gallery, out)
            with serving(gallery) as url:
                film(Camera(browser, url, out))
        else:
            make_photos(Path(folder) / "photos")
            gallery.add([Path(folder) / "photos"])
            with serving(gallery) as url:
                camera = Camera(browser, url, out)
                walk(camera)
                page = camera.open(DESKTOP)
            draw(page, [[(70, 470), (250, 480), (450, 466)]])
            page.wait_for_selector("#notice.shown")
            camera.take(page, "away")
        browser.close()


if __name__ == "__main__":
    names = [Path(name) for name in sys.argv[1:]]
    main(names[0] if names else Path("docs/pictures"), names[1] if len(names) > 1 else None)
