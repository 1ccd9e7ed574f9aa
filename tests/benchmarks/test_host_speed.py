"""LLaMA-Factory's tokenisation and collator, stock on finished pictures and ours on views.

The stock side gets every advantage: the same pictures, rendered beforehand and stored as JPEG.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.photographs import photographs
from support.timing import compare, cpu_s

from depthlm_plugin import View
from depthlm_plugin.views import render as rendering
from depthlm_plugin.views.decode import load_pixels

os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="depthlm-hf-"))
os.environ["HF_HUB_OFFLINE"] = "1"
SAMPLES = 2000
PART = 100  # samples of one interleaved round


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Host:
    """The real pieces of a LLaMA-Factory run: arguments, template, tokenizer, collator."""

    def __init__(self, folder: Path, model: Path, dataset: str, **extra: Any) -> None:
        from llamafactory.data import (
            SFTDataCollatorWith4DAttentionMask,
            get_template_and_fix_tokenizer,
        )
        from llamafactory.hparams import get_train_args
        from llamafactory.model import load_tokenizer

        self.model_args, self.data_args, self.training_args, *_ = get_train_args(
            {
                "model_name_or_path": str(model),
                "template": "qwen2_vl",
                "stage": "sft",
                "do_train": True,
                "finetuning_type": "lora",
                "dataset": dataset,
                "dataset_dir": str(folder),
                "media_dir": str(folder),
                "output_dir": str(folder / "out"),
                "cutoff_len": 4096,
                "image_max_pixels": 1_680_000,
                "preprocessing_batch_size": PART,
                "overwrite_cache": True,
                "use_cpu": True,
                "report_to": "none",
            }
            | extra
        )
        self.parts = load_tokenizer(self.model_args)
        self.template = get_template_and_fix_tokenizer(self.parts["tokenizer"], self.data_args)
        self.collate = SFTDataCollatorWith4DAttentionMask(template=self.template, **self.parts)

    def tokenised(self, rows: Any) -> Any:
        from llamafactory.data import loader

        return loader._get_preprocessed_dataset(
            rows, self.data_args, self.training_args, "sft", self.template, **self.parts
        )

    def merged(self) -> Any:
        from llamafactory.data import loader

        names = self.data_args.dataset
        return loader._get_merged_dataset(
            names, self.model_args, self.data_args, self.training_args, "sft"
        )


@pytest.fixture(scope="module")
def hosts(ibims: Path, tmp_path_factory: pytest.TempPathFactory, rounds: int) -> tuple[Host, Host]:
    """The stock host on rendered pictures, and ours on the same samples as views."""
    from depthlm_plugin.demo.tiny_vlm import build_tiny_qwen
    from depthlm_plugin.host.open_views import let_open
    from depthlm_plugin.host.run import prepare

    folder = tmp_path_factory.mktemp("speed")
    model = build_tiny_qwen(folder / "model", seed=0, hidden_size=64, layers=2)
    records = photographs(ibims, folder, ".jpg", None)
    count = SAMPLES if rounds > 1 else 4 * PART
    each = -(-count // len(records))
    (folder / "records.jsonl").write_text("\n".join(map(json.dumps, records)))
    info = {
        "records": {"file_name": "records.jsonl", "formatting": "depthlm"},
        "pictures": {
            "file_name": "pictures.json",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user",
                     "assistant_tag": "assistant"},
        },
    }  # fmt: skip
    (folder / "dataset_info.json").write_text(json.dumps(info))
    ours = Host(folder, model, "records", depthlm={"points_per_record": each, "lazy": False})
    args = ours.data_args, ours.model_args, ours.training_args
    ours.data_args.depthlm_run = prepare(*args, "sft", ours.parts["processor"])
    let_open(ours.template.mm_plugin, True)  # as `get_dataset` ends
    pictures = []
    for index, row in enumerate(ours.merged().select(range(count))):
        path = folder / f"{index}.jpg"
        View.from_uri(row["_images"][0]).render().save(path, quality=92)
        turns = row["_prompt"] + row["_response"]
        pictures.append({"messages": turns, "images": [str(path)]})
    (folder / "pictures.json").write_text(json.dumps(pictures))
    return Host(folder, model, "pictures"), ours


def test_tokenising(hosts: tuple[Host, Host], report: Callable[[str], None]) -> None:
    stock, ours = hosts
    their_rows, our_rows = stock.merged(), ours.merged()
    blocks = [range(i, i + PART) for i in range(0, len(their_rows), PART)]
    theirs, mine = [], []

    def next_block(host: Host, rows: Any, done: list[Any]) -> None:
        done.append(host.tokenised(rows.select(blocks[len(done)])))

    row = compare(
        f"LLaMA-Factory's tokenisation of {len(blocks) * PART} samples",
        len(blocks),
        PART,
        lambda: next_block(stock, their_rows, theirs),
        lambda: next_block(ours, our_rows, mine),
    )
    report(row)
    for stock_part, our_part in zip(theirs, mine, strict=True):
        assert list(stock_part["input_ids"]) == list(our_part["input_ids"])
        assert list(stock_part["labels"]) == list(our_part["labels"])


def test_collating(hosts: tuple[Host, Host], rounds: int, report: Callable[[str], None]) -> None:
    stock, ours = hosts
    count = 24
    their_rows = list(stock.tokenised(stock.merged().select(range(0, count * 11, 11))))
    our_rows = list(ours.tokenised(ours.merged().select(range(0, count * 11, 11))))

    def collate(host: Host, rows: list[Any]) -> None:
        for row in rows:
            rendering.CACHE.clear()
            host.collate([dict(row)])

    row = compare(
        "collator to `pixel_values`",
        rounds,
        count,
        lambda: collate(stock, their_rows),
        lambda: collate(ours, our_rows),
    )
    report(row)


def test_lazy_loading(hosts: tuple[Host, Host], rounds: int, report: Callable[[str], None]) -> None:
    """The whole loader, from the row on disk; the stock side was tokenised beforehand."""
    from llamafactory.data import get_dataset

    stock, ours = hosts
    count = 24
    their_rows = list(stock.tokenised(stock.merged().select(range(0, count * 11, 11))))
    data_args = copy.copy(ours.data_args)
    data_args.depthlm = {}
    args = ours.template, ours.model_args, data_args, ours.training_args
    samples = get_dataset(*args, "sft", **ours.parts)["train_dataset"]

    def theirs() -> None:
        for row in their_rows:
            stock.collate([dict(row)])

    def lazy() -> None:
        for index in range(count):
            rendering.CACHE.clear()
            ours.collate([samples[index]])

    def decode_only() -> None:
        for index in range(count):
            rendering.CACHE.clear()
            view = View.from_uri(samples[index]["images"][0])
            load_pixels(view.image, "", fast=True)

    report(compare("whole loader: row on disk to `pixel_values`", rounds, count, theirs, lazy))
    plans = cpu_s(lambda: [samples[index] for index in range(count)]) / count
    decoding = cpu_s(decode_only) / count - plans
    parts = f"plan and tokens {1e3 * plans:.2f} ms, decoding {1e3 * decoding:.2f} ms"
    report(f"| of that: {parts} | | | | |")


MEMORY = """
import resource, sys
from pathlib import Path
from depthlm_plugin import View
import torch
torch.set_num_threads(1)
uris = Path(sys.argv[1]).read_text().splitlines()
for index in range(int(sys.argv[2])):
    View.from_uri(uris[index % len(uris)]).pixels()
    if index + 1 in (int(sys.argv[2]) // 2, int(sys.argv[2])):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        print(pages * resource.getpagesize() // 2**20)
"""


def test_memory(
    hosts: tuple[Host, Host], tmp_path: Path, rounds: int, report: Callable[[str], None]
) -> None:
    """A worker's resident size after half of its samples and after all of them."""
    _, ours = hosts
    uris = tmp_path / "uris.txt"
    uris.write_text("\n".join(images[0] for images in ours.merged()["_images"]))
    count = 10_000 if rounds > 1 else 500
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(uris), str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    early, late = map(int, result.stdout.split())
    report(
        f"| resident size of a worker, MiB | {early} after {count // 2} samples | {late} after"
        f" {count} | | |"
    )
    assert late < 1.05 * early
