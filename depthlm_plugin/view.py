"""Views: which part of an image the model sees, at which focal length, with which marks.

A `View` only decides; `render` executes. It has a compact text form, so that it can travel wherever
LLaMA-Factory carries an image path, and no rendered image is ever stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, urlencode

import numpy as np
from PIL import Image

from .camera import Camera, Floats
from .errors import GeometryError
from .images import load_rgb
from .markers import get_marker

SCHEME = "depthlm://"
FORMAT = "v1"  # raise it whenever the same text would render differently


@dataclass(frozen=True)
class Mark:
    """A mark at pixel (x, y) of the view; `size_px` as its marker class defines it."""

    kind: str
    size_px: int
    x: int
    y: int


@dataclass(frozen=True)
class View:
    """A window onto an image resampled so that fx = fy = `focal_px`, with marks drawn on top.

    Attributes:
        image: Path of the source image.
        source: Camera of the source image.
        focal_px: Focal length of the view on both axes, pixels.
        left: Column of the window's first pixel in the resampled image.
        top: Row of the window's first pixel in the resampled image.
        size_wh: Size of the window (width, height), pixels.
        marks: Marks, in pixels of the window.
        exif_rotation: How the source's EXIF orientation is read (`images.image_size`).
    """

    image: str
    source: Camera
    focal_px: float
    left: int
    top: int
    size_wh: tuple[int, int]
    marks: tuple[Mark, ...] = ()
    exif_rotation: str = "refuse"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.focal_px) and self.focal_px > 0):
            raise GeometryError(f"focal_px must be positive, found {self.focal_px}")
        full_w, full_h = self.normalised.size_wh
        (width, height), left, top = self.size_wh, self.left, self.top
        if width < 1 or height < 1:
            raise GeometryError(f"a view needs at least one pixel, found {width}x{height}")
        if left < 0 or top < 0 or left + width > full_w or top + height > full_h:
            raise GeometryError(
                f"the {width}x{height} window at ({left}, {top}) leaves the {full_w}x{full_h} image"
                f" that {self.image} becomes at focal length {self.focal_px:g}"
            )
        for mark in self.marks:
            margin = get_marker(mark.kind, mark.size_px).margin_px
            if not (margin <= mark.x < width - margin and margin <= mark.y < height - margin):
                raise GeometryError(
                    f"the mark at ({mark.x}, {mark.y}) does not fit into the {width}x{height} view:"
                    f" it needs {margin} px on every side"
                )

    @cached_property
    def normalised(self) -> Camera:
        """The camera of the whole image at the view's focal length."""
        return self.source.scaled_to_focal(self.focal_px)

    @property
    def camera(self) -> Camera:
        """The camera of the rendered image: fx = fy = `focal_px`, exactly."""
        return self.normalised.cropped(self.left, self.top, self.size_wh)

    def pixels_from_source(self, pixels: object) -> Floats:
        """Return where source pixels (N, 2) land in the view, as exact floats (N, 2).

        `u' = (u + 0.5) s - 0.5 - left` with s = focal_px / fx, likewise for v (design §4).
        """
        points = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        scale = np.array([self.focal_px / self.source.fx, self.focal_px / self.source.fy])
        result: Floats = (points + 0.5) * scale - 0.5 - (self.left, self.top)
        return result

    def render(self, where: str = "view") -> Image.Image:
        """Return the view as an RGB image: decode, one bicubic resample of the window, marks.

        The window is resampled straight from the source, with the neighbouring source pixels that
        the filter needs, which equals resampling everything and then cropping.

        Raises:
            RecordError: When the image cannot be read, or is not of the source camera's size.
        """
        image = load_rgb(self.image, where, self.exif_rotation)
        check_size(image.size, self.source, self.image, where)
        width, height = self.size_wh
        step_x, step_y = self.source.fx / self.focal_px, self.source.fy / self.focal_px
        box = (
            self.left * step_x,
            self.top * step_y,
            min((self.left + width) * step_x, image.width),
            min((self.top + height) * step_y, image.height),
        )
        if box != (0, 0, *image.size) or (width, height) != image.size:
            image = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
        if not self.marks:
            return image
        pixels = np.array(image)
        for mark in self.marks:
            get_marker(mark.kind, mark.size_px).draw(pixels, mark.x, mark.y)
        return Image.fromarray(pixels)

    def to_uri(self, **extra: str) -> str:
        """Return the text form: `depthlm://v1?image=...`, with `extra` fields appended."""
        source = self.source
        fields = {
            "image": self.image,
            "source": _join(*source.intrinsics, *source.size_wh),
            "focal": _join(self.focal_px),
            "window": _join(self.left, self.top, *self.size_wh),
        }
        if self.exif_rotation != "refuse":
            fields["exif"] = self.exif_rotation
        if self.marks:
            fields["marks"] = ";".join(_join(m.kind, m.size_px, m.x, m.y) for m in self.marks)
        return f"{SCHEME}{FORMAT}?{urlencode(fields | extra, safe='/,;')}"

    @classmethod
    def from_uri(cls, uri: str) -> View:
        """Return the view of a text form; fields it does not know are left to others."""
        fields = uri_fields(uri)
        try:
            fx, fy, cx, cy, source_w, source_h = fields["source"].split(",")
            left, top, width, height = map(int, fields["window"].split(","))
            marks = []
            for text in filter(None, fields.get("marks", "").split(";")):
                kind, *numbers = text.split(",")
                marks.append(Mark(kind, *map(int, numbers)))
            return cls(
                fields["image"],
                Camera(float(fx), float(fy), float(cx), float(cy), (int(source_w), int(source_h))),
                float(fields["focal"]),
                left,
                top,
                (width, height),
                tuple(marks),
                fields.get("exif", "refuse"),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise GeometryError(f"malformed view {uri[:200]!r}: {error!r}") from error


def check_size(size_wh: tuple[int, int], camera: Camera, path: str, where: str) -> None:
    """Refuse an image whose size is not the one that its intrinsics were given for."""
    from .errors import RecordError

    if size_wh != camera.size_wh:
        raise RecordError(
            "size differs from intrinsics",
            where,
            f"{path} is {size_wh[0]}x{size_wh[1]} but its intrinsics are for"
            f" {camera.size_wh[0]}x{camera.size_wh[1]}; give the intrinsics of the stored image",
        )


def uri_fields(uri: str) -> dict[str, str]:
    """Return the fields of a `depthlm://` text, refusing other formats and versions."""
    head, _, query = uri.partition("?")
    if not head.startswith(SCHEME):
        raise GeometryError(f"not a depthlm view: {uri[:200]!r}")
    if head != SCHEME + FORMAT:
        raise GeometryError(
            f"view format {head!r} is not {SCHEME + FORMAT!r}: the cached dataset was written by"
            " another version of depthlm-plugin; set overwrite_cache: true"
        )
    return dict(parse_qsl(query, keep_blank_values=True))


def _join(*values: object) -> str:
    # float(): NumPy's own repr would read np.float64(1000.0)
    return ",".join(
        repr(float(value)) if isinstance(value, float) else str(value) for value in values
    )
