"""Opening views where LLaMA-Factory opens images: the one method that no model plugin overrides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any

from PIL import Image

from ..errors import ConfigError
from ..view import SCHEME, View, uri_fields

_counting: ContextVar[bool] = ContextVar("depthlm_counting_tokens", default=False)


@contextmanager
def counting_tokens() -> Iterator[None]:
    """Within this, views open as blank images of their size: token counts need no pixels."""
    token = _counting.set(True)
    try:
        yield
    finally:
        _counting.reset(token)


@lru_cache(maxsize=64)
def _blank(size_wh: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", size_wh)


def is_view(image: object) -> bool:
    """Return whether this entry of an `images` column is a view rather than a path or picture."""
    return isinstance(image, str) and image.startswith(SCHEME)


def regularize_images_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return `_regularize_images`, rendering views and refusing to let them be resized."""

    @wraps(original)
    def _regularize_images(self: Any, images: list[Any], **kwargs: Any) -> Any:
        if not any(map(is_view, images)):
            return original(self, images, **kwargs)
        views = {index: View.from_uri(im) for index, im in enumerate(images) if is_view(im)}
        opened = list(images)
        for index, view in views.items():
            if _counting.get():
                opened[index] = _blank(view.size_wh)
            else:
                opened[index] = view.render(_where(images[index]))
        result = original(self, opened, **kwargs)
        for index, view in views.items():
            size_wh = result["images"][index].size
            if size_wh != view.size_wh:
                width, height = view.size_wh
                raise ConfigError(
                    f"depthlm: LLaMA-Factory resized a {width}x{height} view to"
                    f" {size_wh[0]}x{size_wh[1]}, which changes its focal length and so the metres;"
                    f" set image_max_pixels to {width * height} or more and image_min_pixels to"
                    f" {width * height} or less"
                )
        return result

    return _regularize_images


def _where(uri: str) -> str:
    fields = uri_fields(uri)
    return f"dataset {fields.get('dataset', '?')}, {fields.get('at', fields['image'])}"
