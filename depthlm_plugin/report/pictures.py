"""Pictures of a report: found, cut, marked, and put into the file itself."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..config.block import DepthLMConfig
from ..errors import GeometryError, RecordError
from ..geometry.camera import Camera
from ..records import storage
from ..views.decode import image_size, load_rgb
from ..views.markers import parse_color
from ..views.view import Mark, View
from .examples import Row, pixel_of
from .samples import Point
from .sources import Source
from .texts import shortened, visible

MOST_BYTES = 12_000_000  # of all pictures of a report, as they stand in it
CROP_WH = 320, 240  # of an example's picture, pixels
_RAW = "raw"  # the link to the raw download in a curation's folder, `curate/pipeline/output`
_SHARE = 0.5  # of the picture's width that it shows
_MARK_PX = 15


class Picture(NamedTuple):
    """A picture inside the file as a `data:` address, or why there is none."""

    uri: str | None
    missing: str = ""


class Album:
    """The pictures of a report, up to `MOST_BYTES`."""

    def __init__(self) -> None:
        self.not_found: dict[str, str] = {}  # picture -> the first reason why it is not shown
        self.left_out = 0  # pictures for which there was no room
        self._bytes = 0

    @property
    def plots(self) -> ModuleType:
        """What draws plots; matplotlib, which it imports, takes a second."""
        from . import plots

        return plots

    def embed(self, data: bytes, kind: str) -> Picture:
        """Return the bytes of a file of an image type (`png`, `svg+xml`, ...) as a picture."""
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        if self._bytes + len(uri) > MOST_BYTES:
            self.left_out += 1
            limit = MOST_BYTES // 1_000_000
            return Picture(None, f"left out: this report holds {limit} MB of pictures already")
        self._bytes += len(uri)
        return Picture(uri)

    def error_map(self, source: Source, image: str, points: Sequence[Point]) -> Picture:
        """Return a picture of a run with the errors at its points."""

        def draw(path: str, config: DepthLMConfig) -> bytes:
            picture = load_rgb(path, image, config.exif_rotation)
            return bytes(self.plots.error_map_jpeg(picture, points))

        return self._drawn(source, image, draw)

    def crop(self, source: Source, row: Row) -> Picture:
        """Return the surroundings of a row's point with its mark."""
        image, pixel = row.get("image"), pixel_of(row)
        if image is None or pixel is None:
            return Picture(None, "the prediction does not say its picture and pixel")
        return self._drawn(source, image, lambda path, config: crop_jpeg(path, pixel, config))

    def _drawn(
        self, source: Source, image: str, draw: Callable[[str, DepthLMConfig], bytes]
    ) -> Picture:
        try:
            return self.embed(draw(_find(source, image), source.config or DepthLMConfig()), "jpeg")
        except (RecordError, GeometryError) as error:
            message = visible(error.args[-1])
            self.not_found.setdefault(image, message)
            return Picture(None, message)


def crop_jpeg(path: str, pixel: tuple[float, float], config: DepthLMConfig) -> bytes:
    """Return the surroundings of a point (x, y) of a stored picture, `CROP_WH` or less, as JPEG.

    The mark has the shape and colour that the model was shown, larger and with an outline. It is
    whole: beside the picture's border there is as much black as it needs.

    Raises:
        RecordError: When the picture cannot be read, or the point is outside of it.
    """
    size_wh = image_size(path, path, config.exif_rotation)
    point, size = np.array(pixel), np.array(size_wh)
    if (point < 0).any() or (point >= size).any():
        raise RecordError(
            "outside the picture",
            path,
            "pixel ({:g}, {:g}) is outside the {}x{} picture ".format(*pixel, *size_wh)
            + f"{shortened(path)}; is it another picture of that name? Check --media-dir",
        )
    scale = CROP_WH[0] / min(max(size[0] * _SHARE, CROP_WH[0] / 2), size[0])
    at, whole = np.rint((point + 0.5) * scale - 0.5), np.floor(size * scale)
    room = _MARK_PX + 1  # with the outline
    crop = np.clip(whole, 2 * room + 1, CROP_WH)
    corner = np.clip(at - crop // 2, 0, np.maximum(whole - crop, 0))
    corner = np.clip(corner, at + room + 1 - crop, at - room)
    left, top, width, height, x, y = map(int, (*corner, *crop, *(at - corner)))
    mark = Mark(config.marker, _MARK_PX, x, y, parse_color(config.marker_color), (255, 255, 255))
    camera = Camera(1.0, 1.0, 0.0, 0.0, size_wh)  # so that the view's focal length is its scale
    rule = config.exif_rotation
    view = View(path, camera, scale, left, top, (width, height), (mark,), rule, "reference")
    file = BytesIO()
    view.render(path).save(file, "JPEG", quality=80)
    return file.getvalue()


def _find(source: Source, image: str) -> str:
    """Return where a picture is, in the first folder that has it; RecordError where none has.

    The picture of a local folder, all links followed, lies in one of the media folders.
    """
    for folder in source.media_dirs:
        try:
            path = storage.join(folder, image)
            place = None if storage.is_remote(folder) else os.path.realpath(path)
        except (OSError, ValueError) as error:
            raise RecordError("missing image", image, f"{shortened(image)}: {error}") from error
        if place is not None and not any(_holds(root, place) for root in _roots(source, image)):
            raise RecordError(
                "image outside its root",
                image,
                f"picture {shortened(image)} leads out of {folder}; if it may be shown, give the"
                " folder that it lies in as one more --media-dir",
            )
        if storage.is_file(path):
            return path
    folders = ", ".join(source.media_dirs)
    message = f"picture {shortened(image)} not found in {folders}; give --media-dir"
    raise RecordError("missing image", image, message)


def _roots(source: Source, image: str) -> Iterator[str]:
    """Yield the folders that a picture may lie in, resolved: the media folders.

    And what `NAME/raw` leads to, which `depthlm curate` links to the raw download. Not within the
    run's own folder, where the link could be anybody's.
    """
    own = os.path.realpath(source.path.parent)
    parts = image.split("/")
    for folder in source.media_dirs:
        if storage.is_remote(folder):
            continue
        yield (root := os.path.realpath(folder))
        raw = os.path.join(root, parts[0], _RAW)
        if parts[1:2] == [_RAW] and os.path.islink(raw) and not _holds(own, root):
            yield os.path.realpath(raw)


def _holds(folder: str, path: str) -> bool:
    """Return whether a resolved path lies in a resolved folder."""
    return os.path.commonpath([folder, path]) == folder
