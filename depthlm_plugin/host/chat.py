"""Extends the engine of `llamafactory-cli chat` and `api` for models that depthlm has trained.

Only the Hugging Face engine is extended. Its callers send pictures as `depthlm render` makes them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from llamafactory.extras import logging

from ..config.saved import load_config
from . import compat
from .attention import mend_attention
from .board import MOST_PIXELS
from .mrope import with_token_types
from .open_views import let_open
from .patch_embedding import mend_patch_embedding
from .quantised import mend_quantised

logger = logging.get_logger("llamafactory.depthlm")

_MARK = "_depthlm_config"  # on a model that was trained here
_UNSTATED_PIXELS = 768 * 768  # LLaMA-Factory's image_max_pixels, of its page too, unless set


def engine_init_with(original: Callable[..., None]) -> Callable[..., None]:
    """Return the engine's `__init__`, which marks a model that depthlm has trained and says so.

    Its pictures are not made smaller where nobody has set a limit of pixels.
    """

    @wraps(original)
    def initialise(self: Any, model_args: Any, *args: Any, **kwargs: Any) -> None:
        original(self, model_args, *args, **kwargs)
        let_open(self.template.mm_plugin, False)
        for folder in [*(model_args.adapter_name_or_path or []), model_args.model_name_or_path]:
            config = load_config(folder)
            if config is None:
                continue
            compat.require()
            setattr(self.model, _MARK, config)
            mend_attention(self.model)
            mend_patch_embedding(self.model)
            mend_quantised(self.model)
            limit = self.processor.image_max_pixels
            if limit == _UNSTATED_PIXELS:  # nobody asked for it, and it would change the metres
                limit = self.processor.image_max_pixels = MOST_PIXELS
                self.processor.image_min_pixels = 1
            logger.warning_rank0(
                f"depthlm: {folder} answers in metres about pictures whose focal length is"
                f" {config.focal_px:g} px, marked as depthlm render writes them. Pictures of more"
                f" than {limit} pixels are made smaller here, which makes their metres wrong"
                " (image_max_pixels). With do_sample, answers are drawn at random."
            )
            return

    return initialise


def process_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the engine's `_process_args`, which keeps the image grid of a marked model."""

    @wraps(original)
    def _process_args(model: Any, *args: Any, **kwargs: Any) -> Any:
        gen_kwargs, prompt_length = original(model, *args, **kwargs)
        if getattr(model, _MARK, None) is not None:
            named = {**gen_kwargs, "input_ids": gen_kwargs["inputs"]}
            told = with_token_types(model, named)
            gen_kwargs |= {key: value for key, value in told.items() if key not in named}
        return gen_kwargs, prompt_length

    return _process_args
