"""An expert at work: loaded once a process, then one picture at a time, in float32."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import ConfigError, DepthLMError, RecordError
from .rule import Prediction, Rule


@lru_cache(maxsize=1)
def load_model(folder: Path, version: str) -> tuple[Any, Any]:
    """Return a model of a folder and its processor, on the graphics card if there is one.

    Args:
        folder: The model's folder.
        version: The digest of its files, so that changed ones are loaded again.

    Raises:
        ConfigError: For files that are not all of the model: its weights would be random.
    """
    import torch
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    try:
        model, found = AutoModelForDepthEstimation.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        processor = AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever a stranger's files make transformers raise
        raise ConfigError(
            f"the expert of {folder} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    lacking = sorted(found["missing_keys"])
    if lacking:
        raise ConfigError(
            f"the weights of {folder} lack {len(lacking)} tensors of the model, as {lacking[0]},"
            " which would be random; fetch them again"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.eval().to(device), processor


def predict(
    model: Any, processor: Any, rule: Rule, image: Image.Image, focal_px: float | None, where: str
) -> Prediction:
    """Return what an expert says of a picture.

    Without reduced precision or algorithms that are chosen by their speed, so that the same
    machine says the same again.

    Args:
        model: The expert.
        processor: Its processor.
        rule: What makes its outputs metres.
        image: The picture, RGB.
        focal_px: Its focal length, pixels, where that is known.
        where: What to name in errors.

    Raises:
        DepthLMError: For a graphics card without enough memory.
        RecordError: `not for the expert`: for a picture of a shape that it cannot take.
    """
    import torch

    exactly = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    size = "x".join(map(str, image.size))
    try:
        with torch.inference_mode(), exactly:
            inputs = processor(images=image, return_tensors="pt").to(model.device)
            outputs = model(**inputs)
            return rule.read(outputs, processor, model.config, image.size, focal_px)
    except torch.OutOfMemoryError as error:
        raise DepthLMError(
            f"{where}: {size}: the graphics card has too little memory for this expert ({error});"
            " use fewer --workers, or CUDA_VISIBLE_DEVICES= for the CPU. What is finished is kept"
        ) from error
    except (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise RecordError(
            "not for the expert",
            where,
            f"it cannot take a picture of {size}: {type(error).__name__}: {error}",
        ) from error
