"""Draws app.png, the README's page: `PYTHONPATH=tests python tests/pictures/draw_app.py`.

Needs chromium and playwright. The answers are the scene's own depth, not a model's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from support.browser import browser_page
from support.known_depth import knowing, page_of

from depthlm_plugin.demo.scenes import render_scene

SEED = 4
CLICKS = [(0.27, 0.58), (0.63, 0.44), (0.75, 0.86)]  # of the picture's width and height
WIDTH_PX = 900


def draw(path: Path) -> None:
    """Open, click, make the map, and write what the browser shows."""
    scene = render_scene(np.random.default_rng(SEED))
    with (
        tempfile.TemporaryDirectory() as folder,
        browser_page() as page,
        page_of(knowing(scene.distance_m)) as url,
    ):
        picture = Path(folder) / "yard.png"
        Image.fromarray(scene.image).save(picture)
        page.set_viewport_size({"width": 1400, "height": 2250})  # resizing would blank the cloud
        page.goto(url)
        with page.expect_file_chooser() as chooser:
            page.click("#open")
        chooser.value.set_files(picture)
        shown = page.locator("#picture img")
        for number, (across, down) in enumerate(CLICKS, 1):
            shown.wait_for()
            box = shown.bounding_box()
            assert box is not None
            shown.click(position={"x": across * box["width"], "y": down * box["height"]})
            page.wait_for_selector(f"#answers li:nth-child({number})")
        page.click("#make")
        page.wait_for_selector("#map img")
        page.wait_for_selector("#cloud canvas")
        page.wait_for_timeout(6000)  # the viewer says nowhere that it has drawn
        page.mouse.move(0, 0)
        page.screenshot(path=path)
    with Image.open(path) as image:
        size = (WIDTH_PX, round(image.height * WIDTH_PX / image.width))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    small.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


if __name__ == "__main__":
    path = Path(__file__).with_name("app.png")
    draw(path)
    print(f"{path.name}: {path.stat().st_size} bytes")
