"""The published sizes of the base VLMs of the recipes, as transformers' classes take them.

From the configuration that comes with each release; what is left out equals the class's default.

    PYTHONPATH=tests python -m support.published_sizes Qwen2.5-VL-3B

prints what `recipe/bases.py` says of one.
"""

from __future__ import annotations

import sys
from typing import Any

QWEN25_VISION = {"intermediate_size": 3420, "depth": 32, "hidden_size": 1280, "num_heads": 16}
QWEN3_VISION = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16}
QWEN3_LARGE_VISION = {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16}
PIXTRAL_VISION = {
    "model_type": "pixtral",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 1024,
    "patch_size": 16,
}
SIGLIP_SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "vision_use_head": False,
}
CLIP_L_336 = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
    "vocab_size": 32000,
}
INTERNVIT_300M = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": [448, 448],
    "patch_size": [14, 14],
    "attention_bias": True,
    "use_qk_norm": False,
}


def text(layers: int, hidden: int, intermediate: int, heads: int, kv: int, **more: Any) -> Any:
    """The keys that most language models share."""
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        **more,
    }


def qwen25(
    layers: int, hidden: int, inter: int, heads: int, kv: int, vocab: int, **vision: Any
) -> Any:
    tied = hidden == 2048
    return {
        "text_config": text(layers, hidden, inter, heads, kv, vocab_size=vocab),
        "vision_config": QWEN25_VISION | {"out_hidden_size": hidden} | vision,
        "tie_word_embeddings": tied,
    }


def qwen3(
    layers: int, hidden: int, inter: int, heads: int, kv: int, vision: Any, **more: Any
) -> Any:
    return {
        "text_config": text(layers, hidden, inter, heads, kv, head_dim=128, vocab_size=151936)
        | more,
        "vision_config": vision | {"out_hidden_size": hidden},
        "tie_word_embeddings": hidden < 4096 and not more,
    }


def internvl(
    kind: str, layers: int, hidden: int, inter: int, heads: int, kv: int, **more: Any
) -> Any:
    return {
        "text_config": text(layers, hidden, inter, heads, kv, model_type=kind, **more),
        "vision_config": INTERNVIT_300M,
        "tie_word_embeddings": False,
    }


SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "Qwen2.5-VL-3B": ("Qwen2_5_VL", qwen25(36, 2048, 11008, 16, 2, 151936)),
    "Qwen2.5-VL-7B": ("Qwen2_5_VL", qwen25(28, 3584, 18944, 28, 4, 152064)),
    "Qwen2.5-VL-32B": (
        "Qwen2_5_VL",
        qwen25(64, 5120, 27648, 40, 8, 152064, intermediate_size=3456),
    ),
    "Qwen2.5-VL-72B": (
        "Qwen2_5_VL",
        qwen25(80, 8192, 29568, 64, 8, 152064, intermediate_size=3456),
    ),
    "Qwen3-VL-2B": ("Qwen3VL", qwen3(28, 2048, 6144, 16, 8, QWEN3_VISION)),
    "Qwen3-VL-4B": ("Qwen3VL", qwen3(36, 2560, 9728, 32, 8, QWEN3_VISION)),
    "Qwen3-VL-8B": ("Qwen3VL", qwen3(36, 4096, 12288, 32, 8, QWEN3_LARGE_VISION)),
    "Qwen3-VL-32B": ("Qwen3VL", qwen3(64, 5120, 25600, 64, 8, QWEN3_LARGE_VISION)),
    "Qwen3-VL-30B-A3B": (
        "Qwen3VLMoe",
        qwen3(
            48, 2048, 6144, 32, 4, QWEN3_LARGE_VISION,
            moe_intermediate_size=768, num_experts=128, num_experts_per_tok=8,
        ),
    ),
    "Qwen3.5-4B": (
        "Qwen3_5",
        {
            "text_config": text(32, 2560, 9216, 16, 4),
            "vision_config": QWEN3_VISION | {"out_hidden_size": 2560},
            "tie_word_embeddings": True,
        },
    ),
    "Qwen3.5-9B": (
        "Qwen3_5",
        {
            "text_config": text(32, 4096, 12288, 16, 4),
            "vision_config": QWEN3_LARGE_VISION | {"out_hidden_size": 4096},
            "tie_word_embeddings": False,
        },
    ),
    "Pixtral-12B": (
        "Llava",
        {
            "text_config": text(
                40, 5120, 14336, 32, 8, model_type="mistral", head_dim=128, vocab_size=131072
            ),
            "vision_config": PIXTRAL_VISION,
            "tie_word_embeddings": False,
        },
    ),
    "Mistral-Small-3.2-24B": (
        "Mistral3",
        {
            "text_config": text(
                40, 5120, 32768, 32, 8, model_type="mistral", head_dim=128, vocab_size=131072
            ),
            "vision_config": PIXTRAL_VISION | {"image_size": 1540, "patch_size": 14},
            "tie_word_embeddings": False,
        },
    ),
    "InternVL3-2B": ("InternVL", internvl("qwen2", 28, 1536, 8960, 12, 2, vocab_size=151674)),
    "InternVL3-8B": ("InternVL", internvl("qwen2", 28, 3584, 18944, 28, 4, vocab_size=151674)),
    "InternVL3.5-4B": (
        "InternVL",
        internvl("qwen3", 36, 2560, 9728, 32, 8, head_dim=128, vocab_size=151936),
    ),
    "InternVL3.5-8B": (
        "InternVL",
        internvl("qwen3", 36, 4096, 12288, 32, 8, head_dim=128, vocab_size=151936),
    ),
    "Gemma-3-4B": (
        "Gemma3",
        {
            "text_config": text(34, 2560, 10240, 8, 4, head_dim=256, vocab_size=262208),
            "vision_config": SIGLIP_SO400M | {"image_size": 896, "patch_size": 14},
        },
    ),
    "Gemma-3-12B": (
        "Gemma3",
        {
            "text_config": text(48, 3840, 15360, 16, 8, head_dim=256, vocab_size=262208),
            "vision_config": SIGLIP_SO400M | {"image_size": 896, "patch_size": 14},
        },
    ),
    "Gemma-4-E4B": (
        "Gemma4",
        {
            "text_config": text(42, 2560, 10240, 8, 2, num_kv_shared_layers=18),
            "vision_config": {},
            "audio_config": {},
        },
    ),
    "GLM-4.1V-9B": (
        "Glm4v",
        {
            "text_config": text(40, 4096, 13696, 32, 2, vocab_size=151552),
            "vision_config": {
                "depth": 24, "hidden_size": 1536, "num_heads": 12, "image_size": 336,
                "intermediate_size": 13696, "out_hidden_size": 4096,
            },
            "tie_word_embeddings": False,
        },
    ),
    "LFM2.5-VL-1.6B": (
        "Lfm2Vl",
        {
            "text_config": text(
                16, 2048, 12288, 32, 8, model_type="lfm2", full_attn_idxs=[2, 5, 8, 10, 12, 14]
            ),
            "vision_config": SIGLIP_SO400M
            | {"model_type": "siglip2_vision_model", "num_patches": 256, "patch_size": 16},
        },
    ),
    "LLaVA-NeXT-Mistral-7B": (
        "LlavaNext",
        {
            "text_config": text(32, 4096, 14336, 32, 8, model_type="mistral", vocab_size=32064),
            "vision_config": CLIP_L_336,
            "tie_word_embeddings": False,
        },
    ),
    "Llama-3.2-11B-Vision": (
        "Mllama",
        {
            "text_config": text(
                40, 4096, 14336, 32, 8, vocab_size=128256,
                cross_attention_layers=[3, 8, 13, 18, 23, 28, 33, 38],
            ),
            "vision_config": {"image_size": 560},
        },
    ),
    "Llama-4-Scout-17B-16E": (
        "Llama4",
        {
            "text_config": text(
                48, 5120, 8192, 40, 8, num_local_experts=16, intermediate_size_mlp=16384
            ),
            "vision_config": {
                "hidden_size": 1408, "intermediate_size": 5632, "num_hidden_layers": 34,
                "num_attention_heads": 16, "projector_input_dim": 4096,
                "projector_output_dim": 4096, "vision_output_dim": 4096,
            },
        },
    ),
}  # fmt: skip


def config_of(name: str) -> Any:
    """The transformers config of a base VLM."""
    import transformers

    architecture, sizes = SIZES[name]
    return getattr(transformers, f"{architecture}Config")(**sizes)


def main(name: str) -> None:
    """Print the sizes of a base VLM as `recipe/bases.py` has them, and their sum."""
    from depthlm_plugin.recipe.sizes import sizes_of

    sizes = sizes_of(config_of(name))
    numbers = ", ".join(
        f"{key}={value:_}" if type(value) is int else f"{key}={value}"
        for key, value in vars(sizes).items()
    )
    print(f"Sizes({numbers})\n{sizes.parameters:_} parameters")


if __name__ == "__main__":
    main(*sys.argv[1:])
