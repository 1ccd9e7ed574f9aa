"""Pictures of a report: found, cut, marked, and put into the file itself."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from ..config.block import DepthLMConfig
from ..errors import RecordError
from ..records import storage
from ..views.decode import load_rgb
from ..views.markers import get_marker, parse_color
from .document import Picture, shortened, visible
from .sampling import Pointed
from .sources import Source

MOST_BYTES = 12_000_000  # of all pictures of a report, as they stand in it
_CROP_WH = 320, 240  # of a sample's picture, pixels
_SHARE = 0.5  # of the picture's width that a crop shows
_MARK_PX = 15
_MARK_OUTLINE = (255, 255, 255)


class Album:
    """The pictures of a report, up to `MOST_BYTES`.

    Attributes:
        not_found: What could not be shown, and why, by picture: of each the first message.
        left_out: Pictures for which there was no room.
    """

    def __init__(self) -> None:
        self.not_found: dict[str, str] = {}
        self.left_out = 0
        self._bytes = 0

    def embed(self, data: bytes, mime: str) -> Picture:
        """Return some bytes as a picture."""
        uri = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        if self._bytes + len(uri) > MOST_BYTES:
            self.left_out += 1
            limit = MOST_BYTES // 1_000_000
            return Picture(None, f"left out: this report holds {limit} MB of pictures already")
        self._bytes += len(uri)
        return Picture(uri)

    def of_source(
        self, image: str, source: Source, draw: Callable[[Image.Image], bytes]
    ) -> Picture:
        """Return a JPEG that is drawn from a run's picture, or why there is none."""
        try:
            return self.embed(draw(_load(image, source)), "image/jpeg")
        except RecordError as error:
            message = visible(error.message)
            self.not_found.setdefault(image, message)
            return Picture(None, message)


def crop_of(
    name: str, pixel: tuple[float, float], config: DepthLMConfig
) -> Callable[[Image.Image], bytes]:
    """Return what draws the surroundings of a point, with its mark, as JPEG.

    The mark has the shape and colour that the model is shown, with an outline, larger. It raises
    RecordError for a point outside the picture.

    Args:
        name: Of the picture.
        pixel: The point (x, y) in the stored picture.
        config: Says what marks look like.
    """

    def draw(picture: Image.Image) -> bytes:
        x, y = pixel
        width, height = picture.size
        if not (0 <= x < width and 0 <= y < height):
            raise RecordError(
                "outside the picture",
                name,
                f"pixel ({x:g}, {y:g}) is outside the {width}x{height} picture {shortened(name)};"
                " is it another picture of that name? Check --media-dir",
            )
        crop_w = min(max(width * _SHARE, _CROP_WH[0] / 2), width)
        crop_h = min(crop_w * _CROP_WH[1] / _CROP_WH[0], height)
        left = min(max(x + 0.5 - crop_w / 2, 0), width - crop_w)
        top = min(max(y + 0.5 - crop_h / 2, 0), height - crop_h)
        scale = min(_CROP_WH[0] / crop_w, _CROP_WH[1] / crop_h)
        size = max(round(crop_w * scale), 1), max(round(crop_h * scale), 1)
        box = (left, top, left + crop_w, top + crop_h)
        small = picture.resize(size, Image.Resampling.BICUBIC, box=box)
        place = (x + 0.5 - left) * scale - 0.5, (y + 0.5 - top) * scale - 0.5
        return _jpeg(_marked(small, place, config))

    return draw


def map_of(pointed: Pointed) -> Callable[[Image.Image], bytes]:
    """Return what draws the errors at a picture's points, as JPEG."""
    from .plots import error_map_jpeg  # matplotlib takes a second

    return lambda picture: error_map_jpeg(picture, pointed.points)


def _marked(image: Image.Image, place: tuple[float, float], config: DepthLMConfig) -> Image.Image:
    kind = config.marker if config.mark_kind == "numbered" else config.mark_kind
    color = parse_color(config.marker_color)
    marker = get_marker(kind, _MARK_PX, color=color, outline=_MARK_OUTLINE)
    # Room for a mark at the border: drawn on a larger canvas, then cut off.
    margin = marker.margin_px + 1
    width, height = image.size
    pixels = np.zeros((height + 2 * margin, width + 2 * margin, 3), dtype=np.uint8)
    pixels[margin:-margin, margin:-margin] = np.asarray(image)
    x, y = (min(max(round(c), 0), n - 1) for c, n in zip(place, image.size, strict=True))
    marker.draw(pixels, x + margin, y + margin)
    return Image.fromarray(pixels[margin:-margin, margin:-margin].copy())


def _load(image: str, source: Source) -> Image.Image:
    """Return the stored picture, whose pixels the rows are about, of the first folder that has it.

    Raises:
        RecordError: When none has it, or it cannot be decoded.
    """
    rule = "refuse" if source.config is None else source.config.exif_rotation
    for folder in source.media_dirs:
        try:
            path = storage.join(folder, image)
        except ValueError as error:
            raise RecordError("missing image", image, str(error)) from error
        if storage.is_file(path):
            return load_rgb(path, image, rule)
    raise RecordError(
        "missing image",
        image,
        f"picture {shortened(image)} not found in {', '.join(source.media_dirs)}; give --media-dir",
    )


def _jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()
