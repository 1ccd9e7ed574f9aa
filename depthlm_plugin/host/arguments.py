"""Checks LLaMA-Factory's arguments as they are read, before anything of a depth run is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from llamafactory.extras.constants import EngineName

from ..config.saved import load_config, save_config
from . import compat
from .run import resolve_config

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


def get_infer_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `get_infer_args`, which knows models that depthlm has trained.

    Their config is kept with an exported model, and where they are to chat, the seams of the chat
    engine must hold.
    """

    @wraps(original)
    def get_infer_args(args: Any = None) -> Any:
        parsed = original(args)
        model_args, data_args = parsed[0], parsed[1]
        folders = [*(model_args.adapter_name_or_path or []), model_args.model_name_or_path]
        if not any(load_config(folder) for folder in folders):
            return parsed
        export_dir = getattr(model_args, "export_dir", None)
        if export_dir is not None:
            os.makedirs(export_dir, exist_ok=True)
            save_config(resolve_config(data_args, model_args), export_dir, data_args.template)
        elif model_args.infer_backend == EngineName.HF:
            import_module("llamafactory.chat.hf_engine")
            compat.require()
        return parsed

    return get_infer_args
