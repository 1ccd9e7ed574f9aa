"""`depthlm app`: what its command line refuses before anything is served."""

from __future__ import annotations

import pytest

from depthlm_plugin.cli import main
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--server", "ftp://here"], "expected a server as http://HOST:PORT, found 'ftp://here'"),
        (["--server", "http://here", "--uncalibrated"], "--uncalibrated is of weights"),
        (["--server-model", "m"], "--server-model is of a --server"),
        (["--processor", "m"], "--processor is of a --server"),
    ],
)
def test_servers_that_cannot_be_asked(tmp_path, capsys, options, problem) -> None:
    save_config(DepthLMConfig(), tmp_path, "qwen2_vl")
    assert main(["app", "--model", str(tmp_path), *options]) == 1
    said = capsys.readouterr().err
    assert problem in said
    assert "LLaMA-Factory" not in said  # it would have been started
