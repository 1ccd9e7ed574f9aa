"""LLaMA-Factory's own loader and collator on the data of one run, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.host_tools import SMALL

TEMPLATES = {"qwen": "qwen2_vl", "qwen3vl": "qwen3_vl_nothink", "pixtral": "pixtral"}


class Loaded:
    """The datasets of one run, and what turns their rows into a batch."""

    def __init__(
        self, model: Path, data: Path, out: Path, template: str, stage: str = "sft", **extra: Any
    ) -> None:
        from llamafactory.data import (
            SFTDataCollatorWith4DAttentionMask,
            get_dataset,
            get_template_and_fix_tokenizer,
        )
        from llamafactory.hparams import get_train_args
        from llamafactory.model import load_tokenizer

        from depthlm_plugin.host.run import prepare

        values = {
            "model_name_or_path": str(model),
            "template": template,
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "lora",
            "dataset": "ibims1",
            "dataset_dir": str(data),
            "output_dir": str(out),
            "cutoff_len": 4096,
            "image_max_pixels": 1_680_000,
            "use_cpu": True,
            "report_to": "none",
            "depthlm": SMALL,
        }
        values |= extra
        block = {"lazy": False} | (values["depthlm"] or {})  # all samples, to look at
        values["depthlm"] = block
        model_args, data_args, training_args, *_ = get_train_args(values)
        tokenizer_module = load_tokenizer(model_args)
        self.template = get_template_and_fix_tokenizer(tokenizer_module["tokenizer"], data_args)
        self.tokenizer, self.processor = (
            tokenizer_module["tokenizer"],
            tokenizer_module["processor"],
        )
        self._parsed = model_args, data_args, training_args, stage
        self.module = get_dataset(self.template, *self._parsed, **tokenizer_module)
        data_args.depthlm_run = prepare(data_args, model_args, training_args, stage, self.processor)
        self.collate = SFTDataCollatorWith4DAttentionMask(
            template=self.template, **tokenizer_module
        )

    def merged(self) -> Any:
        """The samples of the training dataset before they are tokenised."""
        from llamafactory.data import loader

        return loader._get_merged_dataset(self._parsed[1].dataset, *self._parsed)

    def tokenised(self, rows: Any) -> Any:
        from llamafactory.data import loader

        _, data_args, training_args, stage = self._parsed
        arguments = data_args, training_args, stage, self.template, self.tokenizer, self.processor
        return loader._get_preprocessed_dataset(rows, *arguments)

    def batch(self, split: str, *indices: int) -> Any:
        return self.collate([dict(self.module[split][index]) for index in indices])

    def uris(self, split: str = "train_dataset") -> list[str]:
        return [images[0] for images in self.module[split]["images"]]
