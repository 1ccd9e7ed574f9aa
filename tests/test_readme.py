"""The documentation tells the truth: commands are accepted, examples run, tables are the code's."""

from __future__ import annotations

import json
import random
import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from support.recipes import shown_table, table

from depthlm_plugin import View
from depthlm_plugin.cli import full_parser
from depthlm_plugin.config.block import CONFIG_KEYS, DepthLMConfig
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.records.record import check_record
from depthlm_plugin.records.stated import Stated
from depthlm_plugin.tasks import (
    OPTIONS,
    TASKS,
    AskSettings,
    NotAskableError,
    QuestionContext,
    Truth,
)
from depthlm_plugin.views.markers import MARKERS

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (".", "templates", "recipes", "depthlm_plugin/*")
DOCS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in FOLDERS
    for path in sorted(ROOT.glob(f"{folder}/*.md"))
}
RECORDS, TEMPLATES = "depthlm_plugin/records/README.md", "templates/README.md"
SCORING, RECIPES = "depthlm_plugin/scoring/README.md", "recipes/README.md"
HOST = "depthlm_plugin/host/README.md"


def blocks(doc: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS[doc], re.DOTALL)


def shell_commands() -> list[tuple[str, str]]:
    """The indented command lines of every document, without their comments."""
    found = []
    for doc, text in DOCS.items():
        lines = re.findall(r"^    ((?:depthlm|llamafactory-cli) .*)$", text, re.MULTILINE)
        found += [(doc, line.partition("  #")[0].strip()) for line in lines]
    return found


COMMANDS = shell_commands()
OURS = [(doc, command) for doc, command in COMMANDS if command.startswith("depthlm")]
THEIRS = [command for _, command in COMMANDS if command.startswith("llamafactory-cli train ")]


@pytest.mark.parametrize(("doc", "command"), OURS, ids=lambda text: text[:60])
def test_depthlm_commands_are_accepted(doc: str, command: str) -> None:
    full_parser().parse_args(shlex.split(command.partition(" > ")[0])[1:])


@pytest.mark.parametrize("command", THEIRS)
def test_recipes_named_in_commands_exist(command: str) -> None:
    recipe = shlex.split(command)[2]
    assert recipe == "my_recipe.yaml" or (ROOT / recipe).is_file()


