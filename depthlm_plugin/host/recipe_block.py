"""The `depthlm:` block as one of LLaMA-Factory's data arguments."""

from dataclasses import dataclass, field

from llamafactory.hparams.data_args import DataArguments as _DataArguments


@dataclass
class DataArguments(_DataArguments):
    """LLaMA-Factory's data arguments with the `depthlm:` block of a recipe."""

    depthlm: dict | str | None = field(  # HfArgumentParser reads this type at run time
        default=None, metadata={"help": "The depthlm block: see the README of depthlm-plugin."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depthlm is not None:
            from ..config.block import DepthLMConfig

            DepthLMConfig.from_block(self.depthlm)  # every mistake in it, before models are loaded
