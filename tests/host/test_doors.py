"""Settings that depth data cannot use are refused when arguments are parsed: nothing is loaded."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from support.doors import CLOSED
from support.host_tools import ROOT, Cli, run

from depthlm_plugin.errors import ConfigError

RECIPE = {
    "model_name_or_path": "/nowhere",  # whoever loads anything of it fails in another way
    "template": "qwen2_vl",
    "stage": "sft",
    "finetuning_type": "lora",
    "do_train": True,
    "dataset": "depthlm_train",
    "use_cpu": True,
    "report_to": "none",
}


@pytest.fixture(scope="module")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset_dir with the names that recipes have, and one dataset without depth."""
    folder = tmp_path_factory.mktemp("doors")
    depth = json.loads((data / "dataset_info.json").read_text())["a"]
    depth["file_name"] = str(data / "a.jsonl")
    info = {"depthlm_train": depth, "depthlm_eval": depth, "chat": {"file_name": "chat.json"}}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def parse(folder: Path, **settings: Any) -> Any:
    from llamafactory.hparams import get_train_args

    values = RECIPE | {"dataset_dir": str(folder), "output_dir": str(folder / "run")} | settings
    return get_train_args({key: value for key, value in values.items() if value is not ...})


@pytest.mark.parametrize(("settings", "key", "reason"), CLOSED.values(), ids=CLOSED)
def test_closed_doors(folder: Path, settings: dict[str, Any], key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(folder, **settings)
    said = str(refused.value)
    assert re.findall(r"(?:^depthlm:|;) (\w+): ", said) == [key]  # and of no other
    assert reason in said


def test_all_of_them_are_named_at_once(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"stage: dpo .*; use_unsloth: .*; use_asft_loss: "):
        parse(folder, stage="dpo", use_unsloth=True, use_asft_loss=True)


EAGER = {"depthlm": {"lazy": False}}
PLAIN = {"dataset": "chat", "depthlm": ...}
OPEN = {
    "length groups": EAGER | {"train_sampling_strategy": "group_by_length"},
    "neat packing": EAGER | {"neat_packing": True},
    "tokens a second": EAGER | {"include_effective_tokens_per_second": True},
    "other losses": {"use_dft_loss": True},
    "LLaMA Pro of frozen layers": {"use_llama_pro": True, "finetuning_type": "freeze"},
    "packed chats with depth to evaluate": PLAIN
    | {"packing": True, "eval_dataset": "depthlm_eval"},
    "DPO of chats": PLAIN | {"stage": "dpo"},
    "smoothed chats": PLAIN | {"label_smoothing_factor": 0.1},
}


@pytest.mark.parametrize("settings", OPEN.values(), ids=OPEN)
def test_open_doors(folder: Path, settings: dict[str, Any]) -> None:
    parse(folder, **settings)


FULL = {"finetuning_type": "full"}
PROJECTED = FULL | {"optim": "adamw_torch"}
EVALUATE = {"do_train": False, "dataset": ..., "eval_dataset": "depthlm_eval"}
GENERATE = EVALUATE | {"predict_with_generate": True}
HOST = {
    "vLLM": ({"infer_backend": "vllm"}, "only available for API, CLI and Web"),
    "SGLang": ({"infer_backend": "sglang"}, "only available for API, CLI and Web"),
    "answers that are not generated": (EVALUATE | {"do_predict": True}, "predict_with_generate"),
    "accuracy of answers": (GENERATE | {"compute_accuracy": True}, "compute_accuracy"),
    "GaLore with LoRA": ({"use_galore": True}, "Cannot use LoRA with GaLore"),
    "GaLore": (PROJECTED | {"use_galore": True}, "pip install galore_torch"),
    "APOLLO": (PROJECTED | {"use_apollo": True}, "pip install apollo_torch"),
    "BAdam": (FULL | {"use_badam": True}, "pip install badam"),
    "all quantised weights": (FULL | {"quantization_bit": 4}, "only compatible with the LoRA"),
    "PiSSA of them": ({"pissa_init": True, "quantization_bit": 4}, "scripts/pissa_init.py"),
    "more of them": ({"resize_vocab": True, "quantization_bit": 4}, "Cannot resize embedding"),
    "spread to train": (
        {"quantization_bit": 4, "quantization_device_map": "auto"}, "Cannot use device map",
    ),
    "FP8 of them": ({"quantization_bit": 4, "fp8": True}, "FP8 training is not compatible"),
    "bfloat16 only, on a CPU": ({"pure_bf16": True}, "does not support `pure_bf16`"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "reason"), HOST.values(), ids=HOST)
def test_what_llamafactory_refuses_itself(folder: Path, settings: Any, reason: str) -> None:
    """As early, and in words that are true of depth data."""
    with pytest.raises((ValueError, PackageNotFoundError)) as refused:
        parse(folder, **settings)
    assert reason in str(refused.value)


def test_megatron_bridge(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which LLaMA-Factory's next release starts where this is set."""
    monkeypatch.setenv("USE_MEGATRON_BRIDGE", "1")
    with pytest.raises(ConfigError, match=r"^depthlm: use_megatron_bridge: .* texts without their"):
        parse(folder)
    parse(folder, **PLAIN)


ADAPTER = """
from transformers import Seq2SeqTrainingArguments as TrainingArguments
from transformers import Seq2SeqTrainingArguments
"""
WITH_ADAPTER = """
import json, sys
from llamafactory.hparams import get_train_args
get_train_args(json.loads(sys.argv[1]))
"""


def test_megatron_core_adapter(folder: Path, tmp_path: Path) -> None:
    """LLaMA-Factory parses other arguments with it; it cannot be installed here, so a stand-in."""
    (tmp_path / "mcore_adapter.py").write_text(ADAPTER)
    values = RECIPE | {"dataset_dir": str(folder), "output_dir": str(tmp_path / "run")}
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-c", WITH_ADAPTER, json.dumps(values)]
    said = run(command, USE_MCA="1", PYTHONPATH=path).stderr.splitlines()[-1]
    assert said.startswith("depthlm_plugin.errors.ConfigError: depthlm: use_mca: Megatron has a")
    assert "unset USE_MCA" in said


def test_the_next_trainer_says_that_it_is_another(cli: Cli) -> None:
    recipe = ROOT / "recipes" / "depthlm_qwen_lora.yaml"
    said = cli("train", str(recipe), fails=True, USE_V1="1").stderr.splitlines()[-1]
    assert said == (
        "depthlm_plugin.errors.HostError: USE_V1=1 starts LLaMA-Factory's next trainer (v1), which"
        " has other keys and knows no depth data; unset USE_V1"
    )
