"""Views: which part of an image the model sees, at which focal length, with which marks.

A `View` only decides; `render` executes. It has a compact text form, so that it can travel
wherever LLaMA-Factory carries an image path, and no rendered image is ever stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import parse_qsl, urlencode

import numpy as np
from PIL import Image

from ..errors import GeometryError, did_you_mean
from ..geometry.arrays import Floats, Pixels
from ..geometry.camera import Camera
from ..geometry.lens import Lens
from .markers import RED, Color, Marker, format_color, get_marker, parse_color
from .render import RESAMPLINGS, Source, render_window

_HALF_PAIRS = "surrogatepass"  # file names that are not UTF-8, as Python holds them
SCHEME = "depthlm://"
FORMAT = "v4"  # raise it whenever the same text would render differently
MOST_PIXELS = 2**27  # of a view, and of what its image becomes: 400 MB of RGB


@dataclass(frozen=True)
class Mark:
    """A mark on a view.

    Attributes:
        kind: The name of its marker, one of `markers.MARKERS`.
        size_px: Its size, pixels of the view, as its marker defines it.
        x: Column of the marked pixel of the view.
        y: Row of the marked pixel of the view.
        color: RGB, 0 to 255 each.
        outline: RGB of a contrast outline, or None.
        number: What a `numbered` marker shows.
    """

    kind: str
    size_px: int
    x: int
    y: int
    color: Color = RED
    outline: Color | None = None
    number: int = 1

    @property
    def marker(self) -> Marker:
        """The marker that draws it."""
        return get_marker(
            self.kind, self.size_px, color=self.color, outline=self.outline, number=self.number
        )

    @property
    def text(self) -> str:
        """The text form `kind,size,x,y,color,outline,number`, without defaults at its end."""
        outline = "" if self.outline is None else format_color(self.outline)
        fields = (self.kind, self.size_px, self.x, self.y, format_color(self.color), outline)
        defaults = (format_color(RED), "", 1)
        given = [*map(str, fields), str(self.number)]
        while len(given) > 4 and given[-1] == str(defaults[len(given) - 5]):
            given.pop()
        return ",".join(given)

    @classmethod
    def from_text(cls, text: str) -> Mark:
        """Return the mark of a text form.

        Raises:
            ValueError: For a text of another form.
        """
        kind, size_px, x, y, *style = text.split(",")
        color, outline, number = style + ["ff0000", "", "1"][len(style) :]
        return cls(
            kind,
            int(size_px),
            int(x),
            int(y),
            parse_color(f"#{color}"),
            parse_color(f"#{outline}") if outline else None,
            int(number),
        )


@dataclass(frozen=True)
class View:
    """A window onto an image resampled so that fx = fy = `focal_px`, with marks drawn on top.

    A lens of the source camera is undone first. Where the window leaves the image it is black.

    Attributes:
        image: Path of the source image.
        source: Camera of the source image.
        focal_px: Focal length of the view on both axes, pixels.
        left: Column of the window's first pixel in the resampled image; negative: black before.
        top: Row of the window's first pixel in the resampled image, likewise.
        size_wh: Size of the window (width, height), pixels.
        marks: Marks, in pixels of the window.
        exif_rotation: How the source's EXIF orientation is read (`decode.image_size`).
        resampling: `fast` (torch) or `reference` (Pillow only, the same bits on every machine);
            they differ by at most 2 grey levels.

    Raises:
        GeometryError: For a window without a pixel of the image, one of over `MOST_PIXELS`, or a
            mark that does not fit.
    """

    image: str
    source: Camera
    focal_px: float
    left: int
    top: int
    size_wh: tuple[int, int]
    marks: tuple[Mark, ...] = ()
    exif_rotation: str = "refuse"
    resampling: str = "fast"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.focal_px) and self.focal_px > 0):
            raise GeometryError(f"focal_px must be positive, found {self.focal_px}")
        full_w, full_h = self.normalised.size_wh
        (width, height), left, top = self.size_wh, self.left, self.top
        if width < 1 or height < 1:
            raise GeometryError(f"a view needs at least one pixel, found {width}x{height}")
        if width * height > MOST_PIXELS or is_too_large(self.source, (full_w, full_h)):
            raise GeometryError(
                f"a {width}x{height} view of the {full_w}x{full_h} image that {self.image} becomes"
                f" at focal length {self.focal_px:g} is over the limit of {MOST_PIXELS} pixels;"
                f" check the intrinsics {self.source.intrinsics}"
            )
        if left <= -width or top <= -height or left >= full_w or top >= full_h:
            raise GeometryError(
                f"the {width}x{height} window at ({left}, {top}) lies outside the {full_w}x{full_h}"
                f" image that {self.image} becomes at focal length {self.focal_px:g}"
            )
        if self.resampling not in RESAMPLINGS:
            hint = did_you_mean(self.resampling, list(RESAMPLINGS))
            raise GeometryError(f"unknown resampling {self.resampling!r}{hint}")
        for mark in self.marks:
            margin = mark.marker.margin_px
            if not (margin <= mark.x < width - margin and margin <= mark.y < height - margin):
                raise GeometryError(
                    f"the mark at ({mark.x}, {mark.y}) does not fit into the {width}x{height} view:"
                    f" it needs {margin} px on every side"
                )

    @cached_property
    def normalised(self) -> Camera:
        """The camera of the whole image at the view's focal length."""
        return self.source.pinhole.scaled_to_focal(self.focal_px)

    @property
    def camera(self) -> Camera:
        """The camera of the rendered image: fx = fy = `focal_px`, exactly."""
        return self.normalised.cropped(self.left, self.top, self.size_wh)

    def pixels_from_source(self, pixels: object) -> Floats:
        """Return where source pixels (N, 2) land in the view, as exact floats (N, 2).

        `u' = (u + 0.5) s - 0.5 - left` with s = focal_px / fx, likewise for v (design §4).
        """
        points = self.source.undistort_pixels(np.asarray(pixels, dtype=np.float64).reshape(-1, 2))
        scale = np.array([self.focal_px / self.source.fx, self.focal_px / self.source.fy])
        result: Floats = (points + 0.5) * scale - 0.5 - (self.left, self.top)
        return result

    def render(self, where: str = "view") -> Image.Image:
        """Return the view as an RGB image: the picture resampled once, bicubic, then the marks.

        Args:
            where: What to name in errors: the record's file and line.

        Raises:
            RecordError: When the image cannot be read, or is not of the source camera's size.
        """
        return Image.fromarray(self.pixels(where))

    def pixels(self, where: str = "view") -> Pixels:
        """Return the pixels of `render`, an array (H, W, 3) to write to."""
        source = Source(self.image, self.source, self.exif_rotation, self.resampling)
        pixels = render_window(source, self.normalised, self.left, self.top, self.size_wh, where)
        for mark in self.marks:
            mark.marker.draw(pixels, mark.x, mark.y)
        return pixels

    def to_uri(self, **extra: str) -> str:
        """Return the text form: `depthlm://v4?image=...`, with `extra` fields appended."""
        source = self.source
        fields = {
            "image": self.image,
            "source": _join(*source.intrinsics, *source.size_wh),
            "focal": _join(self.focal_px),
            "window": _join(self.left, self.top, *self.size_wh),
        }
        if source.lens is not None:
            fields["lens"] = _join(source.lens.model, *source.lens.coefficients)
        if self.exif_rotation != "refuse":
            fields["exif"] = self.exif_rotation
        if self.resampling != "fast":
            fields["resampling"] = self.resampling
        if self.marks:
            fields["marks"] = ";".join(mark.text for mark in self.marks)
        query = urlencode(fields | extra, safe="/,;", errors=_HALF_PAIRS)
        return f"{SCHEME}{FORMAT}?{query}"

    @classmethod
    def from_uri(cls, uri: str) -> View:
        """Return the view of a text form; fields that it does not know are left to others.

        Raises:
            GeometryError: For a text of another form or version.
        """
        fields = uri_fields(uri)
        try:
            fx, fy, cx, cy, source_w, source_h = fields["source"].split(",")
            left, top, width, height = map(int, fields["window"].split(","))
            marks = map(Mark.from_text, filter(None, fields.get("marks", "").split(";")))
            lens = None
            if "lens" in fields:
                model, *coefficients = fields["lens"].split(",")
                lens = Lens(model, tuple(map(float, coefficients)))
            size_wh = int(source_w), int(source_h)
            image = fields["image"]
            if "\0" in image:
                raise ValueError("its image has a null character")
            return cls(
                image,
                Camera(float(fx), float(fy), float(cx), float(cy), size_wh, lens),
                float(fields["focal"]),
                left,
                top,
                (width, height),
                tuple(marks),
                fields.get("exif", "refuse"),
                fields.get("resampling", "fast"),
            )
        except (KeyError, ValueError, TypeError, OverflowError) as error:  # a focal length of 1e300
            raise GeometryError(f"malformed view {uri[:200]!r}: {error!r}") from error


