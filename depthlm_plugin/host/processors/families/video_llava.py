"""Video-LLaVA: LLaVA-1.5 with a second input for videos."""

from ..family import Family
from ..grid import resized

FAMILY = Family(
    ("VideoLlavaImageProcessor",),
    resized,
    view_values=lambda inputs: inputs["pixel_values_images"],
)
