"""Folders that LLaMA-Factory trains: each family's real classes, tiny and with random weights.

Model, processor, image processor and tokenizer are those of transformers; the tokenizer's pieces
are made on the spot, and its special tokens are those that the family's chat template uses.
Pictures are smaller than published ones, where a family has one size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from depthlm_plugin.demo.tiny_vlm import VOCABULARY_TEXT
from support.families import CLIP, HALF, IMAGENET, area, cropped, edge
from support.tiny_heads import tiny_config, tiny_model

CHATML = "<|endoftext|> <|im_start|> <|im_end|>"
QWEN_TOKENS = f"{CHATML} <|vision_start|> <|vision_end|> <|image_pad|> <|video_pad|>"
MISTRAL = (
    "<pad> <s> </s> <unk> [INST] [/INST] [IMG] [IMG_BREAK] [IMG_END] [SYSTEM_PROMPT]"
    " [/SYSTEM_PROMPT]"
)
GLM = (
    "<|endoftext|> [gMASK] <sop> <|system|> <|user|> <|assistant|> <|observation|>"
    " <|begin_of_image|> <|end_of_image|> <|image|> <|begin_of_video|> <|end_of_video|> <|video|>"
)
VICUNA = "<pad> <s> </s> <unk> <image> <video>"
QWEN_IDS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}
GLM_IDS = {
    "image_token_id": "<|image|>",
    "video_token_id": "<|video|>",
    "image_start_token_id": "<|begin_of_image|>",
    "image_end_token_id": "<|end_of_image|>",
    "video_start_token_id": "<|begin_of_video|>",
    "video_end_token_id": "<|end_of_video|>",
}
AUDIO = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "subsampling_conv_channels": [16, 4],  # the first: as many as frequencies
    "output_proj_dims": 32,
}
LLAVA = {"patch_size": 14, "vision_feature_select_strategy": "default"}
QWEN14 = area(28 * 28, 28 * 28 * 1280, patch_size=14, **CLIP)
QWEN16 = area(32 * 32, 32 * 32 * 1700, patch_size=16, **HALF)


@dataclass(frozen=True)
class TinyVLM:
    """How the tiny model of a family is put together.

    Attributes:
        template: LLaMA-Factory's chat template.
        processor: Its class in transformers.
        image_processor: Likewise.
        images: Settings of the image processor.
        special: Special tokens: padding first, then as the template needs them.
        end: The token that ends an answer.
        begin: The token that begins a text, if any.
        named: Attributes of the tokenizer -> tokens.
        ids: Keys of the config -> tokens.
        around: Settings of the processor.
        videos: The class of its video processor, if it has one.
        video_settings: Its settings, where they are not the class's.
        config: Further keys of the config.
        vision: Further keys of the vision tower's.
        vocabularies: Further keys of the text's that hold the number of tokens.
        words: Tokens of their own that are not special.
    """

    template: str
    processor: str
    image_processor: str
    images: dict[str, Any]
    special: str
    end: str
    begin: str | None = None
    named: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    around: dict[str, Any] = field(default_factory=dict)
    videos: str = ""
    video_settings: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    vision: dict[str, Any] = field(default_factory=dict)
    vocabularies: tuple[str, ...] = ()
    words: str = ""


qwen = partial(
    TinyVLM,
    processor="Qwen3VLProcessor",
    image_processor="Qwen2VLImageProcessor",
    special=QWEN_TOKENS,
    end="<|im_end|>",
    ids=QWEN_IDS,
    videos="Qwen3VLVideoProcessor",
    images=QWEN16,
    vision={"patch_size": 16, "num_position_embeddings": 256},
)
qwen2 = partial(
    qwen, "qwen2_vl", images=QWEN14, videos="Qwen2VLVideoProcessor", vision={"patch_size": 14}
)
glm = partial(
    TinyVLM,
    processor="Glm4vProcessor",
    image_processor="Glm4vImageProcessor",
    images=area(28 * 28, 28 * 28 * 1280, **CLIP),
    special=GLM,
    end="<|user|>",
    ids=GLM_IDS,
    videos="Glm4vVideoProcessor",
    vision={"image_size": 112},
    words="<think> </think> <answer> </answer>",
)
llava_next = partial(
    TinyVLM,
    image_processor="LlavaNextImageProcessor",
    images=cropped(56, image_grid_pinpoints=[[56, 112], [112, 56], [112, 112]], **CLIP),
    special=VICUNA,
    end="</s>",
    begin="<s>",
    ids={"image_token_index": "<image>"},
    around=LLAVA | {"num_additional_image_tokens": 1},
    config={"image_grid_pinpoints": [[56, 112], [112, 56], [112, 112]], "image_seq_length": 16},
    vision={"image_size": 56, "num_hidden_layers": 2},
)
pixtral = partial(
    TinyVLM,
    processor="PixtralProcessor",
    image_processor="PixtralImageProcessor",
    special=MISTRAL,
    end="</s>",
    begin="<s>",
    ids={"image_token_index": "[IMG]"},
)

TINY_VLMS = {
    "qwen2_vl": qwen2(processor="Qwen2VLProcessor"),
    "qwen2_5_vl": qwen2(processor="Qwen2_5_VLProcessor"),
    "qwen3_vl": qwen("qwen3_vl_nothink"),
    "qwen3_vl_moe": qwen("qwen3_vl_nothink"),
    "qwen3_5": qwen("qwen3_5_nothink"),
    "llava": pixtral(
        "pixtral",
        images={"size": {"longest_edge": 1024}, "patch_size": {"height": 16, "width": 16}},
        around={"patch_size": 16},
        config={"vision_feature_layer": -1, "vision_feature_select_strategy": "full"},
        vision={"patch_size": 16, "image_size": 1024},
    ),
    "mistral3": pixtral(
        "mistral_small",
        images={"size": {"longest_edge": 1540}, "patch_size": {"height": 14, "width": 14}},
        around={"patch_size": 14, "spatial_merge_size": 2},
        vision={"image_size": 1540},
    ),
    "internvl": TinyVLM(
        "intern_vl",
        "InternVLProcessor",
        "GotOcr2ImageProcessor",
        edge(112, crop_to_patches=False, **IMAGENET),
        f"{CHATML} <img> </img> <IMG_CONTEXT> <video>",
        "<|im_end|>",
        named={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        ids={"image_token_id": "<IMG_CONTEXT>"},
        around={"image_seq_length": 16},
        videos="InternVLVideoProcessor",
        config={"image_seq_length": 16},
        vision={"image_size": [112, 112], "patch_size": [14, 14]},
    ),
    "gemma3": TinyVLM(
        "gemma3",
        "Gemma3Processor",
        "Gemma3ImageProcessor",
        edge(112, **HALF),
        "<pad> <eos> <bos> <unk> <start_of_turn> <end_of_turn> <start_of_image> <end_of_image>"
        " <image_soft_token>",
        "<end_of_turn>",
        "<bos>",
        {
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
        },
        {
            "image_token_index": "<image_soft_token>",
            "boi_token_index": "<start_of_image>",
            "eoi_token_index": "<end_of_image>",
        },
        around={"image_seq_length": 16},
        config={"mm_tokens_per_image": 16},
        vision={"image_size": 112, "vision_use_head": False},
    ),
    "gemma4": TinyVLM(
        "gemma4n",
        "Gemma4Processor",
        "Gemma4ImageProcessor",
        {"max_soft_tokens": 70},
        "<pad> <eos> <bos> <unk> <|turn> <turn|> <|image> <image|> <|image|> <|audio> <audio|>"
        " <|audio|> <|video|>",
        "<turn|>",
        "<bos>",
        {
            "image_token": "<|image|>",
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
        {
            "image_token_id": "<|image|>",
            "boi_token_id": "<|image>",
            "eoi_token_id": "<image|>",
            "video_token_id": "<|video|>",
            "audio_token_id": "<|audio|>",
            "boa_token_id": "<|audio>",
            "eoa_token_index": "<audio|>",
        },
        around={"image_seq_length": 70},
        config={"audio_config": AUDIO},  # LLaMA-Factory sends a silent second with each batch
        videos="Gemma4VideoProcessor",
        vision={
            "patch_size": 16,
            "pooling_kernel_size": 3,
            "head_dim": 8,
            "num_key_value_heads": 4,
        },
        vocabularies=("vocab_size_per_layer_input",),
    ),
    "glm4v": glm("glm4v"),
    "glm4v_moe": glm("glm4_5v"),
    "lfm2_vl": TinyVLM(
        "lfm2_vl",
        "Lfm2VlProcessor",
        "Lfm2VlImageProcessor",
        {"min_image_tokens": 4},
        "<|pad|> <|startoftext|> <|im_start|> <|im_end|> <image> <|image_start|> <|image_end|>"
        " <|img_thumbnail|>",
        "<|im_end|>",
        "<|startoftext|>",
        ids={"image_token_id": "<image>"},
        vision={"patch_size": 16, "num_patches": 256, "vision_use_head": False},
    ),
    "llava_next": llava_next("llava_next_mistral", "LlavaNextProcessor"),
    "llava_next_video": llava_next(
        "llava_next_video",
        "LlavaNextVideoProcessor",
        videos="LlavaNextVideoVideoProcessor",
        ids={"image_token_index": "<image>", "video_token_index": "<video>"},
    ),
    "video_llava": TinyVLM(
        "video_llava",
        "VideoLlavaProcessor",
        "VideoLlavaImageProcessor",
        cropped(112, **CLIP),
        VICUNA,
        "</s>",
        "<s>",
        ids={"image_token_index": "<image>", "video_token_index": "<video>"},
        around=LLAVA | {"num_additional_image_tokens": 1},
        videos="VideoLlavaVideoProcessor",
        config={"image_seq_length": 64},
        vision={"image_size": 112, "num_hidden_layers": 2},
    ),
    "mllama": TinyVLM(
        "mllama",
        "MllamaProcessor",
        "MllamaImageProcessor",
        edge(56, max_image_tiles=4, **CLIP),
        "<|finetune_right_pad_id|> <|begin_of_text|> <|end_of_text|> <|start_header_id|>"
        " <|end_header_id|> <|eot_id|> <|eom_id|> <|python_tag|> <|image|>",
        "<|eot_id|>",
        "<|begin_of_text|>",
        ids={"image_token_index": "<|image|>"},
        vision={
            "image_size": 56,
            "attention_heads": 4,
            "num_global_layers": 1,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 64,
            "supported_aspect_ratios": [
                [1, 1],
                [1, 2],
                [1, 3],
                [1, 4],
                [2, 1],
                [2, 2],
                [3, 1],
                [4, 1],
            ],
        },
    ),
    "llama4": TinyVLM(
        "llama4",
        "Llama4Processor",
        "Llama4ImageProcessor",
        edge(56, max_patches=16, resize_to_max_canvas=False, **HALF),
        "<|finetune_right_pad|> <|begin_of_text|> <|end_of_text|> <|header_start|> <|header_end|>"
        " <|eot|> <|eom|> <|image_start|> <|image_end|> <|tile_x_separator|> <|tile_y_separator|>"
        " <|image|> <|patch|>",
        "<|eot|>",
        "<|begin_of_text|>",
        ids={
            "image_token_index": "<|patch|>",
            "boi_token_index": "<|image_start|>",
            "eoi_token_index": "<|image_end|>",
        },
        around={"patch_size": 14},
        vision={
            "image_size": 56,
            "intermediate_size": 128,  # four patches become one
            "projector_input_dim": 64,
            "projector_output_dim": 64,
            "vision_output_dim": 64,
        },
    ),
    "paligemma": TinyVLM(
        "paligemma",
        "PaliGemmaProcessor",
        "SiglipImageProcessor",
        edge(112, **HALF) | {"image_seq_length": 64},
        "<pad> <eos> <bos> <unk> <image>",
        "<eos>",
        "<bos>",
        {"image_token": "<image>"},
        {"image_token_index": "<image>"},
        config={"projection_dim": 32, "hidden_size": 32},
        vision={"image_size": 112, "projection_dim": 32, "vision_use_head": False},
    ),
    "ernie4_5_vl_moe": TinyVLM(
        "ernie_vl",
        "Ernie4_5_VLMoeProcessor",
        "Ernie4_5_VLMoeImageProcessor",
        area(56 * 56, 28 * 28 * 1280, **CLIP),
        "<unk> <s> </s> <|end_of_sentence|> <|IMAGE_PLACEHOLDER|> <|IMAGE_START|> <|IMAGE_END|>"
        " <|VIDEO_PLACEHOLDER|> <|VIDEO_START|> <|VIDEO_END|>",
        "</s>",
        "<s>",
        {
            "image_token": "<|IMAGE_PLACEHOLDER|>",
            "image_start_token": "<|IMAGE_START|>",
            "image_end_token": "<|IMAGE_END|>",
            "video_token": "<|VIDEO_PLACEHOLDER|>",
            "video_start_token": "<|VIDEO_START|>",
            "video_end_token": "<|VIDEO_END|>",
        },
        {
            "image_token_id": "<|IMAGE_PLACEHOLDER|>",
            "image_start_token_id": "<|IMAGE_START|>",
            "image_end_token_id": "<|IMAGE_END|>",
            "video_token_id": "<|VIDEO_PLACEHOLDER|>",
            "video_start_token_id": "<|VIDEO_START|>",
            "video_end_token_id": "<|VIDEO_END|>",
        },
        videos="Ernie4_5_VLMoeVideoProcessor",
        video_settings={"draw_on_frames": False},  # with a font that comes with the model
    ),
}
"""model_type -> its tiny model: those of `tiny_heads.FAMILIES`."""

_WIDER = 5
"""Weights of 0.02 make next to nothing of 32 numbers, and frozen ones no sure answer."""


def build(model_type: str, folder: Path) -> Path:
    """Save the tiny model of a family with its processor in `folder`; return `folder`."""
    import torch
    import transformers

    vlm = TINY_VLMS[model_type]
    tokenizer = tokenizer_of(model_type)
    parts: dict[str, Any] = {
        "image_processor": getattr(transformers, vlm.image_processor)(**vlm.images),
        "tokenizer": tokenizer,
    }
    if vlm.videos:
        parts["video_processor"] = getattr(transformers, vlm.videos)(**vlm.video_settings)
    if model_type == "gemma4":
        parts["feature_extractor"] = transformers.Gemma4AudioFeatureExtractor(feature_size=16)
    processor = getattr(transformers, vlm.processor)(**parts, **vlm.around)
    id_of = tokenizer.convert_tokens_to_ids
    config = tiny_config(
        model_type,
        vision=vlm.vision,
        **{key: id_of(token) for key, token in vlm.ids.items()},
        **vlm.config,
        text={
            "vocab_size": len(tokenizer),
            **{key: len(tokenizer) for key in vlm.vocabularies},
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
    )
    model = tiny_model(config)
    head = model.get_output_embeddings().weight
    with torch.no_grad():
        for weight in model.parameters():
            if weight.shape == (1,):
                weight.fill_(1.0)  # Llama 3.2's gates, closed at first: nothing would be seen
            if weight.dim() > 1:
                weight.mul_(_WIDER * (3 if weight is head else 1))
    model.generation_config.update(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tokenizer_of(model_type: str) -> Any:
    """A byte-level BPE tokenizer whose digits are tokens of their own."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    vlm = TINY_VLMS[model_type]
    special = vlm.special.split()
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[0-9.,?!\n]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        VOCABULARY_TEXT,
        trainers.BpeTrainer(
            vocab_size=2000,
            min_frequency=1,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=special,
            show_progress=False,
        ),
    )
    backend.add_tokens(vlm.words.split())
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=vlm.begin,
        eos_token=vlm.end,
        pad_token=special[0],
        additional_special_tokens=special,
        extra_special_tokens=vlm.named,
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
    )
