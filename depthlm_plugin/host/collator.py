"""Collates depth samples: their pixels come as tensors, and their image tokens are counted."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any

from ..views.view import window_size
from .open_views import is_view, opens_views, views_as
from .tokens import TokenCheck


def collate_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the multimodal collator's `__call__`, checking the image tokens of depth samples.

    Raises (when called):
        HostError: For a sample whose image tokens are not those of its views.
    """

    @wraps(original)
    def __call__(self: Any, features: list[dict[str, Any]]) -> Any:  # noqa: N807  its name there
        images = [feature.get("images") or [] for feature in features]
        planned = opens_views(self.template.mm_plugin)
        if not planned or not any(is_view(image) for image in chain(*images)):
            return original(self, features)
        check = getattr(self, "_depthlm_check", None)
        if check is None:
            check = TokenCheck(self.template.mm_plugin, self.tokenizer, self.processor)
            self._depthlm_check = check
        with views_as("shapes"):
            for feature, uris in zip(features, images, strict=True):
                if uris and all(map(is_view, uris)):
                    check(feature["input_ids"], uris, window_size)
        with views_as("tensors"):
            return original(self, features)

    return __call__
