"""Real LLaMA-Factory on tiny models made on the spot, and real photographs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Before anything imports `datasets`: no cache of an earlier run may answer, and no hub is asked.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="depthlm-hf-")
os.environ["HF_HUB_OFFLINE"] = "1"

from support.host_tools import SMALL, Cli, environment, run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            # The host and its libraries warn of their own affairs; ours stay errors.
            item.add_marker(pytest.mark.filterwarnings("error:::depthlm_plugin"))
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Forked workers inherit torch's thread pool dead; this process collates before it forks."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny random-weight base models by family."""
    from support.tiny_pixtral import build_tiny_pixtral
    from support.tiny_qwen3vl import build_tiny_qwen3vl

    from depthlm_plugin.demo.tiny_vlm import build_tiny_qwen

    folder = tmp_path_factory.mktemp("models")
    return {
        "qwen": build_tiny_qwen(folder / "qwen", seed=0, hidden_size=64, layers=2),
        "pixtral": build_tiny_pixtral(folder / "pixtral", seed=0),
        "qwen3vl": build_tiny_qwen3vl(folder / "qwen3vl", seed=0),
    }


@pytest.fixture(scope="session")
def data(ibims: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset_dir with the real photographs: `ibims1` (46 rows), `a` (4 rows) and `b` (3)."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "rgb").symlink_to(ibims / "rgb")
    lines = (ibims / "ibims1_dev.jsonl").read_text().splitlines()
    info = {}
    for name, rows in (("ibims1", lines), ("a", lines[:4]), ("b", lines[4:7])):
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
        info[name] = {
            "file_name": f"{name}.jsonl",
            "formatting": "depthlm",
            "depthlm": {"depth_kind": "z"},
        }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    card = folder / "ibims1" / "README.md"  # as `depthlm curate` leaves it
    card.parent.mkdir()
    card.write_text("# ibims1\n\n| | |\n|---|---|\n| Licence | CC BY-NC-SA. |\n")
    return folder


@pytest.fixture(scope="session")
def cli() -> Cli:
    """The unmodified `llamafactory-cli`; fails the test with its last lines when it fails."""

    def call(*arguments: str, fails: bool = False, **variables: str) -> Any:
        result = run(["llamafactory-cli", *arguments], **variables)
        if (result.returncode != 0) != fails:
            pytest.fail(
                f"llamafactory-cli {' '.join(arguments)} ended with {result.returncode}:\n"
                f"{result.stdout[-1500:]}\n{result.stderr[-4000:]}"
            )
        return result

    return call


@pytest.fixture(scope="session")
def served_model(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Qwen, which has learnt nothing, with the word of how it was taught to see."""
    from depthlm_plugin.config.block import DepthLMConfig
    from depthlm_plugin.config.saved import save_config

    folder = tmp_path_factory.mktemp("served") / "qwen"
    shutil.copytree(models["qwen"], folder)
    save_config(DepthLMConfig(**SMALL), folder, "qwen2_vl")
    return folder


@pytest.fixture(scope="session")
def llamafactory_url(served_model: Path) -> Iterator[str]:
    """The address of `llamafactory-cli api` with `served_model`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["llamafactory-cli", "api", "--model_name_or_path", str(served_model)]
    command += ["--template", "qwen2_vl", "--infer_backend", "huggingface"]
    command += ["--image_max_pixels", "500000"]
    variables = environment(API_HOST="127.0.0.1", API_PORT=str(port))
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            for _ in range(150):
                assert process.poll() is None, "llamafactory-cli api ended"
                try:
                    urllib.request.urlopen(f"{url}/v1/models", timeout=5).close()
                    break
                except OSError:
                    time.sleep(1)
            yield url
        finally:
            process.terminate()
