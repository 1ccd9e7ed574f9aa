"""Qwen2-VL to Qwen3.6 and the Omni models, and who uses their image processor."""

from __future__ import annotations

from typing import Any

from ..family import Family
from ..grid import smart_resize


def _quicken(processor: Any) -> None:
    from ..qwen_patches import quicken  # it imports torch and transformers

    quicken(processor)


FAMILY = Family(("Qwen2VLImageProcessor",), smart_resize, quicken=_quicken)