@cache
def anchors(doc: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", DOCS[doc], re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("doc", DOCS)
def test_links_lead_somewhere(doc: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", DOCS[doc]):
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        target = (ROOT / doc).parent / place if place else ROOT / doc
        assert target.exists(), link
        name = target.resolve().relative_to(ROOT).as_posix()
        assert not anchor or anchor in anchors(name), link


def test_the_first_page_is_for_newcomers() -> None:
    assert len(DOCS["README.md"].splitlines()) <= 170


@pytest.mark.parametrize("doc", sorted(DOCS.keys() - {"README.md", "CHANGELOG.md"}))
def test_every_page_can_be_reached_from_the_first(doc: str) -> None:
    assert f"({doc}" in DOCS["README.md"] or any(
        f"({Path(doc).name}" in text or f"/{Path(doc).name}" in text
        for other, text in DOCS.items()
        if other != doc and Path(other).parent == Path(doc).parent
    )


def test_the_recipe_table_is_written_with_the_recipes() -> None:
    assert shown_table() == table()
    named = set(re.findall(r"`((?:depthlm|vlm3)_\w+)`", table()))
    assert named == {path.stem for path in (ROOT / "recipes").rglob("*.yaml")}


def test_the_block_table_is_the_config() -> None:
    section = DOCS[RECIPES].partition("## The depthlm block")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|", section, re.MULTILINE)
    assert [key for key, _, _ in rows] == CONFIG_KEYS
    for key, text, meaning in rows:
        default: Any = DepthLMConfig().to_dict()[key]
        shown = yaml.safe_load(text)
        assert key not in OPTIONS or meaning == OPTIONS[key].meaning
        assert shown == (list(default) if isinstance(default, tuple) else default), key


def test_the_block_table_names_every_marker() -> None:
    [row] = re.findall(r"^\| `marker` \|.*$", DOCS[RECIPES], re.MULTILINE)
    assert MARKERS.keys() == set(re.findall(r"`(\w+)`", row)) - {"marker"}


def test_the_task_table_lists_every_task() -> None:
    section = DOCS[TEMPLATES].partition("## Tasks")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == TASKS.keys()


def test_the_template_example_is_a_template(tmp_path: Path) -> None:
    path = tmp_path / "depth.yaml"
    [example, *_] = blocks(TEMPLATES, "yaml")
    path.write_text(example, encoding="utf-8")
    template = load_template("depth", str(path))
    assert len(template.questions) == 2
    told = template.tell(Truth({"value": 2.349}))
    assert told == "<think> Der Punkt ist etwa 2.35 m entfernt. </think> <answer> 2.35 </answer>"


def write_example_data(doc: str, folder: Path) -> None:
    """Write the record of a document's example, and its picture, where the example looks."""
    record, info = map(json.loads, blocks(doc, "json"))
    assert {entry["formatting"] for entry in info.values()} == {"depthlm"}
    (folder / "data" / "rgb").mkdir(parents=True)
    Image.new("RGB", (640, 480)).save(folder / "data" / record["image"])
    (folder / "data" / "train.jsonl").write_text(json.dumps(record), encoding="utf-8")


CHECK = "assert sample.image.size == sample.view.size_wh and sample.unit == 'm'"


def test_the_python_example_runs_on_the_json_example(tmp_path: Path, run_python) -> None:
    write_example_data(RECORDS, tmp_path)
    [example] = blocks(RECORDS, "python")
    run_python(f"import os; os.chdir({str(tmp_path)!r})\n{example}\n{CHECK}")


@pytest.mark.slow  # the datasets library takes seconds to import
def test_the_example_of_rewards_runs_on_that_of_the_first_page(tmp_path: Path, run_python) -> None:
    write_example_data("README.md", tmp_path)
    [example] = blocks("README.md", "python")
    rewards, _ = blocks(SCORING, "python")
    rewards, trainer, _ = rewards.partition("trainer = GRPOTrainer(")  # tests/host runs that
    assert trainer
    check = (
        f"{CHECK}\n"
        "assert rows[0]['target'] == sample.target\n"
        "assert delta1([sample.messages[-1]['content']], target=[sample.target]) == [1.0]"
    )
    run_python(f"import os; os.chdir({str(tmp_path)!r})\n{example}\n{rewards}\n{check}")


# The guides: what they tell people to write, written into the folder that they name.


def written_into(package: str, code: str) -> dict[str, Any]:
    """Run a block of code as a file of a folder of the package, without the file."""
    import_module(package)
    names: dict[str, Any] = {"__name__": f"{package}.example", "__package__": package}
    exec(compile(code, "the example", "exec"), names)
    return names


def test_the_example_of_a_task_is_one(tmp_path: Path) -> None:
    [code] = blocks(TEMPLATES, "python")
    task = written_into("depthlm_plugin.tasks", code)["TASK"]
    [option] = task.options
    record = {
        "image": "a.png",
        "intrinsics": [100.0, 100.0, 99.5, 74.5, 200, 150],
        "pixel_coords": [[99.5, 24.5], [99.5, 74.5]],
        "depth": [4.0, 4.0],
    }
    checked, _ = check_record(record, "a:1", 0, Stated("z"))
    view = View("a.png", checked.camera, 100.0, 0, 0, (200, 150))
    settings = AskSettings("distance", {option.key: option.default})
    rng = random.Random(0)
    truth = task.ask(QuestionContext((checked,), (0,), (view,)), settings, rng)
    assert truth.values == pytest.approx({"value": 2.0})
    with pytest.raises(NotAskableError, match="not above"):
        task.ask(QuestionContext((checked,), (1,), (view,)), settings, rng)


def test_the_example_of_a_kind_is_one() -> None:
    _, code = blocks(SCORING, "python")
    kind = written_into("depthlm_plugin.kinds", code)["HEADING"]
    predicted, true = np.array([175.0, 20.0, np.nan]), np.array([-178.0, -20.0, 0.0])
    measured = kind.measure({"value": predicted}, {"value": true})
    assert measured["error_deg"] == pytest.approx([7, 40, np.nan], nan_ok=True)
    assert measured["within_10"].tolist() == [1, 0, 0]
    assert kind.problem({"value": 181.0}) == "beyond half a turn"


def test_the_example_of_a_family_is_one() -> None:
    [code] = blocks(HOST, "python")
    family = written_into("depthlm_plugin.host.processors.families", code)["FAMILY"]
    processor = SimpleNamespace(patch_size=14, max_pixels=10_000)
    grid = family.grid(processor, None)
    assert grid.problem((28, 42)) is None
    assert "multiple of 14" in str(grid.problem((30, 42)))
