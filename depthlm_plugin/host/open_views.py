"""Opens views where LLaMA-Factory opens images, in the one method that no plugin overrides.

Only views that were planned here are opened: within `views_as`, which this package's own code
enters, and by the template of a depth run once its data is loaded (`let_open`), of which
`refuse_views` keeps the other datasets' strings. Everywhere else such a string is LLaMA-Factory's
own business: it finds no file of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import pyarrow as pa
import torch
from datasets import Dataset
from PIL import Image

from ..errors import ConfigError, GeometryError
from ..views.view import SCHEME, View, uri_fields, window_size
from .board import MOST_PIXELS, limits_of_views

_AS: ContextVar[str | None] = ContextVar("depthlm_open_views_as", default=None)
_OPENS = "_depthlm_opens_views"  # on a template's image plugin, with which it travels to workers


@contextmanager
def views_as(what: str) -> Iterator[None]:
    """Within this context views are opened, as something else than Pillow pictures.

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


def let_open(mm_plugin: Any, opens: bool) -> None:
    """Set whether the image plugin of a run's template opens views outside `views_as` too.

    It is for the loader's workers and for LLaMA-Factory's `scripts/vllm_infer.py`. LLaMA-Factory
    shares a template between all runs of a process: it does what the last of them needs.
    """
    if opens:
        setattr(mm_plugin, _OPENS, True)
    elif opens_views(mm_plugin):
        delattr(mm_plugin, _OPENS)  # as if it had never been: `datasets` hashes it


def opens_views(mm_plugin: Any) -> bool:
    """Return whether `let_open` lets this image plugin open views."""
    return getattr(mm_plugin, _OPENS, False) is True


def refuse_views(name: str, dataset: Dataset) -> None:
    """Raise a ConfigError for a view in the aligned samples of a dataset that is none of depth."""
    for column in ("_images", "_videos"):  # the frames of a video may be images
        kind = dataset.data.schema.field(column).type
        while hasattr(kind, "value_type"):
            kind = kind.value_type
        if pa.types.is_struct(kind):  # pictures in the dataset itself
            continue
        number = 0
        for batch in dataset.select_columns(column).with_format("arrow").iter(1000):
            for entry in batch[column].to_pylist():
                view = _view_in(entry)
                if view is not None:
                    raise ConfigError(
                        f"dataset {name!r}: sample {number} (from 0, as LLaMA-Factory loaded them)"
                        f" has an image {view[:200]!r}; only records of datasets with"
                        f' "formatting": "depthlm" become views, so nobody opens it: remove it'
                    )
                number += 1


def _view_in(entry: object) -> str | None:
    """Return a view of an entry of an `images` or `videos` column, if there is one."""
    if isinstance(entry, list):
        return next(filter(None, map(_view_in, entry)), None)
    return entry if isinstance(entry, str) and is_view(entry) else None


def regularize_images_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return `_regularize_images`, which opens planned views and refuses to let them be resized."""
    kept_as_is: set[Any] = set()

    @wraps(original)
    def _regularize_images(self: Any, images: list[Any], **kwargs: Any) -> Any:
        opens = _AS.get() is not None or opens_views(self)
        if not opens or not any(map(is_view, images)):
            return original(self, images, **kwargs)
        opened = []
        for image in images:
            if not is_view(image):
                opened += original(self, [image], **kwargs)["images"]
                continue
            size_wh, limits = _checked_size(image), kwargs | limits_of_views()
            key = (type(self), size_wh, *limits.items())
            if key not in kept_as_is:
                (blank,) = original(self, [Image.new("RGB", size_wh)], **limits)["images"]
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
    view = View.from_uri(uri)
    if _AS.get() == "tensors":
        return torch.from_numpy(view.pixels(_where(uri))).permute(2, 0, 1)
    return view.render(_where(uri))


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
