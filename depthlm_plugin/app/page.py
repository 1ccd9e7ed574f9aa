"""The page itself, as gradio draws it: what is on it, and what each thing does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cameras.source import CameraSource
from ..errors import ConfigError, DepthLMError
from ..maps.files import save_cloud
from ..maps.preview import save_preview
from ..predict.mapping import DEPTH_TASKS
from ..predict.predictor import Predictor
from .opened import (
    ROTATION,
    Opened,
    answers_html,
    camera_html,
    error_html,
    grid_of,
    map_html,
    problem_text,
    thinned,
)

if TYPE_CHECKING:
    import gradio

_OWN = "picture"
_CAMERAS = [
    ("of the picture (EXIF), else 60 degrees", _OWN),
    ("horizontal field of view, degrees", "fov_deg"),
    ("focal length, pixels", "focal_px"),
]
_BEHIND_CLOUD = (0.1, 0.1, 0.12, 1.0)  # points are single pixels: on white, pale ones are lost
_COLUMNS = {"least": 4, "most": 96, "first": 24}


class Page:
    """What the page does for one model; each method is what a part of the page calls.

    Args:
        predictor: The model.
        folder: Where maps and clouds are written.

    Raises:
        ConfigError: For a model that learnt no depth.
    """

    def __init__(self, predictor: Predictor, folder: Path) -> None:
        learnt = predictor.config.tasks
        self._task = next((task for task in DEPTH_TASKS if task in learnt), None)
        if self._task is None:
            raise ConfigError(
                f"the page shows {' or '.join(DEPTH_TASKS)}, and the model learnt"
                f" {', '.join(learnt)}; ask it with depthlm predict"
            )
        self._predictor = predictor
        self._folder = folder
        self._tells_intervals = True  # until it turns out that the model cannot

    def open(self, path: str | None) -> list[Any]:
        """Open an uploaded file; return the parts `opened, picture, camera, answers, kind, number`.

        The camera is the picture's own: what was stated of another picture is not of this one.
        """
        if path is None:
            return [None, None, "", "", _OWN, None]
        try:
            opened = Opened.of(path, CameraSource())
        except DepthLMError as error:
            return [None, None, error_html(problem_text(error, path)), "", _OWN, None]
        return [*self._parts(opened), _OWN, self.number(opened, _OWN)]

    def number(self, opened: Opened | None, kind: str) -> float | None:
        """Return what the picture's camera now has of a kind, to be changed."""
        if opened is None:
            return None
        found = opened.found
        return round(found.camera.fx if kind == "focal_px" else found.fov_deg, 2)

    def use_camera(self, opened: Opened | None, kind: str, number: float | None) -> list[Any]:
        """Ask about the same pixels by another camera; return the first parts that `open` does."""
        if opened is None:
            return [None, None, error_html("open a picture first"), ""]
        try:
            found = _camera(kind, number).find(opened.path, ROTATION)
            again = Opened(opened.path, found, opened.picture)
            if opened.pixels:
                again = self._ask(again, opened.pixels)
        except DepthLMError as error:
            message = error_html(problem_text(error, opened.path))
            return [opened, opened.shown(), camera_html(opened) + message, answers_html(opened)]
        return self._parts(again)

    def click(self, opened: Opened | None, shown_xy: tuple[float, float] | None) -> list[Any]:
        """Ask about the pixel under a click; return the parts `opened, picture, answers`."""
        if opened is None:
            return [None, None, ""]
        try:
            if shown_xy is not None:  # as it is beside the picture
                opened = self._ask(opened, [opened.pixel_of(shown_xy)])
        except DepthLMError as error:
            message = error_html(problem_text(error, opened.path))
            return [opened, opened.shown(), answers_html(opened) + message]
        return [opened, opened.shown(), answers_html(opened)]

    def forget(self, opened: Opened | None) -> list[Any]:
        """Forget the clicks; return the parts `opened, picture, answers`."""
        if opened is None:
            return [None, None, ""]
        opened = Opened(opened.path, opened.found, opened.picture)
        return [opened, opened.shown(), answers_html(opened)]

    def map(
        self, opened: Opened | None, columns: float, progress: Callable[..., object]
    ) -> list[Any]:
        """Make the map and the cloud; return the parts `preview, cloud, text`.

        Args:
            opened: The picture.
            columns: Pixels that are asked about in a row of the grid.
            progress: Called with (done, of all) answers.
        """
        if opened is None:
            return [None, None, error_html("open a picture first")]
        grid, done = grid_of(opened.picture.size, int(columns)), 0

        def tell(answers: int) -> None:
            nonlocal done
            done += answers
            progress((done, max(done, grid[0] * grid[1])), desc="asking", unit="answers")

        progress((0, grid[0] * grid[1]), desc="asking", unit="answers")
        try:
            depth = self._predictor.map(
                opened.path,
                opened.found,
                grid=grid,
                task=self._task,
                progress=tell,
                exif_rotation=ROTATION,
            )
        except DepthLMError as error:
            return [None, None, error_html(problem_text(error, opened.path))]
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        preview, cloud, text = folder / "depth.png", folder / "cloud.glb", map_html(depth)
        save_preview(depth, preview)
        try:
            save_cloud(thinned(depth), cloud)
        except ConfigError as error:  # without trimesh
            return [str(preview), None, text + error_html(str(error))]
        return [str(preview), str(cloud), text]

    def _ask(self, opened: Opened, pixels: list[Any]) -> Opened:
        """Ask about pixels: with intervals, as long as the model can tell them."""
        ask = partial(
            self._predictor.ask,
            opened.path,
            opened.found,
            pixels,
            task=self._task or "",
            exif_rotation=ROTATION,
        )
        if self._tells_intervals:
            with suppress(ConfigError):  # another reason comes back from the second try
                return opened.asked(ask(distribution=True))
        answers = ask()
        self._tells_intervals = False
        return opened.asked(answers)

    def _parts(self, opened: Opened) -> list[Any]:
        return [opened, opened.shown(), camera_html(opened), answers_html(opened)]


