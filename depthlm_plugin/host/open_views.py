"""Opens views where LLaMA-Factory opens images, in the one method that no plugin overrides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import torch
from PIL import Image

from ..errors import ConfigError, GeometryError
from ..views.view import SCHEME, View, uri_fields, window_size

MOST_PIXELS = 2**26  # of a view; more would be memory that nobody meant to use

_AS: ContextVar[str] = ContextVar("depthlm_open_views_as", default="pictures")


@contextmanager
def views_as(what: str) -> Iterator[None]:
    """Within this context views open as something else than Pillow pictures.

    `tensors` (3, H, W) of pixels, 8-bit: what image processors make of a picture first, without
    making the picture. `blanks`: such tensors, black, without opening a file. `shapes`: the same on
    torch's meta device, without pixels.
    """
    token = _AS.set(what)
    try:
        yield
    finally:
        _AS.reset(token)


def is_view(image: object) -> bool:
    """Return whether this entry of an `images` column is a view rather than a path or picture."""
    return isinstance(image, str) and image.startswith(SCHEME)


def regularize_images_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return `_regularize_images`, rendering views and refusing to let them be resized."""
    kept_as_is: set[Any] = set()

    @wraps(original)
    def _regularize_images(self: Any, images: list[Any], **kwargs: Any) -> Any:
        if not any(map(is_view, images)):
            return original(self, images, **kwargs)
        opened = []
        for image in images:
            if not is_view(image):
                opened += original(self, [image], **kwargs)["images"]
                continue
            size_wh = _checked_size(image)
            key = (type(self), size_wh, *kwargs.items())
            if key not in kept_as_is:
                (blank,) = original(self, [Image.new("RGB", size_wh)], **kwargs)["images"]
                _refuse_resizing(size_wh, blank.size)
                kept_as_is.add(key)
            opened.append(_open(image, size_wh))
        return {"images": opened}

    return _regularize_images


def _checked_size(uri: str) -> tuple[int, int]:
    """Return a view's (width, height), pixels; GeometryError for what no planner would make."""
    width, height = window_size(uri)
    if min(width, height) < 1 or width * height > MOST_PIXELS:
        raise GeometryError(
            f"a view of {width}x{height} pixels, expected 1 to {MOST_PIXELS}: {uri[:200]!r}"
        )
    return width, height


def _open(uri: str, size_wh: tuple[int, int]) -> Any:
    width, height = size_wh
    if _AS.get() == "shapes":
        return torch.empty((3, height, width), dtype=torch.uint8, device="meta")
    if _AS.get() == "blanks":
        return torch.zeros((3, height, width), dtype=torch.uint8)
    try:
        view = View.from_uri(uri)
    except OverflowError as error:  # of a focal length of 1e300
        raise GeometryError(f"malformed view {uri[:200]!r}: {error}") from error
    if "\0" in view.image:
        raise GeometryError(f"malformed view {uri[:200]!r}: its image has a null character")
    if _AS.get() == "pictures":
        return view.render(_where(uri))
    return torch.from_numpy(view.pixels(_where(uri))).permute(2, 0, 1)


def _refuse_resizing(size_wh: tuple[int, int], resized_wh: tuple[int, int]) -> None:
    if resized_wh != size_wh:
        width, height = size_wh
        raise ConfigError(
            f"depthlm: LLaMA-Factory resized a {width}x{height} view to"
            f" {resized_wh[0]}x{resized_wh[1]}, which changes its focal length and so the metres;"
            f" set image_max_pixels to {width * height} or more and image_min_pixels to"
            f" {width * height} or less"
        )


def _where(uri: str) -> str:
    fields = uri_fields(uri)
    return f"dataset {fields.get('dataset', '?')}, {fields.get('at', fields['image'])}"