def is_too_large(source: Camera, full_wh: tuple[int, int]) -> bool:
    """Return whether resampling would make an array of over `MOST_PIXELS` on its way.

    Args:
        source: The camera of the source image.
        full_wh: The (width, height) of all of the image as it is resampled, pixels.
    """
    return full_wh[0] * max(full_wh[1], source.size_wh[1]) > MOST_PIXELS


NORMALISED = 2000  # coordinates in text are below this, in any picture (VLM3, arXiv 2605.30561)


def normalised(pixel: tuple[float, float], size_wh: tuple[int, int]) -> tuple[int, int]:
    """Return a view's pixel (x, y) as text gives it: whole numbers in [0, 2000) on each axis.

    The picture's left edge, half a pixel before the first pixel's centre, is 0, its right 2000.
    """
    x, y = (
        min(max(math.floor((at + 0.5) / length * NORMALISED), 0), NORMALISED - 1)
        for at, length in zip(pixel, size_wh, strict=True)
    )
    return x, y


def uri_fields(uri: str) -> dict[str, str]:
    """Return the fields of a `depthlm://` text.

    Raises:
        GeometryError: For a text of another form or version.
    """
    head, _, query = uri.partition("?")
    if not head.startswith(SCHEME):
        raise GeometryError(f"not a depthlm view: {uri[:200]!r}")
    if head != SCHEME + FORMAT:
        raise GeometryError(
            f"view format {head!r} is not {SCHEME + FORMAT!r}: the cached dataset was written by"
            " another version of depthlm-plugin; set overwrite_cache: true"
        )
    return dict(_pairs(query))


@lru_cache(maxsize=256)  # a sample in training is read about five times on its way
def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True, errors=_HALF_PAIRS))


def window_size(uri: str) -> tuple[int, int]:
    """Return the (width, height) of a text form's view, pixels, reading nothing else.

    Raises:
        GeometryError: For a text of another form or version.
    """
    try:
        _, _, width, height = map(int, uri_fields(uri)["window"].split(","))
    except (KeyError, ValueError) as error:
        raise GeometryError(f"malformed view {uri[:200]!r}: {error!r}") from error
    return width, height


def _join(*values: object) -> str:
    # float(): NumPy's own repr would read np.float64(1000.0)
    return ",".join(
        repr(float(value)) if isinstance(value, float) else str(value) for value in values
    )
