"""A task is one file of the folder and its templates; what is wrong with it is said at once."""

import shutil
from pathlib import Path

import pytest

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.tasks import OPTIONS, TASKS
from depthlm_plugin.tasks.discovery import find_options, find_tasks
from depthlm_plugin.tasks.options import SHARE, Option
from depthlm_plugin.tasks.task import Task

ROOT = Path(__file__).resolve().parents[2]

HALF = """
from {tasks}.options import AskSettings, Option, number_range
from {tasks}.task import Task, Truth

DIVIDE_BY = Option("divide_by", (2.0, 2.0), number_range(1), "what the distance is divided by")


def ask(context, settings: AskSettings, rng):
    return Truth({{"value": float(context.depth_m("distance")[0]) / settings[DIVIDE_BY][0]}})


TASK = Task("{name}", ask, options=(DIVIDE_BY,))
"""


def test_tasks_that_need_least_come_first():
    needs = [(task.images, task.points, name) for name, task in TASKS.items()]
    assert needs == sorted(needs)
    declared = [option.key for task in TASKS.values() for option in task.options]
    assert list(dict.fromkeys(declared)) == list(OPTIONS)


@pytest.fixture
def find_in(tmp_path, monkeypatch):
    """Return the tasks of a new package, named like the test's folder, with these files."""

    def find(**files):
        for name, text in {"__init__": "", **files}.items():
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path.parent)
        return find_tasks(tmp_path.name, [str(tmp_path)], besides={"helpers"})

    return find


def test_a_file_is_a_task(find_in):
    half = HALF.format(tasks="depthlm_plugin.tasks", name="half")
    tasks = find_in(half=half, helpers="")
    assert list(tasks) == ["half"]
    assert list(find_options(tasks.values())) == ["divide_by"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import", r"half\.py: this task cannot be imported: SyntaxError"),
        ("import no_such_module", r"half\.py: this task cannot be imported: ModuleNotFoundError"),
        ("task = 1", r"half\.py: TASK must be Task\('half', \.\.\.\), found None"),
        (
            HALF.format(tasks="depthlm_plugin.tasks", name="third"),
            r"half\.py: TASK must be Task\('half', \.\.\.\), found the one of 'third'",
        ),
    ],
    ids=["syntax", "import", "no task", "another name"],
)
def test_a_file_that_is_no_task_is_named(find_in, text, message):
    with pytest.raises(ConfigError, match=message):
        find_in(half=text)


def test_a_key_means_one_thing():
    share = Option("share", 0.5, SHARE, "a share")
    first, second = (Task(name, TASKS["depth"].ask, options=(share,)) for name in ("one", "two"))
    assert find_options([first, second]) == {"share": share}
    other = Option("share", 0.6, SHARE, "another share")
    third = Task("three", TASKS["depth"].ask, options=(other,))
    with pytest.raises(
        ConfigError, match=r"tasks 'one' and 'three' mean different things .*'share'"
    ):
        find_options([first, second, third])


def test_a_new_task_is_one_file_and_its_templates(tmp_path, record_folder, make_record, run_python):
    for folder in ("depthlm_plugin", "templates"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    half = HALF.format(tasks="depthlm_plugin.tasks", name="half")
    (tmp_path / "depthlm_plugin" / "tasks" / "half.py").write_text(half)
    (tmp_path / "templates" / "half").mkdir()
    (tmp_path / "templates" / "half" / "plain.yaml").write_text(
        "question: What is half the distance of {point}?\nanswer: '{value}'\nparse: whole\n"
    )
    records = record_folder([make_record(depth_kind="distance")])
    run_python(
        "from depthlm_plugin import DepthSamples\n"
        "from depthlm_plugin.config.block import DepthLMConfig\n"
        "from depthlm_plugin.config.saved import changes, load_config, save_config\n"
        "from depthlm_plugin.errors import ConfigError\n"
        "settings = {'tasks': {'half': 1.0}, 'prompt': 'plain', 'focal_px': 200}\n"
        f"path, folder = {str(records)!r}, {str(tmp_path)!r}\n"
        "[sample] = DepthSamples(path, **settings, points_per_record=1)\n"
        "assert sample.target == {0: 0.75, 1: 1.25, 2: 1.75}[sample.question.point]\n"
        "assert sample.messages[1]['content'] == f'{sample.target:.2f}'\n"
        "block = settings | {'divide_by': [4, 5]}\n"
        "[other] = DepthSamples(path, **block, points_per_record=1)\n"
        "assert other.target == sample.target / 2\n"
        "config = DepthLMConfig.from_block(block)\n"
        "save_config(config, folder)\n"
        "assert load_config(folder) == config\n"
        "said = changes(DepthLMConfig.from_block(settings), config, ['divide_by'])\n"
        "assert said == ['divide_by: (2.0, 2.0) -> (4.0, 5.0)'], said\n"
        "try:\n"
        "    config.for_dataset({'divide_by': [0, 5], 'divide_bi': 3}, 'kitchen')\n"
        "except ConfigError as error:\n"
        "    said = str(error)\n"
        "assert 'divide_by must be [least, most], 1 or more, found [0, 5]' in said, said\n"
        "assert \"unknown key 'divide_bi'; did you mean 'divide_by'?\" in said, said",
        PYTHONPATH=str(tmp_path),
    )
