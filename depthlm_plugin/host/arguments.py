"""The `depthlm:` block as one of LLaMA-Factory's data arguments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from llamafactory.hparams.data_args import DataArguments as _DataArguments

from . import seams


@dataclass
class DataArguments(_DataArguments):
    """LLaMA-Factory's data arguments with the `depthlm:` block of a recipe."""

    depthlm: dict | str | None = field(  # HfArgumentParser reads this type at run time
        default=None, metadata={"help": "The depthlm block: see the README of depthlm-plugin."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depthlm is not None:
            from ..config import DepthLMConfig

            DepthLMConfig.from_block(self.depthlm)  # every mistake in it, before models are loaded


def read_args_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `read_args`, refusing a depthlm block that nothing would obey."""

    @wraps(original)
    def read_args(args: Any = None) -> Any:
        args = original(args)
        if "depthlm" in args or "--depthlm" in args:
            seams.require()
        return args

    return read_args
