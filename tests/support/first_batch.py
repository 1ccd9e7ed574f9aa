"""Start training on a dataset_dir and stop at the first batch; then go on and report memory.

    python tests/support/first_batch.py MODEL DATASET_DIR OUT SAMPLES

Prints one JSON object: seconds from the start of the process to the first batch, of which the
seconds after LLaMA-Factory was imported, samples per second of two workers, and the private memory
of a worker in MiB. scale.py runs it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def process_start_s() -> float:
    """Seconds since boot at which this process began."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def private_mib(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = [int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_")]
    return sum(private) / 1024


def main(model: str, dataset_dir: str, out: str, samples: int) -> None:
    import torch
    from llamafactory.data import (
        SFTDataCollatorWith4DAttentionMask,
        get_dataset,
        get_template_and_fix_tokenizer,
    )
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer
    from torch.utils.data import DataLoader

    from depthlm_plugin.host.lazy import EpochSampler

    imported = time.clock_gettime(time.CLOCK_BOOTTIME)
    model_args, data_args, training_args, *_ = get_train_args(
        {
            "model_name_or_path": model,
            "template": "qwen2_vl",
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "lora",
            "dataset": "rooms",
            "dataset_dir": dataset_dir,
            "output_dir": out,
            "cutoff_len": 4096,
            "image_max_pixels": 1_680_000,
            "use_cpu": True,
            "report_to": "none",
        }
    )
    parts = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(parts["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, "sft", **parts)
    dataset = rows["train_dataset"]
    collator = SFTDataCollatorWith4DAttentionMask(template=template, **parts)
    torch.set_num_threads(1)
    loader = DataLoader(
        dataset, 2, sampler=EpochSampler(dataset), collate_fn=collator, num_workers=2
    )
    batches = iter(loader)
    next(batches)
    first = time.clock_gettime(time.CLOCK_BOOTTIME)
    for _ in range(samples // 2):
        next(batches)
    done = time.clock_gettime(time.CLOCK_BOOTTIME)
    result = {
        "rows": len(dataset),
        "first_batch_s": round(first - process_start_s(), 2),
        "after_imports_s": round(first - imported, 2),
        "samples_per_s": round(samples / (done - first), 1),
        "worker_mib": [round(private_mib(worker.pid)) for worker in batches._workers],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
