"""A Pixtral (Llava architecture) with random weights, made on the spot: no hub is needed."""

from __future__ import annotations

from pathlib import Path

SPECIAL_TOKENS = ("<unk>", "<s>", "</s>", "<pad>")
IMAGE_TOKENS = ("[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")


def build_tiny_pixtral(folder: Path, *, seed: int, hidden_size: int = 64, layers: int = 2) -> Path:
    """Save a tiny Pixtral with its processor: patch 16 and longest edge 1024, as published."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        LlavaConfig,
        LlavaForConditionalGeneration,
        PixtralImageProcessor,
        PixtralProcessor,
        PreTrainedTokenizerFast,
    )

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        ["how far is the point from the camera"],
        trainers.BpeTrainer(
            vocab_size=400,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[*SPECIAL_TOKENS, *IMAGE_TOKENS],
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=list(IMAGE_TOKENS),
    )
    image_token = tokenizer.convert_tokens_to_ids("[IMG]")
    config = LlavaConfig(
        text_config={
            "model_type": "mistral",
            "vocab_size": len(tokenizer),
            "hidden_size": hidden_size,
            "intermediate_size": 2 * hidden_size,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": hidden_size // 4,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 3,
        },
        vision_config={
            "model_type": "pixtral",
            "hidden_size": hidden_size,
            "intermediate_size": 2 * hidden_size,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "head_dim": hidden_size // 4,
            "image_size": 1024,
            "patch_size": 16,
        },
        image_token_index=image_token,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        pad_token_id=3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    model.generation_config.update(do_sample=False, bos_token_id=1, eos_token_id=2, pad_token_id=3)
    processor = PixtralProcessor(
        image_processor=PixtralImageProcessor(patch_size={"height": 16, "width": 16}),
        tokenizer=tokenizer,
        patch_size=16,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
