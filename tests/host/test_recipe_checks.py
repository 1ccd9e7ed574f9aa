"""A training run is checked before its model is loaded, and only where it uses depth data."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from support.host_tools import SMALL, losses

from depthlm_plugin.errors import ConfigError


def train(models: dict[str, Path], data: Path, out: Path, **extra: Any) -> None:
    """One step of LLaMA-Factory's own run in this process."""
    from llamafactory.train.tuner import run_exp

    values = {
        "model_name_or_path": str(models["qwen"]),
        "template": "qwen2_vl",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "dataset": "a",
        "dataset_dir": str(data),
        "output_dir": str(out),
        "cutoff_len": 4096,
        "image_max_pixels": 1_680_000,
        "max_steps": 1,
        "per_device_train_batch_size": 1,
        "plot_loss": False,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "depthlm": SMALL,
    }
    run_exp(values | extra)


@pytest.fixture
def logged() -> Iterator[Any]:
    """What LLaMA-Factory's loggers have said in this test, wherever their own handlers write."""
    told = StringIO()
    handler, logger = logging.StreamHandler(told), logging.getLogger("llamafactory")
    logger.addHandler(handler)
    yield told.getvalue
    logger.removeHandler(handler)


def test_what_is_certainly_wrong_is_refused(models, data: Path, tmp_path: Path, logged) -> None:
    pytest.importorskip("bitsandbytes")
    extra = {"quantization_bit": 4, "additional_target": "merger"}
    with pytest.raises(ConfigError, match="cannot be trained whole"):
        train(models, data, tmp_path / "run", **extra)
    assert "trainable params" not in logged()


def test_what_is_unusual_is_logged(models, data: Path, tmp_path: Path, logged) -> None:
    train(models, data, tmp_path / "run", learning_rate=0.1, eval_dataset="a", eval_strategy="no")
    assert (tmp_path / "run" / "trainer_state.json").is_file()
    text = logged()
    assert "depthlm: learning_rate: 0.1 with lora: usual is 0.0001" in text
    assert "depthlm: eval_dataset: 'a' is trained on as well" in text
    assert text.index("depthlm: learning_rate") < text.index("trainable params")


def test_other_runs_are_not_checked(models, tmp_path: Path, logged) -> None:
    sums = [{"instruction": f"{n} + {n}", "input": "", "output": f"{2 * n}"} for n in range(8)]
    (tmp_path / "sums.json").write_text(json.dumps(sums))
    (tmp_path / "dataset_info.json").write_text('{"sums": {"file_name": "sums.json"}}')
    extra = {"dataset": "sums", "depthlm": None, "max_grad_norm": 0, "logging_steps": 1}
    train(models, tmp_path, tmp_path / "run", learning_rate=0.1, **extra)
    assert losses(tmp_path / "run").keys() == {1}
    assert "depthlm: " not in logged()
