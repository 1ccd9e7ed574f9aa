"""Every dataset from its raw files to a training step, through both command lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.host_tools import ROOT, SMALL, Cli, losses, overrides
from support.raw.every import EVERY

from depthlm_plugin.cli import main
from depthlm_plugin.curate.registry import dataset_names
from depthlm_plugin.sampling.mixture import Mixture
from depthlm_plugin.seeds import seed_of


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset_dir with one curation of every dataset, each validated."""
    assert list(EVERY) == dataset_names()
    raw, out = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("curated")
    for dataset, (write, options) in EVERY.items():
        write(raw / dataset)
        places = ["--root", str(raw / dataset), "--out", str(out), "--name", dataset]
        status = main(["curate", dataset, *places, "--workers", "1", *map(str, options)])
        assert status == 0, dataset
        kind = ["--depth-kind", "z"] if dataset == "depthlm" else []
        assert main(["validate", str(out / f"{dataset}.jsonl"), *kind, "--workers", "1"]) == 0
    return out


def test_a_step_on_every_dataset(curated: Path, models, cli: Cli, tmp_path: Path) -> None:
    names = list(json.loads((curated / "dataset_info.json").read_text()))
    assert set(names) == EVERY.keys()
    drawn = 3 * len(names)  # in one step
    mixture = Mixture([1.0] * len(names), seed_of(0, "mixture"))
    assert {mixture[k][0] for k in range(drawn)} == set(range(len(names)))
    values = {
        "model_name_or_path": models["qwen"],
        "dataset": ",".join(names),
        "interleave_probs": ",".join(["1"] * len(names)),
        "mix_strategy": "interleave_over",
        "dataset_dir": curated,
        "output_dir": tmp_path / "run",
        "max_steps": 1,
        "logging_steps": 1,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": drawn,
        "plot_loss": False,
        "bf16": False,
        "use_cpu": True,
        "dataloader_num_workers": 1,
        "preprocessing_num_workers": 1,
        "depthlm": SMALL,
    }
    cli("train", str(ROOT / "recipes" / "depthlm_qwen_lora.yaml"), *overrides(**values))
    assert 0 < losses(tmp_path / "run")[1] < 100
