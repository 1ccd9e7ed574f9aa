"""Asking a trained model about pixels, with LLaMA-Factory's loading and templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from llamafactory.data import get_template_and_fix_tokenizer
from llamafactory.hparams import get_infer_args
from llamafactory.model import load_model, load_tokenizer

from ..config.block import DepthLMConfig, saved_template
from ..errors import ConfigError
from ..geometry.camera import Camera
from ..host import seams
from ..host.mrope import with_token_types
from ..host.open_views import views_as
from ..host.processors.grid import grid_of
from ..host.processors.qwen_patches import quicken
from ..sampling.given import pixel_sample
from ..sampling.planner import Planner
from ..sampling.sample import Sample

_MAX_NEW_TOKENS = 64  # the official answer takes about 40


def ask(
    model: str,
    adapter: str | None,
    template: str | None,
    image: str,
    camera: Camera,
    pixels: Sequence[tuple[float, float]],
) -> list[tuple[Sample, str]]:
    """Return (question, answer text) for each pixel, shown exactly as in training.

    Args:
        model: Base or merged model.
        adapter: Adapter folder, if any; it, or `model`, must hold `depthlm_config.json`.
        template: LLaMA-Factory's chat template; by default the one saved with the weights.
        image: Path of the picture.
        camera: Its camera.
        pixels: Pixels (x, y) of the picture.

    Raises:
        ConfigError: When nothing tells how the model was trained to see.
        RecordError: For a picture or pixel that cannot be used.
    """
    seams.require()
    folder = adapter or model
    config = DepthLMConfig.load(folder)
    template = template or saved_template(folder)
    if config is None:
        raise ConfigError(
            f"{folder} has no depthlm_config.json: it was not trained by depthlm-plugin, so its"
            " focal length, mark and prompt are unknown"
        )
    if template is None:
        raise ConfigError(f"{folder} does not say its chat template; give --template")
    args = {"model_name_or_path": model, "template": template}
    if adapter:
        args["adapter_name_or_path"] = adapter
    model_args, data_args, finetuning_args, _ = get_infer_args(args)
    parts = load_tokenizer(model_args)
    tokenizer, processor = parts["tokenizer"], parts["processor"]
    grid = grid_of(processor)
    quicken(processor)
    config = replace(config, tasks={"depth": 1.0})  # whatever else it was taught
    planner = Planner(config, "ask", (), False, grid.multiple, fixed_wh=grid.fixed_wh)
    samples = [pixel_sample(planner, image, camera, pixel) for pixel in pixels]
    for sample in samples:
        width, height = sample.view.size_wh
        problem = grid.problem(sample.view.size_wh)
        if problem:
            raise ConfigError(f"the {width}x{height} view of {image} {problem}")
        # This limit could only shrink the picture, which would change the metres.
        processor.image_max_pixels = max(processor.image_max_pixels, width * height)
        processor.image_min_pixels = min(processor.image_min_pixels, width * height)
    chat = get_template_and_fix_tokenizer(tokenizer, data_args)
    network = load_model(tokenizer, model_args, finetuning_args, is_trainable=False)
    stop = [tokenizer.eos_token_id, *chat.get_stop_token_ids(tokenizer)]
    return [(s, _answer(s, network, chat, tokenizer, processor, stop)) for s in samples]


def _answer(
    sample: Sample, network: Any, chat: Any, tokenizer: Any, processor: Any, stop: list[int]
) -> str:
    images = sample.to_uris()
    with views_as("blanks"):
        turns = chat.mm_plugin.process_messages([sample.user_turn], images, [], [], processor)
    prompt, _ = chat.encode_oneturn(tokenizer, [*turns, {"role": "assistant", "content": ""}])
    with views_as("tensors"):
        seen = chat.mm_plugin.get_mm_inputs(images, [], [], [1], [0], [0], [prompt], processor)
    inputs = {"input_ids": torch.tensor([prompt]), **seen}
    inputs = {k: v.to(network.device) if hasattr(v, "to") else v for k, v in inputs.items()}
    with torch.inference_mode():
        tokens = network.generate(
            **with_token_types(network, inputs),
            attention_mask=torch.ones_like(inputs["input_ids"]),
            do_sample=False,
            max_new_tokens=_MAX_NEW_TOKENS,
            eos_token_id=stop,
            pad_token_id=tokenizer.pad_token_id,
        )
    text: str = tokenizer.decode(tokens[0, len(prompt) :], skip_special_tokens=True)
    return text
