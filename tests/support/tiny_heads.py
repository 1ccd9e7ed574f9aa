"""Random-weight models of many families, most below a million weights: real classes, tiny sizes.

They read text only: what is tested with them is what comes after the language model.
"""

from __future__ import annotations

from typing import Any

VOCABULARY = 300
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "patch_size": 14,
    "image_size": 28,
}
QWEN_VISION = VISION | {"depth": 1, "num_heads": 4, "out_hidden_size": 32, "embed_dim": 32}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


def mrope(*section: int, **more: Any) -> dict[str, Any]:
    parameters = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": list(section)}
    return {"rope_parameters": parameters | more}


# model_type -> text settings, vision settings
FAMILIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "qwen2_vl": (mrope(2, 1, 1), QWEN_VISION),
    "qwen2_5_vl": (mrope(2, 1, 1), QWEN_VISION),
    "qwen3_vl": (
        mrope(2, 1, 1, mrope_interleaved=True),
        QWEN_VISION | {"deepstack_visual_indexes": [0]},
    ),
    "qwen3_vl_moe": (
        mrope(2, 1, 1, mrope_interleaved=True) | EXPERTS,
        QWEN_VISION | {"deepstack_visual_indexes": [0]},
    ),
    "qwen3_5": (
        {
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            **mrope(2, 1, 1, mrope_interleaved=True, partial_rotary_factor=1.0),
        },
        QWEN_VISION,
    ),
    "llava": ({"model_type": "mistral"}, VISION | {"model_type": "pixtral", "head_dim": 8}),
    "mistral3": ({"model_type": "mistral"}, VISION | {"model_type": "pixtral", "head_dim": 8}),
    "internvl": ({"model_type": "qwen2"}, VISION),
    "gemma3": ({}, VISION),
    "gemma4": ({"vocab_size_per_layer_input": VOCABULARY, "global_head_dim": 8}, VISION),
    "glm4v": (mrope(2, 1, 1), QWEN_VISION),
    "glm4v_moe": (mrope(2, 1, 1, partial_rotary_factor=1.0) | EXPERTS, QWEN_VISION),
    "lfm2_vl": ({"layer_types": ["conv", "full_attention"]}, VISION),
    "llava_next": ({"model_type": "llama"}, VISION | {"model_type": "clip_vision_model"}),
    "llava_next_video": ({"model_type": "llama"}, VISION | {"model_type": "clip_vision_model"}),
    "video_llava": ({"model_type": "llama"}, VISION | {"model_type": "clip_vision_model"}),
    "mllama": ({"cross_attention_layers": [1]}, VISION),
    "llama4": ({"num_local_experts": 2, "intermediate_size_mlp": 48}, VISION),
    "paligemma": ({"model_type": "gemma"}, VISION | {"model_type": "siglip_vision_model"}),
    "ernie4_5_vl_moe": (
        mrope(1, 1, 2) | {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": [16, 16]},
        QWEN_VISION,
    ),
}


def tiny(model_type: str, **changes: Any) -> Any:
    """Return a model of this type with random weights, with `changes` of its text settings."""
    return tiny_model(tiny_config(model_type, text=changes))


def tiny_config(
    model_type: str, *, text: dict[str, Any], vision: dict[str, Any] | None = None, **changes: Any
) -> Any:
    """Return its config, with changes of its own settings, its text's and its vision's."""
    from transformers import CONFIG_MAPPING

    text_settings, vision_settings = FAMILIES[model_type]
    return CONFIG_MAPPING[model_type](
        text_config=TEXT | text_settings | text,
        vision_config=vision_settings | (vision or {}),
        **changes,
    )


def tiny_model(config: Any) -> Any:
    """Return a model with random weights, the same ones every time."""
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForImageTextToText.from_config(config).float()
