"""Which samples the real trainer's loader gives, in a run of its own and resumed; see test_lazy.py.

[torchrun --nproc_per_node 2] loader_order.py MODEL DATA OUT
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

EPOCHS = 8
SKIPPED = 9  # batches of epoch 2 that were trained on before the interruption


def main(model: str, data: str, out: str) -> None:
    from accelerate import skip_first_batches
    from llamafactory.data import (
        SFTDataCollatorWith4DAttentionMask,
        get_dataset,
        get_template_and_fix_tokenizer,
    )
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_model, load_tokenizer
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer

    from support.host_tools import SMALL

    values = {
        "model_name_or_path": model,
        "template": "qwen2_vl",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "dataset": "ibims1",
        "dataset_dir": data,
        "output_dir": out,
        "cutoff_len": 4096,
        "per_device_train_batch_size": 2,
        "use_cpu": True,
        "report_to": "none",
        "depthlm": SMALL,
    }
    if "RANK" in os.environ:
        values["ddp_backend"] = "gloo"
    seen: dict[str, list[Any]] = {}
    for workers in (0, 2):
        args = get_train_args(values | {"dataloader_num_workers": workers})
        model_args, data_args, training_args, finetuning_args, _ = args
        tokenizer_module = load_tokenizer(model_args)
        template = get_template_and_fix_tokenizer(tokenizer_module["tokenizer"], data_args)
        module = get_dataset(
            template, model_args, data_args, training_args, "sft", **tokenizer_module
        )
        collator = SFTDataCollatorWith4DAttentionMask(template=template, **tokenizer_module)
        trainer = CustomSeq2SeqTrainer(
            model=load_model(tokenizer_module["tokenizer"], model_args, finetuning_args, True),
            args=training_args,
            finetuning_args=finetuning_args,
            data_collator=lambda features, collator=collator: _noted(features, collator),
            **module,
            **tokenizer_module,
        )
        # As Trainer goes through epochs, and as it resumes in the middle of one.
        loader = trainer.get_train_dataloader()
        whole = [_batches(loader, epoch) for epoch in range(EPOCHS)]
        resumed_loader = trainer.get_train_dataloader()
        rest = _batches(skip_first_batches(resumed_loader, SKIPPED), 2)
        for epoch in range(3, EPOCHS):
            rest += _batches(resumed_loader, epoch)
        seen[str(workers)] = [whole, rest]
    rank = os.environ.get("RANK", "0")
    Path(out, f"seen-{rank}.json").write_text(json.dumps(seen))


def _noted(features: list[dict[str, Any]], collator: Any) -> Any:
    """Collate for real, and carry along what was collated."""
    notes = [[f["images"], f["input_ids"], f["labels"]] for f in features]
    batch = collator(features)
    return {"notes": notes, "shape": list(batch["pixel_values"].shape)}


def _batches(loader: Any, epoch: int) -> list[Any]:
    loader.set_epoch(epoch)
    return [[batch["notes"], batch["shape"]] for batch in loader]


if __name__ == "__main__":
    main(*sys.argv[1:])
