"""Lists all places where LLaMA-Factory is extended; each is one name in one module.

Only the table: `install.extend` obeys it when LLaMA-Factory's modules are imported. Every process
that imports torch reads this file (`autoload`), so it is plain data.
"""

from typing import NamedTuple


class Seam(NamedTuple):
    """One name of LLaMA-Factory that something of this package takes the place of.

    Attributes:
        home: The module below `llamafactory` that defines it. None of them runs before
            `import torch` has finished, whatever is imported first.
        name: The function, class or method (with a dot).
        parameters: Names that its parameters must begin with, with spaces between.
        maker: `module:function` of this folder: called with the original, it returns what stands in
            its place. The module must import without the names of other seams, or it would be
            missing where one of them has moved.
    """

    home: str
    name: str
    parameters: str
    maker: str

    @property
    def module(self) -> str:
        """The full name of the module that defines it."""
        return f"llamafactory.{self.home}"

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


_LOADING = "model_args data_args training_args stage"

SEAMS = (
    Seam(
        "hparams.data_args", "DataArguments", "template dataset", "recipe_block:data_arguments_over"
    ),
    Seam("hparams.parser", "read_args", "args", "arguments:read_args_with"),
    Seam("hparams.parser", "_parse_args", "parser args", "arguments:parse_args_with"),
    Seam("v1.config.arg_parser", "get_args", "args", "arguments:v1_args_with"),
    Seam("hparams.parser", "get_infer_args", "args", "arguments:get_infer_args_with"),
    Seam(
        "data.converter",
        "register_dataset_converter",
        "name dataset_converter",
        "aligned:registering_with",
    ),
    Seam(
        "data.mm_plugin",
        "MMPluginMixin._regularize_images",
        "self images",
        "open_views:regularize_images_with",
    ),
    Seam(
        "data.collator",
        "MultiModalDataCollatorForSeq2Seq.__call__",
        "self features",
        "collator:collate_with",
    ),
    Seam(
        "data.loader",
        "get_dataset",
        f"template {_LOADING} tokenizer processor",
        "entry:get_dataset_with",
    ),
    Seam(
        "data.loader",
        "_get_merged_dataset",
        f"dataset_names {_LOADING} return_dict",
        "prepared:get_merged_dataset_with",
    ),
    Seam(
        "data.loader",
        "_get_preprocessed_dataset",
        "dataset data_args training_args stage template tokenizer",
        "prepared:get_preprocessed_dataset_with",
    ),
    Seam(
        "train.sft.trainer",
        "CustomSeq2SeqTrainer",
        "finetuning_args processor model_args gen_kwargs",
        "trainer:trainer_on",
    ),
    Seam(
        "train.trainer_utils",
        "create_modelcard_and_push",
        "trainer model_args data_args training_args",
        "publish:create_modelcard_and_push_with",
    ),
    Seam("train.tuner", "export_model", "args", "publish:export_model_with"),
    Seam(
        "chat.hf_engine", "HuggingfaceEngine.__init__", "self model_args", "chat:engine_init_with"
    ),
    Seam(
        "chat.hf_engine",
        "HuggingfaceEngine._process_args",
        "model tokenizer processor template",
        "chat:process_args_with",
    ),
)