def _camera(kind: str, number: float | None) -> CameraSource:
    """Return what the page states of the camera.

    Raises:
        ConfigError: For a number that cannot be one.
    """
    if kind == _OWN:
        return CameraSource()
    if not number or number <= 0:
        raise ConfigError("give the camera's number, above 0")
    return CameraSource(fov_deg=number) if kind == "fov_deg" else CameraSource(focal_px=number)


def draw(page: Page) -> gradio.Blocks:
    """Return the page as gradio serves it; nothing in it is fetched from elsewhere."""
    import gradio as gr

    fonts = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    blocks: gradio.Blocks = gr.Blocks(title="depthlm", theme=fonts, analytics_enabled=False)
    with blocks:
        opened = gr.State()
        gr.Markdown("# depthlm\nOpen a picture, click on it, and read the metres.")
        with gr.Row():
            with gr.Column(scale=3):
                upload = gr.UploadButton("Open a picture", variant="primary", elem_id="open")
                picture = gr.Image(
                    label="click on it",
                    interactive=False,
                    format="png",
                    elem_id="picture",
                )
            with gr.Column(scale=2):
                camera = gr.HTML(elem_id="camera")
                kind = gr.Radio(_CAMERAS, value=_OWN, label="camera", elem_id="kind")
                number = gr.Number(label="degrees, or pixels", value=None, elem_id="number")
                use = gr.Button("Use this camera", elem_id="use")
                answers = gr.HTML(elem_id="answers")
                forget = gr.Button("Forget the clicks")
        with gr.Row():
            columns = gr.Slider(
                _COLUMNS["least"],
                _COLUMNS["most"],
                value=_COLUMNS["first"],
                step=1,
                label="pixels asked about, in a row of the grid",
            )
            make = gr.Button("Make the depth map", variant="primary", elem_id="make")
        said = gr.HTML(elem_id="said")
        preview = gr.Image(
            label="depth map", interactive=False, format="png", elem_id="map", type="filepath"
        )
        cloud = gr.Model3D(
            label="point cloud: drag to turn it",
            interactive=False,
            height=500,
            clear_color=_BEHIND_CLOUD,
            elem_id="cloud",
        )

        waiting = gr.Progress()

        def click(opened: Opened | None, event: gr.SelectData) -> list[Any]:
            return page.click(opened, event.index)

        def depth(opened: Opened | None, columns: float, progress: Any = waiting) -> list[Any]:
            return page.map(opened, columns, progress)

        # One question at a time: there is one model.
        one: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "api_name": False}
        seen = [opened, picture, camera, answers]
        upload.upload(page.open, [upload], [*seen, kind, number], **one)
        for changed in (upload.upload, use.click, number.submit):  # the map is of another camera
            changed(lambda: [None, None, ""], None, [preview, cloud, said], api_name=False)
        kind.input(page.number, [opened, kind], [number], api_name=False)
        use.click(page.use_camera, [opened, kind, number], seen, **one)
        number.submit(page.use_camera, [opened, kind, number], seen, **one)
        # gradio looks for the event among the annotations, which are text in this module.
        click.__annotations__["event"] = gr.SelectData
        picture.select(click, [opened], [opened, picture, answers], **one)
        forget.click(page.forget, [opened], [opened, picture, answers], **one)
        make.click(depth, [opened, columns], [preview, cloud, said], **one)
    return blocks
