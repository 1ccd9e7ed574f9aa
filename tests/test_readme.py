"""The README tells the truth: its examples run, its tables are those of the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from depthlm_plugin.cli import full_parser
from depthlm_plugin.config.block import CONFIG_KEYS, DepthLMConfig
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.tasks import TASKS, Asked

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shell_commands() -> list[str]:
    """The indented command lines, without their comments."""
    lines = re.findall(r"^    (depthlm .*|llamafactory-cli .*)$", README, re.MULTILINE)
    return [line.partition("  #")[0].strip() for line in lines]


@pytest.mark.parametrize("command", [c for c in shell_commands() if c.startswith("depthlm")])
def test_depthlm_commands_are_accepted(command: str) -> None:
    full_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("command", [c for c in shell_commands() if " train " in c])
def test_recipes_named_in_commands_exist(command: str) -> None:
    assert (ROOT / shlex.split(command)[2]).is_file()


def test_the_recipe_table_lists_every_recipe() -> None:
    table = re.findall(r"^\| `((?:depthlm|vlm3)_\w+)` \|", README, re.MULTILINE)
    assert sorted(table) == sorted(path.stem for path in (ROOT / "recipes").rglob("*.yaml"))


def test_the_block_table_is_the_config() -> None:
    section = README.partition("### The depthlm block")[2].partition("## Evaluation")[0]
    table = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))
    assert list(table) == CONFIG_KEYS
    for key, text in table.items():
        default: Any = getattr(DepthLMConfig(), key)
        shown = yaml.safe_load(text)
        assert shown == (list(default) if isinstance(default, tuple) else default), key


def test_the_task_table_lists_every_task() -> None:
    section = README.partition("## Tasks")[2].partition("## Large data")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == TASKS.keys()


def test_the_template_example_is_a_template(tmp_path: Path) -> None:
    path = tmp_path / "depth.yaml"
    [example] = blocks("yaml")
    path.write_text(example, encoding="utf-8")
    template = load_template("depth", str(path))
    assert len(template.questions) == 2
    told = template.tell(Asked({"value": 2.349}))
    assert told == "<think> Der Punkt ist etwa 2.35 m entfernt. </think> <answer> 2.35 </answer>"


def test_the_python_example_runs_on_the_json_example(tmp_path: Path, run_python) -> None:
    record, info = map(json.loads, blocks("json"))
    assert {entry["formatting"] for entry in info.values()} == {"depthlm"}
    (tmp_path / "data" / "rgb").mkdir(parents=True)
    Image.new("RGB", (640, 480)).save(tmp_path / "data" / record["image"])
    (tmp_path / "data" / "train.jsonl").write_text(json.dumps(record), encoding="utf-8")
    example, rewards = blocks("python")
    rewards, trainer, _ = rewards.partition("trainer = GRPOTrainer(")  # tests/host runs that
    assert trainer
    check = (
        "assert sample.image.size == sample.view.size_wh and sample.unit == 'm'\n"
        "assert rows[0]['target'] == sample.target\n"
        "assert delta1([sample.messages[-1]['content']], target=[sample.target]) == [1.0]"
    )
    run_python(f"import os; os.chdir({str(tmp_path)!r})\n{example}\n{rewards}\n{check}")
