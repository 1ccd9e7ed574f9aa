"""The `depthlm:` block as one of LLaMA-Factory's data arguments."""

from dataclasses import dataclass, field

from llamafactory.hparams.data_args import DataArguments as _DataArguments

from ..config.block import DepthLMConfig


@dataclass
class DataArguments(_DataArguments):
    """LLaMA-Factory's data arguments with the `depthlm:` block of a recipe."""

    depthlm: dict | str | None = field(  # HfArgumentParser reads this type at run time
        default=None, metadata={"help": "The depthlm block: see the README of depthlm-plugin."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depthlm is not None:
            DepthLMConfig.from_block(self.depthlm)  # every mistake in it, before models are loaded


def data_arguments_over(original: type) -> type:
    """Return the data arguments with a block, over LLaMA-Factory's.

    They are a class of this module rather than one made here, so that they can be pickled.
    """
    assert issubclass(DataArguments, original)
    return DataArguments
