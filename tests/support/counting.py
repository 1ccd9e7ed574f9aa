"""A processor with what LLaMA-Factory's plugins ask of it when they count image tokens."""

from __future__ import annotations

from types import MethodType, SimpleNamespace
from typing import Any

from support.families import BaseVLM


def processor_of(vlm: BaseVLM) -> Any:
    """Return a processor with what LLaMA-Factory's plugins ask of it when they count."""
    from transformers import Llama4Processor, LlavaNextProcessor

    processor = vlm.processor()
    for name, value in vlm.around.items():
        setattr(processor, name, value)
    for source, name in (
        (LlavaNextProcessor, "_get_number_of_features"),
        (LlavaNextProcessor, "_get_unpadded_features"),
        (Llama4Processor, "_prompt_split_image"),
    ):
        setattr(processor, name, MethodType(getattr(source, name), processor))
    processor.tokenizer = processor.feature_extractor = SimpleNamespace()
    processor.video_processor = SimpleNamespace(merge_size=2)
    return processor
