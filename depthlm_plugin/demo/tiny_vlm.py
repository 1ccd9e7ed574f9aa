"""A Qwen2.5-VL small enough to be trained from random weights on a CPU in minutes.

Model, processor and tokenizer are the real transformers classes with small sizes, so whatever
trains the full model trains this one. The tokenizer is made on the spot: no hub, no download.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' or 'video' in part %}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# Each phrase between line ends and the marks , . ? ! becomes one token, which halves the length of
# a training sequence. Any other text works too, in smaller pieces, and digits and the point are
# single tokens whatever stands here.
VOCABULARY_TEXT = (
    "system\nYou are a helpful assistant.",
    "user\nHow far is the point at the tip of the red arrow from the camera, in metres?",
    "Answer with the number only.",
    "assistant\nThe distance of the marked pixel is, in meters: z depth of this image?",
    "Given this image, how far is the point pointed by the red arrow from the camera?",
    "Output the thinking process in <think> </think> and final answer (the meter number only,",
    "without the unit) in <answer> </answer> tags.",
    "<think> The point is around meters away from the camera. </think>\n\n<answer> </answer>",
)


def build_tiny_qwen(
    folder: Path,
    *,
    seed: int,
    hidden_size: int = 64,
    layers: int = 2,
    heads: int = 4,
    vision_hidden_size: int | None = 96,
    vision_layers: int | None = None,
    initializer_range: float = 0.08,
    vocabulary: Sequence[str] = VOCABULARY_TEXT,
) -> Path:
    """Save a randomly initialised Qwen2.5-VL with its processor in `folder`; return `folder`.

    `from_pretrained` on the folder needs no network. The caller's torch random state is left as
    it was.

    Args:
        folder: Where to write; it is made if missing.
        seed: Of the weights.
        hidden_size: Width of the language model; a multiple of `8 * heads`.
        layers: Depth of the language model.
        heads: Attention heads of both towers.
        vision_hidden_size: Width of the vision tower; as `hidden_size` if None.
        vision_layers: Depth of the vision tower; as `layers` if None.
        initializer_range: Standard deviation of the random weights.
        vocabulary: Texts whose phrases are tokens of their own: see `build_tokenizer`.
    """
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    if hidden_size % (8 * heads):
        raise ValueError(f"hidden_size {hidden_size} is not a multiple of 8 x {heads} heads")
    vision_hidden_size = vision_hidden_size or hidden_size
    vision_layers = vision_layers or layers
    if vision_hidden_size % (4 * heads):
        raise ValueError(
            f"vision_hidden_size {vision_hidden_size} is not a multiple of 4 x {heads} heads"
        )

    processor = build_processor(vocabulary)
    tokenizer = processor.tokenizer
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    rotary = hidden_size // heads // 2  # split over time, rows, columns about 1 : 1.5 : 1.5
    rows = (3 * rotary) // 8
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": hidden_size,
            "intermediate_size": 2 * hidden_size,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": 4096,
            "initializer_range": initializer_range,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10.0,  # slower rotations would not tell 3 x 3 image tokens apart
                "mrope_section": [rotary - 2 * rows, rows, rows],
            },
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": vision_layers,
            "hidden_size": vision_hidden_size,
            "intermediate_size": 2 * vision_hidden_size,
            "num_heads": heads,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": hidden_size,
            "fullatt_block_indexes": list(range(vision_layers)),
            "initializer_range": initializer_range,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(config)
        _smooth_patch_filters(model.model.visual.patch_embed.proj.weight)
    model.generation_config.update(
        do_sample=False,
        bos_token_id=None,
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]],
        pad_token_id=ids["<|endoftext|>"],
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _smooth_patch_filters(weight: Any) -> None:
    """Replace independent random patch filters by random smooth ones that see colour most.

    Trained vision towers begin with such filters. With independent weights per pixel a marker that
    moves by one pixel looks like another marker altogether, and a small model on a CPU spends its
    minutes on learning that it does not. `weight` is (filters, rgb, time, rows, columns).
    """
    import torch

    filters, _, _, rows, columns = weight.shape
    waves = [
        torch.cos(torch.outer(torch.arange(4.0), torch.arange(size) + 0.5) * (torch.pi / size))
        for size in (rows, columns)
    ]
    opponent = torch.tensor([[0.25, 0.25, 0.25], [0.8, -0.4, -0.4], [0.0, 0.6, -0.6]])
    mix = torch.randn(filters, 3, 4, 4)
    smooth = torch.einsum("fkab,kc,ay,bx->fcyx", mix, opponent, *waves)
    scale = 2 * weight.std() / smooth.std()
    with torch.no_grad():
        weight.add_(scale * smooth[:, :, None])


def build_processor(vocabulary: Sequence[str] = VOCABULARY_TEXT) -> Any:
    """Return a Qwen2_5_VLProcessor: 14-px patches merged 2 x 2, and the tokenizer below."""
    from transformers import (
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    pixels = {"shortest_edge": 28 * 28, "longest_edge": 1280 * 28 * 28}
    sizes = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2, "size": pixels}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=build_tokenizer(vocabulary),
        video_processor=Qwen2VLVideoProcessor(**sizes),
        chat_template=CHAT_TEMPLATE,
    )


def build_tokenizer(vocabulary: Sequence[str] = VOCABULARY_TEXT) -> Any:
    """Return a byte-level BPE tokenizer with Qwen's special tokens, each digit and '.' alone.

    Each phrase of `vocabulary` between line ends and the marks , . ? ! is one token.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[0-9.,?!\n]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        vocabulary,
        trainers.BpeTrainer(
            vocab_size=2000,  # an upper bound: merging ends when every phrase is one token
            min_frequency=1,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=list(SPECIAL_TOKENS),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
