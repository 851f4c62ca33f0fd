"""Photographs every view of the studio into this folder: `python docs/pictures/studio.py` (needs Chromium)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from sketchfusion.world import World

HERE, PORT = Path(__file__).parent, 8471
DRAWN = ("hot_air_balloon", 7, 0)  # category, instance, hand
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def draw(page: Any) -> None:
    """Draw one sketch of Sketch World with the mouse."""
    _, drawing, _ = World(seed=5).sketch(*DRAWN)
    box = page.locator("#paper").bounding_box()
    scale = min(box["width"], box["height"]) / drawing.width
    for stroke in drawing.strokes:
        points = [(box["x"] + float(x) * scale, box["y"] + float(y) * scale) for x, y in stroke[::2]]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
    page.wait_for_timeout(400)
    page.wait_for_selector("#results[aria-busy=false]", timeout=60_000)
    page.wait_for_timeout(600)


def shoot(
    browser: Any, name: str, size: dict[str, int], *, drawing: bool = True, tab: str | None = None, **options: Any
) -> None:
    """One view: a new page of this size, drawn on and opened as far as asked."""
    page = browser.new_page(viewport=size, **options)
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.wait_for_timeout(1500)
    if drawing:
        draw(page)
    if tab:
        page.locator("#results button").first.click()
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(4000)
        if tab == "Match":
            page.get_by_role("button", name="Match all over").click()
            page.wait_for_timeout(3000)
    page.screenshot(path=HERE / f"studio-{name}.png")
    page.close()


def main() -> None:
    """Start a studio on its demo gallery and photograph it."""
    server = subprocess.Popen([str(Path(sys.executable).parent / "sketchfusion"), "studio", "--port", str(PORT)])
    try:
        for _ in range(300):
            time.sleep(1)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/health") as answer:
                    if b'"ok"' in answer.read():
                        break
            except OSError:
                continue
        with sync_playwright() as player:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = player.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            shoot(browser, "desktop", DESKTOP)
            shoot(browser, "empty", DESKTOP, drawing=False)
            shoot(browser, "dark", DESKTOP, color_scheme="dark")
            shoot(browser, "phone", PHONE, has_touch=True, is_mobile=True)
            for tab in ("Mask", "Match", "Inside"):
                shoot(browser, tab.lower(), DESKTOP, tab=tab)
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
