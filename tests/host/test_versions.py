"""Versions that depth runs refuse, and what the doctor says of those that are here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.host_tools import run

from depthlm_plugin.errors import ConfigError, HostError
from depthlm_plugin.host import compat
from depthlm_plugin.host.run import prepare


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a package look installed, in this version, as pip leaves it."""

    def install(name: str, version: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(lines)
        monkeypatch.syspath_prepend(tmp_path)

    return install


@pytest.mark.parametrize("version", ["5.3.0", "5.4.0", "5.5.0", "5.5.3"])
def test_transformers_with_wrong_positions_is_refused(installed: Any, version: str) -> None:
    installed("transformers", version)
    with pytest.raises(HostError, match=f"transformers {version} gives still pictures .* wrong"):
        compat.require()


@pytest.mark.parametrize("version", ["5.6.0", "5.8.1"])
def test_transformers_with_right_positions_is_not(installed: Any, version: str) -> None:
    installed("transformers", version)
    compat.require()


LIGER = {"enable_liger_kernel": True}


@pytest.mark.parametrize(
    ("version", "asked", "refused"),
    [
        ("0.7.0", {}, False),
        ("0.7.0", LIGER, True),
        ("0.8.0", LIGER, False),
        ("0.8.5", LIGER, False),
        (None, LIGER, False),
    ],
)
def test_liger_kernels_that_break_generation(
    installed: Any, data: Path, version: str | None, asked: dict[str, bool], refused: bool
) -> None:
    """Refused before anything is loaded: another problem of the run is reported with it."""
    if version is not None:
        installed("liger-kernel", version)
    model_args = SimpleNamespace(**{"enable_liger_kernel": False} | asked)
    data_args = SimpleNamespace(
        dataset=["a"], eval_dataset=None, dataset_dir=str(data), streaming=True, val_size=0.0
    )
    with pytest.raises(ConfigError, match="streaming: depth data are not streamed") as caught:
        prepare(data_args, model_args, SimpleNamespace(), "sft", None)
    said = f"liger-kernel {version} breaks the generation of Qwen-VL models"
    assert (said in str(caught.value)) == refused
    assert ('pip install "liger-kernel>=0.8"' in str(caught.value)) == refused


def test_doctor_says_which_attention_is_used_and_why() -> None:
    result = run([sys.executable, "-m", "depthlm_plugin.cli", "doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["LLaMA-Factory"]["ok"], result.stderr
    said = checks["attention"]["found"]
    assert said.startswith("SDPA")
    assert said.endswith("; equal windows of vision towers in one call")
    assert f"ok   attention: {said}" in result.stderr
