"""MiniCPM-V 4.6: refused, for its views would never be rendered."""

from ..family import Family

FAMILY = Family(
    ("MiniCPMV4_6ImageProcessor",),
    refused="LLaMA-Factory 0.9.5 hands it image references that were never opened, so a view could"
    " not be rendered",
)
