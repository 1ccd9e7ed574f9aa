"""Checks LLaMA-Factory's arguments as they are read, before anything of a depth run is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from llamafactory.extras.constants import EngineName

from ..config.saved import load_config
from ..errors import ConfigError, HostError
from ..recipe.doors import refuse_closed_doors
from . import compat
from .run import depth_datasets, trains_on_depth, weights_of

read: dict[str, Any] = {}
"""`recipe`: the keys that LLaMA-Factory was given last; what they leave out, its arguments hide."""


def read_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `read_args`, refusing a depthlm block that nothing would obey."""

    @wraps(original)
    def read_args(args: Any = None) -> Any:
        args = original(args)
        if "depthlm" in args or "--depthlm" in args:
            compat.require()
        if isinstance(args, dict):
            read["recipe"] = args
        return args

    return read_args


def parse_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `_parse_args`, refusing what depth runs cannot use (`doors.py`).

    Here and not later: LLaMA-Factory's own checks come next, and ask for packages that would not
    help.
    """

    @wraps(original)
    def _parse_args(*args: Any, **kwargs: Any) -> Any:
        parsed = original(*args, **kwargs)
        data_args = next((group for group in parsed if hasattr(group, "dataset_dir")), None)
        training_args = next((group for group in parsed if hasattr(group, "do_train")), None)
        if data_args is None or training_args is None or not depth_datasets(data_args):
            return parsed
        block = getattr(data_args, "depthlm", None)
        refuse_closed_doors(parsed, block, trains=trains_on_depth(data_args, training_args))
        return parsed

    return _parse_args


def v1_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the `get_args` of LLaMA-Factory's next trainer, which says whose recipe it was given.

    It knows hardly a key of LLaMA-Factory's recipes, and would only list those of this one.
    """

    @wraps(original)
    def get_args(args: Any = None) -> Any:
        try:
            return original(args)
        except ValueError as refused:
            if "depthlm" not in str(refused):
                raise
            raise HostError(
                "USE_V1=1 starts LLaMA-Factory's next trainer (v1), which has other keys and knows"
                " no depth data; unset USE_V1"
            ) from refused

    return get_args


def get_infer_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `get_infer_args`, which knows models that depthlm has trained.

    Where they are to chat, the seams of the chat engine must hold.
    """

    @wraps(original)
    def get_infer_args(args: Any = None) -> Any:
        parsed = original(args)
        model_args = parsed[0]
        if not any(load_config(folder) for folder in weights_of(model_args)):
            return parsed
        if model_args.export_dir is not None:
            if model_args.adapter_name_or_path and model_args.quantization_bit is not None:
                raise ConfigError(
                    "depthlm: quantization_bit: adapters cannot be merged into quantised weights,"
                    " only into the base as it is; remove it"
                )
        elif model_args.infer_backend == EngineName.HF:
            import_module("llamafactory.chat.hf_engine")
            compat.require()
        return parsed

    return get_infer_args
