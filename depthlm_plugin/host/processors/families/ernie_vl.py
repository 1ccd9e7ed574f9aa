"""ERNIE-4.5-VL: patches as Qwen-VL makes them."""

from ..family import Family
from ..grid import smart_resize

FAMILY = Family(
    ("Ernie4_5_VLMoeImageProcessor", "Ernie4_5_VL_MoeImageProcessor"),  # the second: its older name
    smart_resize,
)
