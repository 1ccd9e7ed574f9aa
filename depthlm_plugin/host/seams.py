"""The places where LLaMA-Factory is extended, all of them: each is one name in one module.

Only the table: `install.extend` obeys it when LLaMA-Factory's modules are imported. Every process
that imports torch reads this file (`autoload`), so it is plain data.
"""

from typing import NamedTuple


class Seam(NamedTuple):
    """One name of LLaMA-Factory that something of this package takes the place of.

    Attributes:
        module: The module that defines it. None of them runs before `import torch` has finished,
            whatever is imported first.
        name: The function, class or method (with a dot).
        parameters: Names that its parameters must begin with.
        maker: `module:function` of this folder: called with the original, it returns what stands in
            its place. The module must import without the names of other seams, or it would be
            missing where one of them has moved.
    """

    module: str
    name: str
    parameters: tuple[str, ...]
    maker: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


_LOADING = ("model_args", "data_args", "training_args", "stage")

SEAMS = (
    Seam(
        "llamafactory.hparams.data_args",
        "DataArguments",
        ("template", "dataset"),
        "recipe_block:data_arguments_over",
    ),
    Seam("llamafactory.hparams.parser", "read_args", ("args",), "arguments:read_args_with"),
    Seam(
        "llamafactory.hparams.parser",
        "get_infer_args",
        ("args",),
        "arguments:get_infer_args_with",
    ),
    Seam(
        "llamafactory.data.converter",
        "register_dataset_converter",
        ("name", "dataset_converter"),
        "aligned:registering_with",
    ),
    Seam(
        "llamafactory.data.mm_plugin",
        "MMPluginMixin._regularize_images",
        ("self", "images"),
        "open_views:regularize_images_with",
    ),
    Seam(
        "llamafactory.data.collator",
        "MultiModalDataCollatorForSeq2Seq.__call__",
        ("self", "features"),
        "collator:collate_with",
    ),
    Seam(
        "llamafactory.data.loader",
        "get_dataset",
        ("template", *_LOADING, "tokenizer", "processor"),
        "entry:get_dataset_with",
    ),
    Seam(
        "llamafactory.data.loader",
        "_get_merged_dataset",
        ("dataset_names", *_LOADING, "return_dict"),
        "prepared:get_merged_dataset_with",
    ),
    Seam(
        "llamafactory.data.loader",
        "_get_preprocessed_dataset",
        ("dataset", "data_args", "training_args", "stage", "template", "tokenizer"),
        "prepared:get_preprocessed_dataset_with",
    ),
    Seam(
        "llamafactory.train.sft.trainer",
        "CustomSeq2SeqTrainer",
        ("finetuning_args", "processor", "model_args", "gen_kwargs"),
        "trainer:trainer_on",
    ),
    Seam(
        "llamafactory.chat.hf_engine",
        "HuggingfaceEngine.__init__",
        ("self", "model_args"),
        "chat:engine_init_with",
    ),
    Seam(
        "llamafactory.chat.hf_engine",
        "HuggingfaceEngine._process_args",
        ("model", "tokenizer", "processor", "template"),
        "chat:process_args_with",
    ),
)
