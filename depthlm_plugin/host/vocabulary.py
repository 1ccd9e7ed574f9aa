"""Lets adapters of a VLM be saved that has learnt new tokens (`add_special_tokens`).

Where they need more rows than the embeddings have, LLaMA-Factory notes the new number in the whole
model's config. PEFT 0.18 then asks the base's config for its own, which VLMs keep in their language
model's, and fails at the first checkpoint. Without the note it saves what is trained, which the new
rows are.
"""

from __future__ import annotations

from typing import Any


def mend_vocabulary(model: Any) -> None:
    """Take that note back, where the model's kind of config has no such number."""
    config = model.config
    if "vocab_size" in vars(config) and not hasattr(type(config)(), "vocab_size"):
        del config.vocab_size
