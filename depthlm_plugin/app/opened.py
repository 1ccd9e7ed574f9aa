"""The picture that is open in the page: its camera, what was asked about it, what is said of that.

Nothing here knows how a page is made.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..cameras.source import CameraSource, FoundCamera
from ..errors import DepthLMError, RecordError
from ..geometry.arrays import Floats
from ..geometry.camera import convert_depth
from ..maps.depth_map import DepthMap
from ..predict.answer import Answer
from ..predict.rows import OFF
from ..views.decode import load_rgb

ROTATION = "apply"  # EXIF's, as the browser and every viewer shows the picture
_SHOWN_PX = 1000  # longest side of the picture in the page
_MOST_POINTS = 250_000  # of a cloud that a browser turns smoothly
_MARKED, _EDGE = (255, 220, 0), (0, 0, 0)
_KINDS = {"distance": "from the camera", "z": "along the principal axis"}


@dataclass(frozen=True, eq=False)
class Opened:
    """A picture, its camera, and the answers about it so far.

    Attributes:
        path: The file.
        found: Its camera, and where it comes from.
        picture: RGB, turned as EXIF says.
        answers: To the pixels that were clicked, in their order.
    """

    path: str
    found: FoundCamera
    picture: Image.Image
    answers: tuple[Answer, ...] = ()

    @classmethod
    def of(cls, path: str, camera: CameraSource) -> Opened:
        """Open a file.

        Raises:
            RecordError: For what is no picture, is too large, or an animation.
        """
        found = camera.find(path, ROTATION)
        return cls(path, found, load_rgb(path, path, ROTATION, found.camera))

    @property
    def pixels(self) -> list[tuple[float, float]]:
        """The pixels that were clicked."""
        return [answer.pixel for answer in self.answers if answer.pixel]

    def asked(self, answers: Iterable[Answer]) -> Opened:
        """Return it with further answers."""
        return replace(self, answers=(*self.answers, *answers))

    @property
    def scale(self) -> float:
        """How much larger the page shows it: whole times, or smaller."""
        scale = _SHOWN_PX / max(self.picture.size)
        return float(int(scale)) if scale >= 1 else scale

    def pixel_of(self, shown_xy: tuple[float, float]) -> tuple[int, int]:
        """Return the pixel of the picture under a pixel of the shown one."""
        x, y = (
            min(max(math.floor((place + 0.5) / self.scale), 0), side - 1)
            for place, side in zip(shown_xy, self.picture.size, strict=True)
        )
        return x, y

    def shown_from(self, pixel: tuple[float, float]) -> tuple[float, float]:
        """Return where the shown picture has a pixel's centre."""
        x, y = ((place + 0.5) * self.scale - 0.5 for place in pixel)
        return x, y

    def shown(self) -> Image.Image:
        """Return the picture as the page shows it: the clicked pixels numbered, the last joined."""
        enlarged = self.scale >= 1
        size = [max(1, round(side * self.scale)) for side in self.picture.size]
        way = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
        image = self.picture.resize((size[0], size[1]), way)
        draw, font = ImageDraw.Draw(image), ImageFont.load_default(22)
        places = [self.shown_from(pixel) for pixel in self.pixels]
        if len(places) > 1:
            for color, width in ((_EDGE, 5), (_MARKED, 2)):
                draw.line(places[-2:], color, width)
        for number, (x, y) in enumerate(places, 1):
            draw.ellipse((x - 7, y - 7, x + 7, y + 7), outline=_EDGE, width=4)
            draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline=_MARKED, width=2)
            left, top = min(x + 10, size[0] - 30), max(y - 28, 0)
            draw.text((left, top), str(number), _MARKED, font, stroke_width=2, stroke_fill=_EDGE)
        return image

    def name_in(self, text: str) -> str:
        """Return a text that names the picture in place of where the server keeps it."""
        return text.replace(self.path, Path(self.path).name)


def problem_text(error: DepthLMError, path: str) -> str:
    """Return what an error about an uploaded file says, without the server's path to it."""
    text = error.message if isinstance(error, RecordError) else str(error)
    return text.replace(path, Path(path).name)


def camera_html(opened: Opened) -> str:
    """Return where the camera comes from, and everything that is doubtful about it."""
    found = opened.found
    (width, height), camera = opened.picture.size, found.camera
    line = (
        f"{Path(opened.path).name}, {width}x{height}. Camera: {found.detail}; focal length"
        f" {camera.fx:.1f} px, {found.fov_deg:.1f} degrees across."
    )
    return f"<p>{html.escape(line)}</p>" + "".join(
        map(warning_html, map(opened.name_in, found.warnings))
    )


