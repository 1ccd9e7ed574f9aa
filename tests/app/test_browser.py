"""The page in a real browser, over a model whose answers are known."""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.browser import browser_page
from support.known_depth import knowing, page_of

from depthlm_plugin.demo.scenes import render_scene

SECRETS = ["/etc/passwd", __file__, "pyproject.toml", "made/../../secret.txt"]
LOADED = "() => (document.querySelector('#picture img') || {}).naturalWidth > 0"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:'HTTP_422:DeprecationWarning")  # gradio, in every request
def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scene = render_scene(np.random.default_rng(4))
    predictor = knowing(scene.distance_m)
    picture, text = tmp_path / "yard.png", tmp_path / "text.png"
    Image.fromarray(scene.image).save(picture)
    text.write_text("no picture")
    (tmp_path / "secret.txt").write_text("not for the page")
    with browser_page() as page, page_of(predictor) as url:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))

        def choose(file: Path) -> None:
            with page.expect_file_chooser() as chooser:
                page.click("#open")
            chooser.value.set_files(file)

        page.goto(url)
        choose(text)
        page.wait_for_selector("#camera :text('text.png is not an image file')")
        choose(picture)
        page.wait_for_selector("#camera :text('60 degrees across are ASSUMED')")
        shown = page.locator("#picture img")
        width, height = scene.camera.size_wh
        for number, (x, y) in enumerate([(36, 60), (73, 51)], 1):
            page.wait_for_function(LOADED)
            box = shown.bounding_box()
            assert box is not None
            place = {
                "x": (x + 0.5) / width * box["width"],
                "y": (y + 0.5) / height * box["height"],
            }
            shown.click(position=place)
            said = page.wait_for_selector(f"#answers li:nth-child({number})")
            [answer] = predictor.ask(str(picture), at=[(x, y)])
            assert answer.value == pytest.approx(scene.distance_m[y, x], abs=0.01)
            assert said is not None
            assert f"pixel ({x}, {y}): {answer.value:g} m from the camera" in said.inner_text()
        assert "1 to 2:" in page.inner_text("#answers")

        page.click("#kind :text('focal length')")
        page.wait_for_function("document.querySelector('#number input').value === '79.67'")
        page.fill("#number input", "46")
        page.click("#use")
        page.wait_for_selector("#camera :text('46 px as given')")
        page.wait_for_selector("#camera :text('90.0 degrees across')")
        assert "ASSUMED" not in page.inner_text("#camera")

        with page.expect_response(lambda response: response.url.endswith("cloud.glb")) as cloud:
            page.click("#make")
        assert cloud.value.body()[:4] == b"glTF"
        page.wait_for_selector("#cloud canvas")
        page.wait_for_selector("#map img")
        page.wait_for_selector("#said :text('answers; the rest is filled in')")
        elsewhere = [one for one in asked if not one.startswith((url, f"blob:{url}", "data:"))]
        assert not elsewhere
        choose(picture)
        page.wait_for_selector("#map img", state="detached")  # it was another picture's
        served = page.content()
        assert "cdnjs" not in served
        assert "preconnect" not in served

        [folder] = tmp_path.glob("depthlm-app-*")
        for secret in [*SECRETS, str(tmp_path / "secret.txt"), f"{folder}/../secret.txt"]:
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"{url}gradio_api/file={secret}", timeout=10)
        [made] = folder.glob("made/*/depth.png")
        with urllib.request.urlopen(f"{url}gradio_api/file={made}", timeout=10) as file:
            assert file.read(4) == b"\x89PNG"  # so that the refusals mean something
    assert not folder.exists()
