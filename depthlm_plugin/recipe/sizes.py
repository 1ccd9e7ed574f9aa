"""How large a base VLM is, as far as memory depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sizes:
    """The numbers of one base VLM that memory follows from.

    Attributes:
        language: Parameters of the language model without its tables.
        tables: Parameters of the embedding tables, and of the output table where it is another one;
            4-bit quantisation leaves them in 16 bits.
        vision: Parameters of everything else: vision tower, merger or projector, audio.
        merger: Of these, parameters of what lies between vision tower and language model.
        language_sides: Inputs + outputs, summed over the language model's linear layers; LoRA of
            rank r there has r x this many parameters.
        vision_sides: The same of the tower, without the merger.
        layers: Of the language model.
        hidden: Its width.
        inner: Width of its feed-forward layers, of all experts that a token takes together.
        vocabulary: Entries of the output table: width of the logits.
        vision_layers: Of the vision tower.
        vision_hidden: Its width.
        vision_inner: Width of its feed-forward layers.
        experts: Whether experts do the work: they are no linear layers in transformers, so LoRA
            leaves them as they are and 4-bit quantisation in 16 bits.
        active: Of `language`, the parameters that one token meets; 0 where it meets all.
    """

    language: int
    tables: int
    vision: int
    merger: int
    language_sides: int
    vision_sides: int
    layers: int
    hidden: int
    inner: int
    vocabulary: int
    vision_layers: int
    vision_hidden: int
    vision_inner: int
    experts: bool = False
    active: int = 0

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.language + self.tables + self.vision


_MERGERS = ("merger", "multi_modal_projector", "embed_vision", "embed_audio")


def sizes_of(config: Any) -> Sizes:
    """Return the sizes of the model that a transformers config describes, without its weights.

    The model is built on torch's meta device: no memory, under a second.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    text, vision = config.get_text_config(), config.vision_config
    counts = {"language": 0, "tables": 0, "vision": 0, "merger": 0}
    sides = {"language": 0, "vision": 0}
    widest = {"language": 0, "vision": 0}
    tables = {
        id(module.weight)
        for name, module in model.named_modules()
        if _part(name) == "language" and isinstance(module, torch.nn.Embedding)
    }
    head = model.get_output_embeddings()
    tables.add(id(head.weight))
    for name, weight in model.named_parameters():
        counts["tables" if id(weight) in tables else _part(name)] += weight.numel()
        counts["merger"] += weight.numel() * _merges(name)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module is not head and not _merges(name):
            sides[_part(name)] += module.in_features + module.out_features
            widest[_part(name)] = max(widest[_part(name)], module.in_features)
    experts = any("experts." in name for name, _ in model.named_parameters())
    idle = sum(
        weight.numel() * (len(weight) - text.num_experts_per_tok) // len(weight)
        for name, weight in model.named_parameters()
        if ".experts." in name
    )
    if experts and hasattr(text, "moe_intermediate_size"):
        widest["language"] = text.num_experts_per_tok * text.moe_intermediate_size
    return Sizes(
        **counts,
        language_sides=sides["language"],
        vision_sides=sides["vision"],
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        inner=widest["language"],
        vocabulary=head.out_features,
        vision_layers=getattr(vision, "depth", None) or vision.num_hidden_layers,
        vision_hidden=vision.hidden_size,
        vision_inner=widest["vision"],
        experts=experts,
        active=counts["language"] - idle if experts else 0,
    )


def _part(name: str) -> str:
    return "language" if "language_model" in name or name.startswith("lm_head") else "vision"


def _merges(name: str) -> bool:
    # Qwen3-VL's deepstack mergers count as the tower, as LLaMA-Factory has it.
    return "deepstack" not in name and any(merger in name for merger in _MERGERS)
