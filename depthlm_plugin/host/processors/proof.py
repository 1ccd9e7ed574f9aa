"""Proves on the loaded model that its image processor passes a view on as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ...errors import HostError
from .registry import family_of

_EXACT, _BFLOAT16 = 0.05, 1.5  # grey levels that values may be off, by the precision they come in


def prove(mm_plugin: Any, processor: Any, size_wh: tuple[int, int]) -> None:
    """Send noise of `size_wh` the way of a view, and raise if other pixels come out.

    The values that the vision tower would receive must be those of the image, in any order (it is
    cut into patches), each equally often (Qwen's families repeat a still image as two frames).
    Whatever the family: resampled noise loses its extremes, and a crop or padding changes the
    count. Costs one call of the image processor.

    Args:
        mm_plugin: The plugin of the run's LLaMA-Factory template, which calls the processor.
        processor: The loaded processor, with LLaMA-Factory's settings on it.
        size_wh: Size of a view, pixels.

    Raises:
        HostError: When the pixels differ; it says how, and what to do.
    """
    width, height = size_wh
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image_processor = processor.image_processor
    found_by = f"{type(image_processor).__name__} does not pass a {width}x{height} view on as it is"
    advice = (
        "check image_max_pixels and image_min_pixels of the recipe and the model's"
        " preprocessor_config.json (size, do_resize, do_center_crop, do_pad)"
    )
    try:
        inputs = mm_plugin._get_mm_inputs([Image.fromarray(noise)], [], [], processor)
    except (ValueError, RuntimeError) as error:
        raise HostError(f"{found_by}, it fails: {error}; {advice}") from error
    values = family_of(image_processor).view_values(inputs)
    level = _BFLOAT16 if values.dtype == torch.bfloat16 else _EXACT
    seen = values.float().numpy().ravel()
    sent, scale = _sent(noise, image_processor)
    repeats, rest = divmod(seen.size, sent.size)
    if rest or not repeats:
        raise HostError(
            f"{found_by}: the model would receive {seen.size} values where {sent.size}, or a"
            f" multiple, were expected; {advice}"
        )
    off = float(np.abs(np.sort(seen) - np.repeat(np.sort(sent), repeats)).max()) / scale
    if not off <= level:
        raise HostError(
            f"{found_by}: the colours that the model would receive are off by up to {off:.0f} grey"
            f" levels, so it was resampled, padded or normalised otherwise; {advice}"
        )


def _sent(
    noise: NDArray[np.uint8], image_processor: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32] | float]:
    """Return what the values should be, and the size of one grey level in the finest channel."""
    scale = image_processor.rescale_factor if image_processor.do_rescale else 1.0
    if not image_processor.do_normalize:
        return (noise * np.float32(scale)).ravel(), scale
    mean, std = np.float32(image_processor.image_mean), np.float32(image_processor.image_std)
    sent: NDArray[np.float32] = (noise * np.float32(scale) - mean) / std
    return sent.ravel(), float((scale / std).min())
