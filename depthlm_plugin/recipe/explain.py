"""What each key of a recipe means, for `depthlm recipe show NAME --explain`."""

from __future__ import annotations

import re

EXPLAINED = {
    "model_name_or_path": "base VLM: a name on the hub, or a folder",
    "adapter_name_or_path": "LoRA adapters, as training wrote them; null: none",
    "template": "LLaMA-Factory's chat template; it must be the base's",
    "quantization_bit": "the base's linear layers are held in so many bits",
    "quantization_method": "who quantises: bitsandbytes, while loading",
    "upcast_layernorm": "normalisation in 32 bits",
    "image_max_pixels": "LLaMA-Factory shrinks what is larger, which would change the focal length",
    "flash_attn": "how attention is computed; auto, the default, is SDPA and never flash-attn",
    "depthlm": "the block of this package",
    "focal_px": "focal length to which every picture is resampled, both axes, pixels",
    "crop_height": "smallest and largest height of a training crop, pixels",
    "crop_width": "smallest and largest width of a training crop, pixels",
    "reference": "how a question names its point: a mark that is drawn, or coordinates in the text",
    "questions_per_image": "questions in one sample; the picture is encoded once",
    "points_per_record": "questions drawn from a record",
    "prompt": "words of questions and answers: official, plain, or a file of your own",
    "tasks": "what is asked, with weights",
    "mixture": "published weights of datasets, by their names",
    "eval_answers": "questions answered and scored at every evaluation while training",
    "dataset": "names in dataset_info.json, with commas",
    "eval_dataset": "names in dataset_info.json, with commas",
    "dataset_dir": "folder of dataset_info.json",
    "cutoff_len": "most tokens of a sample, image tokens included; longer ones are refused",
    "preprocessing_num_workers": "processes that tokenise beforehand, where that is done",
    "dataloader_num_workers": "processes that make samples while the GPU trains",
    "stage": "sft: supervised fine-tuning",
    "do_train": "train",
    "do_predict": "answer the evaluation data",
    "predict_with_generate": "write answers out, token by token, and score them",
    "finetuning_type": "lora: adapters beside frozen weights; full: all weights",
    "lora_rank": "width of an adapter: its size and memory grow with it",
    "lora_target": "layers with adapters, by parts of names; all: not the output's and merger's",
    "additional_target": "modules trained whole, saved beside the adapters",
    "freeze_vision_tower": "whether the vision tower stays as it is",
    "freeze_multi_modal_projector": "whether the layers between tower and language model stay so",
    "per_device_train_batch_size": "samples a step on each GPU: memory",
    "per_device_eval_batch_size": "questions answered at once on each GPU: memory",
    "gradient_accumulation_steps": "steps whose gradients are added up before the weights move",
    "learning_rate": "its highest value, after warm-up",
    "num_train_epochs": "how often every record is used; another point and crop each time",
    "lr_scheduler_type": "how the learning rate falls: to 0, along half a cosine",
    "warmup_steps": "share of the steps (below 1), or steps, in which the learning rate rises",
    "max_grad_norm": "longer gradients are shortened to this",
    "disable_gradient_checkpointing": "keep activations instead of computing layers again",
    "bf16": "compute in bfloat16; GPUs before Ampere cannot",
    "deepspeed": "DeepSpeed's own configuration",
    "fsdp": "PyTorch's sharding: weights, gradients and optimizer, layer by layer",
    "fsdp_config": "its settings; version 2 is FSDP2",
    "ray_num_workers": "processes that Ray starts, one a GPU",
    "max_new_tokens": "longest answer",
    "do_sample": "draw the next token at random instead of taking the likeliest",
    "output_dir": "adapters or weights, log and settings; the same command continues there",
    "logging_steps": "steps between two lines of the log",
    "save_steps": "steps between two checkpoints",
    "save_total_limit": "older checkpoints are removed",
    "ddp_timeout": "how long the GPUs wait for one another",
    "plot_loss": "draw training_loss.png",
    "report_to": "wandb, tensorboard, ...; none",
}
"""Key -> what it means; keys inside DeepSpeed's configuration and the tasks' names are theirs."""

_KEY = re.compile(r"^( {0,2})(?:# )?(\w+):")  # also of what is to be uncommented


def explained(recipe: str) -> str:
    """Return a recipe with a comment above each key that is explained."""
    lines = []
    for line in recipe.splitlines():
        key = _KEY.match(line)
        if key and key[2] in EXPLAINED:
            lines.append(f"{key[1]}# {EXPLAINED[key[2]]}")
        lines.append(line)
    return "\n".join(lines) + "\n"