def answers_html(opened: Opened) -> str:
    """Return what was answered, and how far the last two pixels are apart."""
    if not opened.answers:
        return "<p>Click on the picture.</p>"
    rows = "".join(f"<li>{html.escape(answer_text(answer))}</li>" for answer in opened.answers)
    text = f"<ol>{rows}</ol>"
    if len(opened.answers) > 1:
        last = len(opened.answers)
        apart = apart_m(*opened.answers[-2:])
        said = "not known, as an answer is missing" if apart is None else f"{apart:.2f} m"
        text += (
            f"<p><b>{last - 1} to {last}: {said}</b> in a straight line, computed from these two"
            " depth answers and the rays of their pixels; the model was not asked for it.</p>"
        )
    return text


def answer_text(answer: Answer) -> str:
    """Return an answer in a line: metres of what, and what an error in the focal length does."""
    (x, y), best = answer.pixel or (math.nan, math.nan), answer.best
    if best is None:
        return f"pixel ({x:g}, {y:g}): no number could be read ({answer.reason}) in {answer.text!r}"
    kind = _KINDS.get(answer.sample.question.depth_kind or "", "")
    text = f"pixel ({x:g}, {y:g}): {best:.4g} {answer.unit} {kind}".rstrip()
    if answer.calibration is not None:
        text += f", calibrated; the model said {answer.value:g}"
    interval = answer.interval_90
    if interval is not None:
        low, high = interval
        text += f", with 90 % probability {low:.3g} to {high:.3g} {answer.unit}"
    shorter, longer = answer.if_focal(1 - OFF), answer.if_focal(1 + OFF)
    if shorter is None or longer is None:
        return text
    return (
        f"{text} ({shorter:.3g} to {longer:.3g} {answer.unit} for a focal length"
        f" {OFF:.0%} shorter to longer)"
    )


def apart_m(first: Answer, second: Answer) -> float | None:
    """Return how far the surfaces at two pixels of a picture are apart, metres.

    Each is where its pixel's ray has the depth that was answered. None where one was not read.
    """
    places = [_place_m(answer) for answer in (first, second)]
    if places[0] is None or places[1] is None:
        return None
    return float(np.linalg.norm(places[1] - places[0]))


def _place_m(answer: Answer) -> Floats | None:
    best = answer.best
    if best is None or answer.pixel is None:
        return None
    camera, kind = answer.camera.camera, answer.sample.question.depth_kind or "z"
    z_m = convert_depth([best], [answer.pixel], camera, kind=kind, to="z")
    place: Floats = camera.unproject([answer.pixel], z_m)[0]
    return place


def grid_of(size_wh: tuple[int, int], columns: int) -> tuple[int, int]:
    """Return a grid of about square cells, at most as fine as a picture."""
    width, height = size_wh
    columns = max(1, min(columns, width))
    return columns, max(1, min(round(columns * height / width), height))


def map_html(depth: DepthMap) -> str:
    """Return how a map was made."""
    text = f"<p>Made of {len(depth.pixels)} answers; the rest is filled in between.</p>"
    if depth.unread:
        text += warning_html(f"in {depth.unread} further answers no number could be read")
    return text


def thinned(depth: DepthMap) -> DepthMap:
    """Return a map with no more depths than a browser shows as a cloud, every n-th each way."""
    step = math.ceil(math.sqrt(depth.z_m.size / _MOST_POINTS))
    kept = np.zeros(depth.z_m.shape, dtype=np.bool_)
    kept[::step, ::step] = True
    return replace(depth, z_m=np.where(kept, depth.z_m, np.float32(np.nan)))


def warning_html(text: str) -> str:
    """Return a warning that is not overlooked."""
    return (
        '<p role="alert" style="background:#fde68a;color:#1c1917;border-left:6px solid #d97706;'
        f'padding:.5em .8em"><b>Warning:</b> {html.escape(text)}</p>'
    )


def error_html(text: str) -> str:
    """Return what could not be done, and why."""
    return (
        '<p role="alert" style="background:#fecaca;color:#1c1917;border-left:6px solid #b91c1c;'
        f'padding:.5em .8em">{html.escape(text)}</p>'
    )
