"""Idefics, SmolVLM, LLaVA-OneVision: refused, for LLaMA-Factory cannot train them."""

from ..family import Family

FAMILY = Family(
    (
        "Idefics2ImageProcessor",
        "Idefics3ImageProcessor",
        "SmolVLMImageProcessor",
        "LlavaOnevisionImageProcessor",
    ),
    refused="LLaMA-Factory 0.9.5 has no template for its models",
)
