"""Checks LLaMA-Factory's arguments as they are read, before anything of a depth run is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from llamafactory.extras.constants import EngineName

from ..config.saved import load_config
from . import compat
from .run import weights_of


def read_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `read_args`, refusing a depthlm block that nothing would obey."""

    @wraps(original)
    def read_args(args: Any = None) -> Any:
        args = original(args)
        if "depthlm" in args or "--depthlm" in args:
            compat.require()
        return args

    return read_args


def get_infer_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `get_infer_args`, which knows models that depthlm has trained.

    Where they are to chat, the seams of the chat engine must hold.
    """

    @wraps(original)
    def get_infer_args(args: Any = None) -> Any:
        parsed = original(args)
        model_args = parsed[0]
        chats = model_args.export_dir is None and model_args.infer_backend == EngineName.HF
        if chats and any(load_config(folder) for folder in weights_of(model_args)):
            import_module("llamafactory.chat.hf_engine")
            compat.require()
        return parsed

    return get_infer_args
